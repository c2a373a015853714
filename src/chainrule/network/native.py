"""Training in native code: when it pays, and how the optimizer and the data are handed to it."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np

from chainrule.arrays import Array
from chainrule.kernels.losses import counting_of
from chainrule.network.threads import step_threads
from chainrule.optimizers import Optimizer, OptimizerState
from chainrule.program import ROWS_MEASURED, CannotCompile, Program, Update
from chainrule.training import is_watched

WORTH_COMPILING = 2.0  # seconds of training: as long as loading or making the machine code takes


def worth_compiling(program: Program, iterations: int) -> bool:
    """Whether so long a training is faster compiled, by an estimate that is the same on every run."""
    parameters = program.params.flat.size
    step = 6 * parameters * program.batch_size / 6e10 + 8e-6 * len(program.listing.operations)
    return iterations * step > WORTH_COMPILING


class Native:
    """The compiled form of a training. Raises CannotCompile when there is none."""

    def __init__(
        self,
        program: Program,
        inputs: Mapping[str, Array],
        targets: Array,
        optimizer: Optimizer,
        state: OptimizerState,
        threads: int | None = None,
    ) -> None:
        self._names, self._state = program.input_names, state
        update = update_of(optimizer)
        if update is None:
            raise CannotCompile(f"{optimizer!r} clips, or its rule has no kernel")
        #: The arrays that batches are taken from.
        self._data = self._readable(inputs, targets)
        if is_watched() and not program.is_compiled(update):
            print("compiling this training, once; it takes some seconds", file=sys.stderr)
        self._run = program.compile(update, step_threads(threads, program))
        flat = program.params.flat
        decay = np.broadcast_to(np.asarray(state.decay, flat.dtype), flat.shape)
        self._decay = np.ascontiguousarray(decay) if update.decay else np.zeros(0, flat.dtype)
        self._running = [state.arrays[name] for name in optimizer.running]
        self._counts = counting_of(program.graph.nodes[-1].layer) is not None

    def _readable(self, inputs: Mapping[str, Array], targets: Array) -> tuple[list[Array], Array]:
        """The data as compiled code takes them. Raises CannotCompile where it cannot."""
        arrays = [flat_rows(inputs[name]) for name in self._names]
        return arrays, targets.astype(np.int64) if targets.ndim == 1 else flat_rows(targets)

    def steps(self, batches: Array, rates: Array, losses: Array) -> int:
        """Train on the batches, rows of row numbers. Returns how many steps were done: fewer, if one diverges."""
        arrays, targets = self._data
        rows = np.ascontiguousarray(batches)
        done = self._run(
            arrays, targets, rows, rates, self._state.iteration, self._decay, self._running, losses
        )
        self._state.iteration += done
        return done

    def measure(self, inputs: Mapping[str, Array], targets: Array) -> dict[str, float] | None:
        """The loss, and for a classifier the accuracy, over all rows.

        None when the loss is not finite, or the data are of another kind than those of the training, for which
        the machine code was made.
        """
        from numba import typeof

        try:
            arrays, taken = self._readable(inputs, targets)
        except CannotCompile:
            return None
        kind, own = ([typeof(array) for array in (*data, t)] for data, t in ((arrays, taken), self._data))  # type: ignore[no-untyped-call]
        if kind != own:
            return None
        loss, right, numbers = 0.0, 0, np.arange(len(targets))
        whole = len(targets) // ROWS_MEASURED * ROWS_MEASURED
        for rows in (numbers[:whole].reshape(-1, ROWS_MEASURED), numbers[None, whole:]):
            losses, counts = np.zeros(len(rows)), np.zeros((len(rows), 2), np.int64)
            if not rows.size:
                continue
            done = self._run(arrays, taken, rows, np.zeros(0), 0, self._decay, self._running, losses, counts)
            if done < len(rows):
                return None
            loss += float(losses.sum()) * rows.shape[1] / len(targets)
            right += int(counts.sum())
        return {"loss": loss, **({"accuracy": right / targets.size} if self._counts else {})}


def update_of(optimizer: Optimizer) -> Update | None:
    """The optimizer as a kernel does it; None when it clips, or is a class of its own."""
    native = vars(type(optimizer)).get("native")
    if not native or optimizer.clip_norm is not None or optimizer.clip_value is not None:
        return None
    decay = ""
    if optimizer.weight_decay:
        decay = "shrink" if optimizer.decoupled else "add_decay"
    numbers = tuple(float(getattr(optimizer, name)) for name in native[1:])
    return Update(native[0], len(optimizer.running), numbers, decay)


def flat_rows(array: Array) -> Array:
    """The data as rows of numbers that compiled code reads, not copied and read-only; else CannotCompile."""
    readable = array.dtype.kind in "iuf" and array.dtype.isnative and array.dtype != np.float16
    if not readable or array.ndim < 2 or (array.ndim > 2 and not array.flags.c_contiguous):
        raise CannotCompile(f"compiled code does not read data of {array.dtype} and shape {array.shape}")
    rows = array.view(np.ndarray).reshape(len(array), -1) if array.ndim > 2 else array.view(np.ndarray)
    rows.flags.writeable = False  # one type of array for all data, and nothing can write to it
    return rows
