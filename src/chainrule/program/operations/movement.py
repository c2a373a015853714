"""Movement: layers that move the elements of a row and compute nothing, by runs of elements."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.arrays import Array
from chainrule.graph import Constant
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.lowering import Walk
from chainrule.program.sums import COPY
from chainrule.program.table import Instruction

RUN = 4  # whole numbers: from, to, n, step. y[to + k] is x[from + k step], for k < n


def _move(step: Step, each: Instruction, x: Array, runs: Array, y: Array) -> None:
    from_, to = _elements(runs)
    y.reshape(len(y), -1)[:, to] = x.reshape(len(x), -1)[:, from_]


def _add_back(step: Step, each: Instruction, dy: Array, runs: Array, dx: Array) -> None:
    from_, to = _elements(runs)
    dx[...] = 0
    np.add.at(dx.reshape(len(dx), -1).T, from_, dy.reshape(len(dy), -1)[:, to].T)


def _elements(runs: Array) -> tuple[Array, Array]:
    """Of each element that the runs move: where it comes from, and where it goes."""
    from_, to, n, step = runs.reshape(-1, RUN).T
    k = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
    return np.repeat(from_, n) + k * np.repeat(step, n), np.repeat(to, n) + k


def runs_of(from_: Array, to: Array) -> Array:
    """The runs that move element `from_[j]` to `to[j]`, each as long as it can be."""
    ends = np.append(np.flatnonzero((np.diff(from_, 2) != 0) | (np.diff(to, 2) != 0)) + 2, len(to))
    found, start = [], 0
    while start < len(to):
        end = int(ends[np.searchsorted(ends, start + 2)]) if start + 1 < len(to) else len(to)
        if end - start > 1 and to[start + 1] != to[start] + 1:
            end = start + 1
        step = int(from_[start + 1] - from_[start]) if end - start > 1 else 1
        found.append((int(from_[start]), int(to[start]), end - start, step))
        start = end
    return np.array(found, np.int64).reshape(-1, RUN)


def _fit(long: int, short: int) -> Callable[[Instruction, Array], bool]:
    """Whether all runs lie within the rows of operand `long`, from which they move, and of `short`, to which."""

    def fit(each: Instruction, runs: Array) -> bool:
        x, y = each.operands[long], each.operands[short]
        if x is None or y is None or runs.size % RUN:
            return False
        from_, to, n, step = runs.reshape(-1, RUN).T
        if not (_within(n, 1, y.width) and _within(step, -x.width, x.width) and _within(to, 0, y.width - n)):
            return False
        return _within(from_, 0, x.width - 1) and _within(from_ + (n - 1) * step, 0, x.width - 1)

    return fit


def _within(numbers: Array, low: int, high: Any) -> bool:
    return bool(((numbers >= low) & (numbers <= high)).all())


MOVE = operation("move", "B D, indices, ~B K", _move, printed="{2} = move({0})", indices_fit=_fit(0, 2))
ADD_BACK = operation(
    "add_back", "B K, indices, =B D", _add_back, printed="{2} = add_back({0})", indices_fit=_fit(2, 0)
)


class ViewRule:
    """The same numbers in rows of another shape."""

    def takes(self, walk: Walk, i: int) -> bool:
        is_view = type(walk.layer(i)) in (layers.Flatten, layers.Reshape)
        return is_view and i in walk.shapes and walk.sources(i)[0] in walk.shapes

    def forward(self, walk: Walk, i: int) -> None:
        x = walk.value(walk.sources(i)[0])
        walk.emit(COPY, x, walk.value(i), note="the same numbers in another shape")

    def backward(self, walk: Walk, i: int) -> None:
        walk.pass_on(walk.gradient(i), walk.sources(i)[0])


class MovementRule:
    """Concatenate, Transpose, Index, and Take at constant indices, where each row stays a row."""

    def takes(self, walk: Walk, i: int) -> bool:
        layer, moved = walk.layer(i), self._moved(walk, i)
        if type(layer) not in (layers.Concatenate, layers.Transpose, layers.Index, layers.Take):
            return False
        if not all(each in walk.shapes and math.prod(walk.shapes[each]) for each in (i, *moved)):
            return False
        if isinstance(layer, layers.Take):
            taken = walk.graph.nodes[walk.sources(i)[1]]
            return isinstance(taken, Constant) and taken.value.dtype.kind in "iu"
        return not isinstance(layer, layers.Index) or _takes_every_row(
            layer.key, len(walk.shapes[moved[0]]) + 1
        )

    def forward(self, walk: Walk, i: int) -> None:
        for source, from_, to in self._pieces(walk, i):
            runs = walk.whole_numbers(f"runs of {walk.graph.name_of(i)}", runs_of(from_, to))
            walk.emit(MOVE, walk.value(source), runs, walk.value(i))

    def backward(self, walk: Walk, i: int) -> None:
        dy = walk.gradient(i)
        for source, from_, to in self._pieces(walk, i):
            if not walk.needed[source]:
                continue
            into = walk.destination(source)
            name = f"runs of {into.name}"
            order = np.argsort(from_, kind="stable")
            if np.array_equal(from_[order], np.arange(into.width)):  # each element once
                walk.emit(MOVE, dy, walk.whole_numbers(name, runs_of(to[order], from_[order])), into)
            else:
                walk.emit(ADD_BACK, dy, walk.whole_numbers(name, runs_of(from_, to)), into)
            walk.arrived(source, into)

    def _moved(self, walk: Walk, i: int) -> tuple[int, ...]:
        sources = walk.sources(i)
        return sources[:1] if type(walk.layer(i)) is layers.Take else sources

    def _pieces(self, walk: Walk, i: int) -> list[tuple[int, Array, Array]]:
        """Each source, which elements of its row are taken, and where they go: the layer moves their numbers."""
        layer, moved = walk.layer(i), self._moved(walk, i)
        assert layer is not None
        numbers, starts = [], [0]
        for source in moved:
            starts.append(starts[-1] + math.prod(walk.shapes[source]))
            numbers.append(np.arange(*starts[-2:]).reshape(1, *walk.shapes[source]))
        constants = (walk.graph.nodes[each] for each in walk.sources(i)[len(moved) :])
        numbers += [each.value for each in constants if isinstance(each, Constant)]
        taken = np.ravel(layer.forward(*numbers)[0])
        pieces = []
        for source, start, end in zip(moved, starts, starts[1:], strict=False):
            to = np.flatnonzero((taken >= start) & (taken < end))
            pieces.append((source, taken[to] - start, to))
        return pieces


def _takes_every_row(key: object, axes: int) -> bool:
    """Whether a key takes all of an array's first axis, in order, however long that is."""
    parts = key if isinstance(key, tuple) else (key,)
    if parts and parts[0] is Ellipsis:
        return sum(part is not None for part in parts[1:]) < axes
    return bool(parts) and isinstance(parts[0], slice) and parts[0] == slice(None)
