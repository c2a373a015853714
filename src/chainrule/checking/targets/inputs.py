"""Inputs for a layer that is checked without any: random ones of shapes and values that it can take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.arrays import Array, Shape, is_float
from chainrule.checking.targets.layers import LayerTarget
from chainrule.checking.targets.target import refuse_infinite
from chainrule.errors import ArgumentError, ChainruleError, DataError
from chainrule.incoming import as_numbers
from chainrule.layers import Layer, Loss

#: Shapes to try, for each data input: a matrix, a vector, images, a sequence. Odd lengths, no two alike, so that
#: a transposed or a misplaced sum shows.
SHAPES: tuple[Shape, ...] = ((5, 4), (5, 3, 4, 6), (5, 3, 4), (6,), (4, 6), (5, 4, 4), (2, 6), ())


def parameters_for(layer: Layer, shapes: list[Shape], rng: np.random.Generator) -> dict[str, Array]:
    """A value for each parameter: normal numbers around the layer's own start, so that none is 0 or 1 exactly."""
    made = {}
    for name, spec in layer.parameters().items():
        shape = spec.shape_for(*shapes)
        start = spec.initializer(shape, rng, np.dtype(np.float64))
        made[name] = start + rng.normal(0, 0.3, shape)
    return made


def state_for(layer: Layer, shapes: list[Shape], rng: np.random.Generator) -> dict[str, Array]:
    """A value for each running statistic, as after some training: positive, around the layer's own start."""
    made = {}
    for name, spec in layer.state().items():
        shape = spec.shape_for(*shapes)
        made[name] = spec.initializer(shape, rng, np.dtype(np.float64)) + rng.uniform(0.1, 0.5, shape)
    return made


def complete(
    layer: Layer, data: Mapping[str, Array], rng: np.random.Generator
) -> tuple[dict[str, Array], dict[str, Array]]:
    """All inputs of a layer, its own parameters after the data, and its running statistics."""
    own = layer.parameters()
    shapes = [value.shape for name, value in data.items() if name not in own]
    made = parameters_for(layer, shapes, rng)
    return {**data, **{n: v for n, v in made.items() if n not in data}}, state_for(layer, shapes, rng)


def inputs_for(layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
    """Data inputs that the layer can take, found by trying."""
    signature, own = layer.signature, layer.parameters()
    names = [name for name in signature.inputs[: signature.required] if name not in own]
    if signature.variadic:
        names += [f"input {len(names) + k + 1}" for k in range(2)]
    said = ""
    for candidate in _candidates(layer, names, rng):
        try:
            if _takes(layer, candidate, rng):
                return candidate
        except (ChainruleError, ValueError, IndexError, TypeError) as error:
            said = f"; the last time its forward said: {error}"
    raise ArgumentError(
        f"check: found no inputs that {layer!r} takes, of shapes {', '.join(map(str, SHAPES))} and some others; "
        f"give them: cr.check({type(layer).__name__}(...), {', '.join(names)}){said}"
    )


def _candidates(layer: Layer, names: list[str], rng: np.random.Generator) -> Iterator[dict[str, Array]]:
    for positive in (False, True):
        for shape in SHAPES:
            first = _numbers(shape, positive, rng)
            if isinstance(layer, Loss):
                yield from _with_answers(names, first, rng)
                continue
            for others in _other_shapes(shape, len(names) - 1):
                values = [first, *(_numbers(each, positive, rng) for each in others)]
                yield {
                    name: np.asarray(rng.integers(0, 3, value.shape)) if name in layer.index_inputs else value
                    for name, value in zip(names, values, strict=True)
                }


def _numbers(shape: Shape, positive: bool, rng: np.random.Generator) -> Array:
    """Numbers that are all different, of both signs or from a half to two, none within a tenth of 0."""
    size = int(np.prod(shape))
    if positive:
        values = np.linspace(0.5, 2.0, size) if size > 1 else np.array([1.3])
    else:
        values = rng.normal(size=size)
        values += np.where(values < 0, -0.1, 0.1)
    return np.asarray(rng.permutation(values).reshape(shape))


def _other_shapes(shape: Shape, count: int) -> Iterator[tuple[Shape, ...]]:
    yield (shape,) * count
    if count == 1:
        yield (shape[-1:],)
        if len(shape) >= 2:
            yield ((*shape[:-2], shape[-1], 3),)


def _with_answers(names: list[str], x: Array, rng: np.random.Generator) -> Iterator[dict[str, Array]]:
    if x.ndim == 2:
        yield {names[0]: x, names[1]: np.asarray(rng.integers(0, x.shape[1], x.shape[0]))}
    yield {names[0]: x, names[1]: np.asarray(rng.normal(size=x.shape))}
    yield {names[0]: x, names[1]: np.asarray(rng.integers(0, 2, x.shape))}


def _takes(layer: Layer, data: Mapping[str, Array], rng: np.random.Generator) -> bool:
    values, state = complete(layer, data, rng)
    session = LayerTarget("", "", values, layer=layer, state=state).start()
    with np.errstate(all="ignore"):
        y = np.asarray(session.forward(values))
    return y.size > 0 and y.dtype.kind == "f" and bool(np.isfinite(y).all())


def as_data(value: Any, name: str, whole: bool) -> Array:
    """An input as it is checked: floats become float64; whole numbers too, unless they are places or answers."""
    if hasattr(value, "detach"):  # a tensor of PyTorch, which may be part of a graph of its own
        value = value.detach().cpu()
    if isinstance(value, complex) or getattr(getattr(value, "dtype", None), "kind", "") == "c":
        raise DataError(
            f"check: {name}: complex numbers cannot be checked; give the real and imaginary parts apart"
        )
    array = as_numbers(value, f"check: {name}")
    if getattr(getattr(value, "dtype", None), "kind", "") == "b":  # a mask: it has no gradient
        return np.array(value)
    if is_float(array):
        refuse_infinite(array, name)
        return np.array(array, dtype=np.float64)
    return array.copy() if whole else array.astype(np.float64)
