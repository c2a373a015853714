"""One training of a network: what the loop asks of it, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import DivergedError
from chainrule.optimizers import Optimizer

if TYPE_CHECKING:
    from chainrule.network.network import Network

Snapshot = tuple[Array, dict[str, Array]]


class Fitting:
    """The network, its data and its optimizer, as the training loop's trainee."""

    def __init__(
        self,
        network: Network,
        inputs: dict[str, Array],
        targets: Array,
        weights: Array | None,
        optimizer: Optimizer,
        validation: tuple[dict[str, Array], Array] | None,
    ) -> None:
        self.network, self.optimizer = network, optimizer
        self._inputs, self._targets, self._weights = inputs, targets, weights
        self._validation = validation
        self._state = optimizer.start(network.params.flat, network.decays)
        self._gradient = np.empty_like(network.params.flat)

    def step(self, rows: Array, iteration: int, total: int) -> tuple[float, float]:
        """Forward, backward and update on the rows of one batch. Returns the loss and the learning rate."""
        network = self.network
        feeds = {name: array[rows] for name, array in self._inputs.items()}
        feeds["t"] = self._targets[rows]
        if self._weights is not None:
            feeds["sample_weight"] = self._weights[rows]
        with np.errstate(all="ignore"):  # a number that overflows is found below, and its node is named
            loss = float(network.graph.forward(feeds, training=True, step=network.iterations))
            if not np.isfinite(loss):
                self._diverged(iteration, f"the loss became {loss}")
            network.flat_gradient(out=self._gradient)
        if not np.isfinite(self._gradient @ self._gradient) and not np.isfinite(self._gradient).all():
            self._diverged(iteration, "a gradient became NaN or infinite")
        rate = self.optimizer.schedule(iteration, total)
        self.optimizer.step(network.params.flat, self._gradient, self._state, learning_rate=rate)
        network.iterations += 1
        return loss, rate

    def measure(self) -> dict[str, float]:
        """Loss and accuracy over all the training data, and over the validation data where there are any."""
        measures = {f"train_{k}": v for k, v in self.network.evaluate(self._inputs, self._targets).items()}
        if self._validation is not None:
            measures |= {f"test_{k}": v for k, v in self.network.evaluate(*self._validation).items()}
        return measures

    def snapshot(self) -> Snapshot:
        """A copy of the parameters and of the running statistics."""
        state = {name: value.copy() for name, value in self.network.state.items()}
        return self.network.params.flat.copy(), state

    def restore(self, snapshot: Snapshot) -> None:
        """Put back what `snapshot` returned."""
        flat, state = snapshot
        self.network.params.flat[:] = flat
        self.network.state.update({name: value.copy() for name, value in state.items()})

    def _diverged(self, iteration: int, what: str) -> NoReturn:
        graph = self.network.graph
        where = graph.first_not_finite()
        if where is None:
            bad = [name for name, gradient in graph.gradients.items() if not np.isfinite(gradient).all()]
            where = bad[-1] if bad else graph.name_of(graph.output)  # gradients run from the last node back
            first = f"the first gradient that went bad, going backward, is that of {where!r}"
        else:
            first = f"the first node whose value went bad is {where!r}"
        raise DivergedError(
            f"iteration {iteration + 1}: {what}; {first}. Training stopped before the weights were changed; "
            f"try a smaller learning rate, clip_norm=1.0 in the optimizer, or inputs scaled to about 1",
            iteration=iteration + 1,
            node=where,
        )
