"""What forward reads: other values there give another output."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.targets.naming import Path
from chainrule.checking.targets.places import is_same, look, moved, put
from chainrule.checking.targets.target import Target


def read_by(target: Target, paths: Iterable[Path], shared: Mapping[Path, Array] | None = None) -> set[Path]:
    """Those of these places that the output depends on: another value there gives another output.

    They are tried all at once, and by halves where that changes the output. The places are those of an object, or
    `shared`, in arrays that no copy has for its own.
    """
    waiting = [list(paths)]
    if not waiting[0]:
        return set()
    base = target.start().output(target.values)
    found: set[Path] = set()
    while waiting:
        group = waiting.pop()
        if not group or not any(_shows(target, group, shared or {}, base, way) for way in (0, 1)):
            continue
        if len(group) == 1:
            found.add(group[0])
        else:
            waiting += [group[: len(group) // 2], group[len(group) // 2 :]]
    return found


def _shows(
    target: Target, group: Collection[Path], shared: Mapping[Path, Array], base: Array, way: int
) -> bool:
    """Whether other values at these places change the output, or stop the forward."""
    calls, rng = target.start(), np.random.default_rng(way)
    holders = [
        ((shared, (path,)) if path in shared else (getattr(calls, "object", None), path)) for path in group
    ]
    try:
        with _put_back([shared[path] for path in group if path in shared]):
            for holder, place in holders:
                put(holder, place, moved(look(holder, place), way, rng))
            return not is_same(calls.output(target.values), base)
    except (Exception, SystemExit):
        return True


@contextmanager
def _put_back(arrays: Iterable[Array]) -> Iterator[None]:
    """The arrays can be written to, also frozen ones, and are put back as they were."""
    kept = [(array, array.copy(), array.flags.writeable) for array in arrays]
    try:
        for array, _, _ in kept:
            array.flags.writeable = True
        yield
    finally:
        for array, values, writeable in kept:
            if array.flags.writeable:
                array[...] = values
                array.flags.writeable = writeable
