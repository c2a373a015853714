"""What forward reads: other values there give another output."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import numpy as np

from chainrule.checking.targets.naming import Path
from chainrule.checking.targets.objects import ObjectTarget
from chainrule.checking.targets.parameters import aliases
from chainrule.checking.targets.places import is_same, look, moved, put

Shows = Callable[[Collection[Path], int], bool]
"""Whether other values at these places, moved in one of two ways, give another output."""


def read_by(target: ObjectTarget, paths: Iterable[Path]) -> set[Path]:
    """Those of these places that the output depends on: another value there gives another output."""
    base = target.start().output()

    def shows(group: Collection[Path], way: int) -> bool:
        calls, rng = target.start(), np.random.default_rng(way)
        for path in group:
            put(calls.object, path, moved(look(calls.object, path), way, rng))
        return not is_same(calls.output(), base)

    return _those_that_show(shows, paths)


def read_out_of_reach(target: ObjectTarget) -> list[Path]:
    """The arrays that copies share with the object, and that the output depends on: each is put back as it was."""
    arrays = target.original.out_of_reach
    if not arrays:
        return []
    base = target.start().output()

    def shows(group: Collection[Path], way: int) -> bool:
        calls, rng = target.start(), np.random.default_rng(way)
        kept = [(array, array.copy(), array.flags.writeable) for array in (arrays[path] for path in group)]
        try:
            for array, values, _ in kept:
                array.flags.writeable = True
                array[...] = moved(values, way, rng)
            return not is_same(calls.output(), base)
        finally:
            for array, values, writeable in kept:
                if array.flags.writeable:
                    array[...] = values
                    array.flags.writeable = writeable

    found = _those_that_show(shows, aliases(arrays))
    return [path for path in arrays if path in found]


def _those_that_show(shows: Shows, paths: Iterable[Path]) -> set[Path]:
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


def _shows(shows: Shows, group: Collection[Path], way: int) -> bool:
    try:
        return shows(group, way)
    except (Exception, SystemExit):
        return True
