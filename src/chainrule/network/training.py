"""Training: a program with the parameters, the optimizer's state, a place in the order of batches, and the data."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from chainrule.arguments import whole_number
from chainrule.arrays import Array
from chainrule.errors import ArgumentError, BusyError
from chainrule.loop import Batches, Interrupts, Pace
from chainrule.network.divergence import diverged_by_update, diverged_in_step
from chainrule.network.health import NetworkExaminer, steps_worth
from chainrule.network.programs import measured
from chainrule.optimizers import Optimizer
from chainrule.randomness import Purpose, stream

if TYPE_CHECKING:
    from chainrule.network.network import Network

SECONDS = 0.1  # in one call of the machine, at most
FORMAT = "chainrule training 1"
PARAMETERS, OPTIMIZER, STATISTICS = "parameters", "optimizer/", "statistics/"
Snapshot = tuple[Array, dict[str, Array]]


class Training:
    """A training of a network, step by step: `net.training(x, t, ...)` makes one, and `fit` runs one.

    It owns what training needs: the program, the optimizer's state, the place in the order of batches, and the
    data. A network has one at a time. The last one made may go on; inside `with net.training(...) as training:`
    no other can be made, and other threads cannot assign parameters.

    Raises: BusyError from every call when the network is being trained elsewhere, or another training of it was
    made since.
    """

    def __init__(
        self,
        network: Network,
        data: dict[str, Array],
        optimizer: Optimizer,
        batches: Batches,
        *,
        validation: dict[str, Array] | None = None,
        threads: int | None = None,
        total: int | None = None,
        fresh: bool = False,
    ) -> None:
        self.network, self.optimizer, self.batches = network, optimizer, batches
        #: How many steps this training has done.
        self.iteration = 0
        #: The learning rates of the last call's steps.
        self.rates: list[float] = []
        self._data, self._validation, self._threads = data, validation, threads
        self._pace = Pace(SECONDS)
        self._order: tuple[int, list[Array]] = (-1, [])
        self._interrupted = False
        self._held: contextlib.ExitStack | None = None
        self.program = network.program(batches.largest, data["t"], "sample_weight" in data)
        self._progress = network.progress
        with network.callers.training():
            self._state = self._progress.begin(network, optimizer, batches, fresh)
            self._number = self._progress.training
            self._progress.total = total or self._progress.total
        self._trainer = network.programs.training_with(self.program, optimizer, self._state)

    # One at a time ------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        # What is held does not hold this training: a block that Ctrl-C keeps from ending ends with the training.
        from chainrule.native.blas import one_thread

        with contextlib.ExitStack() as stack:
            stack.enter_context(self.network.callers.training())
            stack.enter_context(one_thread())
            self._check_last()
            self._held = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held, self._held = self._held, None
        if held is not None:
            if kind is None or issubclass(kind, Exception):  # nobody knows what Ctrl-C left undone
                self.network.programs.trainer = self._trainer
            held.close()

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        """The network is this training's alone, and BLAS has one thread, for what stands between the steps, too."""
        if self._held is not None:
            yield
        else:
            with self:
                yield

    def _check_last(self) -> None:
        if self._progress.training != self._number:
            raise BusyError(
                "another training of this network was made since this one: go on with that, or make a new one, "
                "net.training(...), which goes on where the last one stopped"
            )

    # Steps ----------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """How many epochs are done, counted from the network's first."""
        return self._progress.place[0]

    @property
    def left_of_epoch(self) -> int:
        """How many steps there are to the end of the epoch, at least 1."""
        return self.batches.epoch_length - self._progress.place[1]

    @property
    def is_between_epochs(self) -> bool:
        """Whether no epoch has begun that is not done."""
        return self._progress.place[1] == 0

    def steps(self, n: int) -> list[float]:
        """Do n steps: forward, backward and update on one batch each. Returns the losses, before each update.

        The machine is called for at most a tenth of a second at a time. Ctrl-C is heard in between: the losses
        of the steps done by then are returned, fewer than n, and the next call raises KeyboardInterrupt. They
        are fewer, too, when the next step diverges: the next call then raises DivergedError, with the weights
        as they were before that step.
        """
        n = whole_number("steps: n", n, 1)
        losses: list[float] = []
        self.rates = []
        with self._working():
            self._raise_interrupt()
            with Interrupts() as interrupts:
                while len(losses) < n and not interrupts.asked:
                    batches = self._next_batches(min(n - len(losses), self._pace.steps))
                    done = self._run(batches)
                    losses += done
                    if len(done) < len(batches):
                        break
            if not losses and not interrupts.asked:
                feeds = {name: array[batches[0]] for name, array in self._data.items()}
                raise diverged_in_step(self.network, feeds, self.iteration + 1)
            self._interrupted = interrupts.asked
        return losses

    def _run(self, batches: Array) -> list[float]:
        """One call of the machine. It does fewer steps where one diverges."""
        before = self._state.iteration
        total = self._total(len(batches))
        rates = self.optimizer.schedule.rates(before, len(batches), total)
        start = time.perf_counter()
        try:
            with self.network.callers.steps(), np.errstate(all="ignore"):  # what overflows is found and named
                losses: list[float] = self._trainer.steps(
                    self._data,
                    batches,
                    np.array(rates),
                    iteration=self.network.iterations,
                    threads=self._threads,
                ).tolist()
        finally:  # a layer in Python may raise anything, after steps that changed the parameters
            done = self._state.iteration - before
            self._advance(done)
            self.rates += rates[:done]
        if done:
            self._pace.note(done, time.perf_counter() - start)
        return losses

    def _next_batches(self, most: int) -> Array:
        """The row numbers of the next batches, at most so many, all of one size."""
        epoch, begin = self._progress.place
        if self._order[0] != epoch:
            self._order = epoch, self.batches.of_epoch(epoch)
        for part in self._order[1]:
            if begin < len(part):
                return part[begin : begin + most]
            begin -= len(part)
        raise AssertionError("an epoch has as many batches as it says")

    def _advance(self, done: int) -> None:
        self.iteration += done
        self.network.iterations += done
        epoch, used = self._progress.place
        ended, used = divmod(used + done, self.batches.epoch_length)
        self._progress.place = epoch + ended, used

    def _raise_interrupt(self) -> None:
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt

    # The length of the training ------------------------------------------------------------------------

    def expect(self, steps: int) -> None:
        """Say how many more steps there will be. Unless it was said, a new training is as long as that.

        Raises: ArgumentError where the schedule depends on the length, and so many are not left of it.
        """
        if self._state.iteration == 0 and self._progress.total is None:
            self._progress.total = steps
        self._total(steps)

    def _total(self, steps: int) -> int:
        """The length of the training that the schedule is told."""
        schedule, done, total = self.optimizer.schedule, self._state.iteration, self._progress.total
        if not schedule.needs_total:
            return done + steps
        length = "say the length of the whole training, total_epochs=..."
        if total is None:
            raise ArgumentError(f"{schedule!r} depends on the length of the training: {length}")
        if done + steps > total:
            raise ArgumentError(
                f"{schedule!r} depends on the length of the training, which was {total:,} iterations, {done:,} "
                f"of them done: there is no place for {steps:,} more; {length} in every call, train in one "
                f"call, or begin anew with fresh=True"
            )
        return total

    # Measuring ------------------------------------------------------------------------------------------

    def measure(self) -> dict[str, float]:
        """Loss, and accuracy of a classifier, over all the training data, and over the validation data if any.

        "train_loss", "train_accuracy", "test_loss", "test_accuracy".
        Raises: DivergedError when the last update made the loss over the training data NaN or infinite.
        """
        with self._working(), np.errstate(all="ignore"):
            self._raise_interrupt()
            trained = self._measured(self._data)
            if not np.isfinite(trained["loss"]):
                raise diverged_by_update(self.network, self._data, self.iteration, trained["loss"])
            measures = {f"train_{name}": value for name, value in trained.items()}
            if self._validation is not None:
                measures |= {
                    f"test_{name}": value for name, value in self._measured(self._validation).items()
                }
        return measures

    def _measured(self, data: Mapping[str, Array]) -> dict[str, float]:
        if "sample_weight" not in data:
            measures = measured(self.program, data, self._threads)
            if measures is not None:
                return measures
        inputs = {name: data[name] for name in self.network.input_shapes}
        return self.network.evaluate(inputs, data["t"], data.get("sample_weight"))

    def snapshot(self) -> Snapshot:
        """A copy of the parameters and of the running statistics."""
        return self.network.params.flat.copy(), {
            name: array.copy() for name, array in self.network.state.items()
        }

    def put_back(self, snapshot: Snapshot) -> None:
        """Put back the weights that `snapshot` returned. The optimizer's state stays as it is."""
        flat, statistics = snapshot
        self.network.params.flat[:] = flat
        self.network.graph.keep_statistics({name: array.copy() for name, array in statistics.items()})

    def examiner(self, rows: int) -> NetworkExaminer:
        """What examines the layers, on at most so many rows of the data. Rows of weight 0 train nothing."""
        weights = self._data.get("sample_weight")
        useful = np.arange(self.batches.samples) if weights is None else np.flatnonzero(weights)
        rng = stream(self.batches.seed, Purpose.SAMPLE, 0, 0, 1)  # batches are drawn from (.., 0, epoch)
        chosen = np.sort(rng.choice(useful, min(rows, len(useful)), replace=False))
        feeds = {name: array[chosen] for name, array in self._data.items()}
        cost = steps_worth(self.program, len(chosen))
        return NetworkExaminer(self.network, feeds, self.optimizer, self._state, self._next_rate, cost)

    def _next_rate(self) -> float:
        done, total = self._state.iteration, self._progress.total or self._state.iteration + 1
        return self.optimizer.schedule(min(done, total - 1), total)

    def settings(self) -> dict[str, Any]:
        """What the history notes of how this training was made."""
        batches = self.batches
        settings = {
            "optimizer": repr(self.optimizer),
            "loss": repr(self.network.loss_layer),
            "batch_size": batches.batch_size,
            "sampling": batches.sampling,
            "samples": batches.samples,
            "seed": batches.seed,
            "dtype": str(self.network.dtype),
            "executor": self.program.executor,
        }
        if batches.joins:
            settings["last_batch"] = f"{batches.largest} rows: BatchNorm can do nothing with one left over"
        if self._state.iteration:
            settings["goes_on_from"] = f"iteration {self._state.iteration:,} of the training before"
        return settings

    # To keep --------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Array], str]:
        """All that changes: arrays by name, and a JSON text with the counts and with what they belong to."""
        with self._working():
            arrays = {name: array.copy() for name, array in self._changing().items()}
            counts = {
                "iteration": self.iteration,
                "iterations": self.network.iterations,
                "updates": self._state.iteration,
                "epoch": self._progress.place[0],
                "done": self._progress.place[1],
                "total": self._progress.total,
            }
            return arrays, json.dumps({"format": FORMAT, "counts": counts, "of": self._description()})

    def restore(self, state: tuple[Mapping[str, Array], str]) -> None:
        """Put back what `state` returned: here, or in a training of an equal network on as many rows of data.

        What follows then has the same bits as it had, or would have had, there.
        Raises: ArgumentError for the state of another training, or what is none.
        """
        arrays, text = state
        counts = self._checked_counts(text)
        with self._working():
            own = self._changing()
            if set(own) != set(arrays) or any(own[name].shape != np.shape(arrays[name]) for name in own):
                raise ArgumentError(
                    f"restore: expected arrays {_shapes(own)}, got {_shapes(arrays)}; restore it in a training "
                    f"of the same network"
                )
            for name, array in own.items():
                array[...] = arrays[name]
            self.iteration, self.network.iterations = counts["iteration"], counts["iterations"]
            self._state.iteration = counts["updates"]
            self._progress.place = counts["epoch"], counts["done"]
            self._progress.total = counts["total"]
            self._interrupted = False

    def _changing(self) -> dict[str, Array]:
        """The arrays that steps change, by name."""
        arrays = {PARAMETERS: self.network.params.flat}
        arrays |= {OPTIMIZER + name: array for name, array in self._state.arrays.items()}
        return arrays | {STATISTICS + name: array for name, array in self.network.state.items()}

    def _description(self) -> dict[str, Any]:
        """What a state belongs to."""
        return {
            "optimizer": self.optimizer.described(),
            "dtype": str(self.network.dtype),
            **asdict(self.batches),
        }

    def _checked_counts(self, text: str) -> dict[str, Any]:
        try:
            content = json.loads(text)
            counts, of = content["counts"], content["of"]
            known = content["format"] == FORMAT
            counts = {
                name: value if value is None and name == "total" else whole_number(name, value, 0)
                for name, value in counts.items()
            }
            known &= set(counts) == {"iteration", "iterations", "updates", "epoch", "done", "total"}
        except (ValueError, TypeError, KeyError, AttributeError, ArgumentError, RecursionError) as error:
            raise ArgumentError(f"restore: this is not the text of Training.state: {error!r}") from None
        if not known:
            raise ArgumentError(f"restore: expected the text of Training.state, in the format {FORMAT!r}")
        own = self._description()
        for name, value in own.items():
            if of.get(name) != value:
                raise ArgumentError(
                    f"restore: the state is of a training with {name} {of.get(name)!r}, this one has {value!r}; "
                    f"make the training with the same"
                )
        if counts["done"] >= self.batches.epoch_length:
            raise ArgumentError(
                f"restore: the state is damaged: {counts['done']} batches of an epoch are done"
            )
        return counts


def _shapes(arrays: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {np.shape(array)}" for name, array in sorted(arrays.items()))
