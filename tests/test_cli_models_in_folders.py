"""A run folder is taken wherever a command takes a model, and its model file wherever it takes a run folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app
from chainrule.errors import FileError

pytestmark = pytest.mark.usefixtures("without_curves")

COMMANDS = ("evaluate", "predict", "summary", "draw", "check")
MODEL = "runs/digits/model.safetensors"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: Any) -> Path:
    folder: Path = tmp_path_factory.mktemp("trained")
    arguments = "train", "digits", "--iterations", "5", "--no-check", "--out", str(folder / "runs/digits")
    assert CliRunner().invoke(app, arguments).exit_code == 0
    return folder


@pytest.fixture(autouse=True)
def _beside_a_run(trained: Path, tmp_path: Path, monkeypatch: Any) -> None:
    shutil.copytree(trained / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def of_command(command: str) -> tuple[str, ...]:
    return {"evaluate": ("digits",), "predict": ("digits",), "draw": ("--force",)}.get(command, ())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_folder_is_taken_for_its_model(command: str) -> None:
    of_folder = run(command, "runs/digits", *of_command(command)).stdout
    of_file = run(command, MODEL, *of_command(command)).stdout
    assert of_folder == of_file.replace(MODEL, "runs/digits")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_without_a_model_says_what_to_name(command: str) -> None:
    def refused(path: str) -> str:
        text: str = run(command, path, *of_command(command), code=2).stderr
        assert text.count("\n") == 1
        return text.strip().removeprefix("chainrule: ")

    assert (
        refused("runs") == "runs is a folder without model.safetensors; name a run folder in it: runs/digits"
    )
    Path("empty").mkdir()
    assert refused("empty") == (
        "empty is a folder without model.safetensors; name a run folder, as chainrule train makes them, or a "
        "model file"
    )
    for name in "abcd":
        shutil.copy(MODEL, f"empty/{name}.safetensors")
    assert refused("empty") == (
        "empty is a folder without model.safetensors; name a model file in it: empty/a.safetensors, "
        "empty/b.safetensors, empty/c.safetensors, ... (4 in all)"
    )


def test_check_tells_a_folder_from_a_python_file() -> None:
    shutil.copytree("runs/digits", "runs/net.py")
    shutil.copytree("runs/digits", "runs/net.py:2")
    for path in ("runs/net.py", "runs/net.py:2"):
        assert run("check", path).stdout.startswith(f"{path}, checked on 10 rows of digits")


def test_a_report_of_a_model_file_is_that_of_its_folder() -> None:
    Path("runs/digits/report.html").unlink()
    assert run("report", MODEL).stdout.splitlines()[-1] == "report     runs/digits/report.html"
    assert cr.report(MODEL).html() == cr.report("runs/digits").html()
    with pytest.raises(FileError, match=r"there is no folder runs/none/model\.safe"):
        cr.report("runs/none/model.safetensors")
    shutil.copytree("runs/digits", "runs/other")
    run("report", MODEL, "runs/other/model.safetensors")
    assert "digits and other" in Path("comparison.html").read_text(encoding="utf-8")


def test_the_help_names_a_run_folder() -> None:
    for command in COMMANDS:
        text = " ".join(run(command, "--help").stdout.replace("│", " ").split())
        assert "run folder or model file, such as runs/digits" in text
