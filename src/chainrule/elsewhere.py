"""What other libraries call things, for the errors about names that chainrule does not know."""

from __future__ import annotations

#: The name here of what has another elsewhere, in small letters and without underscores.
CALLED_HERE: dict[str, str] = {
    "dense": "Affine",
    "linear": "Affine",
    "fullyconnected": "Affine",
    "sequential": "Network",
    "model": "Network",
    "module": "Layer",
    "function": "Layer",
    "crossentropyloss": "SoftmaxCrossEntropy",
    "crossentropy": "SoftmaxCrossEntropy",
    "categoricalcrossentropy": "SoftmaxCrossEntropy",
    "sparsecategoricalcrossentropy": "SoftmaxCrossEntropy",
    "softmaxwithloss": "SoftmaxCrossEntropy",
    "nllloss": "SoftmaxCrossEntropy",
    "bceloss": "SigmoidCrossEntropy",
    "bcewithlogitsloss": "SigmoidCrossEntropy",
    "binarycrossentropy": "SigmoidCrossEntropy",
    "mse": "MeanSquaredError",
    "mseloss": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "l1loss": "MeanAbsoluteError",
    "huberloss": "Huber",
    "smoothl1loss": "Huber",
    "batchnormalization": "BatchNorm",
    "batchnorm1d": "BatchNorm",
    "layernormalization": "LayerNorm",
    "swish": "SiLU",
    "concat": "Concatenate",
    "view": "Reshape",
    "tensor": "Constant",
    "variable": "Parameter",
    "adamoptimizer": "Adam",
    "sgdoptimizer": "SGD",
    "gradcheck": "check",
    "valloss": "test_loss",
    "valaccuracy": "test_accuracy",
    "valacc": "test_accuracy",
    "testacc": "test_accuracy",
    "trainacc": "train_accuracy",
    "accuracy": "train_accuracy",
    "acc": "train_accuracy",
    "loss": "train_loss",
    "lr": "learning_rate",
    "eta": "learning_rate",
    "l2": "weight_decay",
    "betas": "beta1",
    "eps": "epsilon",
    "validationdata": "validation",
    "validationsplit": "validation",
    "randomstate": "seed",
    "randomseed": "seed",
    "maxiter": "iterations",
    "verbose": "progress",
    "classweight": "sample_weight",
    "sampleweights": "sample_weight",
}

#: What other libraries have and this one has not, in small letters: the beginning of the name, and what it is.
MISSING_HERE: dict[str, str] = {
    "conv1d": "convolution",
    "conv2d": "convolution",
    "conv3d": "convolution",
    "convtranspose": "convolution",
    "convolution": "convolution",
    "maxpool": "pooling",
    "avgpool": "pooling",
    "averagepool": "pooling",
    "globalaverage": "pooling",
    "lstm": "recurrent layer",
    "gru": "recurrent layer",
    "rnn": "recurrent layer",
    "simplernn": "recurrent layer",
    "multihead": "attention layer",
    "attention": "attention layer",
    "transformer": "attention layer",
}


def called_here(name: str) -> str:
    """The name here of what is called so elsewhere, or ""."""
    return CALLED_HERE.get(name.lower().replace("_", ""), "")


def missing_here(name: str) -> str:
    """What there is none of here, where the name is of such a thing, or ""."""
    found = (what for beginning, what in MISSING_HERE.items() if name.lower().startswith(beginning))
    return next(found, "")
