"""The picture of a check: what it looked at, with the guilty nodes and edges marked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chainrule.arrays import Array
from chainrule.checking import CheckReport, Finding
from chainrule.drawing.rules import Source
from chainrule.drawing.scene import Scene, SceneEdge, SceneNode, scene_of, with_notes

MOST_NOTES = 6


def source_of_report(report: CheckReport, title: str | None = None) -> Source:
    """A graph with the values it was checked at; a layer, an object or a function with its inputs."""
    findings = [finding for finding in report.findings if finding.severity != "note"]
    title = report.summary() if title is None else title
    looked_at = report.looked_at
    graph, pass_ = looked_at.graph, looked_at.pass_
    if graph is None or pass_ is None:
        scene = _single(report, findings, title)
        return Source(None, None, None, _with_advice(scene, findings, report))
    output = pass_.values[-1]
    gradients: list[Array | None] | None = None
    shares: dict[int, list[Array | None]] = {}
    if output is not None and output.size == 1:
        try:
            with np.errstate(all="ignore"):
                gradients = graph.run_backward(pass_, np.ones_like(output), shares=shares)
        except Exception:  # a handwritten backward may raise anything; that is among the findings
            gradients, shares = None, {}
    scene = scene_of(graph, pass_, gradients, title=title, shares=shares, findings=findings)
    return Source(graph, pass_, gradients, _with_advice(scene, findings, report))


def _single(report: CheckReport, findings: list[Finding], title: str) -> Scene:
    """Inputs, one node, output."""
    inputs = dict(report.looked_at.inputs)
    names = list(dict.fromkeys([*inputs, *(row.input for row in report.rows)]))
    leaves = [SceneNode(name, "input", name, value=inputs.get(name), is_named=True) for name in names]
    node = SceneNode(report.target, "layer", report.target, is_named=True, findings=tuple(findings))
    output = SceneNode("output", "output", "output")
    edges = [
        SceneEdge(
            k,
            len(names),
            k,
            name,
            inputs.get(name),
            findings=tuple(finding for finding in findings if finding.input == name),
        )
        for k, name in enumerate(names)
    ]
    edges.append(SceneEdge(len(names), len(names) + 1, 0, ""))
    return Scene(title, (*leaves, node, output), tuple(edges), "forward")


def _with_advice(scene: Scene, findings: list[Finding], report: CheckReport) -> Scene:
    """What was found, in words below the picture."""
    advice = [f"{finding.place}: {finding.mistake}. {finding.advice}" for finding in findings[:MOST_NOTES]]
    if len(findings) > MOST_NOTES:
        advice.append(f"and {len(findings) - MOST_NOTES} more")
    notes = []
    if any(finding.analytic is not None for finding in findings):
        notes.append(
            "In red: what backward gave, and should give, for the random upstream gradient of the check."
        )
    if report.uncompared:
        notes.append(f"Not compared: {', '.join(report.uncompared)}.")
    if not findings and not notes:
        notes.append("nothing was compared" if report.verdict == "not checked" else "nothing wrong was found")
    return replace(with_notes(scene, *notes), advice=tuple(advice))
