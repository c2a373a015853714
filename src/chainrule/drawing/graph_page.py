"""The page of a graph: its picture, and all that the page tells of each node, edge and array."""

from __future__ import annotations

import base64
import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.drawing.page import D3_ZOOM, asset, page, text
from chainrule.drawing.rules import Source, rules_of
from chainrule.drawing.scene import Scene, formula_of
from chainrule.drawing.summary import as_rows, summarize
from chainrule.drawing.svg import as_svg
from chainrule.layers import Layer

MOST_CELLS = 200_000  # numbers that a page holds, all arrays together
FEWEST_CELLS, MOST_CELLS_OF_ONE = 16, 4_096
SCRIPTS = tuple(
    f"{name}.js"
    for name in (
        "graph_dom",
        "heatmap",
        "graph_view",
        "graph_steps",
        "graph_math",
        "graph_panel",
        "graph_story",
        "graph",
    )
)
MOST_RULES = 3_000  # nodes whose rules are written out with numbers


def graph_page(source: Source, *, full: Scene | None, small: Scene | None, begin_small: bool) -> str:
    """The whole page. `full` and `small` are two views of one graph; a page needs at least one."""
    views = [("full", full), ("collapsed", small)]
    pictures = "".join(
        f'<div class="picture" data-view="{name}">{as_svg(scene, view=name, alone=False)}</div>'
        for name, scene in views
        if scene is not None
    )
    arrays = _Arrays(
        [each for _, scene in views if scene is not None for each in (*scene.nodes, *scene.edges)]
    )
    data: dict[str, Any] = {
        "title": source.scene.title,
        "ran": source.scene.ran,
        "begin": "collapsed" if full is None or (small is not None and begin_small) else "full",
        "views": {name: _view(source, scene, arrays) for name, scene in views if scene is not None},
        "kinds": _kinds(source.scene),
    }
    data["arrays"] = arrays.content
    body = asset("graph.html").replace("<!-- title -->", text(source.scene.title))
    return page(
        source.scene.title,
        body.replace("<!-- pictures -->", pictures),
        data={"graph": data},
        styles=("picture.css", "graph.css"),
        scripts=(*D3_ZOOM, *SCRIPTS),
    )


def _view(source: Source, scene: Scene, arrays: _Arrays) -> dict[str, Any]:
    """What one view shows, in the order in which it is computed; gradients flow in the opposite order."""
    arriving: dict[int, list[int]] = {}
    for k, edge in enumerate(scene.edges):
        arriving.setdefault(edge.target, []).append(k)
    nodes = []
    rules: dict[int, Any] = {}
    for k, node in enumerate(scene.nodes):
        own = sorted(arriving.get(k, ()), key=lambda number: scene.edges[number].port)
        if node.position is not None and len(rules) < MOST_RULES:
            found = rules_of(source, node.position)
            rules.update(zip(own, found, strict=False))
        nodes.append(
            {
                "name": node.name,
                "kind": node.kind,
                "label": node.label,
                "layer": None if node.layer is None else type(node.layer).__name__,
                "settings": None if node.layer is None else repr(node.layer),
                "value": arrays.number_of(node.value),
                "gradient": arrays.number_of(node.gradient),
                "edges": own,
                "members": list(node.members),
                "findings": [asdict(finding) for finding in node.findings],
            }
        )
    edges = [
        {
            "source": edge.source,
            "target": edge.target,
            "slot": edge.slot,
            "value": arrays.number_of(edge.value),
            "gradient": arrays.number_of(edge.gradient),
            "rule": None if rules.get(k) is None else asdict(rules[k]),
            "findings": [asdict(finding) for finding in edge.findings],
        }
        for k, edge in enumerate(scene.edges)
    ]
    return {"nodes": nodes, "edges": edges}


def _kinds(scene: Scene) -> dict[str, dict[str, str | None]]:
    """Of each kind of layer: its formula, its documentation, and the code of its forward and backward."""
    layers = {type(node.layer).__name__: node.layer for node in scene.nodes if node.layer is not None}
    return {
        name: {
            "formula": formula_of(layer),
            "documentation": inspect.getdoc(type(layer)) if type(layer).__doc__ else None,
            "forward": _code(layer, "forward"),
            "backward": _code(layer, "backward"),
        }
        for name, layer in layers.items()
    }


def _code(layer: Layer, method: str) -> str | None:
    """The source of a method; None where Python no longer has it (a class typed in at a prompt)."""
    try:
        return textwrap.dedent(inspect.getsource(getattr(type(layer), method)))
    except (OSError, TypeError):
        return None


class _Arrays:
    """The arrays of a page, each once, with as many of their numbers as there is room for."""

    def __init__(self, holders: Sequence[Any]) -> None:
        self.content: list[dict[str, Any]] = []
        self._number: dict[int, int] = {}
        distinct = {id(a): a for each in holders for a in (each.value, each.gradient) if a is not None}
        self._kept = list(distinct.values())  # so that no id is used again
        room = MOST_CELLS // max(len(self._kept), 1)
        self._cells = min(max(room, FEWEST_CELLS), MOST_CELLS_OF_ONE)

    def number_of(self, array: Array | None) -> int | None:
        if array is None:
            return None
        if id(array) not in self._number:
            self._number[id(array)] = len(self.content)
            self.content.append(self._told(array))
        return self._number[id(array)]

    def _told(self, array: Array) -> dict[str, Any]:
        """The summary, and the numbers themselves: of a large array those of some rows and columns."""
        rows = as_rows(array)
        of_rows, of_columns = _evenly(rows.shape, self._cells)
        chosen = np.ascontiguousarray(rows[np.ix_(of_rows, of_columns)])
        is_single = array.dtype == np.float32
        numbers = chosen.astype("<f4" if is_single else "<f8")
        return {
            **asdict(summarize(array)),
            "rows": of_rows.tolist(),
            "columns": of_columns.tolist(),
            "numbers": base64.b64encode(numbers.tobytes()).decode("ascii"),
            "bytes": 4 if is_single else 8,
        }


def _evenly(shape: tuple[int, ...], cells: int) -> tuple[Array, Array]:
    """Rows and columns spread over a table, so that at most about `cells` numbers are kept."""
    height, width = shape
    columns = min(width, max(cells // max(min(height, int(cells**0.5)), 1), 1))
    rows = min(height, max(cells // max(columns, 1), 1))
    return tuple(  # type: ignore[return-value]
        np.unique(np.linspace(0, size - 1, count).round().astype(int)) if size else np.zeros(0, int)
        for size, count in ((height, rows), (width, columns))
    )
