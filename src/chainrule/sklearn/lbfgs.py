"""L-BFGS over the flat parameter vector: SciPy's, on the loss and gradient of all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
from sklearn.utils.optimize import _check_optimize_result

from chainrule.arrays import Array
from chainrule.network import Network
from chainrule.sparse import sparse_names

ROWS = 1024  # at a time, whose values stay in the cache
SPARSE_ROWS = 100_000  # of sparse data, whose gradient has as many numbers as the weights for any rows


class Objective:
    """The loss over all rows with the penalty alpha / 2 |W|^2 of their sum, and its gradient, at a flat vector.

    (sum_i s_i L_i + alpha / 2 |W|^2) / sum_i s_i, for sample weights s_i, 1 if not given. `outputs` divides the
    loss, not the gradient, where scikit-learn reports the mean over the outputs.
    """

    def __init__(self, network: Network, data: dict[str, Array], alpha: float, outputs: int) -> None:
        self.network, self.outputs = network, outputs
        rows, weights = len(data["t"]), data.get("sample_weight")
        sparse = sparse_names(data)
        most = SPARSE_ROWS if sparse else ROWS
        self.program = network.program(min(most, rows), data["t"], weights is not None, sparse)
        blocks = [np.arange(first, min(first + most, rows)) for first in range(0, rows, most)]
        sums = [len(block) if weights is None else float(weights[block].sum()) for block in blocks]
        self.calls = [
            (total / sum(sums), self.program.call_of(data, block[None]))
            for block, total in zip(blocks, sums, strict=True)
            if total
        ]
        self.decay = np.where(network.decays, alpha / sum(sums), 0.0)

    def __call__(self, flat: Array) -> tuple[float, Array]:
        """The loss, and its gradient."""
        self.network.params.flat[:] = flat
        loss, gradient = 0.0, self.decay * flat
        penalty = float(gradient @ flat) / 2
        for share, call in self.calls:
            value, slope = self.program.loss_and_gradient_of(call)
            loss += share * value
            gradient += share * slope
        return loss / self.outputs + penalty, gradient


def minimize(estimator: Any, network: Network, data: dict[str, Array], outputs: int) -> None:
    """Train a network with L-BFGS, and note what scikit-learn's estimators do: `n_iter_` and `loss_`."""
    options: dict[str, Any] = {
        "maxfun": estimator.max_fun,
        "maxiter": estimator.max_iter,
        "gtol": estimator.tol,
    }
    objective = Objective(network, data, float(estimator.alpha), outputs)
    with network.callers.training(), np.errstate(all="ignore"):
        found = scipy.optimize.minimize(  # type: ignore[call-overload]
            objective, network.params.flat.astype(np.float64), method="L-BFGS-B", jac=True, options=options
        )
        network.params.flat[:] = found.x
    estimator.n_iter_ = _check_optimize_result("lbfgs", found, estimator.max_iter)
    estimator.loss_ = float(found.fun)
