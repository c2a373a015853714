"""Backpropagation held against numerical differentiation, on every parameter or on a sample of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from chainrule.arrays import Array
from chainrule.loop import is_watched
from chainrule.native.blas import one_thread
from chainrule.network import Network
from chainrule.numerical import numerical_gradient
from chainrule.text import duration

ROWS_CHECKED = 3
CALLS = 3
"""The fastest of this many calls of backpropagation counts: the first prepares, and others may be interrupted."""
SECONDS = 0.5
"""About so long the differences may take."""
OF_A_NODE, OF_A_PARAMETER = 5e-6, 2e-9
"""Seconds that a loss on a few rows takes, as measured, for each node of the graph and for each parameter."""
FEW = 16
"""So many parameters of each array are compared at least."""
AGREES = 1e-5
"""The largest relative error of a gradient that is right, over what was compared of an array."""
SMALLER_STEPS = 1e-7, 1e-8
"""Where the usual step of 6e-6 crosses a kink, such as a ReLU's, these probably do not."""


def compare_gradients(network: Network, x: Array, t: Array, seed: int = 0) -> str:
    """Compute both gradients in float64 on the first rows; how far apart they are, and what they took, as text.

    Of a network so large that the differences would take more than about a second, a sample of the parameters of
    each array is compared.
    """
    twin, x, t = network.astype("float64"), x[:ROWS_CHECKED], t[:ROWS_CHECKED]
    fast = math.inf
    for _ in range(CALLS):
        start = time.perf_counter()
        analytic = twin.flat_gradient(x, t, training=False).flat
        fast = min(fast, time.perf_counter() - start)
    size = twin.params.flat.size
    arrays = sampled([each.size for each in twin.params.values()], affordable(twin), seed)
    places = np.concatenate([*arrays, np.zeros(0, int)])
    numerical = np.full(size, np.nan)
    derivative = _derivative(twin, x, t)
    with one_thread():
        start = time.perf_counter()
        for place in _shown(places.tolist()):
            numerical[place] = derivative(place, None)
        slow = (time.perf_counter() - start) * size / max(len(places), 1)
        error = max((_error(analytic, numerical, each, derivative) for each in arrays), default=0.0)
    verdict = "backpropagation agrees with numerical differentiation"
    if not error < AGREES:
        verdict = "[red]backpropagation DISAGREES with numerical differentiation[/red]"
    count, about, took = f"all {size:,}", "", f"{slow:,.1f} s"
    if len(places) < size:
        count, about, took = f"{len(places):,} of {size:,}", "about ", duration(slow)
    return (
        f"{verdict} on {count} parameters\n"
        f"{'':<9}  (relative error {error:.0e}), and is {about}{slow / fast:,.0f} times faster: "
        f"{1000 * fast:.2f} ms, not {took}"
    )


def affordable(network: Network) -> int:
    """How many parameters can be compared in the time; decided by sizes, so that every run compares the same."""
    loss = OF_A_NODE * len(network.graph) + OF_A_PARAMETER * network.params.flat.size
    return int(SECONDS / (2 * loss))


def sampled(sizes: Sequence[int], wanted: int, seed: int) -> list[Array]:
    """The places of about so many numbers in arrays that follow each other, evenly over each array; a few of each
    at least, and all where no more are there than wanted.
    """
    rng = np.random.default_rng(seed)
    total, start, chosen = sum(sizes), 0, []
    for size in sizes:
        count = size if total <= wanted else min(size, max(FEW, wanted * size // total))
        edges = np.arange(count + 1) * size // max(count, 1)  # one number from each of so many stretches
        chosen.append(start + rng.integers(edges[:-1], edges[1:]))
        start += size
    return chosen


def _derivative(network: Network, x: Array, t: Array) -> Callable[[int, float | None], float]:
    """What gives the derivative of the loss of these rows by one parameter, by central differences of a step."""
    feeds = network.feeds(x, t)

    def loss(_: Array) -> float:
        value = network.graph.evaluate(feeds, training=False, step=network.iterations)
        return network.one_number(value)

    return lambda place, step: float(
        numerical_gradient(loss, network.params.flat[place : place + 1], step)[0]
    )


def _error(
    analytic: Array, numerical: Array, places: Array, derivative: Callable[[int, float | None], float]
) -> float:
    """The relative error over these places of one array. The few where the step may have crossed a kink are taken
    again with smaller ones; a gradient that is wrong stays so.
    """
    a, b = analytic[places], numerical[places]
    size = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)), 1e-12)
    for step in SMALLER_STEPS:
        apart = np.flatnonzero(np.abs(a - b) > AGREES * size / 2)
        if len(apart) <= 1 + len(places) // 4:
            b[apart] = [derivative(int(places[k]), step) for k in apart]
    return float(np.linalg.norm(a - b)) / size


def _shown(places: list[int]) -> Iterable[int]:
    """The places one after another, with a bar where somebody sees it; it goes when they are done."""
    if not is_watched():
        return places
    from rich.progress import track

    return track(places, "checking gradients", transient=True)
