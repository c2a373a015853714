"""The kernels of normalization, softmax and embedding by themselves, in every variant, and wrong tables of them."""

from __future__ import annotations

import copy
import string
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import ChainruleError
from chainrule.layers import Layer
from chainrule.program.calls import Call
from chainrule.program.layout import variants
from chainrule.program.operations import embedding, normalization, reductions, updates
from chainrule.program.table import Instruction, Operation, Place, Table
from chainrule.program.verify import TableError
from conftest import examples
from test_machine import DTYPES, Bench, held, values

WHERE = [*variants(), "NumPy"]
#: Rows, lines of a row, and numbers of a line or channels.
SIZES = [(1, 1, 1), (2, 1, 5), (7, 3, 17), (33, 1, 70), (5, 2, 64)]


def close(dtype: str) -> dict[str, float]:
    return {"rtol": 2e-5, "atol": 2e-5} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-12}


def vectors(size: int, dtype: str) -> list[np.ndarray]:
    """gamma, beta, and running statistics."""
    rng = np.random.default_rng(size)
    return [rng.uniform(0.5, 2, size).astype(dtype) for _ in range(4)]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_layernorm_equals_the_layer(parts: int, dtype: str, where: str) -> None:
    layer = cr.LayerNorm()
    for rows, lines, N in SIZES:
        x, dy = (values((rows, lines, N), dtype, seed, odd=False) for seed in (1, 2))
        gamma, beta, *_ = vectors(N, dtype)
        y, saved = layer.forward(x, gamma, beta)
        expected = y, *layer.backward(dy, saved)
        bench = Bench(rows, dtype, parts)
        given_x, given_dy, scale, shift = bench.batch(x), bench.batch(dy), bench.flat(gamma), bench.flat(beta)
        kept = bench.batch(np.zeros((rows, lines, 2), dtype))
        made, dx = bench.batch(np.ones_like(x)), bench.batch(np.ones_like(x))
        into = [bench.flat(np.ones(N, dtype), "gradient") for _ in range(2)]
        out = bench.run(
            Instruction(normalization.LAYER_NORM, (given_x, scale, shift, kept, made), (layer.epsilon,), 0),
            Instruction(normalization.LAYER_NORM_PARAMETERS, (given_dy, given_x, kept, *into), (), 0),
            Instruction(normalization.LAYER_NORM_GRADIENT, (given_dy, given_x, scale, kept, dx), (), 0),
            where=where,
            layer=layer,
        )
        for got, want in zip(out[5:], expected, strict=True):
            np.testing.assert_allclose(got, want, **close(dtype))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_batchnorm_equals_the_layer(parts: int, dtype: str, where: str, training: bool) -> None:
    for axis in (1, 2):
        layer = cr.BatchNorm(axis, momentum=0.7, epsilon=0.1)
        for rows, lines, N in [*SIZES, (3, 4, 200)]:
            x, dy = (values((rows, lines, N), dtype, seed, odd=False) for seed in (1, 2))
            C, inner = (lines, N) if axis == 1 else (N, 1)
            gamma, beta, mean, var = vectors(C, dtype)
            state = {"running_mean": mean.copy(), "running_var": var.copy()}
            y, saved, new = layer.forward(x, gamma, beta, training=training, state=state)
            dx, dgamma, dbeta = layer.backward(dy, saved)
            bench = Bench(rows, dtype, parts)
            given_x, given_dy, scale, shift = (
                bench.batch(x),
                bench.batch(dy),
                bench.flat(gamma),
                bench.flat(beta),
            )
            kept = bench.flat(np.zeros((3, C), dtype), "spares")
            made, back = bench.batch(np.ones_like(x)), bench.batch(np.ones_like(x))
            into = [bench.flat(np.ones(C, dtype), "gradient") for _ in range(2)]
            running = [Place(name, "statistics", (C,), 1, shape=(C,)) for name in state]
            numbers = (layer.epsilon, inner)
            call = Call({}, rows, 1, np.arange(rows).reshape(1, -1), training=training, statistics=state)
            out = bench.run(
                Instruction(
                    normalization.BATCH_NORM, (given_x, scale, shift, *running, kept, made), numbers, 0
                ),
                Instruction(
                    normalization.BATCH_NORM_GRADIENT,
                    (given_dy, given_x, scale, kept, *into, back),
                    (inner,),
                    0,
                ),
                Instruction(normalization.RUNNING_STATISTICS, (kept, *running), (layer.momentum,), 0),
                where=where,
                call=call,
                layer=layer,
            )
            for got, want in zip(out[5:], (y, dx, dgamma, dbeta), strict=True):
                np.testing.assert_allclose(got, want, **close(dtype))
            for name, value in state.items():
                np.testing.assert_allclose(value, new[name], **close(dtype))


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [cr.Softmax, cr.LogSoftmax])
def test_a_softmax_equals_the_layer(kind: Any, dtype: str, where: str) -> None:
    """Also where numbers are large, infinite or NaN, and the softmax itself is 0."""
    for axis, (rows, lines, N) in ((a, size) for a in (1, 2) for size in SIZES):
        layer = kind(axis)
        x, dy = 10 * values((rows, lines, N), dtype, 1), values((rows, lines, N), dtype, 2, odd=False)
        for spoilt in (None, np.nan, np.inf, -np.inf):
            if spoilt is not None:
                x[rows // 2] = spoilt if spoilt < 0 else x[rows // 2]
                x[rows // 2, lines // 2, N // 2] = spoilt
            with np.errstate(all="ignore"):
                y, saved = layer.forward(x)
                dx = layer.backward(dy, saved)
            numbers = (lines, N) if axis == 1 else (N, 1)
            bench = Bench(rows, dtype, 2)
            places = (
                bench.batch(x),
                bench.batch(dy),
                bench.batch(np.ones_like(x)),
                bench.batch(np.ones_like(x)),
            )
            of = reductions.KINDS[kind]
            with np.errstate(all="ignore"):
                out = bench.run(
                    Instruction(of.forward, (places[0], places[2]), numbers, 0),
                    Instruction(of.backward, (places[1], places[2], places[3]), numbers, 0),
                    where=where,
                    layer=layer,
                )
            np.testing.assert_allclose(out[2], y, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(out[3], dx, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_embedding_equals_the_layer(parts: int, dtype: str, where: str) -> None:
    for rows, T, D in SIZES:
        layer = cr.Embedding(6, D)
        ids = np.random.default_rng(rows).integers(0, 6, (rows, T))
        W, dy = values((6, D), dtype, 1), values((rows, T, D), dtype, 2)
        y, saved = layer.forward(ids, W)
        _, dW = layer.backward(dy, saved)
        bench = Bench(rows, dtype, parts)
        table, numbers, given_dy = bench.flat(W), bench.labels(ids, 6), bench.batch(dy)
        made, into = bench.batch(np.ones_like(dy)), bench.flat(np.ones_like(W), "gradient")
        out = bench.run(
            Instruction(embedding.EMBEDDING, (table, numbers, made), (), 0),
            Instruction(embedding.EMBEDDING_GRADIENT, (given_dy, numbers, into), (), 0),
            where=where,
            layer=layer,
        )
        np.testing.assert_array_equal(out[3], y)
        np.testing.assert_allclose(out[4], dW, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("operation", ["batchnorm", "layernorm", "embedding"])
@pytest.mark.parametrize("where", WHERE)
def test_a_gradient_that_is_not_finite_stops_the_step(where: str, operation: str, bad: float) -> None:
    rows, C = 6, 21
    for spoilt in (0, 20):
        dy = values((rows, C), "float64", 1, odd=False)
        dy[3, spoilt] = bad
        layer: Layer = cr.LayerNorm() if operation == "layernorm" else cr.BatchNorm()
        bench = Bench(rows, "float64", 2)
        up, x, scale = bench.batch(dy), bench.batch(values((rows, C), "float64", 2)), bench.flat(np.ones(C))
        call = Call({}, rows, 1, np.arange(rows).reshape(1, -1), training=True)
        into = [bench.flat(np.ones(C), "gradient") for _ in range(2)]
        out = bench.batch(np.zeros((rows, C)))
        kept = bench.batch(np.zeros((rows, 2)))
        spares = bench.flat(np.zeros((3, C)), "spares")
        statistics = {"a": np.zeros(C), "b": np.ones(C)}
        running = [Place(name, "statistics", (C,), 1, shape=(C,)) for name in statistics]
        if operation == "batchnorm":
            made = (
                Instruction(normalization.BATCH_NORM, (x, scale, scale, *running, spares, out), (1e-5, 1), 0),
                Instruction(normalization.BATCH_NORM_GRADIENT, (up, x, scale, spares, *into, None), (1,), 0),
            )
        elif operation == "layernorm":
            made = (
                Instruction(normalization.LAYER_NORM, (x, scale, scale, kept, out), (1e-5,), 0),
                Instruction(normalization.LAYER_NORM_PARAMETERS, (up, x, kept, *into), (), 0),
            )
        else:
            layer = cr.Embedding(1, C)
            ids = bench.labels(np.zeros(rows, int), 1)
            W = Place("W", "parameters", (C,), 1, scale.start, (1, C))
            dW = Place("dW", "gradient", (C,), 1, into[1].start, (1, C))
            made = (
                Instruction(embedding.EMBEDDING, (W, ids, out), (), 0),
                Instruction(embedding.EMBEDDING_GRADIENT, (up, ids, dW), (), 0),
            )
        whole = Place("gradient", "gradient", (2 * C,), 1, shape=(2 * C,))
        stop = Instruction(updates.STOP_UNLESS_FINITE, (whole,))
        call.statistics = statistics
        with np.errstate(all="ignore"):
            bench.run(*made, stop, where=where, call=call, layer=layer)
        assert bench.done == 0


# Wrong tables --------------------------------------------------------------------------------------------


def good_program() -> Any:
    ids, x = cr.Input("ids", shape=(3,)), cr.Input("x", shape=(3, 5))
    joined = cr.Embedding(7, 5)(ids) + x
    hidden = cr.BatchNorm(axis=2)(cr.Softmax(1)(cr.LayerNorm()(cr.Affine(4)(joined))))
    hidden = cr.LayerNorm((1, 2))(cr.LogSoftmax()(cr.BatchNorm()(cr.ReLU()(cr.Affine(4)(hidden)))))
    net = cr.Network(output=cr.Affine(4)(cr.Flatten()(hidden)), loss=cr.SoftmaxCrossEntropy(), seed=0)
    return net, net.program(8)


def new_instruction(data: st.DataObject, old: Instruction, places: list[Place]) -> Instruction:
    """The same with another number or another operand."""
    if old.numbers and data.draw(st.booleans()):
        numbers = list(old.numbers)
        odd = st.one_of(
            st.integers(-2, 70).map(float), st.floats(-9, 9), st.sampled_from([1e300, -1e300, 2.0**63])
        )
        numbers[data.draw(st.integers(0, len(numbers) - 1))] = data.draw(odd)
        return replace(old, numbers=tuple(numbers[: data.draw(st.integers(len(numbers) - 1, len(numbers)))]))
    operands: list[Place | None] = list(old.operands)
    operands[data.draw(st.integers(0, len(operands) - 1))] = data.draw(st.sampled_from([None, *places]))
    return replace(old, operands=tuple(operands))


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_a_wrong_table_is_refused_or_does_no_harm(data: st.DataObject) -> None:
    """As in test_machine.py, with these instructions."""
    net, program = good_program()
    training = data.draw(st.booleans())
    table: Table = copy.deepcopy(program.training if training else program.predicting)
    places, instructions = table.places, table.instructions
    for _ in range(data.draw(st.integers(1, 3))):
        what = data.draw(
            st.sampled_from(["start", "width", "length", "space", "instruction", "below", "instruction"])
        )
        place = data.draw(st.sampled_from(places))
        if what == "start":
            place.start = data.draw(st.integers(-5, 2 * table.arena_width))
        elif what == "width":
            place.row = (data.draw(st.integers(-1, 40)),)
        elif what == "length":
            place.length = data.draw(st.sampled_from([None, 0, 1, 3, 5, 7, 100]))
        elif what == "space":
            spaces = ["arena", "labels", "parameters", "gradient", "data", "spares", "statistics", "python"]
            place.space = data.draw(st.sampled_from(spaces))
        elif what == "below":
            place.below = data.draw(st.integers(-1, 9))
        else:
            old = data.draw(st.sampled_from(instructions))
            new = new_instruction(data, old, places)
            table.turns = [
                replace(turn, instructions=tuple(new if each is old else each for each in turn.instructions))
                for turn in table.turns
            ]
            instructions = table.instructions
    for place in places:
        if place.space not in ("arena", "labels", "data"):
            place.shape = (place.length or 0, *place.row) if len(place.shape) == 2 else place.row
    before = net.params.flat.copy()
    ids = np.random.default_rng(0).integers(0, 7, (8, 3))
    feeds = {"ids": ids, "x": np.ones((8, 3, 5), "float32"), "t": np.zeros(8, int)}
    try:
        executor = program.make_executor(table)
    except (TableError, ValueError):
        return
    rows = min(8, table.capacity)
    call = Call(feeds, rows, 1, np.arange(rows).reshape(1, -1), training=True, statistics=net.state)
    if not training:
        call = Call(feeds, rows, 1, None, rows, right=np.zeros(1, np.int64), statistics=net.state)
        call.result = np.zeros((rows, *table.output.row), "float32")
    try:
        executor.run(call)
    except (ChainruleError, KeyError):
        return
    np.testing.assert_array_equal(net.params.flat, before)
    np.testing.assert_array_equal(ids, np.random.default_rng(0).integers(0, 7, (8, 3)))


OPERATIONS = [
    each
    for module in (normalization, reductions, embedding)
    for value in vars(module).values()
    for each in held(value)
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: str(each.kernel))
@pytest.mark.parametrize(
    "numbers", [(), (0.0,), (0.5, 0.0), (1.0, -1.0), (1e300, 1e300), (1.0, 2.0, 3.0, 4.0, 5.0)]
)
def test_no_predicate_raises(operation: Operation, numbers: tuple[float, ...]) -> None:
    """Operands of no width, and numbers that are none or too many, are refused."""
    assert operation.fits is not None
    batch, whole = Place("a", "arena", (0,)), Place("b", "parameters", (0,), 1, shape=(0,))
    widths = dict.fromkeys(string.ascii_uppercase, 0)
    for place in (batch, whole):
        made = Instruction(operation, (place,) * len(operation.operands), numbers)
        assert operation.fits(made, widths) in (True, False)
