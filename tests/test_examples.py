"""The examples: each runs by itself, checks its own numbers, and prints what is expected."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import chainrule as cr
from forks import finished

FOLDER = Path(__file__).parents[1] / "examples"


def run(name: str, *arguments: str, fork: bool = True, **environment: str) -> str:
    """What an example prints. Warnings are errors, as in tests."""
    code = "import runpy, sys; sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')"
    status, out, err = finished(code, str(FOLDER / name), *arguments, env=environment, fork=fork)
    assert status == 0, out + err
    return out


def number_after(text: str, output: str) -> float:
    """The number that follows a text."""
    found = re.search(re.escape(text) + r"\s*([-+]?[\d.]+(?:e[-+]?\d+)?)", output)
    assert found, f"no number after {text!r} in:\n{output}"
    return float(found.group(1).rstrip("."))


def test_every_example_has_a_test():
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in FOLDER.glob("*.py")} <= tested


def test_draw_a_network(tmp_path: Path):
    output = run("draw_a_network.py", str(tmp_path / "drawings"))
    assert number_after("before  loss", output) == pytest.approx(2.45, abs=0.3)
    assert number_after("after   loss", output) < 0.2
    for name in ("before", "after"):
        assert (tmp_path / "drawings" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"20 digits, {name} training" in (tmp_path / "drawings" / f"{name}.html").read_text()


def test_apple_shop():
    output = run("apple_shop.py")
    rows = re.findall(r"^  (\w+) +([\d.]+) +[\d.]+ +([\d.]+) +[\d.]+$", output, flags=re.MULTILINE)
    found = {(name, float(price), float(gradient)) for name, price, gradient in rows}
    assert {("apple", 100, 2.2), ("count", 2, 110), ("tax", 1.1, 200), ("total", 220, 1)} <= found
    assert {("orange", 150, 3.3), ("orange_count", 3, 165), ("tax", 1.1, 650), ("total", 715, 1)} <= found
    assert "Every price and every gradient is as expected." in output


def test_two_layer_net(tmp_path):
    """Without MNIST: it says how to get it, and learns scikit-learn's digits."""
    nowhere = {name: str(tmp_path) for name in ("CHAINRULE_DATA", "XDG_CACHE_HOME", "HOME", "LOCALAPPDATA")}
    output = run("two_layer_net.py", **nowhere)
    assert "load_mnist()" in output
    assert "the digits of scikit-learn" in output
    assert "2000 losses and 144 test accuracies were recorded." in output
    assert number_after("It is", output) > 0.93


def test_two_layer_net_on_mnist():
    try:
        cr.datasets.load_mnist(download=False)
    except cr.errors.FileError:
        pytest.skip("MNIST is not on this machine; chainrule.datasets.load_mnist() downloads it")
    output = run("two_layer_net.py", "700")
    assert "Training on 60000 images, testing on 10000: MNIST." in output
    assert "700 losses and 3 test accuracies were recorded." in output
    loss, train_accuracy, test_accuracy = map(float, output.splitlines()[-2].split()[1:])
    assert loss < 1.0
    assert train_accuracy > 0.88
    assert test_accuracy > 0.88


def test_gradient_check():
    output = run("gradient_check.py")
    errors = re.findall(r"^ +(?:W|b)\d .* (\S+) +< 1e-07$", output, flags=re.MULTILINE)
    assert len(errors) == 4
    assert all(float(error) < 1e-7 for error in errors)
    assert "3760 parameters" in output
    assert number_after("by finite differences,", output) > 10


def test_own_layer():
    output = run("own_layer.py")
    assert number_after("beta1", output) < 1e-7
    assert number_after("expected above 0.95", output) > 0.95
    assert output.rstrip().endswith("True")


def test_skip_connection():
    output = run("skip_connection.py")
    assert number_after("largest difference", output) < 1e-6
    assert number_after("largest relative error", output) < 1e-7
    assert number_after("Expected: above 0.95", output) > 0.95


def test_find_the_bug():
    output = run("find_the_bug.py")
    assert "axis in Affine, b[" in output
    before, after = re.findall(r"^    from 0\.483 to ([\d.]+)", output, flags=re.MULTILINE)
    assert float(before) > 0.2
    assert float(after) < 0.01


def test_grade_homework(tmp_path):
    before = sorted(FOLDER.rglob("*"))
    output = run("grade_homework.py", TMPDIR=str(tmp_path))
    assert re.search(r"^ben +Sigmoid +1 +value-for-gradient +ben.py:10, gradient of x$", output, re.MULTILINE)
    assert re.search(r"^hana +Affine +0 +SyntaxError +hana.py:6$", output, re.MULTILINE)
    assert re.findall(r": (\d) of 4$", output, re.MULTILINE) == list("43321100")
    assert output.endswith("Every mistake is named as expected.\n")
    assert sorted(FOLDER.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "ivy.py").write_text("def Sigmoid():\n    raise SystemExit(3)\n")
    output = run("grade_homework.py", str(tmp_path))
    assert re.search(r"^ivy +Sigmoid +0 +SystemExit +ivy.py:2$", output, re.MULTILINE)
    assert output.endswith("ivy: 0 of 4\n")


def test_check_a_kernel():
    output = run("check_a_kernel.py")
    assert "backward, 32 columns: passed" in output
    assert "without_the_last_block, 32 columns: passed" in output
    assert "without_the_last_block, 31 and 37 columns: wrong" in output
    assert "All that was given is in float32" in output


def test_sklearn_swapped_import():
    output = run("sklearn_swapped_import.py")
    epochs = re.findall(r"^(?:sklearn|chainrule)\S+ +(\d+) epochs", output, re.MULTILINE)
    assert len(epochs) == 2
    assert epochs[0] == epochs[1]
    assert number_after("largest difference", output) < 1e-6
    assert "13 gradients, passed: True" in output


def test_sklearn_grid_search():
    output = run("sklearn_grid_search.py", fork=False)
    assert "6 candidates x 3 folds in two processes" in output
    scores = [float(each) for each in re.findall(r"^    (0\.\d+) \+- ", output, re.MULTILINE)]
    assert len(scores) == 6
    assert scores == sorted(scores, reverse=True)
    assert number_after("Expected: above 0.95", output) > 0.95


def test_sklearn_imbalanced_classes():
    output = run("sklearn_imbalanced_classes.py")
    recalls = [float(number_after(name, output)) for name in ("\nNone", "{0: 1, 1: 5}", "\nbalanced")]
    assert recalls == sorted(recalls)
    assert number_after("Expected: above 0.1", output) > 0.1


def test_sklearn_text():
    output = run("sklearn_text.py")
    assert "1875 texts, 50000 columns, 92 numbers in a row" in output
    assert number_after("Expected: above 0.9", output) > 0.9
    assert output.count("(right)") == 1


def test_sklearn_residual_network():
    output = run("sklearn_residual_network.py")
    assert "add3        Add()" in output
    assert "52 gradients, passed: True" in output
