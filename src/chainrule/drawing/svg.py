"""A scene as SVG: nodes in the textbook's look, the value above each edge, and the gradient below it."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from chainrule.arrays import Array
from chainrule.checking import Finding
from chainrule.drawing.layout import Box, Layout, Link, layered
from chainrule.drawing.page import asset, text
from chainrule.drawing.scene import Scene, SceneEdge, SceneNode
from chainrule.drawing.summary import (
    Summary,
    as_rows,
    heights,
    image,
    is_small,
    number_text,
    shape_text,
    share_text,
    summarize,
)

MARGIN = 24
RADIUS = 22
LONGEST_NAME = 24  # letters, then an ellipsis; the whole name is shown when one points at it
BETWEEN = 7  # from the line forward to the dashed line back
LINE = 12  # from one line of small text to the next
THUMB = 42, 30  # the largest picture of an array
NOTE_LINE, NARROWEST_NOTE = 17, 560
LONGEST_DASHED = 4_000  # wide: browsers take seconds to draw many dashed lines that are longer
OFFSET = 5  # between a line and what stands above or below it


@dataclass(frozen=True)
class Tile:
    """What is told of one array beside an edge, with its size."""

    width: float
    height: float
    content: str
    is_bad: bool


def as_svg(scene: Scene, *, view: str = "full", alone: bool = True) -> str:
    """The scene as an SVG element. `alone`: with its own colours and paper, to stand in a file or a notebook."""
    tiles = [_tiles(scene, edge) for edge in scene.edges]
    boxes = [_box(node) for node in scene.nodes]
    links = [_link(edge, *pair) for edge, pair in zip(scene.edges, tiles, strict=True)]
    layout = layered(boxes, links)
    parts = [_edge(k, scene, layout, *tiles[k]) for k in range(len(scene.edges))]
    parts += [_node(k, node, layout) for k, node in enumerate(scene.nodes)]
    said = scene.notes if scene.nodes else (*scene.notes, "an empty graph: nothing to draw")
    letters = int(max(layout.width, NARROWEST_NOTE) / (0.63 * 12))
    notes = [line for note in said for line in textwrap.wrap(note, letters) or [""]]
    width = max([layout.width, *(width_of(note, 12) for note in notes)]) + 2 * MARGIN
    height = layout.height + 2 * MARGIN + NOTE_LINE * len(notes) + 8 * bool(notes)
    for k, note in enumerate(notes):
        y = layout.height + 8 + NOTE_LINE * (k + 1)
        parts.append(f'<text class="note" x="0" y="{y:.1f}">{text(note)}</text>')
    style = f"<style>{stand_alone_style()}</style>" if alone else ""
    paper = f'<rect width="{width:.0f}" height="{height:.0f}" fill="{light()["paper"]}"/>' if alone else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" data-view="{view}" role="img" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">'
        f"<title>{text(scene.title)}</title>{style}{paper}"
        f'<g class="all" transform="translate({MARGIN},{MARGIN})">{"".join(parts)}</g></svg>'
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


def width_of(words: str, size: float) -> float:
    """About how wide a text is: wide letters (Chinese, emoji) count as two."""
    return sum(size * (1.1 if unicodedata.east_asian_width(c) in "WF" else 0.63) for c in words)


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
    return Box(width, 46 if caption else 32)


def _node(k: int, node: SceneNode, layout: Layout) -> str:
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


def _tiles(scene: Scene, edge: SceneEdge) -> tuple[Tile, Tile]:
    """What stands above the edge, and what below."""
    value = _tile(edge.value) if edge.value is not None else _pending("not computed")
    if edge.gradient is not None:
        return value, _tile(edge.gradient, edge.findings)
    none = "no gradient" if scene.ran == "backward" else "not computed"
    return value, _pending(none, edge.findings)


def _pending(words: str, findings: Sequence[Finding] = ()) -> Tile:
    lines, width = _compared(findings, 11)
    content = f'<text class="pending" x="0" y="9">{words}</text>{lines}'
    return Tile(max(width_of(words, 10), width), 12 + LINE * 2 * bool(lines), content, bool(findings))


def _tile(array: Array, findings: Sequence[Finding] = ()) -> Tile:
    told = summarize(array)
    if told.number is not None:
        words = number_text(told.number)
        lines, width = _compared(findings, 13)
        content = f'<text class="main" x="0" y="11">{words}</text>{lines}'
        bad = bool(findings) or not told.is_finite
        return Tile(max(width_of(words, 13), width), 14 + LINE * 2 * bool(lines), content, bad)
    words, few = shape_text(told.shape), _statistics(told)
    picture, wide, high = _thumbnail(array)
    left = wide + 5 if wide else 0
    parts = [picture, f'<text class="main" x="{left:.0f}" y="11">{words}</text>']
    parts += [
        f'<text class="few" x="{left:.0f}" y="{11 + LINE * (k + 1)}">{line}</text>'
        for k, line in enumerate(few)
    ]
    width = left + max([width_of(words, 13), *(width_of(line, 10) for line in few)])
    height = max(high, 13.0 + LINE * len(few))
    lines, more = _compared(findings, height)
    parts.append(lines)
    bad = bool(findings) or not told.is_finite
    return Tile(max(width, more), height + LINE * 2 * bool(lines), "".join(parts), bad)


def _compared(findings: Sequence[Finding], below: float) -> tuple[str, float]:
    """What backward gave at the worst element, and what differences gave: two lines."""
    told = next((f for f in findings if f.analytic is not None and f.numerical is not None), None)
    if told is None or told.analytic is None or told.numerical is None:
        return "", 0.0
    at = str(list(told.element)) if told.element else ""
    words = [f"backward{at} {number_text(told.analytic)}", f"should be {number_text(told.numerical)}"]
    lines = [
        f'<text class="few bad" x="0" y="{below + LINE * (k + 1) - 2:g}">{line}</text>'
        for k, line in enumerate(words)
    ]
    return "".join(lines), max(width_of(line, 10) for line in words)


def _statistics(told: Summary) -> list[str]:
    if told.low is None or told.high is None or told.mean is None or told.std is None:
        return [told.trouble or "no elements"]
    if told.low == told.high and not told.trouble:
        return [f"all {number_text(told.low)}"]
    lines = [
        f"{number_text(told.mean)} ± {number_text(told.std)}",
        f"{number_text(told.low)} … {number_text(told.high)}",
    ]
    if told.trouble:
        return [*lines, told.trouble]
    return [*lines, text(f"{share_text(told.zeros)} zeros")] if told.zeros > 0 else lines


def _thumbnail(array: Array) -> tuple[str, float, float]:
    """A small picture of an array, its width and its height: every element, or the histogram of a large one."""
    wide, high = THUMB
    if array.size == 0:
        return "", 0.0, 0.0
    if is_small(array):
        rows = as_rows(array)
        cell = min(wide / rows.shape[1], high / rows.shape[0], 10)
        width = max(cell * rows.shape[1], min(10.0 * rows.shape[1], 12.0))
        height = max(cell * rows.shape[0], min(10.0 * rows.shape[0], 18.0))  # stretched rather than too thin
        place = f'x="0" y="1" width="{width:.1f}" height="{height:.1f}"'
        shown = f'<image {place} preserveAspectRatio="none" image-rendering="optimizeSpeed" href="{image(array)}"/>'
        return f'{shown}<rect class="frame" {place}/>', width, height + 2
    bars = heights(array)
    step = wide / len(bars) if bars else wide
    path = "".join(
        f"M{step * k:.1f},{high + 1}v{-high * bar:.1f}h{step - 0.6:.1f}v{high * bar:.1f}z"
        for k, bar in enumerate(bars)
        if bar
    )
    frame = f'<path class="frame" d="M0,{high + 1}h{wide}"/>'
    return f'<path class="bars" d="{path}"/>{frame}', float(wide), high + 2.0


def _link(edge: SceneEdge, value: Tile, gradient: Tile) -> Link:
    """Above the line the value, below it the gradient; the room that is kept is as much above as below."""
    high = max(value.height + OFFSET, gradient.height + OFFSET + BETWEEN)
    return Link(edge.source, edge.target, max(value.width, gradient.width) + 8, 2 * high + 4, edge.port)


def _edge(k: int, scene: Scene, layout: Layout, value: Tile, gradient: Tile) -> str:
    edge, route = scene.edges[k], layout.routes[k]
    x, y = route.label.x, route.label.y
    above = (
        f'<g class="value{" bad" if value.is_bad else ""}" '
        f'transform="translate({x - value.width / 2:.1f},{y - OFFSET - value.height:.1f})">{value.content}</g>'
    )
    below = (
        f'<g class="gradient{" bad" if gradient.is_bad else ""}" transform="translate('
        f'{x - gradient.width / 2:.1f},{y + OFFSET + BETWEEN:.1f})">{gradient.content}</g>'
    )
    guilty = " guilty" if edge.findings else ""
    forth = _to_borders(route.points, scene, layout, edge)
    end_x, end_y = forth[-1]
    arrows = f'<path class="flow" d="{_curve(forth)}"/>'
    arrows += f'<path class="tip forth" d="M{end_x:.1f},{end_y:.1f}l-8,-3.5v7z"/>'
    if scene.ran != "backward" or edge.gradient is not None or edge.findings:
        lower = _to_borders([(px, py + BETWEEN) for px, py in route.points], scene, layout, edge)
        to_x, to_y = lower[0]
        long = " long" if lower[-1][0] - to_x > LONGEST_DASHED else ""
        arrows += f'<path class="back{long}" d="{_curve(lower)}"/>'
        arrows += f'<path class="tip to" d="M{to_x:.1f},{to_y:.1f}l8,-3.5v7z"/>'
    return f'<g class="edge{guilty}" data-edge="{k}">{arrows}{above}{below}</g>'


def _to_borders(
    points: Sequence[tuple[float, float]], scene: Scene, layout: Layout, edge: SceneEdge
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
