"""Kernels: the hot loops, as plain Python functions that Numba can compile.

Each stands for a layer's NumPy definition, or an optimizer's rule, and must equal it; the layer stays the
definition. A kernel reads as the formula it computes, works uncompiled, and names its constants (ZERO, ONE,
FLOAT, ...), so that a program can give them the dtype of its arrays: a compiled float32 loop then computes in
float32 throughout.
"""

from chainrule.kernels.activations import ACTIVATIONS, Activation, activation_of
from chainrule.kernels.losses import LOSSES, LossKernel
from chainrule.kernels.updates import UPDATES

__all__ = ["ACTIVATIONS", "LOSSES", "UPDATES", "Activation", "LossKernel", "activation_of"]
