"""Losses on the machine: weights, smoothing, distributions, rows of any shape, against the graph and the layers."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import ChainruleError, DataError, DivergedError
from chainrule.program import Program
from chainrule.program import program as programs
from chainrule.program.layout import variants
from chainrule.program.operations.losses import OF_DISTRIBUTIONS, TOTAL_OF_WEIGHTS
from chainrule.program.table import Instruction
from chainrule.program.verify import TableError
from conftest import cut_small, examples
from test_machine import DTYPES, Bench

pytestmark = pytest.mark.filterwarnings("ignore:.*over one output is always 0")  # one class is a case, too

WHERE = [("machine", k) for k in range(len(variants()))] + [("NumPy", None)]
CLASSES = np.array([0.5, 2.0, 0.0, 1.0, 3.0])
#: Losses, the shape of one row of outputs, and what the targets are.
CASES: dict[str, tuple[cr.Loss, tuple[int, ...], str]] = {
    "labels": (cr.SoftmaxCrossEntropy(), (5,), "labels"),
    "one class": (cr.SoftmaxCrossEntropy(label_smoothing=0.1), (1,), "labels"),
    "sequences": (cr.SoftmaxCrossEntropy(), (3, 5), "labels"),
    "smoothed": (cr.SoftmaxCrossEntropy(label_smoothing=0.1), (5,), "labels"),
    "class weights": (cr.SoftmaxCrossEntropy(class_weights=CLASSES), (5,), "labels"),
    "all of it": (cr.SoftmaxCrossEntropy(0.2, class_weights=CLASSES), (2, 3, 5), "labels"),
    "distributions": (cr.SoftmaxCrossEntropy(), (5,), "distributions"),
    "smoothed distributions": (cr.SoftmaxCrossEntropy(0.1, CLASSES), (3, 5), "distributions"),
    "one-hot": (cr.SoftmaxCrossEntropy(), (5,), "one-hot"),
    "sigmoid": (cr.SigmoidCrossEntropy(), (2, 3), "shares"),
    "positive": (cr.SigmoidCrossEntropy(positive_weight=2.5), (4,), "shares"),
    "positive by class": (cr.SigmoidCrossEntropy([1.0, 0.0, 3.0]), (2, 3), "shares"),
    "positive, one logit": (cr.SigmoidCrossEntropy(positive_weight=0.3), (), "shares"),
    "squares": (cr.MeanSquaredError(), (), "numbers"),
    "squares of rows": (cr.MeanSquaredError(), (2, 2, 3), "numbers"),
    "half squares": (cr.HalfSquaredError(), (), "numbers"),
    "half squares of rows": (cr.HalfSquaredError(), (2, 2, 3), "numbers"),
    "quantile": (cr.Quantile(0.9), (3,), "numbers"),
    "quantile of rows": (cr.Quantile(0.2), (2, 3), "whole numbers"),
    "poisson": (cr.HalfPoissonDeviance(), (3,), "counts"),
    "poisson of one": (cr.HalfPoissonDeviance(), (), "counts"),
    "sigmoid, summed": (cr.SigmoidCrossEntropy(sum_labels=True), (2, 3), "shares"),
    "positive, summed": (cr.SigmoidCrossEntropy([1.0, 0.0, 3.0], sum_labels=True), (2, 3), "shares"),
    "absolute": (cr.MeanAbsoluteError(), (3,), "numbers"),
    "huber": (cr.Huber(0.7), (3,), "numbers"),
    "huber of rows": (cr.Huber(), (2, 3), "whole numbers"),
}


def network(loss: cr.Loss, row: tuple[int, ...], dtype: str) -> cr.Network:
    layers = cr.Affine(int(np.prod(row))), cr.Reshape((-1, *row))
    return cr.Network(*layers, input_shape=3, loss=loss, seed=2, dtype=dtype)


def feeds_of(
    row: tuple[int, ...], kind: str, rows: int, dtype: str, *, weighted: bool, seed: int = 0
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shape = (rows, *row)
    made = {
        "labels": lambda: rng.integers(0, row[-1], shape[:-1]),
        "distributions": lambda: rng.dirichlet(np.ones(row[-1]), shape[:-1]).astype(dtype),
        "one-hot": lambda: np.eye(row[-1], dtype=int)[rng.integers(0, row[-1], shape[:-1])],
        "shares": lambda: np.round(rng.random(shape), 1).astype(dtype),
        "numbers": lambda: rng.normal(size=shape).astype(dtype),
        "counts": lambda: rng.integers(0, 4, shape),
        "whole numbers": lambda: rng.integers(-2, 3, shape),
    }
    feeds = {"x": 3 * rng.normal(size=(rows, 3)).astype(dtype), "t": made[kind]()}
    if kind == "labels" and row[-1] > 1:  # of a class that counts
        feeds["t"].flat[0] = 1
    if weighted:
        feeds["sample_weight"] = np.maximum(rng.normal(size=rows), 0)
        feeds["sample_weight"][0] = 2
    return feeds


def program_of(
    net: cr.Network, t: Any, weighted: bool, where: tuple[str, int | None], parts: int = 1, size: int = 33
) -> Program:
    with pytest.MonkeyPatch.context() as patch:
        if parts > 1:
            cut_small(patch)
        program = net.program(size, t, weighted)
    assert program.training is not None
    program._free[id(program.training)] = [program.make_executor(program.training, *where)]
    return program


@pytest.mark.parametrize("where", WHERE, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_a_loss_and_its_gradient_equal_the_graph(name: str, weighted: bool, dtype: str, where: Any) -> None:
    loss, row, kind = CASES[name]
    for parts in (1, 5):
        net = network(loss, row, dtype)
        example = feeds_of(row, kind, 2, dtype, weighted=weighted)["t"]
        program = program_of(net, example, weighted, where, parts)
        assert not program.trains_in_python
        for rows in (33, 1, 2, 16):
            feeds = feeds_of(row, kind, rows, dtype, weighted=weighted, seed=rows)
            expected = float(net.graph.forward(feeds))
            gradients = net.graph.backward(wrt=net.params)
            found, flat = program.loss_and_gradient(feeds, threads=2 if parts > 1 else 1)
            close: Any = (
                {"rtol": 2e-5, "atol": 2e-5} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-13}
            )
            np.testing.assert_allclose(found, expected, **close)
            for key, gradient in net.params.like(flat).items():
                np.testing.assert_allclose(gradient, gradients[key], **close)


@pytest.mark.usefixtures("many_parts")
@pytest.mark.parametrize("name", CASES)
def test_training_with_weights_on_the_machine_equals_that_on_numpy(name: str) -> None:
    """And has the same bits for every number of threads."""
    loss, row, kind = CASES[name]
    feeds = feeds_of(row, kind, 70, "float64", weighted=True)
    weights = feeds["sample_weight"] + 0.1
    found = []
    for machine, threads in ((True, 1), (True, 2), (True, 5), (False, 1)):
        net = network(loss, row, "float64")
        how: Any = {"epochs": 2, "batch_size": 16, "optimizer": cr.Adam(0.02), "seed": 1, "threads": threads}
        with pytest.MonkeyPatch.context() as patch:
            if not machine:
                patch.setattr(programs, "machine", lambda: None)
            net.fit(feeds["x"], feeds["t"], sample_weight=weights, **how)
        found.append(net.params.flat)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_allclose(found[0], found[3], rtol=1e-8, atol=1e-11)


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_a_prediction_is_measured_as_the_layer_says(name: str, dtype: str) -> None:
    loss, row, kind = CASES[name]
    net = network(loss, row, dtype)
    feeds = feeds_of(row, kind, 1300, dtype, weighted=False)
    x, t = feeds["x"], feeds["t"]
    by_program = net.programs.evaluating(t).measure({"x": x, "t": t})
    weighs = isinstance(loss, cr.SoftmaxCrossEntropy) and loss.class_weights is not None
    assert (by_program is None) == weighs
    output = net.predict(x)
    found, right = net.evaluate(x, t), loss.correct(output, t)
    close = 1e-5 if dtype == "float32" else 1e-12
    assert found["loss"] == pytest.approx(float(loss.forward(output, t)[0]), rel=close)
    if right is None:
        assert "accuracy" not in found
    else:
        assert found["accuracy"] == pytest.approx(right.mean(), rel=1e-12)


@pytest.mark.usefixtures("executor")
def test_a_batch_without_weight_is_refused_in_the_layer_s_words() -> None:
    x, t = np.ones((6, 3)), np.array([0, 0, 1, 1, 2, 2])
    weights = np.array([1.0, 1, 0, 0, 1, 1])
    some = np.array([0.0, 1, 1, 1, 1, 1])
    cases: list[tuple[cr.Loss, Any, Any, str]] = [
        (cr.MeanSquaredError(), np.ones((6, 3)), weights, "expected a sample_weight above 0, got zeros only"),
        (cr.SoftmaxCrossEntropy(), t, weights, "expected a sample_weight above 0, got zeros only"),
        (cr.SoftmaxCrossEntropy(), np.eye(3)[t], weights, "a sample_weight above 0, got zeros only"),
        (
            cr.SoftmaxCrossEntropy(class_weights=[1, 0, 1]),
            t,
            None,
            "weights of all samples in the batch are 0",
        ),
        (
            cr.SoftmaxCrossEntropy(class_weights=[1, 0, 1]),
            t,
            some,
            "weights of all samples in the batch are 0",
        ),
    ]
    for loss, targets, given_, words in cases:
        net = cr.Network(cr.Affine(3), input_shape=3, loss=loss, seed=0)
        program = net.program(2, targets, given_ is not None)
        assert not program.trains_in_python
        data = {"x": x, "t": targets} | ({} if given_ is None else {"sample_weight": given_})
        optimizer = cr.SGD(0.01)
        trainer = program.trainer(optimizer, optimizer.start(net.params.flat))
        with pytest.raises(DataError, match=words):
            trainer.steps(data, np.array([[0, 1], [2, 3], [4, 5]]), np.full(3, 0.01), iteration=0)
        assert np.isfinite(net.params.flat).all()


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_counts_nothing_may_be_impossible(dtype: str, where: str) -> None:
    """log p = -infinity beside a weight of 0 is 0; beside another weight the loss is infinite; NaN stays NaN."""
    layer = cr.SoftmaxCrossEntropy()
    t, s = np.eye(5, dtype=dtype)[[0, 1, 1, 2]], np.array([1, 2, 0, 1], dtype)
    for row, column, bad, expected in (
        (1, 0, -np.inf, 0.0), (1, 1, -np.inf, np.inf), (2, 1, -np.inf, 0.0), (0, 3, np.nan, np.nan),
        (0, 3, np.inf, np.nan), (2, 0, np.nan, 0.0),
    ):  # fmt: skip
        z = np.zeros((4, 5), dtype)
        z[row, column] = bad
        with np.errstate(all="ignore"):
            loss, saved = layer.forward(z, t, s)
            dz = layer.backward(np.ones((), dtype), saved)[0]
            bench = Bench(4, dtype)
            places = bench.batch(z), bench.batch(t), bench.batch(np.zeros_like(z)), bench.batch(s)
            total = bench.flat(np.zeros(1, dtype), "spares")
            _, _, made, _, found = bench.run(
                Instruction(OF_DISTRIBUTIONS.total, (total, places[1], places[3], None), (0.0, 5.0)),
                Instruction(OF_DISTRIBUTIONS.weighted, (*places, None, total), (0.0, 5.0), 0),
                where=where,
                layer=layer,
            )
        assert found[0] == 4
        np.testing.assert_allclose(bench.loss, loss, rtol=1e-6)
        np.testing.assert_allclose(made, dz, rtol=1e-5, atol=1e-7)
        assert np.isfinite(loss) == (expected == 0)
        if expected != 0:
            assert loss == pytest.approx(expected, nan_ok=True)


@pytest.mark.usefixtures("executor")
def test_a_gradient_of_nan_stops_a_weighted_training() -> None:
    net = cr.Network(cr.Affine(3), input_shape=2, loss=cr.SoftmaxCrossEntropy(0.1), seed=0)
    net.params["W1"][...] = np.nan
    with pytest.raises(DivergedError):
        net.fit(np.ones((4, 2)), np.zeros(4, int), sample_weight=np.ones(4), epochs=1, batch_size=2)


def test_what_a_kernel_cannot_do_stays_in_python() -> None:
    class Own(cr.MeanSquaredError):
        pass

    t = np.ones((4, 3))
    net = cr.Network(cr.Affine(3), input_shape=2, loss=Own(), seed=0)
    assert net.program(2, t).trains_in_python
    smoothed = cr.Network(cr.Affine(3), input_shape=2, loss=cr.SoftmaxCrossEntropy(), seed=0, dtype="float64")
    assert smoothed.program(2, (t / 3).astype("float32")).trains_in_python  # sums of less exact numbers
    assert not smoothed.program(2, t / 3).trains_in_python


def test_a_label_of_a_sequence_that_is_out_of_range_is_named(executor: str) -> None:
    net = network(cr.SoftmaxCrossEntropy(), (3, 5), "float32")
    t = np.zeros((4, 3), int)
    program = net.program(4, t)
    t[2, 1] = 7
    with pytest.raises(DataError, match="expected labels from 0 to 4, got 7 in row 2"):
        program.loss_and_gradient({"x": np.ones((4, 3)), "t": t})


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_a_wrong_weighted_loss_is_refused_or_does_no_harm(data: st.DataObject) -> None:
    """Its places, operands and numbers are changed at random; what is let through runs inside its own arrays."""
    loss, row, kind = CASES[
        data.draw(st.sampled_from(["all of it", "smoothed distributions", "positive by class"]))
    ]
    net = network(loss, row, "float32")
    feeds = feeds_of(row, kind, 8, "float32", weighted=True)
    program = net.program(8, feeds["t"], weighted=True)
    table = copy.deepcopy(program.training)
    assert table is not None
    places = table.places
    for _ in range(data.draw(st.integers(1, 3))):
        place, what = (
            data.draw(st.sampled_from(places)),
            data.draw(st.sampled_from(["width", "below", "operand", "number"])),
        )
        if what == "width":
            place.row = (data.draw(st.integers(-1, 40)),)
        elif what == "below":
            place.below = data.draw(st.integers(-1, 9))
        else:
            own = [each for each in table.instructions if each.layer == len(net.graph) - 1]
            old = data.draw(st.sampled_from(own))
            operands, numbers = list(old.operands), list(old.numbers)
            if what == "operand":
                operands[data.draw(st.integers(0, len(operands) - 1))] = data.draw(
                    st.sampled_from([None, *places])
                )
            elif numbers:
                numbers[-1] = data.draw(st.sampled_from([0.0, -3.0, 0.5, 1.0, 3.0, 4.0, 6.0, 1e18, 1e300]))
                numbers = numbers[: data.draw(st.integers(0, 2))]
            new = replace(old, operands=tuple(operands), numbers=tuple(numbers))
            table.turns = [
                replace(turn, instructions=tuple(new if each is old else each for each in turn.instructions))
                for turn in table.turns
            ]
    before = net.params.flat.copy()
    for place in places:
        if place.space not in ("arena", "labels", "data"):
            place.shape = (place.length or 0, *place.row) if len(place.shape) == 2 else place.row
    try:
        executor = program.make_executor(table)
        program._free[id(program.training)] = [executor]
        program.loss_and_gradient(feeds)
    except (TableError, ChainruleError, ValueError):
        pass
    np.testing.assert_array_equal(net.params.flat, before)


def test_the_total_is_found_in_a_turn_of_its_own() -> None:
    net = network(cr.MeanSquaredError(), (3,), "float32")
    table = net.program(8, np.ones((8, 3)), weighted=True).training
    assert table is not None
    assert [turn.kind for turn in table.turns] == ["rows", "columns", "rows", "gradients", "update"]
    assert [each.operation for each in table.turns[1].instructions] == [TOTAL_OF_WEIGHTS]


def test_a_weighted_training_measures_validation_data_on_the_machine(executor: str) -> None:
    net = network(cr.SoftmaxCrossEntropy(0.1), (5,), "float64")
    feeds = feeds_of((5,), "labels", 40, "float64", weighted=True)
    program = net.program(8, feeds["t"], weighted=True)
    loss, accuracy, _ = program.measure({"x": feeds["x"], "t": feeds["t"]}) or (0, 0, 0)
    assert net.evaluate(feeds["x"], feeds["t"]) == pytest.approx({"loss": loss, "accuracy": accuracy})
    weighted = net.evaluate(feeds["x"], feeds["t"], feeds["sample_weight"])["loss"]
    assert weighted == pytest.approx(float(net.graph.forward(feeds, training=False)))
    assert weighted != pytest.approx(loss)
