"""The chain rule at one node, with its numbers: downstream = sum of upstream × local over the node's outputs.

The local derivatives of a product with a matrix are its factors. For others the layer itself is asked: given an
upstream gradient that is 1 at one element of the output and 0 elsewhere, its backward returns the derivatives of
that element.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from chainrule.arrays import Array
from chainrule.drawing.scene import Scene
from chainrule.errors import ChainruleError
from chainrule.graph import Graph
from chainrule.graph.values import Pass

MOST_OUTPUTS = 200  # elements of an output whose local derivatives may be asked for one rule
MOST_WORK = 4_000_000  # elements of the inputs that may be computed for one node's rules
MOST_TERMS = 8  # that are kept; the rest is counted


@dataclass(frozen=True)
class Source:
    """What a drawing was made from. `gradients` are by position in the graph."""

    graph: Graph | None
    pass_: Pass | None
    gradients: Sequence[Array | None] | None
    scene: Scene

    @cached_property
    def shares(self) -> dict[int, dict[int, Array]]:
        """What each node gave its inputs, by the node's position in the graph and the input's number."""
        found: dict[int, dict[int, Array]] = {}
        for edge in self.scene.edges:
            position = self.scene.nodes[edge.target].position
            if position is not None and edge.gradient is not None:
                found.setdefault(position, {})[edge.port] = edge.gradient
        return found


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
    graph, pass_ = source.graph, source.pass_
    if graph is None or pass_ is None or source.gradients is None:
        return []
    sources = graph.source_positions(i)
    upstream = source.gradients[i]
    if upstream is None or not sources:
        return [None] * len(sources)
    given = source.shares.get(i, {})
    shares = [given.get(port) for port in range(len(sources))]
    work = sum(share.size for share in shares if share is not None)
    if work > MOST_WORK:
        return [None] * len(sources)
    rules: list[Rule | None] = []
    rows: _Rows = {}
    for port, share in enumerate(shares):
        if share is None or share.size == 0 or not np.isfinite(share).all():
            rules.append(None)
            continue
        element = _largest(share)
        rule = _of_product(graph, i, pass_, upstream, share, port)
        if rule is None:
            rule = _elementwise(graph, i, pass_, upstream, share, port)
        calls = sum(upstream.shape) + min(upstream.size, MOST_OUTPUTS)
        if rule is None and work * calls <= MOST_WORK:
            places = _places(graph, i, pass_, upstream, rows, port, element)
            if len(places) <= MOST_OUTPUTS:
                rows_at = [_local(graph, i, pass_, upstream, place)[port] for place in places]
                if places and not any(row is None for row in rows_at):
                    rule = _rule(
                        upstream, share, places, [row[element] for row in rows_at if row is not None]
                    )
        rules.append(rule)
    return rules


_Rows = dict[tuple[int, int], list[Array | None]]


def _places(
    graph: Graph,
    i: int,
    pass_: Pass,
    upstream: Array,
    rows: _Rows,
    port: int,
    element: tuple[int, ...],
) -> list[tuple[int, ...]]:
    """The elements of the output that one element of an input may have to do with.

    The layer is asked once for each index of each axis of the output, with random gradients at that index and 0
    elsewhere. An index from which nothing comes back at the input's element does not depend on it.
    """
    if not rows:
        gradients = np.asarray(np.random.default_rng(0).uniform(0.5, 1.5, upstream.shape), upstream.dtype)
        for axis, size in enumerate(upstream.shape):
            for index in range(size):
                only = np.zeros_like(upstream)
                at = (slice(None),) * axis + (index,)
                only[at] = gradients[at]
                rows[axis, index] = _asked(graph, i, pass_, only)
    kept: list[list[int]] = []
    for axis, size in enumerate(upstream.shape):
        found = [rows[axis, index][port] for index in range(size)]
        kept.append([k for k, row in enumerate(found) if row is not None and row[element] != 0])
    return list(product(*kept))


def _local(graph: Graph, i: int, pass_: Pass, upstream: Array, place: tuple[int, ...]) -> list[Array | None]:
    """The derivatives of one element of the output with respect to every input."""
    single = np.zeros_like(upstream)
    single[place] = 1
    return _asked(graph, i, pass_, single)


def _asked(graph: Graph, i: int, pass_: Pass, upstream: Array) -> list[Array | None]:
    """What the layer's backward makes of an upstream gradient; nothing where it cannot bear it."""
    try:
        with np.errstate(all="ignore"):
            return graph.local_gradients(i, upstream, pass_, [True] * len(graph))
    except (ChainruleError, ArithmeticError, ValueError):  # a handwritten backward may not bear it
        return [None] * len(graph.source_positions(i))


def _rule(
    upstream: Array, share: Array, places: Sequence[tuple[int, ...]], factors: Sequence[float]
) -> Rule | None:
    element = _largest(share)
    pairs = zip(places, factors, strict=True)
    terms = [Term(place, float(upstream[place]), float(factor)) for place, factor in pairs]
    return _checked(element, terms, float(share[element]))


def _of_product(graph: Graph, i: int, pass_: Pass, upstream: Array, share: Array, port: int) -> Rule | None:
    """The rule of y = x W (+ b), whose local derivatives are W, x and 1; None for what is none such."""
    node, sources = graph.nodes[i], graph.source_positions(i)
    if node.layer is None or node.layer.matrix_input is None:
        return None
    matrix = node.layer.signature.inputs.index(node.layer.matrix_input)
    x, weights = pass_.values[sources[0]], pass_.values[sources[matrix]]
    if x is None or weights is None or x.ndim < 2 or weights.ndim != 2 or len(weights) != x.shape[-1]:
        return None
    *rows, last = _largest(share)
    if upstream.shape != (*x.shape[:-1], weights.shape[1]):
        return None
    if port == 0:
        places = [(*rows, column) for column in range(weights.shape[1])]
        return _rule(upstream, share, places, weights[last].tolist())
    places = [(*place, last) for place in np.ndindex(x.shape[:-1])]
    of_x = x.reshape(-1, x.shape[-1])
    return _rule(upstream, share, places, of_x[:, rows[0]].tolist() if port == matrix else [1.0] * len(of_x))


def _elementwise(graph: Graph, i: int, pass_: Pass, upstream: Array, share: Array, port: int) -> Rule | None:
    """The one term of a layer that works element by element; None where one term does not make the gradient."""
    if share.shape != upstream.shape:
        return None
    element = _largest(share)
    local = _local(graph, i, pass_, upstream, element)[port]
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
