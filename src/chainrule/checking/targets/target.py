"""What is checked, in one form: a target has named inputs, and starts calls that go forward and backward."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.checking.targets.naming import is_gradient_of
from chainrule.errors import ArgumentError, DataError

#: Inputs of these names are answers or places, and have no gradient even where they hold floats.
ANSWERS = frozenset(
    {"t", "target", "targets", "label", "labels", "y_true", "true", "truth", "answer", "answers"}
    | {"mask", "index", "indices", "idx", "ids", "sample_weight"}
)

Returned = dict[str, Any]
"""What a backward returned, by the name of the input; None where it returned nothing for it."""


class WrongCount(Exception):
    """A backward returned another number of gradients than there are inputs: `came`, `expected`."""

    def __init__(self, came: int, expected: int) -> None:
        super().__init__(f"{came} gradients for {expected} inputs")
        self.came, self.expected = came, expected


class Refused(Exception):
    """PyTorch or JAX refused a gradient: a `mistake` of the table, at an input, with the facts for its advice."""

    def __init__(self, mistake: str, input: str | None, came: str, expected: str, said: str) -> None:
        super().__init__(said)
        self.mistake, self.input, self.facts = mistake, input, {"came": came, "expected": expected}


class Calls(ABC):
    """One use of a target: forward, then backward, perhaps again. It may keep what it likes."""

    @abstractmethod
    def forward(self, values: Mapping[str, Array]) -> Any:
        """The output, computed from exactly these arrays."""

    @abstractmethod
    def backward(self, dy: Any) -> Returned:
        """The gradients after the latest forward, as they were returned."""

    def output(self, values: Mapping[str, Array]) -> Array:
        """The output for copies of these arrays, in float64."""
        with np.errstate(all="ignore"):
            return np.array(self.forward(copies(values)), np.float64)

    def show_writes(self) -> None:  # noqa: B027  # most are given the arrays themselves
        """Write into the arrays that were given what was written into tensors made from them."""

    def parameters(self) -> dict[str, Array]:
        """The parameters as they are now, where the target keeps them itself."""
        return {}

    def output_sizes(self) -> dict[str, int]:
        """Of several outputs that were joined to one array: the numbers of each, by name."""
        return {}

    def replace_parameter(self, name: str, value: Array) -> None:
        """Let a parameter have another value from now on."""
        raise KeyError(name)


@dataclass(frozen=True)
class Contract:
    """What a backward does besides returning gradients, on purpose."""

    #: It has one gradient that it adds to, from zero, and nobody knows who clears it.
    adds: bool = False
    #: It is called as often as forward, in reverse: what forward kept is taken from a stack.
    pops: bool = False
    #: The parameters that it updates, and whether it does so before the gradients are computed, if that is known.
    updates: tuple[str, ...] = ()
    updates_early: bool | None = False
    #: It takes no upstream gradient: that is 1.
    without_upstream: bool = False


@dataclass(frozen=True)
class Use:
    """Another way to use a target, which gives the same output and the same gradients."""

    #: How the target is used, as the beginning of a sentence: "Where only x needs a gradient,".
    said: str
    #: What is wrong where it gives others.
    mistake: str
    calls: Calls
    #: The inputs whose gradients are compared, for this upstream gradient.
    names: tuple[str, ...] = ()
    dy: Array | None = None
    #: Whether to refuse such a use, by an error, is right.
    may_refuse: bool = False


@dataclass
class Target(ABC):
    """One computation with a backward: its name, its kind, and the values at which it is checked."""

    name: str
    kind: str
    values: dict[str, Array]
    #: Whether it promises only what textbooks do: then a gradient in the shape of a broadcast output, or the very
    #: array dy, is a mistake; a chainrule layer may return both, since the graph sees to it.
    handwritten: bool = True
    #: Inputs whose gradient is given as None on purpose: answers, indices, and what the target says has none.
    without_gradient: frozenset[str] = frozenset()
    #: Of these: inputs whose gradient is another by design.
    straight_through: frozenset[str] = frozenset()
    #: About how many numbers a forward reads and writes; 0 where that is what goes in and comes out.
    work: int = 0
    #: Whether it draws random numbers of its own, which are then held the same in every call.
    draws: bool = False
    #: By input: what it is rounded to, such as bfloat16; nothing for what takes and gives NumPy's arrays.
    dtypes: Mapping[str, str] = field(default_factory=dict)
    #: What else is worth saying of it.
    remarks: tuple[str, ...] = ()
    #: What the output depends on, and no gradient is known of.
    uncompared: tuple[str, ...] = ()
    contract: Contract = field(default_factory=lambda: Contract())

    @property
    def native(self) -> bool:
        """Whether it computes in dtypes of its own, and `values` are numbers that these hold."""
        return bool(self.dtypes)

    def computing(self, forward: Callable[..., Any]) -> Target:
        """The same inputs, handed in float64 to another forward, of which only the output is wanted."""
        raise NotImplementedError

    def other_uses(self, dy: Array) -> Iterable[Use]:
        """Other ways to use it, which must give the same as the first, for this upstream gradient."""
        return ()

    @abstractmethod
    def start(self, dtype: str = "float64") -> Calls:
        """New calls, which know nothing of others, and keep the target's own parameters in a dtype."""

    @property
    def parameters(self) -> frozenset[str]:
        """The inputs that are parameters which the target keeps itself."""
        return frozenset()

    @property
    def draws_by_contract(self) -> bool:
        """Whether it draws random numbers from a generator that it asks for."""
        return False

    @property
    def differentiable(self) -> list[str]:
        """The inputs that are checked."""
        return [n for n, v in self.values.items() if is_float(v) and n not in self.without_gradient]

    @property
    def source(self) -> str | None:
        """Where the backward is written, as 'file.py:12'."""
        return None

    @property
    def method(self) -> Any:
        """The forward as it is written, to see whether it draws random numbers."""
        return None

    @property
    def answers(self) -> str | None:
        """The name of the input with the answers, if there is one."""
        return next((name for name in list(self.values)[1:2] if name in ANSWERS), None)


def returned_in_order(names: Sequence[str], result: Any, differentiable: Collection[str] = ()) -> Returned:
    """What a backward returned, by name: one array, or several in a tuple, in a list, or in a dict by name.

    What holds no floats has its place in the order, or is left out.
    """
    if isinstance(result, list) and len(names) == 1 and not any(isinstance(g, np.ndarray) for g in result):
        result = (np.array(result) if all(isinstance(g, Real) for g in result) else result,)
    order, by_name = in_order_and_by_name(result)
    found = {name: by_name[key] for name in names if (key := key_of(by_name, name)) is not None}
    rest = [name for name in names if name not in found]
    floats = [name for name in rest if name in differentiable]
    if len(order) == len(floats) < len(rest):
        rest = floats
    if any(gradient is not None for gradient in order[len(rest) :]):  # None: an optional input left out
        raise WrongCount(len(order) + len(found), len(names))
    found |= dict(zip(rest, order, strict=False))
    return {name: found.get(name) for name in names}


def in_order_and_by_name(result: Any) -> tuple[list[Any], dict[str, Any]]:
    """What a backward returned without names, and with: (dx, {"W": dW}), or (dx, [dW, db])."""
    order: list[Any] = []
    by_name: dict[str, Any] = {}
    for each in result if isinstance(result, (tuple, list)) else (result,):
        if isinstance(each, Mapping):
            by_name |= {str(key): value for key, value in each.items()}
        elif isinstance(each, (tuple, list)) and any(isinstance(inner, np.ndarray) for inner in each):
            order += each
        else:
            order.append(each)
    return order, by_name


def key_of(by_name: Mapping[str, Any], name: str) -> str | None:
    """Under which name the gradient of an input stands: W, dW, W_grad."""
    return name if name in by_name else next((key for key in by_name if is_gradient_of(key, name)), None)


def copies(values: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays of their own."""
    return {name: value.copy() for name, value in values.items()}


def refuse_infinite(array: Array, name: str) -> None:
    """DataError for floats that are not finite."""
    if is_float(array) and not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise DataError(
            f"check: {name} holds {array[place]} at {list(place)}; differences need finite numbers"
        )


def source_of(function: Any) -> str | None:
    """'file.py:12', where a function or method is written, if that is known."""
    plain = inspect.unwrap(function) if callable(function) else function
    code = getattr(getattr(plain, "__func__", plain), "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code is not None else None


def largest(values: Iterable[Array | None]) -> float:
    """The largest size of all finite floats in these arrays."""
    floats = [value for value in values if value is not None and is_float(value)]
    sizes = [float(np.abs(value[np.isfinite(value)]).max(initial=0)) for value in floats]
    return max(sizes, default=0.0)


def accepts(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with `count` positional arguments."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


def input_names(function: Callable[..., Any], count: int, names: Sequence[str] | None) -> list[str]:
    """What the inputs are called: as the caller says, or as the function's own arguments are."""
    if names is not None:
        if len(names) != count or len(set(names)) != count:
            raise ArgumentError(f"names: expected {count} different names, one per input, got {names!r}")
        return list(names)
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        found = []
    own = [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [own[k] if k < len(own) else f"input {k + 1}" for k in range(count)]
