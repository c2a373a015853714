"""chainrule: neural networks trained by backpropagation, with none of it hidden.

>>> import chainrule as cr
>>> x = cr.Input("x")
>>> graph = cr.Graph(x * x)
>>> graph.forward(x=3.0)
np.float64(9.0)
>>> graph.backward()["x"]
np.float64(6.0)
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from chainrule import signals as _signals  # noqa: F401  # first of all: see there

# isort: split
from chainrule import errors, initializers, layers, optimizers, schedules
from chainrule.errors import no_such_name
from chainrule.graph import Constant, Graph, Input, Node, Parameter
from chainrule.layers import *  # noqa: F403  # every layer is a public name: cr.Affine, cr.ReLU, ...
from chainrule.layers import __all__ as _layers
from chainrule.loop import Callback, EarlyStopping, Health, History
from chainrule.network import Network, TwoLayerNet
from chainrule.numerical import numerical_gradient
from chainrule.optimizers import SGD, AdaGrad, Adam, AdamHat, AdamW, Momentum, Nesterov, Optimizer, RMSProp
from chainrule.saving import load, save

if TYPE_CHECKING:
    from chainrule import datasets
    from chainrule.checking import assert_gradients, check
    from chainrule.drawing import draw
    from chainrule.reports import report
    from chainrule.reports.live import watch
    from chainrule.saving.checkpoint import Checkpoint
    from chainrule.saving.resuming import resume
    from chainrule.versions import show_versions

__version__ = "0.9.0"

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamHat",
    "AdamW",
    "Callback",
    "Checkpoint",
    "Constant",
    "EarlyStopping",
    "Graph",
    "Health",
    "History",
    "Input",
    "Momentum",
    "Nesterov",
    "Network",
    "Node",
    "Optimizer",
    "Parameter",
    "RMSProp",
    "TwoLayerNet",
    "assert_gradients",
    "check",
    "datasets",
    "draw",
    "errors",
    "initializers",
    "layers",
    "load",
    "numerical_gradient",
    "optimizers",
    "report",
    "resume",
    "save",
    "schedules",
    "show_versions",
    "watch",
    *_layers,
]


#: What training does not need, and where it is.
_LATER = {
    "Checkpoint": "chainrule.saving.checkpoint",
    "assert_gradients": "chainrule.checking",
    "check": "chainrule.checking",
    "draw": "chainrule.drawing",
    "report": "chainrule.reports",
    "resume": "chainrule.saving.resuming",
    "show_versions": "chainrule.versions",
    "watch": "chainrule.reports.live",
}


def __getattr__(name: str) -> Any:
    """Import what training does not need when it is first asked for, so that `import chainrule` is quick."""
    if name == "datasets":
        return importlib.import_module("chainrule.datasets")
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise no_such_name(__name__, name, __all__)


if "IPython" in sys.modules:  # so that a notebook shows networks, graphs and histories as pictures
    importlib.import_module("chainrule.notebook").register()


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
