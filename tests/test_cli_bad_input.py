"""What people type by mistake: exit status 2, one clear message, no traceback, and nothing written or lost."""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app

pytestmark = pytest.mark.usefixtures("without_curves")

IRIS = "length,width,kind\n" + "".join(
    f"{5 + k % 4},{(k * 7) % 5 / 2},{['setosa', 'virginica'][k % 2]}\n" for k in range(20)
)
PRICES = "size,rooms,price\n" + "".join(f"{50 + k},{k % 4},{1e6 + 2e4 * k + 0.5}\n" for k in range(20))


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iris.csv").write_text(IRIS)
    (tmp_path / "prices.csv").write_text(PRICES)


def invoke(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def refused(*arguments):
    """The one message that a wrong command line comes to."""
    before = files()
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), (result.output, result.exception)
    assert type(result.exception) is SystemExit
    assert "Traceback" not in result.stderr
    assert files() == before
    if not result.stderr.startswith("Usage"):  # what typer itself finds wrong is told in a box
        assert result.stderr.startswith("chainrule: ")
        assert result.stderr.count("\n") == 1
    return " ".join(result.stderr.replace("│", " ").split())


def files():
    return {
        path: path.read_bytes() if path.is_file() else None
        for path in sorted(Path(".").rglob("*"))
        if os.access(path, os.R_OK)
    }


TRAIN = "train", "iris.csv", "--target", "kind", "--epochs", 1, "--no-check"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "digit"), "'digit' is no data set and no table file .* did you mean 'digits'"),
        (("train", "mnsit"), "did you mean 'mnist'"),
        (("train", "none.csv", "--target", "t"), "there is no file none.csv"),
        (("train", "iris.xlsx", "--target", "t"), "iris.xlsx: .xlsx files are not read here"),
        (("train", "."), "is no data set and no table file"),
        (("train", "iris.csv"), "say which column to predict, --target COLUMN"),
        (("train", "iris.csv", "--target", "kid"), "no column 'kid' for the target; did you mean 'kind'"),
        (("train", "digits", "--target", "kind"), "--target is for tables; digits has its own labels"),
        ((*TRAIN, "--optimizer", "adm"), "--optimizer: there is no 'adm'; did you mean 'adam'"),
        ((*TRAIN, "--activation", "rleu"), "--activation: there is no 'rleu'; did you mean 'relu'"),
        ((*TRAIN, "--schedule", "cosin"), "--schedule: there is no 'cosin'; did you mean 'cosine'"),
        ((*TRAIN, "--sampling", "shufle"), "--sampling: there is no 'shufle'; did you mean 'shuffle'"),
        ((*TRAIN, "--learning-rate", "-0.1"), "--learning-rate: expected a number above 0.*got -0.1"),
        ((*TRAIN, "--learning-rate", "0"), "--learning-rate: expected a number above 0.*got 0"),
        ((*TRAIN, "--learning-rate", "nan"), "--learning-rate: expected a number above 0.*got nan"),
        ((*TRAIN, "--learning-rate", "inf"), "--learning-rate: expected a number above 0.*got inf"),
        ((*TRAIN, "--learning-rate", "fast"), "Invalid value for '--learning-rate'"),
        ((*TRAIN, "--weight-decay", "-1"), "--weight-decay: .*got -1"),
        ((*TRAIN, "--batch-size", "0"), "--batch-size: expected a whole number of at least 1, got 0"),
        ((*TRAIN, "--batch-size", "17"), "--batch-size: expected at most the number of samples, 16, got 17"),
        ((*TRAIN, "--batch-size", "1.5"), "Invalid value for '--batch-size'"),
        (("train", "digits", "--batch-size", "1439"), "--batch-size: expected at most .* 1438, got 1439"),
        ((*TRAIN, "--iterations", "5"), "--epochs and --iterations: expected one of the two, got both"),
        ((*TRAIN[:4], "--epochs", "0"), "--epochs: expected a whole number of at least 1, got 0"),
        ((*TRAIN[:4], "--iterations", "-3"), "--iterations: expected a whole number of at least 1, got -3"),
        ((*TRAIN, "--seed", "-1"), "--seed: expected a whole number of at least 0, got -1"),
        ((*TRAIN, "--seed", "one"), "Invalid value for '--seed'"),
        ((*TRAIN, "--dtype", "int8"), "--dtype: expected float32 or float64, got 'int8'"),
        (("train", "digits", "--dtype", "real"), "--dtype: expected float32 or float64, got 'real'"),
        ((*TRAIN, "--hidden", "abc"), "--hidden: expected numbers of units such as 50 or 512,512.*got 'abc'"),
        ((*TRAIN, "--hidden", "50,,5"), "--hidden: expected numbers of units"),
        ((*TRAIN, "--hidden", "50,0"), "--hidden: expected numbers of units"),
        ((*TRAIN, "--hidden", "-5"), "--hidden: expected numbers of units"),
        ((*TRAIN, "--hidden", "1000000000000"), "--hidden: expected .* at most 1,000,000 each"),
        ((*TRAIN, "--dropout", "1"), r"--dropout: expected .* in \[0, 1\), got 1"),
        ((*TRAIN, "--dropout", "-0.5"), r"--dropout: expected .* in \[0, 1\), got -0.5"),
        ((*TRAIN, "--weight-std", "-1"), r"--weight-std: expected a number in \[0, inf\), got -1"),
        ((*TRAIN, "--init", "hee"), "--init: there is no 'hee'; did you mean 'he'"),
        ((*TRAIN, "--init", "he", "--weight-std", "0.1"), "--weight-std is for weights that start normal"),
        ((*TRAIN, "--clip-norm", "0"), r"--clip-norm: expected a number in \(0, inf\), got 0.0; try 1.0$"),
        ((*TRAIN, "--clip-norm", "nan"), "--clip-norm: expected a number .* got nan"),
        (
            (*TRAIN, "--early-stopping", "0"),
            "--early-stopping: expected a whole number of at least 1, got 0$",
        ),
        ((*TRAIN, "--class-weights", "5"), "--class-weights: expected balanced, or .* setosa=5, got '5'"),
        ((*TRAIN, "--class-weights", "setos=5"), "no class 'setos'; did you mean 'setosa'"),
        ((*TRAIN, "--class-weights", "setosa=-1"), "expected a number of at least 0, .* got setosa=-1"),
        ((*TRAIN, "--class-weights", "setosa=much"), "--class-weights: expected a number .* got setosa=much"),
        ((*TRAIN, "--class-weights", "setosa=1,setosa=2"), "expected each class once, got 'setosa' twice"),
        ((*TRAIN, "--class-weights", "setosa=0,virginica=0"), "--class-weights: expected one weight above 0"),
        (
            ("train", "prices.csv", "--target", "price", "--class-weights", "balanced"),
            "--class-weights: expected a classification, got a regression",
        ),
        ((*TRAIN, "--test-share", "0"), "--test-share: expected a share between 0 and 1"),
        ((*TRAIN, "--test-share", "1"), "--test-share: expected a share between 0 and 1"),
        ((*TRAIN, "--test-share", "0.01"), "20 rows are too few to hold out a share of 0.01"),
        ((*TRAIN, "--hiden", "5"), "No such option: --hiden"),
        (("trian",), "No such command 'trian'"),
        (("train", "iris.csv", "prices.csv"), "unexpected extra argument"),
        (
            (*TRAIN, "--out", "iris.csv"),
            "--out iris.csv: expected a folder, but a file of that name is in the way",
        ),
        ((*TRAIN, "--out", "iris.csv/run"), "cannot write into|in the way"),
        ((*TRAIN, "--out", "x" * 300), "File name too long"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(map(str, value[-2:]))[:60],
)
def test_wrong_command_lines(arguments, message):
    text = refused(*arguments)
    assert re.search(message, text), text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "data.csv"),
        ("a,b,t\n", "expected rows of data below the header, got none"),
        (
            "a,b,t\n" + "".join(f"1,{k},0\n2,2,1\n" for k in range(30)) + "3,x,1\n",
            "data row 61, column 'b': .*'x'",
        ),
        ("a,b,t\n1,2,0\n2,inf,1\n", "data row 2, column 'b': expected a finite number, got 'inf'"),
        ("a,b,t\n1,2,nan\n2,3,nan\n", "target 't': expected values, got none: all 2 are missing"),
        ("a,b,t\n" + "1,2,0\n" * 9, "the target 't' has one value only"),
        ("a,b,t\n" + "1,2,same\n" * 9, "the target 't' has one value only"),
        ("a,b,t\n1,2\n2,3,1\n", "expected 3 values, as the header has, got 2"),
        ("t\n1\n2\n", "expected at least one feature beside the target"),
        ("a,b,t\n1,2,0\n2,3,1\n", "2 rows are too few"),
        ("a,b,t\n" + "1,1e300,0\n2,3,1\n" * 9, "column 'b' holds numbers too large.*--dtype float64"),
        ("a,b,t\n" + "1,1.7e308,0\n2,-1.7e308,1\n" * 9, "column 'b' holds numbers too large"),
        ("a,b,t\n" + "1,1e-40,0\n2,3e-40,1\n" * 9, "column 'b' holds numbers too small.*--dtype float64"),
        ("a,b,t\n" + "1,2,1e-40\n2,3,3e-40\n" * 9, "column 't' holds numbers too small.*--dtype float64"),
        ("a,b,t\n" + "1,2,1700000001.5\n2,3,1700000002.5\n" * 9, "column 't' differs .* too little"),
        ("a,b,t\n" + "1,2,1e300\n2,3,-1e300\n" * 9, "column 't' holds numbers too large"),
        (b"\x00\x01\x02" * 99, "expected a text file"),
        (b"\xff\xfea\x00", "no column 't'"),
        (b"\xff\xfea", "expected utf-16 text, got something else"),
        ('a,t\n"1,x\n', "data.csv"),
    ],
)
def test_wrong_tables(content, message):
    Path("data.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    text = refused("train", "data.csv", "--target", "t", "--epochs", 1)
    assert re.search(message, text), text


def test_wrong_array_files():
    Path("data.npz").write_bytes(b"PK\x03\x04 no archive")
    assert "damaged" in refused("train", "data.npz", "--epochs", 1)
    Path("data.npy").write_bytes(b"")
    assert "data.npy" in refused("train", "data.npy", "--epochs", 1)
    np.savez("data.npz", x=np.ones((9, 2)))
    assert "no array 't' for the target" in refused("train", "data.npz", "--epochs", 1)
    np.save("data.npy", np.arange(24.0).reshape(8, 3))
    message = refused("train", "data.npy", "--target", "price", "--epochs", 1)
    assert "columns of an .npy file have numbers" in message
    assert "got 7" in refused("train", "data.npy", "--target", "7", "--epochs", 1)


def test_a_run_folder_in_use_is_left_alone():
    Path("mine").mkdir()
    Path("mine/model.safetensors").write_text("precious")
    assert "the folder is not empty; choose another, or write into it with --force" in refused(
        *TRAIN, "--out", "mine"
    )
    assert Path("mine/model.safetensors").read_text() == "precious"


def test_a_place_that_cannot_be_written_to_is_found_before_training(monkeypatch):
    monkeypatch.setattr(cr.Network, "fit", lambda *a, **k: pytest.fail("it trained"))
    Path("locked").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.R_OK or Path(path).name != "locked")
    assert "cannot write into" in refused(*TRAIN, "--out", "locked/run")
    assert "cannot write into" in refused(*TRAIN, "--out", "locked")
    Path("runs").write_text("a file in the way")
    assert "cannot write into" in refused(*TRAIN)


@pytest.fixture
def model():
    assert invoke(*TRAIN, "--out", "run").exit_code == 0
    return "run/model.safetensors"


def test_models_that_are_none():
    Path("empty").write_bytes(b"")
    Path("text.safetensors").write_text("length,width\n1,2\n")
    for command in (("summary",), ("evaluate",), ("predict",)):
        data = () if command == ("summary",) else ("iris.csv",)
        assert "there is no model file none" in refused(*command, "none", *data)
        assert "not a readable model file" in refused(*command, "empty", *data)
        assert "not a readable model file" in refused(*command, "text.safetensors", *data)
        assert ". is a folder without model.safetensors; name a model file in it: text.safet" in refused(
            *command, ".", *data
        )
    assert "Missing argument 'MODEL'" in refused("summary")


def test_data_that_does_not_fit_a_model(model):
    assert "missing: 'length'" in refused("predict", model, "prices.csv")
    assert "there is no file none.csv" in refused("predict", model, "none.csv")
    assert "expected x of shape (N, 2), got (359, 64)" in refused("predict", model, "digits")
    assert "expected x of shape (N, 2), got (359, 64)" in refused("evaluate", model, "digits")
    assert "did you mean 'digits'" in refused("evaluate", model, "digts")
    Path("bad.csv").write_text("length,width,kind\n1,two,setosa\n")
    for command in ("predict", "evaluate"):
        assert "data row 1, column 'width': expected a number" in refused(command, model, "bad.csv")
    Path("bad.csv").write_text("length,width\n1,2\n")
    assert "no column 'kind' for the target" in refused("evaluate", model, "bad.csv")
    np.save("bad.npy", np.ones((4, 5)))
    assert "missing: 'length'" in refused("predict", model, "bad.npy")
    assert "--target is for tables" in refused("evaluate", model, "digits", "--target", "kind")


def test_predictions_that_cannot_be_written(model):
    assert "iris.csv exists" in refused("predict", model, "iris.csv", "--out", "iris.csv")
    assert "could not write no/out.csv" in refused("predict", model, "iris.csv", "--out", "no/out.csv")
    assert "could not write run" in refused("predict", model, "iris.csv", "--out", "run", "--force")
    assert "File name too long" in refused("predict", model, "iris.csv", "--out", "x" * 300)


def test_probabilities_of_a_regression():
    options = "--target", "price", "--epochs", 1, "--no-check", "--out", "run"
    assert invoke("train", "prices.csv", *options).exit_code == 0
    message = refused("predict", "run/model.safetensors", "prices.csv", "--probabilities")
    assert "--probabilities: the model names no classes" in message


# Any combination


ODD = ["", "0", "-1", "1e309", "nan", "abc", "１", "0.5", "3", "1000000007", "--", " ", "[/b]", "é\u2028"]
OPTIONS = {
    "--hidden": ["5", "4,3", "4x3", "0", *ODD],
    "--activation": ["tanh", "GELU", "softplus", *ODD],
    "--weight-std": ["0.1", "5", *ODD],
    "--dropout": ["0.2", *ODD],
    "--dtype": ["float32", "float64", *ODD],
    "--batch-size": ["2", "7", "16", "17", *ODD],
    "--optimizer": ["momentum", "Adam", "adamw", "rmsprop", *ODD],
    "--learning-rate": ["0.01", "1e8", "1e300", "5e-324", *ODD],
    "--schedule": ["cosine", "one-cycle", *ODD],
    "--weight-decay": ["0.001", "1e30", *ODD],
    "--init": ["xavier", "LeCun", "orthogonal", *ODD],
    "--clip-norm": ["1", "1e-30", *ODD],
    "--early-stopping": ["1", *ODD],
    "--class-weights": ["balanced", "setosa=3", "setosa=1e30,virginica=0", *ODD],
    "--sampling": ["replacement", "shuffle", *ODD],
    "--seed": ["7", "123456789012345678901234567890", *ODD],
    "--target": ["kind", "price", "size", "t", "width", *ODD],
    "--test-share": ["0.3", "0.9", *ODD],
    "--out": ["new", "a/b/c", "iris.csv", ".", *ODD],
}
choice = st.sampled_from(sorted(OPTIONS)).flatmap(
    lambda option: st.sampled_from(OPTIONS[option]).map(lambda value: (option, value))
)
lengths = st.sampled_from(
    [("--epochs", "1"), ("--iterations", "3"), ("--epochs", "1", "--iterations", "2"), ("--epochs", "-1")]
)
data_and_target = st.sampled_from(
    [
        ("iris.csv", "--target", "kind"),
        ("prices.csv", "--target", "price"),
        ("iris.csv",),
        ("none.csv",),
        ("",),
    ]
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    data=data_and_target,
    length=lengths,
    chosen=st.lists(choice, max_size=4),
    flags=st.sets(st.sampled_from(["--force", "--check", "--no-check"])),
)
def test_any_combination_of_options(data, length, chosen, flags):
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        try:
            Path("iris.csv").write_text(IRIS)
            Path("prices.csv").write_text(PRICES)
            result = invoke("train", *data, *length, *itertools.chain(*chosen), *sorted(flags))
            assert Path("iris.csv").read_text() == IRIS
        finally:
            os.chdir(before)
    assert result.exit_code in {0, 1, 2}, result.output
    assert type(result.exception) in {type(None), SystemExit}, result.exception
    told = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert (told == []) == (result.exit_code == 0)
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("train", "digits", "--drop", "q", "--strict"), "--drop is for tables, and digits is none"),
        (("train", "digits", "--separator", ";"), "--separator is for tables"),
        (("train", "digits", "--most-categories", 5), "--most-categories is for tables"),
        (("train", "digits", "--no-header"), "leave --no-header out"),
        ((*TRAIN, "--most-categories", 0), "--most-categories: expected at least 1, got 0"),
        (("train", "a.npz", "--separator", ";"), "--separator is for text files, and a.npz holds arrays"),
        (("train", "a.npz", "--missing", "x"), "--missing is for text files"),
        (("train", "a.npz", "--drop", "x0"), "--drop is for text files"),
        (("train", "a.npz", "--header"), "--header is for text files"),
        ((*TRAIN, "--drop", "width,lenght"), "'lenght' is no column; did you mean 'length'?"),
        (("train", "a.xlsx", "--target", "x"), "save it as CSV, or read it with pandas"),
        (("train", "a.parquet"), "cr.datasets.load_table(pandas.read_parquet(path), target)"),
        (("train", "a.sav"), "pandas.read_spss(path)"),
    ],
)
def test_options_that_would_do_nothing_and_files_that_are_not_read(words, told):
    np.savez("a.npz", x=np.zeros((9, 2)), t=np.arange(9) % 2)
    assert told in refused(*words)


def test_commands_without_data_refuse_what_is_for_data():
    result = invoke("train", "digits", "--epochs", 1, "--no-check", "--out", "run")
    assert result.exit_code == 0, result.output
    for words, told in (
        (("draw", "run", "--drop", "a"), "--drop is for DATA, and none is named"),
        (("check", "run", "--strict"), "--strict is for DATA"),
        (("check", "run", "digits", "--encoding", "utf-8"), "--encoding is for tables"),
        (("predict", "run", "digits", "--decimal", ","), "--decimal is for tables"),
        (("evaluate", "run", "digits", "--strict"), "--strict is for tables"),
        (("check", "layers.py:A", "--missing", "a"), "--missing is for tables"),
    ):
        assert told in refused(*words)


def test_columns_to_drop_may_be_a_list():
    table = "Id,address,size,kind\n" + "".join(f"{k * 7},s{k},{k % 5},{'ab'[k % 2]}\n" for k in range(40))
    for names in (["Id,address"], ["Id", "address"]):
        Path("t.csv").write_text(table)
        words = [word for name in names for word in ("--drop", name)]
        result = invoke("train", "t.csv", "--target", "kind", "--no-check", "--epochs", 1, *words)
        assert result.exit_code == 0, result.output
        assert "1 column: 'size'" in result.stdout
    Path("t.csv").write_text(table.replace("Id,address", '"Id,address",c'))
    result = invoke("train", "t.csv", "--target", "kind", "--no-check", "--epochs", 1, "--drop", "Id,address")
    assert result.exit_code == 0, result.output
    assert "'c'" in result.stdout


def test_a_training_that_keeps_no_history_cannot_be_watched():
    told = refused(*TRAIN, "--watch", "--checkpoint-every", "never")
    assert "--watch: expected checkpoints, whose history it shows, got --checkpoint-every never" in told
