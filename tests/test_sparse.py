"""Sparse matrices as data: as the same numbers in a dense array, and never made dense."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleWarning, DataError, DivergedError, ShapeError
from chainrule.evaluation import Classified, judge
from chainrule.sparse import sparse_rows

N, K, CLASSES = 57, 40, 3
DTYPES = ["float32", "float64"]


def matrix(dtype: str = "float32", rows: int = N, columns: int = K, density: float = 0.1) -> Any:
    """A CSR matrix with an empty first and last row, and an empty column."""
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(rows, columns)) * (rng.random((rows, columns)) < density)
    dense[[0, -1]] = dense[:, columns // 2] = 0
    return scipy.sparse.csr_matrix(dense.astype(dtype))


X, T = matrix(), np.random.default_rng(1).integers(0, CLASSES, N)


def network(dtype: str = "float32", columns: int = K, **more: Any) -> cr.Network:
    layers = cr.Affine(17), cr.ReLU(), cr.Affine(CLASSES)
    return cr.Network(
        *layers, input_shape=columns, loss=cr.SoftmaxCrossEntropy(), seed=0, dtype=dtype, **more
    )


def near(dtype: str) -> dict[str, float]:
    return {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture
def never_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a sparse matrix was made dense")

    for kind in (scipy.sparse.csr_matrix, scipy.sparse.csr_array, scipy.sparse.csc_array):
        for name in ("toarray", "todense"):
            monkeypatch.setattr(kind, name, refuse)


# As the dense array ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_data", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sparse_matrix_computes_what_the_array_does(dtype: str, of_data: str) -> None:
    x, net = matrix(of_data), network(dtype)
    dense, weights = x.toarray(), np.linspace(0, 2, N)
    tolerance = near(dtype)
    np.testing.assert_allclose(net.predict(x), net.predict(dense), **tolerance)
    np.testing.assert_allclose(net.predict_proba(x), net.predict_proba(dense), **tolerance)
    np.testing.assert_array_equal(net.classify(x), net.classify(dense))
    np.testing.assert_allclose(net.predict(x[3]), net.predict(dense[3:4]), **tolerance)
    for weight in (None, weights):
        np.testing.assert_allclose(net.loss(x, T, weight), net.loss(dense, T, weight), **tolerance)
        got, expected = net.flat_gradient(x, T, weight), net.flat_gradient(dense, T, weight)
        np.testing.assert_allclose(got.flat, expected.flat, **tolerance)
    assert net.accuracy(x, T) == net.accuracy(dense, T)
    assert net.evaluate(x, T).keys() == net.evaluate(dense, T).keys()
    numerical, gradient = net.numerical_gradient(x[1:5], T[1:5]), net.gradient(x[1:5], T[1:5])
    for name, array in gradient.items():
        np.testing.assert_allclose(array, numerical[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("validation", [None, 0.2, "pair"])
def test_a_sparse_matrix_trains_as_the_array_does(dtype: str, validation: Any) -> None:
    """The last batch of an epoch is smaller."""
    weights = np.linspace(0.5, 2, N)
    nets = []
    for x in (X, X.toarray()):
        net = network(dtype)
        tested = (x[:9], T[:9]) if validation == "pair" else validation
        net.fit(x, T, epochs=4, batch_size=20, sample_weight=weights, validation=tested)
        nets.append(net)
    np.testing.assert_allclose(nets[0].params.flat, nets[1].params.flat, **near(dtype))
    np.testing.assert_allclose(nets[0].predict(X.toarray()), nets[1].predict(X), **near(dtype))


def other_forms() -> dict[str, Any]:
    """The same matrix in other forms: of other indices and numbers, out of order, with a number in two parts."""
    csr = scipy.sparse.csr_array(X)
    turned = scipy.sparse.csr_array(
        (X.data[::-1].copy(), X.indices[::-1].copy(), X.nnz - X.indptr[::-1]), X.shape
    )
    halves = scipy.sparse.csr_array(
        (np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape
    )
    wide = X.copy()
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    big = X.copy()
    big.data = big.data.astype(">f4")
    flipped = turned[::-1]
    assert not flipped.has_sorted_indices
    return {
        "array": csr, "csc": csr.tocsc(), "coo": csr.tocoo(), "lil": csr.tolil(), "int64": wide, "other bytes": big,
        "duplicates": halves, "unsorted": flipped, "rows": sparse_rows(X, "x"),
    }  # fmt: skip


@pytest.mark.parametrize("form", other_forms())
def test_every_form_is_taken_and_left_as_it_is(form: str) -> None:
    x, net = other_forms()[form], network()
    before = pickle.dumps(x)
    np.testing.assert_allclose(net.predict(x), net.predict(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        net.flat_gradient(x, T).flat, net.flat_gradient(X, T).flat, rtol=1e-4, atol=1e-6
    )
    assert pickle.dumps(x) == before
    assert (sparse_rows(x, "x").indices.itemsize == 8) == (form == "int64")


@pytest.mark.parametrize("kind", ["?", "i1", "u2", "i8", "f2", "longdouble"])
def test_other_numbers_are_converted(kind: str) -> None:
    x, net = X.copy(), network()
    x.data = np.abs(10 * X.data).astype(kind)
    dense = np.zeros(X.shape, np.float32)
    dense[X.nonzero()] = x.data
    np.testing.assert_allclose(net.predict(x), net.predict(dense), rtol=1e-4, atol=1e-4)


def test_what_has_the_form_is_not_copied() -> None:
    rows = sparse_rows(X, "x")
    assert np.shares_memory(rows.values, X.data)
    assert np.shares_memory(rows.indices, X.indices)
    assert np.shares_memory(rows.indptr, X.indptr)
    assert rows.shape == X.shape
    assert rows[::2].shape == (29, K)
    np.testing.assert_array_equal(rows[T == 1].csr.toarray(), X.toarray()[T == 1])
    with pytest.raises(TypeError, match="never made dense"):
        np.asarray(rows)


def test_a_graph_of_several_inputs_and_uses() -> None:
    """Two Affine layers read the sparse input, one of them twice; the other input is dense, and not contiguous."""
    x, other = cr.Input("x", shape=(K,)), cr.Input("other", shape=(5,))
    shared, second = cr.Affine(8), cr.Affine(8, bias=False)
    hidden = shared(x) + second(x) * cr.Tanh()(shared(x)) + cr.Affine(8)(other)
    output = cr.Affine(1)(cr.Dropout(0.2)(hidden))
    rest = np.asfortranarray(np.random.default_rng(2).normal(size=(2 * N, 5)))[::2]
    t, nets = X.toarray().sum(axis=1, keepdims=True), []
    for each in (X, X.toarray()):
        net = cr.Network(output=output, loss="mse", seed=3, dtype="float64")
        data = {"x": each, "other": rest}
        net.fit(data, t, epochs=3, batch_size=10)
        nets.append((net.params.flat, net.predict(data), net.evaluate(data, t)["r2"]))
    for got, expected in zip(*nets, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)


# Never dense ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("never_dense")
def test_the_matrix_is_never_made_dense(tmp_path: Path) -> None:
    """Its 2,000 rows of 5,000,000 numbers would take 40 GB."""
    rows, columns = 2000, 5_000_000
    rng = np.random.default_rng(0)
    values = rng.random(10 * rows, dtype=np.float32)
    places = rng.integers(0, rows, 10 * rows), rng.integers(0, columns, 10 * rows)
    x = scipy.sparse.coo_array((values, places), shape=(rows, columns))
    net = cr.Network(cr.Affine(1), input_shape=columns, loss="binary_cross_entropy", seed=0)
    t = rng.integers(0, 2, (rows, 1)).astype(np.float32)
    history = net.fit(
        x,
        t,
        epochs=2,
        batch_size=500,
        validation=0.1,
        callbacks=cr.Health(),
        checkpoint=cr.Checkpoint(tmp_path / "run"),
    )
    assert np.isfinite(history.latest("train_loss"))
    assert net.predict(x).shape == (rows, 1)
    assert net.accuracy(x, t) > 0.5
    assert net.flat_gradient(x, t).flat.any()


def test_answers_are_judged_by_rows_of_a_sparse_matrix() -> None:
    net = network()
    got, expected = judge(net, X, T), judge(net, X.toarray(), T)
    assert isinstance(got, Classified)
    assert isinstance(expected, Classified)
    for one, other in zip(got.wrong, expected.wrong, strict=True):
        np.testing.assert_array_equal(one.x, other.x)
        assert (one.row, one.size) == (other.row, other.size)


def test_a_run_goes_on_with_the_same_matrix_only(tmp_path: Path) -> None:
    net = network()
    net.fit(X, T, iterations=3, batch_size=20, checkpoint=cr.Checkpoint(tmp_path / "run"))
    resumed, _ = cr.resume(tmp_path / "run", X.astype("float32").tocsc(), T)
    np.testing.assert_array_equal(resumed.params.flat, net.params.flat)
    changed = X.copy()
    changed.data[7] += 1
    found = [net.training(x, T, iterations=1).fingerprints["x"] for x in (X, X.tocoo(), changed)]
    assert found[0] == found[1] != found[2]


# Refused ----------------------------------------------------------------------------------------------------


def test_what_is_wrong_with_a_matrix_is_said() -> None:
    net = network()
    bad = X.copy()
    k = int(X.indptr[4])
    for value, said in ((np.nan, "nan"), (np.inf, "inf")):
        bad.data[k] = value
        with pytest.raises(
            DataError, match=f"x holds {said} at row 4, column {X.indices[k]}: remove such rows"
        ):
            net.predict(bad)
        with pytest.raises(DataError, match=f"x holds {said} at row 4, column {X.indices[k]}"):
            net.fit(bad, T, epochs=1)
    large = X.astype("float64")
    large.data[k] = 1e300
    with pytest.raises(DataError, match=r"x holds 1e\+300 at row 4, column .* too large for float32"):
        net.predict(large)
    with pytest.raises(ShapeError, match=r"expected x of shape \(N, 40\), got \(57, 20\)"):
        net.predict(X[:, :20])
    with pytest.raises(DataError, match="x has no rows"):
        net.fit(X[:0], T[:0], epochs=1)
    assert net.predict(X[:0]).shape == (0, CLASSES)
    with pytest.raises(DataError, match="sparse matrix of real numbers, got dtype complex128"):
        net.predict(X.astype(complex))
    with pytest.raises(ArgumentError, match=r"draw: x is a sparse matrix.* give a few rows as an array"):
        cr.draw(net, X, T)


def test_columns_of_a_bad_scale_are_named() -> None:
    badly = "x is on a scale that networks learn badly on: column .* has mean .* MaxAbsScaler"
    diverged = (
        r"the inputs are about .* \(column .*\): scale its columns first, as scikit-learn's MaxAbsScaler"
    )
    with pytest.warns(ChainruleWarning, match=badly), pytest.raises(DivergedError, match=diverged):
        network().fit(X * 1e4, T, epochs=3, optimizer=cr.SGD(1e30))
    with pytest.warns(ChainruleWarning, match=badly):
        network().fit(X * 1e-5, T, epochs=1)


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("indices", K, "indices are not from 0 to 39"),
        ("indices", -1, "indices are not from 0 to 39"),
        ("indptr", 0, "indptr does not rise"),
        ("indptr", 10**6, "indptr does not rise"),
    ],
)
def test_a_damaged_matrix_is_refused(part: str, value: int, said: str) -> None:
    x = X.copy()
    getattr(x, part)[30] = value
    with pytest.raises(DataError, match=f"x: the sparse matrix is damaged: {said}"):
        network().predict(x)


def test_a_layer_that_needs_a_dense_array_is_named() -> None:
    loss = cr.SoftmaxCrossEntropy()
    scaled = cr.Network(cr.Standardize(0.0, 1.0), cr.Affine(CLASSES), input_shape=K, loss=loss)
    advice = "reads this input; give x.toarray"
    for call in (
        lambda: scaled.predict(X),
        lambda: scaled.fit(X, T, epochs=1),
        lambda: scaled.program(8, sparse=["x"]),
        lambda: scaled.graph.forward({"x": X, "t": T}),
    ):
        with pytest.raises(DataError, match=rf"x: a sparse matrix .* Standardize\(.* {advice}"):
            call()
    x = cr.Input("x", shape=(K,))
    passed_on = cr.Network(output=cr.Affine(CLASSES)(x) + cr.Sum(axis=1, keepdims=True)(x), loss=loss)
    with pytest.raises(DataError, match=rf"Sum\(.* {advice}"):
        passed_on.predict(X)
    with pytest.raises(ArgumentError, match="no input 'y'"):
        network().program(8, sparse=["y"])
