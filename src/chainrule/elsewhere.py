"""What other libraries call things, for the errors about names that chainrule does not know."""

from __future__ import annotations

#: The name here of what has another elsewhere, in small letters and without underscores.
CALLED_HERE: dict[str, str] = {
    "dense": "Affine",
    "linear": "Affine",
    "fullyconnected": "Affine",
    "sequential": "Network",
    "model": "Network",
    "mlpclassifier": "Network",
    "mlpregressor": "Network",
    "module": "Layer",
    "function": "Layer",
    "logloss": "SoftmaxCrossEntropy",
    "crossentropyloss": "SoftmaxCrossEntropy",
    "crossentropy": "SoftmaxCrossEntropy",
    "categoricalcrossentropy": "SoftmaxCrossEntropy",
    "sparsecategoricalcrossentropy": "SoftmaxCrossEntropy",
    "softmaxwithloss": "SoftmaxCrossEntropy",
    "nllloss": "SoftmaxCrossEntropy",
    "nll": "SoftmaxCrossEntropy",
    "bce": "SigmoidCrossEntropy",
    "bcewithlogits": "SigmoidCrossEntropy",
    "logistic": "SigmoidCrossEntropy",
    "bceloss": "SigmoidCrossEntropy",
    "bcewithlogitsloss": "SigmoidCrossEntropy",
    "binarycrossentropy": "SigmoidCrossEntropy",
    "mse": "MeanSquaredError",
    "mseloss": "MeanSquaredError",
    "squarederror": "MeanSquaredError",
    "l2loss": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "absoluteerror": "MeanAbsoluteError",
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
    "validationloss": "test_loss",
    "validationaccuracy": "test_accuracy",
    "validationscore": "test_accuracy",
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


#: What does here what a method or attribute of a network does elsewhere, spelt as in `CALLED_HERE`.
METHODS_HERE: dict[str, str] = {
    "score": "net.accuracy(x, t), or net.evaluate(x, t) for the loss, and R² of a regression, too",
    "compile": "give the loss when the network is made, cr.Network(..., loss=...), and the optimizer to "
    "net.fit(x, t, optimizer=...)",
    "save": "cr.save(net, path)",
    "savemodel": "cr.save(net, path)",
    "saveweights": "cr.save(net, path)",
    "load": "net = cr.load(path)",
    "loadweights": "net = cr.load(path)",
    "add": "give all layers when the network is made, cr.Network([layer, layer, ...], input_shape=...)",
    "train": "net.fit(x, t, epochs=...)",
    "partialfit": "net.fit(x, t, epochs=1), which goes on where the last one stopped",
    "fittransform": "net.fit(x, t, epochs=...)",
    "transform": "net.predict(x)",
    "forward": "net.predict(x), or net.graph.forward(...) for every value in between",
    "backward": "net.gradient(x, t)",
    "step": "net.training(x, t).steps(1)",
    "predictclasses": "net.classify(x)",
    "predictlogproba": "np.log(net.predict_proba(x))",
    "weights": "net.params",
    "parameters": "net.params",
    "getweights": "net.params",
    "setweights": "net.params = {...}",
    "statedict": "net.params and net.state, or cr.save(net, path)",
    "loadstatedict": "net.params = {...}, or net = cr.load(path)",
    "coefs": "net.params",
    "countparams": "net.params.flat.size, or net.summary()",
    "history": "history = net.fit(x, t, ...)",
    "optimizer": "give the optimizer to net.fit(x, t, optimizer=...)",
    "plot": "cr.draw(net)",
    "draw": "cr.draw(net)",
    "check": "cr.check(net, x, t)",
    "report": "cr.report(folder)",
    "copy": "copy.deepcopy(net)",
    "clone": "copy.deepcopy(net)",
    "to": "net.astype(dtype)",
    "layers": "net.graph.nodes, or net.summary()",
}

#: The activations by their names in text.
_ACTIVATIONS = {
    "relu": "ReLU",
    "leakyrelu": "LeakyReLU",
    "elu": "ELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "swish": "SiLU",
    "sigmoid": "Sigmoid",
    "logistic": "Sigmoid",
    "tanh": "Tanh",
    "softmax": "Softmax",
    "logsoftmax": "LogSoftmax",
    "softplus": "Softplus",
}


def method_here(name: str) -> str:
    """What to write for a method or attribute of a network that has another name elsewhere, or ""."""
    found = METHODS_HERE.get(plain(name), "")
    return f"write {found}" if found and not found.startswith("give") else found


def activation_here(name: object) -> str:
    """The layer that an activation's name, such as "relu", stands for; ReLU, as an example, for any other text."""
    return _ACTIVATIONS.get(plain(str(name)), "ReLU")


def plain(name: str) -> str:
    """A name in small letters, without what some put between its words."""
    return name.lower().translate(str.maketrans("", "", "_- "))


def called_here(name: str) -> str:
    """The name here of what is called so elsewhere, or ""."""
    return CALLED_HERE.get(plain(name), "")


def missing_here(name: str) -> str:
    """What there is none of here, where the name is of such a thing, or ""."""
    found = (what for beginning, what in MISSING_HERE.items() if name.lower().startswith(beginning))
    return next(found, "")


def estimator_here(given: object, call: str) -> str:
    """The end of a message about an estimator in the place of its network, with the call that is meant, or ""."""
    if not _is_estimator(given):
        return ""
    when = "" if hasattr(given, "network_") else ", once it is fitted"
    return f"the network of an estimator is its attribute network_{when}: {call}"


def run_of_estimator(given: object) -> str:
    """The end of a message about an estimator in the place of a run's folder, or ""."""
    return (
        "an estimator with checkpoint=folder keeps its run there: cr.watch(folder)"
        if _is_estimator(given)
        else ""
    )


def _is_estimator(given: object) -> bool:
    """Whether it is one of `chainrule.sklearn`, which need not be installed."""
    return any(kind.__module__.startswith("chainrule.sklearn.") for kind in type(given).__mro__)
