"""What an object keeps, and where: walking through it, reading and writing at a place."""

from __future__ import annotations

import ast
import copy
import re
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from enum import Enum
from functools import cached_property, partial
from logging import Logger
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.checking.targets.naming import Path
from chainrule.errors import ArgumentError

#: How deep a walk goes, and how many things it looks at.
DEPTH = 50
MOST = 20_000

_CLOSED = (
    str,
    bytes,
    np.ndarray,
    np.generic,
    ModuleType,
    type,
    FunctionType,
    BuiltinFunctionType,
    Enum,
    Logger,
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


def is_whole(thing: Any) -> bool:
    """Whether a walk comes to all that an object keeps."""
    found = list(walk(thing))
    return len(found) < MOST and not any(len(path) == DEPTH and _inside(value) for path, value in found)


def is_holder(thing: Any) -> bool:
    """Whether it is a container, or an object that may keep something."""
    return _inside(thing) is not None


def _inside(thing: Any) -> list[tuple[Hashable, Any]] | None:
    """What a container or an object holds, by the step that leads there; None for all else."""
    if isinstance(thing, Mapping):
        return list(thing.items())
    if isinstance(thing, (list, tuple, deque)):
        return list(enumerate(thing)) if len(thing) <= MOST and as_number_list(thing) is None else []
    if isinstance(thing, np.ndarray) and thing.dtype == object and as_number_list(thing) is None:
        places = np.ndindex(thing.shape) if thing.size <= MOST else ()
        return [(place[0] if len(place) == 1 else place, thing[place]) for place in places]
    if isinstance(thing, np.ndarray) and thing.dtype.names is not None:
        return [(name, thing[name]) for name in thing.dtype.names]
    if is_other_array(thing):
        return None
    if isinstance(thing, MethodType):
        return [("__self__", thing.__self__)]
    if isinstance(thing, partial):
        return [("func", thing.func), ("args", thing.args), ("keywords", thing.keywords)]
    if isinstance(thing, _CLOSED):
        return None
    return list(attributes_of(thing).items()) if hasattr(thing, "__dict__") or _slots(thing) else None


def attributes_of(thing: Any) -> dict[str, Any]:
    """What stands on an object, in its slots, and on its class, without methods and properties."""
    found: dict[str, Any] = {}
    for cls in reversed(type(thing).__mro__):
        own = {name: value for name, value in vars(cls).items() if not name.startswith("__")}
        found |= {name: value for name, value in own.items() if not hasattr(type(value), "__get__")}
    found |= {name: getattr(thing, name) for name in _slots(thing) if hasattr(thing, name)}
    return found | getattr(thing, "__dict__", {})


def _slots(thing: Any) -> list[str]:
    found = []
    for cls in reversed(type(thing).__mro__):
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            is_private = name.startswith("__") and not name.endswith("__")
            found.append(f"_{cls.__name__.lstrip('_')}{name}" if is_private else name)
    return [name for name in found if name not in ("__dict__", "__weakref__")]


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


def is_other_array(value: Any) -> bool:
    """Whether it is an array of floats of another library, or of complex numbers."""
    if isinstance(value, (np.ndarray, np.generic)):
        return isinstance(value, np.ndarray) and value.dtype.kind == "c"
    return hasattr(type(value), "__array__") and "float" in str(getattr(value, "dtype", ""))


def is_floats(value: Any) -> bool:
    """Whether a value holds floats."""
    if isinstance(value, np.ndarray):
        return is_float(value)
    return isinstance(value, float) or as_number_list(value) is not None


def as_number_list(value: Any) -> Array | None:
    """The array that a list of floats, a list of such lists, or an array of such objects is; else None."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = value.tolist()
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
        elif isinstance(thing, np.ndarray) and step in (thing.dtype.names or ()):
            thing = thing[str(step)]
        elif isinstance(thing, (list, tuple, deque, np.ndarray)) and not isinstance(step, str):
            try:
                thing = thing[step]  # type: ignore[call-overload,index]  # a whole number, or several for an array
            except (IndexError, TypeError):
                return None
        else:
            thing = getattr(thing, str(step), None)
        if thing is None:
            return None
    return thing


def put(thing: Any, path: Path, value: Any) -> None:
    """Write a value there: into the array or list at that place, so that all who hold it see it, else instead."""
    present = look(thing, path)
    if not isinstance(value, np.ndarray):
        _set(look(thing, path[:-1]), path[-1], value)
        return
    if isinstance(present, np.ndarray):
        present[...] = value
        return
    if isinstance(present, list):
        present[:] = value.tolist()
        return
    plain = (
        value.item() if value.ndim == 0 else tuple(value.tolist()) if isinstance(present, tuple) else value
    )
    _set(look(thing, path[:-1]), path[-1], plain)


def _set(holder: Any, step: Any, value: Any) -> None:
    """Let a container or an object, also a frozen one, hold something else at a step."""
    if isinstance(holder, (dict, list, deque, np.ndarray)):
        holder[step] = value
    else:
        object.__setattr__(holder, str(step), value)


def fill(thing: Any, paths: Iterable[Path], number: float) -> None:
    """Write one number everywhere into what stands at these places, where something does."""
    for path in paths:
        present = look(thing, path)
        if present is not None:
            put(thing, path, np.full(np.shape(present), number))


def moved(value: Any, way: int, rng: np.random.Generator) -> Any:
    """Other values: near these and of their signs, or further away and of both."""
    if is_other_array(value):
        return -value - 1 if way else value * 1.3 + 0.05
    array = np.array(value, np.float64)
    size = float(np.sqrt((array**2).mean())) if array.size else 0.0
    if way:
        return np.asarray(array + (size or 1.0) * rng.normal(size=array.shape))
    return np.asarray(
        array * rng.uniform(0.6, 1.4, array.shape) + (array == 0) * rng.uniform(0.05, 0.1, array.shape)
    )


def is_same(one: Any, other: Any) -> bool:
    """Whether two numbers, arrays or lists of numbers are equal, NaN being equal to NaN."""
    a, b = np.asarray(one), np.asarray(other)
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f"))


def as_text(path: Path) -> str:
    """A path as it is written in Python: layers[0].W; params.W for params["W"]."""
    parts = [f".{step}" if isinstance(step, str) and step.isidentifier() else f"[{step!r}]" for step in path]
    return "".join(parts).lstrip(".")


def as_path(text: str) -> Path:
    """'params.W1', 'params["W1"]' or 'params[0]' as a path."""
    return tuple(name or _key(key) for key, name in re.findall(r"\[(.*?)\](?=[.\[]|$)|([^.\[\]]+)", text))


def _key(text: str) -> Hashable:
    try:
        key: Hashable = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return key


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
        #: What a copy shares and is given of its own, such as what the class holds; and what has no copy.
        self._shared: dict[Path, Any] = {}
        self._single: dict[Path, Any] = {}
        trial = copied(thing)
        for path, value in walk(thing):
            is_holder = isinstance(value, np.ndarray) or _inside(value) is not None
            is_known = _is_in(path, self._shared) or _is_in(path, self._single)
            if path and is_holder and not is_known and look(trial, path) is value:
                if not _is_single(value):
                    self._shared[path] = value
                elif not isinstance(value, tuple):
                    self._single[path] = value
        #: The numbers of which a copy has its own.
        self.numbers = {p: v for p, v in numbers_of(thing).items() if not _is_in(p, self._single)}

    def copy(self, cast: Iterable[Path] = (), dtype: str = "float64") -> Any:
        """A copy; the arrays at some places in a dtype, wherever they stand."""
        arrays = [self.numbers.get(path) for path in cast]
        memory: dict[int, Any] = {id(a): a.astype(dtype) for a in arrays if isinstance(a, np.ndarray)}
        made = copied(self.thing, memory)
        for path, value in self._shared.items():
            _set(look(made, path[:-1]), path[-1], copied(value, memory))
        return made

    @cached_property
    def out_of_reach(self) -> dict[Path, Array]:
        """The arrays of floats that copies share: on the class itself, and in what has no copy."""
        held = {**self._shared, **self._single}
        found = (((*path, *inner), value) for path, top in held.items() for inner, value in walk(top))
        return {path: v for path, v in found if isinstance(v, np.ndarray) and is_floats(v) and v.size}


def _is_single(thing: Any) -> bool:
    """Whether there is no copy of it."""
    try:
        return copied(thing) is thing
    except ArgumentError:
        return True


def _is_in(path: Path, places: Mapping[Path, Any]) -> bool:
    return any(path[:k] in places for k in range(1, len(path) + 1))
