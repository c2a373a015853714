"""A class, an object or two functions in a Python file of the user's, checked by `cr.check`."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from chainrule.checking import CheckReport, check
from chainrule.checking.targets.jax_targets import takes_jax
from chainrule.checking.targets.target import ANSWERS, accepts, input_names
from chainrule.checking.targets.torch_inputs import takes_context, takes_torch
from chainrule.cli.python_file import attribute, defined, guarded, loaded
from chainrule.cli.typed import (
    example_of,
    holds_labels,
    parse_arguments,
    parse_inputs,
    parse_pairs,
    parse_sizes,
)
from chainrule.errors import ArgumentError, did_you_mean
from chainrule.graph import Graph
from chainrule.layers import Layer
from chainrule.network import Network
from chainrule.text import clean


def check_code(
    path: Path,
    name: str,
    input_texts: Sequence[str],
    argument_texts: Sequence[str],
    seed: int,
    dtype: str,
    texts: Mapping[str, Any],
) -> CheckReport:
    """Check what the file calls so, on the inputs that were typed, with the other options' `texts`."""
    inputs = parse_inputs(input_texts, seed)
    options: dict[str, Any] = {"seed": seed, "dtype": dtype, **_options(texts)}
    with contextlib.ExitStack() as stack:
        module = stack.enter_context(loaded(path))
        found = _found(module, name, path)
        if "--reference" in texts:
            options["reference"] = _reference(texts["--reference"], module, path, stack)
        if len(found) == 2:
            options["backward"] = found[1]
        first = name.split(",")[0].strip()
        target = found[0]
        if _is_class(target):
            _refuse_without_passes(target, first)
            target = _made(target, first, parse_arguments(argument_texts, seed), inputs, path)
        elif argument_texts:
            raise ArgumentError(f"--arg is for the constructor of a class; {first} is {_kind(target)}")
        given = _given(target, first, inputs)
        if not isinstance(given, dict):
            names = _names(target, [holds_labels(text) for text in input_texts])
            options |= {} if names is None else {"names": names}

        def run() -> CheckReport:
            if isinstance(given, dict):
                return check(target, given, **options)
            return check(target, *given, **options)

        return guarded(path, run, f"the check of {first} failed", own=False)


def _options(texts: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `cr.check` that consist of names and numbers."""
    options: dict[str, Any] = {}
    if "--sizes" in texts:
        options["sizes"] = parse_sizes(texts["--sizes"])
    if "--gradient" in texts:
        options["gradients"] = parse_pairs("--gradient", texts["--gradient"])
    for option, argument in {"--ignore": "ignore", "--straight-through": "straight_through"}.items():
        if option in texts:
            options[argument] = texts[option]
    return options


def _reference(text: str, module: ModuleType, path: Path, stack: contextlib.ExitStack) -> Any:
    """The plain function that is named so, in the file of the target or in its own."""
    file, colon, name = text.rpartition(":")
    if colon:
        path = Path(file)
        module = stack.enter_context(loaded(path))
    reference = attribute(module, name, path)
    if not callable(reference):
        raise ArgumentError(f"--reference: expected a function, got {_kind(reference)}")
    return reference


def _found(module: ModuleType, name: str, path: Path) -> list[Any]:
    """What is to be checked: one thing with forward and backward, or two functions."""
    parts = [part.strip() for part in name.split(",")]
    if len(parts) > 2 or not all(parts):
        raise ArgumentError(
            f"{clean(str(path))}: say what to check, FILE.py:ClassName or FILE.py:forward,backward; "
            f"{defined(module, '')}"
        )
    found = [attribute(module, part, path) for part in parts]
    if len(found) == 2:
        for part, each in zip(parts, found, strict=True):
            if not callable(each) or isinstance(each, type):
                raise ArgumentError(f"{part!r}: expected a function, got {_kind(each)}")
    elif isinstance(found[0], FunctionType):
        other = name.replace("forward", "backward") if "forward" in name else f"{name}_backward"
        raise ArgumentError(
            f"{name!r} is a function; name its backward too, FILE.py:{name},{other}; {defined(module, '')}"
        )
    return found


def _is_class(found: Any) -> bool:
    """Whether the thing to check is to be made; a torch.autograd.Function is checked as it is."""
    return isinstance(found, type) and not _is_kernel(found)


def _is_kernel(found: Any) -> bool:
    """Whether it is PyTorch's or JAX's, which have gradients without a method backward."""
    return takes_torch(found, ()) or takes_jax(found, ())


def _refuse_without_passes(found: type, name: str) -> None:
    torch = sys.modules.get("torch")
    is_module = torch is not None and issubclass(found, torch.nn.Module)
    for method in ("forward",) if is_module else ("forward", "backward"):
        if not callable(getattr(found, method, None)):
            raise ArgumentError(
                f"{name} has no method {method}(); what is checked has forward and backward, or is two functions, "
                f"FILE.py:forward,backward"
            )


def _made(found: type, name: str, arguments: dict[str, Any], inputs: list[Any], path: Path) -> Any:
    """The object of a class, whose constructor gets the arguments that were typed."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return guarded(path, lambda: found(**arguments), f"{name}(...)", own=True)
    bound = _bound(signature, name, arguments, inputs)
    return guarded(path, lambda: found(*bound.args, **bound.kwargs), f"{name}(...)", own=True)


def _bound(
    signature: inspect.Signature, name: str, arguments: dict[str, Any], inputs: list[Any]
) -> inspect.BoundArguments:
    """The arguments in their places, once there are all that the constructor needs, and no others."""
    parameters = signature.parameters.values()
    known = {p.name: p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    missing = [key for key, p in known.items() if p.default is p.empty and key not in arguments]
    if missing:
        how = " ".join(f"--arg {key}={example_of(key, inputs)}" for key in missing)
        raise ArgumentError(
            f"{name}({', '.join(known)}) needs {', '.join(missing)}; give each a shape or a number, such as {how}"
        )
    bound = signature.bind_partial()
    bound.arguments |= {key: value for key, value in arguments.items() if key in known}
    extra = {key: value for key, value in arguments.items() if key not in known}
    for rest in (p.name for p in parameters if p.kind is p.VAR_KEYWORD):
        bound.arguments[rest] = extra
        return bound
    for unknown in extra:
        raise ArgumentError(
            f"--arg: {name}({', '.join(known)}) takes no {unknown!r}; {did_you_mean(unknown, known)}"
        )
    return bound


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
    forward = _forward(target)
    if not callable(forward):
        raise ArgumentError(f"{name} is {_kind(target)}; what is checked has forward and backward")
    skipped = 1 if isinstance(target, type) and takes_context(target) else 0
    if not inputs or not accepts(forward, len(inputs) + skipped):
        called = _required(forward)[skipped:]
        examples = " ".join("--input " + ("4:5" if key in ANSWERS else "4x5") for key in called)
        is_method = not isinstance(target, type) and hasattr(target, "forward")
        what = f"{name}.forward" if is_method else name
        came = "none was given" if not inputs else f"{len(inputs)} given"
        raise ArgumentError(
            f"{what}({', '.join(called)}) takes an --input for each, {came}; such as {examples or '--input 4x5'}"
        )
    return inputs


def _forward(target: Any) -> Any:
    """What takes the inputs: a function itself, or the method of an object."""
    if isinstance(target, FunctionType) or (_is_kernel(target) and not hasattr(target, "forward")):
        return getattr(target, "_init_fn", target)  # an operator of torch.library is called by *args
    return getattr(target, "forward", None)


def _required(function: Callable[..., Any]) -> list[str]:
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ["x"]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in found if p.kind in positional and p.default is p.empty]


def _names(target: Any, are_labels: Sequence[bool]) -> list[str] | None:
    """The names of the inputs where those that hold labels are not called so; None where they are."""
    if isinstance(target, (Layer, type)) or not any(are_labels) or _is_kernel(target):
        return None
    names = input_names(_forward(target), len(are_labels), None)
    free = [name for name in ("labels", "targets", "answers", "ids") if name not in names]
    others = [k for k, marked in enumerate(are_labels) if marked and names[k] not in ANSWERS]
    for k, name in zip(others, free, strict=False):
        names[k] = name
    return names if others else None


def _kind(thing: Any) -> str:
    if isinstance(thing, type):
        return "a class"
    return "a function" if isinstance(thing, FunctionType) else f"of type {type(thing).__name__}"
