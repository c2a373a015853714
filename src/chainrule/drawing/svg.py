"""A scene as SVG: nodes in the textbook's look, the value above each edge, and the gradient below it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from functools import cache

from chainrule.checking import Finding
from chainrule.drawing.arranging import Arrangement, arranged
from chainrule.drawing.layout import Box, Link
from chainrule.drawing.page import asset, text
from chainrule.drawing.scene import Scene, SceneEdge, SceneNode
from chainrule.drawing.tiles import LINE, Tile, tiles_of, width_of

MARGIN = 24
RADIUS = 22
LEAST_INPUT = 54  # the width of an input
LONGEST_NAME = 24  # letters, then an ellipsis; the whole name is shown when one points at it
BETWEEN = 7  # from the line forward to the dashed line back
NOTE_LINE, NARROWEST_NOTE = 17, 560
LONGEST_DASHED = 4_000  # wide: browsers take seconds to draw many dashed lines that are longer
OFFSET = 5  # between a line and what stands above or below it


def as_svg(scene: Scene, *, view: str = "full", alone: bool = True, fold: bool = False) -> str:
    """The scene as an SVG element. `alone`: with its own colours and paper, to stand in a file or a notebook.

    `fold`, for a page: what a single layer uses, its weights, hangs beneath it, and `data-pieces` has the places
    where the picture may be broken into rows.
    """
    tiles = [tiles_of(scene, edge) for edge in scene.edges]
    boxes = [_box(node) for node in scene.nodes]
    links = [_link(edge, *pair) for edge, pair in zip(scene.edges, tiles, strict=True)]
    layout = arranged(scene, boxes, links, tiles, fold=fold)
    parts = [
        (_hanging if k in layout.hanging else _edge)(k, scene, layout, *tiles[k])
        for k in range(len(scene.edges))
    ]
    parts += [_node(k, node, layout) for k, node in enumerate(scene.nodes)]
    said = () if fold else (*scene.advice, *scene.notes)  # a page tells them beside the picture
    letters = int(max(layout.width, NARROWEST_NOTE) / (0.63 * 12))
    notes = [line for note in said for line in textwrap.wrap(note, letters) or [""]]
    width = max([layout.width, *(width_of(note, 12) for note in notes)]) + 2 * MARGIN
    height = layout.height + 2 * MARGIN + NOTE_LINE * len(notes) + 8 * bool(notes)
    for k, note in enumerate(notes):
        y = layout.height + 8 + NOTE_LINE * (k + 1)
        parts.append(f'<text class="note" x="0" y="{y:.1f}">{text(note)}</text>')
    drawn = "".join(parts)
    if fold:  # a page with thousands of small pictures opens sooner where they are read when they are seen
        drawn = drawn.replace(' href="data:', ' data-href="data:')
    style = f"<style>{stand_alone_style()}</style>" if alone else ""
    paper = f'<rect width="{width:.0f}" height="{height:.0f}" fill="{light()["paper"]}"/>' if alone else ""
    pieces = " ".join(f"{each.left:.0f},{each.top:.0f},{each.bottom:.0f}" for each in layout.pieces)
    broken = f'data-pieces="{pieces}" data-end="{layout.width:.0f}" ' if fold and scene.nodes else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" data-view="{view}" role="img" {broken}'
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">'
        f"<title>{text(scene.title)}</title>{style}{paper}"
        f'<g class="all" transform="translate({MARGIN},{MARGIN})">{drawn}</g></svg>'
    )


@cache
def light() -> dict[str, str]:
    """The colours of the light theme, by name."""
    root = asset("drawing/common.css").split("}")[0]
    return dict(re.findall(r"--(\w+): (#\w+);", root))


@cache
def stand_alone_style() -> str:
    """The picture's style with the light theme's colours put in: a viewer of SVG need not know variables."""
    style = re.sub(r"/\*.*?\*/\s*", "", asset("drawing/picture.css"), flags=re.DOTALL)
    return re.sub(r"var\(--(\w+)\)", lambda found: light()[found[1]], style)


def shortened(name: str) -> str:
    """The name, or its beginning where it is long."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


# Nodes ---------------------------------------------------------------------------------------------------


def _caption(node: SceneNode) -> str:
    """What stands under the node, where its label does not say it all."""
    if node.kind == "layer" or (node.kind == "operation" and node.is_named):
        return shortened(node.name)
    return shortened(node.name) if node.kind == "block" else ""


def _box(node: SceneNode) -> Box:
    caption = _caption(node)
    if node.kind == "operation":
        return Box(2 * RADIUS, 2 * RADIUS)
    width = max(width_of(shortened(node.label), 14), width_of(caption, 11)) + 24
    if node.kind == "input":
        width = max(width, LEAST_INPUT)  # longer than high: a circle is arithmetic
    return Box(width, 46 if caption else 32)


def _node(k: int, node: SceneNode, layout: Arrangement) -> str:
    box, place = _box(node), layout.boxes[k]
    half_width, half_height = box.width / 2, box.height / 2
    caption = _caption(node)
    label_at = -3.0 if caption and node.kind != "operation" else 5.0
    parts = [f"<title>{text(_told(node))}</title>", _shape(node.kind, half_width, half_height)]
    parts.append(f'<text class="label" y="{label_at:g}">{text(shortened(node.label))}</text>')
    if caption:
        at = RADIUS + 13 if node.kind == "operation" else 14
        parts.append(f'<text class="name" y="{at:g}">{text(caption)}</text>')
    for row, finding in enumerate(node.findings[:2]):
        below = half_height + 14 + LINE * row + (13 if caption and node.kind == "operation" else 0)
        parts.append(f'<text class="says" y="{below:g}">{text(_accusation(finding))}</text>')
    guilty = " guilty" if node.findings else ""
    return (
        f'<g class="node {node.kind}{guilty}" data-node="{k}" '
        f'transform="translate({place.x:.1f},{place.y:.1f})">{"".join(parts)}</g>'
    )


def _shape(kind: str, half_width: float, half_height: float) -> str:
    x, y = half_width, half_height
    if kind == "operation":
        return f'<circle class="shape" r="{RADIUS}"/>'
    if kind == "output":
        return ""
    if kind == "parameter":  # a box with its corners cut
        corner = 8
        points = [(-x + corner, -y), (x - corner, -y), (x, -y + corner), (x, y - corner)]
        points += [(-px, -py) for px, py in points]
        joined = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        return f'<polygon class="shape" points="{joined}"/>'
    round_by = {"input": y, "layer": 9, "block": 9}.get(kind, 2)
    place = f'x="{-x:.1f}" y="{-y:.1f}" width="{2 * x:.1f}" height="{2 * y:.1f}" rx="{round_by:g}"'
    behind = f'<rect class="shape" {place} transform="translate(5,-5)"/>' if kind == "block" else ""
    return f'{behind}<rect class="shape" {place}/>'


def _told(node: SceneNode) -> str:
    """What is shown when one points at a node."""
    lines = [node.name if node.layer is None else f"{node.name}: {node.layer!r}"]
    lines += [f"{finding.mistake}: {finding.advice}" for finding in node.findings]
    return "\n".join(lines)


def _accusation(finding: Finding) -> str:
    of = f" of {finding.input}" if finding.input else ""
    return f"{finding.mistake}{of}"


# Edges ---------------------------------------------------------------------------------------------------


def _link(edge: SceneEdge, value: Tile, gradient: Tile) -> Link:
    """Above the line the value, below it the gradient; the room that is kept is as much above as below."""
    high = max(value.height + OFFSET, gradient.height + OFFSET + BETWEEN)
    return Link(edge.source, edge.target, max(value.width, gradient.width) + 8, 2 * high + 4, edge.port)


def _edge(k: int, scene: Scene, layout: Arrangement, value: Tile, gradient: Tile) -> str:
    edge, route = scene.edges[k], layout.routes[k]
    x, y = route.label.x, route.label.y
    above = _centred("value", value, x, y - OFFSET - value.height)
    below = _centred("gradient", gradient, x, y + OFFSET + BETWEEN)
    guilty = " guilty" if edge.findings else ""
    forth = _to_borders(route.points, scene, layout, edge)
    end_x, end_y = forth[-1]
    arrows = f'<path class="flow" d="{_curve(forth)}"/>'
    arrows += f'<path class="tip forth" d="M{end_x:.1f},{end_y:.1f}l-8,-3.5v7z"/>'
    if scene.ran == "forward" or edge.gradient is not None or edge.findings:
        lower = _to_borders([(px, py + BETWEEN) for px, py in route.points], scene, layout, edge)
        to_x, to_y = lower[0]
        long = " long" if lower[-1][0] - to_x > LONGEST_DASHED else ""
        arrows += f'<path class="back{long}" d="{_curve(lower)}"/>'
        arrows += f'<path class="tip to" d="M{to_x:.1f},{to_y:.1f}l8,-3.5v7z"/>'
    return f'<g class="edge{guilty}" data-edge="{k}">{arrows}{above}{below}</g>'


def _centred(kind: str, tile: Tile, x: float, y: float) -> str:
    """The numbers of a value or of a gradient, with their middle at x and their top at y."""
    bad = " bad" if tile.is_bad else ""
    return (
        f'<g class="{kind}{bad}" transform="translate({x - tile.width / 2:.1f},{y:.1f})">{tile.content}</g>'
    )


def _hanging(k: int, scene: Scene, layout: Arrangement, value: Tile, gradient: Tile) -> str:
    """The edge of a leaf that hangs beneath its layer: it goes up, and the numbers stand under the leaf."""
    edge, route = scene.edges[k], layout.routes[k]
    x, y = route.label.x, route.label.y
    above = _centred("value", value, x, y)
    below = _centred("gradient", gradient, x, y + value.height + OFFSET)
    (from_x, from_y), (to_x, to_y) = route.points
    guilty = " guilty" if edge.findings else ""
    arrows = f'<path class="flow" d="{_upward(from_x, from_y, to_x, to_y)}"/>'
    arrows += f'<path class="tip forth" d="M{to_x:.1f},{to_y:.1f}l-3.5,8h7z"/>'
    if scene.ran == "forward" or edge.gradient is not None or edge.findings:
        arrows += f'<path class="back" d="{_upward(from_x + BETWEEN, from_y, to_x + BETWEEN, to_y)}"/>'
        arrows += f'<path class="tip to" d="M{from_x + BETWEEN:.1f},{from_y:.1f}l-3.5,-8h7z"/>'
    return f'<g class="edge hanging{guilty}" data-edge="{k}">{arrows}{above}{below}</g>'


def _upward(from_x: float, from_y: float, to_x: float, to_y: float) -> str:
    middle = (from_y + to_y) / 2
    return (
        f"M{from_x:.1f},{from_y:.1f}C{from_x:.1f},{middle:.1f} {to_x:.1f},{middle:.1f} {to_x:.1f},{to_y:.1f}"
    )


def _to_borders(
    points: Sequence[tuple[float, float]], scene: Scene, layout: Arrangement, edge: SceneEdge
) -> list[tuple[float, float]]:
    """The line, drawn on to where a circle begins."""
    line = list(points)
    for end, number, inward in ((0, edge.source, -1), (-1, edge.target, 1)):
        x, y = line[end]
        off = abs(y - layout.boxes[number].y)
        if scene.nodes[number].kind == "operation" and off < RADIUS:
            line[end] = (x + inward * (RADIUS - (RADIUS**2 - off**2) ** 0.5), y)
    return line


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """A smooth line through the points, level at each of them."""
    (x, y), *rest = points
    parts = [f"M{x:.1f},{y:.1f}"]
    for to_x, to_y in rest:
        if abs(to_y - y) < 0.05:
            parts.append(f"H{to_x:.1f}")
        else:
            middle = (x + to_x) / 2
            parts.append(f"C{middle:.1f},{y:.1f} {middle:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f}")
        x, y = to_x, to_y
    return "".join(parts)
