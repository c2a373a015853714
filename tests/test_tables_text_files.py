"""Text files as people have them: how they are written is found and said, and what is wrong is named."""

from __future__ import annotations

import gzip
import io
import sys
import time
import tracemalloc

import numpy as np
import pytest

from chainrule.datasets.tables import chunks, finding, text_files
from chainrule.datasets.tables.column import Form
from chainrule.datasets.tables.dialect import Dialect
from chainrule.datasets.tables.text_files import read_text
from chainrule.errors import ArgumentError, ChainruleWarning, DataError, FileError


@pytest.fixture
def read(tmp_path):
    def read(content, target="t", name="data.csv", forms=None, drop=(), **given):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_text(path, target, forms, Dialect(**given), drop)

    return read


def content(table):
    """Names, and values with texts in place of their positions."""
    return {each.name: cells(each) for each in table.columns}


def cells(column):
    if column.form.kind == "text":
        return [None if k < 0 else column.texts[k] for k in column.values.tolist()]
    return [None if value != value else value for value in column.values.tolist()]


PLAIN = "a,b,t\n1.5,red,x\n-2,blue,y\n"
EXPECTED = {"a": [1.5, -2], "b": ["red", "blue"]}


def test_a_plain_file_needs_no_note(read):
    table = read(PLAIN)
    assert (table.rows, table.target, table.notes) == (2, "t", [])
    assert content(table) == EXPECTED
    assert table.target_values.dtype == object
    assert table.target_values.tolist() == ["x", "y"]
    assert table.dialect == Dialect(separator=",", decimal=".", encoding="utf-8", header=True)
    assert [each.form.kind for each in table.columns] == ["number", "text"]
    assert [each.values.dtype for each in table.columns] == [np.float64, np.int32]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (PLAIN.replace(",", ";"), "read with separator ';'"),
        (PLAIN.replace(",", "\t"), "read with separator tab"),
        (PLAIN.replace(",", "|"), "read with separator '|'"),
        ("a  b t\n 1.5 red   x\n-2 blue y\n", "read with separator spaces"),
        ("sep=;\n" + PLAIN.replace(",", ";"), "read with separator ';'"),
        (PLAIN.replace(",", ";").replace(".", ","), "read with separator ';', decimal comma"),
        (PLAIN.replace(",", "\t").replace(".", ","), "read with separator tab, decimal comma"),
        (PLAIN.replace("1.5", '"1,5"'), "read with decimal comma"),
        ("# made by hand\n\n" + PLAIN + "# the end\n", "read with lines that begin with # left out"),
        ("# made by hand\n#" + PLAIN, "read with lines that begin with # left out"),
        ("#" + PLAIN, None),
        (
            '"a" "b" "t"\n"r1" 1.5 "red" "x"\n"r2" -2 "blue" "y"\n',
            "separator spaces, the first column as names",
        ),
        ("a,b,t,\n1.5,red,x,\n-2,blue,y,\n", None),
        ("a,b,t\n1.5,red,x,\n-2,blue,y,\n", None),
        ("a, b ,t\n1.5, red ,x\n-2, blue,y\n", None),
        ('a,b,t\n1.5,"red",x\n-2,"blue",y\n', None),
        (PLAIN.replace("\n", "\r\n"), None),
        (PLAIN.replace("\n", "\r"), None),
        ("\n" + PLAIN.replace("\n", "\n\n"), None),
    ],
)
def test_how_a_file_is_written_is_found_and_said_in_one_note(read, text, note):
    table = read(text)
    assert content(table) == EXPECTED
    assert table.target_values.tolist() == ["x", "y"]
    assert len(table.notes) == (note is not None)
    assert all(note in each for each in table.notes)


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8-sig", []),
        ("utf-16", ["read with UTF-16 text"]),
        ("utf-32", ["read with UTF-32 text"]),
        ("utf-16-le", ["read with UTF-16 text"]),
        ("utf-16-be", ["read with UTF-16 text"]),
    ],
)
def test_encodings_that_show_themselves(read, encoding, note):
    table = read(PLAIN.replace("red", "röt").encode(encoding))
    assert content(table)["b"] == ["röt", "blue"]
    assert table.notes == note


@pytest.mark.parametrize(
    ("text", "expected", "name"),
    [(b"caf\xe9 \x80", "café €", "Windows-1252"), (b"caf\xe9 \x81", "café \x81", "Latin-1")],
)
@pytest.mark.parametrize("rows", [1, 50_000])
def test_text_that_is_not_utf_8_is_read_with_a_warning(read, text, expected, name, rows):
    with pytest.warns(ChainruleWarning, match=f"not UTF-8 text, and was read as {name}; check") as caught:
        table = read(b"a,t\n" + b"1,x\n" * rows + b"1," + text + b"\n")
    assert [each.filename for each in caught] == [__file__]
    assert table.target_values[-1] == expected
    assert table.notes == []


def test_a_given_encoding_is_obeyed(read):
    text = b"a,t\n1,caf\xe9\n2,b\n"
    table = read(text, encoding="cp1252")
    assert (table.target_values[0], table.notes) == ("café", [])
    with pytest.raises(DataError, match=r"expected utf-8 text, got something else \(byte 0xe9\); save it"):
        read(text, encoding="utf-8")
    with pytest.raises(ArgumentError, match="unknown encoding 'klingon'"):
        read(text, encoding="klingon")


def test_what_is_given_is_obeyed(read):
    assert content(read("a;t\n1,5;x\n", decimal="."))["a"] == ["1,5"]
    assert content(read("a;t\n1,234;x\n", decimal=","))["a"] == [1.234]
    assert content(read("5,x\n6,y\n", "x1", header=False)) == {"x0": [5, 6]}
    assert read("5\n6\n", None).notes == ["read with no header (the columns are called x0)"]
    assert content(read("5,x\n6,y\n", "x", header=True)) == {"5": [6]}
    assert content(read("a,b|t\nq,r|x\n", separator="|")) == {"a,b": ["q,r"]}
    with pytest.raises(DataError, match="got only one column, 'a;t'; pass separator=';'"):
        read("a;t\n1;x\n", separator=",")
    assert content(read("a b t\n1  2 x\n", separator=" ")) == {"a": [1], "b": [2]}
    assert content(read("a^t\n1^x\n", separator="^")) == {"a": [1]}
    for wrong in ({"separator": ",,"}, {"separator": '"'}, {"separator": "§"}, {"decimal": "x"}):
        with pytest.raises(ArgumentError, match="expected"):
            read(PLAIN, **wrong)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("5.1,3,setosa\n4,3,virginica\n", None),
        ("5,3,setosa\n4,3,virginica\n6,2,setosa\n", None),
        ("5,3,1\n4,3,2\n", None),
        ("1,1990,1991\n4,3,2\n", None),
        ("1990,1991,1992\n4,3,2\n", ["1990", "1991", "1992"]),
        (",1990,2000\na,3,2\n", ["column 1", "1990", "2000"]),
        ("country,1990,1991\nde,3,2\nfr,3,2\n", ["country", "1990", "1991"]),
        ("a,b,c\nx,y,z\nx,y,z\n", ["a", "b", "c"]),
    ],
)
def test_whether_there_is_a_header(read, text, names):
    table = read(text, None)
    assert [each.name for each in table.columns] == (names or ["x0", "x1", "x2"])
    expected = [] if names else ["read with no header (the columns are called x0 to x2)"]
    assert table.notes == expected
    if names is None:
        assert read(text, "x2").rows == text.count("\n")
        with pytest.raises(
            ArgumentError, match=r"no column 'x3' .* has no header, and its columns are called x0 to x2"
        ):
            read(text, "x3")


def test_the_name_of_the_target_makes_the_first_row_a_header(read):
    assert content(read("1.5,2.5\n1,2\n3,4\n", "2.5")) == {"1.5": [1, 3]}
    assert content(read("1.5,2.5\n1,2\n3,4\n", None, forms={"2.5": Form("number")})) == {"2.5": [2, 4]}


def test_a_comment_is_the_header_where_the_rows_need_one(read):
    assert content(read("#name,height\nbob,1.8\n", None)) == {"name": ["bob"], "height": [1.8]}
    assert content(read("# x y\n1.0 2.0\n3.0 4.0\n", "y")) == {"x": [1, 3]}
    assert content(read("# not, names\na,t\nx,y\n")) == {"a": ["x"]}


def test_a_row_that_begins_with_a_sharp_is_data(read):
    table = read('a,b,t\n1,"x\n# y",r\n#2,c,b\n# foo\n')
    assert content(table) == {"a": ["1", "#2"], "b": ["x\n# y", "c"]}


def test_names(read):
    table = read(" a ,a,,b.1,b,b,t\n1,2,3,4,5,6,x\n")
    assert [each.name for each in table.columns] == ["a", "a.1", "column 3", "b.1", "b", "b.2"]
    assert table.notes == ["columns of the same name: the further 'a' is called 'a.1', 'b' is called 'b.2'"]
    with pytest.raises(DataError, match="one column 't' for the target, got it as columns 1 and 3; rename"):
        read("t,a,t\n1,2,3\n")


def test_columns_that_are_dropped_are_not_read(read):
    table = read(PLAIN, drop=["b"])
    assert content(table) == {"a": [1.5, -2]}
    with pytest.raises(ArgumentError, match="drop: 'bb' is no column; did you mean 'b'"):
        read(PLAIN, drop=["bb"])
    with pytest.raises(ArgumentError, match="drop: 't' is the target"):
        read(PLAIN, drop=["t"])


RAGGED = [
    ("a,b,t\n1,2,x\n3,4\n", "line 3: expected 3 values, as the header has, got 2"),
    ("a,b,t\n1,2,x\n\n3\n", "line 4: expected 3 values, as the header has, got 1"),
    ("a,b,t\n1,2\n3,4,x\n", "line 2: expected 3 values, as the header has, got 2"),
    ("a,b,t\n1,2,x,9\n", "line 2: expected 3 values, as the header has, got 4"),
    ("a,b,t\n1,2,x,9,9\n1,2,x\n", "line 2: expected 3 values, as the header has, got 5"),
    ("a,b,t\n1,2,x\n3,4,y,5\n", "line 3: expected 3 values, as the header has, got 4"),
    ("# c\n\na,b,t\n1,2,x\n# c\n3,4,y,5\n", "line 6: expected 3 values, as the header has, got 4"),
    ("sep=,\na,b,t\n1,2,x\n3,4,y,5,6\n", "line 4: expected 3 values, as the header has, got 5"),
    ('a,b,t\n"1\n1",2,x\n3,4\n', "line 4: expected 3 values, as the header has, got 2"),
    ("a b t\n1 2 x\n3 4\n1 2 x\n", "line 3: expected 3 values, as the header has, got 2"),
    ("1,2.5,x\n3,4\n", "line 2: expected 3 values, as other rows have, got 2"),
    ("1,2.5,x\n3,4,y\n3,4,y,5,6\n3,4,y\n", "line 3: expected 3 values, as other rows have, got 5"),
]


@pytest.mark.parametrize(("text", "message"), RAGGED, ids=[text for text, _ in RAGGED])
def test_rows_of_other_lengths_are_named_by_their_line(read, text, message):
    target = "x2" if text.startswith("1") else "t"
    forms = {"x0" if target == "x2" else "a": Form("number")}
    for given in (None, forms):
        with pytest.raises(DataError, match=message):
            read(text, target, forms=given)


def test_cells_that_are_missing_at_the_end_are_no_short_rows(read):
    assert content(read("t,a,b\nx,1,\ny,,\n")) == {"a": [1, None], "b": [None, None]}
    assert content(read('t,a,b\n"x,y",1,\n"y",2,3\n')) == {"a": [1, 2], "b": [None, 3]}


def test_words_for_missing(read):
    words = [
        "NA",
        " n/a ",
        "-",
        "--",
        ".",
        "n.a.",
        "#DIV/0!",
        "#VALUE!",
        "#REF!",
        "missing",
        "unknown",
        "?",
        " ",
        "Null",
    ]
    table = read("a,b,t\n1,red,x\n2,blue,y\n" + "".join(f"{word},{word},z\n" for word in words))
    a, b = content(table).values()
    assert a == [1, 2] + [None] * len(words)
    assert b == ["red", "blue"] + [word if word in ("unknown", "missing") else None for word in words]
    given = read("a,b,t\n1,red,x\n-9,gone,y\n", missing=("-9", "gone"))
    assert content(given) == {"a": [1, None], "b": ["red", None]}


def test_the_cells_of_the_target_are_text(read):
    table = read("a,t\n1, red\n2,None\n3,\n4,blue \n")
    assert table.target_values.tolist() == ["red", "None", "", "blue"]
    assert read("a,t\n1,+\n2,-\n").target_values.tolist() == ["+", "-"]


FORMS = {
    "text": Form("text"),
    "money": Form("number", "$"),
    "day": Form("date", "day first"),
    "truth": Form("boolean", "yes/no"),
}


def test_columns_are_read_in_the_forms_of_training(read):
    table = read(
        "other,truth,day,money,text\nq,yes,01/02/2023,$5,01\nq,no,03/02/2023,6,2\n", None, forms=FORMS
    )
    assert [each.name for each in table.columns] == ["truth", "day", "money", "text"]
    assert [each.form for each in table.columns] == [FORMS[each.name] for each in table.columns]
    assert content(table) == {"truth": [1, 0], "day": [19389, 19391], "money": [5, 6], "text": ["01", "2"]}
    assert table.notes == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "yes,01/02/2023,abc,1",
            r"data row 2, column 'money': expected a number in \$ as in training, got 'abc'; correct",
        ),
        ("yes,01/02/2023,€5,1", r"data row 2, column 'money': expected a number in \$"),
        ("maybe,01/02/2023,5,1", "data row 2, column 'truth': expected yes/no as in training, got 'maybe'"),
        ("yes,01/13/2023,5,1", r"data row 2, column 'day': expected a date \(day first\) as in training"),
    ],
)
def test_cells_that_are_not_as_in_training(read, row, message):
    with pytest.raises(DataError, match=message) as raised:
        read(f"truth,day,money,text\nyes,01/02/2023,5,1\n{row}\n", None, forms=FORMS)
    assert "drop=" not in str(raised.value)


def test_columns_of_training_that_are_missing_are_named(read):
    with pytest.raises(DataError, match=r"missing: 'aa' \(did you mean 'a'\?.*\); 'c' \(Known"):
        read(PLAIN, None, forms={"aa": Form("number"), "c": Form("text"), "b": Form("text")})
    many = {f"z{k}": Form("number") for k in range(10_000)}
    with pytest.raises(DataError, match="and 9,995 more") as raised:
        read(PLAIN, None, forms=many)
    assert len(str(raised.value)) < 2000


def test_a_surprise_in_a_later_chunk_is_read_again(read, monkeypatch):
    monkeypatch.setattr(finding, "SAMPLE", 10)
    for name in ("CELLS", "ROWS"):
        monkeypatch.setattr(chunks, name, 7)
    rows = "".join(f"{k},{k if k < 20 else 'red'},{k},c{k % 3}\n" for k in range(50))
    table = read("a,b,c,t\n" + rows + "$50,5,  50 ,c0\nNone,51,51,c1\n")
    a, b, c = content(table).values()
    assert a == [*range(51), None]
    assert b == [*map(str, range(20)), *["red"] * 30, "5", "51"]
    assert c == list(range(52))
    assert table.target_values.tolist()[-3:] == ["c1", "c0", "c1"]


def test_a_packed_file(read):
    table = read(gzip.compress(PLAIN.encode()), name="data.csv.gz")
    assert content(table) == EXPECTED
    with pytest.raises(FileError, match="damaged or cut off"):
        read(gzip.compress(PLAIN.encode())[:-9], name="data.csv.gz")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", DataError, "got an empty file"),
        ("\n \n", DataError, "got an empty file"),
        ("a,t\n", DataError, "expected rows of data below the header, got none"),
        ("a,b\n1,2\n", ArgumentError, "no column 't' for the target; Known: a, b; target=None reads"),
        (b"PK\x03\x04\0\0\1\0\0\0", FileError, "got a binary file"),
        ('a,t\n"1,x\n2,y\n', DataError, "line 2: a double quote is opened there that is not closed"),
    ],
)
def test_what_is_no_table(read, text, kind, message):
    with pytest.raises(kind, match=message):
        read(text)


def test_ten_thousand_columns(read):
    names = [f"c{k}" for k in range(10_000)]
    rows = "\n".join(",".join(str(k + row) for k in range(10_000)) for row in range(3))
    start = time.perf_counter()
    table = read(",".join(names) + "\n" + rows + "\n", "c9999")
    assert time.perf_counter() - start < 30  # what is quadratic takes minutes
    assert [each.name for each in table.columns] == names[:-1]
    assert table.columns[5000].values.tolist() == [5000, 5001, 5002]


def test_memory_is_about_that_of_the_result_and_a_chunk(read, tmp_path, monkeypatch):
    text = "a,b,c,d,e,f,g,t\n" + ("1234.5678901234567," * 7 + "x\n") * 100_000
    path = tmp_path / "data.csv"
    table = read(text)
    result = sum(each.values.nbytes for each in table.columns) + table.target_values.nbytes
    monkeypatch.setattr(chunks, "CELLS", 80_000)
    tracemalloc.start()
    read_text(path, "t", None, Dialect())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * result + 4e6


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_shown_for_a_large_file_where_somebody_sees_it(read, monkeypatch):
    for stream, limit, shown in (
        (Terminal(), 1, True),
        (io.StringIO(), 1, False),
        (Terminal(), 10**9, False),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(text_files, "LARGE", limit)
        read(PLAIN)
        assert ("reading data.csv" in stream.getvalue()) == shown
