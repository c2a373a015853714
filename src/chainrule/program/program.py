"""Program: a graph lowered, for one size of batch, to tables of instructions."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.errors import ArgumentError, DataError, LayerError
from chainrule.graph import Graph, Node
from chainrule.optimizers import Optimizer, OptimizerState
from chainrule.parameters import Parameters
from chainrule.program.building import predicting_table, training_table, with_update
from chainrule.program.calls import Call, Update
from chainrule.program.layout import machine
from chainrule.program.listing import listed_arrays, listed_instructions
from chainrule.program.machine import Machine
from chainrule.program.memory import Memory
from chainrule.program.numpy_executor import NumpyExecutor
from chainrule.program.one_row import OneRow
from chainrule.program.operations.losses import COUNTS, answers_of
from chainrule.program.operations.python import LAYER_BACKWARD
from chainrule.program.operations.updates import update_of
from chainrule.program.python_turns import PythonTurns
from chainrule.program.table import Table, places_of
from chainrule.program.verify import verify
from chainrule.sparse import with_sparse_rows

Executor = Machine | NumpyExecutor


class Program:
    """The fast form of a graph. It must agree with the graph, which is the definition.

    It holds two tables of instructions: `training`, for batches of up to `batch_size` rows, and `predicting`. They
    are run by the machine, or by NumPy where there is none. A layer without a kernel runs its own forward and
    backward in Python, at its place between the instructions. The inputs named in `sparse` take sparse matrices.
    Several threads may call at the same time: each call has an arena of its own.

    `print(program)` shows the instructions, one for one, the arrays, and what was left out and why.
    """

    def __init__(
        self,
        graph: Graph,
        output: Node,
        shapes: dict[int, Shape],
        params: Parameters,
        batch_size: int,
        target: Array | None = None,
        weighted: bool = False,
        sparse: Collection[str] = (),
    ) -> None:
        self.graph, self.params, self.batch_size = graph, params, batch_size
        self._sparse = frozenset(sparse)
        self.training: Table | None = None
        if target is not None:
            self.training = training_table(graph, output, shapes, target, weighted, batch_size, sparse)
            if any(each.operation is LAYER_BACKWARD for each in self.training.instructions):
                self._try_layers(target[np.zeros(2, dtype=int)])
        self.predicting = predicting_table(graph, output, shapes, target, sparse)
        counting = [each for each in self.predicting.instructions if each.operation in COUNTS]
        #: Of a sample, that can be right; 0 in a regression.
        self._answers = answers_of(counting[0]) if counting else 0
        #: The inputs that the machine reads in a prediction, and to where they are gathered.
        self._inputs = {
            place.name: place.space
            for place in places_of(self.predicting.turns_of(False))
            if place.is_input and place.space in ("arena", "labels")
        }
        #: Inputs that only Python's layers read, in which a prediction does not look for NaN by itself.
        self.unwatched = [
            name
            for name, node in graph.inputs.items()
            if node.shape is not None and name not in self._inputs and name not in sparse
        ]
        tables = (self.predicting, self.training or self.predicting)
        self._kept = {p.name for table in tables for p in table.places if p.space == "statistics"}
        #: Those that no call is using, by table: each call has one, with its arena, to itself.
        self._free: dict[int, list[Executor]] = {}

    @property
    def trains_in_python(self) -> bool:
        """Whether a part of a training step is done by Python."""
        return self.training is not None and self.training.in_python

    def _try_layers(self, targets: Array) -> None:
        """Run the graph once on two rows, so that a layer that breaks the contract is named here and now."""
        inputs = {name: node.shape for name, node in self.graph.inputs.items() if node.shape is not None}
        feeds: dict[str, Any] = {name: np.zeros((2, *shape), dtype=int) for name, shape in inputs.items()}
        with np.errstate(all="ignore"):
            try:
                pass_ = self.graph.run({**feeds, "t": targets}, len(self.graph) - 1, training=False, step=0)
            except DataError:  # there is nothing to average where the class of the first row has weight 0
                return
            loss = pass_.values[-1]
            assert loss is not None
            if loss.ndim:
                raise LayerError(
                    f"{self.graph.nodes[-1].layer!r}: a loss is one number, the mean over the batch; its "
                    f"forward returned an array of shape {np.shape(loss)}"
                )
            gradients = self.graph.run_backward(pass_, np.ones_like(loss), self.params)
        for name in self.params:
            if gradients[self.graph.position(name)] is None:
                raise LayerError(
                    f"no gradient reaches the parameter {name!r}: a backward on its path returned None"
                )

    # Running -------------------------------------------------------------------------------------------

    @property
    def executor(self) -> str:
        """What runs it: "machine" or "NumPy"."""
        return Machine.name if machine() is not None else NumpyExecutor.name

    @contextlib.contextmanager
    def _executor(self, table: Table) -> Iterator[Executor]:
        """What runs a table, verified, for one call alone: several threads may call at the same time."""
        free = self._free.setdefault(id(table), [])
        try:
            executor = free.pop()
        except IndexError:
            executor = self.make_executor(table)
        try:
            yield executor
        except Exception:
            free.append(executor)
            raise
        free.append(executor)  # but not after Ctrl-C, of which nobody knows what it left undone

    def make_executor(self, table: Table, kind: str = "", variant: int | None = None) -> Executor:
        """A new executor of a table of this program: "machine" or "NumPy"; by default as `executor`."""
        verify(table, self.params.flat.size)
        memory = Memory(table, self.params)
        python = PythonTurns(self.graph, memory)
        if (kind or self.executor) == Machine.name:
            return Machine(table, memory, python, variant)
        return NumpyExecutor(table, memory, python)

    def loss_and_gradient(
        self,
        data: Mapping[str, Array],
        *,
        training: bool = False,
        step: int = 0,
        threads: int | None = None,
    ) -> tuple[float, Array]:
        """The loss of a batch, forward and backward, and a copy of its flat gradient."""
        data = with_sparse_rows(data)
        numbers = np.arange(len(next(iter(data.values())))).reshape(1, -1)
        call = self.call_of(data, numbers, training=training, iteration=step, threads=threads)
        return self.loss_and_gradient_of(call)

    def loss_and_gradient_of(self, call: Call) -> tuple[float, Array]:
        """The same of a call of one step, which may be run again and again."""
        call.held.clear()
        with self._executor(self._trainable()) as executor:
            executor.run(call)
            return float(call.losses[0]), executor.memory.gradient.copy()

    def statistics(self) -> Mapping[str, Array]:
        """What layers keep from step to step. What was put in by hand, and the machine could not use, is copied."""
        state, dtype = self.graph.state, self.params.flat.dtype
        for name in self._kept:
            held = state[name]
            if held.dtype != dtype or not held.flags.carray:
                dict.__setitem__(state, name, np.array(held, dtype, order="C"))
        return state

    def trainer(self, optimizer: Optimizer, state: OptimizerState) -> Trainer:
        """What does steps of training with an optimizer."""
        instruction, update = update_of(optimizer, state, self.params.flat.dtype)
        table = with_update(self._trainable(), instruction)
        return Trainer(self, self.make_executor(table), update)

    def predict(self, data: Mapping[str, Array], result: Array, threads: int | None = None) -> bool:
        """Write the output for all rows into `result`. Returns whether a watched array was not finite."""
        call = self._prediction(data, len(result), threads)
        call.result, call.measured = result, False
        with self._executor(self.predicting) as executor:
            executor.run(call)
        return call.is_doubtful

    def prepare_to_predict(self) -> None:
        """Make now what the first prediction would make."""
        with self._executor(self.predicting):
            pass

    def call_of(
        self, data: Mapping[str, Array], rows: Array, starts: Array | None = None, **more: Any
    ) -> Call:
        """Training steps, one on each row of `rows`, which are row numbers, or on the parts that `starts` cut."""
        steps, batch = (
            rows.shape if starts is None else (len(starts) - 1, int(np.diff(starts).max(initial=0)))
        )
        data, statistics = with_sparse_rows(data), self.statistics()
        return Call(data, batch, steps, rows, starts=starts, statistics=statistics, **more)

    def _trainable(self) -> Table:
        if self.training is None:
            raise ArgumentError("this program only predicts: make one with targets, net.program(batch_size)")
        return self.training

    def of_one_row(self) -> OneRow | None:
        """What predicts single rows quickly; None where it cannot."""
        if (
            list(self._inputs.values()) != ["arena"]
            or self._sparse
            or self.unwatched
            or self.predicting.in_python
        ):
            return None
        table = replace(self.predicting, turns=self.predicting.turns_of(False), measured=0, capacity=1)

        def make() -> Machine:
            executor = self.make_executor(table)
            assert isinstance(executor, Machine)
            return executor

        return OneRow(make, self.statistics) if self.executor == Machine.name else None

    def measure(
        self, data: Mapping[str, Array], threads: int | None = None
    ) -> tuple[float, float | None, bool] | None:
        """The mean loss over all rows, the accuracy, and whether a watched array was not finite.

        None where the loss has no kernel, or means of weighted rows; no accuracy of a regression.
        """
        if not self.predicting.measured:
            return None
        rows = len(data["t"])
        call = self._prediction(data, rows, threads)
        call.losses, call.right = np.zeros(call.steps), np.zeros(call.steps, np.int64)
        with self._executor(self.predicting) as executor, np.errstate(all="ignore"):
            executor.run(call)
        lengths = [call.length_of(number) for number in range(call.steps)]
        loss = float(np.dot(call.losses, lengths)) / rows
        accuracy = int(call.right.sum()) / (rows * self._answers) if self._answers else None
        return loss, accuracy, call.is_doubtful

    def _prediction(self, data: Mapping[str, Array], rows: int, threads: int | None) -> Call:
        batch, statistics = self.predicting.capacity, self.statistics()
        return Call(data, batch, -(-rows // batch), None, rows, threads=threads, statistics=statistics)

    # To look at ----------------------------------------------------------------------------------------

    @property
    def memory(self) -> int:
        """How many bytes the arrays of a training step take: values, their gradients, the parameters' gradient."""
        table = self.training or self.predicting
        numbers = table.arena_width * table.capacity + table.spares_size + self.params.flat.size
        return int(numbers) * self.params.flat.itemsize

    def __str__(self) -> str:
        layers = {i: node.layer for i, node in enumerate(self.graph) if node.layer is not None}
        lines = [f"Program for batches of {self.batch_size}, {self.params.flat.dtype}"]
        if self.training is not None:
            lines += ["", "training", *listed_instructions(self.training, layers)]
            lines.append("    update(parameters, gradient)  # by the optimizer that fit is given")
            lines += ["", *listed_arrays(self.training)]
        lines += ["", f"predicting, {self.predicting.capacity} rows at a time"]
        return "\n".join([*lines, *listed_instructions(self.predicting, layers)])


class Trainer:
    """Does steps of training: gather, forward, backward and update, many in one call."""

    def __init__(self, program: Program, executor: Executor, update: Update) -> None:
        self.program, self.executor, self.update = program, executor, update

    def steps(
        self,
        data: Mapping[str, Array],
        rows: Array,
        rates: Array,
        *,
        iteration: int,
        starts: Array | None = None,
        threads: int | None = None,
        weights: Array | None = None,
    ) -> Array:
        """One step on each row of `rows`, which are row numbers of the data. Returns the losses.

        With `starts`, which end with the length of rows, these have one dimension and batch k is
        rows[starts[k] : starts[k + 1]].
        `weights` are the sums of each step's sample weights, for an optimizer that is `penalized`.

        There are fewer than rows when a loss or gradient is not finite: nothing was changed in that step.
        """
        call = self.program.call_of(
            data,
            np.ascontiguousarray(rows, np.int64),
            None if starts is None else np.ascontiguousarray(starts, np.int64),
            rates=np.ascontiguousarray(rates, np.float64),
            weights=None if weights is None else np.ascontiguousarray(weights, np.float64),
            losses=np.empty(len(rates)),
            training=True,
            iteration=iteration,
            update=self.update,
            threads=threads,
        )
        return call.losses[: self.executor.run(call)]
