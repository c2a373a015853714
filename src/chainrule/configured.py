"""Objects that remember what they were made with, so that they can be printed, saved and made again."""

from __future__ import annotations

import copy
import inspect
from typing import Any, Self

import numpy as np

from chainrule.elsewhere import activation_here
from chainrule.errors import ArgumentError, did_you_mean


class Configured:
    """A parent that records the arguments of the constructor in `arguments`, by name.

    Layers, initializers, optimizers and schedules inherit from it. A subclass writes an ordinary `__init__`
    and gets `repr`, saving and copying from what was passed to it.
    """

    arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        signature = constructor_of(cls)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            takes = list(signature.parameters)
            unknown = [name for name in kwargs if name not in takes]
            hint = did_you_mean(unknown[0], takes) if unknown else f"it takes ({', '.join(takes)})"
            if "activation" in unknown:
                hint = f"write cr.{activation_here(kwargs['activation'])}() as the next layer"
            raise ArgumentError(f"{cls.__name__}: {error}; {hint}") from None
        arguments = dict(bound.arguments)
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments |= arguments.pop(name, {})
        object.__setattr__(made, "arguments", {name: _as_passed(each) for name, each in arguments.items()})
        return made

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{type(self).__name__}({inside})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _make_again, (type(self), self.arguments, self.__dict__)


class Frozen(Configured):
    """A `Configured` that cannot change once it is made: what it says it was made with stays true.

    Two are equal when they are of one class and were made with equal arguments, those left out at their defaults.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get(name, value) is not value:
            raise ArgumentError(
                f"{self!r}: {name} cannot be changed; make a new {type(self).__name__} with it"
            )
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Frozen) and type(self) is type(other) and self.described() == other.described()
        )

    def __hash__(self) -> int:
        return hash(self.described())

    def described(self) -> str:
        """The class and all its arguments, those left at their defaults too: the same text for equal ones."""
        parameters = constructor_of(type(self)).parameters.values()
        defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
        arguments = (f"{name}={_described(value)}" for name, value in (defaults | self.arguments).items())
        return f"{type(self).__name__}({', '.join(arguments)})"


_CONSTRUCTORS: dict[type[Any], inspect.Signature] = {}


def constructor_of(cls: type[Any]) -> inspect.Signature:
    """What the constructor takes, without `self`. Read once for each class: it takes a while."""
    if cls not in _CONSTRUCTORS:
        if cls.__init__ is object.__init__:
            _CONSTRUCTORS[cls] = inspect.Signature()
        else:
            whole = inspect.signature(cls.__init__)
            _CONSTRUCTORS[cls] = whole.replace(parameters=list(whole.parameters.values())[1:])
    return _CONSTRUCTORS[cls]


def _as_passed(value: Any) -> Any:
    """The argument as it is now: a list or an array may be changed later, and the object would not follow."""
    return copy.deepcopy(value) if isinstance(value, (list, tuple, dict, np.ndarray)) else value


def _described(value: Any) -> str:
    """The value as text: 1 and 1.0 alike, and all elements of an array."""
    if isinstance(value, Frozen):
        return value.described()
    if isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, complex)):
        return repr(float(value))
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {_described(value.tolist())}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_described, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name!r}: {_described(each)}' for name, each in value.items())}}}"
    return repr(value)


def _make_again(cls: type[Configured], arguments: dict[str, Any], state: dict[str, Any]) -> Configured:
    made = object.__new__(cls)
    made.__dict__.update(state, arguments=arguments)
    return made
