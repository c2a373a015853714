"""One training of a network: what the loop asks of it, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import DivergedError
from chainrule.network.batches import row_slices
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
        self._iteration = 0

    def step(self, rows: Array, iteration: int, total: int) -> tuple[float, float]:
        """Forward, backward and update on the rows of one batch. Returns the loss and the learning rate."""
        network = self.network
        statistics = dict(
            network.state
        )  # forward replaces them, and a step that diverges must leave no trace
        self._iteration = iteration + 1
        with np.errstate(all="ignore"):  # a number that overflows is found below, and its node is named
            values = network.graph.forward(self._feeds(rows), training=True, step=network.iterations)
            loss = network.one_number(values)
            if not np.isfinite(loss):
                self._undo_and_raise(statistics, f"the loss became {loss}")
            network.flat_gradient(out=self._gradient)
            if not np.isfinite(self._gradient @ self._gradient) and not np.isfinite(self._gradient).all():
                self._undo_and_raise(statistics, "a gradient became NaN or infinite")
            rate = self.optimizer.schedule(iteration, total)
            self.optimizer.step(network.params.flat, self._gradient, self._state, learning_rate=rate)
        network.iterations += 1
        return loss, rate

    def measure(self) -> dict[str, float]:
        """Loss and accuracy over all the training data, and over the validation data where there are any.

        Raises: DivergedError when the last update made the loss over the training data NaN or infinite.
        """
        with np.errstate(all="ignore"):
            trained = self.network.evaluate(self._inputs, self._targets, self._weights)
            if not np.isfinite(trained["loss"]):
                self._run_on_what_diverges()
                raise self._diverged(
                    f"its update made the loss over the training data {trained['loss']}", "after that update"
                )
            measures = {f"train_{name}": value for name, value in trained.items()}
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

    def _feeds(self, rows: Array | slice) -> dict[str, Array]:
        feeds = {name: array[rows] for name, array in self._inputs.items()} | {"t": self._targets[rows]}
        return feeds if self._weights is None else feeds | {"sample_weight": self._weights[rows]}

    def _run_on_what_diverges(self) -> None:
        """Leave in the graph the run on the first rows that hold a value that is not finite."""
        for part in row_slices(len(self._targets), 1024):
            self.network.graph.forward(self._feeds(part))
            if self.network.graph.first_not_finite() is not None:
                return

    def _undo_and_raise(self, statistics: dict[str, Array], what: str) -> NoReturn:
        error = self._diverged(what, "before the weights were changed")
        self.network.state.update(statistics)
        raise error

    def _diverged(self, what: str, when: str) -> DivergedError:
        graph = self.network.graph
        where = graph.first_not_finite()
        if where is None:
            bad = [name for name, gradient in graph.gradients.items() if not np.isfinite(gradient).all()]
            where = bad[-1] if bad else graph.name_of(graph.output)  # gradients run from the last node back
            first = f"the first gradient that went bad, going backward, is that of {where!r}"
        else:
            first = f"the first node whose value went bad is {where!r}"
        return DivergedError(
            f"iteration {self._iteration}: {what}; {first}. Training stopped {when}; "
            f"try a smaller learning rate, clip_norm=1.0 in the optimizer, or inputs scaled to about 1",
            iteration=self._iteration,
            node=where,
        )
