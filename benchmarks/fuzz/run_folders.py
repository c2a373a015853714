"""Run folders of real trainings, what spoils them, and how they are read."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app
from chainrule.drawing.page import text
from chainrule.errors import ChainruleError
from chainrule.loop import History
from chainrule.saving import runs
from fuzz.spoiling import ANYTHING, Folder
from fuzz.text_files import Rng, one

JSON = (runs.RUN, runs.HISTORY, runs.OLD_HISTORY, runs.EVALUATION, runs.CHECK)
ODD: tuple[Any, ...] = (
    *(None, True, "", "x", "<script>alert(1)</script>", "\u202e\x1b[31m", "x" * 100_000),
    *(0, -1, 2, 7, 10**6, 10**18, 10**400, -(10**400), 0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf")),
    *([], {}, [[]], [None], {"a": {}}, [1, 2, 3], [[1, 2], [3]], list(range(1_000))),
)
TRAININGS = (("--target", "kind", "--seed", "0"), ("--target", "kind", "--seed", "1"), ("--target", "x0"))


def run_folder(rng: Rng) -> Folder:
    """The folder of a short training; of four one as version 0.6 left them, and one whose process was killed."""
    files = dict(one(rng, _trained()))
    chance = rng.random()
    if chance < 0.25:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, runs.HISTORY)
            path.write_bytes(files.pop(runs.HISTORY))
            files[runs.OLD_HISTORY] = History.load(path).to_json().encode()
        del files[runs.RUN]
    elif chance < 0.5:
        record = json.loads(files[runs.RUN])
        files[runs.RUN] = json.dumps({**record, "state": one(rng, ("running", "interrupted"))}).encode()
    return files


@functools.cache
def _trained() -> tuple[Folder, ...]:
    rng, found = np.random.default_rng(0), []
    rows = [f"{a:.3f},{b:.3f},{'yes' if a > b else 'no'}" for a, b in rng.normal(size=(60, 2))]
    with tempfile.TemporaryDirectory() as place:
        table = Path(place, "rows.csv")
        table.write_text("\n".join(["x0,x1,kind", *rows]))
        for k, options in enumerate(TRAININGS):
            folder = Path(place, str(k))
            arguments = [
                "train",
                str(table),
                *options,
                "--hidden",
                "3",
                "--epochs",
                "6",
                "--batch-size",
                "16",
            ]
            result = CliRunner().invoke(app, [*arguments, "--out", str(folder)])
            assert result.exit_code == 0, result.output
            names = (*JSON, runs.MODEL)
            found.append({name: (folder / name).read_bytes() for name in names if (folder / name).exists()})
    return tuple(found)


def change_value(files: Folder, rng: Rng) -> Folder:
    """Something in a JSON file is another value, missing, or there twice."""
    name = _json_in(files, rng)
    if not name:
        return files
    lines = files[name].split(b"\n") if name == runs.HISTORY else [files[name]]
    line = int(rng.integers(len(lines)))
    try:
        content = json.loads(lines[line])
    except (ValueError, RecursionError):  # spoilt already
        return files
    places = list(_places(content)) if isinstance(content, (dict, list)) else []
    if not places:
        return files
    holder, key = one(rng, places)
    chance = rng.random()
    if chance < 0.15:
        del holder[key]
    elif chance < 0.25 and isinstance(holder, list):
        holder.insert(int(rng.integers(len(holder) + 1)), holder[key])
    elif chance < 0.35 and isinstance(holder, dict):
        holder[one(rng, ("x", "run", "W9", "<b>"))] = holder.pop(key)
    elif chance < 0.5 and type(holder[key]) in (int, float):
        holder[key] = holder[key] * one(rng, (-1, 0, 2, 1e6, 1e300))
    else:
        holder[key] = one(rng, ODD)
    lines[line] = json.dumps(content).encode()
    return {**files, name: b"\n".join(lines)}


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Everything that holds something, and where in it."""
    keys: list[Any] = list(content) if isinstance(content, dict) else list(range(len(content)))
    for key in keys:
        yield content, key
        if isinstance(content[key], (dict, list)):
            yield from _places(content[key])


def change_bytes(files: Folder, rng: Rng) -> Folder:
    """A file is spoilt as any file is."""
    name = one(rng, sorted(files) or [""])
    return {**files, name: one(rng, ANYTHING)(files[name], rng)} if name else files


def name_twice(files: Folder, rng: Rng) -> Folder:
    """A key stands twice."""
    name = _json_in(files, rng)
    doubled = b'{"run": "x", "run": "y", '
    return {**files, name: files[name].replace(b"{", doubled, 1)} if name else files


def exchange(files: Folder, rng: Rng) -> Folder:
    """A file is that of another run."""
    other = one(rng, _trained())
    name = one(rng, sorted(other))
    return {**files, name: other[name]}


def lose(files: Folder, rng: Rng) -> Folder:
    """A file is missing."""
    name = one(rng, sorted(files) or [""])
    return {each: content for each, content in files.items() if each != name} or files


def _json_in(files: Folder, rng: Rng) -> str:
    there = [name for name in JSON if name in files]
    return one(rng, there) if there else ""


def read_run_folder(path: Path, rng: Rng) -> None:
    """Its report, whose page must say what is missing and found, and hold no number that is none; and its parts."""
    for read in (lambda: cr.load(path / runs.MODEL), lambda: History.load(path / runs.HISTORY)):
        with contextlib.suppress(ChainruleError):
            read()
    made = cr.report(path)
    page = made.html()
    for each in made.findings:
        assert text(each.text) in page, each.text
    for missing in made.runs[0].missing:
        assert text(missing) in page, missing
        assert len(missing) < 1_000, "a long line"
    found = re.search(r'id="data-charts">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    json.loads(found[1], parse_constant=_refuse)


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} among the numbers of the page")


RUN_FOLDERS = (*[change_value] * 6, change_bytes, change_bytes, name_twice, exchange, lose)
