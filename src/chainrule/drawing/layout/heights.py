"""Heights: as many lines as possible straight, and everything near to what it is linked with."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

from chainrule.drawing.layout.columns import FREE, LONGEST, Grid

_TURNS = 16  # at most, and fewer in large graphs, as with the cuts
_TALL = 1.5  # rails are cut while the picture is taller than so many times its fullest column ...
_CUTS = 30  # ... but no more often

Spaces = dict[tuple[int, int], tuple[float, int]]


def find_heights(grid: Grid, gap: float) -> list[float]:
    """The height of each item's centre; the highest item touches 0."""
    follows = _straight(grid)
    rail, count = _rails(grid, follows)
    spaces = _spaces(grid, rail, gap)
    order, y = _as_high_as_possible(spaces, count)
    tall = _TALL * max(sum(grid.size[i] + grid.below[i] + gap for i in column) for column in grid.columns)
    cuts = min(_CUTS, 2 + 100_000 // len(rail))
    while max(y) > tall and cuts and _cut(grid, follows, rail, spaces, y):
        rail, count = _rails(grid, follows)
        spaces = _spaces(grid, rail, gap)
        order, y = _as_high_as_possible(spaces, count)
        cuts -= 1
    _relax(grid, rail, spaces, order, y)
    top = min(y[each] - size / 2 for each, size in zip(rail, grid.size, strict=True))
    return [y[each] - top for each in rail]


def _straight(grid: Grid) -> list[int]:
    """Lay lines straight, unless they cross a straight one: the item that each item is level with, or -1."""
    position = grid.positions()
    follows = [-1] * len(position)
    leads = [False] * len(position)
    starts: list[list[int]] = [[] for _ in grid.columns]  # of the straight lines behind each column, sorted
    ends: list[list[int]] = [[] for _ in grid.columns]
    for wish, _, a, b in sorted(grid.lines, key=lambda line: line[:2]):
        if wish == FREE or leads[a] or follows[b] >= 0:
            continue
        start, end = starts[grid.column[a]], ends[grid.column[a]]
        k = bisect_left(start, position[a])
        if (k and end[k - 1] > position[b]) or (k < len(end) and end[k] < position[b]):
            continue
        start.insert(k, position[a])
        end.insert(k, position[b])
        follows[b], leads[a] = a, True
    return follows


def _rails(grid: Grid, follows: list[int]) -> tuple[list[int], int]:
    """The rail of each item, and how many there are. Rails don't cross, so "above" has no circle."""
    rail = [-1] * len(follows)
    count = 0
    for column in grid.columns:
        for item in column:
            if follows[item] >= 0:
                rail[item] = rail[follows[item]]
            else:
                rail[item] = count
                count += 1
    return rail, count


def _spaces(grid: Grid, rail: list[int], gap: float) -> Spaces:
    """For each rail and one next below it, the distance to be kept and the column that asks for it."""
    spaces: Spaces = {}
    for number, column in enumerate(grid.columns):
        for a, b in pairwise(column):
            pair = rail[a], rail[b]
            between = gap if grid.size[a] or grid.size[b] else gap / 2  # two threads may run closer
            space = (grid.size[a] + grid.size[b]) / 2 + grid.below[a] + between
            if pair not in spaces or space > spaces[pair][0]:
                spaces[pair] = space, number
    return spaces


def _as_high_as_possible(spaces: Spaces, count: int) -> tuple[list[int], list[float]]:
    """The rails from top to bottom, and the least height of each."""
    missing = [0] * count
    below: list[list[tuple[int, float]]] = [[] for _ in range(count)]
    for (a, b), (space, _) in spaces.items():
        below[a].append((b, space))
        missing[b] += 1
    order = [i for i in range(count) if not missing[i]]
    y = [0.0] * count
    for i in order:  # the list grows while it is walked
        for j, space in below[i]:
            y[j] = max(y[j], y[i] + space)
            missing[j] -= 1
            if not missing[j]:
                order.append(j)
    return order, y


def _cut(grid: Grid, follows: list[int], rail: list[int], spaces: Spaces, y: list[float]) -> bool:
    """Cut rails of the stack that makes the picture tall; False if there is nothing to cut.

    A rail in the stack is pressed down in one column and presses in another: cut between them, it need not.
    The lines of the longest path stay straight. Half of what can be cut is, the rails that reach farthest.
    """
    pressed: dict[int, tuple[int, int]] = {}  # by which rail, in which column
    for (a, b), (space, column) in spaces.items():
        if y[a] + space == y[b]:
            pressed[b] = a, column
    reach: dict[int, tuple[int, int]] = {}
    each = max(range(len(y)), key=y.__getitem__)
    presses = None
    while each in pressed:
        upper, column = pressed[each]
        if presses is not None:
            reach[each] = min(column, presses), max(column, presses)
        each, presses = upper, column
    weakest: dict[int, tuple[int, int]] = {}  # line within the reach of each rail: its wish and its end
    for wish, _, a, b in grid.lines:
        if follows[b] == a and wish != LONGEST and rail[b] in reach:
            first, last = reach[rail[b]]
            if first <= grid.column[a] < last:
                weakest[rail[b]] = max(weakest.get(rail[b], (0, 0)), (wish, b))
    farthest = sorted(weakest, key=lambda each: reach[each][0] - reach[each][1])
    for each in farthest[: (len(farthest) + 1) // 2]:
        follows[weakest[each][1]] = -1
    return bool(farthest)


def _relax(grid: Grid, rail: list[int], spaces: Spaces, order: list[int], y: list[float]) -> None:
    """Move each rail to the median height of what it is linked with, as far as its neighbours let it."""
    above: list[list[tuple[int, float]]] = [[] for _ in y]
    below: list[list[tuple[int, float]]] = [[] for _ in y]
    for (a, b), (space, _) in spaces.items():
        above[b].append((a, space))
        below[a].append((b, space))
    pulls: list[list[int]] = [[] for _ in y]
    for line in grid.lines:
        a, b = rail[line.start], rail[line.end]
        if a != b:
            pulls[a].append(b)
            pulls[b].append(a)
    for _ in range(min(_TURNS, 3 + 60_000 // len(rail))):
        for i in (*reversed(order), *order):
            if pulls[i]:
                wanted = sorted([y[j] for j in pulls[i]])
                to = min(max(y[i], wanted[(len(wanted) - 1) // 2]), wanted[len(wanted) // 2])
                to = max([to, *[y[j] + space for j, space in above[i]]])
                y[i] = min([to, *[y[j] - space for j, space in below[i]]])
