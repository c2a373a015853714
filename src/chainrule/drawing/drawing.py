"""`cr.draw`: a graph as a picture, with the values that flowed forward and the gradients that flowed back."""

from __future__ import annotations

import contextlib
import os
import tempfile
import webbrowser
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.arrays import Array, ArrayLike
from chainrule.checking import CheckReport
from chainrule.drawing.blocks import collapsed
from chainrule.drawing.checked import source_of_report
from chainrule.drawing.graph_page import graph_page
from chainrule.drawing.page import text
from chainrule.drawing.png import as_png
from chainrule.drawing.rules import Source
from chainrule.drawing.scene import Scene, scene_of, with_notes
from chainrule.drawing.svg import as_svg
from chainrule.elsewhere import estimator_here
from chainrule.errors import ArgumentError
from chainrule.files import write_bytes
from chainrule.graph import Graph
from chainrule.graph.values import copied
from chainrule.network import Network
from chainrule.network.summary import output_shapes
from chainrule.sparse import SparseRows

LARGEST_PICTURE = 300  # nodes in an SVG or PNG
LARGEST_PAGE = 2_000  # nodes in a page, which can be searched and zoomed

Data = ArrayLike | Mapping[str, ArrayLike]


class Drawing:
    """A picture of a graph. A notebook shows it by itself; `save` writes it, `show` opens it in a browser.

    It holds copies of what flowed when it was made: training on, or writing to the data, does not change it.
    """

    def __init__(self, source: Source, *, collapse: bool | None = None) -> None:
        self._source, self._collapse = source, collapse
        #: What is drawn, in full.
        self.scene = source.scene

    def svg(self, *, alone: bool = True) -> str:
        """The picture as SVG text; with `alone=False` for a page of ours, whose styles give the colours."""
        return self._svg if alone else as_svg(self._shown, view=self._view, alone=False)

    @cached_property
    def _svg(self) -> str:
        return as_svg(self._shown, view=self._view)

    @property
    def _view(self) -> str:
        return "full" if self._shown is self.scene else "collapsed"

    @cached_property
    def _shown(self) -> Scene:
        """What a picture shows: all, or what repeats put together."""
        scene = self.scene
        count = len(scene.nodes)
        small = None
        if self._collapse or (self._collapse is None and count > LARGEST_PICTURE):
            small = collapsed(scene, LARGEST_PICTURE if self._collapse is None else None)
        if small is None:
            return scene
        if self._collapse is None:
            note = f"{count:,} nodes, put together in {len(small.nodes):,}: saved as .html, all can be seen"
            small = with_notes(small, note)
        return small

    def html(self) -> str:
        """The picture as a page in one file, to walk through forward and backward in a browser."""
        return self._html

    @cached_property
    def _html(self) -> str:
        scene = self.scene
        count = len(scene.nodes)
        is_large = count > LARGEST_PAGE
        small = collapsed(scene, LARGEST_PAGE if is_large else None)
        if small is not None and is_large:
            note = (
                f"{count:,} nodes, put together in {len(small.nodes):,}: more than a page can show one by one"
            )
            small = with_notes(small, note)
        return graph_page(
            self._source,
            full=None if is_large and small is not None else scene,
            small=small,
            begin_small=bool(self._collapse),
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture as .svg, .png or .html, by the path's ending.

        Raises: ArgumentError for another ending; FileError when it cannot be written.
        """
        ending = Path(path).suffix.lower()
        if ending == ".svg":
            content = self.svg().encode()
        elif ending == ".png":
            content = as_png(self.svg())
        elif ending in (".html", ".htm"):
            content = self.html().encode()
        else:
            raise ArgumentError(f"save: expected a file that ends in .svg, .png or .html, got {str(path)!r}")
        return write_bytes(path, content)

    def show(self) -> Path:
        """Open the page in the system's browser. Returns the file it was written to, in the folder for such."""
        folder = Path(tempfile.mkdtemp(prefix="chainrule-"))
        path = self.save(folder / "graph.html")
        webbrowser.open(path.as_uri())
        return path

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        frame = "width:100%;height:560px;border:1px solid #ccd2db;border-radius:6px"
        return f'<iframe style="{frame}" srcdoc="{text(self.html())}"></iframe>'

    def __repr__(self) -> str:
        ran = {"": "not run yet", "forward": "values", "backward": "values and gradients"}[self.scene.ran]
        return f"<Drawing of {self.scene.title}: {len(self.scene.nodes) - 1} nodes, {ran}>"


def draw(
    target: Graph | Network | CheckReport,
    x: Data | None = None,
    t: ArrayLike | None = None,
    *,
    training: bool = False,
    collapse: bool | None = None,
    title: str | None = None,
) -> Drawing:
    """Draw a graph: every value above the edge it flowed along, every gradient that came back below it.

    - `draw(graph)`: what its last forward and backward left. What was not computed is said to be so. Before a
      forward there are arrows only; `draw(net)` has the shapes of the values for N rows.
    - `draw(graph, {"apple": 100, "count": 2})`: runs it forward, and backward where the output is one number.
    - `draw(net, x, t)`: the network with its loss, run on this batch; `draw(net, x)`: without loss and gradients.
    - `draw(report)`: what `cr.check` looked at, with the guilty nodes and edges in red.

    Nothing of the graph, its values or its running statistics is changed. `collapse=True` draws what repeats as
    one box, "8 × (Affine → ReLU)"; by default only a picture of more than 300 nodes is made smaller, and says so.

    Raises: ArgumentError for what cannot be drawn; the graph's own errors when it cannot run.
    """
    if isinstance(target, CheckReport):
        if x is not None or t is not None:
            raise ArgumentError("draw: a report is drawn as it is, draw(report), without data")
        return Drawing(source_of_report(target, title), collapse=collapse)
    if isinstance(target, Network):
        return Drawing(_of_network(target.settled(), x, t, training, title), collapse=collapse)
    if isinstance(target, Graph):
        return Drawing(_of_graph(target, x, t, training, title), collapse=collapse)
    advice = estimator_here(target, "cr.draw(clf.network_, X, y)")
    raise ArgumentError(
        f"draw: expected a graph, a network or the report of cr.check, got {type(target).__name__}; "
        f"{advice or 'a node is drawn as the output of a graph, draw(cr.Graph(node))'}"
    )


def _of_graph(graph: Graph, x: Data | None, t: ArrayLike | None, training: bool, title: str | None) -> Source:
    title = f"the graph of {graph.name_of(graph.output)!r}" if title is None else title
    if x is None and t is None:
        pass_, gradients = copied(*graph.last_pass)
        _refuse_sparse(graph, [] if pass_ is None else pass_.values)
        return Source(graph, pass_, gradients, scene_of(graph, pass_, gradients, title=title))
    return _drawn_pass(graph, _fed(graph, x, t), len(graph) - 1, training, title)


def _of_network(
    network: Network, x: Data | None, t: ArrayLike | None, training: bool, title: str | None
) -> Source:
    graph = network.graph
    title = f"a network of {network.params.flat.size:,} parameters" if title is None else title
    if x is None:
        if t is not None:
            raise ArgumentError("draw: targets t were given without data x; draw(net, x, t) runs both")
        return Source(graph, None, None, scene_of(graph, None, None, title=title, shapes=_shapes(network)))
    if t is not None:
        return _drawn_pass(graph, network.feeds(x, t), len(graph) - 1, training, title)
    feeds = network.inputs_of(x)
    return _drawn_pass(graph, feeds, graph.position(network.output), training, title, backward=False)


def _shapes(network: Network) -> dict[int, str]:
    """What stands beside the edges of a network that has not been run."""
    with contextlib.suppress(Exception):  # of a layer that cannot take zeros: then there are no shapes
        return {i: "×".join(map(str, shape)) for i, shape in output_shapes(network).items()}
    return {}


def _fed(graph: Graph, x: Data | None, t: ArrayLike | None) -> dict[str, ArrayLike]:
    """What the inputs are fed with: a dict by name, or x for the only input, or for those named x and t."""
    if isinstance(x, Mapping):
        return dict(x) if t is None else {**x, "t": t}
    given = {name: value for name, value in (("x", x), ("t", t)) if value is not None}
    if list(given) == ["x"] and len(graph.inputs) == 1:
        return {next(iter(graph.inputs)): given["x"]}
    return given


def _refuse_sparse(graph: Graph, values: Sequence[Any]) -> None:
    """Raise ArgumentError where an input is a sparse matrix: a picture shows every number."""
    for i, value in enumerate(values):
        if isinstance(value, SparseRows):
            name = graph.name_of(i)
            raise ArgumentError(
                f"draw: {name} is a sparse matrix, and a picture shows every number: give a few rows as an array, "
                f"{name}[:5].toarray()"
            )


def _drawn_pass(
    graph: Graph,
    feeds: Mapping[str, Any],
    last: int,
    training: bool,
    title: str,
    *,
    backward: bool = True,
) -> Source:
    """Run forward to the node at `last`, and backward from a single number, with nothing kept in the graph."""
    with np.errstate(all="ignore"):  # what is not finite is shown in red
        pass_ = graph.run(feeds, last, training, 0)
        _refuse_sparse(graph, pass_.values)
        output = pass_.values[last]
        gradients: list[Array | None] | None = None
        shares: dict[int, list[Array | None]] = {}
        if backward and output is not None and output.size == 1:
            gradients = graph.run_backward(pass_, np.ones_like(output), shares=shares)
        held, back = copied(pass_, gradients)
        scene = scene_of(graph, held, back, title=title, last=last, shares=shares)
    return Source(graph, held, back, scene)
