"""One training of a network: what the loop asks of it, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import DivergedError
from chainrule.network.batches import row_slices
from chainrule.network.health import NetworkExaminer, steps_worth
from chainrule.optimizers import Optimizer
from chainrule.randomness import Purpose, stream

if TYPE_CHECKING:
    from chainrule.network.network import Network
    from chainrule.program import Program

Snapshot = tuple[Array, dict[str, Array]]


def measured(
    program: Program, inputs: Mapping[str, Array], targets: Array, threads: int | None = None
) -> dict[str, float] | None:
    """The loss over all rows by the program, and for a classifier the accuracy.

    None where it cannot tell: the loss has no kernel, or something is not finite, which is then looked for.
    """
    found = program.measure({**inputs, "t": targets}, threads)
    if found is None or found[2] or not np.isfinite(found[0]):
        return None
    loss, accuracy, _ = found
    return {"loss": loss, **({} if accuracy is None else {"accuracy": accuracy})}


def copied(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The same arrays, by name, as copies."""
    return {name: array.copy() for name, array in arrays.items()}


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
        *,
        batch_size: int,
        threads: int | None = None,
    ) -> None:
        self.network, self.optimizer = network, optimizer
        self._inputs, self._targets, self._weights = inputs, targets, weights
        self._validation = validation
        self._state = optimizer.start(network.params.flat, network.decays)
        self._iteration = 0
        self.program = network.program(batch_size, targets, weights is not None)
        self._trainer = self.program.trainer(optimizer, self._state)
        self._threads = threads
        #: How many steps to do in one call, at most.
        self.together = 100_000

    def steps(self, batches: Array, iteration: int, total: int) -> tuple[Sequence[float], Sequence[float]]:
        """Forward, backward and update on each batch. Returns the losses and the learning rates."""
        rates = [self.optimizer.schedule(iteration + k, total) for k in range(len(batches))]
        self._iteration = iteration + 1
        before, first = self._state.iteration, self.network.iterations
        try:
            with self.network.callers.steps(), np.errstate(all="ignore"):  # what overflows is found and named
                losses = self._trainer.steps(
                    self._data(), batches, np.array(rates), iteration=first, threads=self._threads
                )
        finally:  # a layer in Python may raise anything, after steps that changed the parameters
            done = self._state.iteration - before
            self.network.iterations = first + done
        if done == 0:
            self._locate_and_raise(batches[0])
        return losses.tolist(), rates[:done]

    def measure(self) -> dict[str, float]:
        """Loss and accuracy over all the training data, and over the validation data where there are any.

        Raises: DivergedError when the last update made the loss over the training data NaN or infinite.
        """
        with np.errstate(all="ignore"):
            trained = self._measured(self._inputs, self._targets, self._weights)
            if not np.isfinite(trained["loss"]):
                self._run_on_what_diverges()
                raise self._diverged(
                    f"its update made the loss over the training data {trained['loss']}", "after that update"
                )
            measures = {f"train_{name}": value for name, value in trained.items()}
            if self._validation is not None:
                measures |= {f"test_{k}": v for k, v in self._measured(*self._validation).items()}
        return measures

    def _measured(
        self, inputs: dict[str, Array], targets: Array, weights: Array | None = None
    ) -> dict[str, float]:
        if weights is None:
            measures = measured(self.program, inputs, targets, self._threads)
            if measures is not None:
                return measures
        return self.network.evaluate(inputs, targets, weights)

    def snapshot(self) -> Snapshot:
        """A copy of the parameters and of the running statistics."""
        return self.network.params.flat.copy(), copied(self.network.state)

    def restore(self, snapshot: Snapshot) -> None:
        """Put back what `snapshot` returned."""
        flat, state = snapshot
        self.network.params.flat[:] = flat
        self.network.graph.keep_statistics(copied(state))

    def examiner(self, rows: int, seed: int) -> NetworkExaminer:
        """What examines the layers, on at most so many rows of the data. Rows of weight 0 train nothing."""
        data = np.arange(len(self._targets)) if self._weights is None else np.flatnonzero(self._weights)
        rng = stream(seed, Purpose.SAMPLE, 0, 0, 1)  # batches are drawn from (.., first, epoch)
        chosen = np.sort(rng.choice(data, min(rows, len(data)), replace=False))
        cost = steps_worth(self.program, len(chosen))
        return NetworkExaminer(self.network, self._feeds(chosen), self.optimizer, self._state, cost)

    def _data(self) -> dict[str, Array]:
        """All that a batch is taken from, by the name of its input."""
        weights = {} if self._weights is None else {"sample_weight": self._weights}
        return {**self._inputs, "t": self._targets, **weights}

    def _feeds(self, rows: Array | slice) -> dict[str, Array]:
        return {name: array[rows] for name, array in self._data().items()}

    def _run_on_what_diverges(self) -> None:
        """Leave in the graph the run on the first rows that hold a value that is not finite."""
        for part in row_slices(len(self._targets), 1024):
            self.network.graph.forward(self._feeds(part))
            if self.network.graph.first_not_finite() is not None:
                return

    def _locate_and_raise(self, rows: Array) -> NoReturn:
        """Run the graph on the batch that diverged, where every value can be looked at: what went bad first?"""
        graph, statistics = self.network.graph, copied(self.network.state)
        with np.errstate(all="ignore"):
            feeds = self._feeds(rows)
            value = graph.forward(feeds, training=True, step=self.network.iterations)
            loss = self.network.one_number(value)
            graph.backward()
        graph.keep_statistics(statistics)
        what = "a gradient became NaN or infinite" if np.isfinite(loss) else f"the loss became {loss}"
        raise self._diverged(what, "before the weights were changed")

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
