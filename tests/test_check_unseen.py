"""`cr.check` names what a forward reads and was not handed: in closures, modules, and where no copy has its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ClassVar

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from chainrule.checking import CheckReport
from chainrule.checking.targets import places
from chainrule.errors import ArgumentError

X = np.random.default_rng(0).normal(size=(5, 4))
IN_THE_MODULE = np.linspace(0.5, 2.0, 4)
IN_A_DICT = {"gain": np.linspace(0.5, 2.0, 4)}


def verdicts(report: CheckReport) -> dict[str, str]:
    return {row.input: row.verdict for row in report.rows}


class Times:
    """y = gain * x, by a method that says where the gain is."""

    gains: ClassVar[Any] = {"all": np.full(4, 2.0)}

    def gain(self) -> Any:
        raise NotImplementedError

    def forward(self, x: Array) -> Array:
        return x * self.gain()

    def backward(self, dy: Array) -> Array:
        return dy * self.gain()


def in_a_closure(gain: Any, scale: Callable[[Any], Any] = lambda gain: gain) -> Any:
    class Closed(Times):
        def gain(self) -> Any:
            return scale(gain)

    return Closed()


def in_a_decorator(gain: Any) -> Any:
    def times(function: Callable[..., Array]) -> Callable[..., Array]:
        @wraps(function)
        def both(self: Any, given: Array) -> Array:
            return function(self, given) * gain

        return both

    class Decorated:
        @times
        def forward(self, x: Array) -> Array:
            return x

        @times
        def backward(self, dy: Array) -> Array:
            return dy

    return Decorated()


class KeepsAFunction(Times):
    def __init__(self, gain: Any) -> None:
        self.gain = lambda: gain  # type: ignore[method-assign]


class KeepsAFunctionOfItself(Times):
    def __init__(self, gain: Any) -> None:
        self.value = gain
        self.gain = lambda: self.value  # type: ignore[method-assign]


class ByTheNameOfItsClass(Times):
    def gain(self) -> Any:
        return Times.gains["all"]


class Single:
    """It is copied by handing itself on."""

    def __init__(self, gain: Any) -> None:
        self.value = gain

    def __deepcopy__(self, memory: Any) -> Single:
        return self


class KeepsASingleObject(Times):
    def __init__(self, gain: Any) -> None:
        self.single = Single(gain)

    def gain(self) -> Any:
        return self.single.value


class CannotBeCopied(Single):
    def __deepcopy__(self, memory: Any) -> Single:
        raise TypeError("no copy")


def on_the_class(gain: Any) -> Any:
    return type(
        "OnTheClass", (KeepsASingleObject,), {"__init__": object.__init__, "single": CannotBeCopied(gain)}
    )()


OUT_OF_REACH: dict[str, tuple[Callable[[Any], Any], str]] = {
    "closure": (in_a_closure, "gain.gain"),
    "list": (lambda gain: in_a_closure([gain], lambda gains: gains[0]), "gain.gain[0]"),
    "decorator": (in_a_decorator, "forward.gain"),
    "function": (KeepsAFunction, "gain.gain"),
    "function of itself": (KeepsAFunctionOfItself, "gain.self.value"),
    "no copy": (KeepsASingleObject, "single.value"),
    "no copy, on the class": (on_the_class, "single.value"),
    "name of the class": (lambda _: ByTheNameOfItsClass(), "gains.all"),
}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("where", OUT_OF_REACH)
def test_what_cannot_be_copied_is_named(where: str, frozen: bool) -> None:
    make, name = OUT_OF_REACH[where]
    gain = np.linspace(0.5, 2.0, 4)
    gain.flags.writeable = not frozen
    kept = gain.copy()
    report = cr.check(make(gain), X)
    assert (report.verdict, report.uncompared) == ("incomplete", (name,))
    (remark,) = report.remarks
    assert f'ignore=["{name}"]' in remark
    assert np.array_equal(gain, kept)
    assert gain.flags.writeable == (not frozen)
    ignored = cr.check(make(gain), X, ignore=[name])
    assert (ignored.passed, ignored.remarks) == (True, ())


def test_what_a_function_holds_and_forward_does_not_read_is_not_named() -> None:
    def unused() -> Array:
        return gain

    class Own(Times):
        def __init__(self) -> None:
            self.own, self.unused = 2.0, unused

        def gain(self) -> Any:
            return self.own

    gain = np.ones(4)
    assert (cr.check(Own(), X).verdict, cr.check(Own(), X).remarks) == ("passed", ())


def test_arguments_bound_to_a_function_are_parameters() -> None:
    class Bound:
        def __init__(self) -> None:
            self.function = partial(np.multiply, np.full(4, 2.0))

        def forward(self, x: Array) -> Array:
            self.x = x
            return self.function(x)

        def backward(self, dy: Array) -> Array:
            self.found = (dy * self.x).sum(axis=0)
            return self.function(dy)

    assert cr.check(Bound(), X).uncompared == ("function.args[0]",)
    assert cr.check(Bound(), X, gradients={"function.args[0]": "found"}).passed


# In a module, and around functions --------------------------------------------------------------------------


def from_the_module() -> Array:
    return IN_THE_MODULE


class ReadsTheModule(Times):
    def gain(self) -> Any:
        return next(IN_THE_MODULE for _ in range(1))


class ReadsADict(Times):
    def gain(self) -> Any:
        return IN_A_DICT["gain"]


class CallsAFunction(Times):
    def gain(self) -> Any:
        return from_the_module()


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (ReadsTheModule(), "gain.IN_THE_MODULE"),
        (ReadsADict(), "gain.IN_A_DICT.gain"),
        (CallsAFunction(), "gain.from_the_module.IN_THE_MODULE"),
    ],
)
def test_what_methods_read_in_their_module_is_named(thing: Any, name: str) -> None:
    kept = IN_THE_MODULE.copy(), IN_A_DICT["gain"].copy()
    report = cr.check(thing, X)
    assert (report.verdict, report.uncompared) == ("incomplete", (name,))
    assert all(map(np.array_equal, kept, (IN_THE_MODULE, IN_A_DICT["gain"])))
    assert cr.check(thing, X, ignore=[name]).passed


def around(gain: Array) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    return lambda x: x * gain, lambda dy: dy * gain


FUNCTIONS: dict[str, tuple[Any, Any, str]] = {
    "closure": (*around(np.linspace(0.5, 2.0, 4)), "gain"),
    "module": (lambda x: x * IN_THE_MODULE, lambda dy: dy * IN_THE_MODULE, "IN_THE_MODULE"),
    "dict": (lambda x: x * IN_A_DICT["gain"], lambda dy: dy * IN_A_DICT["gain"], "IN_A_DICT.gain"),
    "bound": (
        partial(np.multiply, IN_THE_MODULE),
        lambda dy: dy * IN_THE_MODULE,
        "args[0]",
    ),
    "object": (ReadsADict().forward, lambda dy: dy * IN_A_DICT["gain"], "__self__.gain.IN_A_DICT.gain"),
}


@pytest.mark.parametrize("where", FUNCTIONS)
def test_what_a_function_reads_besides_its_inputs_is_named(where: str) -> None:
    forward, backward, name = FUNCTIONS[where]
    report = cr.check(forward, X, backward=backward, names=["x"])
    assert (report.verdict, report.uncompared) == ("incomplete", (name,))
    (remark,) = report.remarks
    assert f'ignore=["{name}"]' in remark
    ignored = cr.check(forward, X, backward=backward, names=["x"], ignore=[name])
    assert (ignored.verdict, ignored.remarks) == ("passed", ())
    with pytest.raises(ArgumentError, match="unknown ignore 'gains'"):
        cr.check(forward, X, backward=backward, names=["x"], ignore=["gains"])


def test_what_a_function_draws_is_not_taken_for_what_it_reads() -> None:
    def forward(x: Array) -> tuple[Array, Array]:
        kept = (np.random.random(x.shape) > 0.5) / 0.5  # noqa: NPY002  # what people write
        return x * kept + 0 * unused.sum(), kept

    unused = np.ones(3)
    assert cr.check(forward, X, backward=lambda dy, kept: dy * kept).passed


def test_a_constant_that_does_not_matter_is_not_named() -> None:
    def forward(x: Array) -> Array:
        assert IN_THE_MODULE.shape == (4,)
        return 2 * x

    assert cr.check(forward, X, backward=lambda dy: 2 * dy).passed


# Two methods of one object ------------------------------------------------------------------------------------


class Named:
    """y = gain * x, by methods of other names."""

    def __init__(self, wrong: float = 1.0) -> None:
        self.gain, self.wrong = np.linspace(0.5, 2.0, 4), wrong

    def run(self, x: Array) -> Array:
        self.x = x
        return x * self.gain

    def back(self, dy: Array) -> Array:
        self.dgain = self.wrong * (dy * self.x).sum(axis=0)
        return dy * self.gain


def test_two_methods_of_one_object_are_checked_with_its_parameters() -> None:
    thing = Named()
    report = cr.check(thing.run, X, backward=thing.back)
    assert verdicts(report) == {"x": "ok", "gain": "ok"}
    assert report.passed
    assert not hasattr(thing, "x"), "the object itself is not run"
    wrong = Named(2.0)
    assert cr.check(wrong.run, X, backward=wrong.back).mistakes == ("factor",)
    assert cr.check(thing.run, X, backward=thing.back, gradients={"gain": "dgain"}).passed


@pytest.mark.parametrize(
    "names", [("__call__", "backward"), ("fprop", "bprop"), ("forward_pass", "backward_pass")]
)
def test_methods_of_other_usual_names_are_found(names: tuple[str, str]) -> None:
    kind = type("Kind", (Named,), dict(zip(names, (Named.run, Named.back), strict=True)))
    assert verdicts(cr.check(kind(), X)) == {"x": "ok", "gain": "ok"}
    assert cr.check(kind(2.0), X).mistakes == ("factor",)


def test_methods_of_unusual_names_are_asked_for() -> None:
    with pytest.raises(ArgumentError, match=r"has no method forward.*backward=net.back"):
        cr.check(Named(), X)


# What is no array of NumPy's, or lies deep ---------------------------------------------------------------------


class Private:
    __slots__ = ("__gain", "dgain", "x")

    def __init__(self) -> None:
        self.__gain = np.linspace(0.5, 2.0, 4)

    def forward(self, x: Array) -> Array:
        self.x = x
        return x * self.__gain

    def backward(self, dy: Array) -> Array:
        self.dgain = 2 * (dy * self.x).sum(axis=0)
        return dy * self.__gain


class Fields(Times):
    """The gain is a field of a structured array, as its gradient is."""

    def __init__(self) -> None:
        self.p = np.zeros((), dtype=[("gain", "f8", (4,))])
        self.p["gain"] = np.linspace(0.5, 2.0, 4)
        self.g = np.zeros_like(self.p)

    def gain(self) -> Any:
        return self.p["gain"]

    def forward(self, x: Array) -> Array:
        self.x = x
        return super().forward(x)

    def backward(self, dy: Array) -> Array:
        self.g["gain"] = 2 * (dy * self.x).sum(axis=0)
        return super().backward(dy)


class Linked:
    """A chain of layers, of which the last is wrong."""

    def __init__(self, behind: int) -> None:
        self.w = np.full(4, 1.1)
        self.next = Linked(behind - 1) if behind else None

    def forward(self, x: Array) -> Array:
        self.x = x
        return x * self.w if self.next is None else self.next.forward(x * self.w)

    def backward(self, dy: Array) -> Array:
        dy = dy if self.next is None else self.next.backward(dy)
        self.dw = (1 if self.next else 2) * (dy * self.x).sum(axis=0)
        return dy * self.w


class Statistic:
    """What is called a statistic, and is learnt."""

    def __init__(self) -> None:
        self.running_mean = np.ones(4)

    def forward(self, x: Array) -> Array:
        return x - self.running_mean

    def backward(self, dy: Array) -> Array:
        self.drunning_mean = -2 * dy.sum(axis=0)
        return dy.copy()


@pytest.mark.parametrize("thing", [Private(), Fields(), Linked(14), Statistic()])
def test_a_wrong_gradient_is_seen_wherever_its_parameter_stands(thing: Any) -> None:
    assert cr.check(thing, X).mistakes == ("factor",)


def test_a_complex_parameter_is_named() -> None:
    class Turned(Times):
        def __init__(self) -> None:
            self.turn = np.array([1 + 0.5j, 0.3, 0.7j, 1])

        def forward(self, x: Array) -> Array:
            return np.asarray((x * self.turn).real)

        def backward(self, dy: Array) -> Array:
            return np.asarray(dy * self.turn.real)

    assert cr.check(Turned(), X).uncompared == ("turn",)
    assert cr.check(Turned(), X, ignore=["turn"]).passed


def test_what_is_too_large_to_be_looked_through_is_not_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Rows(Times):
        def __init__(self) -> None:
            self.rows = [[np.ones(1)] for _ in range(60)]

        def gain(self) -> Any:
            return 2.0

    assert cr.check(Rows(), X).passed
    monkeypatch.setattr(places, "MOST", 100)
    report = cr.check(Rows(), X)
    assert (report.verdict, report.uncompared) == ("incomplete", ("the rest",))
