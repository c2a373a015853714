"""What is learnt of a table's columns: the transformers' own results, from a function that needs no
scikit-learn."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

import chainrule as cr
from chainrule.datasets import Table, load_table
from chainrule.datasets.tables import Preparation
from chainrule.datasets.tables.preparation import PERIODS, turns
from chainrule.errors import ArgumentError, ChainruleWarning, DataError, FileError

DAY = pandas.Timedelta(days=1)


def a_frame(rows: int, seed: int, missing: float) -> pandas.DataFrame:
    """A frame with every kind of column, and a share of missing cells."""
    rng = np.random.default_rng(seed)
    frame = pandas.DataFrame(
        {
            "size": rng.normal(3, 2, rows),
            "count": rng.integers(0, 9, rows),
            "smoker": rng.random(rows) < 0.3,
            "island": rng.choice(["Biscoe", "Dream", "Torgersen", "ä, b"], rows),
            "when": pandas.Timestamp("2020-01-05 06:00")
            + pandas.to_timedelta(rng.integers(0, 20_000, rows), "h"),
        }
    ).astype({"count": "Int64", "smoker": "boolean"})
    for name in frame:
        frame.loc[rng.random(rows) < missing, name] = None
    return frame


def numbers(table: Table) -> np.ndarray:
    return table.x


def days(values: Any) -> Any:
    """Days since 1970-01-01 of a column of dates."""
    return ((pandas.DataFrame(values) - pandas.Timestamp(0)) / DAY).to_numpy(float)


def by_transformers(train: pandas.DataFrame, other: pandas.DataFrame) -> dict[str, np.ndarray]:
    """The columns of the other frame as scikit-learn's transformers make them, fitted to the first."""
    objects = FunctionTransformer(
        lambda x: pandas.DataFrame(x).astype(object).where(lambda f: f.notna(), np.nan)
    )
    numbers = FunctionTransformer(
        lambda x: pandas.DataFrame(x).astype("Float64").to_numpy(float, na_value=np.nan)
    )
    whole = ColumnTransformer(
        [
            ("size", make_pipeline(numbers, SimpleImputer(strategy="median")), ["size"]),
            ("count", make_pipeline(numbers, SimpleImputer(strategy="median")), ["count"]),
            ("smoker", make_pipeline(numbers, SimpleImputer(strategy="most_frequent")), ["smoker"]),
            (
                "island",
                make_pipeline(
                    objects,
                    SimpleImputer(strategy="most_frequent"),
                    OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                ),
                ["island"],
            ),
            ("when", make_pipeline(FunctionTransformer(days), SimpleImputer(strategy="median")), ["when"]),
        ]
    ).fit(train)
    result = np.asarray(whole.transform(other), float)
    return {name: result[:, part] for name, part in whole.output_indices_.items()}


@given(
    rows=st.integers(12, 60),
    seed=st.integers(0, 2**32 - 1),
    missing=st.sampled_from([0.0, 0.03, 0.3]),
)
@settings(max_examples=20, deadline=None)
def test_the_numbers_are_those_of_the_transformers(rows: int, seed: int, missing: float) -> None:
    train, other = a_frame(rows, seed, missing), a_frame(rows, seed + 1, 0.2)
    other.loc[0, "island"] = "never seen"
    table = load_table(train, None)
    preparation = Preparation.from_dict(json.loads(json.dumps(table.preparation.to_dict())))
    assert preparation == table.preparation
    for frame in (train, other):
        x = load_table(frame, None, preparation=preparation).x
        expected, start = by_transformers(train, frame), 0
        for each in preparation.encodings:
            part = x[:, start : start + len(each.names)]
            start += len(each.names)
            if each.indicator:
                np.testing.assert_array_equal(part[:, -1], frame[each.name].isna())
                part = part[:, :-1]
            if each.is_constant:  # of which nothing was learnt
                expected[each.name] = np.broadcast_to(
                    by_transformers(train, train)[each.name][:1], part.shape
                )
            whole = part[:, : 1 if each.cycles else None] + each.offset
            np.testing.assert_allclose(whole, expected[each.name], rtol=1e-12, atol=1e-9)
            for k, cycle in enumerate(each.cycles):
                angle = 2 * np.pi * expected[each.name][:, 0] / PERIODS[cycle]
                np.testing.assert_allclose(part[:, 1 + 2 * k], np.sin(angle), atol=1e-6)
                np.testing.assert_allclose(part[:, 2 + 2 * k], np.cos(angle), atol=1e-6)
        assert start == x.shape[1] == len(preparation.names)


def test_an_indicator_stands_where_one_cell_in_twenty_is_missing() -> None:
    frame = pandas.DataFrame({"a": [1.0] * 19 + [None], "b": [1.0] * 20})
    more = pandas.concat([frame, frame.iloc[:1]], ignore_index=True)
    assert load_table(frame, None).columns == ["a", "a is missing", "b"]
    assert load_table(more, None).columns == ["a", "b"]


def test_dates_tell_the_time_of_year_of_the_week_and_of_day() -> None:
    noon = pandas.date_range("2020-01-01 12:00", periods=800, freq="D")
    hours = pandas.date_range("2020-01-01", periods=48, freq="h")
    same = [pandas.Timestamp("2020-02-02")] * 5
    cycles = lambda values: load_table(pandas.DataFrame({"d": values}), None).preparation.encodings[0].cycles  # noqa: E731
    assert cycles(noon) == ("time of year", "day of the week")
    assert cycles(hours) == ("time of day",)
    assert cycles(same) == ()
    sine, cosine = turns(np.array([0.0, 0.25, 0.5]), "time of day")
    np.testing.assert_allclose([sine, cosine], [[0, 1, 0], [1, 0, -1]], atol=1e-12)


def test_numbers_too_fine_for_float32_lose_what_they_share() -> None:
    values = 1.7e9 + np.arange(10.0)
    x = load_table(pandas.DataFrame({"seconds": values, "plain": np.arange(10.0)}), None).x
    assert len(np.unique(x[:, 0].astype(np.float32))) == 10
    np.testing.assert_array_equal(np.diff(x[:, 0]), 1)
    np.testing.assert_array_equal(x[:, 1], np.arange(10.0))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None] * 30, "no row has a value"),
        (["same"] * 30, "the same text in every row"),
        ([f"N{k}" for k in range(30)], "text that differs from row to row (30 different in 30 rows)"),
        ([f"N{k % 12}" for k in range(30)], "text of 12 different values; most_categories=12 would take it"),
    ],
)
def test_columns_of_no_use_are_left_out_and_named(values: list[Any], reason: str) -> None:
    frame = pandas.DataFrame({"odd": values, "a": range(5, 35)})
    table = load_table(frame, None, most_categories=11)
    assert table.columns == ["a"]
    assert table.notes[-1] == f"left out: 'odd': {reason}"
    with pytest.raises(DataError, match=r"column 'odd': .*; strict refuses it: leave it out, drop="):
        numbers(load_table(frame, None, most_categories=11, strict=True))
    assert load_table(frame, None, drop=["odd"], strict=True).columns == ["a"]
    with pytest.raises(DataError, match="expected a column to learn from, got none: 'odd'"):
        numbers(load_table(frame[["odd"]], None, most_categories=11))


def test_a_column_that_counts_the_rows_is_left_out() -> None:
    frame = pandas.DataFrame({"id": range(1, 41), "year": range(1990, 2030), "t": [0.5, 1.5] * 20})
    frame.loc[3, "t"] = None
    table = load_table(frame, "t")
    assert (table.columns, table.notes[-1]) == (["year"], "left out: 'id': it counts the rows")
    train, test = table.split()
    assert train.columns == test.columns == ["year"]
    assert ("id", "it counts the rows") in train.preparation.left_out
    assert load_table(frame[["year"]], None, preparation=train.preparation).x.shape == (40, 1)
    assert load_table(frame.iloc[::-1], "t").columns == ["id", "year"]
    assert load_table(frame[["id", "t"]], "t").columns == ["id"]
    assert load_table(frame.rename(columns={"id": "Unnamed: 0"}), "t").columns == ["year"]


def test_what_was_constant_in_training_stays_so() -> None:
    """A weight that nothing could be learnt for has no say in a prediction."""
    frame = pandas.DataFrame(
        {"year": 2023, "on": True, "c": ["a", None] * 10, "day": pandas.Timestamp("2020-02-02")}
    )
    frame["a"] = np.arange(20.0)
    preparation = load_table(frame, None).preparation
    other = pandas.DataFrame({"year": [2033], "on": [False], "c": ["b"], "day": ["2021-01-01"], "a": [3.0]})
    table = load_table(other, None, preparation=preparation)
    expected = load_table(frame.iloc[[4]].assign(a=3.0), None, preparation=preparation).x
    np.testing.assert_array_equal(table.x, expected)
    assert "far off: 2033 in 'year' (data row 1; training had 2023 only, which it counts as)" in "".join(
        table.notes
    )
    assert "never seen: 'b' in 'c'" in "".join(table.notes)


def test_numbers_far_from_those_of_training_are_said() -> None:
    preparation = load_table(
        pandas.DataFrame({"built": range(1900, 2020), "b": np.arange(120.0)}), None
    ).preparation
    other = pandas.DataFrame({"built": [1850, 19900, 2100], "b": [0, -121, None]})
    table = load_table(other, None, preparation=preparation)
    assert table.notes[-1] == (
        "far off: 19,900 in 'built' (data row 2; training had 1900 to 2019), -121 in 'b' (data row 2; training had "
        "0 to 119)"
    )
    assert len(load_table(other[:1], None, preparation=preparation).notes) == 0
    with pytest.raises(DataError, match=r"far off: 19,900 in 'built' .*strict refuses it"):
        numbers(load_table(other[:2], None, preparation=preparation, strict=True))


def test_yearly_dates_have_no_time_of_year() -> None:
    yearly = pandas.DataFrame({"d": [f"{year}-01-01" for year in range(1970, 1995)]})
    assert load_table(yearly, None).preparation.encodings[0].cycles == ("day of the week",)


def test_words_for_missing_and_what_was_dropped_are_kept() -> None:
    frame = pandas.DataFrame(
        {"a": [1.0, -999, 3, 4] * 5, "b": ["u", "v", "nope", "u"] * 5, "c": ["x", "y"] * 10}
    )
    preparation = load_table(frame, None, missing=["-999", "nope"], drop=["c"]).preparation
    assert [each.fill for each in preparation.encodings] == [3, "u"]
    assert Preparation.from_dict(preparation.to_dict()) == preparation
    table = load_table(frame, None, preparation=preparation, strict=False)
    assert table.x[1, 0] == 3
    assert "further" not in "".join(table.notes)
    assert not any(note.startswith("the frame: not used") for note in table.notes)
    with pytest.raises(ArgumentError, match="trained on the column 'a', and needs it"):
        load_table(frame, None, preparation=preparation, drop=["a"])


def test_rows_are_called_by_their_place_in_the_table() -> None:
    frame = pandas.DataFrame({"a": [1.0] * 4 + [2.0] * 36, "c": ["u", "v"] * 20, "t": [0.5, 1.5] * 20})
    preparation = load_table(frame, "t").preparation
    other = frame.assign(t=[None, None, *frame["t"][2:]], c=["u", "v", "w", *frame["c"][3:]])
    table = load_table(other, "t", preparation=preparation)
    assert table.numbers.tolist() == list(range(3, 41))
    assert "'w' in 'c' (data row 3)" in "".join(table.notes)
    gap = frame.assign(a=[*frame["a"][:-1], None])
    with pytest.raises(DataError, match="data row 40, column 'a': the value is missing; strict refuses it"):
        load_table(gap, "t", strict=True)
    wide = pandas.DataFrame({f"c{k}": [f"v{i % 500}" for i in range(2000)] for k in range(201)})
    with pytest.raises(DataError, match="at most 100,000 columns"):
        numbers(load_table(wide, None, most_categories=500))


def test_a_text_never_seen_is_none_of_the_values_and_said() -> None:
    preparation = load_table(pandas.DataFrame({"c": list("aabb")}), None).preparation
    other = pandas.DataFrame({"c": ["b", "new", "a", "new"], "further": 1})
    table = load_table(other, None, preparation=preparation)
    np.testing.assert_array_equal(table.x, [[0, 1], [0, 0], [1, 0], [0, 0]])
    assert table.notes == [
        "the frame: not used, since training had no such column: 'further'",
        "never seen: 'new' in 'c' (data row 2); taken as none of the values of training",
    ]
    with pytest.raises(DataError, match=r"training had no column 'further'; strict refuses it"):
        load_table(other, None, preparation=preparation, strict=True)
    other = other[["c"]]
    with pytest.raises(DataError, match=r"never seen: 'new' in 'c' \(data row 2\).*; strict refuses it"):
        numbers(load_table(other, None, preparation=preparation, strict=True))
    with pytest.raises(DataError, match="missing: 'c'"):
        load_table(other.rename(columns={"c": "d"}), None, preparation=preparation)


def test_what_was_done_is_said_a_line_a_kind() -> None:
    frame = a_frame(60, 1, 0.1).assign(name=[f"N{k}" for k in range(60)])
    labels = [note.partition(":")[0] for note in load_table(frame, None).notes]
    assert labels == ["booleans", "dates", "text", "filled", "filled", "marked", "left out"]


def test_the_rows_to_test_on_teach_nothing() -> None:
    frame = pandas.DataFrame({"a": np.arange(100.0), "t": list("xy") * 50})
    train, test = load_table(frame, "t").split(0.25, seed=3)
    assert (len(train), len(test)) == (76, 24)
    assert test.preparation is train.preparation
    assert train.preparation.encodings[0].fill == np.median(train.x)
    assert train.preparation.rows == 76
    assert sorted([*train.x[:, 0], *test.x[:, 0]]) == list(range(100))
    with pytest.raises(DataError, match="too few to hold out"):
        load_table(frame.iloc[:2], "t").split()


def test_rows_without_a_target_are_left_out_and_said() -> None:
    frame = pandas.DataFrame({"a": [1.0, 2, 3, 4], "t": [0.5, None, 1.5, None]})
    table = load_table(frame, "t")
    np.testing.assert_array_equal(table.x, [[1], [3]])
    np.testing.assert_array_equal(table.t, [[0.5], [1.5]])
    assert "2 rows without a target are left out, the first is data row 2" in table.notes[0]
    with pytest.raises(DataError, match="data row 2: the value is missing"):
        load_table(frame, "t", strict=True)
    with pytest.raises(DataError, match="all 2 are missing"):
        load_table(frame.iloc[[1, 3]], "t")


@pytest.mark.parametrize(
    "harm",
    [
        lambda p: p["encodings"][0].update(fill=math.inf),
        lambda p: p["encodings"][0].update(offset="0"),
        lambda p: p["encodings"][3].update(fill="elsewhere"),
        lambda p: p["encodings"][3].update(categories=["Dream", "Dream"], fill="Dream"),
        lambda p: p["encodings"][4].update(cycles=["of the moon"]),
        lambda p: p["encodings"][1]["form"].update(kind="matrix"),
        lambda p: p["encodings"].append(p["encodings"][0]),
        lambda p: p.update(rows=None),
        lambda p: p.pop("left_out"),
        lambda p: p.update(encodings=3),
        lambda p: p.update(encodings=[]),
        lambda p: p.update(rows=-1),
        lambda p: p.update(missing="none"),
        lambda p: p["encodings"][0].update(fill=10**400),
        lambda p: p["encodings"][0].update(span=[1]),
        lambda p: p["encodings"][0].update(categories=["u"]),
        lambda p: p["encodings"][3].update(categories="uv", fill="u"),
        lambda p: p["encodings"][3].update(cycles=["time of day"]),
    ],
)
def test_a_damaged_preparation_is_refused(harm: Any) -> None:
    content = json.loads(json.dumps(load_table(a_frame(40, 0, 0.1), None).preparation.to_dict()))
    harm(content)
    with pytest.raises(FileError, match="preparation of tables is damaged"):
        Preparation.from_dict(content)


# In a network


@pytest.fixture
def trained() -> tuple[cr.Network, pandas.DataFrame]:
    frame = a_frame(120, 0, 0.05)
    frame["t"] = np.where(frame["island"] == "Dream", "yes", "no")
    train, test = load_table(frame, "t").split()
    net = cr.Network(
        [cr.Standardize.of(train.x), cr.Affine(20), cr.ReLU(), cr.Affine(2)],
        input_shape=train.x.shape[1],
        loss="cross_entropy",
        seed=0,
    )
    net.fit(train.x, train.t, epochs=30)
    net.classes, net.preparation = train.classes, train.preparation
    assert net.accuracy(test.x, test.t) == 1
    return net, frame


def test_a_network_takes_the_raw_frame(trained: tuple[cr.Network, pandas.DataFrame]) -> None:
    net, frame = trained
    x = load_table(frame, "t", preparation=net.preparation).x
    np.testing.assert_array_equal(net.predict(frame), net.predict(x))
    assert net.accuracy(frame, frame["t"]) == 1
    assert net.astype("float64").preparation == net.preparation
    with pytest.warns(ChainruleWarning, match="never seen: 'Mars' in 'island'") as caught:
        net.predict(frame.assign(island="Mars"))
    assert caught[0].filename == __file__
    net.preparation = load_table(frame[["size"]], None).preparation
    with pytest.raises(ArgumentError, match=r"it makes . numbers of a row, .* with input_shape="):
        net.predict(frame)


def test_neither_learning_from_a_table_nor_predicting_needs_scikit_learn(
    trained: tuple[cr.Network, pandas.DataFrame], tmp_path: Any
) -> None:
    net, frame = trained
    cr.save(net, tmp_path / "model.safetensors")
    frame.to_pickle(tmp_path / "frame.pickle")
    program = (
        "import sys, pandas; sys.modules['sklearn'] = None; import chainrule as cr\n"
        "net = cr.load('model.safetensors'); frame = pandas.read_pickle('frame.pickle')\n"
        "assert cr.datasets.load_table(frame, 't').preparation is not None\n"
        "print(''.join(net.classify(frame)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "".join(net.classify(frame))
