"""Networks: a graph with a loss and one flat parameter vector."""

from chainrule.network.network import Network
from chainrule.network.summary import Summary
from chainrule.network.textbook import TwoLayerNet

__all__ = ["Network", "Summary", "TwoLayerNet"]
