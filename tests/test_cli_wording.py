"""Messages of the library as the command line says them: every remedy that they name is an option."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import COMMANDS, app, options_of, worded
from chainrule.cli.check import Check
from chainrule.cli.train import Train
from chainrule.cli.wording import PHRASES
from chainrule.errors import ArgumentError, ChainruleWarning, DataError

pytestmark = pytest.mark.usefixtures("without_curves")

SOURCES = Path(cr.__file__).parent
IN_PYTHON = "only code in Python makes layers, graphs and networks, or saves them"
AS_WANTED = "the commands pass what is wanted, and nothing else"
#: Files whose messages name arguments of Python, and why no command comes to those.
OUT_OF_REACH = {
    "cli/train.py": "a model that is not finite is read in Python only, and the message says so",
    "cli/resume.py": "the run was begun in Python, and goes on there",
    "checking/assertions.py": "it is for test-suites, and no command calls it",
    "checking/checker.py": AS_WANTED,
    "checking/graphs.py": AS_WANTED,
    "datasets/tables/other_files.py": "it says how Python reads such a file, and that the commands do not",
    "datasets/fetching.py": "the commands download, and name no folder",
    "drawing/drawing.py": AS_WANTED,
    "reports/outlook.py": "of a run in Python; of that of a command it names options",
    "reports/training_report.py": AS_WANTED,
    "elsewhere.py": IN_PYTHON,
    "errors.py": IN_PYTHON,
    "graph/graph.py": IN_PYTHON,
    "graph/nodes.py": IN_PYTHON,
    "incoming.py": "the commands read tables, whose text is prepared",
    "layers/affine.py": IN_PYTHON,
    "layers/base.py": IN_PYTHON,
    "layers/standardize.py": IN_PYTHON,
    "loop/callbacks.py": AS_WANTED,
    "network/feeds.py": AS_WANTED,
    "network/making.py": IN_PYTHON,
    "network/network.py": AS_WANTED,
    "network/progress.py": AS_WANTED,
    "network/scales.py": "the commands bring targets to one scale",
    "saving/checkpoint.py": "the commands keep the end of a run themselves",
    "saving/model.py": IN_PYTHON,
}
#: Of what these files hold, findings are tried as findings, patterns are no messages, and help is of options.
NO_MESSAGES = ("cli/wording.py", "reports/remedies.py", "checking/mistakes.py")
ARGUMENT = re.compile(r"(?<![-\w.])([a-z_]+)=(?![=}])")
NAME = re.compile(r"\bcr\.\w+(?:\.\w+)*")
OWNED = re.compile(r"^[A-Z]\w*: expected ([a-z_]+) to be")
NUMPYS = re.compile(r"(argmax|unique)\([^)]*\)")  # a file is made so, in NumPy
NO_SENTENCE = re.compile(r"<[/a-z!]|=\"\{\}\"|(alt|title)=\"|^pip install")


def literal(node: ast.AST) -> str | None:
    """The text of a literal, with {...} for what is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values)
    return None


def messages() -> Iterator[tuple[str, str]]:
    """Every text of the library that reads like a sentence, and the file that holds it.

    But those of the estimators, which are scikit-learn's in words, and which no command calls.
    """
    for path in sorted(set(SOURCES.rglob("*.py")) - set((SOURCES / "sklearn").rglob("*.py"))):
        name, tree = path.relative_to(SOURCES).as_posix(), ast.parse(path.read_text(encoding="utf-8"))
        skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                skipped |= {id(part) for part in ast.walk(node) if part is not node}
        for node in ast.walk(tree):
            text = None if id(node) in skipped else literal(node)
            if (
                text is not None
                and text.count(" ") >= 3
                and not NO_SENTENCE.search(text)
                and name not in NO_MESSAGES
            ):
                yield name, NUMPYS.sub("", text)


def helps() -> set[str]:
    """What the commands' options say of themselves: their values are theirs."""
    program = typer.main.get_command(app)
    return {
        str(each.help)
        for command in program.commands.values()
        for each in command.params
        if hasattr(each, "help")
    }


def names_python(text: str) -> bool:
    return any(pattern.search(text) for pattern in (ARGUMENT, NAME, OWNED))


def test_every_message_that_the_command_line_shows_names_options():
    known, told, wrong = helps(), set(), []
    for file, text in messages():
        shown = worded(text, "check" if file.startswith("checking/") else "train")
        if names_python(shown) and text not in known:
            told.add(file)
            if file not in OUT_OF_REACH:
                wrong.append(f"{file}: {shown}")
    assert wrong == []
    assert told == set(OUT_OF_REACH)  # no file is excused that needs no excuse
    options = {option for name in COMMANDS for option in options_of(name).values()}
    for _, text in messages():
        for option in re.findall(r"(?<![-\w])--[a-z][a-z-]*", worded(text, "train")):
            assert option in options | {"--no-check", "--no-health", "--no-collapse"}, text


def parameters() -> set[str]:
    """The names of all arguments that functions and classes of the library take."""
    found = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                taken = node.args
                found |= {each.arg for each in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)}
            elif isinstance(node, ast.ClassDef):
                found |= {each.target.id for each in node.body if isinstance(each, ast.AnnAssign)}
    return found


def python_names_exist(text: str, known: set[str]) -> bool:
    arguments = [*ARGUMENT.findall(text), *OWNED.findall(text)]
    for name in NAME.findall(text):
        found = cr
        for part in name.split(".")[1:]:
            found = getattr(found, part, None)
        if found is None:
            return False
    return all(each in known for each in arguments)


def test_every_message_of_python_names_arguments_that_exist():
    known, own = parameters(), helps()
    wrong = [
        f"{file}: {text}"
        for file, text in messages()
        if text not in own and not python_names_exist(text, known)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("command", "message", "shown"),
    [
        (
            "train",
            "SGD: expected clip_norm to be a number in (0, inf), got 0",
            "--clip-norm: expected a number in (0, inf), got 0",
        ),
        ("train", "batch_size: expected at most 3, got 4", "--batch-size: expected at most 3, got 4"),
        ("train", "epochs: expected a whole number", "--epochs: expected a whole number"),
        ("train", "unknown sampling 'x'; Known: a", "--sampling: there is no 'x'; Known: a"),
        ("train", 'scale it, or make the network with dtype="float64"', "scale it, or --dtype float64"),
        (
            "predict",
            'scale it, or make the network with dtype="float64"',
            "scale it, or --dtype float64 of chainrule train",
        ),
        ("train", "or pass task='classification' if so", "or --task classification if so"),
        (
            "train",
            "try a smaller learning rate, such as 0.01, or clip_norm=1.0 in the optimizer",
            "try a smaller --learning-rate, such as 0.01, or --clip-norm 1.0",
        ),
        (
            "train",
            "the inputs are about 2e+05 (column 3): scale them, cr.Standardize.of(x['a']) first in the network",
            "the inputs are about 2e+05 (column 3): scale them",
        ),
        (
            "train",
            "the targets are about 2e+05: scale them, cr.Standardize.of(t, invert=True) last in the network",
            "the targets are about 2e+05: scale them",
        ),
        (
            "train",
            "W1 starts with numbers of about 1e+06: start smaller, weights=cr.initializers.He()",
            "W1 starts with numbers of about 1e+06: start smaller, --init he",
        ),
        (
            "evaluate",
            "scale the input, cr.Standardize.of(x_train) first in the network, or compute with "
            'net.astype("float64")',
            "scale the input, or --dtype float64 of chainrule train",
        ),
        ("summary", "batch_size=3 is too many", "--batch-size 3 is too many"),
        (
            "train",
            "BatchNorm: give a larger batch_size than 5",
            "BatchNorm: give a larger --batch-size than 5",
        ),
        ("train", "there is no column 'batch_size' in my/batch_size.csv", None),
        ("train", "test_loss did not improve", None),
        (
            "check",
            "check: found no inputs that it takes; give them: cr.check(A(...), x)",
            "check: found no inputs that it takes; give them, such as --input 4x5",
        ),
        ("evaluate", "there is no column 'size=3'", "there is no column 'size=3'"),
        ("train", "expected a number, got 'seed=3'; correct it", None),
        (
            "train",
            'no column "it\'s rate=1"; got rate=1',
            'no column "it\'s rate=1"; got --dropout 1',
        ),
        ("train", "there is no 'x'; Known: batch_size, epochs=9, drop=['a']", None),
        (
            "train",
            "no column 'x' for the target; Known: a, b; target=None reads features only",
            "no column 'x' for the target; Known: a, b",
        ),
        ("train", "read it as missing with missing=('5 kg',)", "read it as missing with --missing '5 kg'"),
        ("train", "read it as missing with missing=('-5',)", "read it as missing with --missing=-5"),
        ("train", "leave it out, drop=['a \\'b\\' \"c\"']", "leave it out, --drop 'a '\"'\"'b'\"'\"' \"c\"'"),
        (
            "train",
            "text of 3,088 different values; most_categories=3088 would take it",
            "text of 3,088 different values; --most-categories 3088 would take it",
        ),
        (
            "evaluate",
            "expected a number, got 'x'; correct it, or pass task='classification' if it is a class",
            "expected a number, got 'x'; the model estimates numbers",
        ),
    ],
)
def test_arguments_become_options(command, message, shown):
    assert worded(message, command) == (message if shown is None else shown)


def test_files_of_the_user_keep_their_names():
    message = "runs/seed=3/batch_size: batch_size=5 is too large"
    shown = worded(message, "train", {"out": Path("runs/seed=3/batch_size"), "drop": ["a"]})
    assert shown == "runs/seed=3/batch_size: --batch-size 5 is too large"


def test_every_phrase_is_one_that_the_library_says():
    texts = [text for _, text in messages()]
    for make in (lambda: cr.SGD(clip_norm=0), lambda: cr.EarlyStopping(patience=0)):
        with pytest.raises(ArgumentError) as caught:
            make()
        texts.append(str(caught.value))
    formed = [text.replace("{}", "'x'") for text in texts]
    for pattern, _ in PHRASES:
        assert any(re.search(pattern, text) for text in [*texts, *formed]), pattern


def test_warnings_are_notes(monkeypatch):
    def warn(self):
        for _ in range(2):
            warnings.warn('odd; make the network with dtype="float64"', ChainruleWarning, stacklevel=1)
        raise DataError("batch_size: no")

    monkeypatch.setattr(Train, "run", warn)
    result = CliRunner().invoke(app, ["train"])
    assert result.exit_code == 2
    assert result.stderr == "note: odd; --dtype float64\nchainrule: --batch-size: no\n"


def test_other_warnings_stay_as_they_are(monkeypatch):
    def warn(self):
        warnings.warn("mind", RuntimeWarning, stacklevel=1)
        raise ArgumentError("no")

    monkeypatch.setattr(Check, "run", warn)
    with pytest.warns(RuntimeWarning, match="mind"):
        assert CliRunner().invoke(app, ["check", "a.py:B"]).exit_code == 2


def test_warnings_of_numbers_are_not_shown(monkeypatch):
    def overflow(self):
        np.full(2, 1e300) * 1e300
        np.full(2, np.inf) - np.inf
        np.zeros(2) / 0
        raise ArgumentError("no")

    monkeypatch.setattr(Check, "run", overflow)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert CliRunner().invoke(app, ["check", "a.py:B"]).exit_code == 2
    assert shown == []
