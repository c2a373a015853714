"""Order: what stands above what in each column, so that few lines cross."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from chainrule.drawing.layout.columns import Grid

_TURNS = 24  # at most, and fewer in large graphs
_PATIENCE = 8  # give up after so many turns that brought nothing
_ITEMS_TO_SWAP = 20_000  # in larger graphs, sweeps only


def reorder(grid: Grid) -> None:
    """Reorder every column, keeping the best that was found."""
    position = grid.positions()
    fewest = _crossings(grid, position)
    best = [column.copy() for column in grid.columns]
    patience = _PATIENCE
    for turn in range(min(_TURNS, 2 + 40_000 // len(position))):
        if not fewest or not patience:
            break
        _sweep(grid, position, leftwards=turn % 2 == 0)
        if len(position) <= _ITEMS_TO_SWAP:
            _swap(grid, position)
        crossings = _crossings(grid, position)
        patience -= 1
        if crossings < fewest:
            fewest, patience = crossings, _PATIENCE
            best = [column.copy() for column in grid.columns]
    grid.columns = best


def _crossings(grid: Grid, position: list[int]) -> int:
    """How many pairs of lines cross; arriving out of the order of the ports is a crossing too."""
    total = 0
    for column in grid.columns:
        seen: list[float] = []  # the right ends of the lines so far, sorted
        for item in column:
            for end in sorted([position[j] + grid.lean[item] for j in grid.right[item]]):
                if seen and end < seen[-1]:
                    k = bisect_right(seen, end)
                    total += len(seen) - k
                    seen.insert(k, end)
                else:
                    seen.append(end)
    return total


def _sweep(grid: Grid, position: list[int], *, leftwards: bool) -> None:
    """Sort each column by the mean place of each item's neighbours in the column that was sorted before."""
    near = grid.right if leftwards else grid.left
    lean = grid.lean if leftwards else [0.0] * len(position)
    for column in reversed(grid.columns) if leftwards else grid.columns:
        if len(column) > 1:
            mean = {
                i: sum([position[j] for j in near[i]]) / len(near[i]) + lean[i] for i in column if near[i]
            }
            moved = iter(sorted(mean, key=mean.__getitem__))
            column[:] = [next(moved) if i in mean else i for i in column]  # what has no neighbour stays
            for k, item in enumerate(column):
                position[item] = k


def _swap(grid: Grid, position: list[int]) -> None:
    """Swap neighbours in a column wherever that saves crossings."""
    for column in grid.columns:
        for k in range(len(column) - 1):
            a, b = column[k], column[k + 1]
            saved = _saved(grid.left[a], grid.left[b], position, 0.0)
            saved += _saved(grid.right[a], grid.right[b], position, grid.lean[a] - grid.lean[b])
            if saved > 0:
                column[k], column[k + 1] = b, a
                position[a], position[b] = k + 1, k


def _saved(ends: list[int], others: list[int], position: list[int], lean: float) -> int:
    """Crossings saved when the lines to `ends`, which `lean` more than those to `others`, go below these."""
    saved = 0
    if len(ends) * len(others) <= 32:
        for i in ends:
            at = position[i] + lean
            for j in others:
                saved += (at > position[j]) - (at < position[j])
        return saved
    places = sorted([position[j] for j in others])
    for i in ends:
        at = position[i] + lean
        saved += bisect_left(places, at) - (len(places) - bisect_right(places, at))
    return saved
