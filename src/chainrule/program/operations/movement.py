"""Movement: layers that move the elements of a row and compute nothing, by runs of elements."""

from __future__ import annotations

import math

import numpy as np

from chainrule import layers
from chainrule.arrays import Array
from chainrule.graph import Constant
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.sums import COPY
from chainrule.program.table import Instruction, Operation

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


def _runs_fit(runs: Array, long: int, short: int) -> bool:
    """Whether all runs lie within rows of `long` numbers, from which they move, and of `short`, to which."""
    if runs.size % RUN:
        return False
    from_, to, n, step = runs.reshape(-1, RUN).T
    if not ((n >= 1) & (n <= short) & (step >= -long) & (step <= long)).all():
        return False
    if not ((from_ >= 0) & (from_ < long) & (to >= 0) & (to <= short - n)).all():
        return False
    last = from_ + (n - 1) * step
    return bool(((last >= 0) & (last < long)).all())


def _fit_forward(each: Instruction, runs: Array) -> bool:
    x, _, y = each.operands
    return x is not None and y is not None and _runs_fit(runs, x.width, y.width)


def _fit_backward(each: Instruction, runs: Array) -> bool:
    dy, _, dx = each.operands
    return dy is not None and dx is not None and _runs_fit(runs, dx.width, dy.width)


MOVE = Operation(
    "move",
    ("B D", "indices", "=B K"),
    "{2} = move({0})",
    kernel="move",
    statement=_move,
    indices_fit=_fit_forward,
)
MOVE_MORE = Operation(
    "move_more",
    ("B D", "indices", "~B K"),
    "{2} = move({0})",
    kernel="move",
    statement=_move,
    indices_fit=_fit_forward,
)
ADD_BACK = Operation(
    "add_back",
    ("B K", "indices", "=B D"),
    "{2} = add_back({0})",
    kernel="add_back",
    statement=_add_back,
    indices_fit=_fit_backward,
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
        if type(walk.layer(i)) not in (layers.Concatenate, layers.Transpose, layers.Index, layers.Take):
            return False
        moved = self._moved(walk, i)
        if i not in walk.shapes or not moved or not all(source in walk.shapes for source in moved):
            return False
        sizes = [math.prod(walk.shapes[each]) for each in (i, *moved)]
        return min(sizes) > 0 and self._keeps_rows(walk, i)

    def forward(self, walk: Walk, i: int) -> None:
        for k, (source, from_, to) in enumerate(self._pieces(walk, i)):
            runs = walk.whole_numbers(f"runs of {walk.graph.name_of(i)}", runs_of(from_, to))
            walk.emit(MOVE_MORE if k else MOVE, walk.value(source), runs, walk.value(i))

    def backward(self, walk: Walk, i: int) -> None:
        for source, from_, to in self._pieces(walk, i):
            if not walk.needed[source]:
                continue
            into, dy = walk.destination(source), walk.gradient(i)
            name = f"runs of {into.name}"
            order = np.argsort(from_, kind="stable")
            if np.array_equal(from_[order], np.arange(into.width)):  # each element once
                back = walk.whole_numbers(name, runs_of(to[order], from_[order]))
                walk.emit(MOVE, dy, back, into)
            else:
                walk.emit(ADD_BACK, dy, walk.whole_numbers(name, runs_of(from_, to)), into)
            walk.arrived(source, into)

    def _moved(self, walk: Walk, i: int) -> tuple[int, ...]:
        sources = walk.sources(i)
        return sources[:1] if type(walk.layer(i)) is layers.Take else sources

    def _keeps_rows(self, walk: Walk, i: int) -> bool:
        """Whether the batch axis stays in front, whole, for any number of rows."""
        layer, axes = walk.layer(i), len(walk.shapes[walk.sources(i)[0]]) + 1
        if isinstance(layer, layers.Index):
            return _leaves_the_first_axis(layer.key, axes)
        if isinstance(layer, layers.Transpose):
            return layer.axes is not None and layer.axes[0] % axes == 0
        assert isinstance(layer, (layers.Concatenate, layers.Take))
        if isinstance(layer, layers.Take):
            node = walk.graph.nodes[walk.sources(i)[1]]
            if not isinstance(node, Constant) or node.value.dtype.kind not in "iu":
                return False
        return layer.axis % axes != 0

    def _pieces(self, walk: Walk, i: int) -> list[tuple[int, Array, Array]]:
        """Each source, which elements of its row are taken, and where they go: the layer moves their numbers."""
        layer, moved = walk.layer(i), self._moved(walk, i)
        assert layer is not None
        widths = [math.prod(walk.shapes[source]) for source in moved]
        starts = np.cumsum([0, *widths])
        numbers = [
            np.arange(start, start + width).reshape(1, *walk.shapes[source])
            for source, start, width in zip(moved, starts, widths, strict=False)
        ]
        if type(layer) is layers.Take:
            node = walk.graph.nodes[walk.sources(i)[1]]
            assert isinstance(node, Constant)
            numbers.append(node.value)
        taken = np.ravel(layer.forward(*numbers)[0])
        pieces = []
        for source, start, width in zip(moved, starts, widths, strict=False):
            to = np.flatnonzero((taken >= start) & (taken < start + width))
            pieces.append((source, taken[to] - start, to))
        return pieces


def _leaves_the_first_axis(key: object, axes: int) -> bool:
    """Whether a key takes all of an array's first axis, and leaves it in front."""
    parts = key if isinstance(key, tuple) else (key,)
    lists = [k for k, part in enumerate(parts) if isinstance(part, (np.ndarray, int))]
    apart = any(isinstance(parts[k], np.ndarray) for k in lists) and lists != list(
        range(lists[0], lists[-1] + 1)
    )
    if not parts or apart:  # lists that are apart make an axis in front
        return False
    if any(isinstance(part, np.ndarray) and (part.dtype.kind == "b" or part.ndim != 1) for part in parts):
        return False
    if parts[0] is Ellipsis:
        return sum(part is not None for part in parts[1:]) < axes
    return isinstance(parts[0], slice) and parts[0] == slice(None)
