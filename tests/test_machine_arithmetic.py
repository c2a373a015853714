"""Arithmetic between nodes, movement and reductions: by the machine and by NumPy, as the graph has them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.layout import variants
from chainrule.program.operations.arithmetic import ARITHMETIC, NEGATED
from chainrule.program.operations.broadcasting import SUM_ROWS, SUM_TO, pattern_of
from chainrule.program.operations.movement import _elements, runs_of
from chainrule.program.operations.reductions import MAX, MAX_GRADIENT, REDUCE, SPREAD
from chainrule.program.table import Instruction
from chainrule.program.verify import TableError
from conftest import cut_small
from test_machine import DTYPES, Bench, tolerance, values

KINDS = [cr.Add, cr.Subtract, cr.Multiply, cr.Divide, cr.Power]
NUMBERS = itertools.count()  # of parameters, in their names


class Kept(cr.Layer):
    """y = x, in Python."""

    def forward(self, x: Any) -> Any:
        return x, None

    def backward(self, dy: Any, saved: None) -> Any:
        return dy


def network(make: Callable[[cr.Node], cr.Node], shape: tuple[int, ...], dtype: str = "float64") -> cr.Network:
    """A network around what `make` makes of a hidden array of (N, *shape), of positive numbers."""
    x = cr.Input("x", shape=(4,))
    hidden = cr.Affine(int(np.prod(shape)))(x)
    hidden = cr.Softplus()(hidden)
    made = make(cr.Reshape((-1, *shape))(hidden) + 0.1)
    output = cr.Affine(3)(cr.Flatten()(made))
    return cr.Network(output=output, loss=cr.SoftmaxCrossEntropy(), seed=1, dtype=dtype)


def agrees(net: cr.Network, is_native: bool = True) -> None:
    """The program has the graph's loss and gradients, by the machine in any number of parts and by NumPy."""
    for rows, small in itertools.product((1, 2, 7), (False, True)):
        rng = np.random.default_rng(rows)
        feeds = {"x": rng.standard_normal((rows, 4)), "t": rng.integers(0, 3, rows)}
        loss = float(net.graph.forward(feeds))
        gradients = net.graph.backward(wrt=net.params)
        with pytest.MonkeyPatch.context() as patch:
            if small:
                cut_small(patch)
            program = net.program(8, feeds["t"])
        assert program.training is not None
        assert program.trains_in_python == (not is_native)
        for kind, variant, threads in (
            *(("machine", k, 2 + 3 * k) for k in range(len(variants()))),
            ("machine", None, 1),
            ("NumPy", None, 1),
        ):
            program._free[id(program.training)] = [program.make_executor(program.training, kind, variant)]
            found, flat = program.loss_and_gradient(feeds, threads=threads)
            assert found == pytest.approx(loss, rel=1e-12, abs=1e-14)
            for name, gradient in net.params.like(flat).items():
                np.testing.assert_allclose(gradient, gradients[name], rtol=1e-9, atol=1e-12, err_msg=name)
        x = {"x": feeds["x"]}
        np.testing.assert_allclose(net.predict(x), net.graph.evaluate(x, net.output), rtol=1e-10, atol=1e-12)


# Kernels ---------------------------------------------------------------------------------------------------

#: Rows of y, and two operands that are broadcast to them; with a leading N they are of the batch.
BROADCASTS: list[tuple[tuple[int, ...], Any, Any]] = [
    ((1,), ("N", 1), ("N", 1)),
    ((17,), ("N", 17), ("N", 17)),
    ((17,), ("N", 17), ("N", 1)),
    ((17,), ("N", 1), (17,)),
    ((17,), (), ("N", 17)),
    ((17,), (1, 17), ("N", 1)),
    ((3, 5), ("N", 3, 5), (5,)),
    ((3, 5), (3, 1), ("N", 1, 5)),
    ((3, 5), ("N", 3, 1), ("N", 1, 5)),
    ((3, 5), ("N", 1, 1), (3, 5)),
    ((2, 3, 4), ("N", 2, 3, 4), ("N", 1, 3, 1)),
    ((2, 3, 4), (2, 3, 1), ("N", 1, 3, 4)),
]


def shaped(shape: Any, rows: int) -> tuple[int, ...]:
    return tuple(rows if length == "N" else length for length in shape)


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_arithmetic_and_its_gradients_equal_the_layer(kind: Any, dtype: str, where: str) -> None:
    layer, of = kind(), ARITHMETIC[kind]
    for number, (row, *operands) in enumerate(BROADCASTS):
        for rows, parts in ((1, 1), (7, 2), (5, 3)):
            a, b = (
                values(shaped(shape, rows), dtype, 9 * number + k, odd=False)
                for k, shape in enumerate(operands)
            )
            if kind is cr.Power:
                a, b = abs(a), b / 2
                a.flat[0] = b.flat[-1] = 0
            with np.errstate(all="ignore"):
                y, saved = layer.forward(a, b)
                dy = values(y.shape, dtype, 77, odd=False)
                expected = layer.backward(dy, saved)
            bench = Bench(rows, dtype, parts)
            places = [
                bench.batch(each) if shape[:1] == ("N",) else bench.flat(each.reshape(-1), "constants")
                for each, shape in zip((a, b), operands, strict=True)
            ]
            for place, each, shape in zip(places, (a, b), operands, strict=True):
                place.shape = () if shape[:1] == ("N",) else each.shape
            bench.arrays = list(zip(places, (a, b), strict=True))
            patterns = [
                pattern_of(shape[1:] if shape[:1] == ("N",) or len(shape) > len(row) else shape, row)
                for shape in operands
            ]
            assert None not in patterns
            full, out, up = (bench.batch(each) for each in (np.zeros_like(y), np.zeros_like(y), dy))
            numbers = tuple(float(each) for pattern in patterns for each in pattern)  # type: ignore[union-attr]
            forward = Instruction(of.value, (*places, full), numbers, 0)
            for which, operation in enumerate(of.gradients):
                if operation is None or operation is NEGATED:
                    made = forward
                elif of.other[which] is None:
                    made = Instruction(operation, (up, *places, full, out), numbers, 0)
                else:
                    other = of.other[which]
                    assert other is not None
                    both = (1.0, float(np.prod(row)), *numbers[2 * other : 2 * other + 2])
                    made = Instruction(operation, (up, places[other], out), both, 0)
                with np.errstate(all="ignore"):
                    found = bench.run(*dict.fromkeys((forward, made)), where=where, layer=layer)
                precise = (
                    {"rtol": 2e-5, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-12}
                )
                np.testing.assert_allclose(found[2], y, **precise)
                if made is not forward:
                    np.testing.assert_allclose(found[3], np.broadcast_to(expected[which], y.shape), **precise)


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [cr.Sum, cr.Mean, cr.Max])
def test_a_reduction_and_its_gradient_equal_the_layer(kind: Any, dtype: str, where: str) -> None:
    cases = [
        ((1,), 1),
        ((40,), -1),
        ((3, 17), 1),
        ((3, 17), 2),
        ((3, 17), (1, 2)),
        ((2, 3, 4), 2),
        ((2, 3, 4), (2, 3)),
    ]
    for (row, axis), keepdims, rows in itertools.product(cases, (False, True), (1, 5)):
        layer = kind(axis, keepdims)
        x = np.round(values((rows, *row), dtype, 3, odd=False))  # with ties
        if kind is cr.Max and rows > 1:
            x[1].flat[-1] = np.nan
        y, saved = layer.forward(x)
        dy = values(y.shape, dtype, 5, odd=False)
        dx = layer.backward(dy, saved)
        axes = np.atleast_1d(axis) % x.ndim
        n, inner = np.prod([x.shape[k] for k in axes]), np.prod(x.shape[axes.max() + 1 :])
        numbers = float(n), float(inner), float(n) if kind is cr.Mean else 1.0
        bench = Bench(rows, dtype, min(rows, 2))
        arrays = x, np.zeros_like(y), dy, np.zeros_like(x)
        place, made, up, out = (bench.batch(each) for each in arrays)
        if kind is cr.Max:
            two = [
                Instruction(MAX, (place, made), numbers, 0),
                Instruction(MAX_GRADIENT, (up, place, made, out), numbers, 0),
            ]
        else:
            two = [Instruction(REDUCE, (place, made), numbers, 0), Instruction(SPREAD, (up, out), numbers, 0)]
        found = bench.run(*two, where=where, layer=layer)
        np.testing.assert_allclose(found[1], y, **tolerance(dtype))
        np.testing.assert_allclose(found[3], dx, **tolerance(dtype))


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_are_summed_over_the_batch(dtype: str, where: str) -> None:
    for row, shape, by_rows in [
        ((17,), (17,), 0),
        ((3, 5), (5,), 0),
        ((3, 5), (3, 1), 1),
        ((2, 30), (), 0),
        ((2, 3, 4), (3, 1), 1),
    ]:
        for rows, parts in ((1, 1), (9, 2), (4, 5)):
            x = values((rows, *row), dtype, rows, odd=False)
            pattern = pattern_of(shape, row)
            assert pattern is not None
            bench = Bench(rows, dtype, parts)
            out = bench.flat(np.full(shape or (1,), 5, dtype), "gradient")
            made = Instruction(SUM_ROWS, (bench.batch(x), out), (*map(float, pattern), float(by_rows)))
            own = (1,) * (len(row) - len(shape)) + shape
            axes = (0, *(k + 1 for k, length in enumerate(own) if length == 1))
            expected = x.sum(axis=axes).reshape(shape or (1,))
            np.testing.assert_allclose(bench.run(made, where=where)[0], expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_sum_over_the_batch_that_is_not_finite_stops_the_step(bad: float) -> None:
    net = network(lambda h: h * cr.Parameter("s", np.full(5, bad)), (5,))
    with np.errstate(all="ignore"):
        loss, _ = net.program(8).loss_and_gradient({"x": np.ones((8, 4)), "t": np.zeros(8, int)})
    assert not np.isfinite(loss)


@pytest.mark.parametrize("number", [0.5, -1.0, 0.0, 1e9, 19.0])
def test_numbers_that_lead_outside_are_refused(number: float) -> None:
    bench = Bench(4, "float32")
    x, y, s = (
        bench.batch(np.ones((4, 18), "f4")),
        bench.batch(np.ones((4, 18), "f4")),
        bench.flat(np.ones(18, "f4")),
    )
    g, small = bench.flat(np.ones(18, "f4"), "gradient"), bench.batch(np.ones((4, 6), "f4"))
    good = [
        Instruction(ARITHMETIC[cr.Add].value, (x, s, y), (1, 18, 1, 18)),
        Instruction(SUM_ROWS, (x, g), (1, 18, 0)),
        Instruction(SUM_TO, (x, small), (3, 6, 1)),
        Instruction(ARITHMETIC[cr.Power].gradients[0], (x, x, s, x, y), (1, 18, 1, 18)),  # type: ignore[arg-type]
    ]
    for each in good:
        bench.run(each)
        with pytest.raises(TableError):
            bench.run(replace(each, numbers=each.numbers[:-1]))
        for k in range(len(each.numbers)):
            if k == 2 and (each.operation is SUM_TO or (each.operation is SUM_ROWS and number == 0)):
                continue  # a divisor may be any number
            wrong = replace(each, numbers=(*each.numbers[:k], number, *each.numbers[k + 1 :]))
            if each.operation.name in ("add", "base_gradient") and k % 2 == 0 and number >= 1:
                continue  # any number of elements may read the same one
            with pytest.raises(TableError):
                bench.run(wrong)


# Networks --------------------------------------------------------------------------------------------------


def parameter(*shape: int) -> cr.Node:
    return cr.Parameter(f"p{next(NUMBERS)}", 0.5 + np.random.default_rng(5).random(shape))


def used_twice(p: cr.Node) -> Callable[[cr.Node], cr.Node]:
    return lambda h: h * p - h / p + h**p


def standardized(h: cr.Node) -> cr.Node:
    centred = h - cr.Mean(-1, keepdims=True)(h)
    return centred / (cr.Mean(-1, keepdims=True)(centred * centred) + 1e-5) ** 0.5


def by_the_middle(h: cr.Node) -> cr.Node:
    return h * cr.Max((1, 2, 3), keepdims=True)(h) ** cr.Max(3, keepdims=True)(cr.Sum(1, keepdims=True)(h))


def softmax(h: cr.Node) -> cr.Node:
    e = cr.Exp()(h - cr.Max(1, keepdims=True)(h))
    return e / cr.Sum(1, keepdims=True)(e)


NATIVE: dict[str, tuple[Callable[[cr.Node], cr.Node], tuple[int, ...]]] = {
    "square": (lambda h: h * h, (5,)),
    "own divisor": (lambda h: h / h + h - h, (5,)),
    "power of two": (lambda h: h ** (h * 0.5), (5,)),
    "constant": (lambda h: 2 * h / np.arange(1.0, 6) - 1 + (3 - h) + 1 / h, (5,)),
    "constant power": (lambda h: h**2 + h**0.5 + 2**h, (5,)),
    "parameter": (lambda h: h * parameter(5) + parameter(5), (5,)),
    "parameter of one": (lambda h: h * parameter() - h / parameter(1), (5,)),
    "parameter with a leading 1": (lambda h: h * parameter(1, 5) - h, (5,)),
    "parameter used twice": (lambda h: used_twice(parameter(5))(h), (5,)),
    "matrix used twice": (lambda h: used_twice(parameter(4, 5))(h), (4, 5)),
    "row with 1 used twice": (lambda h: used_twice(parameter(1, 5))(h), (5,)),
    "steps": (lambda h: h * parameter(4, 1) + h * parameter(5) - parameter(4, 5), (4, 5)),
    "three axes": (lambda h: h * parameter(2, 1, 1) + h * parameter(3, 4) - parameter(3, 1), (2, 3, 4)),
    "batch by column": (lambda h: h * cr.Sum(1, keepdims=True)(h), (5,)),
    "batch by step": (lambda h: h * cr.Mean(2, keepdims=True)(h) / cr.Sum(1, keepdims=True)(h), (4, 5)),
    "batch by the middle": (by_the_middle, (2, 3, 4)),
    "outer": (lambda h: cr.Reshape((-1, 5, 1))(h) - cr.Reshape((-1, 1, 5))(h), (5,)),
    "functions": (lambda h: cr.Exp()(-h) + cr.Log()(h) * cr.Sqrt()(h), (5,)),
    "standardized": (standardized, (4, 5)),
    "pooling": (lambda h: cr.Max(1)(h * parameter(5)) * cr.Sum(1)(h) * cr.Mean(1, True)(cr.Max(2)(h)), (4, 5)),
    "softmax by hand": (softmax, (7,)),
}  # fmt: skip


@pytest.mark.parametrize("name", NATIVE)
def test_a_network_of_arithmetic_is_done_by_the_machine_alone(name: str) -> None:
    make, shape = NATIVE[name]
    agrees(network(make, shape))


PRODUCTS: dict[str, tuple[Callable[[cr.Node], cr.Node], tuple[int, ...]]] = {
    "of each sample": (lambda h: h @ (cr.Transpose((0, 2, 1))(h) * parameter(4)), (4, 5)),
    "with itself": (lambda h: h @ h @ h * 0.01, (5, 5)),
    "heads": (lambda h: h @ cr.Transpose((0, 1, 3, 2))(h), (2, 3, 4)),
    "by a matrix": (lambda h: h @ parameter(5, 3), (5,)),
    "steps by a matrix": (lambda h: h @ parameter(5, 16) @ parameter(16, 1), (4, 5)),
    "by a matrix used twice": (lambda h: [h @ p @ p for p in (parameter(5, 5),)][-1], (2, 4, 5)),
    "by a constant": (lambda h: h @ np.arange(10.0).reshape(5, 2), (4, 5)),
    "by a vector": (lambda h: h @ parameter(5), (4, 5)),
    "attention": (lambda h: softmax(h @ cr.Transpose((0, 2, 1))(h) / 2) @ h, (4, 5)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_network_of_products_is_done_by_the_machine_alone(name: str) -> None:
    make, shape = PRODUCTS[name]
    agrees(network(make, shape))


MOVED: dict[str, tuple[Callable[[cr.Node], cr.Node], tuple[int, ...]]] = {
    "concatenate": (lambda h: cr.Concatenate()(h, h * 2, h), (5,)),
    "concatenate steps": (lambda h: cr.Concatenate(1)(h, h[:, 1:3] * h[:, :2]), (4, 5)),
    "concatenate features": (lambda h: cr.Concatenate(-1)(h, h[:, :, ::2], cr.Mean(2, True)(h)), (4, 5)),
    "index": (lambda h: h[:, 3:4] * h[:, -1:], (7,)),
    "index a step": (lambda h: h[:, -1] * h[:, 0], (4, 5)),
    "slices": (lambda h: h[:, ::-1] * h[:, 1:2] + h[..., ::-1], (4, 5)),
    "lists": (lambda h: h[:, [0, 3, 3, 1]] + h[:, [1, 1, 1, 1]], (5,)),
    "lists of bools": (lambda h: h[:, [True, False, True, False, True]] * h[:, :3], (5,)),
    "lists inside": (lambda h: h[:, 1:, [0, 2, 2]], (4, 5)),
    "an axis more": (lambda h: h[:, None] * h[:, :, None], (5,)),
    "transpose": (lambda h: cr.Transpose((0, 2, 1))(h) * parameter(4), (4, 5)),
    "transpose three": (lambda h: cr.Transpose((0, -1, 1, 2))(h), (2, 3, 4)),
    "take": (lambda h: cr.Take(1)(h, np.array([[2, 2], [0, 3]])), (4, 5)),
}


@pytest.mark.parametrize("name", MOVED)
def test_a_network_that_moves_elements_is_done_by_the_machine_alone(name: str) -> None:
    make, shape = MOVED[name]
    agrees(network(make, shape))


@pytest.mark.parametrize(
    "key", [slice(0, 1000), (slice(None, None, -1),), (Ellipsis, slice(0, 1000), slice(None))]
)
def test_a_key_that_takes_some_rows_of_the_batch_is_left_to_the_layer(key: Any) -> None:
    agrees(network(lambda h: cr.Index(key)(h), (5,)), is_native=False)


def test_runs_are_as_long_as_they_can_be() -> None:
    rng = np.random.default_rng(0)
    assert runs_of(np.arange(9), np.arange(9)).tolist() == [[0, 0, 9, 1]]
    assert len(runs_of(np.arange(20).reshape(4, 5).T.ravel(), np.arange(20))) == 5
    assert runs_of(np.array([3, 3, 3]), np.array([0, 1, 2])).tolist() == [[3, 0, 3, 0]]
    for size in (1, 2, 3, 50):
        for _ in range(20):
            to = np.sort(rng.permutation(size + 5)[:size])
            from_ = rng.integers(0, rng.integers(1, 9), size)
            back = _elements(runs_of(from_, to))
            np.testing.assert_array_equal(back[0], from_)
            np.testing.assert_array_equal(back[1], to)


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("wrong", [-6, -(2**63), -(2**62), 100, 2**62])
def test_runs_that_lead_outside_are_refused(position: int, wrong: int) -> None:
    program = network(lambda h: h[:, [0, 3, 1]], (5,)).program(4)
    assert program.training is not None
    program.training.indices[position] = wrong
    with pytest.raises(TableError, match="lead outside"):
        program.make_executor(program.training)


def test_a_result_wider_than_the_output_is_refused() -> None:
    program = network(lambda h: h + 1, (5,)).program(4)
    program.predicting.output = replace(program.predicting.output, row=(2,))
    with pytest.raises(TableError, match="expected rows of 2 numbers, got 3"):
        program.make_executor(program.predicting)


IN_PYTHON: dict[str, tuple[Callable[[cr.Node], cr.Node], tuple[int, ...]]] = {
    "middle parameter": (lambda h: h * parameter(2, 1, 4), (2, 3, 4)),
    "parameters only": (lambda h: h * (parameter(5) * 2), (5,)),
    "parameter on the left": (lambda h: parameter(3, 4) @ h, (4, 5)),
    "stack of matrices": (lambda h: h @ parameter(2, 4, 3), (2, 3, 4)),
    "axes apart": (lambda h: cr.Sum((1, 3))(h), (2, 3, 4)),
    "own layer": (lambda h: Kept()(h * parameter(5)) * h, (5,)),
}


@pytest.mark.parametrize("name", IN_PYTHON)
def test_what_is_not_so_simple_is_done_in_python(name: str) -> None:
    make, shape = IN_PYTHON[name]
    agrees(network(make, shape), is_native=False)
