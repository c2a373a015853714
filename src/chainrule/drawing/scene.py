"""Scene: what a picture of a graph shows, before it is laid out: nodes and edges with what flowed along them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from chainrule.arrays import Array
from chainrule.checking import Finding
from chainrule.drawing.images import Images, image_shape, weights_of_pixels
from chainrule.drawing.statistics import number_text
from chainrule.graph import Constant, Graph, Input, Parameter
from chainrule.graph.values import Pass
from chainrule.layers import Layer

Kind = Literal["operation", "layer", "input", "parameter", "constant", "block", "output"]


@dataclass(frozen=True)
class SceneNode:
    """One node of the picture. A block stands for the nodes named in `members`, which are not shown."""

    name: str
    kind: Kind
    label: str
    layer: Layer | None = None
    value: Array | None = None
    gradient: Array | None = None
    #: Whether the name was given by somebody, and so is worth showing.
    is_named: bool = False
    members: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    #: The place of the node in its graph.
    position: int | None = None
    #: Of a batch of images, and of the weights of their pixels, where the images are.
    images: Images | None = None
    #: Whether it holds whole numbers that stand for something: labels, ids.
    is_labels: bool = False


@dataclass(frozen=True)
class SceneEdge:
    """What flows from one node into an input of another: a value, and the share of its gradient that comes back."""

    source: int
    target: int
    port: int
    slot: str
    value: Array | None = None
    gradient: Array | None = None
    findings: tuple[Finding, ...] = ()
    #: The shape of the value, where it is known without one.
    shape: str = ""


@dataclass(frozen=True)
class Scene:
    """All that is drawn. `ran` says how far the graph has come: nothing, "forward", or "backward" too."""

    title: str
    nodes: tuple[SceneNode, ...]
    edges: tuple[SceneEdge, ...]
    ran: Literal["", "forward", "backward"] = ""
    notes: tuple[str, ...] = ()
    #: What the findings say, for a picture; a page tells them beside it.
    advice: tuple[str, ...] = ()


def scene_of(
    graph: Graph,
    pass_: Pass | None,
    gradients: Sequence[Array | None] | None,
    *,
    title: str,
    last: int | None = None,
    shares: Mapping[int, Sequence[Array | None]] | None = None,
    findings: Sequence[Finding] = (),
    shapes: Mapping[int, str] | None = None,
) -> Scene:
    """The scene of a graph up to the node at `last` (the output), with the values and gradients of a pass.

    The values of parameters and constants are known without one. `shares` are what the run backward gave each edge;
    without them, the layers are asked again. `shapes` are those of values that no pass has computed, by position.
    """
    known = shapes or {}
    last = len(graph) - 1 if last is None else last
    shown = [i for i in graph.ancestors(last) if not _is_left_out(graph, pass_, i)]
    place = {i: k for k, i in enumerate(shown)}
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.node, []).append(finding)
    values = {i: _value(graph, pass_, i) for i in shown}
    images = _images(graph, values)
    nodes = [
        _node(graph, i, values[i], None if gradients is None else gradients[i], found, images) for i in shown
    ]
    edges = []
    for i in shown:
        sources = graph.source_positions(i)
        given = (
            _shares(graph, pass_, gradients, i) if shares is None else shares.get(i, [None] * len(sources))
        )
        slots = slots_of(graph, i)
        for port, (source, slot, share) in enumerate(zip(sources, slots, given, strict=True)):
            if source not in place:
                continue
            called = (slot, graph.name_of(source))
            at = tuple(each for each in found.get(graph.name_of(i), ()) if each.input in called)
            edges.append(
                SceneEdge(
                    place[source],
                    place[i],
                    port,
                    slot,
                    nodes[place[source]].value,
                    share,
                    at,
                    known.get(source, ""),
                )
            )
    if nodes:
        final = nodes[-1]
        nodes[-1] = replace(final, is_named=False)  # its name stands at the end
        nodes.append(SceneNode("output", "output", final.name if final.is_named else "output"))
        edges.append(SceneEdge(len(nodes) - 2, len(nodes) - 1, 0, "", final.value, final.gradient))
    ran: Literal["", "forward", "backward"] = "" if pass_ is None else "forward"
    notes = () if nodes else ("an empty graph: nothing to draw",)
    return Scene(title, tuple(nodes), tuple(edges), "backward" if gradients is not None else ran, notes)


def slots_of(graph: Graph, i: int) -> list[str]:
    """What the layer at position `i` calls each of its inputs: "x", "W", "b"; a list's are numbered."""
    layer, count = graph.nodes[i].layer, len(graph.source_positions(i))
    if layer is None:
        return []
    names = list(layer.signature.inputs[:count])
    return names + [f"input {k + 1}" for k in range(len(names), count)]


def _node(
    graph: Graph,
    i: int,
    value: Array | None,
    gradient: Array | None,
    found: dict[str, list[Finding]],
    images: Mapping[int, Images],
) -> SceneNode:
    node, name = graph.nodes[i], graph.name_of(i)
    kind, label = _kind_and_label(graph, i, value)
    at = tuple(found.get(name, ()))
    is_input = kind == "input" and value is not None
    return SceneNode(
        name,
        kind,
        label,
        node.layer,
        value,
        gradient,
        is_named=node.name is not None,
        findings=at,
        position=i,
        images=images.get(i),
        is_labels=is_input and value is not None and value.dtype.kind in "iu" and i in graph.index_leaves(),
    )


def _images(graph: Graph, values: Mapping[int, Array | None]) -> dict[int, Images]:
    """Where there are images among these values, by position: in inputs, and in the weights of their pixels."""
    found: dict[int, Images] = {}
    for i, value in values.items():
        shape = image_shape(value) if isinstance(graph.nodes[i], Input) and value is not None else None
        if shape is None:
            continue
        found[i] = Images(shape)
        weights = weights_of_pixels(graph, i)
        matrix = None if weights is None else values.get(weights)
        if weights is not None and matrix is not None and matrix.shape[:-1] == (math.prod(shape),):
            found[weights] = Images(shape, are_columns=True)
    return found


def _is_left_out(graph: Graph, pass_: Pass | None, i: int) -> bool:
    """Whether it is an input that may be left out, and was."""
    node = graph.nodes[i]
    return isinstance(node, Input) and node.optional and (pass_ is None or pass_.values[i] is None)


def _kind_and_label(graph: Graph, i: int, value: Array | None) -> tuple[Kind, str]:
    node, name = graph.nodes[i], graph.name_of(i)
    if isinstance(node, Input):
        return "input", name
    if isinstance(node, Parameter):
        return "parameter", name
    if isinstance(node, Constant):
        is_number = node.name is None and value is not None and value.size == 1
        return "constant", number_text(
            float(value.reshape(-1)[0])
        ) if is_number and value is not None else name
    layer = node.layer
    assert layer is not None
    if layer.symbol is not None:
        return "operation", layer.symbol
    return "layer", type(layer).__name__


def _value(graph: Graph, pass_: Pass | None, i: int) -> Array | None:
    if pass_ is not None and pass_.values[i] is not None:
        return pass_.values[i]
    node = graph.nodes[i]
    value: Array | None = None
    if isinstance(node, Constant):
        value = node.value
    elif isinstance(node, Parameter):
        value = graph.value_of_parameter(i)
    return None if value is None else value.copy()


def _shares(
    graph: Graph, pass_: Pass | None, gradients: Sequence[Array | None] | None, i: int
) -> list[Array | None]:
    """What each input of the node at `i` gets back from it."""
    sources = graph.source_positions(i)
    upstream = None if gradients is None else gradients[i]
    if pass_ is None or upstream is None or not sources:
        return [None] * len(sources)
    shares = graph.local_gradients(i, upstream, pass_, [True] * len(graph))
    return [None if share is None else share.copy() for share in shares]  # a backward may use its array again


def with_notes(scene: Scene, *notes: str) -> Scene:
    """The same scene with something more to say below it."""
    return replace(scene, notes=(*scene.notes, *notes))
