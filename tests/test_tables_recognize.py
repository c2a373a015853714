"""What a column of text holds: numbers as people write them, booleans, dates, text; and mistakes among them."""

from __future__ import annotations

import datetime
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.datasets.tables.column import Form
from chainrule.datasets.tables.recognize import recognize
from chainrule.errors import DataError


def column(*cells, **options):
    return recognize("price", np.array(cells, object), "data.csv", **options)


def read(*cells, **options):
    """The values, with None where they are missing; texts instead of their positions."""
    found = column(*cells, **options)
    if found.form.kind == "text":
        return [None if k < 0 else found.texts[k] for k in found.values.tolist()]
    return [None if value != value else value for value in found.values.tolist()]


@pytest.mark.parametrize(
    ("cells", "values", "written"),
    [
        (["1", " 2.5 ", "-3e2", ".5", "+5", "5."], [1, 2.5, -300, 0.5, 5, 5], ""),
        (["1,5", "2"], [1.5, 2], "decimal comma"),
        (["1 234", "5"], [1234, 5], ""),
        (["1\u00a0234", "1\u2009234", "1\u202f234", "1'234", "1’234"], [1234] * 5, ""),
        (["1,234.50", "1,234"], [1234.5, 1234], "decimal point"),
        (["1.234,50", "1.234"], [1234.5, 1234], "decimal comma"),
        (["1,234,567", "1,234"], [1234567, 1234], "decimal point"),
        (["12,34,567", "1,234"], [1234567, 1234], "decimal point"),
        (["1,234", "2,500"], [1234, 2500], "decimal point"),
        (["1.234", "2.500"], [1.234, 2.5], ""),
        (["0,125", "2,500"], [0.125, 2.5], "decimal comma"),
        (["$3.20", "-$4", "$-5", "6"], [3.2, -4, -5, 6], "$"),
        (["3,20 €", "4€"], [3.2, 4], "€, decimal comma"),
        (["USD 5", "USD 1,250"], [5, 1250], "USD, decimal point"),
        (["10 %", "2.5%"], [10, 2.5], "%"),
        (["(1,234)", "5", "($6)"], [-1234, 5, -6], "$, decimal point"),
        (["5-", "6"], [-5, 6], ""),
        (["\u22125", "6"], [-5, 6], ""),
        (["1.2k", "3M", "4", "2K", "1.5bn"], [1200, 3e6, 4, 2000, 1.5e9], ""),
        (["$1.2k", "$3B"], [1200, 3e9], "$"),
        (["5 kg", "6kg", "1,250 kg"], [5, 6, 1250], "kg, decimal point"),
        (["5 km/h", "0"], [5, 0], "km/h"),
        (["20 °C", "-3.5 °C"], [20, -3.5], "°C"),
        (["5 m", "7 m"], [5, 7], "m"),
        (["20230105", "2023"], [20230105, 2023], ""),
    ],
)
def test_numbers_as_people_write_them(cells, values, written):
    found = column(*cells)
    assert found.form == Form("number", written)
    np.testing.assert_allclose(found.values, values, rtol=1e-15)
    again = recognize("price", np.array(cells, object), "data.csv", found.form)
    np.testing.assert_array_equal(again.values, found.values)


@pytest.mark.parametrize(
    "cells",
    [
        ["5 kg", "6 lb"],
        ["5 kg", "6"],
        ["10 %", "0.5"],
        ["$5", "€6"],
        ["1,2,3", "4"],
        ["12.34.56", "1"],
        ["192.168.0.1", "10.0.0.1"],
        ["A12", "B13"],
        ["1_000", "2"],
        ["1-2", "3-4"],
        ["(5", "6)"],
        ["--5", "6"],
        ["5 Jan", "6 Feb"],
        ["14:05", "red"],
        ["2023-01-05", "red"],
        ["2023-02-30", "2023-02-28"],
        ["13/13/2023", "01/01/2023"],
        ["13/01/2023", "01/13/2023"],
        ["25:00", "12:00"],
        ["yes", "true"],
        ["yes", "maybe"],
        ["True", "2"],
        ["M", "F"],
    ],
)
def test_what_is_text(cells):
    assert column(*cells).form == Form("text")
    assert read(*cells) == cells


def test_texts_are_sorted_and_without_spaces():
    found = column("red ", "blue", None, " red", "NA")
    assert (found.texts, found.values.tolist(), found.values.dtype) == (
        ["blue", "red"],
        [1, 0, -1, 1, -1],
        np.int32,
    )
    assert found.missing.tolist() == [False, False, True, False, True]


def test_the_decimal_sign_that_is_known_is_obeyed():
    assert read("1,234", decimal=",") == [1.234]
    assert read("1,234", decimal=".") == [1234]
    assert read("1.234", decimal=",") == [1234]
    assert read("1,5", decimal=".") == ["1,5"]


def test_an_earlier_table_decides_what_the_cells_leave_open():
    assert read("1,234", form=Form("number", "decimal comma")) == [1.234]
    assert read("1,234", form=Form("number", "€, decimal comma")) == [1.234]
    assert read("1,234", form=Form("number", "$")) == [1234]
    assert read("1,234.5", form=Form("number", "decimal comma")) == [1234.5]
    assert read("5", form=Form("number", "kg")) == [5]
    assert read("01/02/2023", form=Form("date", "day first")) == [19389]
    assert read("01/02/2023", form=Form("date", "month first")) == [19359]
    assert read("2023-02-01", form=Form("date", "month first")) == [19389]
    assert read("true", "0", "YES", form=Form("boolean", "yes/no")) == [1, 0, 1]
    assert read("01", "1.0", form=Form("text")) == ["01", "1.0"]


@pytest.mark.parametrize(
    ("form", "wrong", "message"),
    [
        (Form("number"), "red", "expected a number as in training, got 'red'"),
        (Form("number", "kg"), "5 lb", "expected a number in kg"),
        (Form("date", "day first"), "01/13/2023", r"expected a date \(day first\)"),
        (Form("date", "time"), "2023-01-01", r"expected a date \(time\)"),
        (Form("boolean", "t/f"), "maybe", "expected t/f as in training"),
    ],
)
def test_a_cell_that_is_not_as_the_form_says(form, wrong, message):
    with pytest.raises(DataError, match=rf"^data.csv: data row 2, column 'price': {message}"):
        column("", wrong, form=form)


def test_a_mistake_among_numbers_is_named():
    numbers = [f"{k}.5" for k in range(30)]
    with pytest.raises(
        DataError, match=r"data row 31, column 'price': expected a number as in other rows, got 'abc'"
    ):
        column(*numbers, "abc")
    with pytest.raises(
        DataError, match=r"missing=\('5 lb',\), or leave the column out with drop=\['price'\]$"
    ):
        column(*[f"{number} kg" for number in numbers], "5 lb")
    assert read(*numbers, "abc", missing=["abc"])[-1] is None
    with pytest.raises(DataError, match=r"data row 31, .* got 'abc'"):
        column(*numbers, *["abc"] * 4)
    with pytest.raises(DataError, match=r"data row 201, .* got 'abc'"):
        column(*[str(k % 20) for k in range(200)], "abc")


@pytest.mark.parametrize("text", ["9" * 400, "1e999", "-1e999", "inf", "-Infinity", "$" + "9" * 400])
def test_a_number_that_no_float_can_hold(text):
    with pytest.raises(
        DataError, match=r"data row 2, column 'price': expected a finite number, got .* too large"
    ):
        column("$1" if text[0] == "$" else "1", text)


def test_missing_words():
    words = [
        "",
        None,
        "NA",
        " - ",
        "--",
        ".",
        "n.a.",
        "#DIV/0!",
        "#VALUE!",
        "#REF!",
        "missing",
        "Unknown",
        "?",
    ]
    assert read("1", *words) == [1, *[None] * len(words)]
    assert read("a", *words) == ["a", *[None] * 10, "missing", "Unknown", None]
    assert read("+", "-", ".") == ["+", "-", "."]
    assert read("1", "gone", missing=("gone",)) == [1, None]
    assert read("", None) == [None, None]
    assert column("", None).form == Form("number")
    assert read("unknown") == ["unknown"]


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        (["true", "FALSE", "True"], "true/false"),
        (["yes", "No", "YES"], "yes/no"),
        (["t", "F", "T"], "t/f"),
        (["Y", "n", "y"], "y/n"),
    ],
)
def test_booleans(cells, written):
    found = column(*cells, "NA")
    assert found.form == Form("boolean", written)
    np.testing.assert_array_equal(found.values, [1, 0, 1, np.nan])


def days(*moment):
    return (datetime.datetime(*moment) - datetime.datetime(1970, 1, 1)) / datetime.timedelta(days=1)


@pytest.mark.parametrize(
    ("cells", "values", "written"),
    [
        (["2023-01-05", "1969-12-31"], [days(2023, 1, 5), -1], "year first"),
        (["2023/12/31", "2023/1/5"], [days(2023, 12, 31), days(2023, 1, 5)], "year first"),
        (
            ["2023-01-05T12:00", "2023-01-05 18:30:36.5"],
            [days(2023, 1, 5, 12), 19362 + 66636.5 / 86400],
            "year first",
        ),
        (
            ["2023-01-05T12:00Z", "2023-01-05T12:00:00+02:00"],
            [days(2023, 1, 5, 12), days(2023, 1, 5, 10)],
            "year first",
        ),
        (["2023-1-5 12:00 -0130"], [days(2023, 1, 5, 13, 30)], "year first"),
        (["31/12/2023", "01/02/2023"], [days(2023, 12, 31), days(2023, 2, 1)], "day first"),
        (["12/31/2023", "01/02/2023"], [days(2023, 12, 31), days(2023, 1, 2)], "month first"),
        (
            ["01/02/2023 2:30 PM", "01/13/2023 12:00 am"],
            [days(2023, 1, 2, 14, 30), days(2023, 1, 13)],
            "month first",
        ),
        (["31.12.2023", "1.2.2023"], [days(2023, 12, 31), days(2023, 2, 1)], "day first"),
        (["01/02/2023"], [days(2023, 1, 2)], "month first"),
        (["01.02.2023"], [days(2023, 2, 1)], "day first"),
        (["12/31/99", "01/02/05"], [days(1999, 12, 31), days(2005, 1, 2)], "month first"),
        (
            ["5 Jan 2023", "6 February 2023", "7-Sept-2023"],
            [19362, days(2023, 2, 6), days(2023, 9, 7)],
            "month named",
        ),
        (["Jan 5, 2023", "Jan-6-2023"], [19362, 19363], "month named"),
        (["5 January 2023", "February 6 2023"], [19362, days(2023, 2, 6)], "month named"),
        (["14:05", "6:00:30", "11:00 pm"], [845 / 1440, 21630 / 86400, 23 / 24], "time"),
    ],
)
def test_dates(cells, values, written):
    found = column(*cells, "NA")
    assert found.form == Form("date", written)
    np.testing.assert_allclose(found.values, [*values, np.nan], rtol=0, atol=1e-9)
    again = recognize("price", np.array(cells, object), "data.csv", found.form)
    np.testing.assert_array_equal(again.values, found.values[:-1])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_numbers_keep_their_bits(numbers):
    assert column(*map(repr, numbers)).values.tolist() == numbers


@given(
    st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=9),
    st.sampled_from(["{:,}", "${:,}", "{:,} kg"]),
)
def test_whole_numbers_with_thousands_keep_their_value(numbers, written):
    assert column(*[written.format(each) for each in numbers]).values.tolist() == numbers


@given(st.lists(st.text(max_size=9), min_size=1, max_size=9))
def test_any_text_is_a_column_or_an_error_of_ours(cells):
    try:
        found = column(*cells)
    except DataError:
        return
    assert len(found.values) == len(cells)
    if found.form.kind != "text":
        assert not np.isinf(found.values).any()


def test_many_different_texts_take_no_long_time():
    start = time.perf_counter()
    assert column(*[f"name {k}" for k in range(100_000)]).form == Form("text")
    assert column("1" * 900 + "(", "5" * 100_000 + "x", ("9 " * 50_000) + "!").form == Form("text")
    assert time.perf_counter() - start < 20
