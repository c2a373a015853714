"""The chain rule at one node, with its numbers: downstream = sum of upstream × local over the node's outputs.

The local derivatives are asked of the layer itself: its backward, given an upstream gradient that is 1 at one
element of the output and 0 elsewhere, returns the derivatives of that element.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.arrays import Array
from chainrule.drawing.scene import Scene
from chainrule.errors import ChainruleError
from chainrule.graph import Graph
from chainrule.graph.values import Run

MOST_OUTPUTS = 32  # elements of an output for which every local derivative is asked
MOST_WORK = 200_000  # elements of the inputs that may be computed for one node's rule
MOST_TERMS = 8  # that are kept; the rest is counted


@dataclass(frozen=True)
class Source:
    """What a drawing was made from. `gradients` are by position in the graph."""

    graph: Graph | None
    run: Run | None
    gradients: Sequence[Array | None] | None
    scene: Scene


@dataclass(frozen=True)
class Term:
    """One product of the sum: the upstream gradient of the output's element, times the local derivative."""

    output: tuple[int, ...]
    upstream: float
    local: float


@dataclass(frozen=True)
class Rule:
    """How the gradient of one element of one input comes about. `omitted` terms are in the sum but not listed."""

    element: tuple[int, ...]
    terms: tuple[Term, ...]
    omitted: int
    total: float


def rules_of(source: Source, i: int) -> list[Rule | None]:
    """For each input of the node at position `i`, the rule at the element with the largest gradient.

    None where no gradient flows, and where the layer is too large to ask for its local derivatives.
    """
    graph, run = source.graph, source.run
    if graph is None or run is None or source.gradients is None:
        return []
    sources = graph.source_positions(i)
    upstream = source.gradients[i]
    if upstream is None or not sources:
        return [None] * len(sources)
    wanted = [True] * len(graph)
    shares = graph.local_gradients(i, upstream, run, wanted)
    work = sum(share.size for share in shares if share is not None)
    if upstream.size <= MOST_OUTPUTS and upstream.size * work <= MOST_WORK:
        places = list(np.ndindex(upstream.shape))
    elif work <= MOST_WORK:
        places = []
    else:
        return [None] * len(sources)
    rows = [_local(graph, i, run, upstream, place) for place in places]
    rules: list[Rule | None] = []
    for port, share in enumerate(shares):
        if share is None or share.size == 0 or not np.isfinite(share).all():
            rules.append(None)
        elif places:
            rules.append(_rule(upstream, share, places, [row[port] for row in rows]))
        else:
            rules.append(_elementwise(graph, i, run, upstream, share, port))
    return rules


def _local(graph: Graph, i: int, run: Run, upstream: Array, place: tuple[int, ...]) -> list[Array | None]:
    """The derivatives of one element of the output with respect to every input."""
    single = np.zeros_like(upstream)
    single[place] = 1
    try:
        with np.errstate(all="ignore"):
            return graph.local_gradients(i, single, run, [True] * len(graph))
    except (ChainruleError, ArithmeticError, ValueError):  # a handwritten backward may not bear it
        return [None] * len(graph.source_positions(i))


def _rule(
    upstream: Array, share: Array, places: Sequence[tuple[int, ...]], rows: Sequence[Array | None]
) -> Rule | None:
    element = _largest(share)
    if any(row is None for row in rows):
        return None
    terms = [
        Term(place, float(upstream[place]), float(row[element]))
        for place, row in zip(places, rows, strict=True)
        if row is not None
    ]
    return _checked(element, terms, float(share[element]))


def _elementwise(graph: Graph, i: int, run: Run, upstream: Array, share: Array, port: int) -> Rule | None:
    """The one term of a layer that works element by element; None where one term does not make the gradient."""
    if share.shape != upstream.shape:
        return None
    element = _largest(share)
    local = _local(graph, i, run, upstream, element)[port]
    if local is None or np.count_nonzero(local) > 1:
        return None
    term = Term(element, float(upstream[element]), float(local[element]))
    return _checked(element, [term], float(share[element]))


def _checked(element: tuple[int, ...], terms: list[Term], total: float) -> Rule | None:
    """The rule, if its terms make the total: a wrong backward need not be a sum of upstream × local."""
    if not np.isclose(sum(term.upstream * term.local for term in terms), total, rtol=1e-3, atol=1e-30):
        return None
    if len(terms) > 1:
        terms = [term for term in terms if term.local != 0] or terms[:1]
    terms.sort(key=lambda term: -abs(term.upstream * term.local))
    return Rule(element, tuple(terms[:MOST_TERMS]), len(terms[MOST_TERMS:]), total)


def _largest(array: Array) -> tuple[int, ...]:
    return tuple(int(k) for k in np.unravel_index(int(np.argmax(np.abs(array))), array.shape))
