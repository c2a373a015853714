"""Where everything stands in the picture of a graph: a layered layout, left to right, in pure Python.

The boxes stand in columns, each right of everything it is computed from; between two columns of boxes is a column
of labels. A link that spans several columns holds a place in each, its thread, so that room is kept for it; links
of one source share a thread until they branch off. Then, as Sugiyama, Tagawa and Toda proposed:

1. columns: the longest path decides; what hangs on one consumer only (a parameter, say) stands just left of it;
2. order within a column: sweeps of barycenters and swaps of neighbours while the lines cross less;
3. heights: as many lines as possible are laid straight, the longest path first; what hangs together
   straight is one rail, and the rails are moved towards the heights of what they are linked with;
4. routes: straight across each column, slanted only between columns, hence never through a box or a label.

No step is random and none recurses; the number of sweeps falls as the graph grows.
Source: Sugiyama, Tagawa, Toda, Methods for visual understanding of hierarchical system structures (1981);
Brandes, Köpf, Fast and simple horizontal coordinate assignment (2001), for the idea of the rails.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.drawing.layout.columns import make_grid
from chainrule.drawing.layout.heights import find_heights
from chainrule.drawing.layout.order import reorder
from chainrule.drawing.layout.routes import draw
from chainrule.drawing.layout.shapes import Box, Layout, Link, Place, Route, renumbered
from chainrule.errors import GraphError

__all__ = ["Box", "Layout", "Link", "Place", "Route", "layered", "renumbered"]


def layered(
    boxes: Sequence[Box], links: Sequence[Link], *, gap_x: float = 22.0, gap_y: float = 16.0
) -> Layout:
    """Place boxes and links in columns from left to right; parts that are not linked stand one below the other.

    gap_x: the least room between two columns (more where lines are steep); gap_y: between two things in a column.

    Raises: GraphError for a link to a box that does not exist, and for links that form a circle.
    """
    for link in links:
        if not (0 <= link.source < len(boxes) and 0 <= link.target < len(boxes)):
            raise GraphError(
                f"{link}: expected the positions of two of the {len(boxes)} boxes, counted from 0"
            )
    places = [Place(0.0, 0.0)] * len(boxes)
    routes = [Route((), Place(0.0, 0.0))] * len(links)
    width = bottom = 0.0
    for members, joins in _parts(len(boxes), links):
        top = bottom + 2 * gap_y if bottom else 0.0
        grid = make_grid([boxes[i] for i in members], renumbered([links[k] for k in joins], members))
        reorder(grid)
        part = draw(grid, find_heights(grid, gap_y), gap_x)
        for i, place in zip(members, part.boxes, strict=True):
            places[i] = Place(place.x, place.y + top)
        for k, route in zip(joins, part.routes, strict=True):
            points = tuple((x, y + top) for x, y in route.points)
            routes[k] = Route(points, Place(route.label.x, route.label.y + top))
        width, bottom = max(width, part.width), top + part.height
    return Layout(width, bottom, tuple(places), tuple(routes))


def _parts(count: int, links: Sequence[Link]) -> list[tuple[list[int], list[int]]]:
    """The boxes and the links of each connected part, in the order of each part's first box."""
    near: list[list[int]] = [[] for _ in range(count)]
    for link in links:
        near[link.source].append(link.target)
        near[link.target].append(link.source)
    part = [-1] * count
    parts = 0
    for first in range(count):
        if part[first] < 0:
            part[first] = parts
            waiting = [first]
            while waiting:
                for other in near[waiting.pop()]:
                    if part[other] < 0:
                        part[other] = parts
                        waiting.append(other)
            parts += 1
    found: list[tuple[list[int], list[int]]] = [([], []) for _ in range(parts)]
    for i in range(count):
        found[part[i]][0].append(i)
    for k, link in enumerate(links):
        found[part[link.source]][1].append(k)
    return found
