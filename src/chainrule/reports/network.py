"""The sections on the network itself: its picture, first weights and gradient check, and how to repeat the run."""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import quote

import numpy as np

from chainrule.arrays import Array, Shape, as_floats
from chainrule.drawing.images import weights_of_pixels
from chainrule.drawing.page import as_html
from chainrule.errors import ChainruleError
from chainrule.network import Network
from chainrule.reports.images import weights_picture
from chainrule.reports.parts import Section
from chainrule.reports.run import TrainingRun

MOST_UNITS = 100
"""Of more units than this, those with the largest weights are shown."""
MOST_ROWS = 60


def picture(run: TrainingRun) -> Section | None:
    """The computational graph, with the values of a sample where there is one."""
    drawn = None if run.network is None else network_svg(run.network, run.sample)
    if drawn is None:
        return None
    link = quote(run.graph)
    return Section("network", "Network", "network", {"picture": as_html(drawn), "link": link})


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
    count = weights.shape[1]
    which = (
        f"all {count} units"
        if len(units) == count
        else f"the {len(units)} largest of {count:,} units, by norm"
    )
    values = {"of": name, "which": which, "largest": largest}
    values["units"] = [_unit(k, weights[:, k], shape, largest) for k in units]
    return Section("weights", "First layer's weights", "weights", values)


def _unit(k: int, weights: Array, shape: Shape, largest: float) -> dict[str, Any]:
    source = weights_picture(weights, shape, largest)
    return {"number": k + 1, "norm": float(np.linalg.norm(weights)), "source": source}


def weights_of_images(run: TrainingRun) -> tuple[str, Array, Shape] | None:
    """Name and values, (D, units), of the first weights that take the pixels, and the image's shape."""
    if run.network is None or run.image_shape is None:
        return None
    graph = run.network.graph
    weights = weights_of_pixels(graph, graph.position(next(iter(run.network.input_shapes))))
    if weights is None:
        return None
    name = graph.name_of(weights)
    if run.network.params[name].shape[:-1] != (math.prod(run.image_shape),):
        return None
    return name, run.network.params[name].astype(np.float64), run.image_shape


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
    order = sorted(rows, key=lambda row: row.get("verdict") != "wrong")
    values = {
        "passed": bool(run.check.get("passed")),
        "found": [
            {
                "severity": each.get("severity"),
                "mistake": each.get("mistake", ""),
                "place": _place(each),
                "advice": each.get("advice", ""),
            }
            for each in found
        ],
        "count": len(rows),
        "rows": [_check_cells(row) for row in order[:MOST_ROWS]],
    }
    return Section("check", "Gradient check", "check", values)


def _place(finding: dict[str, Any]) -> str:
    element = finding.get("element")
    index = f"[{', '.join(map(str, element))}]" if isinstance(element, list) and element else ""
    parts = [str(finding.get("node", "")), f"{finding.get('input') or ''}{index}"]
    return ", ".join(part for part in parts if part)


def _check_cells(row: dict[str, Any]) -> list[Any]:
    shape, verdict, error = row.get("shape"), str(row.get("verdict", "")), row.get("error")
    shown = (
        f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})" if isinstance(shape, list) else ""
    )
    colour = {"ok": "good", "wrong": "bad"}.get(verdict, "faint")
    size = f"{as_floats([error])[0]:.0e}" if isinstance(error, (int, float)) else str(error or "")
    return [
        str(row.get("node", "")),
        str(row.get("input", "")),
        shown,
        f"{row.get('checked', '')} of {row.get('of', '')}",
        size,
        {"verdict": verdict, "colour": colour},
    ]


def repeating(run: TrainingRun) -> Section | None:
    """The command, the settings and the versions."""
    settings = run.history.settings
    values = {
        "command": run.about.command,
        "settings": [(as_words(name), as_text(value)) for name, value in settings.items()],
        "versions": list(run.about.versions.items()),
    }
    return Section("settings", "How to repeat it", "repeating", values) if any(values.values()) else None


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
