"""Optimizers: what one step does to the flat parameter vector, given the flat gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.arguments import one_of
from chainrule.errors import no_such_name
from chainrule.optimizers.optimizer import Optimizer, OptimizerState
from chainrule.optimizers.rules import SGD, AdaGrad, Adam, AdamHat, AdamW, Momentum, Nesterov, RMSProp

__all__ = [
    "KINDS",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamHat",
    "AdamW",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "OptimizerState",
    "RMSProp",
    "get",
]

KINDS: dict[str, type[Optimizer]] = {
    kind.__name__.lower(): kind for kind in (SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam, AdamHat, AdamW)
}


def get(name: str, **arguments: Any) -> Optimizer:
    """The optimizer of that name, in any case, made with the arguments.

    Raises: ArgumentError for an unknown name or argument, or a value out of range.

    >>> get("adam", beta1=0.8)
    Adam(beta1=0.8)
    """
    kind = KINDS.get(name.lower()) or KINDS[one_of("optimizer", name, KINDS)]
    return kind(**arguments)


if not TYPE_CHECKING:  # to type checkers, a name that is not there is an error

    def __getattr__(name: str) -> Any:
        raise no_such_name(__name__, name, __all__)
