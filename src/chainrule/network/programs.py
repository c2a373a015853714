"""The programs of a network: made when they are first needed, and kept by what they are for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.graph import Graph, Node
from chainrule.locks import renew_after_fork
from chainrule.optimizers import Optimizer, OptimizerState
from chainrule.parameters import Parameters

if (
    TYPE_CHECKING
):  # programs, and BLAS, are imported when they are first needed: `import chainrule` stays quick
    from chainrule.program import OneRow, Program, Trainer

KEPT = 8  # those used last


class Programs:
    """Makes and keeps the programs of one network. Several threads may ask at the same time."""

    def __init__(self, graph: Graph, output: Node, inputs: dict[str, Shape], params: Parameters) -> None:
        self._network = graph, output, params
        self._inputs = inputs
        self._shapes: dict[int, Shape] | None = None
        self._made: dict[tuple[Any, ...], Program] = {}
        renew_after_fork(self, Programs._renew)
        #: What predicts single rows quickly, once one was predicted.
        self.of_one_row: OneRow | None = None
        #: What did the last steps, for the next training with the same program and optimizer's state.
        self.trainer: Trainer | None = None

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def training(
        self, batch_size: int, example: Array, weighted: bool, sparse: frozenset[str] = frozenset()
    ) -> Program:
        """For batches of this size, and targets such as the example; of the inputs `sparse`, data are sparse."""
        key = (batch_size, example.ndim, example.dtype, weighted, sparse)
        return self._kept(key, batch_size, example[:1], weighted, sparse)

    def evaluating(self, targets: Array, sparse: frozenset[str] = frozenset()) -> Program:
        """To find the loss of predictions, for targets such as these."""
        return self._kept(("evaluate", targets.ndim, targets.dtype, sparse), 1, targets[:1], False, sparse)

    def training_with(self, program: Program, optimizer: Optimizer, state: OptimizerState) -> Trainer:
        """What does steps of the program with an optimizer: the one that is kept, where it is of the same."""
        kept, self.trainer = self.trainer, None
        same = kept is not None and kept.program is program and kept.update.state is state
        return kept if kept is not None and same else program.trainer(optimizer, state)

    def predicting(self, sparse: frozenset[str] = frozenset(), rows: int = 1) -> Program:
        """To predict: the newest that is there. From a single row on, there is what predicts such rows quickly."""
        with self._lock:
            made = [program for key, program in self._made.items() if key[-1] == sparse]
        program = made[-1] if made else self._kept(("predict", sparse), 1, None, False, sparse)
        if rows == 1 and self.of_one_row is None:
            self.of_one_row = program.of_one_row()
        return program

    @property
    def shapes(self) -> dict[int, Shape]:
        """The shape of one row of every node that has a row of floats for each sample, by position."""
        from chainrule.native.blas import one_thread
        from chainrule.program import row_shapes

        graph, output, _ = self._network
        if self._shapes is None:
            with one_thread():  # it tries the layers on two and three rows
                self._shapes = row_shapes(graph, output, self._inputs)
        return self._shapes

    def _kept(self, key: tuple[Any, ...], *arguments: Any) -> Program:
        with self._lock:
            program = self._made.pop(key, None) or self._new(*arguments)
            self._made[key] = program
            while len(self._made) > KEPT:
                self._made.pop(next(iter(self._made)))
            return program

    def _new(self, *arguments: Any) -> Program:
        from chainrule.native.blas import one_thread
        from chainrule.program import Program

        graph, output, params = self._network
        with one_thread():  # it tries layers in Python on a few rows
            return Program(graph, output, self.shapes, params, *arguments)

    def __len__(self) -> int:
        return len(self._made)


def measured(
    program: Program, data: Mapping[str, Array], threads: int | None = None
) -> dict[str, float] | None:
    """The loss over all rows of data and targets by the program, and for a classifier the accuracy.

    None where it cannot tell: the loss has no kernel, or something is not finite, which is then looked for.
    """
    found = program.measure(data, threads)
    if found is None or found[2] or not np.isfinite(found[0]):
        return None
    loss, accuracy, _ = found
    return {"loss": loss, **({} if accuracy is None else {"accuracy": accuracy})}
