"""`chainrule check`: models, classes and functions; exit statuses, JSON, and messages without a traceback."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app

pytestmark = pytest.mark.usefixtures("without_curves")

LAYERS = """
import numpy as np

import beside

print("said while the file is loaded")


class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        print("said while it is checked")
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W.T


class WrongAffine(Affine):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = -self.dW
        return dx


class Dense(Affine):
    def __init__(self, n_in, n_out, *, scale=1.0):
        rng = np.random.default_rng(0)
        super().__init__(rng.normal(size=(n_in, n_out)) * scale, np.zeros(n_out))


class AnyNames(Affine):
    def __init__(self, limits, **others):
        assert limits.shape == (3,)
        super().__init__(others["W"], others["b"])


class Logarithm:
    def forward(self, x):
        self.x = x
        return np.log(x)

    def backward(self, dy):
        return dy / self.x


class Loss:
    def forward(self, scores, y):
        assert y.dtype.kind == "i" or y.ndim == 2
        self.y = np.eye(scores.shape[1])[y] if y.ndim == 1 else y
        z = scores - scores.max(axis=1, keepdims=True)
        z = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        self.p = np.exp(z)
        return -(z * self.y).sum() / len(z)

    def backward(self, dy=1.0):
        return dy * (self.p - self.y) / len(self.y)


class Power:
    def forward(self, x, p):
        self.x, self.p = x, p
        return p * x

    def backward(self, dy):
        return dy * self.p, (dy * self.x).sum()


class Raising:
    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return dy[99]


class ForwardRaising(Raising):
    def forward(self, x):
        raise RuntimeError("too bad")


class Refusing(Affine):
    def __init__(self):
        raise ValueError("not\\ntoday \\x1b[31m [/b]")


class Exiting(Affine):
    def __init__(self):
        pass

    def forward(self, x):
        raise SystemExit(0)


class NoBackward:
    def forward(self, x):
        return x


class Uncopied(Raising):
    def __deepcopy__(self, memory):
        raise TypeError("I am one")


def forward(x, w):
    return x @ w, (x, w)


def backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy


made = Affine(np.ones((5, 3)), np.zeros(3))
number = 7
"""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    Path("layers.py").write_text(LAYERS)
    Path("beside.py").write_text("")
    Path("iris.csv").write_text(
        "length,kind\n" + "".join(f"{k % 5},{['a', 'b'][k % 2]}\n" for k in range(20))
    )
    yield
    sys.modules.pop("beside", None)


def invoke(*arguments):
    before = list(sys.path), list(sys.argv), set(sys.modules)
    result = CliRunner().invoke(app, ["check", *map(str, arguments)])
    assert (list(sys.path), list(sys.argv)) == before[:2]
    assert not [name for name in set(sys.modules) - before[2] if name.startswith("checked_")]
    return result


def run(*arguments, code=0):
    result = invoke(*arguments)
    assert result.exit_code == code, (result.output, result.exception)
    assert type(result.exception) in {type(None), SystemExit}
    assert "Traceback" not in result.output
    return result


def refused(*arguments):
    """The one message that bad input comes to."""
    before = {path: path.read_bytes() for path in Path(".").rglob("*") if path.is_file()}
    result = run(*arguments, code=2)
    assert result.stdout == ""
    assert {path: path.read_bytes() for path in Path(".").rglob("*") if path.is_file()} == before
    told = result.stderr.replace("said while the file is loaded\n", "")
    assert "\x1b" not in told
    if not told.startswith("Usage"):
        assert told.startswith("chainrule: ")
        assert told.count("\n") == 1
    return " ".join(told.replace("│", " ").split())


# What is right, and what is wrong -------------------------------------------------------------------------


RIGHT = [
    ("layers.py:Affine", "--arg", "W=5x3", "--arg", "b=3", "--input", "4x5"),
    ("layers.py:Affine", "--arg", "b=3x", "--arg", "W=5x3", "--input", "4x5", "--seed", 7),
    ("layers.py:Affine", "--arg", "W=5x3", "--arg", "b=3", "--input", "4x5", "--dtype", "float32"),
    ("layers.py:Dense", "--arg", "n_in=5", "--arg", "n_out=3", "--input", "4x5"),
    ("layers.py:Dense", "--arg", "n_in=5", "--arg", "n_out=3", "--arg", "scale=0.1", "--input", "4x5"),
    ("layers.py:AnyNames", "--arg", "limits=3x", "--arg", "W=5x3", "--arg", "b=3", "--input", "4x5"),
    ("layers.py:Logarithm", "--input", "4x5:positive"),
    ("layers.py:Loss", "--input", "4x3", "--input", "4:3"),
    ("layers.py:Loss", "--input", "4x3", "--input", "4x3:onehot"),
    ("layers.py:Power", "--input", "4x3", "--input", "2.5"),
    ("layers.py:Power", "--input", "4", "--input", "-1e-1"),
    ("layers.py:forward,backward", "--input", "4x5", "--input", "5x3"),
    ("layers.py:made", "--input", "4x5"),
]


KERNELS = """
import numpy as np


class Kept:
    def __init__(self, W):
        self.W, self.step = W, np.full(3, 0.5)

    def forward(self, x):
        self.x = x
        return np.round(x) @ self.W * self.step

    def backward(self, dy):
        self.of_W = np.round(self.x).T @ (dy * self.step)
        return (dy * self.step) @ self.W.T


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return (y, y)


def backward(dy, y):
    dx = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    if dy.shape[-1] % 4:
        dx[..., -1] = 0
    return dx


def plain(x):
    return softmax(x)[0]


def other(x):
    return softmax(2 * x)[0]
"""


def test_what_is_said_of_code_by_options():
    Path("kernels.py").write_text(KERNELS)
    kept = "kernels.py:Kept", "--arg", "W=5x3", "--input", "4x5"
    assert "W" in run(*kept, code=1).stdout
    said = ("--straight-through", "x", "--gradient", "W=of_W", "--ignore", "step")
    assert "passed" in run(*kept, *said).stdout
    text = run(*kept, "--straight-through", "x", "--gradient", "W=of_W", code=1).stdout
    assert "--gradient step=" in text
    assert "--ignore step" in text
    assert "incomplete" in text
    assert "kernels.py: there is no 'nothing'" in refused(*kept, "--reference", "nothing")
    assert "--gradient: 'W' in 'none'" in refused(*kept, "--gradient", "W=none")
    assert "expected NAME=ATTRIBUTE, such as W=grad_of_W, got 'W'" in refused(*kept, "--gradient", "W")
    softmax = "kernels.py:softmax,backward", "--input", "4x8", "--reference"
    assert "passed" in run(*softmax, "plain").stdout
    assert "passed" in run(*softmax, "kernels.py:plain").stdout
    assert "forward-disagrees" in run(*softmax, "other", code=1).stdout
    for sizes in ("odd", "9", "8:9,12"):
        assert "9 for 8" in run(*softmax, "plain", "--sizes", sizes, code=1).stdout
    for sizes in ("even", "1,x", "8:", "8:9:10", ""):
        assert "--sizes: expected odd, 1,7,33 or 64:63,65" in refused(*softmax, "plain", "--sizes", sizes)
    assert "no axis of the inputs has length 7" in refused(*softmax, "plain", "--sizes", "7:8")


@pytest.mark.parametrize("arguments", RIGHT, ids=lambda each: " ".join(map(str, each)))
def test_what_is_right_passes(arguments):
    result = run(*arguments)
    assert re.search(r": passed.*; \d gradients? compared\n$", result.stdout)
    assert "said" not in result.stdout
    assert result.stderr == "said while the file is loaded\n"


def test_a_mistake_is_found():
    result = run("layers.py:WrongAffine", "--arg", "W=5x3", "--arg", "b=3", "--input", "4x5", code=1)
    assert "sign in WrongAffine, W[" in result.stdout
    line = LAYERS[: LAYERS.index("class WrongAffine")].count("\n") + 2
    assert f"layers.py:{line}\n" in result.stdout
    assert result.stdout.endswith("WrongAffine: failed: sign; 3 gradients compared\n")
    assert "\x1b" not in result.stdout


def test_what_was_left_out_is_no_success(tmp_path):
    code = (
        "import numpy as np\n\nclass Gain:\n    gain = 2 * np.ones(5)\n"
        "    def forward(self, x):\n        return self.gain * x\n"
        "    def backward(self, dy):\n        return self.gain * dy\n"
    )
    (tmp_path / "gain.py").write_text(code)
    result = run(tmp_path / "gain.py:Gain", "--input", "4x5", code=1)
    assert "Gain: incomplete: gain not compared; 1 gradient compared" in result.stdout
    as_json = run(tmp_path / "gain.py:Gain", "--input", "4x5", "--json", code=1).stdout
    assert json.loads(as_json)["verdict"] == "incomplete"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Raising", "The backward raised IndexError"),
        ("ForwardRaising", "The forward raised RuntimeError: too bad"),
        ("Exiting", "SystemExit: 0"),
    ],
)
def test_what_raises_while_it_is_checked_is_a_finding(name, message):
    result = run(f"layers.py:{name}", "--input", "4x5", code=1)
    assert message in " ".join(result.stdout.split())
    assert f"{name}: failed: raises" in result.stdout


def test_json():
    for name, code in (("Affine", 0), ("WrongAffine", 1)):
        arguments = f"layers.py:{name}", "--arg", "W=5x3", "--arg", "b=3", "--input", "4x5", "--json"
        report = json.loads(run(*arguments, code=code).stdout)
        assert report["target"] == name
        assert report["passed"] == (code == 0)
        assert [row["input"] for row in report["rows"]] == ["x", "W", "b"]
        again = json.loads(run(*arguments, code=code).stdout)
        assert {**again, "seconds": 0} == {**report, "seconds": 0}
    assert [(each["mistake"], each["input"]) for each in report["findings"]] == [("sign", "W")]
    arguments = "layers.py:Dense", "--arg", "n_in=5", "--arg", "n_out=3", "--input", "4x5", "--json"
    assert json.loads(run(*arguments, "--dtype", "float32", "--seed", 3).stdout)["dtype"] == "float32"
    assert json.loads(run(*arguments, "--dtype", "float32", "--seed", 3).stdout)["seed"] == 3


def test_another_seed_gives_other_numbers():
    arguments = "layers.py:WrongAffine", "--arg", "W=5x3", "--arg", "b=3", "--input", "4x5", "--json"
    found = [
        json.loads(run(*arguments, "--seed", seed, code=1).stdout)["findings"][0]["numerical"]
        for seed in (0, 1)
    ]
    assert found[0] != found[1]


def test_layers_and_graphs_of_chainrule():
    Path("own.py").write_text(
        """
import chainrule as cr

class Cube(cr.Layer):
    def forward(self, x):
        return x**3, x
    def backward(self, dy, x):
        return dy * 3 * x**2

class Wrong(Cube):
    def backward(self, dy, x):
        return dy * 3 * x

x, w = cr.Input("x"), cr.Input("w")
graph = cr.Graph(Cube()(x) * w)
net = cr.Network(cr.Affine(2), Wrong(), input_shape=3, loss=cr.SoftmaxCrossEntropy(), seed=0)
"""
    )
    run("own.py:Cube")
    run("own.py:Cube", "--input", "2x3")
    run("own.py:Wrong", code=1)
    run("own.py:graph", "--input", "2x3", "--input", "3")
    assert "in wrong1" in run("own.py:net", "--input", "4x3", "--input", "4:2", code=1).stdout
    assert "takes x, w; 3 inputs were given" in refused("own.py:graph", *["--input", "3"] * 3)


def test_a_file_whose_name_hides_a_module():
    """It is run as the user's own; the program goes on with Python's."""
    Path("json.py").write_text(LAYERS.replace("import beside", "import random"))
    Path("random.py").write_text("raise RuntimeError('the wrong one')")
    run("json.py:made", "--input", "4x5", "--json")


# Models ---------------------------------------------------------------------------------------------------


def saved(name, *layers, shape=3, loss=None, **metadata):
    net = cr.Network(*layers, input_shape=shape, loss=loss or cr.SoftmaxCrossEntropy(), seed=0)
    net.metadata |= metadata
    return cr.save(net, f"{name}.safetensors")


def test_a_model_on_the_data_it_was_trained_on():
    model = saved("digits", cr.Affine(8), cr.ReLU(), cr.Affine(10), shape=64, data="digits")
    for data in ((), ("digits",)):
        result = run(model, *data)
        assert result.stdout.startswith("digits.safetensors, checked on 10 rows of digits\n\n")
        assert "(10, 64)" in result.stdout
        assert result.stdout.endswith(": passed; 13 gradients compared\n")
        assert result.stderr == ""
    report = json.loads(run(model, "--json").stdout)
    assert report["passed"] is True


@pytest.mark.parametrize(
    "loss",
    [
        cr.SoftmaxCrossEntropy(),
        cr.SigmoidCrossEntropy(),
        cr.MeanSquaredError(),
        cr.MeanAbsoluteError(),
        cr.Huber(),
    ],
    ids=repr,
)
def test_a_model_on_random_numbers(loss):
    model = saved("own", cr.Affine(4), cr.Tanh(), cr.Affine(2), loss=loss)
    result = run(model)
    assert "checked on 10 rows of random numbers (seed 0), since no data was named" in result.stdout
    assert "passed" in result.stdout
    result = run(model, "--json", "--seed", 2)
    assert json.loads(result.stdout)["seed"] == 2
    assert "10 rows of random numbers (seed 2)" in result.stderr


def test_models_of_other_kinds():
    run(saved("words", cr.Embedding(7, 4), cr.Flatten(), cr.Dropout(0.5), cr.Affine(3), shape=5))
    image, age = cr.Input("image", shape=8), cr.Input("age", shape=1)
    both = cr.Concatenate()(cr.Tanh()(cr.Affine(4)(image)), age)
    net = cr.Network(output=cr.Affine(2)(both), loss=cr.SoftmaxCrossEntropy(), seed=0)
    run(cr.save(net, "two.safetensors"))
    for note in ("digits", "mnist", 7, None, ["digits"], "../digits", "none.csv"):
        result = run(saved("odd", cr.Affine(2), data=note))
        assert "random numbers" in result.stdout


def test_a_model_that_diverged_is_found():
    net = cr.load(saved("own", cr.Affine(2)))
    net.params.flat[:] = np.nan
    report = json.loads(run(cr.save(net, "nan.safetensors", allow_nan=True), "--json", code=1).stdout)
    assert {each["mistake"] for each in report["findings"]} == {"not-finite"}


def test_a_model_on_a_table():
    options = "--target", "kind", "--epochs", "1", "--no-check", "--out", "run"
    assert CliRunner().invoke(app, ["train", "iris.csv", *options]).exit_code == 0
    result = run("run/model.safetensors", "iris.csv")
    assert "checked on 10 rows of iris.csv" in result.stdout
    assert "random" in run("run/model.safetensors").stdout
    assert "no column 'sort'" in refused("run/model.safetensors", "iris.csv", "--target", "sort")
    assert "expected x of shape (N, 1), got (10, 64)" in refused("run/model.safetensors", "digits")
    assert "did you mean 'digits'" in refused("run/model.safetensors", "digts")
    assert "there is no file none.csv" in refused("run/model.safetensors", "none.csv")
    assert "say which data" in refused("run/model.safetensors", "--target", "kind")
    assert "--input is for a class or a function" in refused("run/model.safetensors", "--input", "4x1")
    assert "--arg is for a class" in refused("run/model.safetensors", "--arg", "W=3")


# `chainrule train` ----------------------------------------------------------------------------------------


def train(*options):
    result = CliRunner().invoke(app, ["train", "digits", "--hidden", "5", "--iterations", "5", *options])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_a_training_ends_with_a_check():
    output = train("--out", "run")
    assert output.index("gradients  back") < output.index("gradient of") < output.index("model      run/")
    assert "network of 11 nodes: passed; 13 gradients compared\n" in output
    assert "check      run/check.json\n" in output
    report = json.loads(Path("run/check.json").read_text())
    assert report["passed"] is True
    assert report["dtype"] == "float64"
    assert [row["shape"] for row in report["rows"] if row["node"] == "relu1"] == [[10, 5]]


def test_a_training_without_a_check():
    train("--out", "run")
    output = train("--out", "run", "--no-check", "--force")
    assert "gradient of" not in output
    assert "check.json" not in output
    assert not Path("run/check.json").exists()  # it was of the model that is no longer there


def test_layers_of_large_networks_are_checked_where_that_is_quick():
    output = train("--hidden", "700", "--iterations", "1", "--out", "large")
    assert "of 52,510 parameters" in output  # a sample
    assert "network of 11 nodes: passed" in output
    output = train("--hidden", "13400", "--iterations", "1", "--out", "larger")
    assert "not checked (1,005,010 parameters; --check does it all the same)" in output
    assert "network of 11 nodes" not in output


# Bad input ------------------------------------------------------------------------------------------------


AFFINE = "layers.py:Affine", "--arg", "W=5x3", "--arg", "b=3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.py:Affine", "--input", "4x5"), "there is no file none.py"),
        ((".py:Affine",), "there is no file .py"),
        (("none",), "there is no model file none"),
        (("none:Affine",), "there is no model file none:Affine; .* FILE.py:ClassName"),
        (("iris.csv",), "not a readable model file"),
        ((".",), "is a folder without model.safetensors; name a run folder"),
        (("layers.py", "--input", "4x5"), "say what to check, FILE.py:ClassName .*Known: Affine, "),
        (("layers.py:",), "say what to check"),
        (("layers.py:,",), "say what to check"),
        (("layers.py:forward,",), "say what to check"),
        (("layers.py:a,b,c",), "say what to check"),
        (("layers.py:Afine", "--input", "4x5"), "there is no 'Afine'; did you mean 'Affine'?"),
        (("layers.py:forward,backwards",), "there is no 'backwards'; did you mean 'backward'?"),
        (
            ("layers.py:forward", "--input", "4x5"),
            "is a function; name its backward too, FILE.py:forward,backward",
        ),
        (("layers.py:Affine,backward", "--input", "4"), "'Affine': expected a function, got a class"),
        (("layers.py:number", "--input", "4x5"), "number is of type int; what is checked has forward"),
        (("layers.py:NoBackward", "--input", "4x5"), r"NoBackward has no method backward\(\)"),
        (("layers.py:Affine", "--input", "4x7"), "needs W, b; give .*--arg W=7x3 --arg b=3"),
        (("layers.py:Dense", "--input", "4x5"), "needs n_in, n_out; .*--arg n_in=3"),
        ((*AFFINE, "--arg", "c=3", "--input", "4x5"), r"Affine\(W, b\) takes no 'c'"),
        ((*AFFINE, "--arg", "b=4", "--input", "4x5"), "expected each name once"),
        (AFFINE, r"Affine.forward\(x\) takes an --input for each, none was given; such as --input 4x5"),
        ((*AFFINE, "--input", "4x5", "--input", "4:3"), "2 given"),
        (("layers.py:Loss", "--input", "4x5"), "1 given"),
        (("layers.py:forward,backward", "--input", "4x5"), r"forward\(x, w\) takes .* 1 given"),
        (("layers.py:forward,backward", "--input", "4", "--arg", "W=3"), "--arg is for the constructor"),
        (("layers.py:made", "--input", "4x5", "--arg", "W=3"), "--arg is for the constructor"),
        (
            ("layers.py:Refusing", "--input", "4x5"),
            r"line \d+: Refusing\(...\): ValueError: not today .x1b.31m",
        ),
        (("layers.py:Uncopied", "--input", "4x5"), r"Uncopied cannot be copied \(I am one\)"),
        (("layers.py:Affine", "digits"), r"DATA \('digits'\) is for models"),
        (("layers.py:Affine", "--target", "t"), "--target is for models"),
        (
            (*AFFINE, "--input", "4x5", "--seed", "-1"),
            "--seed: expected a whole number of at least 0, got -1",
        ),
        ((*AFFINE, "--input", "4x5", "--dtype", "int8"), "--dtype: expected float32 or float64, got 'int8'"),
        (("layers.py:Affine", "--inputs", "4x5"), "No such option"),
        ((), "Missing argument"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(map(str, value))[:60],
)
def test_bad_input(arguments, message):
    text = refused(*arguments)
    assert re.search(message, text), text


WRONG_INPUTS = [
    "",
    " ",
    "x",
    "4y5",
    "0x3",
    "4x-5",
    "-4.",
    "4x5x",
    "4x5:",
    "4x5:0",
    "4x5:-1",
    "4x5:many",
    ":3",
]
WRONG_INPUTS += ["nan", "inf", "1e999", "４x５", "4,5", "(4, 5)", "1_0", "99999999999x9", "x".join("2" * 33)]
WRONG_INPUTS += ["4x5:3:2", "\x1b[2J", "é\u2028", "4:99999999999", "4x5:Positive"]


@pytest.mark.parametrize("text", WRONG_INPUTS)
def test_wrong_inputs(text):
    if text == "-4.":  # a number, and forward takes it: it raises, which is a finding
        assert "raises" in run(*AFFINE, "--input", text, code=1).stdout
    else:
        assert "--input" in refused(*AFFINE, "--input", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "W",
        "=",
        "=3",
        "W=",
        "W=relu",
        "W=nan",
        "W=0x3",
        "1=3",
        "a b=3",
        "W=9999999x999",
        "W=3x4:2",
        "\x1b=3",
    ],
)
def test_wrong_arguments(text):
    assert "--arg" in refused("layers.py:Affine", "--arg", text, "--arg", "b=3", "--input", "4x5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "import numpy as np\n\nclass A:\n    def forward(self x):\n",
            "own.py, line 4: SyntaxError: .*forward",
        ),
        ("class A:\ndef f(): pass", "own.py, line 2: IndentationError"),
        ("x = 1\n\n\ny = 1 / 0\n", "own.py, line 4: ZeroDivisionError: division by zero"),
        ("def f():\n    raise KeyError('k')\n\n\nf()\n", "own.py, line 2: KeyError: 'k'"),
        ("import nothing_of_this_name\n", "own.py, line 1: ModuleNotFoundError: No module named"),
        ("import sys\nsys.exit(0)\n", "own.py, line 2: SystemExit: 0; .*__main__"),
        ("import chainrule as cr\ncr.Affine(-1)\n", "own.py, line 2: ArgumentError"),
        (
            "class E(Exception):\n  def __str__(self): raise self\nraise E\n",
            "own.py, line 3: E: its text cannot",
        ),
        ("raise ValueError('a\\nb' * 9999)", "own.py, line 1: ValueError: a"),
        ("(" * 5000, "own.py"),
        ("x = " + "-" * 100_000 + "1", "own.py"),
        (b"\x00\x01\x02" * 99, "own.py"),
        (b"\xff\xfe\x00", "own.py"),
        ("# coding: nothing\n", "own.py.*SyntaxError"),
        ("", "own.py: there is no 'A'; it defines no class and no function"),
        ("from numpy import *\n", "own.py: there is no 'A'; it defines no class and no function"),
    ],
    ids=range(16),
)
def test_wrong_files(content, message):
    Path("own.py").write_bytes(content if isinstance(content, bytes) else content.encode())
    text = refused("own.py:A", "--input", "4x5")
    assert re.search(message, text), text
    assert len(text) < 600


def test_files_that_are_none():
    Path("folder.py").mkdir()
    assert "folder.py is not a file" in refused("folder.py:A")
    assert "File name too long" in refused("x" * 300 + ".py:A")
    assert r"there is no file a\x1b[2Jb.py" in refused("a\x1b[2Jb.py:A")


HOSTILE = """
class {0}:
    def forward(self, x):
        return 3 * x

    def backward(self, dy):
        return 2 * dy


{0}.__name__ = {1!r}
{0}.backward.__code__ = {0}.backward.__code__.replace(co_name="[/b]")
"""


@pytest.mark.parametrize("name", ["[/b]", "[red]a", "\x1b[2J\x1b]0;owned\x07", "a\nb", "\u202eevil", "é", ""])
def test_hostile_names(name):
    for text, file in (("Plain", "own.py"), ("Übung", "[b]é.py")):
        Path(file).write_text(HOSTILE.format(text, name), encoding="utf-8")
        result = run(f"{file}:{text}", "--input", "4x5", code=1)
        assert "factor" in result.stdout
        assert not re.search("[\x1b\x07\u202e]", result.stdout)
        content = json.loads(run(f"{file}:{text}", "--input", "4x5", "--json", code=1).stdout)
        assert content["target"] == name


def test_as_a_process():
    """With an output that has no accents, and a name that has them."""
    Path("own.py").write_text(HOSTILE.format("Übung", "Übung"), encoding="utf-8")
    for options in ((), ("--json",)):
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-m",
                "chainrule",
                "check",
                "own.py:Übung",
                "--input",
                "4x5",
                *options,
            ],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        )
        assert (done.returncode, done.stderr) == (1, "")
        if options:
            assert json.loads(done.stdout)["target"] == "Übung"
        else:
            assert r"\xdcbung: failed: factor; 1 gradient compared" in done.stdout


ODD = [
    "",
    "0",
    "-1",
    "1e309",
    "nan",
    "abc",
    "１",
    "0.5",
    "3",
    "4x5",
    "4:3",
    "W=5x3",
    "b=3",
    "--",
    "[/b]",
    "é\u2028",
]
OPTIONS = {
    "--input": ["4x5", "4x3", "4:3", "5", "2x5:onehot", "5x5:positive", *ODD],
    "--arg": ["W=5x3", "b=3", "b=0.5", "n_in=5", "n_out=3", "scale=0", "W=3", "n_in=5x5", "n_in=-5", *ODD],
    "--seed": ["7", "123456789012345678901234567890", *ODD],
    "--dtype": ["float32", "float64", *ODD],
    "--target": ["kind", *ODD],
}
choice = st.sampled_from(sorted(OPTIONS)).flatmap(
    lambda option: st.sampled_from(OPTIONS[option]).map(lambda value: (option, value))
)
NAMES = [
    "Affine",
    "WrongAffine",
    "Dense",
    "Loss",
    "Power",
    "forward,backward",
    "forward,forward",
    "backward,forward",
]
NAMES += ["made", "number", "np", "np,np", "print", "__name__", "Affine,Affine", "beside", *ODD]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(NAMES),
    data=st.sampled_from([(), (), (), ("digits",), ("iris.csv",), ("",)]),
    chosen=st.lists(choice, max_size=5),
    as_json=st.booleans(),
)
def test_any_combination_of_options(name, data, chosen, as_json):
    arguments = [f"layers.py:{name}", *data, *itertools.chain(*chosen), *["--json"][: int(as_json)]]
    result = invoke(*arguments)
    assert result.exit_code in {0, 1, 2}, result.output
    assert type(result.exception) in {type(None), SystemExit}, result.exception
    assert "Traceback" not in result.output
    if as_json and result.exit_code < 2 and "--" not in arguments:
        assert json.loads(result.stdout)["passed"] == (result.exit_code == 0)
    if result.exit_code == 2:
        assert result.stdout == ""
