"""Columns: the one in which each box, label and thread stands, and the lines between neighbouring columns."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from chainrule.drawing.layout.shapes import Box, Link
from chainrule.errors import GraphError

# How much a line should be straight, from the most to the least.
LONGEST, INNER, OTHER, FREE = range(4)  # on the longest path; within a thread; others; it need not be


class Line(NamedTuple):
    """A line between items of neighbouring columns. As tuples, the ones to be straight come first."""

    wish: int
    length: int  # of the longest path through it, negative
    start: int
    end: int


class Grid:
    """Everything that holds a place in a column: the boxes, then one label per link, then threads.

    Boxes stand in the even columns, labels in the odd ones, threads in both. Every item is a number.
    """

    def __init__(self, boxes: list[Box], links: list[Link]) -> None:
        self.boxes = boxes
        self.links = links
        self.columns: list[list[int]] = []
        self.column: list[int] = []
        self.size: list[float] = []  # heights
        self.below: list[float] = []  # room beneath each, for what hangs there
        self.lean: list[float] = []  # of a label: where at its target it arrives, from -1/2 (top) to 1/2
        self.left: list[list[int]] = []
        self.right: list[list[int]] = []
        self.lines: list[Line] = []
        self.arriving: list[list[int]] = [[] for _ in boxes]  # the links into each box, by port
        self.threads: list[list[int]] = [[] for _ in boxes]  # what the long links out of each box share
        for k, link in enumerate(links):
            self.arriving[link.target].append(k)
        for each in self.arriving:
            each.sort(key=lambda k: links[k].port)

    def label(self, link: int) -> int:
        """The label of a link."""
        return len(self.boxes) + link

    def add(self, column: int, size: float = 0.0, lean: float = 0.0, below: float = 0.0) -> int:
        """A new item in a column."""
        self.column.append(column)
        self.size.append(size)
        self.below.append(below)
        self.lean.append(lean)
        self.left.append([])
        self.right.append([])
        return len(self.column) - 1

    def join(self, start: int, end: int, wish: int, length: int) -> None:
        """Draw a line from an item to one in the next column."""
        self.right[start].append(end)
        self.left[end].append(start)
        self.lines.append(Line(wish, -length, start, end))

    def positions(self) -> list[int]:
        """Where each item stands in its column."""
        position = [0] * len(self.column)
        for column in self.columns:
            for k, item in enumerate(column):
                position[item] = k
        return position


def make_grid(boxes: list[Box], links: list[Link]) -> Grid:
    """Give each box and each label its column, and each long link its place in the thread of its source."""
    grid = Grid(boxes, links)
    rank, before, behind = _ranks(len(boxes), links)
    longest = max(before)
    sharing = Counter(link.source for link in links if rank[link.target] > rank[link.source] + 1)
    lean = {k: (i + 1) / (len(each) + 1) - 0.5 for each in grid.arriving for i, k in enumerate(each)}
    for i, box in enumerate(boxes):
        grid.add(2 * rank[i], box.height, below=box.hang_height)
    for k, link in enumerate(links):
        grid.add(2 * rank[link.target] - 1, link.height, lean[k])
    for each in grid.arriving:
        for k in each:
            source, target = links[k].source, links[k].target
            thread = grid.threads[source]
            length = before[source] + 1 + behind[target]
            wish = LONGEST if length == longest else OTHER
            for column in range(2 * rank[source] + 1 + len(thread), 2 * rank[target] - 1):
                item = grid.add(column)
                if thread:
                    grid.join(thread[-1], item, min(INNER, wish), length)
                else:
                    grid.join(source, item, wish, length)
                thread.append(item)
            steps = 2 * (rank[target] - rank[source] - 1)
            if not steps:
                grid.join(source, grid.label(k), wish, length)
            else:  # straight, one label would pull the whole thread to its height, or be drawn away from its box
                grid.join(thread[steps - 1], grid.label(k), FREE if sharing[source] > 1 else wish, length)
            grid.join(grid.label(k), target, wish, length)
    grid.columns = _first_order(grid, 2 * max(rank) + 1)
    return grid


def _ranks(count: int, links: list[Link]) -> tuple[list[int], list[int], list[int]]:
    """For each box the column of boxes it stands in, and the longest paths that lead to it and from it."""
    sources: list[list[int]] = [[] for _ in range(count)]
    targets: list[list[int]] = [[] for _ in range(count)]
    for link in links:
        sources[link.target].append(link.source)
        targets[link.source].append(link.target)
    missing = [len(each) for each in sources]
    order = [i for i in range(count) if not missing[i]]
    before = [0] * count
    for i in order:  # the list grows while it is walked
        for j in targets[i]:
            before[j] = max(before[j], before[i] + 1)
            missing[j] -= 1
            if not missing[j]:
                order.append(j)
    if len(order) < count:
        raise GraphError("a layered layout takes links that form no circle; these form one")
    # A box hangs if only leaves and boxes that hang lead to it, and it has one consumer: it can be moved right,
    # and everything behind it with it, without making any link longer. A leaf with several consumers has a thread
    # that reaches to the last of them anyway.
    hangs = [False] * count
    held = [0] * count
    for i in order:
        held[i] = sum(not hangs[j] for j in sources[i])
        hangs[i] = not sources[i] or (not held[i] and len(targets[i]) == 1)
    rank = before.copy()
    behind = [0] * count
    for i in reversed(order):
        behind[i] = max((behind[j] + 1 for j in targets[i]), default=0)
        if len(targets[i]) > held[i]:
            rank[i] = min(rank[j] for j in targets[i]) - 1
    return rank, before, behind


def _first_order(grid: Grid, count: int) -> list[list[int]]:
    """Walk from each output back through the inputs, the upper ones first. In a tree, no lines cross then."""
    columns: list[list[int]] = [[] for _ in range(count)]
    seen = [False] * len(grid.column)
    for output in range(len(grid.column)):
        waiting = [] if grid.right[output] else [output]
        while waiting:
            item = waiting.pop()
            if not seen[item]:
                seen[item] = True
                columns[grid.column[item]].append(item)
                waiting.extend(reversed(grid.left[item]))
    return columns
