"""Objects as textbooks write them: forward and backward keep their state on self, gradients beside parameters."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.checking.randomness import held
from chainrule.checking.targets.target import (
    Calls,
    Returned,
    Target,
    accepts,
    returned_in_order,
    source_of,
)
from chainrule.errors import ArgumentError

Path = tuple[str | int, ...]
"""The way to something an object keeps: ("W",) is object.W, ("params", "W1") is object.params["W1"]."""

#: Attributes that are parameters whenever they hold floats: without a gradient, one was forgotten.
USUAL = re.compile(r"(W|w|b|weights?|bias|biases|gamma|beta)_?\d*")


@dataclass
class ObjectTarget(Target):
    """An object with forward and backward; its parameters are inputs too, found by the usual names."""

    original: Any = None
    #: By the name of a parameter: the way to it, and to its gradient (None: it was not found).
    places: dict[str, tuple[Path, Path | None]] = field(default_factory=dict)

    def start(self, dtype: str = "float64") -> Calls:
        return ObjectCalls(self, dtype)

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset(self.places)

    @property
    def source(self) -> str | None:
        return source_of(type(self.original).backward)

    @property
    def method(self) -> Any:
        return self.original.forward

    @property
    def data(self) -> list[str]:
        """The inputs that forward is called with."""
        return [name for name in self.values if name not in self.places]


class ObjectCalls(Calls):
    def __init__(self, target: ObjectTarget, dtype: str) -> None:
        self._target = target
        wider: dict[int, Any] = {}
        for path, _ in target.places.values():
            array = look(target.original, path)
            if isinstance(array, np.ndarray):  # every place that holds this array will hold its copy
                wider[id(array)] = np.array(array, dtype=dtype)
        self.object = copy.deepcopy(target.original, wider)
        for path, _ in target.places.values():
            array = look(target.original, path)
            if len(path) == 1 and look(self.object, path) is array and isinstance(array, np.ndarray):
                setattr(self.object, str(path[0]), wider[id(array)])  # it stands on the class
        self._scalar = False

    def forward(self, values: Mapping[str, Array]) -> Any:
        for name, (path, _) in self._target.places.items():
            put(self.object, path, values[name])
        with held(self.object.forward, self._target.draws):
            result = self.object.forward(*(values[name] for name in self._target.data))
        self._scalar = not isinstance(result, np.ndarray)
        return result

    def backward(self, dy: Any) -> Returned:
        backward = self.object.backward
        with held(backward, self._target.draws, seed=1):
            takes_upstream = accepts(backward, 1)
            if takes_upstream:
                result = backward(dy[()] if self._scalar and isinstance(dy, np.ndarray) else dy)
            else:
                result = backward()
        kept = {name: path for name, (_, path) in self._target.places.items() if path is not None}
        returned = returned_in_order([name for name in self._target.values if name not in kept], result)
        for name, path in kept.items():
            returned[name] = look(self.object, path)
        if not takes_upstream and np.size(dy) == 1:  # it is for an upstream gradient of 1, and has no other
            return {n: None if g is None else np.asarray(g) * np.reshape(dy, ()) for n, g in returned.items()}
        return returned

    def replace_parameter(self, name: str, value: Array) -> None:
        """Let a parameter have another value from now on."""
        put(self.object, self._target.places[name][0], value)

    def parameters(self) -> dict[str, Array]:
        found = {name: look(self.object, path) for name, (path, _) in self._target.places.items()}
        return {name: np.asarray(value) for name, value in found.items()}


def look(thing: Any, path: Path) -> Any:
    """What stands at the end of a path; None where the way breaks off."""
    for step in path:
        if isinstance(thing, Mapping):
            thing = thing.get(step)
        elif isinstance(thing, (list, tuple)) and isinstance(step, int):
            thing = thing[step] if step < len(thing) else None
        else:
            thing = getattr(thing, str(step), None)
        if thing is None:
            return None
    return thing


def put(thing: Any, path: Path, value: Array) -> None:
    """Write a value there: into the array that stands there, so that all who hold it see it, else instead of it."""
    present = look(thing, path)
    if isinstance(present, np.ndarray):
        present[...] = value
        return
    holder, last = look(thing, path[:-1]) if path[:-1] else thing, path[-1]
    plain = value.item() if value.ndim == 0 else value
    if isinstance(holder, (dict, list)):
        holder[last] = plain  # type: ignore[index]  # a list's step is an int, a dict's what it holds
    else:
        setattr(holder, str(last), plain)


def find_parameters(
    before: Any, after: Any, named: Mapping[str, str] | None, state: Collection[Path] = ()
) -> dict[str, tuple[Path, Path | None]]:
    """The parameters of an object, and where their gradients stand, by comparing it before and after a backward.

    They are found by their names: W and dW, W and W_grad, `params` and `grads` (lists or dicts), on the object and
    on the layers it is made of. `named` maps parameters to gradients where the names are others. What forward
    writes, `state`, is no parameter.
    """
    found: dict[str, tuple[Path, Path | None]] = {}
    if named is not None:
        for parameter, gradient in named.items():
            paths = _path(parameter), _path(gradient)
            for path, thing, what in ((paths[0], before, parameter), (paths[1], after, gradient)):
                if look(thing, path) is None:
                    raise ArgumentError(
                        f"gradients={{{parameter!r}: {gradient!r}}}: {type(before).__name__} has no {what!r} "
                        f"after forward and backward; its attributes: {', '.join(sorted(vars(after))) or 'none'}"
                    )
            found[parameter] = paths
        return found
    for start, part in parts_of(before):
        for each in _candidates(part, look(after, start) if start else after):
            path = (*start, *each.path)
            value = look(before, path)
            known = any(value is look(before, there) for there, _ in found.values())
            if path in state or (known and isinstance(value, np.ndarray)):
                continue
            name = as_text(path) if start or each.name in found else each.name
            if each.gradient is not None and (_is_number_array(value) or _is_whole(value)):
                found[name] = (path, (*start, *each.gradient))
            elif isinstance(value, np.ndarray) and is_float(value) and each.is_parameter:
                found[name] = (path, None)
    return found


@dataclass(frozen=True)
class _Candidate:
    """What may be a parameter: its name, the way to it and to its gradient, and whether the object calls it one."""

    name: str
    path: Path
    gradient: Path | None
    declared: bool = False

    @property
    def is_parameter(self) -> bool:
        """Whether it is one even without a gradient: then one was forgotten."""
        return self.declared or USUAL.fullmatch(self.name) is not None


def _candidates(before: Any, after: Any) -> Iterator[_Candidate]:
    attributes = attributes_of(before)
    for holder, others in (("params", "grads"), ("parameters", "gradients"), ("params", "gradients")):
        parameters, gradients = attributes.get(holder), getattr(after, others, None)
        if isinstance(parameters, dict) and isinstance(gradients, dict):
            for key in parameters:
                place = next((k for k in (key, f"d{key}", f"{key}_grad") if k in gradients), None)
                yield _Candidate(str(key), (holder, key), None if place is None else (others, place), True)
        elif isinstance(parameters, (list, tuple)) and isinstance(gradients, (list, tuple)):
            for k, parameter in enumerate(parameters):
                own = next((n for n, v in attributes.items() if v is parameter), f"{holder}[{k}]")
                yield _Candidate(own, (holder, k), (others, k) if k < len(gradients) else None, True)
    for name in attributes:
        partner = next(
            (
                other
                for other in (f"d{name}", f"{name}_grad", f"grad_{name}", f"d_{name}", f"grad{name}")
                if _is_number_array(getattr(after, other, None)) or other in attributes
            ),
            None,
        )
        yield _Candidate(name, (name,), None if partner is None else (partner,))


def parts_of(thing: Any) -> list[tuple[Path, Any]]:
    """The object itself, and the objects with forward and backward that it keeps, in lists and dicts too."""
    found: list[tuple[Path, Any]] = []
    seen: set[int] = set()
    waiting: list[tuple[Path, Any]] = [((), thing)]
    while waiting:
        path, each = waiting.pop(0)
        if id(each) in seen or len(path) > 6:
            continue
        seen.add(id(each))
        if isinstance(each, dict):
            waiting += [((*path, key), value) for key, value in each.items() if isinstance(key, (str, int))]
        elif isinstance(each, (list, tuple)) and len(each) <= 1000:
            waiting += [((*path, k), value) for k, value in enumerate(each)]
        elif not path or _is_layer(each):
            found.append((path, each))
            waiting += [((*path, name), value) for name, value in attributes_of(each).items()]
    return found


def _is_layer(thing: Any) -> bool:
    return (
        not inspect.isclass(thing)
        and callable(getattr(thing, "forward", None))
        and callable(getattr(thing, "backward", None))
    )


def written_to(before: Any, after: Any, copies: Mapping[int, Any]) -> set[Path]:
    """The ways to arrays that were replaced, or written into: `after` is a copy of `before` that was run, and
    `copies` tells which array was copied to which.
    """
    written: set[Path] = set()
    for start, part in parts_of(before):
        for name, value in attributes_of(part).items():
            if isinstance(value, np.ndarray) and id(value) in copies:
                path, copied = (*start, name), copies[id(value)]
                same = look(after, path) is copied and np.array_equal(
                    copied, value, equal_nan=is_float(value)
                )
                if not same:
                    written.add(path)
    return written


def as_text(path: Path) -> str:
    """A path as it is written in Python: layers[0].W."""
    parts = [f"[{step!r}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).lstrip(".")


def attributes_of(thing: Any) -> dict[str, Any]:
    """What stands on an object, in its slots, and what of its class is a parameter."""
    found: dict[str, Any] = {}
    for cls in reversed(type(thing).__mro__):
        found |= {n: v for n, v in vars(cls).items() if isinstance(v, (np.ndarray, float))}
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(thing, name):
                found[name] = getattr(thing, name)
    return found | getattr(thing, "__dict__", {})


def _is_number_array(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return is_float(value)
    return isinstance(value, float)


def _is_whole(value: Any) -> bool:
    kind = value.dtype.kind if isinstance(value, np.ndarray) else ""
    return kind in "iu" if kind else isinstance(value, int) and not isinstance(value, bool)


def _path(text: str) -> Path:
    """'params.W1' or 'params[0]' as a path."""
    parts = text.replace("[", ".").replace("]", "").replace("'", "").replace('"', "").split(".")
    return tuple(int(part) if part.isdigit() else part for part in parts if part)


def checked_object(target: Any) -> None:
    """ArgumentError unless it has forward and backward, and is an object rather than its class."""
    if inspect.isclass(target):
        raise ArgumentError(
            f"check takes an object, got the class {target.__name__}: make one, {target.__name__}(...)"
        )
    for method in ("forward", "backward"):
        if not callable(getattr(target, method, None)):
            raise ArgumentError(
                f"check: {type(target).__name__} has no method {method}(); what is checked has forward and "
                f"backward, or is a function given together with backward=..."
            )
