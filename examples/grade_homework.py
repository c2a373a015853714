"""A grader: each student's layers are checked, and the mistake in each is named.

    python examples/grade_homework.py             # the class in examples/homework
    python examples/grade_homework.py FOLDER      # yours: a Python file for each student

It runs what the students wrote. Do that for people you trust, or on a machine that has nothing to lose.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from types import ModuleType

import numpy as np

import chainrule as cr

HOMEWORK = Path(__file__).parent / "homework"
CUT_OFF = (
    "import numpy as np\n\n\nclass Sigmoid:\n    def forward(self, x):\n        return 1 / (1 + np.exp(-x)\n"
)
"""What one student handed in. It is kept as text, since no tool takes it for Python."""

EXPECTED = {
    "ada": ("right", "right"),
    "ben": ("value-for-gradient", "right"),
    "chen": ("right", "broadcast"),
    "dora": ("upstream-ignored", "accumulates"),
    "emil": ("no class Sigmoid", "stale-weights"),
    "fay": ("raises", "axis"),
    "gus": ("TypeError", "TypeError"),
    "hana": ("SyntaxError", "SyntaxError"),
}

rng = np.random.default_rng(0)
X, W, B = rng.normal(size=(4, 5)), rng.normal(size=(5, 3)), rng.normal(size=3)
EXERCISES = {"Sigmoid": (), "Affine": (W, B)}  # each class, and what its constructor takes


def load(path: Path) -> ModuleType:
    """A student's file as a module. What it raises is left to the caller, what it prints is not shown."""
    spec = importlib.util.spec_from_file_location(f"homework_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def grade(module: ModuleType, exercise: str) -> tuple[int, str, str]:
    """Points, the mistake, and where it is: 2 for what is right, 1 for what runs, 0 for the rest."""
    made = getattr(module, exercise, None)
    if made is None:
        return 0, f"no class {exercise}", ""
    report = cr.check(made(*(value.copy() for value in EXERCISES[exercise])), X)
    if report.passed:
        return 2, "right", ""
    first = report.findings[0]
    runs = not any(row.verdict == "not checked" for row in report.rows)
    return (
        int(runs),
        first.mistake,
        f"{first.source}, gradient of {first.input}" if first.input else f"{first.source}",
    )


def place_of(error: BaseException, path: Path) -> str:
    """The line of the file in which it was raised."""
    if isinstance(error, SyntaxError):
        return f"{path.name}:{error.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
    return f"{path.name}:{lines[-1]}" if lines else path.name


def grade_file(path: Path) -> list[tuple[int, str, str]]:
    """The grade of each exercise. Whatever goes wrong in the file is a grade, too."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            module = load(path)
        except (Exception, SystemExit) as error:
            return [(0, type(error).__name__, place_of(error, path)) for _ in EXERCISES]
        grades = []
        for exercise in EXERCISES:
            try:
                grades.append(grade(module, exercise))
            except (Exception, SystemExit) as error:
                grades.append((0, type(error).__name__, place_of(error, path)))
    return grades


def main(folder: Path | None = None) -> None:
    with tempfile.TemporaryDirectory() as name:
        handed_in = Path(name) / "homework"  # a copy, so that Python's own files are written beside it
        shutil.copytree(HOMEWORK if folder is None else folder, handed_in)
        if folder is None:
            (handed_in / "hana.py").write_text(CUT_OFF, encoding="utf-8")
        found = {path.stem: grade_file(path) for path in sorted(handed_in.glob("*.py"))}

    print(f"{'student':<10}{'exercise':<10}{'points':<8}{'found':<20}where")
    for student, grades in found.items():
        for exercise, (points, mistake, place) in zip(EXERCISES, grades, strict=True):
            print(f"{student:<10}{exercise:<10}{points:<8}{mistake:<20}{place}".rstrip())
    for student, grades in found.items():
        print(f"{student}: {sum(points for points, _, _ in grades)} of {2 * len(EXERCISES)}")

    if folder is None:
        named = {student: tuple(mistake for _, mistake, _ in grades) for student, grades in found.items()}
        assert named == EXPECTED, named
        print("Every mistake is named as expected.")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
