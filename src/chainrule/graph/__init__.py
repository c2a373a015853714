"""The computational graph: nodes, their order, and the runs forward and backward."""

from chainrule.graph.graph import Before, Graph
from chainrule.graph.nodes import Constant, Input, LayerParameter, Node, Parameter, checked_shape
from chainrule.graph.values import NodeArrays, unbroadcast

__all__ = [
    "Before",
    "Constant",
    "Graph",
    "Input",
    "LayerParameter",
    "Node",
    "NodeArrays",
    "Parameter",
    "checked_shape",
    "unbroadcast",
]
