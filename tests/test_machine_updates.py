"""Updates on the machine: gradients that are clipped, in the order of the optimizer's own step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError
from chainrule.optimizers import AdamHat
from chainrule.parameters import Parameters
from chainrule.program.building import with_update
from chainrule.program.calls import Call
from chainrule.program.layout import variants
from chainrule.program.machine import Machine
from chainrule.program.memory import Memory
from chainrule.program.numpy_executor import NumpyExecutor
from chainrule.program.operations.updates import (
    GRADIENT_NORM,
    STOP_UNLESS_FINITE,
    UPDATE,
    UPDATES,
    gradient_place,
    update_of,
)
from chainrule.program.program import Program
from chainrule.program.python_turns import PythonTurns
from chainrule.program.table import Instruction, Table, Turn
from chainrule.program.verify import verify
from conftest import cut_small
from test_machine import DTYPES, GRAPH

CLIPPING: list[dict[str, float]] = [
    {"clip_norm": 1.5},
    {"clip_norm": 1e3},
    {"clip_value": 0.3},
    {"clip_norm": 4.0, "clip_value": 0.3, "weight_decay": 0.1},
]


def stepped(optimizer: cr.Optimizer, w: Any, gradients: Any, where: str, parts: int) -> tuple[int, Any, Any]:
    """How many steps were done with these gradients, the parameters, and the optimizer's state afterwards."""
    state, size = optimizer.start(w), w.size
    instruction, update = update_of(optimizer, state, w.dtype)
    stop = Instruction(STOP_UNLESS_FINITE, (gradient_place(size),))
    table = with_update(Table([Turn("update", (stop,))], 0, stop.operands[0]), instruction)  # type: ignore[arg-type]
    table.turns = [Turn(turn.kind, turn.instructions, parts) for turn in table.turns]
    verify(table, size)
    memory = Memory(table, Parameters(w, {"p": w.shape}))
    python = PythonTurns(GRAPH, memory)
    executor: Any = NumpyExecutor(table, memory, python)
    if where != "NumPy":
        executor = Machine(table, memory, python, variants().index(where))
    done = 0
    for g in gradients:
        memory.gradient[:] = g
        rates = np.array([optimizer.schedule(state.iteration, 10**6)])
        done += executor.run(Call({}, 0, 1, np.zeros((1, 0), np.int64), rates=rates, update=update))
    return done, w, state


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("how", CLIPPING, ids=str)
def test_a_clipped_update_equals_that_of_its_optimizer(
    name: str, dtype: str, how: dict[str, float], where: str
) -> None:
    optimizer = cr.optimizers.get(name, learning_rate=0.03, **how)
    for size in (1, 7, 101):
        rng = np.random.default_rng(size)
        w = rng.standard_normal(size).astype(dtype)
        gradients = [(rng.standard_normal(size) * 10.0 ** -(k % 3)).astype(dtype) for k in range(12)]
        expected, state = w.copy(), optimizer.start(w)
        for g in gradients:
            optimizer.step(expected, g, state)
        for parts in (1, 2, 5):
            done, got, own = stepped(optimizer, w.copy(), gradients, where, parts)
            assert done == own.iteration == 12
            close = {"rtol": 3e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-13}
            np.testing.assert_allclose(got, expected, **close)  # type: ignore[arg-type]


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_norm_whose_squares_overflow_is_found(dtype: str, where: str) -> None:
    """In some shares of the gradient, or in all; and where the norm itself is too large, nothing is clipped."""
    largest = float(np.finfo(dtype).max)
    for scale in (0.02 * largest, 1e3 * largest**0.5):
        for few in (True, False):
            g = (scale * np.random.default_rng(0).uniform(-1, 1, 61)).astype(dtype)
            if few:
                g[5:] = 3
            optimizer = cr.SGD(0.5, clip_norm=2.0)
            expected = np.zeros(61, dtype)
            optimizer.step(expected, g, optimizer.start(expected))
            assert np.linalg.norm(expected.astype("float64")) == pytest.approx(1.0, rel=1e-5)
            for parts in (1, 4):
                _, got, _ = stepped(optimizer, np.zeros(61, dtype), [g], where, parts)
                np.testing.assert_allclose(got, expected, rtol=1e-5 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("where", variants())
@pytest.mark.parametrize("dtype", DTYPES)
def test_clipping_that_does_not_set_in_changes_no_bit(dtype: str, where: str) -> None:
    rng = np.random.default_rng(0)
    w, gradients = rng.standard_normal(100).astype(dtype), rng.standard_normal((5, 100)).astype(dtype)
    for name in UPDATES:
        plain = stepped(cr.optimizers.get(name), w.copy(), gradients, where, 2)[1]
        wide = cr.optimizers.get(name, clip_norm=1e6, clip_value=1e300)
        np.testing.assert_array_equal(stepped(wide, w.copy(), gradients, where, 2)[1], plain)


def fitted(optimizer: cr.Optimizer, threads: int, dtype: str = "float32", **data: Any) -> cr.Network:
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((90, 6)), rng.integers(0, 4, 90)
    layers = cr.Affine(7), cr.Tanh(), cr.Affine(4)
    net = cr.Network(*layers, input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=2, dtype=dtype)
    net.fit(x, t, epochs=3, batch_size=16, optimizer=optimizer, seed=1, threads=threads, **data)
    return net


@pytest.mark.parametrize("optimizer", [cr.SGD(0.3, clip_norm=0.2), cr.Adam(0.02, clip_norm=0.2)], ids=repr)
def test_clipping_by_norm_has_the_same_bits_for_every_number_of_threads(optimizer: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        cut_small(patch)
        flat = [fitted(optimizer, threads).params.flat for threads in (1, 2, 5)]
    np.testing.assert_array_equal(flat[0], flat[1])
    np.testing.assert_array_equal(flat[0], flat[2])


def test_a_clipped_step_is_done_by_the_machine_alone() -> None:
    optimizer = cr.Adam(0.02, clip_norm=0.2, clip_value=0.1)
    net = fitted(optimizer, 2)
    program: Program = net.program(16)
    table = program.trainer(optimizer, optimizer.start(net.params.flat)).executor.table
    assert not table.in_python
    assert UPDATE not in [each.operation for each in table.instructions]
    assert [turn.kind for turn in table.turns][-2:] == ["columns", "update"]
    assert GRADIENT_NORM not in [each.operation for each in program.training.instructions]  # type: ignore[union-attr]


@pytest.mark.filterwarnings("ignore:t is on a scale")
def test_a_gradient_that_is_not_finite_stops_a_clipped_step() -> None:
    x = np.ones((8, 3))
    net = cr.Network(cr.Affine(2), input_shape=3, loss=cr.MeanSquaredError(), seed=0)
    before = net.params.flat.copy()
    with pytest.raises(cr.errors.DivergedError):
        net.fit(x, np.full((8, 2), 1e38), optimizer=cr.SGD(0.1, clip_norm=1.0), iterations=3, batch_size=8)
    np.testing.assert_array_equal(net.params.flat, before)


PENALIZED = [
    cr.SGD(0.1, weight_decay=0.3, penalized=1),
    cr.Nesterov(0.1, weight_decay=0.3, penalized=1, clip_norm=0.5),
    cr.Adam(0.1, weight_decay=0.3, penalized=4),
    AdamHat(0.1, weight_decay=0.3, penalized=1),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("optimizer", PENALIZED, ids=repr)
def test_a_penalty_of_the_sum_is_part_of_the_loss_and_of_the_step(optimizer: Any, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(70, 5)), rng.integers(0, 3, 70)
    weights = rng.uniform(0.5, 2, 70) if weighted else None
    net = cr.Network(
        cr.Affine(4),
        cr.Tanh(),
        cr.Affine(3),
        input_shape=5,
        loss=cr.SoftmaxCrossEntropy(),
        dtype="float64",
        seed=1,
    )
    by_hand, state = net.astype("float64"), optimizer.start(net.params.flat.copy(), net.decays)
    training = net.training(X, t, optimizer=optimizer, batch_size=32, epochs=3, sample_weight=weights, seed=0)
    order = [rows for epoch in range(3) for rows in training.batches.of_epoch(epoch)]
    losses: list[float] = []
    while len(losses) < 9:
        losses += training.steps(9 - len(losses))
    expected = []
    for rows in order:
        some = None if weights is None else weights[rows]
        total = len(rows) if some is None else some.sum()
        w = by_hand.params.flat
        penalty = 0.3 / 2 * np.sum(w[net.decays] ** 2) / total
        loss, gradient = (
            by_hand.loss(X[rows], t[rows], some),
            by_hand.flat_gradient(X[rows], t[rows], some).flat,
        )
        expected.append(loss + optimizer.penalized * penalty)
        optimizer.step(w, gradient, state, rows=total)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    np.testing.assert_allclose(net.params.flat, by_hand.params.flat, rtol=1e-10, atol=1e-14)


def test_a_penalty_has_the_same_bits_for_every_number_of_threads() -> None:
    found = []
    for threads in (1, 2, 3):
        rng = np.random.default_rng(0)
        X, t = rng.normal(size=(300, 200)), rng.integers(0, 3, 300)
        net = cr.Network(
            cr.Affine(300), cr.ReLU(), cr.Affine(3), input_shape=200, loss="cross_entropy", seed=1
        )
        training = net.training(
            X,
            t,
            optimizer=AdamHat(weight_decay=0.1, penalized=1),
            batch_size=128,
            epochs=2,
            seed=0,
            threads=threads,
        )
        losses: list[float] = []
        while len(losses) < 6:
            losses += training.steps(6 - len(losses))
        found.append((losses, net.params.flat.tobytes()))
    assert found[0] == found[1] == found[2]


def test_a_penalty_is_refused_where_it_cannot_be_part_of_the_loss() -> None:
    with pytest.raises(ArgumentError, match="a penalty is part of the loss"):
        cr.AdamW(penalized=1)
