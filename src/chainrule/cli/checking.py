"""`chainrule check`: a model, or a class or two functions in a Python file, checked by `cr.check`."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar

import numpy as np
import typer
from rich.console import Console

from chainrule.arrays import ArrayLike, Shape
from chainrule.checking import CheckReport
from chainrule.checking import check as check_target
from chainrule.checking.subjects import ANSWERS, accepts, input_names
from chainrule.cli.batches import ROWS, batch_for
from chainrule.cli.drawing import draw_report, picture_path
from chainrule.cli.texts import clean, print_text
from chainrule.errors import ArgumentError, ChainruleError, FileError, did_you_mean
from chainrule.graph import Graph
from chainrule.layers import Layer
from chainrule.network import Network
from chainrule.saving import load

T = TypeVar("T")

MOST_NUMBERS = 10_000_000
_ARRAY_NAME = re.compile(r"(w|b|weights?|bias(es)?|gamma|beta)\d*", re.IGNORECASE)
_SHAPE = re.compile(r"\d+x?|\d+(x\d+)+", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d+", re.ASCII)
_INPUT_FORMS = (
    "4x5 (random numbers), 4:3 (4 labels from 0 to 2), 4x3:onehot, 4x5:positive, or a number such as 0.5"
)


@dataclass(frozen=True)
class Choices:
    """What the options of `chainrule check` say."""

    inputs: list[str]
    arguments: list[str]
    target: str | None
    seed: int
    dtype: str
    as_json: bool
    picture: Path | None = None
    force: bool = False


def check(name: str, data: str | None, choices: Choices) -> bool:
    """Check what the name stands for, print the report, and say whether it passed."""
    if choices.seed < 0:
        raise ArgumentError(f"--seed: expected a whole number of at least 0, got {choices.seed}")
    if choices.dtype not in ("float32", "float64"):
        raise ArgumentError(f"--dtype: expected float32 or float64, got {choices.dtype!r}")
    if choices.picture is not None:
        picture_path("--picture", choices.picture, choices.force)
    code = _code_named(name)
    if code is None:
        _refuse_options_of_code(name, choices)
        note, report = _check_model(Path(name), data, choices)
    else:
        if data is not None or choices.target is not None:
            what = "--target" if data is None else f"DATA ({data!r})"
            raise ArgumentError(
                f"{what} is for model files; what is in a Python file gets its inputs by --input, such as "
                f"--input 4x5"
            )
        note, report = None, _check_code(*code, choices)
    if choices.as_json:
        if note:
            typer.echo(note, err=True)
        typer.echo(as_json(report))
    else:
        if note:
            print_text(f"{note}\n")
        show(report)
    if choices.picture is not None:
        draw_report(report, choices.picture, tell=not choices.as_json)
    sys.stdout.flush()
    return report.passed


def as_json(report: CheckReport) -> str:
    """The report as JSON, for a file or another program."""
    return json.dumps(report.to_dict(), indent=1, allow_nan=False)


def check_network(
    network: Network, feeds: Mapping[str, ArrayLike], seed: int = 0, dtype: str = "float64"
) -> CheckReport:
    """Check a network on a batch. What overflows is told by the report, not by NumPy."""
    with np.errstate(all="ignore"):
        return check_target(network, feeds, seed=seed, dtype=dtype)


def show(report: CheckReport) -> None:
    """Print the table and the findings: in colour on a terminal, and else as plain text."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(report)
    else:
        print_text(str(report))


# A model ---------------------------------------------------------------------------------------------------


def _refuse_options_of_code(name: str, choices: Choices) -> None:
    if not choices.inputs and not choices.arguments:
        return
    option = "--input" if choices.inputs else "--arg"
    raise ArgumentError(
        f"{option} is for a class in a Python file, FILE.py:ClassName; {clean(name)} is taken for a model file, "
        f"whose inputs are rows of DATA"
    )


def _check_model(path: Path, data: str | None, choices: Choices) -> tuple[str, CheckReport]:
    if ":" in path.name and not path.exists():
        raise FileError(
            f"there is no model file {clean(str(path))}; a class is named by its Python file, FILE.py:ClassName"
        )
    network = load(path)
    with np.errstate(all="ignore"):
        where, batch = batch_for(network, data, choices.target, ROWS, choices.seed)
    report = check_network(network, batch, choices.seed, choices.dtype)
    return f"{clean(str(path))}, checked on {where}", report


# A class or two functions in a Python file ------------------------------------------------------------------


def _code_named(name: str) -> tuple[Path, str] | None:
    """'file.py:Name' as its two parts; None for what names no Python file."""
    at = name.lower().rfind(".py:")
    if at >= 0:
        return Path(name[: at + 3]), name[at + 4 :].strip()
    return (Path(name), "") if name.lower().endswith(".py") else None


def _check_code(path: Path, name: str, choices: Choices) -> CheckReport:
    inputs = [_input(text, [choices.seed, 1, k]) for k, text in enumerate(choices.inputs)]
    with _loaded(path) as module:
        parts = [part.strip() for part in name.split(",")]
        if not name or len(parts) > 2 or not all(parts):
            raise ArgumentError(
                f"{clean(str(path))}: say what to check, FILE.py:ClassName or FILE.py:forward,backward; "
                f"{_defined(module, '')}"
            )
        found = [_attribute(module, part, path) for part in parts]
        options: dict[str, Any] = {"seed": choices.seed, "dtype": choices.dtype}
        if len(found) == 2:
            for part, each in zip(parts, found, strict=True):
                if not callable(each) or isinstance(each, type):
                    raise ArgumentError(f"{part!r}: expected a function, got {_kind(each)}")
            options["backward"] = found[1]
        elif isinstance(found[0], FunctionType):
            other = name.replace("forward", "backward") if "forward" in name else f"{name}_backward"
            raise ArgumentError(
                f"{name!r} is a function; name its backward too, FILE.py:{name},{other}; {_defined(module, '')}"
            )
        target = _made(found[0], parts[0], choices, inputs, path)
        given = _given(target, parts[0], inputs)
        marked = [k for k, text in enumerate(choices.inputs) if text.endswith(":onehot") or _is_labels(text)]
        names = None if isinstance(given, dict) else _names(target, len(inputs), marked)
        if names is not None:
            options["names"] = names

        def run() -> CheckReport:
            if isinstance(given, dict):
                return check_target(target, given, **options)
            return check_target(target, *given, **options)

        return _guarded(path, run, f"the check of {parts[0]} failed", own=False)


@contextlib.contextmanager
def _loaded(path: Path) -> Iterator[ModuleType]:
    """The user's file, run as a module; files beside it can be imported, as when Python runs it."""
    shown = clean(str(path))
    if not path.is_file():
        raise FileError(f"{shown} is not a file" if path.exists() else f"there is no file {shown}")
    source = path.read_bytes()
    try:
        code = compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        text = f": {clean(error.text.strip())[:100]}" if error.text else ""
        raise FileError(
            f"{shown}{line}: {type(error).__name__}: {clean(error.msg or 'not Python')}{text}"
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise FileError(f"{shown} is not Python: {_message(error)}") from None
    module = ModuleType(f"checked_{path.stem}")
    module.__file__ = str(path)
    folder = str(path.resolve().parent)
    before = list(sys.path), list(sys.argv)
    sys.modules[module.__name__] = module
    try:
        sys.path.insert(0, folder)
        sys.argv[:] = [str(path)]
        _guarded(path, partial(exec, code, module.__dict__), "", own=True)
        sys.path[:] = [*before[0], folder]  # no longer before ours: a file may be called random.py
        yield module
    finally:
        sys.path[:], sys.argv[:] = before
        sys.modules.pop(module.__name__, None)


def _guarded(path: Path, call: Callable[[], T], what: str, *, own: bool) -> T:
    """What a call of the user's code returns; what it raises is told in one line, with its place in the file.

    `own`: all that runs is the user's. What it prints goes to standard error, and errors of chainrule are its own.
    Else it is the check, which runs forward hundreds of times: what that prints is not shown.
    """
    try:
        with contextlib.ExitStack() as stack:
            place = sys.stderr if own else stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(place))
            return call()
    except (Exception, SystemExit) as error:
        if isinstance(error, ChainruleError) and not own:
            raise
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = f", line {lines[-1]}" if lines else ""
        remedy = ""
        if isinstance(error, SystemExit) and not what:
            remedy = "; put what runs the file as a program below if __name__ == '__main__'"
        told = f"{what}: {_message(error)}" if what else _message(error)
        raise FileError(f"{clean(str(path))}{line}: {told}{remedy}") from None


def _attribute(module: ModuleType, name: str, path: Path) -> Any:
    if name not in vars(module):
        raise ArgumentError(f"{clean(str(path))}: there is no {name!r}; {_defined(module, name)}")
    return vars(module)[name]


def _defined(module: ModuleType, name: str) -> str:
    """The classes and functions that the file defines, the nearest to a name first."""
    own = [
        key
        for key, value in vars(module).items()
        if isinstance(value, (type, FunctionType)) and value.__module__ == module.__name__
    ]
    return did_you_mean(name, own) if own else "it defines no class and no function"


def _made(found: Any, name: str, choices: Choices, inputs: list[Any], path: Path) -> Any:
    """The object to check: what was found, or made from it where that is a class."""
    torch = sys.modules.get("torch")
    is_class = isinstance(found, type) and not (torch and issubclass(found, torch.autograd.Function))
    if not is_class:
        if choices.arguments:
            raise ArgumentError(f"--arg is for the constructor of a class; {name} is {_kind(found)}")
        return found
    for method in ("forward", "backward"):
        if not callable(getattr(found, method, None)):
            raise ArgumentError(
                f"{name} has no method {method}(); what is checked has forward and backward, or is two functions, "
                f"FILE.py:forward,backward"
            )
    given = dict(_argument(text, [choices.seed, 2, k]) for k, text in enumerate(choices.arguments))
    if len(given) < len(choices.arguments):
        raise ArgumentError("--arg: expected each name once")
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return _guarded(path, lambda: found(**given), f"{name}(...)", own=True)
    bound, open_ended = signature.bind_partial(), None
    known = []
    for key, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            open_ended = key
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            known.append(key)
            if key in given:
                bound.arguments[key] = given[key]
    missing = [key for key in known if signature.parameters[key].default is inspect.Parameter.empty]
    missing = [key for key in missing if key not in given]
    if missing:
        how = " ".join(f"--arg {key}={_example(key, inputs)}" for key in missing)
        raise ArgumentError(
            f"{name}({', '.join(known)}) needs {', '.join(missing)}; give each a shape or a number, such as {how}"
        )
    extra = {key: value for key, value in given.items() if key not in known}
    if extra and open_ended is None:
        unknown = next(iter(extra))
        raise ArgumentError(
            f"--arg: {name}({', '.join(known)}) takes no {unknown!r}; {did_you_mean(unknown, known)}"
        )
    if extra:
        bound.arguments[str(open_ended)] = extra
    return _guarded(path, lambda: found(*bound.args, **bound.kwargs), f"{name}(...)", own=True)


def _example(name: str, inputs: list[Any]) -> str:
    width = inputs[0].shape[-1] if inputs and np.ndim(inputs[0]) else 5
    if not _ARRAY_NAME.fullmatch(name):
        return "3"
    return f"{width}x3" if name.lower().startswith("w") else "3"


def _given(target: Any, name: str, inputs: list[Any]) -> list[Any] | dict[str, Any]:
    """The inputs as `cr.check` takes them, once there are as many as forward takes; by name for a graph."""
    if isinstance(target, (Graph, Network)):
        graph = target.graph if isinstance(target, Network) else target
        if len(inputs) > len(graph.inputs):
            raise ArgumentError(
                f"--input: {name} takes {', '.join(graph.inputs)}; {len(inputs)} inputs were given"
            )
        return dict(zip(graph.inputs, inputs, strict=False))
    if isinstance(target, Layer):
        needed = target.signature.required - len(target.parameters())
        if inputs and len(inputs) < needed:
            takes = ", ".join(target.signature.inputs[:needed])
            raise ArgumentError(
                f"--input: {name} takes {takes}; {len(inputs)} was given: one for each, or none"
            )
        return inputs
    is_function = isinstance(target, (FunctionType, type))
    forward = target if isinstance(target, FunctionType) else getattr(target, "forward", None)
    if not callable(forward):
        raise ArgumentError(f"{name} is {_kind(target)}; what is checked has forward and backward")
    skipped = 1 if isinstance(target, type) else 0  # a torch.autograd.Function's forward takes ctx first
    if not inputs or not accepts(forward, len(inputs) + skipped):
        called = _required(forward)[skipped:]
        examples = " ".join("--input " + ("4:5" if key in ANSWERS else "4x5") for key in called)
        what = name if is_function else f"{name}.forward"
        came = "none was given" if not inputs else f"{len(inputs)} given"
        raise ArgumentError(
            f"{what}({', '.join(called)}) takes an --input for each, {came}; such as {examples or '--input 4x5'}"
        )
    return inputs


def _required(function: Callable[..., Any]) -> list[str]:
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ["x"]
    return [
        p.name
        for p in found
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]


def _names(target: Any, count: int, marked: list[int]) -> list[str] | None:
    """The names of the inputs where those that hold labels are not called so; None where they are."""
    if isinstance(target, (Layer, type)) or not marked:
        return None
    names = input_names(target if isinstance(target, FunctionType) else target.forward, count, None)
    free = [name for name in ("labels", "targets", "answers", "ids") if name not in names]
    others = [k for k in marked if names[k] not in ANSWERS]
    for k, name in zip(others, free, strict=False):
        names[k] = name
    return names if others else None


# What is typed ----------------------------------------------------------------------------------------------


def _is_labels(text: str) -> bool:
    return re.fullmatch(r".*:\d+", text, re.ASCII) is not None


def _input(text: str, seed: list[int]) -> Any:
    """The array that an --input stands for."""
    rng = np.random.default_rng(seed)
    shape_text, colon, kind = text.strip().partition(":")
    if not colon and not _SHAPE.fullmatch(shape_text):
        number = _number(shape_text)
        if number is None:
            raise ArgumentError(f"--input: expected {_INPUT_FORMS}, got {text!r}")
        return np.float64(number)
    if not _SHAPE.fullmatch(shape_text):
        raise ArgumentError(f"--input: expected {_INPUT_FORMS}, got {text!r}")
    shape = _shape(shape_text, "--input", text)
    if not colon:
        return rng.normal(size=shape)
    if kind == "onehot":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if kind == "positive":
        return rng.uniform(0.5, 2.0, shape)
    if re.fullmatch(r"\d{1,9}", kind, re.ASCII) and int(kind) > 0:
        return rng.integers(0, int(kind), shape)
    raise ArgumentError(
        f"--input {text!r}: expected a number of classes, onehot or positive after the colon, got {kind!r}"
    )


def _argument(text: str, seed: list[int]) -> tuple[str, Any]:
    """The name and the value that an --arg stands for."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name.isidentifier():
        raise ArgumentError(f"--arg: expected NAME=3x4 (a random array) or NAME=0.5 (a number), got {text!r}")
    alone = _WHOLE.fullmatch(value) is not None
    if _SHAPE.fullmatch(value) and (not alone or _ARRAY_NAME.fullmatch(name)):
        return name, np.random.default_rng(seed).normal(size=_shape(value, "--arg", text))
    number = int(value) if alone and len(value) < 20 else _number(value)
    if number is None:
        raise ArgumentError(
            f"--arg {text!r}: expected a shape such as 3x4, 3x for one axis, or a number such as 7 or 0.5; for "
            f"another value make the object in the file, and name the object"
        )
    return name, number


def _shape(text: str, option: str, whole: str) -> Shape:
    parts = [part for part in text.split("x") if part]
    shape = tuple(int(part[:12]) for part in parts)
    size = 1
    for length in shape:
        size *= length
    if not 0 < size <= MOST_NUMBERS or len(shape) > 32:
        raise ArgumentError(
            f"{option} {whole!r}: expected lengths of at least 1, and at most {MOST_NUMBERS:,} numbers in all"
        )
    return shape


def _number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        number = float(text) if text.isascii() and "_" not in text else np.nan
    except ValueError:
        return None
    return number if np.isfinite(number) else None


# What is told -----------------------------------------------------------------------------------------------


def _kind(thing: Any) -> str:
    if isinstance(thing, type):
        return "a class"
    return "a function" if isinstance(thing, FunctionType) else f"of type {type(thing).__name__}"


def _message(error: BaseException) -> str:
    """What was raised, as one line."""
    try:
        text = str(error)
    except Exception:
        text = "its text cannot be shown"
    name = type(error).__name__
    return clean(" ".join(f"{name}: {text}".split()) if text else name)[:400]
