"""Layers: kinds of computation, each a class with `forward` and, beside it, `backward`. One file a family."""

from typing import TYPE_CHECKING, Any

from chainrule.errors import no_such_name
from chainrule.layers.activation import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.layers.affine import Affine
from chainrule.layers.arithmetic import (
    Add,
    Divide,
    Exp,
    Log,
    MatMul,
    Multiply,
    Negative,
    Power,
    Sqrt,
    Subtract,
)
from chainrule.layers.base import Layer, ParameterSpec
from chainrule.layers.dropout import Dropout
from chainrule.layers.embedding import Embedding
from chainrule.layers.loss import (
    HalfPoissonDeviance,
    HalfSquaredError,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Quantile,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from chainrule.layers.normalization import BatchNorm, LayerNorm
from chainrule.layers.reduction import Max, Mean, Sum
from chainrule.layers.shape import Concatenate, Flatten, Index, Reshape, Take, Transpose
from chainrule.layers.standardize import Standardize

__all__ = [
    "ELU",
    "GELU",
    "Add",
    "Affine",
    "BatchNorm",
    "Concatenate",
    "Divide",
    "Dropout",
    "Embedding",
    "Exp",
    "Flatten",
    "HalfPoissonDeviance",
    "HalfSquaredError",
    "Huber",
    "Index",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Log",
    "LogSoftmax",
    "Loss",
    "MatMul",
    "Max",
    "Mean",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Multiply",
    "Negative",
    "ParameterSpec",
    "Power",
    "Quantile",
    "ReLU",
    "Reshape",
    "SiLU",
    "Sigmoid",
    "SigmoidCrossEntropy",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Sqrt",
    "Standardize",
    "Subtract",
    "Sum",
    "Take",
    "Tanh",
    "Transpose",
]


if not TYPE_CHECKING:  # to type checkers, a name that is not there is an error

    def __getattr__(name: str) -> Any:
        raise no_such_name(__name__, name, __all__)
