"""Sums and means over the batch, and what is computed from them, by the machine and by NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.declaring import whole
from chainrule.program.layout import variants
from chainrule.program.operations.activations import OPERATIONS, activation_of
from chainrule.program.operations.arithmetic import ARITHMETIC, NEGATED
from chainrule.program.operations.broadcasting import SUM_BATCH, SUM_ROWS, pattern_of
from chainrule.program.operations.reductions import REDUCE_BATCH, SPREAD_BATCH, SPREAD_MORE
from chainrule.program.sums import ACCUMULATE, COPY
from chainrule.program.table import Instruction, Place
from chainrule.program.verify import TableError
from conftest import cut_small
from test_machine import DTYPES, Bench, values
from test_machine_arithmetic import Kept, agrees, network, parameter

PRECISE: dict[str, dict[str, float]] = {
    "float32": {"rtol": 2e-5, "atol": 2e-5},
    "float64": {"rtol": 1e-12, "atol": 1e-12},
}
WHERE = [*variants(), "NumPy"]

# Kernels ---------------------------------------------------------------------------------------------------


def spare(bench: Bench, array: np.ndarray) -> Place:
    """A place that does not grow with the batch, of any shape."""
    place = bench.flat(np.atleast_1d(array).reshape(-1), "spares")
    place.shape = array.shape
    bench.arrays[-1] = place, array
    return place


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [cr.Sum, cr.Mean])
def test_a_reduction_over_the_batch_and_its_gradient_equal_the_layer(
    kind: Any, dtype: str, where: str
) -> None:
    cases: list[tuple[tuple[int, ...], Any]] = [
        ((1,), 0),
        ((17,), 0),
        ((40,), None),
        ((3, 17), 0),
        ((3, 17), (0, 1)),
        ((3, 17), (0, -1)),
        ((2, 3, 4), (0, 2, 3)),
        ((2, 3, 4), (0, 1, 3)),
        ((2, 3, 4), None),
    ]
    for (row, axis), keepdims, (rows, parts) in itertools.product(
        cases, (False, True), ((1, 1), (9, 2), (4, 5))
    ):
        layer = kind(axis, keepdims)
        x = values((rows, *row), dtype, 3, odd=False)
        y, saved = layer.forward(x)
        dy, before = values(y.shape, dtype, 5, odd=False), values(x.shape, dtype, 6, odd=False)
        dx = layer.backward(dy, saved)
        axes = [k % x.ndim for k in np.atleast_1d(axis)] if axis is not None else range(x.ndim)
        pattern = pattern_of(tuple(1 if k in axes else x.shape[k] for k in range(1, x.ndim)), row)
        assert pattern is not None
        numbers = (*map(float, pattern), float(kind is cr.Mean))
        bench = Bench(rows, dtype, parts)
        place, made, up = bench.batch(x), spare(bench, np.zeros_like(y)), spare(bench, dy)
        out, more = bench.batch(np.zeros_like(x)), bench.batch(before)
        found = bench.run(
            Instruction(REDUCE_BATCH, (place, made), numbers, 0),
            Instruction(SPREAD_BATCH, (up, out), (*numbers, 0), 0),
            Instruction(SPREAD_MORE, (up, more), (*numbers, 1), 0),
            where=where,
            layer=layer,
        )
        np.testing.assert_allclose(found[1], y, **PRECISE[dtype])
        np.testing.assert_allclose(found[3], dx, **PRECISE[dtype])
        np.testing.assert_allclose(found[4], before + dx, **PRECISE[dtype])


#: Two operands that do not grow with the batch.
PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((), ()),
    ((17,), (17,)),
    ((17,), ()),
    ((1,), (1, 17)),
    ((3, 5), (5,)),
    ((3, 1), (1, 5)),
    ((2, 3, 4), (3, 1)),
    ((2, 1, 1), (2, 3, 4)),
]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ARITHMETIC, ids=lambda kind: kind.__name__)
def test_arithmetic_of_what_does_not_grow_equals_the_layer(kind: Any, dtype: str, where: str) -> None:
    layer, of = kind(), ARITHMETIC[kind]
    for number, shapes in enumerate(PAIRS):
        for parts in (1, 2, 5):
            a, b = (
                abs(values(shape, dtype, 9 * number + k, odd=False)) + 0.1 for k, shape in enumerate(shapes)
            )
            y, saved = layer.forward(a, b)
            dy = values(y.shape, dtype, 77, odd=False)
            expected = layer.backward(dy, saved)
            bench = Bench(3, dtype, parts)
            places = [spare(bench, each) for each in (a, b)]
            full, out, up = (spare(bench, each) for each in (np.zeros_like(y), np.zeros_like(y), dy))
            patterns = [pattern_of(shape, y.shape) for shape in shapes]
            numbers = tuple(float(each) for pattern in patterns for each in pattern or ())
            forward = Instruction(whole(of.value), (*places, full), numbers, 0)
            for which, operation in enumerate(of.gradients):
                if operation is None or operation is NEGATED:
                    continue
                other = of.other[which]
                if other is None:
                    made = Instruction(whole(operation), (up, *places, full, out), numbers, 0)
                else:
                    both = (1.0, float(y.size), *numbers[2 * other : 2 * other + 2])
                    made = Instruction(whole(operation), (up, places[other], out), both, 0)
                found = bench.run(forward, made, where=where, layer=layer)
                np.testing.assert_allclose(
                    found[3], np.broadcast_to(expected[which], y.shape), **PRECISE[dtype]
                )
            found = bench.run(forward, where=where, layer=layer)
            np.testing.assert_allclose(found[2], y, **PRECISE[dtype])


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", [cr.Sqrt(), cr.Negative(), cr.Log(), cr.ELU(1.5)], ids=repr)
def test_a_function_of_what_does_not_grow_equals_the_layer(layer: Any, dtype: str, where: str) -> None:
    activation = activation_of(layer)
    numbers = (getattr(layer, activation.number),) if activation.number else ()
    for shape, parts in itertools.product([(), (1,), (17,), (3, 5)], (1, 2, 5)):
        x = abs(values(shape, dtype, 4, odd=False)) + 0.1
        y, saved = layer.forward(x)
        dy = values(shape, dtype, 5, odd=False)
        bench = Bench(3, dtype, parts)
        place, made, up = spare(bench, x), spare(bench, np.zeros_like(x)), spare(bench, dy)
        kept = made if activation.keeps == "output" else place
        copied, added = spare(bench, np.zeros_like(x)), spare(bench, x)
        kinds = OPERATIONS[activation.kernel]
        found = bench.run(
            Instruction(whole(kinds["plain"]), (place, made), numbers, 0),
            Instruction(whole(kinds["gradient"]), (up, kept), numbers, 0),
            Instruction(whole(COPY), (up, copied)),
            Instruction(whole(ACCUMULATE), (up, added)),
            where=where,
            layer=layer,
        )
        dx = layer.backward(dy, saved)
        for got, expected in zip(found[1:], (y, dx, dx, x + dx), strict=True):
            np.testing.assert_allclose(got, expected, **PRECISE[dtype])


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_what_does_not_grow_are_summed_where_it_was_broadcast(dtype: str, where: str) -> None:
    for full, shape in [((17,), ()), ((3, 5), (5,)), ((2, 3, 4), (3, 1)), ((3, 5), (3, 5))]:
        for rows, parts, is_batch in ((1, 1, False), (4, 5, False), (9, 2, True), (2, 5, True)):
            x = values((rows, *full) if is_batch else full, dtype, rows, odd=False)
            pattern = pattern_of(shape, full)
            assert pattern is not None
            own = (1,) * (x.ndim - len(shape)) + shape
            axes = tuple(k for k, length in enumerate(own) if length == 1)
            expected = x.sum(axis=axes).reshape(shape)
            bench = Bench(rows, dtype, parts)
            out, of_parameter = (
                spare(bench, np.full(shape, 5, dtype)),
                bench.flat(np.ones(shape or 1, dtype), "gradient"),
            )
            place = bench.batch(x) if is_batch else spare(bench, x)
            numbers = (*map(float, pattern), 0.0)
            found = bench.run(
                Instruction(SUM_BATCH, (place, out), numbers),
                Instruction(SUM_ROWS, (place, of_parameter), numbers),
                where=where,
            )
            np.testing.assert_allclose(found[0], expected, **PRECISE[dtype])
            np.testing.assert_allclose(found[1].reshape(shape), expected, **PRECISE[dtype])


def test_what_leads_outside_is_refused() -> None:
    bench = Bench(4, "float32")
    x, dx, narrow = (bench.batch(np.ones((4, width), "f4")) for width in (18, 18, 17))
    s, d, small = (spare(bench, np.ones(length, "f4")) for length in (18, 18, 6))
    add, base = whole(ARITHMETIC[cr.Add].value), whole(ARITHMETIC[cr.Power].gradients[0])  # type: ignore[arg-type]
    sqrt = OPERATIONS["sqrt"]
    good: list[tuple[Instruction, list[tuple[Place | None, ...]]]] = [
        (Instruction(REDUCE_BATCH, (x, s), (1, 18, 0)), [(x, small), (narrow, s), (x, dx), (x, None)]),
        (Instruction(SPREAD_BATCH, (s, dx), (1, 18, 1, 0)), [(small, dx), (s, narrow), (x, dx), (None, dx)]),
        (Instruction(SPREAD_MORE, (s, dx), (1, 18, 0, 1)), [(small, dx), (s, narrow), (x, dx), (None, dx)]),
        (Instruction(SUM_BATCH, (x, s), (1, 18, 0)), [(x, small), (narrow, s), (small, s), (x, dx)]),
        (Instruction(add, (s, s, d), (1, 18, 1, 18)), [(small, s, d), (s, x, d), (s, s, dx), (s, None, d)]),
        (Instruction(base, (s, s, s, s, d), (1, 18, 1, 18)), [(small, s, s, s, d), (s, s, s, x, d)]),
        (Instruction(whole(sqrt["plain"]), (s, d)), [(small, d), (s, dx), (x, d), (x, dx)]),
        (Instruction(whole(sqrt["gradient"]), (d, s)), [(d, small), (dx, s), (d, x)]),
        (Instruction(whole(COPY), (s, d)), [(small, d), (s, dx), (x, d), (None, d)]),
        (Instruction(whole(ACCUMULATE), (s, d)), [(small, d), (s, dx), (x, d), (None, d)]),
    ]  # fmt: skip
    for each, operands in good:
        bench.run(each)
        for wrong in operands:
            with pytest.raises(TableError):
                bench.run(replace(each, operands=wrong))
        for k, number in itertools.product(range(len(each.numbers)), (0.5, -1.0, 0.0, 1e9, 19.0, 2.0**31)):
            if (k >= 2 and number == 0) or (
                each.operation in (add, base) and k % 2 == 0 and number in (19, 1e9)
            ):
                continue  # 0 is a number there; and any number of elements may read the same one
            changed = replace(each, numbers=(*each.numbers[:k], number, *each.numbers[k + 1 :]))
            with pytest.raises(TableError):
                bench.run(changed)
            with pytest.raises(TableError):
                bench.run(replace(each, numbers=each.numbers[:-1]))


# Networks --------------------------------------------------------------------------------------------------


def normalized(h: cr.Node, axis: Any = 0, keepdims: bool = True) -> cr.Node:
    """Batch normalisation by hand."""
    centred = h - cr.Mean(axis, keepdims)(h)
    return centred / cr.Sqrt()(cr.Mean(axis, keepdims)(centred * centred) + 0.1)


def by_power(h: cr.Node) -> cr.Node:
    mean = cr.Mean(0)(h)
    return (h - mean) * (cr.Mean(0)(h * h) - mean**2 + 0.1) ** -0.5


def used_twice(h: cr.Node) -> cr.Node:
    total = cr.Sum(0)(h)
    return h * total + h / total - total * total * cr.Exp()(-total)


def scaled(h: cr.Node) -> cr.Node:
    return h * (parameter(5) / cr.Sum(0)(h) + parameter()) + parameter(1, 5) * cr.Mean()(h)


NATIVE: dict[str, tuple[Callable[[cr.Node], cr.Node], tuple[int, ...]]] = {
    "centred": (lambda h: h - cr.Mean(0)(h), (5,)),
    "normalised": (normalized, (5,)),
    "normalised rows": (lambda h: normalized(h, 0, False), (4, 5)),
    "normalised channels": (lambda h: normalized(h, (0, 2, 3)), (2, 3, 4)),
    "normalised last": (lambda h: normalized(h, (0, 1)), (4, 5)),
    "normalised middle": (lambda h: normalized(h, (0, 1, 3)), (2, 3, 4)),
    "all": (lambda h: normalized(h, None, False), (4, 5)),
    "all, kept": (lambda h: normalized(h, None), (5,)),
    "by a power": (by_power, (5,)),
    "used twice": (used_twice, (5,)),
    "parameters": (scaled, (5,)),
    "matrix": (lambda h: h * (cr.Mean(0)(h) * parameter(4, 5) + parameter(4, 5)), (4, 5)),
    "two sizes": (lambda h: h - cr.Sum((0, 1))(h) * cr.Mean((0, 2), True)(h) / cr.Sum()(h), (4, 5)),
    "the other way round": (lambda h: cr.Sum(0)(h) - h * cr.Mean(0)(h) ** h, (5,)),
    "numbers": (lambda h: h * (cr.Mean()(h) - cr.Sum()(h) / (1 - cr.Mean(None, True)(h))), (5,)),
    "subtracted twice": (lambda h: next(h - m - (h * h - m) for m in [cr.Mean(0)(h)]), (5,)),
    "of the affine alone": (lambda h: cr.Affine(5)(h) * cr.Mean(0)(h), (5,)),
}  # fmt: skip


@pytest.mark.parametrize("name", NATIVE)
def test_a_network_with_reductions_over_the_batch_trains_by_the_machine_alone(name: str) -> None:
    make, shape = NATIVE[name]
    agrees(network(make, shape))


IN_PYTHON: dict[str, tuple[Callable[[cr.Node], cr.Node], tuple[int, ...]]] = {
    "own layer": (lambda h: h - Kept()(cr.Mean(0)(h)), (5,)),
    "own layer and a kernel": (lambda h: next(h / m - Kept()(m) * m for m in [cr.Mean(0, True)(h)]), (5,)),
    "own layer of all": (lambda h: h * Kept()(cr.Sum()(h)) / cr.Sum()(h), (4, 5)),
    "own layer within": (lambda h: h / cr.Sqrt()(Kept()(cr.Mean(0)(h)) * parameter(5) + 1), (5,)),
    "reshaped": (lambda h: h * cr.Reshape((1, 5))(cr.Mean(0)(h)), (5,)),
    "axes apart": (lambda h: h - cr.Mean((0, 2), True)(h), (2, 3, 4)),
    "largest": (lambda h: h - cr.Max(0)(h), (5,)),
    "own middle": (lambda h: Kept()(h - cr.Mean(0)(h)) * cr.Mean(0)(h), (5,)),
}


@pytest.mark.parametrize("name", IN_PYTHON)
def test_a_value_that_does_not_grow_feeds_layers_in_python(name: str) -> None:
    make, shape = IN_PYTHON[name]
    agrees(network(make, shape), is_native=False)


def test_the_inputs_themselves_are_normalised() -> None:
    x = cr.Input("x", shape=(4,))
    output = cr.Affine(3)(normalized(x) * cr.Affine(4)(x))
    agrees(cr.Network(output=output, loss=cr.SoftmaxCrossEntropy(), seed=1, dtype="float64"))


def test_a_mean_that_is_infinite_stops_the_step_only_where_a_gradient_is() -> None:
    x = cr.Input("x", shape=(4,))
    infinite = cr.Exp()(cr.Mean(0)(x) * 1e9)
    hidden = cr.Affine(4)(x)
    feeds = {"x": np.ones((8, 4)), "t": np.zeros(8, int)}
    for made, is_finite in ((hidden + 1 / infinite, True), (hidden * infinite, False)):
        net = cr.Network(output=cr.Affine(3)(made), loss=cr.SoftmaxCrossEntropy(), seed=1, dtype="float64")
        with np.errstate(all="ignore"):
            loss, flat = net.program(8).loss_and_gradient(feeds)
            if is_finite:
                assert loss == pytest.approx(float(net.graph.forward(feeds)), rel=1e-12)
        assert np.isfinite(loss) == np.isfinite(flat).all() == is_finite


def test_a_prediction_reduces_what_it_is_given_in_python() -> None:
    program = network(normalized, (5,)).program(8)
    assert not program.trains_in_python
    assert program.predicting.in_python


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_training_is_the_same_for_any_threads_and_on_numpy(dtype: str, monkeypatch: Any) -> None:
    """With a smaller batch at the end of each epoch."""
    cut_small(monkeypatch)
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((37, 4)), rng.integers(0, 3, 37)
    found = []
    for threads in (1, 2, 5, 1):
        if len(found) == 3:
            monkeypatch.setattr("chainrule.program.program.machine", lambda: None)
        net = network(lambda h: normalized(h) * parameter(5) + cr.Mean()(h), (5,), dtype)
        history = net.fit(x, t, epochs=5, batch_size=16, optimizer=cr.Adam(0.01), seed=1, threads=threads)
        found.append((history.loss, net.params.flat.copy()))
    for losses, flat in found[1:3]:
        assert losses == found[0][0]
        np.testing.assert_array_equal(flat, found[0][1])
    np.testing.assert_allclose(found[3][1], found[0][1], rtol=1e-3 if dtype == "float32" else 1e-8, atol=1e-4)
