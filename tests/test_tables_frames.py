"""Frames of pandas and polars: read as a file of the same table is, or refused with the cell named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas
import pytest

from chainrule.datasets import load_table
from chainrule.datasets.tables import Table
from chainrule.errors import ArgumentError, DataError

FRAME = pandas.DataFrame(
    {
        "size": [1.5, 2.5, None, 4.0] * 10,
        "rooms": [1, 2, 3, 4] * 10,
        "city": ["Bonn", "Rome", None, "Oslo"] * 10,
        "garden": [True, False, True, False] * 10,
        "built": ["3/12/2001", "14/1/2002", "5/6/2003", "7/8/2004"] * 10,
        "rent": ["$1,200.50", "$900", "$1,100", "$2,000"] * 10,
        "t": [" yes", "no", "yes", "no"] * 10,
    }
)


def test_a_frame_is_read_as_its_file(tmp_path: Any) -> None:
    FRAME.to_csv(tmp_path / "table.csv", index=False)
    of_file, of_frame = load_table(tmp_path / "table.csv", "t"), load_table(FRAME, "t")
    assert of_frame.classes == of_file.classes == ["no", "yes"]
    assert of_frame.columns == of_file.columns
    np.testing.assert_array_equal(of_frame.x, of_file.x)
    np.testing.assert_array_equal(load_table(FRAME, "t", preparation=of_file.preparation).x, of_file.x)
    assert repr(of_frame) == "<Table: 40 rows of 6 columns, target 't', 2 classes>"


def test_names_are_as_in_a_file() -> None:
    preparation = load_table(FRAME[["size", "rooms"]], None).preparation
    spaced = FRAME.rename(columns={"size": " size", "rooms": "rooms "})
    assert load_table(spaced[[" size", "rooms "]], None, preparation=preparation).x.shape == (40, 3)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([1.0, np.inf], "data row 2, column 'a': expected a finite number, got inf"),
        ([1, 10**400], "data row 2, column 'a': expected a finite number, got inf"),
        ([[1, 2], [3]], "data row 1, column 'a': expected a number or text, got a list"),
        ([np.zeros(2), "b"], "data row 1, column 'a': expected a number or text, got a ndarray"),
    ],
)
def test_cells_that_are_no_number_and_no_text_are_named(cells: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_table(pandas.DataFrame({"a": pandas.Series(cells, dtype=object), "b": [1, 2]}), None)
    if isinstance(cells[0], float):
        with pytest.raises(DataError, match=message):
            load_table(pandas.DataFrame({"a": cells, "b": [1, 2]}), None)


def test_numbers_of_python_and_words_for_missing() -> None:
    frame = pandas.DataFrame({"a": [Decimal("1.5"), Decimal("NaN"), 3], "b": [1.0, -999.0, 5.0]})
    table = load_table(frame, None, missing=["-999", 5])
    np.testing.assert_array_equal(table.x[:, [0, 2]], [[1.5, 1], [2.25, 1], [3, 1]])
    assert load_table(frame, None, columns=["b"]).columns == ["b"]


def test_booleans_are_true_or_false() -> None:
    preparation = load_table(FRAME[["garden", "size"]], None).preparation
    frame = FRAME[["garden", "size"]].assign(garden=[1.0, 0.0, None, 1.0] * 10)
    assert load_table(frame, None, preparation=preparation).x[:4, 0].tolist() == [1, 0, 0, 1]
    with pytest.raises(DataError, match="data row 2, column 'garden': expected True or False, 1 or 0"):
        load_table(frame.assign(garden=[1.0, 0.5] * 20), None, preparation=preparation)


@pytest.mark.parametrize("unit", ["ns", "us", "s"])
def test_dates_are_no_target(unit: str) -> None:
    frame = FRAME.assign(t=pandas.date_range("2020-01-01", periods=40).astype(f"datetime64[{unit}]"))
    with pytest.raises(DataError, match="target 't': expected text, booleans or numbers, got dates or times"):
        load_table(frame, "t")
    with pytest.raises(DataError, match="got dates or times"):
        load_table(frame.assign(t=frame["t"] - frame["t"][0]), "t")


@pytest.mark.parametrize("source", [FRAME["size"], {"a": [1]}, 5, None])
def test_what_is_no_table_is_said(source: Any) -> None:
    with pytest.raises(ArgumentError, match="expected the path of a file, or a frame of pandas or polars"):
        load_table(source, None)


def test_a_target_written_as_people_do_is_said() -> None:
    table: Table = load_table(FRAME, "rent")
    np.testing.assert_array_equal(table.t[:3, 0], [1200.5, 900, 1100])
    assert any("target 'rent' is read as numbers written '$1,200.50'" in note for note in table.notes)


def test_a_long_cell_costs_its_length_alone() -> None:
    frame = pandas.DataFrame({"a": np.arange(20_000.0), "t": ["u", "v"] * 9_999 + ["u", "x" * 1_000_000]})
    table = load_table(frame, "t")
    assert len(table.classes or ()) == 3
