"""The sections on the network itself: its picture, first weights and gradient check, and how to repeat the run."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np

from chainrule.arrays import Array, Shape, as_floats
from chainrule.drawing.page import text
from chainrule.errors import ChainruleError
from chainrule.graph import Constant, Parameter
from chainrule.layers import (
    Add,
    BatchNorm,
    Divide,
    Dropout,
    Flatten,
    LayerNorm,
    Multiply,
    Reshape,
    Standardize,
    Subtract,
)
from chainrule.network import Network
from chainrule.reports.images import weights_picture
from chainrule.reports.parts import Section, listed, table
from chainrule.reports.run import TrainingRun
from chainrule.text import short

MOST_UNITS = 100
"""Of more units than this, those with the largest weights are shown."""
MOST_ROWS = 60
_SAME_PIXELS = (Flatten, Reshape, Dropout, Standardize, BatchNorm, LayerNorm)
_ARITHMETIC = (Add, Subtract, Multiply, Divide)
"""Layers that leave each pixel in its place; arithmetic does with a constant."""


def picture(run: TrainingRun) -> Section | None:
    """The computational graph, with the values of a sample where there is one."""
    drawn = None if run.network is None else network_svg(run.network, run.sample)
    if drawn is None:
        return None
    body = f'<div class="wide network" tabindex="0" role="region" aria-label="picture of the network">{drawn}</div>'
    return Section("network", "Network", body)


def network_svg(network: Network, sample: tuple[Any, Any] | None) -> str | None:
    """The network as SVG, or None where it cannot be drawn."""
    try:
        from chainrule.drawing import draw
    except ImportError:
        return None
    try:
        drawing = draw(network) if sample is None else draw(network, *sample)
    except ChainruleError:  # a sample that does not fit, a graph too large
        return None
    svg: str = drawing.svg(alone=False)
    return svg


def first_weights(run: TrainingRun) -> Section | None:
    """What each unit of the first layer looks for, where the input is an image."""
    found = weights_of_images(run)
    if found is None:
        return None
    name, weights, shape = found
    units, largest = chosen_units(weights)
    items = "".join(_unit(k, weights[:, k], shape, largest) for k in units)
    count = weights.shape[1]
    which = (
        f"all {count} units"
        if len(units) == count
        else f"the {len(units)} largest of {count:,} units, by norm"
    )
    lead = (
        f'<p class="lead">{text(name)}, {which}: each picture has a weight for each pixel of the input. '
        f'<span class="scale"><i class="negative"></i>{short(-largest, 2)} <span>to</span> '
        f'{short(largest, 2)}<i class="positive"></i></span></p>'
    )
    return Section("weights", "First layer's weights", f'{lead}<ul class="weights">{items}</ul>')


def _unit(k: int, weights: Array, shape: Shape, largest: float) -> str:
    norm = short(float(np.linalg.norm(weights)), 3)
    source = weights_picture(weights, shape, largest)
    words = f'alt="weights of unit {k + 1}" title="unit {k + 1}, norm {norm}"'
    return f'<li><img class="pixels" {words} src="{source}"></li>'


def weights_of_images(run: TrainingRun) -> tuple[str, Array, Shape] | None:
    """Name and values, (D, units), of the first weights that take the pixels, and the image's shape."""
    if run.network is None or run.image_shape is None:
        return None
    name = _weights_of_first_input(run.network)
    if name is None or run.network.params[name].shape[:-1] != (math.prod(run.image_shape),):
        return None
    return name, run.network.params[name].astype(np.float64), run.image_shape


def _weights_of_first_input(network: Network) -> str | None:
    """The matrix that the first input is multiplied by, pixel by pixel as it came; only its shape may change."""
    graph = network.graph
    pixels = {graph.position(next(iter(network.input_shapes)))}
    for i, node in enumerate(graph.nodes):
        sources = graph.source_positions(i)
        if node.layer is None or pixels.isdisjoint(sources):
            continue
        scaled = all(source in pixels or isinstance(graph.nodes[source], Constant) for source in sources)
        if isinstance(node.layer, _SAME_PIXELS) or (scaled and isinstance(node.layer, _ARITHMETIC)):
            pixels.add(i)
        elif node.layer.matrix_input is not None and sources[0] in pixels:
            matrix = sources[node.layer.signature.inputs.index(node.layer.matrix_input)]
            if isinstance(graph.nodes[matrix], Parameter):
                return graph.name_of(matrix)
    return None


def chosen_units(weights: Array) -> tuple[list[int], float]:
    """The units to show, and the weight that has the full colour: one in two hundred is larger."""
    norms = np.nan_to_num(np.linalg.norm(weights, axis=0))
    units = np.sort(np.argsort(-norms, kind="stable")[:MOST_UNITS]).tolist()
    finite = np.abs(weights[np.isfinite(weights)])
    largest = float(np.quantile(finite, 0.995)) if finite.size else 0.0
    return units, largest if largest > 0 else 1.0


def gradient_check(run: TrainingRun) -> Section | None:
    """What was compared, and what was found."""
    if run.check is None:
        return None
    rows: list[dict[str, Any]] = run.check.get("rows", [])
    found: list[dict[str, Any]] = run.check.get("findings", [])
    passed = bool(run.check.get("passed"))
    order = sorted(rows, key=lambda row: row.get("verdict") != "wrong")
    cells = [_check_cells(row) for row in order[:MOST_ROWS]]
    kind, sign, word = ("fine", "good", "agrees with") if passed else ("failed", "bad", "differs from")
    verdict = (
        f'<p class="{kind}"><b class="sign {sign}">{"passed" if passed else "failed"}</b> Backpropagation {word} '
        "numerical differentiation.</p>"
    )
    items = "".join(
        f'<li class="{"error" if each.get("severity") == "error" else "note"}">'
        f'<b class="sign">{text(each.get("mistake", ""))}</b><p>{text(_place(each))}</p>'
        f'<p class="advice">{text(each.get("advice", ""))}</p></li>'
        for each in found
    )
    listed_findings = f'<ul class="findings">{items}</ul>' if items else ""
    rest = len(rows) - len(cells)
    more = f'<p class="faint">and {rest:,} more</p>' if rest > 0 else ""
    head = ["node", "gradient of", "shape", "compared", "error", "verdict"]
    rows_html = (
        table(head, cells, kinds="tttnnt", label="Gradients that were compared", title=not passed) + more
    )
    folded = f"<details><summary>{len(rows):,} gradients compared</summary>{rows_html}</details>"
    return Section("check", "Gradient check", verdict + listed_findings + (folded if passed else rows_html))


def _place(finding: dict[str, Any]) -> str:
    element = finding.get("element")
    index = f"[{', '.join(map(str, element))}]" if isinstance(element, list) and element else ""
    parts = [str(finding.get("node", "")), f"{finding.get('input') or ''}{index}"]
    return ", ".join(part for part in parts if part)


def _check_cells(row: dict[str, Any]) -> list[str]:
    shape, verdict, error = row.get("shape"), str(row.get("verdict", "")), row.get("error")
    shown = (
        f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})" if isinstance(shape, list) else ""
    )
    colour = {"ok": "good", "wrong": "bad"}.get(verdict, "faint")
    size = f"{as_floats([error])[0]:.0e}" if isinstance(error, (int, float)) else str(error or "")
    return [
        text(row.get("node", "")),
        text(row.get("input", "")),
        text(shown),
        text(f"{row.get('checked', '')} of {row.get('of', '')}"),
        text(size),
        f'<span class="{colour}">{text(verdict)}</span>',
    ]


def repeating(run: TrainingRun) -> Section | None:
    """The command, the settings and the versions."""
    parts = []
    if run.about.command:
        parts.append(
            f'<p>This command repeats the run:</p><pre class="command" tabindex="0"><code>{text(run.about.command)}'
            "</code></pre>"
        )
    settings = run.history.settings
    if settings:
        parts.append(
            f"<h3>Settings</h3>{listed((as_words(name), as_text(value)) for name, value in settings.items())}"
        )
    if run.about.versions:
        parts.append(f"<h3>Versions</h3>{listed(run.about.versions.items())}")
    return Section("settings", "How to repeat it", "".join(parts)) if parts else None


def as_words(name: str) -> str:
    """'batch_size' as 'batch size'."""
    return re.sub(r"_", " ", str(name))


def as_text(value: Any) -> str:
    """A setting as text: words as they are, all else as JSON has it."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(value)
