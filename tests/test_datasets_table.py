"""Tables: what is read, how targets are understood, and what is said about everything that is wrong."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import warnings
import zipfile

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.datasets import Table, load_table
from chainrule.errors import ArgumentError, ChainruleError, ChainruleWarning, DataError, FileError

IRIS = "length,width,species\n5.1,3.5,setosa\n7,3.2,versicolor\n6.3,3.3,virginica\n4.9,3,setosa\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="data.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


# CSV that is right


def test_text_targets_are_classes(write):
    table = load_table(write(IRIS), target="species")
    assert table.columns == ["length", "width"]
    assert table.target == "species"
    assert table.classes == ["setosa", "versicolor", "virginica"]
    assert table.x.dtype == np.float64
    assert table.t.dtype == np.int64
    np.testing.assert_array_equal(table.x, [[5.1, 3.5], [7, 3.2], [6.3, 3.3], [4.9, 3]])
    np.testing.assert_array_equal(table.t, [0, 1, 2, 0])


def test_without_a_target(write):
    table = load_table(write("a,b\n1,2\n"), target=None)
    assert (table.t, table.target, table.classes, table.columns) == (None, None, None, ["a", "b"])


@pytest.mark.parametrize(
    ("values", "classes", "labels"),
    [
        (["10", "9", "-1", "+9"] * 5, ["-1", "9", "10"], [2, 1, 0, 1] * 5),
        (["1", "01", " 2 "], ["1", "2"], [0, 0, 1]),
        (["True", "False", "True"], ["False", "True"], [1, 0, 1]),
        (["b", " a ", "North", "Nowhere"], ["North", "Nowhere", "a", "b"], [3, 2, 0, 1]),
        (["grün", "blau"], ["blau", "grün"], [1, 0]),
        (["9007199254740993", "9007199254740992"], ["9007199254740992", "9007199254740993"], [1, 0]),
    ],
)
def test_classes_are_sorted(write, values, classes, labels):
    table = load_table(write("a,t\n" + "".join(f"1,{value}\n" for value in values)))
    assert table.classes == classes
    assert table.t.tolist() == labels


@pytest.mark.parametrize("missing", ["NA", "None", "?", "-", "n/a", "NaN", "null", ""])
def test_a_missing_value_is_no_class(write, missing):
    path = write(f"a,t\n1,red\n2,blue\n3,{missing}\n4,red\n")
    for task in (None, "classification"):
        table = load_table(path, task=task)
        assert (table.classes, table.x.tolist()) == (["blue", "red"], [[1], [2], [4]])
        assert f"1 row without a target is left out, the first is data row 3 ({missing!r})" in table.notes[0]
        with pytest.raises(DataError, match=r"data row 3: the value is missing \('.*'\); strict refuses it"):
            load_table(path, task=task, strict=True)
    assert load_table(path, missing=["red"]).classes == ["blue"]
    assert load_table(write(f"a,t\n1,1.5\n2,2\n3,{missing}\n")).t.tolist() == [[1.5], [2]]


def test_a_minus_among_signs_is_a_class(write):
    assert load_table(write("a,t\n1,+\n2,-\n3,+\n")).classes == ["+", "-"]


def test_classes_that_differ_by_case_or_spaces_are_said(write):
    path = write("a,t\n1,red\n2,blue\n3,Red\n4,dark red\n5,red\n")
    with pytest.warns(
        ChainruleWarning, match=r"classes 'red' \(data row 1\) and 'Red' \(data row 3\)"
    ) as caught:
        assert load_table(path).classes == ["Red", "blue", "dark red", "red"]
    assert [each.filename for each in caught] == [__file__]
    with pytest.warns(ChainruleWarning, match=r"'dark red' .* and 'dark  red' .* differ by case or spaces"):
        load_table(write("a,t\n1,dark red\n2,dark  red\n"))


def column(values, cast=str):
    return "a,t\n" + "".join(f"1,{cast(value)}\n" for value in values)


@pytest.mark.parametrize(
    ("values", "cast", "classes", "note"),
    [
        ([0, 1, 1], int, 2, None),
        (range(20), int, 20, "20 different whole numbers: taken as classes; task='regression'"),
        (
            range(21),
            int,
            0,
            "21 different whole numbers: taken as numbers to estimate; task='classification'",
        ),
        (
            range(4),
            float,
            0,
            "4 different whole numbers: taken as numbers to estimate; task='classification'",
        ),
        ([1.5, 2.0, 3.0], float, 0, None),
        ([0.0, 1.0, 1.0], float, 2, "2 different whole numbers: taken as classes; task='regression'"),
        (range(300), float, 0, None),
        ("abc", str, 3, None),
    ],
)
def test_few_whole_numbers_are_classes_and_it_is_said(write, values, cast, classes, note):
    table = load_table(write(column(list(values) * 5, cast)))
    assert len(table.classes or ()) == classes
    assert (len(table.notes) == 1 and note in table.notes[0]) if note else table.notes == []
    for task in ("classification", "regression")[: 1 if cast is str else 2]:
        asked = load_table(write(column(list(values) * 5, cast)), task=task)
        assert asked.notes == []
        assert (asked.classes is None) == (task == "regression")
    array = load_table(write(npz(x=np.ones((5, 2)), t=np.arange(5)), "few.npz"))
    assert array.classes is None
    assert "5 different whole numbers: taken as numbers to estimate" in array.notes[0]


def test_whole_numbers_need_five_rows_of_each_on_average(write):
    values = [1] * 12 + [2, 3]
    assert load_table(write(column(values))).classes is None
    assert load_table(write(column([*values, 1]))).classes == ["1", "2", "3"]


def test_numbers_are_a_regression(write):
    table = load_table(write("a,t\n1,2\n2,2.5\n3,-1e3\n"))
    assert table.classes is None
    assert table.t.dtype == np.float64
    np.testing.assert_array_equal(table.t, [[2], [2.5], [-1000]])


def test_the_task_decides_where_the_guess_is_wrong(write):
    whole, broken = write("a,t\n1,20\n2,3\n", "whole.csv"), write("a,t\n1,1.5\n2,0.0\n", "broken.csv")
    np.testing.assert_array_equal(load_table(whole, task="regression").t, [[20], [3]])
    table = load_table(broken, task="classification")
    assert (table.classes, table.t.tolist()) == (["0", "1.5"], [1, 0])
    table = load_table(write("a,t\n1,1\n2,other\n"), task="classification")
    assert (table.classes, table.t.tolist()) == (["1", "other"], [0, 1])


def test_booleans_and_numbers_of_every_look_are_features(write):
    text = "a,b,c,d,t\n1,True,1e-3, 7,x\n-2,False,.5,99999999999999999999999,y\n"
    np.testing.assert_array_equal(load_table(write(text)).x, [[1, 1, 1e-3, 7], [-2, 0, 0.5, 1e23]])


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (IRIS.replace("\n", "\r\n"), {}),
        ("\n" + IRIS.replace("\n", "\n\n"), {}),
        (IRIS.replace(",", ", "), {}),
        (IRIS.replace(",", " ,"), {}),
        ("\ufeff" + IRIS, {}),
        (IRIS.replace(",", ";"), {"separator": ";"}),
        (IRIS.encode("utf-16"), {"encoding": "utf-16"}),
        (IRIS.replace("setosa", '"setosa"'), {}),
        (IRIS.rstrip("\n"), {}),
    ],
)
def test_the_same_table_in_other_dress(write, content, options):
    table, plain = (
        load_table(write(content), "species", **options),
        load_table(write(IRIS, "plain.csv"), "species"),
    )
    assert (table.columns, table.classes) == (plain.columns, plain.classes)
    np.testing.assert_array_equal(table.x, plain.x)
    np.testing.assert_array_equal(table.t, plain.t)


def test_tabs(write):
    assert load_table(write(IRIS.replace(",", "\t"), "data.tsv"), "species").x.shape == (4, 2)


@given(st.lists(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2), min_size=1, max_size=9))
@settings(max_examples=50, deadline=None)
def test_numbers_survive_csv(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("numbers") / "data.csv"
    pandas.DataFrame(rows, columns=["a", "b"]).to_csv(path, index=False)
    table = load_table(path, None)
    shared = [each.offset for each in table.preparation.encodings]
    np.testing.assert_allclose(table.x + shared, rows, rtol=1e-15, atol=1e-300)


# Features in the order of training


def test_columns_are_ordered_and_further_ones_ignored(write):
    path = write("c,note,a,t,b\n3,hello,1,x,2\n30,,10,y,20\n")
    table = load_table(path, columns=["a", "b", "c"])
    assert table.columns == ["a", "b", "c"]
    np.testing.assert_array_equal(table.x, [[1, 2, 3], [10, 20, 30]])
    assert load_table(path, None, columns=("b",)).x.tolist() == [[2], [20]]


def test_columns_that_are_missing_are_all_named(write):
    with pytest.raises(DataError, match=r"missing: 'widht' \(did you mean 'width'\?.*; 'other' \(Known"):
        load_table(write(IRIS), None, columns=["length", "widht", "other"])


@pytest.mark.parametrize("columns", [["length", "length"], ["length", "species"], "length"])
def test_columns_that_make_no_sense(write, columns):
    with pytest.raises(ArgumentError):
        load_table(write(IRIS), "species", columns=columns)


# CSV that is wrong

MESSAGES = [
    ("a,b,t\n1,2,x\n3,inf,y\n", DataError, r"data row 2, column 'b': expected a finite number, got 'inf'"),
    (
        "a,b,t\n1,2,x\n3,-1e999,y\n",
        DataError,
        r"data row 2, column 'b': expected a finite number, got '-1e999', too large",
    ),
    ("a,b,t\n1,2,\n3,4,\n", DataError, r"target 't': expected values, got none: all 2 are missing"),
    ("a,b,t\n1,2,1.5\n3,4,low\n", DataError, r"target 't', data row 2: expected a number as in other rows"),
    ("a,b,t\n1,2,1.5\n3,4,1e999\n", DataError, r"target 't', data row 2: expected a finite number"),
    ("", DataError, r"got an empty file"),
    ("\n \n\n", DataError, r"got an empty file"),
    ("a,b,t\n", DataError, r"expected rows of data below the header, got none"),
    ("a,b,t\n1,2\n3,4,y\n", DataError, r"line 2: expected 3 values, as the header has, got 2"),
    ("a,b,t\n1,2,x,9\n", DataError, r"line 2: expected 3 values, as the header has, got 4"),
    ("a,b,t\n1,2,x\n3,4\n", DataError, r"line 3: expected 3 values, as the header has, got 2"),
    ("a,b,t\n1,2,x\n\n3\n", DataError, r"line 4: expected 3 values, as the header has, got 1"),
    ("a,b,t\n1,2,x\n3,4,y,5\n", DataError, r"line 3: expected 3 values, as the header has, got 4"),
    ('a,b,t\n1,2,"x\n3,4,y\n', DataError, r"line 2: a double quote is opened there that is not closed"),
    ("t\nx\ny\n", DataError, r"at least one feature beside the target"),
    (
        "a,b\n1,2\n",
        ArgumentError,
        r"no column 't' for the target; Known: a, b; target=None reads features only",
    ),
    (npz(x=np.eye(2)), FileError, r"got a binary file"),
]


@pytest.mark.parametrize(("content", "kind", "message"), MESSAGES, ids=[each[2] for each in MESSAGES])
def test_what_is_wrong_in_csv_is_said(write, content, kind, message):
    with pytest.raises(kind, match=message) as raised:
        load_table(write(content))
    assert "data.csv" in str(raised.value)


def test_a_target_that_is_misspelled(write):
    with pytest.raises(ArgumentError, match="did you mean 'species'"):
        load_table(write(IRIS), "speices")
    with pytest.raises(ArgumentError, match="expected the name of the target column, got the number 2"):
        load_table(write(IRIS), 2)


def test_text_where_a_regression_was_asked_for(write):
    with pytest.raises(DataError, match="data row 1: expected a number"):
        load_table(write(IRIS), "species", task="regression")


@pytest.mark.parametrize("name", ["data.csv", "data.npz", "data.npy"])
def test_files_that_cannot_be_opened(tmp_path, name):
    with pytest.raises(FileError, match=f"could not read .*{name}: No such file"):
        load_table(tmp_path / name, None)
    (tmp_path / name).mkdir()
    with pytest.raises(FileError, match=r"could not read .*directory"):
        load_table(tmp_path / name, None)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(write):
    path = write(IRIS)
    path.chmod(0)
    with pytest.raises(FileError, match="Permission denied"):
        load_table(path, "species")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "clustering"}, "unknown task 'clustering'"),
        ({"separator": ",,"}, "one ASCII character"),
        ({"encoding": "klingon"}, "unknown encoding 'klingon'"),
        ({"header": "yes"}, "header: expected True, False or None"),
        ({"most_categories": 0}, "most_categories: expected a whole number of at least 1"),
        ({"most_categories": "x"}, "most_categories: expected a whole number"),
    ],
)
def test_arguments_that_make_no_sense(write, options, message):
    with pytest.raises(ArgumentError, match=message):
        load_table(write(IRIS), "species", **options)


def test_an_unknown_ending(write):
    for name in ("data.odd", "data"):
        with pytest.raises(ArgumentError, match=r"ends in \.csv"):
            load_table(write(IRIS, name), "species")


# NumPy files


@pytest.mark.parametrize(
    ("t", "classes", "expected"),
    [
        (np.array([10, 9, 10]), ["9", "10"], [1, 0, 1]),
        (np.array([True, False, True]), ["False", "True"], [1, 0, 1]),
        (np.array(["b", "a", "b"]), ["a", "b"], [1, 0, 1]),
        (np.array([[3], [1], [3]], np.uint8), ["1", "3"], [1, 0, 1]),
        (np.array([0.5, 1, 2]), None, [[0.5], [1], [2]]),
        (np.array([[0.5], [1], [2]], np.float32), None, [[0.5], [1], [2]]),
    ],
)
def test_npz(write, t, classes, expected):
    table = load_table(write(npz(x=np.arange(6).reshape(3, 2), t=t, other=np.eye(9)), "data.npz"))
    assert table.columns == ["x0", "x1"]
    assert table.classes == classes
    assert table.x.dtype == np.float64
    assert table.t.dtype == (np.float64 if classes is None else np.int64)
    np.testing.assert_array_equal(table.x, [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(table.t, expected)


def test_npz_with_other_names(write):
    path = write(npz(x=np.eye(2, dtype=np.float32), label=[1, 2]), "data.npz")
    assert load_table(path, "label").classes == ["1", "2"]
    assert load_table(path, None).t is None
    assert load_table(path, None).x.dtype == np.float32
    assert load_table(path, None, columns=["x1", "x0"]).x.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(ArgumentError, match="no array 't' for the target"):
        load_table(path)


def test_nan_in_arrays_is_a_missing_cell(write):
    path = write(npz(x=np.array([[1, np.nan], [3, 4], [5, 6]]), t=np.array([1.0, np.nan, 3])), "data.npz")
    table = load_table(path)
    assert table.x.tolist() == [[1, 6, 1], [5, 6, 0]]
    assert table.columns == ["x0", "x1", "x1 is missing"]
    assert "1 row without a target is left out, the first is data row 2" in table.notes[0]
    other = load_table(write(npy(np.array([[np.nan, 2]])), "other.npy"), None, preparation=table.preparation)
    assert other.x.tolist() == [[3, 6, 0]]  # training had one value only, which all others count as
    assert other.notes[-1].startswith("far off: 2 in 'x1' (data row 1; training had 6 only")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"t": np.arange(2)}, "expected an array 'x' of features, got t"),
        ({"x": np.arange(2), "t": np.arange(2)}, r"shape \(N, D\), got \(2,\)"),
        ({"x": np.ones((2, 2, 2)), "t": np.arange(2)}, r"got \(2, 2, 2\); for example reshape"),
        ({"x": np.eye(2), "t": np.arange(3)}, r"one target for each row: x has shape \(2, 2\), t has \(3,\)"),
        ({"x": np.eye(2), "t": np.array(3)}, "one target for each row"),
        ({"x": np.eye(2), "t": np.eye(2)}, r"argmax"),
        ({"x": np.eye(2), "t": np.array([1.0, np.inf])}, "target 't', data row 2: expected a finite number"),
        ({"x": np.eye(2), "t": np.array([1j, 2])}, "expected text, booleans or numbers, got complex128"),
        (
            {"x": np.array([[1, np.inf]]), "t": np.arange(1)},
            "data row 1, column 'x1': expected a finite number",
        ),
        ({"x": np.eye(2) * 1j, "t": np.arange(2)}, "to hold numbers, got complex128"),
        ({"x": np.array([["a"]]), "t": np.arange(1)}, "to hold numbers, got <U1"),
        ({"x": np.empty((0, 3)), "t": np.arange(0)}, "at least one row"),
        ({"x": np.empty((3, 0)), "t": np.arange(3)}, "at least one feature"),
    ],
)
def test_what_is_wrong_in_npz_is_said(write, arrays, message):
    with pytest.raises(DataError, match=message):
        load_table(write(npz(**arrays), "data.npz"))


@pytest.mark.parametrize("target", [2, -1, "2", "x2"])
def test_npy(write, target):
    path = write(npy(np.array([[1, 2, 30], [3, 4, 4]])), "data.npy")
    table = load_table(path, target)
    assert (table.columns, table.target, table.classes) == (["x0", "x1"], "x2", ["4", "30"])
    assert table.x.tolist() == [[1, 2], [3, 4]]
    assert table.t.tolist() == [1, 0]
    np.testing.assert_array_equal(load_table(path, None, columns=table.columns).x, table.x)


def test_npy_of_floats(write):
    path = write(npy(np.array([[1, 2.0], [3, 4]])), "data.npy")
    assert load_table(path, 1).t.tolist() == [[2], [4]]
    assert load_table(path, 1, task="classification").classes == ["2", "4"]


@pytest.mark.parametrize("target", [2, -3, "t", "x9", 1.5])
def test_npy_without_that_column(write, target):
    with pytest.raises(ArgumentError, match="the position of the target column, 0 to 1, got"):
        load_table(write(npy(np.eye(2)), "data.npy"), target)


def test_big_endian_numbers(write):
    table = load_table(write(npy(np.eye(2, dtype=">f4")), "data.npy"), None)
    assert table.x.dtype.isnative
    assert table.x.tolist() == [[1, 0], [0, 1]]


class Malicious:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


DAMAGED = [
    ("a.npy", b"", "expected a NumPy file"),
    ("a.npy", npy(np.eye(9))[:-1], "damaged"),
    ("a.npz", npz(x=np.eye(9), t=np.arange(9))[:-40], "expected a NumPy file"),
    ("a.npz", npy(np.eye(2)), "name the file .npy"),
    ("a.npy", npz(x=np.eye(2)), "name the file .npz"),
    ("a.npy", pickle.dumps(Malicious()), "Python objects, which can run code"),
    ("a.npy", npy(np.array([Malicious()]), allow_pickle=True), "Python objects, which can run code"),
    ("a.npz", npz(x=np.array([Malicious()])), "Python objects, which can run code"),
    ("a.npz", zipped("x", b"no array"), "something else than arrays"),
    ("a.npy", npy(np.eye(2)).replace(b"(2, 2)", b"(9**9"), "expected a NumPy file"),
    (
        "a.npy",
        npy(np.ones((100, 1))).replace(b"(100, 1), }         ", b"(99999999999999,)}"),
        "NumPy file",
    ),
]


@pytest.mark.parametrize(("name", "content", "message"), DAMAGED, ids=range(len(DAMAGED)))
def test_damaged_numpy_files(write, name, content, message):
    with pytest.raises(FileError, match=message):
        load_table(write(content, name), None)


# Anything at all


def changed(content: bytes):
    """Valid content with some bytes replaced, and perhaps cut off."""
    places = st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)
    cuts = st.one_of(st.just(len(content)), st.integers(0, len(content)))
    return st.builds(lambda edits, cut: _edited(content, edits)[:cut], places, cuts)


def _edited(content: bytes, edits) -> bytes:
    edited = bytearray(content)
    for place, byte in edits:
        edited[place] = byte
    return bytes(edited)


csv_like = st.text(alphabet='ab,;"\n\r\t 01.e-\0té', max_size=60).map(lambda text: text.encode())


@given(
    st.one_of(
        st.tuples(st.just("any.csv"), st.one_of(st.binary(max_size=60), csv_like, changed(IRIS.encode()))),
        st.tuples(st.just("any.csv"), csv_like.map(lambda text: b"a,t\n" + text)),
        st.tuples(st.just("any.npy"), st.one_of(st.binary(max_size=60), changed(npy(np.eye(3))))),
        st.tuples(
            st.just("any.npz"), st.one_of(st.binary(max_size=60), changed(npz(x=np.eye(3), t=np.arange(3))))
        ),
    ),
    st.sampled_from(["t", None, 0, "species"]),
)
@settings(max_examples=400, deadline=None)
def test_any_bytes_give_a_table_or_an_error_of_ours(tmp_path_factory, file, target):
    name, content = file
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    with contextlib.suppress(ChainruleError), warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainruleWarning)
        table = load_table(path, target)
        assert isinstance(table, Table)
        assert np.isfinite(table.x).all()
        assert table.x.shape[1] == len(table.columns)
        assert table.t is None or len(table.t) == len(table.x)
