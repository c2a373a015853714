"""What a layout takes and what it gives: rectangles, links, places and lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """What must be placed: a node's rectangle, and the room that is kept beneath it for what hangs there."""

    width: float
    height: float
    hang_width: float = 0.0
    hang_height: float = 0.0


@dataclass(frozen=True)
class Link:
    """A line from box `source` to box `target` (their positions in the list), with the label that lies on it.

    `port` says which input of the target it is: inputs arrive from top to bottom in this order.
    """

    source: int
    target: int
    width: float = 0.0
    height: float = 0.0
    port: int = 0


def renumbered(links: Sequence[Link], members: Sequence[int]) -> list[Link]:
    """The links among some of the boxes, by the places of these among the members."""
    number = {i: k for k, i in enumerate(members)}
    return [replace(link, source=number[link.source], target=number[link.target]) for link in links]


@dataclass(frozen=True)
class Place:
    """A centre."""

    x: float
    y: float


@dataclass(frozen=True)
class Route:
    """A link's line, from its source's right border to its target's left border, and its label's centre."""

    points: tuple[Point, ...]
    label: Place


@dataclass(frozen=True)
class Layout:
    """The whole picture. Every coordinate lies within 0 .. width and 0 .. height."""

    width: float
    height: float
    boxes: tuple[Place, ...]
    routes: tuple[Route, ...]
