"""`chainrule draw`, and the picture of `chainrule check`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app

BAD = """
class Square:
    def forward(self, x):
        self.x = x
        return x**2

    def backward(self, dy):
        return dy * self.x
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    net = cr.Network(
        cr.Affine(5), cr.ReLU(), cr.Affine(10), input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0
    )
    net.metadata = {"data": "digits", "classes": [str(k) for k in range(10)]}
    cr.save(net, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize("ending", ["html", "svg", "png"])
def test_a_model_is_drawn_on_the_data_it_was_trained_on(model: Path, ending: str) -> None:
    out = model.with_name(f"graph.{ending}")
    code, output = run("draw", model, "--out", out, "--rows", "7")
    assert code == 0, output
    assert "drawn on 7 rows of digits" in output
    assert out.stat().st_size > 1000
    if ending == "svg":
        assert "7×64" in out.read_text()
        assert "not computed" not in out.read_text()


def test_without_data_random_numbers_flow(tmp_path: Path) -> None:
    net = cr.Network(cr.Affine(3), input_shape=2, loss=cr.MeanSquaredError(), seed=0)
    cr.save(net, tmp_path / "m.safetensors")
    code, output = run("draw", tmp_path / "m.safetensors", "--out", tmp_path / "a.svg")
    assert code == 0
    assert "random numbers" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "graph.jpg"], "ends in .html, .svg, .png"),
        (["--rows", "0"], "--rows: expected a number from 1"),
        (["--seed", "-1"], "--seed: expected"),
        (["--out", "missing/folder/graph.svg"], "could not write"),
        (["--target", "price"], "--target names a column"),
        (["nothing.csv"], "nothing.csv"),
    ],
)
def test_bad_input_is_told_in_one_message(
    model: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    code, output = run("draw", model, *arguments)
    assert code == 2
    assert message in " ".join(output.split())
    assert "Traceback" not in output


def test_what_is_there_is_kept(model: Path) -> None:
    out = model.with_name("graph.svg")
    out.write_text("mine")
    code, output = run("draw", model, "--out", out)
    assert (code, out.read_text()) == (2, "mine")
    assert "--force" in output
    assert run("draw", model, "--out", out, "--force")[0] == 0
    assert out.read_text().startswith("<svg")


def test_the_picture_of_a_check_marks_the_guilty(tmp_path: Path) -> None:
    code_file, out = tmp_path / "layers.py", tmp_path / "wrong.svg"
    code_file.write_text(BAD)
    code, output = run("check", f"{code_file}:Square", "--input", "4x5", "--picture", out)
    assert code == 1
    assert f"picture  {out}" in output
    assert "guilty" in out.read_text()
    assert run("check", f"{code_file}:Square", "--input", "4x5", "--picture", out)[0] == 2
    code, output = run(
        "check", f"{code_file}:Square", "--input", "4x5", "--picture", out, "--force", "--json"
    )
    assert code == 1
    assert output.lstrip().startswith("{")
    assert output.rstrip().endswith("}")
