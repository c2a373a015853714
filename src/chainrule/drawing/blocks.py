"""Blocks: what repeats in a graph, and what is too much for one picture, drawn as one box."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from chainrule.arrays import Array
from chainrule.drawing.scene import Scene, SceneEdge, SceneNode

FEWEST_REPEATS = 3  # two in a row are read as easily as "2 ×"
MOST_BLOCKS = 60  # that a graph without repeats is cut into


@dataclass(frozen=True)
class _Group:
    """Nodes that one box stands for."""

    label: str
    name: str
    inside: tuple[int, ...]


def collapsed(scene: Scene, most_nodes: int | None = None) -> Scene | None:
    """The scene with what repeats drawn as one box: "8 × (Affine → ReLU)"; None when nothing repeats.

    Where more than `most_nodes` would be left, the nodes are put together in the order of their computation.
    """
    groups = _repeats(scene)
    left = len(scene.nodes) - sum(len(group.inside) - 1 for group in groups)
    if most_nodes is not None and left > most_nodes:
        groups = _parts(scene)
    return _with_boxes(scene, groups) if groups else None


def _computed(scene: Scene) -> list[int]:
    """The nodes that have inputs, in order; what stands at the end for the output is none of them."""
    has_inputs = {edge.target for edge in scene.edges}
    return [k for k in sorted(has_inputs) if scene.nodes[k].kind != "output"]


def _segments(scene: Scene, computed: Sequence[int]) -> list[list[int]]:
    """The computed nodes, cut after each one that all paths lead through."""
    rank = {k: number for number, k in enumerate(computed)}
    farthest = 0  # the last node, so far, that is fed from before
    reach: dict[int, int] = defaultdict(int)
    for edge in scene.edges:
        if edge.source in rank and edge.target in rank:
            reach[edge.source] = max(reach[edge.source], rank[edge.target])
    segments: list[list[int]] = [[]]
    for number, k in enumerate(computed):
        segments[-1].append(k)
        if farthest <= number and number + 1 < len(computed):
            segments.append([])
        farthest = max(farthest, reach[k])
    return segments


def _signature(
    scene: Scene, segment: Sequence[int], arriving: dict[int, list[SceneEdge]]
) -> tuple[object, ...]:
    """What a segment does, whoever does it: its layers, and how they hang together."""
    local = {k: number for number, k in enumerate(segment)}
    found: list[object] = []
    for k in segment:
        sources: list[object] = []
        for edge in arriving[k]:
            kind = scene.nodes[edge.source].kind
            before = kind if kind in ("parameter", "constant") else "before"
            sources.append(local.get(edge.source, before))
        found.append((repr(scene.nodes[k].layer), tuple(sources)))
    return tuple(found)


def _repeats(scene: Scene) -> list[_Group]:
    """Runs of equal segments, as long as they come."""
    arriving: dict[int, list[SceneEdge]] = defaultdict(list)
    leaving: dict[int, set[int]] = defaultdict(set)
    for edge in scene.edges:
        arriving[edge.target].append(edge)
        leaving[edge.source].add(edge.target)
    segments = _segments(scene, _computed(scene))
    signatures = [_signature(scene, segment, arriving) for segment in segments]
    groups = []
    start = 0
    while start < len(segments):
        period, count = _longest_run(signatures, start)
        if count < FEWEST_REPEATS:
            start += 1
            continue
        inside = {k for segment in segments[start : start + period * count] for k in segment}
        inside |= {k for k, node in enumerate(scene.nodes) if _belongs(node, leaving[k], inside)}
        once = [scene.nodes[k].label for segment in segments[start : start + period] for k in segment]
        words = " → ".join(once) if len(once) <= 3 else f"{once[0]} → … → {once[-1]}"
        label = f"{count} × ({words})" if len(once) > 1 else f"{count} × {words}"
        groups.append(_group(scene, label, inside))
        start += period * count
    return groups


def _belongs(node: SceneNode, consumers: set[int], inside: set[int]) -> bool:
    """Whether it is a parameter or a constant of one node in the box; one that is shared stays outside."""
    return node.kind in ("parameter", "constant") and len(consumers) == 1 and consumers <= inside


def _longest_run(signatures: Sequence[object], start: int) -> tuple[int, int]:
    """Of the periods that repeat from `start` on, the one that covers most, and how often it comes."""
    best = (1, 1)
    for period in range(1, min((len(signatures) - start) // FEWEST_REPEATS, 50) + 1):
        count = 1
        while (
            signatures[start : start + period]
            == signatures[start + count * period : start + (count + 1) * period]
        ):
            count += 1
        if count >= FEWEST_REPEATS and count * period > best[0] * best[1]:
            best = (period, count)
    return best


def _parts(scene: Scene) -> list[_Group]:
    """The nodes in equal parts, in the order in which they are computed: no part needs a later one."""
    body = [k for k in range(len(scene.nodes)) if scene.nodes[k].kind != "output"]
    size = -(-len(body) // MOST_BLOCKS)
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return [_group(scene, f"{len(part):,} nodes", set(part)) for part in parts if len(part) > 1]


def _group(scene: Scene, label: str, inside: set[int]) -> _Group:
    members = sorted(inside)
    computed = [k for k in members if scene.nodes[k].layer is not None] or members
    name = f"{scene.nodes[computed[0]].name} … {scene.nodes[computed[-1]].name}"
    return _Group(label, name, tuple(members))


def _with_boxes(scene: Scene, groups: Sequence[_Group]) -> Scene:
    """The scene with a box for each group, where the last of its nodes was."""
    group_of = {k: group for group in groups for k in group.inside}
    nodes: list[SceneNode] = []
    place: dict[int, int] = {}
    for k, node in enumerate(scene.nodes):
        group = group_of.get(k)
        if group is None:
            place[k] = len(nodes)
            nodes.append(node)
        elif k == group.inside[-1]:
            place.update(dict.fromkeys(group.inside, len(nodes)))
            nodes.append(_box_for(scene, group))
    edges: dict[tuple[int, int, int], SceneEdge] = {}
    ports: dict[int, int] = defaultdict(int)
    for edge in scene.edges:
        source, target = place[edge.source], place[edge.target]
        if source == target:
            continue
        if nodes[target].kind != "block":
            edges[source, target, edge.port] = replace(edge, source=source, target=target)
        elif (known := edges.get((source, target, -edge.source - 1))) is not None:
            edges[source, target, -edge.source - 1] = replace(
                known, gradient=_sum(known.gradient, edge.gradient), findings=known.findings + edge.findings
            )
        else:
            made = replace(edge, source=source, target=target, port=ports[target], slot="")
            edges[source, target, -edge.source - 1] = made
            ports[target] += 1
    return replace(scene, nodes=tuple(nodes), edges=tuple(edges.values()))


def _box_for(scene: Scene, group: _Group) -> SceneNode:
    members = [scene.nodes[k] for k in group.inside]
    findings = tuple(finding for member in members for finding in member.findings)
    last = members[-1]
    return SceneNode(
        group.name,
        "block",
        group.label,
        value=last.value,
        gradient=last.gradient,
        members=tuple(member.name for member in members),
        findings=findings,
    )


def _sum(a: Array | None, b: Array | None) -> Array | None:
    if a is None or b is None:
        return b if a is None else a
    return np.asarray(a + b)
