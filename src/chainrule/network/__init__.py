"""Networks: a graph with a loss and one flat parameter vector."""

from chainrule.network.network import Network
from chainrule.network.progress import Progress
from chainrule.network.summary import Summary
from chainrule.network.textbook import TwoLayerNet
from chainrule.network.training import Training

__all__ = ["Network", "Progress", "Summary", "Training", "TwoLayerNet"]
