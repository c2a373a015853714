"""Routes: the width of each column, and the lines across them."""

from __future__ import annotations

from chainrule.drawing.layout.columns import Grid
from chainrule.drawing.layout.shapes import Layout, Place, Point, Route

_SLANT = 0.2  # of a column's steepest rise, in width, is added to the gap before the next ...
_WIDEST = 2.0  # ... but at most so many gaps


def draw(grid: Grid, y: list[float], gap: float) -> Layout:
    """The picture of one connected part."""
    start, end = _columns(grid, y, gap)
    places = [Place((start[c] + end[c]) / 2, at) for c, at in zip(grid.column, y, strict=True)]
    borders = [box.width / 2 for box in grid.boxes]
    stems: list[_Stem] = []
    for i, thread in enumerate(grid.threads):
        stem = _Stem((places[i].x + borders[i], y[i]), end[grid.column[i]])
        for item in thread:
            stem.across(start[grid.column[item]], end[grid.column[item]], y[item])
        stems.append(stem)
    routes: list[Route] = []
    arrival = _arrivals(grid, y)
    for k, link in enumerate(grid.links):
        label = grid.label(k)
        column = grid.column[label]
        line = stems[link.source].until(column - grid.column[link.source] - 1)
        line.across(start[column], end[column], y[label])
        line.across(start[column + 1], places[link.target].x - borders[link.target], arrival[k])
        routes.append(Route(tuple(dict.fromkeys(line.points)), places[label]))
    height = max(at + size / 2 + below for at, size, below in zip(y, grid.size, grid.below, strict=True))
    return Layout(end[-1], height, tuple(places[: len(grid.boxes)]), tuple(routes))


def _columns(grid: Grid, y: list[float], gap: float) -> tuple[list[float], list[float]]:
    """Where each column starts and ends: as wide as its widest item, with more room where lines are steep."""
    width = [0.0] * len(grid.columns)
    widths = [max(box.width, box.hang_width) for box in grid.boxes]
    widths += [link.width for link in grid.links]  # threads have none
    for column, each in zip(grid.column, widths, strict=False):
        width[column] = max(width[column], each)
    rise = [0.0] * len(grid.columns)
    for line in grid.lines:
        column = grid.column[line.start]
        rise[column] = max(rise[column], abs(y[line.start] - y[line.end]))
    start: list[float] = []
    end: list[float] = []
    x = 0.0
    for across, steep in zip(width, rise, strict=True):
        start.append(x)
        end.append(x + across)
        x += across + gap + min(_SLANT * steep, _WIDEST * gap)
    return start, end


class _Stem:
    """A line that grows column by column; only the points where it bends are kept."""

    def __init__(self, point: Point, end: float) -> None:
        self.points = [point, (end, point[1])]
        self.reached = [(2, end)]  # after each column: the number of points, and the last one's x

    def across(self, start: float, end: float, y: float) -> None:
        """Go on to the next column, and straight across it."""
        if self.points[-1][1] == y:
            self.points[-1] = (end, y)
        else:
            self.points += [(start, y), (end, y)]
        self.reached.append((len(self.points), end))

    def until(self, columns: int) -> _Stem:
        """A copy, as it was after so many columns."""
        count, end = self.reached[columns]
        copy = _Stem(self.points[0], end)
        copy.points = self.points[:count]
        copy.points[-1] = (end, copy.points[-1][1])
        return copy


def _arrivals(grid: Grid, y: list[float]) -> dict[int, float]:
    """The height at which each link reaches its target: in the order of the ports, a straight one in the middle."""
    found: dict[int, float] = {}
    for i, arriving in enumerate(grid.arriving):
        count, half = len(arriving), grid.boxes[i].height / 2
        straight = next((p for p, k in enumerate(arriving) if y[grid.label(k)] == y[i]), None)
        for p, k in enumerate(arriving):
            if straight is None:
                found[k] = y[i] + half * (2 * (p + 1) / (count + 1) - 1)
            elif p < straight:
                found[k] = y[i] - half * (straight - p) / (straight + 1)
            else:
                found[k] = y[i] + half * (p - straight) / (count - straight)
    return found
