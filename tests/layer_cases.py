"""One table of cases for every layer: what to make, what to hand it, and in which situation.

`CASES` maps each layer class to its cases. Whatever is to hold for every layer (its gradient, its drawing,
its kernel) is tested over this table, and a test fails when a layer has no case in it:

    for case in all_cases():
        layer = case.make()
        inputs = case.inputs(np.random.default_rng(0), np.float64)
        y, saved, new_state = case.forward(layer, inputs)
        gradients = run_backward(layer, dy, saved, (True,) * len(inputs))

Everywhere in it the gradient exists, so finite differences are a fair judge: kinks and ties are left to exact
tests. Every case is tried with contiguous inputs as they are here, and with `strided` ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule.layers as layers
from chainrule.arrays import Array, Shape
from chainrule.layers import Layer

Inputs = Callable[[np.random.Generator, Any], tuple[Array, ...]]


@dataclass(frozen=True)
class LayerCase:
    """A layer, its inputs (drawn from a generator, in a dtype), and what its keywords are answered with."""

    layer: type[Layer]
    name: str
    make: Callable[[], Layer]
    inputs: Inputs
    training: bool = True
    seed: int = 7
    state: Callable[[Any], dict[str, Array]] | None = None
    #: The positions of the inputs that have a gradient; None: all that hold floats.
    differentiable: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return f"{self.layer.__name__}-{self.name}"

    def positions(self, inputs: tuple[Array, ...]) -> tuple[int, ...]:
        """The positions of the inputs that have a gradient."""
        if self.differentiable is not None:
            return self.differentiable
        return tuple(i for i, x in enumerate(inputs) if x.dtype.kind == "f")

    def forward(self, layer: Layer, inputs: tuple[Array, ...]) -> tuple[Array, Any, dict[str, Array] | None]:
        """Output, saved, and the new running statistics (None for a layer that has none)."""
        asks = layer.signature.forward_asks
        keywords: dict[str, Any] = {}
        if "training" in asks:
            keywords["training"] = self.training
        if "rng" in asks:
            keywords["rng"] = np.random.default_rng(self.seed)
        if "state" in asks:
            assert self.state is not None
            keywords["state"] = self.state(inputs[0].dtype)
        answer = layer.forward(*inputs, **keywords)
        y, saved, new_state = answer if "state" in asks else (*answer, None)
        return np.asarray(y), saved, new_state


def run_backward(layer: Layer, dy: Array, saved: Any, needs: tuple[bool, ...]) -> tuple[Array | None, ...]:
    """The gradients, always as a tuple."""
    gradients = (
        layer.backward(dy, saved, needs=needs)
        if "needs" in layer.signature.backward_asks
        else layer.backward(dy, saved)
    )
    each = gradients if isinstance(gradients, tuple) else (gradients,)
    return tuple(None if gradient is None else np.asarray(gradient) for gradient in each)


def all_layers() -> list[type[Layer]]:
    """Every layer of chainrule that can be used: public, with a forward and a backward."""

    def below(cls: type[Layer]) -> Iterator[type[Layer]]:
        for each in cls.__subclasses__():
            yield each
            yield from below(each)

    found = {
        each
        for each in below(Layer)
        if each.__module__.startswith("chainrule.layers.")
        and not each.__name__.startswith("_")
        and callable(getattr(each, "forward", None))
    }
    return sorted(found, key=lambda each: each.__name__)


def all_cases() -> list[LayerCase]:
    """Every case of every layer, in the order of the table."""
    return [case for cases in CASES.values() for case in cases]


def strided(array: Array) -> Array:
    """The same numbers in an array that is contiguous along no axis, and runs backward along the first."""
    if array.ndim == 0:
        return array
    wide = np.zeros([3 * length for length in array.shape], array.dtype)
    view = wide[(slice(None, None, -3), *[slice(None, None, 3)] * (array.ndim - 1))]
    view[...] = array
    return view


# Inputs


def normal(*shapes: Shape, scale: float = 1.0) -> Inputs:
    """Normal numbers: whatever a layer gets that takes any number."""
    return lambda rng, dtype: tuple(np.asarray(scale * rng.normal(size=shape), dtype) for shape in shapes)


def between(low: float, high: float, *shapes: Shape) -> Inputs:
    """Uniform numbers from low to high."""
    return lambda rng, dtype: tuple(np.asarray(rng.uniform(low, high, shape), dtype) for shape in shapes)


def nonzero(*shapes: Shape) -> Inputs:
    """Numbers of both signs, no nearer to 0 than 0.2: the kink of a ReLU, the pole of a division."""

    def make(rng: np.random.Generator, dtype: Any) -> tuple[Array, ...]:
        return tuple(
            np.asarray(rng.uniform(0.2, 2, shape) * rng.choice([-1.0, 1.0], shape), dtype) for shape in shapes
        )

    return make


def distinct(*shapes: Shape) -> Inputs:
    """Numbers no two of which are nearer than 0.1: the largest of them is one."""

    def make(rng: np.random.Generator, dtype: Any) -> tuple[Array, ...]:
        return tuple(
            (0.1 * rng.permutation(int(np.prod(shape))) - 1).reshape(shape).astype(dtype) for shape in shapes
        )

    return make


def exactly(*values: Any) -> Inputs:
    """These numbers."""
    return lambda rng, dtype: tuple(np.array(value, dtype) for value in values)


def both(*parts: Inputs) -> Inputs:
    """The inputs of several factories one after the other."""
    return lambda rng, dtype: tuple(x for part in parts for x in part(rng, dtype))


def whole(limit: int, shape: Shape, dtype: Any = np.int64) -> Inputs:
    """Whole numbers from 0 to limit - 1."""
    return lambda rng, _: (np.asarray(rng.integers(0, limit, shape), dtype),)


def distribution(shape: Shape) -> Inputs:
    """Rows of numbers that sum to one, none of them near 0."""

    def make(rng: np.random.Generator, dtype: Any) -> tuple[Array, ...]:
        t = rng.uniform(0.2, 1, shape)
        return ((t / t.sum(axis=-1, keepdims=True)).astype(dtype),)

    return make


def running(*channels: int) -> Callable[[Any], dict[str, Array]]:
    """Running statistics that are neither 0 nor 1."""
    (c,) = channels
    return lambda dtype: {
        "running_mean": np.linspace(-0.5, 0.7, c).astype(dtype),
        "running_var": np.linspace(0.4, 2.5, c).astype(dtype),
    }


# The table

CASES: dict[type[Layer], list[LayerCase]] = {}


def _add(make: Callable[[], Layer], name: str, inputs: Inputs, **situation: Any) -> None:
    cls = type(make())
    CASES.setdefault(cls, []).append(LayerCase(cls, name, make, inputs, **situation))


def _elementwise(make: Callable[[], Layer], inputs: Callable[..., Inputs], prefix: str = "") -> None:
    _add(make, prefix + "matrix", inputs((3, 4)))
    _add(make, prefix + "no-axes", inputs(()))
    _add(make, prefix + "one", inputs((1, 1)))
    _add(make, prefix + "empty", inputs((0, 3)))
    _add(make, prefix + "four-axes", inputs((2, 1, 3, 2)))


def _binary(make: Callable[[], Layer], inputs: Callable[..., Inputs]) -> None:
    _add(make, "same", inputs((3, 4), (3, 4)))
    _add(make, "no-axes", inputs((), ()))
    _add(make, "one", inputs((1, 1), (1,)))
    _add(make, "broadcast-row", inputs((3, 4), (4,)))
    _add(make, "broadcast-column", inputs((3, 1), (3, 4)))
    _add(make, "broadcast-both", inputs((2, 1, 4), (3, 1)))
    _add(make, "broadcast-number", inputs((), (2, 3)))
    _add(make, "empty", inputs((0, 4), (4,)))


LARGE = exactly([[-1e4, -800.0, -90.0, 0.3], [1e4, 800.0, 90.0, -0.3]])

for binary in (layers.Add, layers.Subtract, layers.Multiply):
    _binary(binary, normal)
    _add(binary, "extreme", exactly([1e4, -1e4, 1e-4], [-1e4, -1e4, 1e4]))
_binary(layers.Divide, nonzero)
_add(layers.Divide, "extreme", exactly([1e4, -1e4, 1e-4], [1e4, 0.5, -1e4]))

_binary(layers.Power, lambda *shapes: between(0.3, 2.5, *shapes))
for p in (2.0, 3.0, 0.0, -1.0, 1.0):
    _add(layers.Power, f"negative-base-to-{p:g}", both(nonzero((3, 4)), exactly(p)), differentiable=(0,))
_add(layers.Power, "zero-base", exactly([0.0, 0.0, 0.0], [2.0, 3.0, 1.0]), differentiable=(0,))

for name, a, b in (
    ("matrices", (3, 4), (4, 2)),
    ("one", (1, 1), (1, 1)),
    ("vector-vector", (4,), (4,)),
    ("vector-matrix", (4,), (4, 3)),
    ("matrix-vector", (3, 4), (4,)),
    ("stacks", (2, 3, 4), (2, 4, 5)),
    ("stack-matrix", (2, 3, 4), (4, 5)),
    ("matrix-stack", (3, 4), (2, 4, 5)),
    ("stack-vector", (2, 3, 4), (4,)),
    ("vector-stack", (4,), (2, 4, 3)),
    ("broadcast-stacks", (2, 1, 3, 4), (3, 4, 2)),
    ("empty", (0, 4), (4, 2)),
    ("empty-inner", (3, 0), (0, 2)),
    ("empty-stack", (0, 3, 4), (4, 2)),
):
    _add(layers.MatMul, name, normal(a, b))

_elementwise(layers.Negative, normal)
_add(layers.Negative, "extreme", LARGE)
_elementwise(layers.Exp, normal)
_add(layers.Exp, "extreme", exactly([-1e4, -700.0, -20.0, 20.0]))
_elementwise(layers.Log, lambda *shapes: between(0.2, 3, *shapes))
_add(layers.Log, "extreme", exactly([1e4, 1e8, 0.01]))
_elementwise(layers.Sqrt, lambda *shapes: between(0.2, 3, *shapes))
_add(layers.Sqrt, "extreme", exactly([1e4, 1e8, 0.01]))

for kinked in (layers.ReLU, layers.LeakyReLU, layers.ELU):
    _elementwise(kinked, nonzero)
    _add(kinked, "extreme", LARGE)
_add(lambda: layers.LeakyReLU(0.3), "slope", nonzero((3, 4)))
_add(lambda: layers.ELU(alpha=0.4), "alpha", nonzero((3, 4)))
for smooth in (layers.GELU, layers.SiLU, layers.Softplus, layers.Sigmoid, layers.Tanh):
    _elementwise(smooth, normal)
    _add(smooth, "extreme", LARGE)
_elementwise(lambda: layers.GELU(approximate=True), normal, "approximate-")
_add(lambda: layers.GELU(approximate=True), "approximate-extreme", LARGE)

for several in (layers.Softmax, layers.LogSoftmax):
    _add(several, "matrix", normal((3, 4)))
    _add(several, "vector", normal((4,)))
    _add(several, "one", normal((1, 1)))
    _add(several, "empty", normal((0, 3)))
    _add(several, "extreme", LARGE)
    _add(several, "equal", exactly([[1e4, 1e4, 1e4], [-1e4, -1e4, -1e4]]))
    _add(lambda several=several: several(axis=0), "axis-0", normal((3, 4)))
    _add(lambda several=several: several(axis=-2), "axis-negative", normal((2, 3, 4)))

for reduction, numbers in ((layers.Sum, normal), (layers.Mean, normal), (layers.Max, distinct)):
    _add(reduction, "all", numbers((3, 4)))
    _add(reduction, "no-axes", numbers(()))
    _add(reduction, "one", numbers((1, 1)))
    for name, axis, keepdims in (
        ("axis-0", 0, False),
        ("axis-negative", -1, False),
        ("axes", (0, 2), False),
        ("axes-negative", (-1, 0), True),
        ("no-such-axes", (), False),
        ("keepdims", 1, True),
        ("all-keepdims", None, True),
    ):
        _add(lambda r=reduction, a=axis, k=keepdims: r(axis=a, keepdims=k), name, numbers((2, 3, 4)))
    _add(lambda r=reduction: r(axis=1), "empty", numbers((0, 3)))
    _add(lambda r=reduction: r(axis=1), "extreme", exactly([[1e4, -1e4, 3.0], [-1e4, -2e4, -3e4]]))
_add(layers.Sum, "empty-all", normal((0, 3)))

_add(lambda: layers.Reshape((2, 6)), "matrix", normal((3, 4)))
_add(lambda: layers.Reshape((-1, 2)), "inferred", normal((3, 4)))
_add(lambda: layers.Reshape(-1), "vector", normal((3, 4)))
_add(lambda: layers.Reshape(()), "no-axes", normal((1, 1)))
_add(lambda: layers.Reshape((2, 0)), "empty", normal((0, 3)))
_add(layers.Flatten, "images", normal((2, 3, 2, 2)))
_add(layers.Flatten, "matrix", normal((3, 4)))
_add(layers.Flatten, "vector", normal((3,)))
_add(layers.Flatten, "empty", normal((0, 3, 2)))
_add(layers.Transpose, "matrix", normal((3, 4)))
_add(layers.Transpose, "no-axes", normal(()))
_add(layers.Transpose, "empty", normal((0, 4)))
_add(lambda: layers.Transpose((2, 0, 1)), "axes", normal((2, 3, 4)))
_add(lambda: layers.Transpose((0, -1, -2)), "axes-negative", normal((2, 3, 4)))
_add(layers.Concatenate, "two", normal((3, 2), (3, 4)))
_add(layers.Concatenate, "one", normal((3, 2)))
_add(layers.Concatenate, "vectors", normal((3,), (1,), (2,)))
_add(layers.Concatenate, "empty", normal((0, 2), (0, 3)))
_add(layers.Concatenate, "empty-piece", normal((3, 2), (3, 0)))
_add(lambda: layers.Concatenate(axis=0), "axis-0", normal((1, 4), (3, 4), (2, 4)))
_add(lambda: layers.Concatenate(axis=-2), "axis-negative", normal((2, 1, 4), (2, 3, 4)))

for name, key, shape in (
    ("int", 1, (3, 4)),
    ("negative", -1, (3, 4)),
    ("element", (1, -2), (3, 4)),
    ("slice", slice(None, None, -2), (5, 2)),
    ("ellipsis", (..., 1), (2, 3, 4)),
    ("new-axis", (slice(None), None, slice(1, 3)), (3, 4)),
    ("everything", ..., ()),
    ("list", [2, 0, 1], (3, 4)),
    ("repeats", [0, 2, 0, 0, -1], (3, 4)),
    ("repeats-on-two-axes", ([0, 1, 0, 0], [1, 1, 1, 2]), (3, 4)),
    ("repeats-and-slice", (slice(None), [1, 1, 0]), (3, 4)),
    ("repeats-new-axis", ([1, 1], None, ...), (3, 4)),
    ("int-and-list", (0, slice(None), [1, 1]), (2, 3, 4)),
    ("mask", [True, False, True], (3, 4)),
    ("mask-and-list", ([True, False, True], [1, 1]), (3, 4)),
    ("table", np.array([[0, 1], [1, 1]]), (3, 4)),
    ("nothing", [], (3, 4)),
    ("empty", slice(0, 2), (0, 4)),
):
    _add(lambda key=key: layers.Index(key), name, normal(shape))

_add(layers.Take, "repeats", both(normal((4, 3)), whole(4, (6,))))
_add(layers.Take, "vector", both(normal((4,)), whole(4, (6,))))
_add(layers.Take, "one", both(normal((1, 1)), whole(1, ())))
_add(layers.Take, "table", both(normal((4, 3)), whole(4, (2, 5), np.uint8)))
_add(layers.Take, "empty", both(normal((4, 3)), whole(4, (0,))))
_add(lambda: layers.Take(axis=1), "axis-1", both(normal((2, 3, 2)), whole(3, (2, 2))))
_add(lambda: layers.Take(axis=-1), "axis-negative", both(normal((2, 3)), whole(3, (5,), np.int32)))

_add(lambda: layers.Affine(4), "matrix", normal((3, 5), (5, 4), (4,)))
_add(lambda: layers.Affine(4, bias=False), "no-bias", normal((3, 5), (5, 4)))
_add(lambda: layers.Affine(1), "one", normal((1, 1), (1, 1), (1,)))
_add(lambda: layers.Affine(4), "vector", normal((5,), (5, 4), (4,)))
_add(lambda: layers.Affine(3), "sequence", normal((2, 4, 5), (5, 3), (3,)))
_add(lambda: layers.Affine(3), "empty", normal((0, 5), (5, 3), (3,)))
_add(lambda: layers.Affine(3), "empty-sequence", normal((2, 0, 5), (5, 3), (3,)))
_add(lambda: layers.Affine(2), "extreme", both(LARGE, normal((4, 2), (2,))))

_add(lambda: layers.Embedding(5, 3), "repeats", both(whole(5, (8,)), normal((5, 3))))
_add(lambda: layers.Embedding(5, 3), "table", both(whole(5, (2, 3), np.uint8), normal((5, 3))))
_add(lambda: layers.Embedding(1, 1), "one", both(whole(1, ()), normal((1, 1))))
_add(lambda: layers.Embedding(5, 3), "empty", both(whole(5, (0, 2)), normal((5, 3))))

_add(layers.Dropout, "training", normal((4, 5)))
_add(lambda: layers.Dropout(0.2), "rate", normal((2, 3, 4)), seed=11)
_add(lambda: layers.Dropout(0), "rate-0", normal((3, 4)))
_add(layers.Dropout, "predicting", normal((3, 4)), training=False)
_add(layers.Dropout, "no-axes", normal(()), seed=0)
_add(layers.Dropout, "empty", normal((0, 4)))
_add(layers.Dropout, "extreme", LARGE)

for name, make, shape, c in (
    ("matrix", layers.BatchNorm, (5, 3), 3),
    ("images", layers.BatchNorm, (2, 3, 2, 2), 3),
    ("axis-0", lambda: layers.BatchNorm(axis=0), (3, 4), 3),
    ("axis-negative", lambda: layers.BatchNorm(axis=-1), (2, 3, 4), 4),
    ("epsilon", lambda: layers.BatchNorm(epsilon=0.5, momentum=0.2), (4, 2), 2),
):
    _add(make, name, normal(shape, (c,), (c,)), state=running(c))
    _add(make, name + "-predicting", normal(shape, (c,), (c,)), state=running(c), training=False)
_add(layers.BatchNorm, "extreme", both(normal((5, 3), scale=1e4), normal((3,), (3,))), state=running(3))
_add(layers.BatchNorm, "one-predicting", normal((1, 1), (1,), (1,)), state=running(1), training=False)
_add(layers.BatchNorm, "empty-predicting", normal((0, 3), (3,), (3,)), state=running(3), training=False)

LARGE_COLUMN = normal((5, 1), scale=1e4)
for invert in (False, True):
    text = "invert-" if invert else ""
    _add(lambda i=invert: layers.Standardize(2, 3, invert=i), text + "number", normal((2, 3, 4)))
    _add(lambda i=invert: layers.Standardize([1, 2, -3], [3, 0, 0.5], i), text + "matrix", normal((4, 3)))
    _add(lambda i=invert: layers.Standardize(2, 3, invert=i), text + "no-axes", normal(()))
    _add(lambda i=invert: layers.Standardize([[1], [2]], [[3], [4]], i), text + "images", normal((3, 2, 1)))
    _add(lambda i=invert: layers.Standardize([1, 2], [3, 4], i), text + "sequence", normal((3, 4, 2)))
    _add(lambda i=invert: layers.Standardize([1, 2], [3, 4], i), text + "empty", normal((0, 2)))
    _add(lambda i=invert: layers.Standardize([1e4], [1e4], i), text + "extreme", LARGE_COLUMN)

_add(layers.LayerNorm, "matrix", normal((3, 4), (4,), (4,)))
_add(layers.LayerNorm, "vector", normal((4,), (4,), (4,)))
_add(layers.LayerNorm, "one", normal((1, 1), (1,), (1,)))
_add(layers.LayerNorm, "empty", normal((0, 4), (4,), (4,)))
_add(lambda: layers.LayerNorm(epsilon=0.5), "epsilon", normal((2, 3, 4), (4,), (4,)))
_add(lambda: layers.LayerNorm(axis=(-1, 1)), "axes", normal((2, 3, 4), (3, 4), (3, 4)))
_add(lambda: layers.LayerNorm(axis=1), "axis-1", normal((2, 3, 4), (3,), (3,)))
_add(lambda: layers.LayerNorm(axis=(0, 2)), "axes-apart", normal((2, 3, 4), (2, 4), (2, 4)))
_add(layers.LayerNorm, "extreme", both(normal((3, 4), scale=1e4), normal((4,), (4,))))

WEIGHTS = between(0.2, 2, (4,))
UNDIFFERENTIATED = {"differentiable": (0, 1)}  # sample weights are given no gradient

_add(layers.SoftmaxCrossEntropy, "labels", both(normal((4, 3)), whole(3, (4,))))
_add(layers.SoftmaxCrossEntropy, "labels-as-many-as-classes", both(normal((3, 3)), whole(3, (3,), np.uint8)))
_add(layers.SoftmaxCrossEntropy, "one", both(normal((1, 1)), whole(1, (1,))))
_add(layers.SoftmaxCrossEntropy, "sequence", both(normal((2, 3, 4)), whole(4, (2, 3))))
_add(layers.SoftmaxCrossEntropy, "extreme", both(LARGE, whole(4, (2,))))
_add(layers.SoftmaxCrossEntropy, "distributions", both(normal((4, 3)), distribution((4, 3))))
_add(layers.SoftmaxCrossEntropy, "distributions-extreme", both(LARGE, distribution((2, 4))))
_add(layers.SoftmaxCrossEntropy, "distributions-sequence", both(normal((2, 3, 4)), distribution((2, 3, 4))))
_add(
    layers.SoftmaxCrossEntropy,
    "sample-weights",
    both(normal((4, 3)), whole(3, (4,)), WEIGHTS),
    differentiable=(0,),
)
_add(
    layers.SoftmaxCrossEntropy,
    "sequence-sample-weights",
    both(normal((4, 2, 3)), distribution((4, 2, 3)), WEIGHTS),
    **UNDIFFERENTIATED,
)
_add(
    lambda: layers.SoftmaxCrossEntropy(label_smoothing=0.1),
    "smoothing",
    both(normal((4, 3)), whole(3, (4,))),
)
_add(
    lambda: layers.SoftmaxCrossEntropy(class_weights=[1.0, 0.5, 3.0]),
    "class-weights",
    both(normal((4, 3)), whole(3, (4,))),
)
_add(
    lambda: layers.SoftmaxCrossEntropy(label_smoothing=0.2, class_weights=[1.0, 0.0, 3.0]),
    "everything",
    both(normal((4, 3)), distribution((4, 3)), WEIGHTS),
    **UNDIFFERENTIATED,
)

_add(layers.SigmoidCrossEntropy, "vector", both(normal((4,)), between(0.1, 0.9, (4,))))
_add(layers.SigmoidCrossEntropy, "labels", both(normal((4, 3)), whole(2, (4, 3))))
_add(layers.SigmoidCrossEntropy, "one", both(normal((1, 1)), between(0.1, 0.9, (1, 1))))
_add(layers.SigmoidCrossEntropy, "extreme", both(LARGE, between(0.1, 0.9, (2, 4))))
_add(layers.SigmoidCrossEntropy, "extreme-labels", both(LARGE, whole(2, (2, 4), np.bool_)))
_add(
    lambda: layers.SigmoidCrossEntropy(positive_weight=[0.5, 2.0, 3.0]),
    "everything",
    both(normal((4, 3)), between(0.1, 0.9, (4, 3)), WEIGHTS),
    **UNDIFFERENTIATED,
)

_add(lambda: layers.SigmoidCrossEntropy(sum_labels=True), "summed", both(normal((4, 3)), whole(2, (4, 3))))

for regression in (
    layers.MeanSquaredError,
    layers.HalfSquaredError,
    layers.MeanAbsoluteError,
    layers.Huber,
    layers.Quantile,
):
    _add(
        regression,
        "vector",
        distinct((5,), (5,))
        if regression in (layers.MeanSquaredError, layers.HalfSquaredError)
        else normal((5,), (5,)),
    )
    _add(regression, "matrix", normal((4, 3), (4, 3)))
    _add(regression, "one", normal((1, 1), (1, 1)))
    _add(regression, "whole-targets", both(between(0.1, 0.4, (4, 3)), whole(5, (4, 3))))
    _add(regression, "extreme", exactly([1e4, -1e4, 0.5], [-1e4, 1e4, 0.2]))
    _add(regression, "sample-weights", both(normal((4, 3), (4, 3)), WEIGHTS), **UNDIFFERENTIATED)
    _add(regression, "images", normal((2, 1, 2, 3), (2, 1, 2, 3)))
_add(lambda: layers.Huber(delta=0.3), "delta", normal((4, 3), (4, 3)))
_add(lambda: layers.Quantile(0.9), "upper", normal((4, 3), (4, 3)))
_add(layers.HalfPoissonDeviance, "vector", both(normal((5,)), between(0.5, 4.0, (5,))))
_add(layers.HalfPoissonDeviance, "counts", both(normal((4, 3)), whole(5, (4, 3))))
_add(layers.HalfPoissonDeviance, "one", both(normal((1, 1)), between(0.5, 4.0, (1, 1))))
_add(layers.HalfPoissonDeviance, "extreme", exactly([5.0, -20.0, 0.5], [1.0, 0.5, 1e4]))
_add(
    layers.HalfPoissonDeviance,
    "sample-weights",
    both(normal((4, 3)), between(0.5, 4.0, (4, 3)), WEIGHTS),
    **UNDIFFERENTIATED,
)
