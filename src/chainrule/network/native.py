"""Training in native code: when it pays, and how the optimizer and the data are handed to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import numpy as np

from chainrule.arrays import Array
from chainrule.network.threads import step_threads
from chainrule.optimizers import Optimizer, OptimizerState
from chainrule.program import CannotCompile, Program, Update
from chainrule.training import is_watched

NativeRun = Callable[[Array, Array, Array], int]

WORTH_COMPILING = 2.0  # seconds of training: as long as loading or making the machine code takes


def worth_compiling(program: Program, iterations: int) -> bool:
    """Whether so long a training is faster compiled, by an estimate that is the same on every run."""
    parameters = program.params.flat.size
    step = 6 * parameters * program.batch_size / 6e10 + 8e-6 * len(program.listing.operations)
    return iterations * step > WORTH_COMPILING


def native_run(
    program: Program,
    data: Mapping[str, Array],
    targets: Array,
    optimizer: Optimizer,
    state: OptimizerState,
    threads: int | None = None,
) -> NativeRun | None:
    """The compiled form of a training, `run(batches, rates, losses) -> steps done`; None where there is none."""
    update = update_of(optimizer)
    inputs = [flat_rows(data[name]) for name in program.input_names]
    labels = targets.astype(np.int64) if targets.ndim == 1 else flat_rows(targets)
    if update is None or labels is None or any(array is None for array in inputs):
        return None
    try:
        if is_watched() and not program.is_compiled(update):
            print("compiling this training, once; it takes some seconds", file=sys.stderr)
        native = program.compile(update, step_threads(threads, program))
    except CannotCompile:
        return None
    decay = np.broadcast_to(np.asarray(state.decay, program.params.flat.dtype), program.params.flat.shape)
    decays = np.ascontiguousarray(decay) if update.decay else np.zeros(0, program.params.flat.dtype)
    running = [state.arrays[name] for name in optimizer.running]
    taken = [array for array in inputs if array is not None]

    def run(batches: Array, rates: Array, losses: Array) -> int:
        rows = np.ascontiguousarray(batches)
        done = native(taken, labels, rows, rates, state.iteration, decays, running, losses)
        state.iteration += done
        return done

    return run


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


def flat_rows(array: Array) -> Array | None:
    """The data as rows of numbers that compiled code reads, not copied and read-only; None if it cannot."""
    if array.dtype.kind not in "iuf" or not array.dtype.isnative or array.dtype == np.float16:
        return None
    if array.ndim < 2 or (array.ndim > 2 and not array.flags.c_contiguous):
        return None
    rows = array.view(np.ndarray).reshape(len(array), -1) if array.ndim > 2 else array.view(np.ndarray)
    rows.flags.writeable = False  # one type of array for all data, and nothing can write to it
    return rows
