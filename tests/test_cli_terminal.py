"""What a command prints can make no terminal do anything, and reaches files and pipes as it is."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from chainrule.cli.app import app
from chainrule.cli.writing import print_data

pytestmark = pytest.mark.usefixtures("without_curves")

OBEYED = "p\x1b[31mred\x07"
SHOWN = "p\\x1b[31mred\\x07"


@pytest.fixture(autouse=True)
def _a_table_with_names_that_a_terminal_obeys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal():.3f},{rng.normal():.3f},{OBEYED if k % 2 else 'b'},1" for k in range(40)]
    Path("t.csv").write_text("\n".join([f"{OBEYED},x,kind,{OBEYED}2", *rows]) + "\n")


def chainrule(*words: Any, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_errors_notes_and_rows_are_cleaned() -> None:
    trained = chainrule("train", "t.csv", "--target", "kind", "--out", f"runs/{OBEYED}", "--epochs", 1)
    assert SHOWN in trained.stdout
    assert "\x1b" not in trained.output
    assert "\x07" not in trained.output
    for words in (
        ("train", "t.csv", "--target", "q"),
        ("train", f"{OBEYED}.csv", "--target", "q"),
        ("train", "t.csv", "--target", "kind", "--class-weights", "c=1"),
        ("evaluate", "runs", "t.csv"),
    ):
        told = chainrule(*words, code=2).stderr
        assert SHOWN in told
        assert "\x1b" not in told
    assert "\x1b" not in chainrule("summary", f"runs/{OBEYED}").stdout


def test_predictions_stay_as_they_are_but_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    chainrule("train", "t.csv", "--target", "kind", "--out", "run", "--no-check", "--epochs", 1)
    told = chainrule("predict", "run", "t.csv", "--probabilities")
    assert f"p({OBEYED})" in told.stdout

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, shown in ((Terminal(), f"{SHOWN},1\n2,3\n"), (io.StringIO(), f"{OBEYED},1\n2,3\n")):
        monkeypatch.setattr(sys, "stdout", stream)
        print_data(f"{OBEYED},1\n2,3\n")
        assert stream.getvalue() == shown
