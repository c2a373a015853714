"""The page of a graph: its picture, and all that the page tells of each node, edge and array."""

from __future__ import annotations

import base64
import inspect
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.drawing.formulas import formula_of
from chainrule.drawing.page import as_html, page, render
from chainrule.drawing.rules import Rule, Source, rules_of
from chainrule.drawing.scene import Scene, SceneEdge, SceneNode
from chainrule.drawing.statistics import as_rows, listed, statistics_of
from chainrule.drawing.svg import as_svg
from chainrule.layers import Layer

MOST_CELLS = 200_000  # numbers that a page holds, all arrays together
FEWEST_CELLS, MOST_CELLS_OF_ONE = 16, 4_096
MOST_ROWS, MOST_COLUMNS = 256, 128  # of a table
SCRIPTS = tuple(
    f"drawing/{name}.js"
    for name in (
        "graph_dom",
        "heatmap",
        "graph_zoom",
        "graph_rows",
        "graph_levels",
        "graph_map",
        "graph_open",
        "graph_view",
        "graph_steps",
        "graph_math",
        "graph_typeset",
        "graph_panel",
        "graph_story",
        "graph_legend",
        "graph_hover",
        "graph_search",
        "graph_play",
        "graph",
    )
)
MOST_TERMS = 4  # of a rule's sum that are written out
MOST_RULES = 3_000  # nodes whose rules are written out with numbers


def graph_page(source: Source, *, full: Scene | None, small: Scene | None, begin_small: bool) -> str:
    """The whole page. `full` and `small` are two views of one graph; a page needs at least one."""
    views = [("full", full), ("collapsed", small)]
    pictures = [
        (name, as_html(as_svg(scene, view=name, alone=False, fold=True)))
        for name, scene in views
        if scene is not None
    ]
    arrays = _Arrays([scene for _, scene in views if scene is not None])
    kinds = _Kinds()
    rules = _Rules(source)
    data: dict[str, Any] = {
        "title": source.scene.title,
        "ran": source.scene.ran,
        "begin": "collapsed" if full is None or (small is not None and begin_small) else "full",
        "views": {name: _view(scene, arrays, kinds, rules) for name, scene in views if scene is not None},
    }
    data |= {"kinds": kinds.content, "arrays": arrays.content}
    return page(
        source.scene.title,
        render("drawing/graph.html", title=source.scene.title, pictures=pictures),
        data={"graph": data},
        styles=("drawing/picture.css", "drawing/graph.css"),
        scripts=SCRIPTS,
    )


def _view(scene: Scene, arrays: _Arrays, kinds: _Kinds, rules: _Rules) -> dict[str, Any]:
    """What one view shows, in the order in which it is computed; gradients flow in the opposite order."""
    arriving: dict[int, list[int]] = {}
    for k, edge in enumerate(scene.edges):
        arriving.setdefault(edge.target, []).append(k)
    nodes = []
    told: dict[int, dict[str, Any] | None] = {}
    for k, node in enumerate(scene.nodes):
        own = sorted(arriving.get(k, ()), key=lambda number: scene.edges[number].port)
        if node.position is not None:
            told.update(zip(own, rules.at(node.position), strict=False))
        nodes.append(
            {
                "name": node.name,
                "kind": node.kind,
                "label": node.label,
                "layer": kinds.name_of(node.layer, [scene.edges[each].slot for each in own]),
                "settings": None if node.layer is None else repr(node.layer),
                "value": arrays.number_of(node.value),
                "gradient": arrays.number_of(node.gradient),
                "edges": own,
                **({"members": list(node.members)} if node.members else {}),
                **_found(node),
            }
        )
    edges = [
        {
            "source": edge.source,
            "target": edge.target,
            "slot": edge.slot,
            "value": arrays.number_of(edge.value),
            "gradient": arrays.number_of(edge.gradient),
            "rule": told.get(k),
            **_found(edge),
        }
        for k, edge in enumerate(scene.edges)
    ]
    return {"nodes": nodes, "edges": edges, **({"notes": list(scene.notes)} if scene.notes else {})}


def _found(holder: SceneNode | SceneEdge) -> dict[str, Any]:
    """What a check found there; of most places, nothing, which a large page need not say thousands of times."""
    return {"findings": [vars(finding) for finding in holder.findings]} if holder.findings else {}


class _Rules:
    """The rules of the nodes, each asked for once, though it stands in two views."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: dict[int, list[dict[str, Any] | None]] = {}

    def at(self, position: int) -> list[dict[str, Any] | None]:
        if position not in self._known:
            if len(self._known) >= MOST_RULES:
                return []
            self._known[position] = [_told(rule) for rule in rules_of(self._source, position)]
        return self._known[position]


def _told(rule: Rule | None) -> dict[str, Any] | None:
    """A rule with as many terms as a reader wants to see; the others are counted."""
    if rule is None:
        return None
    terms = [[term.output, term.upstream, term.local] for term in rule.terms[:MOST_TERMS]]
    omitted = rule.omitted + len(rule.terms) - len(terms)
    return {"element": rule.element, "terms": terms, "omitted": omitted, "total": rule.total}


class _Kinds:
    """Of each kind of layer: its formula, its documentation, and the code of its forward and backward."""

    def __init__(self) -> None:
        self.content: dict[str, dict[str, str | None]] = {}
        self._names: dict[tuple[type[Layer], str], str] = {}

    def name_of(self, layer: Layer | None, inputs: Sequence[str]) -> str | None:
        """The name of the layer's kind in the page: that of its class, numbered where two kinds share it."""
        if layer is None:
            return None
        formula = formula_of(layer, inputs)
        kind = type(layer), formula
        if kind not in self._names:
            name = type(layer).__name__
            same = sum(each.__name__ == name for each, _ in self._names)
            self._names[kind] = name if not same else f"{name} ({same + 1})"
            self.content[self._names[kind]] = {
                "formula": formula,
                "documentation": inspect.getdoc(type(layer)) if type(layer).__doc__ else None,
                "forward": _code(layer, "forward"),
                "backward": _code(layer, "backward"),
            }
        return self._names[kind]


def _code(layer: Layer, method: str) -> str | None:
    """The source of a method; None where Python no longer has it (a class typed in at a prompt)."""
    try:
        return textwrap.dedent(inspect.getsource(getattr(type(layer), method)))
    except (OSError, TypeError):
        return None


class _Arrays:
    """The arrays of a page, each once, with as many of their numbers as there is room for."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        holders: list[SceneNode | SceneEdge] = [each for scene in scenes for each in scene.nodes]
        holders += [each for scene in scenes for each in scene.edges]
        self.content: list[dict[str, Any]] = []
        self._number: dict[int, int] = {}
        distinct = {id(a): a for each in holders for a in (each.value, each.gradient) if a is not None}
        self._kept = list(distinct.values())  # so that no id is used again
        self._meanings: dict[int, dict[str, Any]] = {}
        for scene in scenes:
            self._tell_meanings(scene)
        self._cells = _fair_share([array.size for array in self._kept])

    def number_of(self, array: Array | None) -> int | None:
        """The array's place in the page's list."""
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
            **vars(statistics_of(array)),
            **self._meanings.get(id(array), {}),
            "rows": _places(of_rows, rows.shape[0]),
            "columns": _places(of_columns, rows.shape[1]),
            "numbers": base64.b64encode(numbers.tobytes()).decode("ascii"),
            "bytes": 4 if is_single else 8,
        }

    def _tell_meanings(self, scene: Scene) -> None:
        """What the numbers of arrays stand for, where they do: images, labels."""
        held: list[tuple[SceneNode, SceneNode | SceneEdge]] = [(node, node) for node in scene.nodes]
        held += [(scene.nodes[edge.source], edge) for edge in scene.edges]
        for node, holder in held:
            if node.is_labels and holder.value is not None:
                self._meanings[id(holder.value)] = {"labels": listed(holder.value)}
            for array in (holder.value, holder.gradient):
                if node.images is not None and array is not None and id(array) not in self._meanings:
                    strip = node.images.strip(array, is_gradient=array is holder.gradient)
                    self._meanings[id(array)] = {"picture": vars(strip)}


def _fair_share(sizes: Sequence[int]) -> int:
    """How many numbers of each array a page can hold: what small arrays leave is shared by the large ones."""
    room, left = MOST_CELLS, len(sizes)
    for size in sorted(sizes):
        if size * left > room:
            return min(max(room // left, FEWEST_CELLS), MOST_CELLS_OF_ONE)
        room, left = room - size, left - 1
    return MOST_CELLS_OF_ONE


def _evenly(shape: tuple[int, ...], cells: int) -> tuple[Array, Array]:
    """Rows and columns spread over a table, so that at most about `cells` numbers are kept."""
    height, width = shape
    columns = min(width, max(cells // max(min(height, int(cells**0.5)), 1), 1))
    if height > 1:  # a single row or column is broken into lines; in a table each needs its own place
        columns = min(columns, MOST_COLUMNS)
    rows = min(height, max(cells // max(columns, 1), 1), MOST_ROWS if width > 1 else height)
    return _spread(height, rows), _spread(width, columns)


def _places(chosen: Array, size: int) -> int | list[int]:
    """Which rows or columns are kept: just their number where all are."""
    return size if len(chosen) == size else chosen.tolist()


def _spread(size: int, count: int) -> Array:
    """`count` of `size` places, the first and the last among them."""
    if count == size:
        return np.arange(size)
    return np.linspace(0, size - 1, count).round().astype(int)
