"""The parameters of an object and their gradients: paired by their names, and told by what forward reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.targets.naming import (
    USUAL,
    USUAL_NUMBERS,
    Path,
    gradient_keys,
    is_container,
    is_gradient,
    is_value,
    parameter_keys,
)
from chainrule.checking.targets.places import (
    Original,
    as_text,
    is_floats,
    is_numbers,
    is_same,
    look,
    put,
    walk,
)

Forward = Callable[[Any], Array]
"""Runs a copy of the object, and gives its output."""


@dataclass(frozen=True)
class Place:
    """Where a parameter stands, and where its gradient: added up, where one array stands in several places."""

    path: Path
    gradients: tuple[Path, ...] = ()
    #: The learning rate by which backward updates it, where that update is all there is of a gradient.
    rate: float | None = None


@dataclass(frozen=True)
class _Pair:
    """A parameter and what may be its gradient; the lower the rank, the surer."""

    rank: float
    order: int
    parameter: Path
    gradient: Path


def pair_by_names(
    before: Mapping[Path, Any], after: Any, changed: Collection[Path]
) -> dict[Path, tuple[Path, ...]]:
    """The gradients of each number or array that has one, by their names, after a backward that changed some."""
    gradients = {path: value for path, value in walk(after) if path and (value is None or is_numbers(value))}
    pairs = _by_keys(before, gradients, changed)
    found = _best(pairs)
    rest = [path for path in before if path not in found]
    free = {p: g for p, g in gradients.items() if p not in found and p not in found.values()}
    found |= _best(_beside(rest, before, free, changed))
    rest = [path for path in rest if path not in found]
    found |= _by_shape(
        rest, before, {p: g for p, g in free.items() if p in changed and p not in found.values()}
    )
    return _together(found, before, gradients, {(pair.parameter, pair.gradient): pair.rank for pair in pairs})


def _by_keys(
    before: Mapping[Path, Any], gradients: Mapping[Path, Any], changed: Collection[Path]
) -> list[_Pair]:
    named = defaultdict(list)
    for path in before:
        for key in parameter_keys(path):
            named[key.alike].append((path, key.written))
    pairs = []
    for order, (path, gradient) in enumerate(gradients.items()):
        for key in gradient_keys(path):
            for parameter, written in named.get(key.alike, ()):
                value = before[parameter]
                if parameter == path or not _may_be_gradient(gradient, value):
                    continue
                rank = (
                    (written != key.written) + 4 * (not _fits(gradient, value)) + 0.5 * (path not in changed)
                )
                pairs.append(_Pair(rank, order, parameter, path))
    return pairs


def _may_be_gradient(gradient: Any, value: Any) -> bool:
    """Whether it may be one, by its kind: not the array itself, and no whole number for an array."""
    is_whole = isinstance(gradient, (int, np.integer))
    return gradient is None or (gradient is not value and not (is_whole and np.ndim(value)))


def _fits(gradient: Any, value: Any) -> bool:
    return gradient is not None and np.shape(gradient) == np.shape(value)


def _beside(
    parameters: Iterable[Path],
    before: Mapping[Path, Any],
    gradients: Mapping[Path, Any],
    changed: Collection[Path],
) -> list[_Pair]:
    """A value and its `grad` on one object; or the one array there that has the shape of the `grad`."""
    waiting = defaultdict(list)
    for path in parameters:
        if path and is_floats(before[path]) and not is_gradient(path[-1]):
            waiting[path[:-1]].append(path)
    pairs = []
    for order, (path, gradient) in enumerate(gradients.items()):
        if gradient is None or not is_gradient(path[-1]):
            continue
        fitting = [each for each in waiting[path[:-1]] if _fits(gradient, before[each])]
        for each in waiting[path[:-1]]:
            if is_value(each[-1]) and np.ndim(before[each]):
                pairs.append(_Pair(1 + 4 * (each not in fitting), order, each, path))
        if len(fitting) == 1 and np.ndim(gradient) and path in changed:
            pairs.append(_Pair(2, order, fitting[0], path))
    return pairs


def _by_shape(
    parameters: Iterable[Path], before: Mapping[Path, Any], gradients: Mapping[Path, Any]
) -> dict[Path, Path]:
    """The one array among `grads` that has a shape which one parameter has."""
    wanted, offered = defaultdict(list), defaultdict(list)
    for path in parameters:
        if isinstance(before[path], np.ndarray) and before[path].ndim and is_floats(before[path]):
            wanted[before[path].shape].append(path)
    for path, gradient in gradients.items():
        if any(is_gradient(step) for step in path[:-1]):
            offered[np.shape(gradient)].append(path)
    return {
        wanted[shape][0]: paths[0]
        for shape, paths in offered.items()
        if len(paths) == len(wanted[shape]) == 1
    }


def _best(pairs: Iterable[_Pair]) -> dict[Path, Path]:
    """Each parameter's surest gradient, no gradient given twice."""
    found: dict[Path, Path] = {}
    taken = set()
    for pair in sorted(pairs, key=lambda each: (each.rank, each.order)):
        if pair.parameter not in found and pair.gradient not in taken:
            found[pair.parameter] = pair.gradient
            taken.add(pair.gradient)
    return found


def _together(
    found: Mapping[Path, Path],
    before: Mapping[Path, Any],
    gradients: Mapping[Path, Any],
    ranks: Mapping[tuple[Path, Path], float],
) -> dict[Path, tuple[Path, ...]]:
    """One entry for each array: one that stands several times in one list has the sum of its gradients there."""
    result: dict[Path, tuple[Path, ...]] = {}
    for path, others in aliases(before).items():
        mine = sorted((p for p in others if p in found), key=lambda p: ranks.get((p, found[p]), 2))
        if not mine:
            continue
        chosen = [found[mine[0]]]
        for other in mine[1:]:
            values = [gradients[each] for each in chosen]
            new = gradients[found[other]]
            is_another = new is not None and not any(new is v or is_same(new, v) for v in values)
            if other[:-1] == mine[0][:-1] and is_another:
                chosen.append(found[other])
        result[path] = tuple(chosen)
    return result


def aliases(numbers: Mapping[Path, Any]) -> dict[Path, list[Path]]:
    """By the first place at which an array stands: all of its places."""
    first: dict[int, Path] = {}
    found: dict[Path, list[Path]] = {}
    for path, value in numbers.items():
        leader = first.setdefault(id(value), path) if isinstance(value, (np.ndarray, list)) else path
        found.setdefault(leader, []).append(path)
    return found


def named(path: Path, taken: Collection[str]) -> str:
    """What a parameter is called: W1 for params["W1"], else its path as it is written."""
    short = str(path[-1])
    is_simple = len(path) == 2 and isinstance(path[1], str) and is_container(path[0])
    return short if is_simple and short not in taken else as_text(path)


def is_declared(path: Path, value: Any) -> bool:
    """Whether an object calls something a parameter: then one without a gradient was forgotten."""
    if not isinstance(value, np.ndarray):
        return False
    return USUAL.fullmatch(str(path[-1])) is not None or any(is_container(step) for step in path[:-1])


def is_of_interest(path: Path, value: Any, others: bool) -> bool:
    """Whether it may be a parameter: each array; a plain number by its name, or where backward made `others`."""
    if isinstance(value, float):
        return others or USUAL_NUMBERS.fullmatch(str(path[-1])) is not None
    return is_floats(value)


def read_by(forward: Forward, original: Original, paths: Iterable[Path]) -> set[Path]:
    """Those of these places that the output depends on: another value there gives another output."""
    base = forward(original.copy())

    def shows(group: Collection[Path], way: int) -> bool:
        trial, rng = original.copy(), np.random.default_rng(way)
        for path in group:
            put(trial, path, _moved(look(trial, path), way, rng))
        return not is_same(forward(trial), base)

    return _those_that_show(shows, paths)


def read_out_of_reach(forward: Forward, original: Original) -> list[Path]:
    """The arrays that copies share with the object, and that the output depends on: each is put back as it was."""
    arrays = original.out_of_reach
    if not arrays:
        return []
    base = forward(original.copy())

    def shows(group: Collection[Path], way: int) -> bool:
        trial, rng = original.copy(), np.random.default_rng(way)
        kept = [(array, array.copy(), array.flags.writeable) for array in (arrays[path] for path in group)]
        try:
            for array, values, _ in kept:
                array.flags.writeable = True
                array[...] = _moved(values, way, rng)
            return not is_same(forward(trial), base)
        finally:
            for array, values, writeable in kept:
                if array.flags.writeable:
                    array[...] = values
                    array.flags.writeable = writeable

    found = _those_that_show(shows, aliases(arrays))
    return [path for path in arrays if path in found]


def _those_that_show(shows: Callable[[Collection[Path], int], bool], paths: Iterable[Path]) -> set[Path]:
    """The places where other values, of either of two ways, change the output, or stop the forward.

    They are tried all at once, and by halves where that changes the output.
    """
    found: set[Path] = set()
    waiting = [list(paths)]
    while waiting:
        group = waiting.pop()
        if not group or not any(_shows(shows, group, way) for way in (0, 1)):
            continue
        if len(group) == 1:
            found.add(group[0])
        else:
            waiting += [group[: len(group) // 2], group[len(group) // 2 :]]
    return found


def _shows(shows: Callable[[Collection[Path], int], bool], group: Collection[Path], way: int) -> bool:
    try:
        return shows(group, way)
    except (Exception, SystemExit):
        return True


def _moved(value: Any, way: int, rng: np.random.Generator) -> Array:
    """Other values: near these and of their signs, or further away and of both."""
    array = np.array(value, np.float64)
    size = float(np.sqrt((array**2).mean())) if array.size else 0.0
    if way:
        return np.asarray(array + (size or 1.0) * rng.normal(size=array.shape))
    return np.asarray(
        array * rng.uniform(0.6, 1.4, array.shape) + (array == 0) * rng.uniform(0.05, 0.1, array.shape)
    )
