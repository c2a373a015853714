"""Operations: what layers are lowered to.

A file for each family holds its rule, its NumPy statements, and the names of its kernels in the machine. A new
layer's fast form is one file here and one C function.
"""

from chainrule.program.operations.activations import ActivationRule
from chainrule.program.operations.affine import AffineRule
from chainrule.program.operations.arithmetic import ArithmeticRule
from chainrule.program.operations.dropout import DropoutRule
from chainrule.program.operations.embedding import EmbeddingRule
from chainrule.program.operations.losses import LossRule
from chainrule.program.operations.matrices import MatMulRule
from chainrule.program.operations.movement import MovementRule, ViewRule
from chainrule.program.operations.normalization import BatchNormRule, LayerNormRule
from chainrule.program.operations.python import PythonRule
from chainrule.program.operations.reductions import AlongAxesRule, BatchReductionRule
from chainrule.program.operations.standardize import StandardizeRule

#: In the order in which they are asked; the last takes every node.
RULES = (
    LossRule(),
    AffineRule(),
    ActivationRule(),
    ViewRule(),
    MovementRule(),
    ArithmeticRule(),
    MatMulRule(),
    AlongAxesRule(),
    BatchReductionRule(),
    BatchNormRule(),
    LayerNormRule(),
    StandardizeRule(),
    EmbeddingRule(),
    DropoutRule(),
    PythonRule(),
)

__all__ = ["RULES"]
