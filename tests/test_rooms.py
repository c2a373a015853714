"""The rooms of chainrule: imports run down the list only. And `import chainrule` stays light."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import chainrule

SOURCE = Path(chainrule.__file__).parent

#: From high to low. Rooms on one line may import each other, but not in a circle.
LINES = [
    ["cli"],
    ["sklearn"],
    ["reports", "notebook"],
    ["drawing", "checking"],
    ["saving"],
    ["versions", "evaluation"],
    ["network"],
    ["loop"],
    ["program"],
    ["native"],
    ["optimizers", "schedules"],
    ["numerical"],
    ["graph", "parameters"],
    ["layers"],
    ["initializers"],
    ["datasets"],
    [
        *("randomness", "files", "configured", "arguments", "incoming", "arrays", "locks", "errors", "text"),
        "sparse",
        "signals",
        "elsewhere",
    ],
]
HEIGHT = {room: -line for line, rooms in enumerate(LINES) for room in rooms}
EXEMPT = {"__init__", "__main__"}
HEAVY = ("matplotlib", "sklearn", "pandas", "scipy", "rich", "typer", "pooch", "PIL", "jinja2")

Import = tuple[str, str, str]  # the file and line, the room that imports, the room that is imported


def rooms_named(node: ast.AST, package: list[str]) -> Iterator[str]:
    """The rooms that an import statement names. '' is chainrule itself."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            parts = alias.name.split(".")
            if parts[0] == "chainrule":
                yield ".".join(parts[1:2])
    elif isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else []
        parts = [*base, *(node.module or "").split(".")] if node.module else base
        if parts[:1] != ["chainrule"]:
            return
        if len(parts) > 1:
            yield parts[1]
            return
        for alias in node.names:
            is_room = (
                alias.name in HEIGHT
                or (SOURCE / alias.name).is_dir()
                or (SOURCE / f"{alias.name}.py").is_file()
            )
            if is_room:
                yield alias.name
            elif alias.name != "__version__":
                yield ""


def imports_of(text: str, path: Path) -> Iterator[Import]:
    """Every import of a room by another, wherever in the file: in functions and for type checkers too."""
    room = path.parts[0].removesuffix(".py")
    package = ["chainrule", *path.parts[:-1]]
    for node in ast.walk(ast.parse(text)):
        for imported in rooms_named(node, package):
            if imported != room:
                yield f"{path}:{getattr(node, 'lineno', 0)}", room, imported


def all_imports() -> list[Import]:
    found: list[Import] = []
    for file in sorted(SOURCE.rglob("*.py")):
        path = file.relative_to(SOURCE)
        if path.parts[0].removesuffix(".py") not in EXEMPT:
            found += imports_of(file.read_text(encoding="utf-8"), path)
    return found


def violations(imports: Iterable[Import]) -> list[str]:
    """What is wrong with the imports: those that run upward, and circles on one line."""
    wrong, level = [], TopologicalSorter[str]()
    for place, room, imported in imports:
        if imported not in HEIGHT:
            wrong.append(f"{place}: {room} imports {imported or 'chainrule itself'}, which is no room")
        elif HEIGHT[imported] > HEIGHT[room]:
            wrong.append(f"{place}: {room} imports {imported}, which stands higher")
        elif HEIGHT[imported] == HEIGHT[room]:
            level.add(room, imported)
    try:
        level.prepare()
    except CycleError as error:
        wrong.append(f"a circle: {' <- '.join(error.args[1])}")
    return wrong


def test_every_file_is_in_a_room() -> None:
    found = {path.stem for path in SOURCE.glob("*.py")} | {path.parent.name for path in SOURCE.glob("*/*.py")}
    assert found - EXEMPT <= set(HEIGHT), "say in LINES where the new room stands"


def test_imports_run_down() -> None:
    imports = all_imports()
    assert len(imports) > 100, "the imports were not found"
    assert violations(imports) == []


@pytest.mark.parametrize(
    ("text", "path", "wrong"),
    [
        ("from chainrule.network import Network", "graph/graph.py", "graph imports network"),
        ("import chainrule.saving.model as model", "layers/affine.py", "layers imports saving"),
        ("from chainrule import drawing, errors", "checking.py", ""),
        ("from chainrule import graph", "layers/affine.py", "layers imports graph"),
        ("from ..network import Network", "graph/graph.py", "graph imports network"),
        ("from .. import network", "graph/graph.py", "graph imports network"),
        ("from . import nodes", "graph/graph.py", ""),
        ("from .nodes import Node", "graph/graph.py", ""),
        ("def f():\n    from chainrule.cli import main", "files.py", "files imports cli"),
        (
            "if TYPE_CHECKING:\n    from chainrule.network import Network",
            "loop/loop.py",
            "loop imports net",
        ),
        ("if TYPE_CHECKING:\n    from chainrule.network import Network", "network/summary.py", ""),
        ("import chainrule as cr", "cli/app.py", "cli imports chainrule itself"),
        ("from chainrule import Network", "saving/model.py", "saving imports chainrule itself"),
        ("from chainrule import __version__", "cli/app.py", ""),
        ("from chainrule.attic import old", "cli/app.py", "attic, which is no room"),
        ("import chainrules\nfrom numpy import random", "errors.py", ""),
    ],
)
def test_the_test_itself(text: str, path: str, wrong: str) -> None:
    found = "; ".join(violations(imports_of(text, Path(path))))
    assert wrong in found
    assert bool(found) == bool(wrong)


def test_circles_are_found() -> None:
    def circle(*rooms: str) -> list[str]:
        return violations(("here", one, two) for one, two in zip(rooms, rooms[1:] + rooms[:1], strict=True))

    assert "a circle" in circle("drawing", "checking")[0]
    assert "a circle" in circle("optimizers", "schedules")[0]
    assert violations([("here", "optimizers", "schedules"), ("here", "configured", "errors")]) == []


def fresh(code: str, **environment: str) -> str:
    """What a new interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | environment,
    )
    return done.stdout


def test_the_import_loads_nothing_heavy() -> None:
    loaded = fresh("import sys, json, chainrule; print(json.dumps(sorted(sys.modules)))")
    assert [name for name in json.loads(loaded) if name in HEAVY] == []


def test_what_is_imported_late_is_there() -> None:
    code = "import chainrule as cr; print('datasets' in dir(cr), callable(cr.datasets.load_digits))"
    assert fresh(code).split() == ["True", "True"]
    assert fresh("from chainrule import *; print(datasets.__name__)").strip() == "chainrule.datasets"
    with pytest.raises(AttributeError, match="'chainrule' has no attribute 'dataset'"):
        chainrule.dataset  # type: ignore[attr-defined]  # noqa: B018


def test_the_import_is_quick(tmp_path: Path) -> None:
    """It takes less than NumPy's own import, which it needs: a ratio, since machines differ and are busy.

    Both are imported from bytecode, as they are by everyone from the second time on: the first run writes it, also
    where the environment keeps it out of the folders of the sources.
    """
    code = (
        "import time; start = time.process_time(); import numpy; middle = time.process_time(); import chainrule; "
        "print((time.process_time() - middle) / (middle - start))"
    )
    bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    assert any(float(fresh(code, **bytecode)) < 1 for _ in range(9))
