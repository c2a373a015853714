"""What people hand in: what has a plain meaning is converted, the rest is refused by row, column and value."""

from __future__ import annotations

import copy
import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import chainrule as cr
from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.incoming import as_numbers, numbers

X = np.array([[1.0, 0.0], [0.5, 2.0], [0.0, -3.0]])
T = np.array([[1.0], [2.0], [3.0]])


def network(**arguments: Any) -> cr.Network:
    return cr.Network(cr.Affine(1), input_shape=2, loss=cr.MeanSquaredError(), seed=0, **arguments)


def masked(*cells: tuple[int, int]) -> Any:
    x = np.ma.array(X, mask=np.zeros(X.shape))
    for cell in cells:
        x[cell] = np.ma.masked
    return x


class Polars:
    """A frame as polars has it: columns by their names, and no `iloc`."""

    def __init__(self, **columns: Any) -> None:
        self.columns, self._of = list(columns), {name: np.asarray(each) for name, each in columns.items()}
        self.shape = 3, len(columns)

    def __getitem__(self, name: Any) -> Any:
        if isinstance(name, list):
            return Polars(**{each: self._of[each] for each in name})
        return self._of[name]


TAKEN = {
    "objects": X.astype(object),
    "decimals": [[Decimal(1), 0], [Fraction(1, 2), np.float32(2)], [False, -3]],
    "csr": scipy.sparse.csr_matrix(X),
    "coo": scipy.sparse.coo_array(X),
    "unmasked": masked(),
    "frame": pd.DataFrame(X, columns=["a", "b"]),
    "polars": Polars(a=X[:, 0], b=X[:, 1]),
    "objects in a frame": pd.DataFrame(X.astype(object), columns=["a", "b"]),
    "nullable": pd.DataFrame(
        {"a": pd.array(X[:, 0], dtype="Float64"), "b": pd.array([0, 2, -3], dtype="Int64")}
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_has_a_plain_meaning_is_converted(name: str) -> None:
    net = network()
    np.testing.assert_array_equal(net.predict(TAKEN[name]), net.predict(X))
    np.testing.assert_array_equal(net.graph.evaluate({"x": TAKEN[name]}, net.output), net.predict(X))
    assert net.loss(TAKEN[name], T) == net.loss(X, T)
    assert cr.check(net, TAKEN[name], T).passed
    assert cr.check(cr.Tanh(), TAKEN[name]).passed


def test_bools_beside_floats_are_numbers() -> None:
    frame = pd.DataFrame(
        {"a": X[:, 0], "b": [True, False, True], "c": pd.array([True, False, True], "boolean")}
    )
    found = numbers(frame, "x")
    np.testing.assert_array_equal(found, [[1, 1, 1], [0.5, 0, 0], [0, 1, 1]])
    assert found.dtype == np.float64
    assert numbers(frame[["b", "c"]], "x").dtype == bool
    assert numbers(np.array([True, False], object), "x").dtype == bool
    assert numbers([1, 2, Decimal(3)], "x").dtype == np.float64
    assert numbers(np.array([1, 2**40], object), "x").dtype == np.int64
    assert numbers([10**30, 1], "x").tolist() == [1e30, 1]
    with pytest.raises(DataError, match=r"x: expected .* at row 0, column 1 is too large for a float"):
        numbers([[1, -(10**400)]], "x")


def test_an_array_of_numbers_is_not_copied() -> None:
    assert numbers(X, "x") is X
    same = np.ma.array(X)
    assert np.shares_memory(numbers(same, "x"), X)
    assert not np.shares_memory(as_numbers(X, "x", copy=True), X)


DATE = datetime.date(2020, 1, 1)
REFUSED = {
    "masked": (masked((1, 1), (2, 0)), "x is masked at row 1, column 1: fill such values in"),
    "masked rows": (list(masked((1, 0))), "in the array at 1, is masked at row 0: fill such values in"),
    "None": ([[1, None]], "None at row 0, column 1 is missing: fill it in"),
    "NaT": (np.array([[1, pd.NaT]], object), "NaT at row 0, column 1 is missing"),
    "text": ([[1, "red"]], "'red' at row 0, column 1 is text: give each category a column of 0 and 1"),
    "text of numbers": ([["1", "2"]], "'1' at row 0, column 0 is a number written as text: make numbers"),
    "bytes": (np.array([[b"1", b"2"]]), "column 0 is a number written as text"),
    "date": (np.array([[1, DATE]], object), r"datetime.date\(2020, 1, 1\) at row 0, column 1 is a date or time"),
    "dates": (np.zeros((3, 2), "M8[D]"), "row 0, column 0 is a date or time: make numbers of them first"),
    "complex": (X + 1j, "complex.*give the real and (the )?imaginary part"),
    "fields": (np.zeros(3, [("a", float), ("b", int)]), "row 0 is a record of several fields"),
    "arrays": (pd.Series([np.ones(2)] * 3), "row 0 is itself an array: stack them"),
    "too large": (np.full((3, 2), 10**400, object), "is too large for a float, which ends at 1.8e.308"),
    "far too large": ([[1, 10**5000]], "a whole number of 16,610 bits at row 0, column 1 is too large"),
    "anything": ([[1, {}]], "column 1 is a dict, no number"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_none_is_refused_wherever_it_enters(name: str) -> None:
    value, message = REFUSED[name]
    net = network()
    for call in (
        net.predict,
        lambda x: net.fit(x, T, epochs=1),
        lambda x: net.loss(x, T),
        lambda x: net.gradient(x, T),
        lambda x: net.graph.forward(x=x, t=T),
        lambda x: cr.check(net, x, T),
        lambda x: cr.check(cr.ReLU(), x),
        lambda x: cr.draw(net, x=x, t=T),
    ):
        with pytest.raises(DataError, match=message.replace("x is", ".*x.* is")) as caught:
            call(value)
        assert "np.unique" not in str(caught.value)
    assert net.iterations == 0


FRAMES = {
    "text": (["r", "s", "t"], "'r' at row 0, column 'b', which is text"),
    "mixed": (np.array([1, 2, "s"], object), "'s' at row 2, column 'b', which is text"),
    "text of numbers": (["1", "2", "3"], "'1' at row 0, column 'b', which is a number written as text"),
    "category": (pd.Categorical([1, 2, 1]), "1 at row 0, column 'b', which is a category: give each"),
    "nan": ([1.0, np.nan, 2], "nan at row 1, column 'b', which is missing: fill it in"),
    "infinity": ([1.0, 2, np.inf], "inf at row 2, column 'b', which is not finite"),
    "NA": (pd.array([1, None, 2], "Int64"), "at row 1, column 'b', which is missing"),
    "no answer": (pd.array([True, None, False], "boolean"), "at row 1, column 'b', which is missing"),
    "None": (np.array([1.0, 2.0, None], object), "None at row 2, column 'b', which is missing"),
    "dates": (pd.to_datetime(["2020-01-01"] * 3), "row 0, column 'b', which is a date or time"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_refused_by_their_own_names(name: str) -> None:
    values, message = FRAMES[name]
    with pytest.raises(DataError, match=message):
        network().predict(pd.DataFrame({"a": [1.0, 2, 3], "b": values}))


def test_targets_and_weights_are_converted_and_refused_likewise() -> None:
    net = network()
    expected = net.loss(X, T, np.array([1.0, 2, 3]))
    assert net.loss(X, pd.DataFrame({"price": T[:, 0]}), pd.Series([1, 2, 3], dtype="Int64")) == expected
    with pytest.raises(DataError, match="got nan at row 1, column 'price', which is missing"):
        net.loss(X, pd.DataFrame({"price": [1.0, None, 2.0]}))
    with pytest.raises(DataError, match="t is masked at row 0"):
        net.fit(X, np.ma.masked_less(T, 2), epochs=1)
    with pytest.raises(DataError, match="sample_weight is masked at row 0"):
        net.loss(X, T, np.ma.masked_less([1.0, 2, 3], 2))
    with pytest.raises(
        DataError, match=r"t: expected numbers, got text, 'a': .*for labels make the network with"
    ):
        net.fit(X, ["a", "b", "c"], epochs=1)
    with pytest.raises(DataError, match=r"t: .*'b' at row 1 is text"):
        net.fit(X, [1.0, "b", 3.0], epochs=1)


def test_categories_are_no_numbers_to_estimate() -> None:
    for t in (pd.Categorical(["a", "b", "a"]), pd.Series([1, 2, 1], dtype="category")):
        with pytest.raises(DataError, match=r"t: expected numbers, got .*for labels make the network with"):
            network().fit(X, t, epochs=1)


def test_columns_of_plain_numbers_are_taken_at_once() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5]})
    whole = numbers(frame, "x")
    assert whole.flags.c_contiguous
    assert whole.dtype == np.float64
    np.testing.assert_array_equal(whole, [[1, 0.5], [2, 1.5], [3, 2.5]])
    taken = []

    class Frame(pd.DataFrame):
        def to_numpy(self, *arguments: Any, **more: Any) -> Any:
            taken.append(1)
            return super().to_numpy(*arguments, **more)

        @property
        def iloc(self) -> Any:
            raise AssertionError("column by column")

    np.testing.assert_array_equal(numbers(Frame(frame), "x"), whole)
    assert taken == [1]


# Columns by their names --------------------------------------------------------------------------------------

FRAME = pd.DataFrame(X, columns=["a", "b"])
OTHERS = {
    "order": FRAME[["b", "a"]],
    "further": FRAME.assign(c="text")[["c", "b", "a"]],
    "polars": Polars(b=X[:, 1], a=X[:, 0]),
    "by the input": {"x": FRAME[["b", "a"]]},
}


def trained(first: Any = FRAME) -> cr.Network:
    net = network()
    net.fit(first, T, epochs=2)
    return net


@pytest.mark.parametrize("name", OTHERS)
def test_frames_are_read_by_the_names_of_the_first(name: str, tmp_path: Path) -> None:
    net, other = trained(), OTHERS[name]
    assert net.metadata["columns"] == ["a", "b"]
    cr.save(net, tmp_path / "net")
    for each in (net, copy.deepcopy(net), cr.load(tmp_path / "net"), net.astype("float64")):
        np.testing.assert_array_equal(each.predict(other), each.predict(X))
        assert each.evaluate(other, T) == each.evaluate(X, T)
        np.testing.assert_array_equal(each.gradient(other, T)["W1"], each.gradient(X, T)["W1"])
    more = {"epochs": 2, "validation": (other, T)}
    assert (
        network().fit(FRAME, T, **more).test_loss
        == network().fit(X, T, epochs=2, validation=(X, T)).test_loss
    )
    net.fit(other, T, epochs=2)
    again = trained(X)
    again.fit(X, T, epochs=2)
    np.testing.assert_array_equal(net.params.flat, again.params.flat)


def test_columns_that_are_missing_are_named() -> None:
    net = trained()
    before = net.params.flat.copy()
    for call in (net.predict, lambda x: net.fit(x, T, epochs=1), lambda x: net.loss(x, T)):
        with pytest.raises(DataError, match=r"x: expected a frame with the columns .* none named 'a'; name"):
            call(FRAME.rename(columns={"a": "A"}))
    np.testing.assert_array_equal(net.params.flat, before)


def test_what_has_no_names_is_read_by_position() -> None:
    net = trained()
    np.testing.assert_array_equal(net.predict(pd.DataFrame(X)), net.predict(X))
    for first in (X, pd.DataFrame(X), pd.DataFrame(X, columns=["a", 1]), pd.DataFrame(X, columns=["a", "a"])):
        assert "columns" not in trained(first).metadata
    noted = network()
    noted.metadata["columns"] = ["b", "a"]
    np.testing.assert_array_equal(noted.predict(FRAME), noted.predict(X[:, ::-1]))
    noted.fit(FRAME, T, epochs=1)
    assert noted.metadata["columns"] == ["b", "a"]


def test_a_refused_training_keeps_no_names() -> None:
    net = network()
    with pytest.raises(ArgumentError):
        net.fit(FRAME, T, epochs=0)
    with pytest.raises(DataError):
        net.fit(FRAME, ["a", "b", "c"], epochs=1)
    assert net.metadata == {}


def test_ragged_rows() -> None:
    with pytest.raises(ShapeError, match="x: the rows have different lengths"):
        network().predict([[1.0, 2], [3.0]])
    with pytest.raises(DataError, match="expected a number or an array of numbers, got a ragged one"):
        as_numbers([[1.0, 2], [3.0]], "it")


def test_what_is_too_large_for_the_dtype_is_refused_by_its_place() -> None:
    large = T * [[1], [1], [4e39]]
    for call in (
        lambda net: net.fit(X, large, epochs=1),
        lambda net: net.loss(X, large),
        lambda net: net.gradient(X, large),
        lambda net: net.fit(X, T, epochs=1, validation=(X, large)),
    ):
        with pytest.raises(
            DataError, match=r"t holds 1.2e\+40 at row 2, column 0: too large for float32.*scale"
        ):
            call(network())
    with pytest.raises(DataError, match=r"x holds 4e\+39 at row 0, column 0: too large for float32"):
        network().predict(X * 4e39)
    with pytest.raises(DataError, match=r"sample_weight holds 1e\+40 at row 0: too large for float32"):
        network().loss(X, T, np.array([1e40, 1, 1]))
    assert np.isfinite(network(dtype="float64").loss(X, large))
