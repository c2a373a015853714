"""Data that the estimators refuse, with scikit-learn's kinds of exceptions and data that they take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn.neural_network as theirs
from sklearn.exceptions import DataConversionWarning, NotFittedError

import chainrule.sklearn as ours
from chainrule.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4))
y = RNG.integers(0, 3, 40)
t = RNG.standard_normal(40)


def small(kind: Any = MLPClassifier, **settings: Any) -> Any:
    return kind(**{"hidden_layer_sizes": (5,), "max_iter": 2, "random_state": 0, **settings})


def with_bad(value: float) -> Any:
    bad = X.copy()
    bad[3, 2] = value
    return bad


def framed(values: Any) -> pd.DataFrame:
    return pd.DataFrame(values, columns=["age", "height", "weight", "pulse"])


# Numbers that are none -----------------------------------------------------------------------------------

FORMS: dict[str, Callable[[Any], Any]] = {
    "dense": np.array,
    "float32": np.float32,
    "objects": lambda values: values.astype(object),
    "list": lambda values: values.tolist(),
    "csr": scipy.sparse.csr_matrix,
    "csc": scipy.sparse.csc_array,
    "coo": scipy.sparse.coo_array,
    "frame": framed,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("value", "said"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_nan_and_infinity_are_named_by_their_place(
    form: Callable[[Any], Any], value: float, said: str
) -> None:
    message = rf"Input X contains {said}.*The first is in row 3, column 2" + (", 'weight'" * (form is framed))
    with pytest.raises(ValueError, match=message):
        small().fit(form(with_bad(value)), y)
    with pytest.raises(ValueError, match=message):
        small().fit(form(X), y).predict(form(with_bad(value)))
    with pytest.raises(ValueError, match=message):
        small().partial_fit(form(with_bad(value)), y, classes=[0, 1, 2])


def test_a_missing_value_of_pandas_is_named() -> None:
    table = pd.DataFrame({"a": t, "b": pd.array([1, None] * 20, dtype="Int64")})
    with pytest.raises(ValueError, match=r"NaN.*The first is in row 1, column 1, 'b'"):
        small().fit(table, y)


def test_nan_among_the_targets() -> None:
    with pytest.raises(ValueError, match="Input y contains NaN"):
        small(MLPRegressor).fit(X, np.where(t > 1, np.nan, t))


@pytest.mark.parametrize("kind", [str, object])
def test_text_is_named_by_its_place_with_a_remedy(kind: Any) -> None:
    text = X.astype("U32").astype(kind)
    text[2, 1] = "red"
    with pytest.raises(
        ValueError, match=r"could not convert.*red.*in row 2, column 1; encode.*OneHotEncoder"
    ):
        small().fit(text, y)
    with pytest.raises(ValueError, match=r"text in row 0, column 1, 'colour'"):
        small().fit(pd.DataFrame({"size": t, "colour": "red"}), y)
    with pytest.raises(ValueError, match="could not convert string to float"):
        small(MLPRegressor).fit(X, np.array(["a"] * 40))


@pytest.mark.parametrize("form", [np.array, scipy.sparse.csr_matrix])
def test_complex_numbers(form: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match="Complex data not supported"):
        small().fit(form(X * 1j), y)
    with pytest.raises(ValueError, match="Complex data not supported"):
        small(MLPRegressor).fit(X, t * 1j)


def test_values_too_large_to_train_on() -> None:
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*need to be preprocessed"):
        small(MLPRegressor).fit(X * 1e200, t)


# Shapes --------------------------------------------------------------------------------------------------

TABLES: dict[str, tuple[Any, Any, str]] = {
    "no rows": (X[:0], y[:0], r"Found array with 0 sample\(s\)"),
    "no rows, sparse": (scipy.sparse.csr_array(X[:0]), y[:0], r"Found array with 0 sample\(s\)"),
    "no columns": (X[:, :0], y, r"0 feature\(s\)"),
    "one dimension": (X[0], y[:4], "Reshape your data"),
    "one dimension, sparse": (scipy.sparse.coo_array(X[0]), y[:4], r"(?i)expected 2D|reshape|1D|dim"),
    "three dimensions": (X[None], y[:1], "dim 3"),
    "nothing": (None, y, "Expected 2D array"),
    "rows of two lengths": ([[1, 2], [3]], [0, 1], "inhomogeneous|sequence"),
    "too few targets": (X, y[:30], r"inconsistent numbers of samples: \[40, 30\]"),
    "no targets": (X, None, "y to be passed|y cannot be None"),
    "targets of three dimensions": (X, y.reshape(40, 1, 1), r"dim 3|Unknown label type"),
}


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(("table", "targets", "said"), TABLES.values(), ids=TABLES)
def test_shapes_are_refused_as_scikit_learn_does(kind: Any, table: Any, targets: Any, said: str) -> None:
    for where in (kind, getattr(theirs, kind.__name__)):
        with pytest.raises((ValueError, TypeError), match=said):
            small(where).fit(table, targets)
    if table is not X:
        with pytest.raises((ValueError, TypeError)):
            small(kind).fit(X, y).predict(table)


@pytest.mark.parametrize("form", [np.array, scipy.sparse.csr_matrix])
def test_another_number_of_features(form: Callable[[Any], Any]) -> None:
    said = "X has 3 features, but MLPClassifier is expecting 4 features as input"
    fewer = form(X[:, :3])
    model = small(warm_start=True).fit(form(X), y)
    for call in (model.predict, model.predict_proba, lambda given: model.score(given, y)):
        with pytest.raises(ValueError, match=said):
            call(fewer)
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=said):
            call(fewer, y)
    assert small().fit(form(X), y).fit(fewer, y).n_features_in_ == 3


def test_another_number_of_outputs() -> None:
    said = "y has 2 outputs, but MLPRegressor was fitted with 1"
    model = small(MLPRegressor, warm_start=True).fit(X, t)
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=said):
            call(X, np.column_stack([t, t]))
    assert model.n_outputs_ == 1
    assert model.predict(X).shape == (40,)


def test_one_row_and_a_column_of_targets() -> None:
    for kind, answers in ((MLPClassifier, y), (MLPRegressor, t)):
        assert small(kind).fit(X[:1], answers[:1]).predict(X).shape == (40,)
        with pytest.warns(DataConversionWarning):
            column = small(kind).fit(X, answers[:, None])
        np.testing.assert_array_equal(column.predict(X), small(kind).fit(X, answers).predict(X))
        with pytest.raises(ValueError, match="train set will be empty"):
            small(kind, early_stopping=True).fit(X[:1], answers[:1])


# Classes -------------------------------------------------------------------------------------------------


def test_one_class_and_constant_columns() -> None:
    assert set(small().fit(X, np.full(40, "a")).predict(X)) == {"a"}
    constant = small().fit(np.ones((40, 4)), y)
    assert len(set(constant.predict(X * 0 + 1))) == 1
    assert np.isfinite(constant.coefs_[0]).all()


def test_classes_that_were_not_announced() -> None:
    model = small().partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`.*\[0 1 2\].*\[1 2 3\]"):
        model.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        model.partial_fit(X, y, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        small().partial_fit(X, y)
    with pytest.raises(ValueError, match="same classes as in the previous call to fit"):
        small(warm_start=True).fit(X, y).fit(X, y + 1)


def test_targets_that_are_no_classes() -> None:
    with pytest.raises(ValueError, match="Unknown label type"):
        small().fit(X, t)
    with pytest.raises(ValueError, match="Multioutput target data is not supported"):
        small().fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="expected counts of at least 0"):
        small(MLPRegressor, loss="poisson").fit(X, t)


# Weights of rows -----------------------------------------------------------------------------------------

WEIGHTS: dict[str, tuple[Any, str]] = {
    "negative": (np.where(y == 0, -1.0, 1), "Negative values"),
    "zeros": (np.zeros(40), "zero"),
    "too few": (np.ones(30), r"sample_weight.shape == \(30,\), expected \(40,\)"),
    "NaN": (np.where(y == 0, np.nan, 1), "Input sample_weight contains NaN"),
    "two dimensions": (np.ones((40, 1)), "Sample weights must be 1D"),
    "text": (np.full(40, "a"), "could not convert string to float"),
}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(("weights", "said"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights_are_refused(kind: Any, solver: str, weights: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small(kind, solver=solver).fit(X, y, sample_weight=weights)


# Forms of arrays that are taken --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["coo", "csc", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("made", ["matrix", "array"])
def test_sparse_formats_are_converted(form: str, made: str) -> None:
    few = np.where(np.abs(X) > 0.7, X, 0)
    table = getattr(scipy.sparse, f"{form}_{made}")(few)
    before = table.copy()
    model = small().fit(table, y)
    same = small().fit(scipy.sparse.csr_matrix(few), y)
    np.testing.assert_array_equal(model.coefs_[0], same.coefs_[0])
    np.testing.assert_array_equal(model.predict_proba(table), same.predict_proba(table.tocsr()))
    assert table.format == form
    np.testing.assert_array_equal(table.toarray(), before.toarray())


def read_only(values: Any, _: Path) -> Any:
    copied = values.copy()
    copied.flags.writeable = False
    return copied


def memory_mapped(values: Any, folder: Path) -> Any:
    np.save(folder / "values.npy", values)
    return np.load(folder / "values.npy", mmap_mode="r")


def read_only_sparse(values: Any, _: Path) -> Any:
    table = scipy.sparse.csr_matrix(values)
    for part in (table.data, table.indices, table.indptr):
        part.flags.writeable = False
    return table


ARRAYS = {
    "read-only": read_only,
    "memory-mapped": memory_mapped,
    "read-only, sparse": read_only_sparse,
    "Fortran order": lambda values, _: np.asfortranarray(values),
    "every other row": lambda values, _: np.repeat(values, 2, axis=0)[::2],
    "other byte order": lambda values, _: values.astype(">f8"),
    "objects": lambda values, _: values.astype(object),
    "lists": lambda values, _: values.tolist(),
}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("made", ARRAYS.values(), ids=ARRAYS)
def test_arrays_of_any_kind(made: Callable[[Any, Path], Any], solver: str, tmp_path: Path) -> None:
    table = made(X, tmp_path)
    model = small(solver=solver, max_iter=5).fit(table, y)
    same = small(solver=solver, max_iter=5).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0], same.coefs_[0], rtol=1e-9)
    np.testing.assert_allclose(model.predict_proba(table), same.predict_proba(X), rtol=1e-9)


def test_what_is_not_fitted() -> None:
    for call in ("predict", "predict_proba", "predict_log_proba"):
        with pytest.raises(NotFittedError, match=r"not fitted yet\. Call 'fit'"):
            getattr(small(), call)(X)
    with pytest.raises(AttributeError, match="partial_fit"):
        small(solver="lbfgs").partial_fit(X, y, classes=[0, 1, 2])


def test_a_fit_after_one_that_was_refused() -> None:
    model = small()
    for wrong in (with_bad(np.nan), X[:, :0], X[:30]):
        with pytest.raises(ValueError, match=r"NaN|feature\(s\)|inconsistent"):
            model.fit(wrong, y)
    np.testing.assert_array_equal(model.fit(X, y).coefs_[0], small().fit(X, y).coefs_[0])


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_both_fail_alike(kind: str) -> None:
    """Calls that scikit-learn refuses are refused with an exception of the same kind."""
    calls: list[Callable[[Any], Any]] = [
        lambda model: model.fit(with_bad(np.nan), y),
        lambda model: model.fit(X, y[:3]),
        lambda model: model.fit(X[:0], y[:0]),
        lambda model: model.fit(framed(X), y).predict(framed(X).rename(columns={"age": "years"})),
        lambda model: model.fit(framed(X).set_axis(["a", 1, 2, 3], axis=1), y),
        lambda model: model.set_params(alpha="a").fit(X, y),
        lambda model: model.set_params(depth=3),
        lambda model: model.predict(X),
    ]
    for call in calls:
        kinds = []
        for where in (ours, theirs):
            with pytest.raises((ValueError, TypeError)) as caught:
                call(small(getattr(where, kind)))
            kinds.append(type(caught.value))
        assert issubclass(kinds[0], kinds[1]), kinds


def test_targets_of_a_regression_that_are_too_large_or_sparse() -> None:
    x, t = np.random.default_rng(0).standard_normal((2, 30, 1))
    with pytest.raises(ValueError, match=r"y: expected numbers that float32 holds.*got 2e\+200; scale y"):
        MLPRegressor().fit(x.astype("float32"), np.full(30, 2e200))
    with pytest.raises(TypeError, match=r"y: expected a dense array.*y.toarray\(\)"):
        MLPRegressor().fit(x, scipy.sparse.csr_matrix(t))
