"""The documents: every block of code in them runs, prints what they show, and every link leads somewhere.

```python         runs, in order, in one namespace for each file; `# -> value` at the end of a line is checked
```python mnist   the same, in a namespace of its own, and only where MNIST is on this machine
```python dask    the same, where distributed is installed
```python torch   the same, where PyTorch is installed; so for jax: by the tests of peers/
```text           right after a python block: what it prints
```text about     the same, where numbers may differ a little from machine to machine
```console        `$ chainrule ...` is run, and what follows is compared as in "about"
A line that is just ... stands for any lines; durations are not compared.
"""

from __future__ import annotations

import ast
import contextlib
import io
import math
import re
import runpy
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

import chainrule as cr
from forks import COMMAND, finished

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*FILES, ROOT / "benchmarks" / "README.md"]
RUN = {"python", "console"}
#: Blocks with such a tag run apart from the others, where what they need is there.
APART = {"mnist", "dask", "torch", "jax"}

NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
DURATION = re.compile(r"\d[\d,]*(?:\.\d+)?(?= (?:s|ms|times)\b)")
ARROW = re.compile(r"#\s*->\s*(.*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and tags, its text, and the line of its first line."""

    tags: tuple[str, ...]
    text: str
    line: int
    follows: bool
    """Whether only blank lines are between it and the block before."""


def blocks_of(path: Path) -> list[Block]:
    """The fenced blocks of a markdown file, in order."""
    found: list[Block] = []
    inside: list[str] | None = None
    tags: tuple[str, ...] = ()
    start, only_blank = 0, False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("```"):
            if inside is None:
                inside, tags, start = [], tuple(line[3:].split()), number + 1
            else:
                found.append(Block(tags, "\n".join(inside) + "\n", start, only_blank and bool(found)))
                inside, only_blank = None, True
        elif inside is not None:
            inside.append(line)
        elif line.strip():
            only_blank = False
    assert inside is None, f"{path.name}: the block at line {start} is not closed"
    return found


def has_mnist() -> bool:
    """Whether MNIST can be read here without downloading it."""
    try:
        cr.datasets.load_mnist(download=False)
    except cr.errors.FileError:
        return False
    return True


def differs(expected: str, got: str, *, about: bool) -> str | None:
    """What is wrong with the output, or None."""
    wanted = [line.rstrip() for line in expected.strip().splitlines()]
    came = [line.rstrip() for line in got.strip().splitlines()]
    if _lines_match(wanted, came, about):
        return None
    return f"expected:\n{expected.strip()}\n\ngot:\n{got.strip()}"


def _lines_match(wanted: list[str], came: list[str], about: bool) -> bool:
    if not wanted:
        return not came
    if wanted[0].strip() == "...":
        return any(_lines_match(wanted[1:], came[k:], about) for k in range(len(came) + 1))
    return (
        bool(came) and _line_matches(wanted[0], came[0], about) and _lines_match(wanted[1:], came[1:], about)
    )


def _line_matches(wanted: str, came: str, about: bool) -> bool:
    wanted, came = (" ".join(DURATION.sub("#", line).split()) for line in (wanted, came))
    if NUMBER.sub("#", wanted) != NUMBER.sub("#", came):
        return False
    pairs = zip(NUMBER.findall(wanted), NUMBER.findall(came), strict=True)
    return all(_number_matches(a.replace(",", ""), b.replace(",", ""), about) for a, b in pairs)


def _number_matches(wanted: str, came: str, about: bool) -> bool:
    if wanted == came:
        return True
    a, b = float(wanted), float(came)
    if about and "." in wanted + came:
        return math.isclose(a, b, rel_tol=0.01, abs_tol=0.01)
    if about and "e" in wanted + came:  # an error of rounding, such as 2e-09
        return max(abs(a), abs(b)) < 1e-6
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


def run_python(block: Block, path: Path, namespace: dict[str, object]) -> str:
    """Run a block, hold its `# ->` comments, and return what it prints."""
    lines = block.text.splitlines()
    printed = io.StringIO()
    for statement in ast.parse(block.text).body:
        ast.increment_lineno(statement, block.line - 1)
        last = lines[(statement.end_lineno or 0) - block.line]
        arrow = ARROW.search(last)
        here = io.StringIO()
        with contextlib.redirect_stdout(here):
            value: object = None
            if isinstance(statement, ast.Expr):
                value = eval(compile(ast.Expression(statement.value), path.name, "eval"), namespace)
            else:
                exec(compile(ast.Module([statement], []), path.name, "exec"), namespace)
        if arrow:
            where = f"{path.name}, line {statement.end_lineno}"
            shown = {here.getvalue().strip()} if value is None else {str(value), repr(value)}
            wrong = [differs(arrow.group(1), each, about=False) for each in sorted(shown)]
            assert None in wrong, f"{where}: {wrong[0]}"
        else:
            printed.write(here.getvalue())
    return printed.getvalue()


def run_console(block: Block, path: Path) -> None:
    """Run each `$ chainrule ...` and compare its output, standard error included."""
    commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    assert commands, f"{path.name}, line {block.line}: a console block without a command"
    for command in commands:
        line, _, expected = command.partition("\n")
        program, *arguments = shlex.split(line, comments=True)
        assert program == "chainrule", f"{path.name}, line {block.line}: only chainrule is run, not {program}"
        code = "import os; os.dup2(1, 2); " + COMMAND
        _, out, _ = finished(code, *arguments, env={"COLUMNS": "100", "NO_COLOR": "1"})
        wrong = differs(expected, out, about=True)
        assert wrong is None, f"{path.name}, line {block.line}: {line}\n{wrong}"


def has_blocks(path: Path, tag: str) -> bool:
    """Whether a file has blocks with this tag."""
    return any(tag in block.tags for block in blocks_of(path))


def run_blocks(path: Path, tag: str | None = None) -> None:
    """Run the blocks of a file with one of the tags that stand apart, or those with none of these."""
    wanted = set() if tag is None else {tag}
    namespace: dict[str, object] = {"__name__": "__main__"}
    blocks = blocks_of(path)
    for k, block in enumerate(blocks):
        if not block.tags or block.tags[0] not in RUN or APART & {*block.tags} != wanted:
            continue
        if block.tags[0] == "console":
            run_console(block, path)
            continue
        printed = run_python(block, path, namespace)
        after = blocks[k + 1] if k + 1 < len(blocks) else None
        if after is not None and after.follows and after.tags[:1] == ("text",):
            wrong = differs(after.text, printed, about="about" in after.tags)
            assert wrong is None, f"{path.name}, line {after.line}: {wrong}"
        else:
            assert not printed, f"{path.name}, line {block.line} prints, and shows no output:\n{printed}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_blocks_run_and_print_what_is_shown(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_blocks(path)


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if has_blocks(path, "mnist")],
    ids=lambda path: path.name,
)
def test_blocks_on_mnist(path, tmp_path, monkeypatch):
    if not has_mnist():
        pytest.skip("MNIST is not on this machine; chainrule.datasets.load_mnist() downloads it")
    monkeypatch.chdir(tmp_path)
    run_blocks(path, "mnist")


@pytest.mark.filterwarnings("ignore")  # of Dask's sockets, and of short trainings
@pytest.mark.parametrize(
    "path",
    [path for path in FILES if has_blocks(path, "dask")],
    ids=lambda path: path.name,
)
def test_blocks_on_dask(path, tmp_path, monkeypatch, kept_environment):
    pytest.importorskip("distributed", reason="distributed is not installed: chainrule[dask] brings it")
    monkeypatch.chdir(tmp_path)
    run_blocks(path, "dask")


def slugs_of(path: Path) -> set[str]:
    """The anchors of a markdown file's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", LINKED, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = path if not place else path.parent / place
        assert target.exists(), f"{path.name}: there is no {link}"
        if anchor:
            assert anchor in slugs_of(target), f"{path.name}: {link} has no such heading"


def test_every_document_is_reached_from_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in FILES[1:]:
        assert f"(docs/{path.name})" in text, path.name


def test_the_list_of_layers_is_complete():
    text = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    missing = [name for name in cr.layers.__all__ if f"`{name}`" not in text]
    assert set(missing) <= {"Layer", "Loss", "ParameterSpec"}


@pytest.mark.parametrize(
    ("expected", "got", "about", "fits"),
    [
        ("a 1.5", "a 1.5", False, True),
        ("a 220", "a 220.00000000000003", False, True),
        ("a 1.5", "a 1.6", False, False),
        ("a 1.50", "a 1.51", True, True),
        ("a 1.50", "a 1.8", True, False),
        ("a 12 rows", "a 13 rows", True, False),
        ("took 0.1 s", "took 7 s", False, True),
        ("error 2e-09", "error 5e-10", True, True),
        ("error 2e-09", "error 5e-3", True, False),
        ("a\n...\nd", "a\nb\nc\nd", False, True),
        ("a\n...\nd", "a\nb", False, False),
        ("a", "a\nb", False, False),
    ],
)
def test_the_comparison_itself(expected, got, about, fits):
    assert (differs(expected, got, about=about) is None) == fits


def test_a_wrong_arrow_is_found():
    wrong = Block(("python",), "1 + 1  # -> 3\n", 1, False)
    with pytest.raises(AssertionError, match="line 1"):
        run_python(wrong, Path("some.md"), {})


def test_the_table_of_what_the_machine_runs_is_true_and_complete() -> None:
    """It is printed by docs/machine_table.py, which builds a network with each layer and looks."""
    path = ROOT / "docs/machine_table.py"
    made = runpy.run_path(str(path))
    assert set(made["USES"]) == set(cr.layers.__all__) - {"Layer", "Loss", "ParameterSpec"}
    text = (ROOT / "docs/programs.md").read_text(encoding="utf-8")
    assert made["table"]() in text, f"run python {path} and put what it prints into programs.md"
