"""Backpropagation held against numerical differentiation, on every parameter."""

from __future__ import annotations

import time

import numpy as np

from chainrule.arrays import Array
from chainrule.network import Network

ROWS_CHECKED = 3


def compare_gradients(network: Network, x: Array, t: Array) -> str:
    """Compute both gradients in float64 on the first rows; how far apart they are, and what they took, as text."""
    twin, x, t = network.astype("float64"), x[:ROWS_CHECKED], t[:ROWS_CHECKED]
    twin.gradient(x, t, training=False)  # once to warm up
    start = time.perf_counter()
    analytic = twin.gradient(x, t, training=False)
    between = time.perf_counter()
    numerical = twin.numerical_gradient(x, t, training=False)
    fast, slow = between - start, time.perf_counter() - between
    error = 0.0
    for name, gradient in analytic.items():
        size = max(float(np.linalg.norm(gradient)), float(np.linalg.norm(numerical[name])), 1e-12)
        error = max(error, float(np.linalg.norm(gradient - numerical[name])) / size)
    verdict = "backpropagation agrees with numerical differentiation"
    if not error < 1e-5:
        verdict = "[red]backpropagation DISAGREES with numerical differentiation[/red]"
    return (
        f"{verdict} on all {network.params.flat.size:,} parameters\n"
        f"{'':<9}  (relative error {error:.0e}), and is {slow / fast:,.0f} times faster: "
        f"{1000 * fast:.2f} ms, not {slow:.1f} s"
    )
