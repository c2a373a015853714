"""The parameters of an object and their gradients: paired by their names, or by their shapes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

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
from chainrule.checking.targets.places import as_text, is_floats, is_numbers, is_same, walk


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
    found: dict[Path, _Pair] = {}
    for ways in (_by_keys, _beside, _by_shape):
        rest = {path: value for path, value in before.items() if path not in found}
        taken = found.keys() | {pair.gradient for pair in found.values()}
        free = {path: value for path, value in gradients.items() if path not in taken}
        found |= _best(ways(rest, free, changed))
    return _together(found, before, gradients)


def _by_keys(
    before: Mapping[Path, Any], gradients: Mapping[Path, Any], changed: Collection[Path]
) -> Iterator[_Pair]:
    """A parameter and what has its name, with a gradient's mark."""
    named = defaultdict(list)
    for path in before:
        for key in parameter_keys(path):
            named[key.alike].append((path, key.written))
    for order, (path, gradient) in enumerate(gradients.items()):
        for key in gradient_keys(path):
            for parameter, written in named.get(key.alike, ()):
                value = before[parameter]
                if parameter != path and _may_be_gradient(gradient, value):
                    unsure = (written != key.written) + 4 * (not _fits(gradient, value))
                    yield _Pair(unsure + 0.5 * (path not in changed), order, parameter, path)


def _may_be_gradient(gradient: Any, value: Any) -> bool:
    """Whether it may be one, by its kind: not the array itself, and no whole number for an array."""
    is_whole = isinstance(gradient, (int, np.integer))
    return gradient is None or (gradient is not value and not (is_whole and np.ndim(value)))


def _fits(gradient: Any, value: Any) -> bool:
    return gradient is not None and np.shape(gradient) == np.shape(value)


def _beside(
    before: Mapping[Path, Any], gradients: Mapping[Path, Any], changed: Collection[Path]
) -> Iterator[_Pair]:
    """A value and its `grad` on one object; or the one array there that has the shape of the `grad`."""
    waiting = defaultdict(list)
    for path, value in before.items():
        if is_floats(value) and not is_gradient(path[-1]):
            waiting[path[:-1]].append(path)
    for order, (path, gradient) in enumerate(gradients.items()):
        if gradient is None or not is_gradient(path[-1]):
            continue
        fitting = [each for each in waiting[path[:-1]] if _fits(gradient, before[each])]
        for each in waiting[path[:-1]]:
            if is_value(each[-1]) and np.ndim(before[each]):
                yield _Pair(1 + 4 * (each not in fitting), order, each, path)
        if len(fitting) == 1 and np.ndim(gradient) and path in changed:
            yield _Pair(2, order, fitting[0], path)


def _by_shape(
    before: Mapping[Path, Any], gradients: Mapping[Path, Any], changed: Collection[Path]
) -> Iterator[_Pair]:
    """The one array among `grads` that has a shape which one parameter has."""
    wanted, offered = defaultdict(list), defaultdict(list)
    for path, value in before.items():
        if isinstance(value, np.ndarray) and value.ndim and is_floats(value):
            wanted[value.shape].append(path)
    for path, gradient in gradients.items():
        if path in changed and any(is_gradient(step) for step in path[:-1]):
            offered[np.shape(gradient)].append(path)
    for shape, paths in offered.items():
        if len(paths) == len(wanted[shape]) == 1:
            yield _Pair(2, 0, wanted[shape][0], paths[0])


def _best(pairs: Iterable[_Pair]) -> dict[Path, _Pair]:
    """Each parameter's surest gradient, no gradient given twice."""
    found: dict[Path, _Pair] = {}
    taken = set()
    for pair in sorted(pairs, key=lambda each: (each.rank, each.order)):
        if pair.parameter not in found and pair.gradient not in taken:
            found[pair.parameter] = pair
            taken.add(pair.gradient)
    return found


def _together(
    found: Mapping[Path, _Pair], before: Mapping[Path, Any], gradients: Mapping[Path, Any]
) -> dict[Path, tuple[Path, ...]]:
    """One entry for each array: one that stands several times in one list has the sum of its gradients there."""
    result: dict[Path, tuple[Path, ...]] = {}
    for path, others in aliases(before).items():
        mine = sorted((found[p] for p in others if p in found), key=lambda pair: pair.rank)
        chosen = [pair.gradient for pair in mine[:1]]
        for pair in mine[1:]:
            values, new = [gradients[each] for each in chosen], gradients[pair.gradient]
            is_another = new is not None and not any(new is v or is_same(new, v) for v in values)
            if pair.parameter[:-1] == mine[0].parameter[:-1] and is_another:
                chosen.append(pair.gradient)
        if chosen:
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
