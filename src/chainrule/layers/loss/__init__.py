"""Losses: layers whose output is one number, to be made small."""

from chainrule.layers.loss.base import Loss
from chainrule.layers.loss.classification import SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.layers.loss.regression import Huber, MeanAbsoluteError, MeanSquaredError

__all__ = [
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
]
