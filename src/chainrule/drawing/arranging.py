"""Where everything of a scene stands: the layout, weights hung beneath their layers, and where it may be broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.drawing.layout import Box, Layout, Link, Place, Route, layered, renumbered
from chainrule.drawing.scene import Scene
from chainrule.drawing.tiles import Tile

ROOM = 26  # between a layer and what hangs beneath it
BESIDE = 12  # from one hanging leaf to the next
LOWER = 6  # from a hanging leaf to its numbers


@dataclass(frozen=True)
class Piece:
    """A part of a picture, from its left border to the next piece's, and how high and low its things reach."""

    left: float
    top: float
    bottom: float


@dataclass(frozen=True)
class Arrangement(Layout):
    """The layout of a scene, its nodes the boxes. `hanging`: the edges from leaves beneath their layers."""

    hanging: frozenset[int]
    pieces: tuple[Piece, ...]


def arranged(
    scene: Scene,
    boxes: Sequence[Box],
    links: Sequence[Link],
    tiles: Sequence[tuple[Tile, Tile]],
    *,
    fold: bool,
) -> Arrangement:
    """The layout of a scene; with `fold`, what a single layer uses hangs beneath that layer."""
    hung = _hung(scene) if fold else {}
    hanging = {k for edges in hung.values() for k in edges}
    leaves = {scene.edges[k].source for k in hanging}
    standing = [i for i in range(len(boxes)) if i not in leaves]
    sizes = {k: _size(boxes[scene.edges[k].source], tiles[k]) for k in hanging}
    laid = [_with_room(boxes[i], [sizes[k] for k in hung.get(i, ())]) for i in standing]
    running = [k for k in range(len(links)) if k not in hanging]
    layout = layered(laid, renumbered([links[k] for k in running], standing))
    places = [Place(0.0, 0.0)] * len(boxes)
    routes = [Route((), Place(0.0, 0.0))] * len(links)
    for i, place in zip(standing, layout.boxes, strict=True):
        places[i] = place
    for k, route in zip(running, layout.routes, strict=True):
        routes[k] = route
    for i, edges in hung.items():
        _hang(scene, boxes, edges, sizes, i, places, routes)
    pieces = _pieces(laid, layout.boxes, [links[k] for k in running], layout.routes)
    return Arrangement(
        layout.width, layout.height, tuple(places), tuple(routes), frozenset(hanging), tuple(pieces)
    )


def _hung(scene: Scene) -> dict[int, list[int]]:
    """For each layer the edges from leaves that nothing else uses, but the one that is its first input."""
    uses = [0] * len(scene.nodes)
    has_inputs = {edge.target for edge in scene.edges}
    for edge in scene.edges:
        uses[edge.source] += 1
    hung: dict[int, list[int]] = {}
    for k, edge in enumerate(scene.edges):
        is_leaf = edge.source not in has_inputs and uses[edge.source] == 1
        if is_leaf and edge.port > 0 and scene.nodes[edge.target].kind == "layer":
            hung.setdefault(edge.target, []).append(k)
    return {i: sorted(edges, key=lambda k: scene.edges[k].port) for i, edges in hung.items()}


def _size(box: Box, tiles: tuple[Tile, Tile]) -> tuple[float, float]:
    value, gradient = tiles
    width = max(box.width, value.width, gradient.width)
    return width, box.height + LOWER + value.height + LOWER + gradient.height


def _with_room(box: Box, sizes: Sequence[tuple[float, float]]) -> Box:
    if not sizes:
        return box
    width = sum(wide for wide, _ in sizes) + BESIDE * (len(sizes) - 1)
    return Box(box.width, box.height, width, ROOM + max(high for _, high in sizes))


def _hang(
    scene: Scene,
    boxes: Sequence[Box],
    edges: Sequence[int],
    sizes: dict[int, tuple[float, float]],
    layer: int,
    places: list[Place],
    routes: list[Route],
) -> None:
    """Place leaves beneath their layer, side by side. A label's place is the middle of its upper border."""
    at, box = places[layer], boxes[layer]
    x = at.x - (sum(sizes[k][0] for k in edges) + BESIDE * (len(edges) - 1)) / 2
    bottom = at.y + box.height / 2
    reach = max(box.width / 2 - 12, 0.0)
    for k in edges:
        width, _ = sizes[k]
        leaf = boxes[scene.edges[k].source]
        middle, top = x + width / 2, bottom + ROOM
        places[scene.edges[k].source] = Place(middle, top + leaf.height / 2)
        to = min(max(middle, at.x - reach), at.x + reach)
        routes[k] = Route(((middle, top), (to, bottom)), Place(middle, top + leaf.height + LOWER))
        x += width + BESIDE


def _pieces(
    boxes: Sequence[Box], places: Sequence[Place], links: Sequence[Link], routes: Sequence[Route]
) -> list[Piece]:
    """The picture, cut before each column of boxes, where a line from top to bottom meets no box and no label."""
    spans = []
    for box, place in zip(boxes, places, strict=True):
        half = max(box.width, box.hang_width) / 2
        spans.append((place.x - half, place.x + half, True))
    spans += [
        (each.label.x - link.width / 2, each.label.x + link.width / 2, False)
        for link, each in zip(links, routes, strict=True)
    ]
    cuts, reached = [0.0], None
    for left, right, is_box in sorted(spans):
        if reached is not None and is_box and left > reached + 1:
            cuts.append((left + reached) / 2)
        reached = right if reached is None else max(reached, right)
    starts = np.array(cuts)
    top, bottom = np.full(len(cuts), np.inf), np.full(len(cuts), -np.inf)

    def reach(left: float, right: float, high: float, low: float) -> None:
        first, last = np.searchsorted(starts, [left, right], side="right") - 1
        window = slice(max(first, 0), max(last, 0) + 1)
        np.minimum(top[window], high, out=top[window])
        np.maximum(bottom[window], low, out=bottom[window])

    for box, place in zip(boxes, places, strict=True):
        half = box.height / 2
        reach(place.x, place.x, place.y - half, place.y + half + box.hang_height)
    for link, route in zip(links, routes, strict=True):
        reach(route.label.x, route.label.x, route.label.y - link.height / 2, route.label.y + link.height / 2)
        for (ax, ay), (bx, by) in zip(route.points, route.points[1:], strict=False):
            reach(ax, bx, min(ay, by), max(ay, by))
    return [Piece(*each) for each in zip(cuts, top.tolist(), bottom.tolist(), strict=True)]
