"""Products of the machine with sparse matrices: against dense ones, and with tables and data that are wrong."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError, DataError
from chainrule.program import program as programs
from chainrule.program.calls import Call
from chainrule.program.layout import variants
from chainrule.program.operations.sparse import SPARSE_MATMUL, SPARSE_TRANSPOSED_MATMUL
from chainrule.program.table import Instruction, sparse_places
from chainrule.sparse import SparseRows, sparse_rows
from conftest import cut_small, examples
from test_machine import Bench
from test_sparse import DTYPES, K, N, T, X, matrix, near, network

# Executors, threads, bits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["i4", "i8"])
@pytest.mark.parametrize("of_data", DTYPES)
@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_equal_those_of_dense_arrays(dtype: str, where: str, of_data: str, kind: str) -> None:
    for rows, columns, units in ((1, 1, 1), (7, 5, 3), (33, 90, 16), (20, 7, 130)):
        x = matrix(of_data, rows + 2, columns, 0.3)
        data = SparseRows(x.indptr.astype(kind), x.indices.astype(kind), x.data, columns)
        taken = np.random.default_rng(5).integers(0, rows + 2, (1, rows))
        dense = x.toarray()[taken[0]].astype(dtype)
        rng = np.random.default_rng(6)
        W, dy = rng.normal(size=(columns, units)).astype(dtype), rng.normal(size=(rows, units)).astype(dtype)
        for parts in (1, 3):
            bench = Bench(rows, dtype, parts)
            y, slope = bench.batch(np.full((rows, units), 5, dtype)), bench.batch(dy)
            weights, dW = bench.flat(W), bench.flat(np.full((columns, units), 5, dtype), "gradient")
            places = sparse_places("x", (columns,))
            made = bench.run(
                Instruction(SPARSE_MATMUL, (*places, weights, y)),
                Instruction(SPARSE_TRANSPOSED_MATMUL, (*places, slope, dW)),
                where=where,
                call=Call({"x": data}, rows, 1, taken),  # type: ignore[dict-item]
            )
            np.testing.assert_allclose(made[0], dense @ W, **near(dtype))
            np.testing.assert_allclose(made[3], dense.T @ dy, **near(dtype))


def test_the_same_bits_for_any_number_of_threads_and_near_those_of_numpy() -> None:
    results = []
    for threads, executor in ((1, ""), (2, ""), (5, ""), (1, "NumPy")):
        net = network("float64")
        with pytest.MonkeyPatch.context() as patch:
            cut_small(patch)
            if executor:
                patch.setattr(programs, "machine", lambda: None)
            net.fit(X, T, epochs=3, batch_size=20, threads=threads)
            table = net.program(20, T, sparse={"x"}).training
            assert table is not None
            assert [turn.parts > 1 for turn in table.turns if turn.kind in ("rows", "gradients")] == [
                True,
                True,
            ]
            results.append(np.append(net.params.flat, net.predict(X).ravel()))
    for other in results[1:3]:
        np.testing.assert_array_equal(other, results[0])
    np.testing.assert_allclose(results[3], results[0], rtol=1e-9, atol=1e-12)


def test_a_program_takes_matrices_of_scipy() -> None:
    net = network()
    program = net.program(N, T, sparse=["x"])
    loss, gradient = program.loss_and_gradient({"x": X, "t": T})
    assert loss == pytest.approx(net.loss(X.toarray(), T), rel=1e-5)
    np.testing.assert_array_equal(gradient, net.flat_gradient(X, T).flat)
    optimizer = cr.SGD(0.1)
    trainer = program.trainer(optimizer, optimizer.start(net.params.flat))
    losses = trainer.steps({"x": X, "t": T}, np.arange(N).reshape(1, N), np.ones(1), iteration=0)
    assert losses[0] == pytest.approx(loss, rel=1e-6)
    with pytest.raises(ArgumentError, match="x: expected sparse rows, got ndarray"):
        program.loss_and_gradient({"x": X.toarray(), "t": T})
    with pytest.raises(
        ArgumentError, match="x: expected a dense array, got SparseRows; make the program with sp"
    ):
        net.program(N, T).loss_and_gradient({"x": X, "t": T})


# Addresses in data ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", ["machine", "NumPy"])
@pytest.mark.parametrize("readable", [True, False])
@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("indices", K),
        ("indices", -1),
        ("indices", 2**31 - 1),
        ("indptr", -1),
        ("indptr", 10**6),
        ("indptr", 2**31 - 1),
    ],
)
def test_a_wrong_address_in_the_data_ends_the_call(
    part: str, value: int, readable: bool, executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the matrix is changed after it was looked at."""
    if executor == "NumPy":
        monkeypatch.setattr(programs, "machine", lambda: None)
    net, rows = network(), sparse_rows(X.copy(), "x")
    getattr(rows, part)[20] = value
    t = T if readable else np.asfortranarray(np.stack([T, T], axis=1))[:, 0][::1]
    program = net.program(N, T, sparse=["x"])
    said = r"x: expected row \d+ of the sparse matrix to have columns from 0 to 39 in rising order"
    with pytest.raises(DataError, match=said):
        program.loss_and_gradient({"x": rows, "t": t})  # type: ignore[dict-item]
    if executor == "machine" or part == "indices":
        with pytest.raises(DataError, match=said):
            program.measure({"x": rows, "t": t})  # type: ignore[dict-item]
    before = net.params.flat.copy()
    trainer = program.trainer(cr.SGD(0.1), cr.SGD(0.1).start(net.params.flat))
    with pytest.raises(DataError, match=said):
        trainer.steps({"x": rows, "t": t}, np.arange(N).reshape(1, N), np.ones(1), iteration=0)  # type: ignore[dict-item]
    np.testing.assert_array_equal(net.params.flat, before)


def test_a_matrix_changed_by_another_thread_crashes_nothing() -> None:
    net, done = network(), threading.Event()
    x = X.copy()
    rows = sparse_rows(x, "x")

    def change() -> None:
        rng = np.random.default_rng(0)
        while not done.is_set():
            x.indices[rng.integers(X.nnz)] = rng.choice([-1, 0, 3, K, 2**31 - 1])
            x.indptr[rng.integers(N + 1)] = rng.choice([-1, 0, 7, X.nnz, 2**31 - 1])
            x.indptr[:] = X.indptr

    thread = threading.Thread(target=change)
    thread.start()
    errors = 0
    try:
        for _ in range(60):
            try:
                trainer = net.program(8, T, sparse=["x"]).trainer(
                    cr.SGD(0.01), cr.SGD(0.01).start(net.params.flat)
                )
                taken = np.random.default_rng(1).integers(0, N, (50, 8))
                data: Any = {"x": rows, "t": T}
                trainer.steps(data, taken, np.full(50, 1e-6), iteration=0, threads=2)
            except DataError as error:
                errors += "changed after it was handed over" in str(error)
    finally:
        done.set()
        thread.join()
    assert errors > 0


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_a_wrong_table_or_wrong_data_are_refused_or_do_no_harm(data: st.DataObject) -> None:
    """Places and operands of sparse products are changed at random, and so are the parts of the data."""
    net = network()
    table = copy.deepcopy(net.program(8, T, sparse=["x"]).training)
    parts = [place for place in table.places if place.part]
    pick = lambda values: data.draw(st.sampled_from(values))  # noqa: E731
    for _ in range(data.draw(st.integers(0, 2))):
        place = pick([*parts, *table.places])
        what = pick(["row", "part", "source", "space", "length", "swap"])
        if what == "swap":
            old = pick(table.instructions)
            operands = list(old.operands)
            operands[pick(range(len(operands)))] = place
            new = replace(old, operands=tuple(operands))
            table.turns = [
                replace(turn, instructions=tuple(new if each is old else each for each in turn.instructions))
                for turn in table.turns
            ]
        else:
            choices = {
                "row": [(1,), (K - 1,), (K + 1,), (2 * K,)], "part": ["", "indptr", "indices", "values"],
                "source": ["x", "t", "y"], "space": ["data", "arena", "parameters"], "length": [0, 1, 5, 100],
            }  # fmt: skip
            setattr(place, what, pick(choices[what]))
    columns = data.draw(st.integers(1, 2 * K))
    whole = st.integers(-3, 2 * K) | st.sampled_from([2**31 - 1, -(2**31)])
    indptr = np.array(data.draw(st.lists(whole, min_size=1, max_size=12)), pick(["i4", "i8"]))
    indices = np.array(data.draw(st.lists(whole, max_size=20)), pick(["i4", "i8"]))
    values = np.ones(data.draw(st.integers(0, 20)), pick(DTYPES))
    rows: Any = SparseRows(indptr, indices, values, pick([K, columns]))
    before = net.params.flat.copy()
    try:
        executor = net.program(8, T, sparse=["x"]).make_executor(table)
        taken = np.array([data.draw(st.lists(st.integers(-2, 12), min_size=8, max_size=8))])
        executor.run(Call({"x": rows, "t": T}, 8, 1, taken))
    except (ChainruleError, ValueError):
        return
    np.testing.assert_array_equal(net.params.flat, before)
