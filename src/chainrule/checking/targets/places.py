"""What an object keeps, and where: walking through it, reading and writing at a place."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.checking.targets.naming import Path
from chainrule.errors import ArgumentError

#: So deep, and at so many things, a walk looks.
DEPTH = 10
MOST = 20_000

_CLOSED = (
    str,
    bytes,
    np.ndarray,
    np.generic,
    ModuleType,
    type,
    FunctionType,
    MethodType,
    BuiltinFunctionType,
)


def walk(thing: Any) -> Iterator[tuple[Path, Any]]:
    """Everything an object keeps, on itself, in lists and dicts and on other objects, the nearest first.

    Containers and objects come once, arrays and numbers at each place where they stand.
    """
    seen: set[int] = set()
    waiting: deque[tuple[Path, Any]] = deque([((), thing)])
    count = 0
    while waiting and count < MOST:
        count += 1
        path, each = waiting.popleft()
        inside = _inside(each)
        if inside is not None:
            if id(each) in seen:
                continue
            seen.add(id(each))
        yield path, each
        if inside is not None and len(path) < DEPTH:
            waiting.extend(((*path, step), value) for step, value in inside)


def _inside(thing: Any) -> list[tuple[str | int, Any]] | None:
    """What a container or an object holds, by the step that leads there; None for all else."""
    if isinstance(thing, Mapping):
        return [(key, value) for key, value in thing.items() if isinstance(key, (str, int))]
    if isinstance(thing, (list, tuple, deque)):
        return list(enumerate(thing)) if len(thing) <= 1000 and as_number_list(thing) is None else []
    if isinstance(thing, _CLOSED):
        return None
    return list(attributes_of(thing).items()) if hasattr(thing, "__dict__") or _slots(thing) else None


def attributes_of(thing: Any) -> dict[str, Any]:
    """What stands on an object, in its slots, and what of its class is a parameter."""
    found: dict[str, Any] = {}
    for cls in reversed(type(thing).__mro__):
        found |= {n: v for n, v in vars(cls).items() if isinstance(v, (np.ndarray, float))}
    found |= {name: getattr(thing, name) for name in _slots(thing) if hasattr(thing, name)}
    return found | getattr(thing, "__dict__", {})


def _slots(thing: Any) -> list[str]:
    named = [vars(cls).get("__slots__", ()) for cls in reversed(type(thing).__mro__)]
    each = [name for slots in named for name in ((slots,) if isinstance(slots, str) else slots)]
    return [name for name in each if name not in ("__dict__", "__weakref__")]


def numbers_of(thing: Any) -> dict[Path, Any]:
    """The arrays of numbers, the numbers and the lists of floats that an object keeps, by the way to them."""
    return {path: value for path, value in walk(thing) if is_numbers(value)}


def is_numbers(value: Any) -> bool:
    """Whether a value is an array of numbers, one number, or a list of floats."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiu"
    if isinstance(value, (float, int, np.integer)):
        return not isinstance(value, bool)
    return as_number_list(value) is not None


def is_floats(value: Any) -> bool:
    """Whether a value holds floats."""
    if isinstance(value, np.ndarray):
        return is_float(value)
    return isinstance(value, float) or as_number_list(value) is not None


def as_number_list(value: Any) -> Array | None:
    """The array that a list of floats, or a list of such lists, is; None where it is something else."""
    if not isinstance(value, (list, tuple)) or not value:
        return None
    first = value[0]
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if not isinstance(first, float):
        return None
    try:
        array = np.array(value)
    except ValueError:
        return None
    return array if is_float(array) else None


def look(thing: Any, path: Path) -> Any:
    """What stands at the end of a path; None where the way breaks off."""
    for step in path:
        if isinstance(thing, Mapping):
            thing = thing.get(step)
        elif isinstance(thing, (list, tuple, deque)) and isinstance(step, int):
            thing = thing[step] if step < len(thing) else None
        else:
            thing = getattr(thing, str(step), None)
        if thing is None:
            return None
    return thing


def put(thing: Any, path: Path, value: Array) -> None:
    """Write a value there: into the array or list at that place, so that all who hold it see it, else instead."""
    present = look(thing, path)
    if isinstance(present, np.ndarray):
        present[...] = value
        return
    if isinstance(present, list):
        present[:] = value.tolist()
        return
    holder, last = look(thing, path[:-1]) if path[:-1] else thing, path[-1]
    plain = (
        value.item() if value.ndim == 0 else tuple(value.tolist()) if isinstance(present, tuple) else value
    )
    _set(holder, last, plain)


def _set(holder: Any, step: str | int, value: Any) -> None:
    """Let a container or an object, also a frozen one, hold something else at a step."""
    if isinstance(holder, (dict, list, deque)):
        holder[step] = value  # type: ignore[index]  # a list's step is an int, a dict's what it holds
    else:
        object.__setattr__(holder, str(step), value)


def is_same(one: Any, other: Any) -> bool:
    """Whether two numbers, arrays or lists of numbers are equal, NaN being equal to NaN."""
    a, b = np.asarray(one), np.asarray(other)
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f"))


def as_text(path: Path) -> str:
    """A path as it is written in Python: layers[0].W."""
    parts = [f"[{step!r}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).lstrip(".")


def as_path(text: str) -> Path:
    """'params.W1' or 'params[0]' as a path."""
    parts = text.replace("[", ".").replace("]", "").replace("'", "").replace('"', "").split(".")
    return tuple(int(part) if part.isdigit() else part for part in parts if part)


def copied(target: Any, memory: dict[int, Any] | None = None) -> Any:
    """A copy of an object and of all it keeps; ArgumentError where there is none."""
    try:
        return copy.deepcopy(target, memory)
    except Exception as error:
        raise ArgumentError(
            f"check: {type(target).__name__} cannot be copied ({error}), and a check runs copies, so that the "
            f"object stays as it is; keep what cannot be copied elsewhere, or give the class a __deepcopy__"
        ) from None


class Original:
    """An object that stays as it is: copies of it are run, and share no array with it."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing
        self.numbers = numbers_of(thing)
        trial = copied(thing)
        #: The arrays that a copy would share: those of the class, and those that a __deepcopy__ hands on.
        self._shared = [
            path
            for path, value in self.numbers.items()
            if isinstance(value, np.ndarray) and look(trial, path) is value
        ]

    def copy(self, dtypes: Mapping[Path, Any] | None = None) -> Any:
        """A copy; the arrays at some places in other dtypes, wherever they stand."""
        replaced: dict[int, Any] = {}
        for path, dtype in (dtypes or {}).items():
            array = self.numbers.get(path)
            if isinstance(array, np.ndarray):
                replaced[id(array)] = np.array(array, dtype=dtype)
        made = copied(self.thing, dict(replaced))
        for path in self._shared:
            array = self.numbers[path]
            holder = look(made, path[:-1]) if path[:-1] else made
            own = replaced.get(id(array))
            _set(holder, path[-1], array.copy() if own is None else own)
        return made
