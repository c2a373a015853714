"""What is known of one target while it is checked, and what was found: every step reads it and adds to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.arrays import Array, Shape, is_float
from chainrule.checking.differences import OF_LARGEST, RELATIVE, Differences, Slope
from chainrule.checking.elements import Along, Compared
from chainrule.checking.mistakes import advice_for
from chainrule.checking.noise import Noise, measure
from chainrule.checking.precision import lowest, rounded
from chainrule.checking.report import Finding, Row, Severity, Verdict
from chainrule.checking.targets.target import Calls, Returned, Target, copies

#: Gradients at other values are kept where the inputs have no more numbers than that.
KEPT = 20_000


@dataclass(frozen=True)
class Misshapen:
    """A gradient of another shape than its input's, or no array at all."""

    came: str
    expected: str
    array: Array
    is_no_array: bool = False


@dataclass(frozen=True)
class Reference:
    """A plain forward in float64 that the target computes fast, and the inputs that it takes."""

    output: Callable[[Mapping[str, Array]], Array]
    takes: frozenset[str]


@dataclass
class Check:
    """One target, run once forward and backward, and all that was seen and compared since."""

    target: Target
    seed: int
    dtype: str
    y: Array = field(default_factory=lambda: np.zeros(()))
    dy: Array = field(default_factory=lambda: np.zeros(()))
    returned: Returned = field(default_factory=dict)
    #: The gradients returned, as float64 of their input's shape, and those of another shape.
    analytic: dict[str, Array] = field(default_factory=dict)
    misshapen: dict[str, Misshapen] = field(default_factory=dict)
    compared: dict[str, list[Compared]] = field(default_factory=dict)
    along: dict[str, list[Along]] = field(default_factory=dict)
    #: What the target is held against, in the place of its own forward.
    reference: Reference | None = None
    #: The output is not that of the reference.
    forward_is_wrong: bool = False
    #: The forward gives another result every time, even from new calls.
    random: bool = False
    #: The forward depends on what its calls did before, so that each slope needs new ones.
    fresh_each_time: bool = False
    #: Forward or backward writes to what it is given.
    writes: bool = False
    #: The inputs whose gradient is wrong because of something else that was found, and needs no other name.
    explained: set[str] = field(default_factory=set)
    #: Sentences on what else was seen.
    said: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    # What was found ------------------------------------------------------------------------------------------

    @property
    def remarks(self) -> tuple[str, ...]:
        """What else is worth knowing."""
        said, name = [*self.target.remarks, *self.said], self.target.name
        if self.target.draws:
            said.append(f"{name} draws random numbers: every call drew the same ones, to be one function.")
        if "noise" in vars(self) and self.accuracy != self.dtype:  # it came to a comparison
            said.append(f"{name} rounds to {self.accuracy} inside: it is checked at that accuracy.")
        return tuple(said)

    def add(self, mistake: str, input: str | None = None, **details: Any) -> None:
        """A finding, with its advice; `facts` among the details fill in the advice."""
        facts = {"node": self.target.name, "input": input or "x", **details.pop("facts", {})}
        severity: Severity = details.pop("severity", "error")
        self.findings.append(
            Finding(
                mistake=mistake,
                node=self.target.name,
                input=input,
                advice=advice_for(mistake, **facts),
                severity=severity,
                source=details.pop("source", self.target.source),
                **details,
            )
        )

    def add_compared(self, mistake: str, input: str, at: Compared, **details: Any) -> None:
        """A finding at an element that was compared, with both numbers."""
        place = tuple(int(i) for i in np.unravel_index(at.index, self.shape(input)))
        numbers = {"analytic": at.analytic, "numerical": at.slope.value, "error": at.error}
        self.add(mistake, input, element=place, **numbers, **details)

    def row(
        self, name: str, verdict: Verdict, error: float | None = None, sharpness: float | None = None
    ) -> None:
        """A line of the table."""
        value, target = self.target.values[name], self.target
        checked, along = len(self.compared.get(name, ())), len(self.along.get(name, ()))
        of = (name, value.shape, checked, value.size, along)
        self.rows.append(Row(target.name, target.kind, *of, error, verdict, sharpness))

    def found(self, *mistakes: str) -> bool:
        """Whether one of these mistakes was found."""
        return any(finding.mistake in mistakes for finding in self.findings)

    # Asking the target ---------------------------------------------------------------------------------------

    @property
    def data(self) -> list[str]:
        """The inputs with a gradient that are no parameters of the target's own."""
        return [name for name in self.target.differentiable if name not in self.target.parameters]

    @property
    def values(self) -> dict[str, Array]:
        """The values of the inputs, in the dtype in which the backward runs."""
        return self.target.values if self.target.native else typed(self.target.values, self.dtype)

    def as_held(self, name: str, value: Array) -> Array:
        """Numbers that the input can hold."""
        return rounded(value, self.target.dtypes.get(name, "float64"))

    def as_given(self, dy: Array) -> Array:
        """An upstream gradient in the dtype in which the backward takes it."""
        return dy if self.target.native else dy.astype(self.dtype)

    def calls(self) -> Calls:
        """New calls, which keep their parameters in the dtype in which the backward runs."""
        return self.target.start(self.dtype)

    def output(self, values: Mapping[str, Array]) -> Array:
        """The output, in float64, at these values."""
        given = copies(values) if self.writes else values
        calls = self.target.start() if self.fresh_each_time else self._calls
        with np.errstate(all="ignore"):  # a copy: it may be a view of what is changed next
            return np.array(calls.forward(given), dtype=np.float64)

    def output_or_nan(self, values: Mapping[str, Array]) -> Array:
        """The output; NaN where the forward refuses: there is no slope to that side."""
        try:
            return self.output(values)
        except Exception:
            return np.full(self.y.shape, np.nan)

    @cached_property
    def _calls(self) -> Calls:
        return self.target.start()

    def gradients(self, values: Mapping[str, Array], dy: Array) -> Returned:
        """What new calls return at these values, for this upstream gradient."""
        calls = self.calls()
        with np.errstate(all="ignore"):
            calls.forward(copies(values))
            return calls.backward(dy.copy())

    @cached_property
    def other_dy(self) -> Array:
        """Another upstream gradient."""
        rng = np.random.default_rng([self.seed, 2])
        return self.as_given(rounded(self.dy * rng.uniform(0.3, 0.8, self.dy.shape), self.dtype))

    @cached_property
    def for_other_dy(self) -> Returned:
        """The gradients for another upstream gradient; nothing where that fails."""
        try:
            return self.gradients(self.values, self.other_dy)
        except Exception:  # it has been told already that this backward raises, or nothing depends on it
            return {}

    # Slopes --------------------------------------------------------------------------------------------------

    @cached_property
    def noise(self) -> Noise:
        """How much the forward rounds."""
        return self._noise_at(self.target.values, self.y)

    def _noise_at(self, values: Mapping[str, Array], y: Array) -> Noise:
        rng = np.random.default_rng([self.seed, 4])
        return measure(self.output_or_nan, values, y, self.target.dtypes, rng)

    def noise_of_gradient(self, name: str) -> Noise:
        """How much a gradient jumps where the inputs move a little."""
        like = self.analytic[name]

        def gradient(values: Mapping[str, Array]) -> Array:
            try:
                return np.asarray(self._gradients_near(values)[name], np.float64).reshape(like.shape)
            except Exception:  # it worked for the values given
                return np.full(like.shape, np.nan)

        rng = np.random.default_rng([self.seed, 8])
        return measure(gradient, self.target.values, like, self.target.dtypes, rng, all_steps=True)

    def _gradients_near(self, values: Mapping[str, Array]) -> Returned:
        """The gradients at other values, which are the same for each name: what is small is kept."""
        given = {n: value.astype(self.values[n].dtype) for n, value in values.items()}
        if sum(value.size for value in given.values()) > KEPT:
            return self.gradients(given, self.dy)
        key = b"".join(value.tobytes() for value in given.values())
        if key not in self._near:
            self._near[key] = self.gradients(given, self.dy)
        return self._near[key]

    @cached_property
    def _near(self) -> dict[bytes, Returned]:
        return {}

    @cached_property
    def accuracy(self) -> str:
        """The dtype at whose accuracy gradients are judged: that of the backward, or what the forward rounds to."""
        return lowest([self.dtype, self.noise.dtype])

    @cached_property
    def differences(self) -> Differences:
        """The slopes at the values that are checked."""
        return self.differences_at(self.target.values, self.dy)

    def differences_for(self, name: str) -> Differences:
        """The slopes of an input: of the reference, where that takes it, or of the target's own forward."""
        if self.reference is not None and name in self.reference.takes:
            return self._of_reference
        return self.differences

    @cached_property
    def _of_reference(self) -> Differences:
        assert self.reference is not None
        output, values = self.reference.output, self.target.values
        noise = measure(output, values, output(values), {}, np.random.default_rng([self.seed, 4]))
        if noise.dtype != "float64":
            self.said.append(
                f"The reference rounds to {noise.dtype} inside; written in float64, it shows more."
            )
        return Differences(output, values, self.dy, noise)

    def differences_at(self, values: Mapping[str, Array], dy: Array, measured: bool = True) -> Differences:
        """The slopes at other values, or for another upstream gradient; the noise there is measured, or as here."""
        here = values is self.target.values or not measured
        noise = self.noise if here else self._noise_at(values, self.output(values))
        return Differences(self.output_or_nan, values, dy, noise, self.target.dtypes)

    def numerical(self, name: str) -> tuple[Array, Array, Array]:
        """Of the elements compared that are no kinks: their flat indices, slopes, and how far one may be off."""
        rows = [c for c in self.compared.get(name, []) if not c.kink]
        return self._as_arrays([c.index for c in rows], [c.slope for c in rows])

    def slopes_for(self, name: str, dy: Array, indices: Array) -> tuple[Array, Array]:
        """Slopes for another upstream gradient, and how far each may be off."""
        reference = self.reference is not None and name in self.reference.takes
        forward = self.reference.output if self.reference is not None and reference else self.output_or_nan
        noise, dtypes = (None, {}) if reference else (self.noise, self.target.dtypes)
        there = Differences(forward, self.target.values, dy, noise, dtypes)
        _, slopes, allowed = self._as_arrays(
            indices, [there.best_element(name, int(i), self.accuracy) for i in indices]
        )
        return slopes, allowed

    def all_slopes(self, name: str, most: int = 2000) -> tuple[Array, Array, Array]:
        """The slopes of an input whose gradient has no usable shape: indices, slopes, how far one may be off."""
        size = min(self.target.values[name].size, most)
        slopes = [self.differences_for(name).best_element(name, i, self.accuracy) for i in range(size)]
        return self._as_arrays(range(size), slopes)

    def _as_arrays(self, indices: Iterable[int], slopes: Sequence[Slope]) -> tuple[Array, Array, Array]:
        largest = max((slope.terms for slope in slopes), default=0.0)
        of_terms, of_largest = self.resolution, max(1e-6, OF_LARGEST[self.accuracy])
        allowed = [of_terms * slope.terms + of_largest * largest + 2 * slope.unsure for slope in slopes]
        return np.array(indices, np.intp), np.array([slope.value for slope in slopes]), np.array(allowed)

    @property
    def resolution(self) -> float:
        """How far apart two numbers are, relative to their size, before a mistake is named after them."""
        return {"float64": 1e-5, "float32": 1e-4}.get(self.accuracy, RELATIVE[self.accuracy])

    @cached_property
    def output_sizes(self) -> dict[str, int]:
        """The outputs that were joined to one, by name: how many numbers each has."""
        calls = self.calls()
        calls.forward(copies(self.values))
        return calls.output_sizes()

    # Sizes ---------------------------------------------------------------------------------------------------

    @property
    def work(self) -> int:
        """About how many numbers one forward reads and writes."""
        return self.target.work or self.y.size + sum(value.size for value in self.target.values.values())

    @property
    def batch(self) -> int:
        """The number of samples: the length of the first axis of the first input that has one."""
        for value in self.target.values.values():
            return len(value) if value.ndim else 1
        return 1

    def shape(self, name: str) -> Shape:
        """The shape of an input."""
        return tuple(self.target.values[name].shape)


def typed(values: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """The values with the floats among them in a dtype."""
    return {n: v.astype(dtype, copy=False) if is_float(v) else v for n, v in values.items()}
