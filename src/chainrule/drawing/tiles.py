"""Tiles: what stands of an array beside an edge: a small picture, its shape, and a few statistics."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.arrays import Array
from chainrule.checking import Finding
from chainrule.drawing.images import Strip
from chainrule.drawing.page import text
from chainrule.drawing.scene import Scene, SceneEdge
from chainrule.drawing.statistics import (
    Statistics,
    as_rows,
    heights,
    image,
    is_small,
    listed,
    number_text,
    shape_text,
    share_text,
    statistics_of,
)

STRIP = 4, 26  # images of a batch, and how high each is drawn
LINE = 12  # from one line of small text to the next
THUMB = 42, 30  # the largest picture of an array


@dataclass(frozen=True)
class Tile:
    """What is told of one array beside an edge, with its size."""

    width: float
    height: float
    content: str
    is_bad: bool


def tiles_of(scene: Scene, edge: SceneEdge) -> tuple[Tile, Tile]:
    """What stands above the edge, and what below."""
    source = scene.nodes[edge.source]
    value, gradient = edge.value, edge.gradient
    shown = [
        None
        if array is None or source.images is None
        else source.images.strip(array, is_gradient=k > 0, most=STRIP[0])
        for k, array in enumerate((value, gradient))
    ]
    if value is not None:
        above = _tile(value, (), shown[0], is_labels=source.is_labels)
    else:
        above = _pending("not computed") if scene.ran else _shape(edge.shape)
    if not scene.ran and not edge.findings:
        return above, Tile(0, 0, "", False)
    if gradient is not None:
        return above, _tile(gradient, edge.findings, shown[1])
    none = "no gradient" if scene.ran == "backward" else "not computed"
    return above, _pending(none, edge.findings)


def _shape(words: str) -> Tile:
    return Tile(
        width_of(words, 13), 14 * bool(words), f'<text class="main" x="0" y="11">{words}</text>', False
    )


def _pending(words: str, findings: Sequence[Finding] = ()) -> Tile:
    lines, width = _compared(findings, 11)
    content = f'<text class="pending" x="0" y="9">{words}</text>{lines}'
    return Tile(max(width_of(words, 10), width), 12 + LINE * 2 * bool(lines), content, bool(findings))


def _tile(
    array: Array, findings: Sequence[Finding], images: Strip | None, *, is_labels: bool = False
) -> Tile:
    told = statistics_of(array)
    if told.number is not None:
        words = number_text(told.number)
        lines, width = _compared(findings, 13)
        content = f'<text class="main" x="0" y="11">{words}</text>{lines}'
        bad = bool(findings) or not told.is_finite
        return Tile(max(width_of(words, 13), width), 14 + LINE * 2 * bool(lines), content, bad)
    words, few = shape_text(told.shape), _statistics(told)
    picture, wide, high = "", 0.0, 0.0
    if is_labels:
        words, few = words.replace("number", "label"), [listed(array)]
    elif images is not None:
        picture, wide, high = _images(images)
    else:
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


def _statistics(told: Statistics) -> list[str]:
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


def _images(shown: Strip) -> tuple[str, float, float]:
    """Images beside one another, their width and their height."""
    high = STRIP[1]
    wide = high * (shown.count * (shown.width + 1) - 1) / shown.height
    place = f'x="0" y="1" width="{wide:.1f}" height="{high}"'
    return f'<image class="images" {place} href="{shown.url}"/>', wide, high + 2.0


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


def width_of(words: str, size: float) -> float:
    """About how wide a text is: wide letters (Chinese, emoji) count as two."""
    return sum(size * (1.1 if unicodedata.east_asian_width(c) in "WF" else 0.63) for c in words)
