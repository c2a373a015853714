"""Program: a graph lowered, for one size of batch, to a straight line of calls on arrays allocated once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Any

import numpy as np

from chainrule.arrays import Array, Shape, surely_finite
from chainrule.errors import LayerError
from chainrule.graph import Constant, Graph, Input, Node, Parameter
from chainrule.graph.values import Run
from chainrule.parameters import Parameters
from chainrule.program import compiled_form
from chainrule.program.cache import compiled, import_numba, is_compiled, not_collecting
from chainrule.program.compiled_form import ROWS_MEASURED, CannotCompile, Source, Update
from chainrule.program.lowering import Lowering, row_shapes
from chainrule.program.numpy_form import Scratch, lines_of, put, put_more, total
from chainrule.program.operations import places_apart, plan_memory


class Program:
    """The fast form of a graph. It must agree with the graph, which is the definition.

    It has two forms of one listing. The step-by-step form calls NumPy on arrays allocated once. The compiled
    form is `source`: a run of many steps (gather, forward, backward, update) as one native call. A layer
    without a kernel runs its own forward and backward in the step-by-step form; then there is no compiled one.

    `print(program)` shows the calls in order, the arrays, what was fused, and what was left out and why.
    """

    def __init__(
        self,
        graph: Graph,
        output: Node,
        inputs: Mapping[str, Shape],
        params: Parameters,
        batch_size: int,
        target: Array | None = None,
        weighted: bool = False,
    ) -> None:
        self.graph, self.params, self.batch_size = graph, params, batch_size
        self.input_names = list(inputs)
        self.gradient = np.zeros_like(params.flat)
        self.target = target
        shapes = row_shapes(graph, output, dict(inputs))
        lowering = Lowering(graph, output, shapes, target, weighted)
        self.listing = lowering.lower()
        self._names, self._gradient_names = lowering.names, lowering.gradient_names
        #: What each input of the graph is called here.
        self._fed = {name: self._names[graph.position(name)] for name in graph.inputs}
        fed = {self._fed[name] for name in inputs}
        results = {self.listing.output} if target is None else set()
        self._places, self._width = plan_memory(self.listing, fed, results)
        self.arena = np.zeros(self._width * batch_size, params.flat.dtype)
        self._layers = {i: node.layer for i, node in enumerate(graph) if node.layer is not None}
        self._spares = {
            spare: np.empty_like(params[graph.name_of(self._names.index(owner))])
            for spare, owner in self.listing.spares.items()
        }
        self._scaling = self._scaling_rows()
        self._watched = {} if target is not None else self._products_to_watch(lowering)
        #: Inputs of which `predict` finds out by itself that they may hold NaN or infinity; see `is_doubtful`.
        self.watched = frozenset(self._watched.values())
        #: Whether the last `predict` met what is not finite: in the inputs it watches, or by an overflow.
        self.is_doubtful = False
        self._code = {phase: self._compile_lines(phase) for phase in ("forward", "backward")}
        self._bound: dict[int, dict[str, Any]] = {}
        self._try_layers(inputs)

    def _try_layers(self, inputs: Mapping[str, Shape]) -> None:
        """Run the graph once on two rows, so that a layer that breaks the contract is named here and now."""
        if self.target is None or not any(
            each.kernel == "layer_backward" for each in self.listing.operations
        ):
            return
        rows = self.target[np.zeros(2, dtype=int)]
        feeds: dict[str, Any] = {name: np.zeros((2, *shape), dtype=int) for name, shape in inputs.items()}
        with np.errstate(all="ignore"):
            run = self.graph.run({**feeds, "t": rows}, len(self.graph) - 1, training=False, step=0)
            loss = run.values[-1]
            assert loss is not None
            if loss.ndim:
                raise LayerError(
                    f"{self._layers[len(self.graph) - 1]!r}: a loss is one number, the mean over the batch; its "
                    f"forward returned an array of shape {np.shape(loss)}"
                )
            gradients = self.graph.run_backward(run, np.ones_like(loss), self.params)
        for name in self.params:
            if gradients[self.graph.position(name)] is None:
                raise LayerError(
                    f"no gradient reaches the parameter {name!r}: a backward on its path returned None"
                )

    # The step-by-step form -----------------------------------------------------------------------------

    def _compile_lines(self, phase: str) -> Any:
        operations = self.listing.forward() if phase == "forward" else self.listing.backward()
        arrays = {*self._places, *self._gradients_of_parameters(), *self.listing.spares}
        lines = []
        for each in operations:
            lines += lines_of(each, self._layers, arrays)
            if each.kernel == "matmul" and each.writes[0] in self._watched:
                lines.append(f"watch({each.writes[0]})")
        return compile("\n".join(lines) or "pass", f"<program, {phase}>", "exec")

    def _products_to_watch(self, lowering: Lowering) -> dict[str, str]:
        """The products of inputs that go nowhere else, by name, each with its input.

        NaN or infinity in a row of x makes all of that row of x W not finite. So it is enough to look at the
        product, which is smaller.
        """
        alone = {
            self._fed[name]: name
            for name in self.input_names
            if len(lowering.users.get(self.graph.position(name), ())) == 1
        }
        return {
            each.writes[0]: alone[each.reads[0]]
            for each in self.listing.forward()
            if each.kernel == "matmul"
            and each.reads[0] in alone
            and self.listing.buffers[each.writes[0]].width < self.listing.buffers[each.reads[0]].width
        }

    def _watch(self, product: Array) -> None:
        self.is_doubtful = self.is_doubtful or not surely_finite(product)

    def _gradients_of_parameters(self) -> dict[str, Array]:
        views = self.params.like(self.gradient)
        return {self._gradient_names[self.graph.position(name)]: view for name, view in views.items()}

    def _scaling_rows(self) -> Array:
        """The factors and shifts of constant scales, a row each, as wide as the widest."""
        scales = [each for each in self.listing.operations if each.kernel == "scale_columns"]
        widest = max((len(each.details["factor"]) for each in scales), default=0)
        rows = np.zeros((2 * len(scales), widest), self.params.flat.dtype)
        for k, each in enumerate(scales):
            row = 2 * k
            width = len(each.details["factor"])
            rows[row, :width], rows[row + 1, :width] = each.details["factor"], each.details["shift"]
            each.details.update(
                row=row, factor_name=f"scaling[{row}, :{width}]", shift_name=f"scaling[{row + 1}, :{width}]"
            )
        return rows

    def arrays(self, rows: int) -> dict[str, Any]:
        """The names that the step-by-step form computes with, for a batch of so many rows."""
        if rows in self._bound:
            return self._bound[rows]
        if len(self._bound) >= 8:
            self._bound.pop(next(iter(self._bound)))
        run = Run(self.params.flat.dtype, False, 0, [None] * len(self.graph), [None] * len(self.graph))
        widest = max((self.listing.buffers[name].width for name in self._places), default=1)
        classes = (
            self.listing.buffers[self.listing.output].width if self.listing.output in self._places else 1
        )
        scratch = Scratch(rows, widest, classes, self.params.flat.dtype)
        space: dict[str, Any] = {
            "np": np,
            "forward": self._forward_of(run),
            "backward": lambda i, dy, saved: self._layers[i].backward(dy, saved),
            "backward_of_node": self._backward_of(run),
            "block": scratch.block,
            "watch": self._watch,
            "put": put,
            "put_more": put_more,
            "total": total,
            "softmax_cross_entropy": scratch.softmax_cross_entropy,
            "scaling": self._scaling,
            "run": run,
            "gathered": {},
        }
        for name, place in self._places.items():
            buffer = self.listing.buffers[name]
            start = place * rows
            space[name] = self.arena[start : start + buffer.width * rows].reshape(rows, *buffer.row)
        for i, node in enumerate(self.graph):
            if isinstance(node, Parameter):
                space[self._names[i]] = self.params[self.graph.name_of(i)]
            elif isinstance(node, Constant):
                space[self._names[i]] = self.graph.constant_value(i, self.params.flat.dtype)
            elif isinstance(node, Input):
                space.setdefault(self._names[i], None)
        space |= self._gradients_of_parameters() | self._spares
        self._bound[rows] = space
        return space

    def _forward_of(self, run: Run) -> Callable[..., Any]:
        def forward(i: int, *inputs: Any) -> tuple[Any, Any]:
            sources = self.graph.source_positions(i)
            for source, value in zip_longest(sources, inputs):  # an optional input that is left out is None
                run.values[source] = value
            saved = self.graph.compute(i, run)
            return run.values[i], saved

        return forward

    def _backward_of(self, run: Run) -> Callable[..., Any]:
        wanted = self.graph.leading_to({self.graph.position(name) for name in self.graph.parameters})

        def backward(i: int, dy: Any, saved: Any, inputs: tuple[Any, ...]) -> list[Any]:
            for source, value in zip(self.graph.source_positions(i), inputs, strict=True):
                run.values[source] = value
            if dy is None:  # no gradient flows into the node, nor through it
                return [None] * len(inputs)
            run.saved[i] = saved
            return self.graph.local_gradients(i, dy, run, wanted)

        return backward

    def forward(self, feeds: Mapping[str, Array], *, training: bool = False, step: int = 0) -> dict[str, Any]:
        """Compute every value from the inputs. Returns the arrays by name; they are overwritten by the next run."""
        space = self.arrays(len(feeds[self.input_names[0]]))
        run: Run = space["run"]
        run.training, run.step, run.state = training, step, {}
        for name, own in self._fed.items():
            value = feeds.get(name)  # None for an optional input that is left out
            if own not in self._places:
                space[own] = value
            elif value is not space[own]:  # a batch may have been gathered into it already
                assert value is not None
                np.copyto(space[own], value)
        exec(self._code["forward"], space)
        if run.state and training:
            self.graph.state |= run.state
        return space

    def gather(self, data: Mapping[str, Array], rows: Array) -> dict[str, Array]:
        """The rows of a batch, in the program's own arrays where they fit: feeds for `forward`."""
        space = self.arrays(len(rows))
        feeds = {}
        for name, array in data.items():
            own = self._fed[name]
            into = space[own] if own in self._places else space["gathered"].get(name)
            if into is None or into.dtype != array.dtype:
                feeds[name] = array[rows]
                if own not in self._places:
                    space["gathered"][name] = feeds[name]
            else:
                feeds[name] = np.take(array, rows, axis=0, out=into, mode="clip")
        return feeds

    def predict(self, feeds: Mapping[str, Array]) -> Array:
        """The value of the network's output; it is overwritten by the next run. Data of its dtype is not copied.

        Afterwards `is_doubtful` says whether the inputs that are `watched` may hold what is not finite.
        """
        self.is_doubtful = False
        space, own_arrays = self.arrays(len(feeds[self.input_names[0]])), {}
        for name, value in feeds.items():
            own = self._fed[name]
            if own in self._places and value.dtype == space[own].dtype:
                own_arrays[own], space[own] = space[own], value
        try:
            output: Array = self.forward(feeds)[self.listing.output]
        finally:
            space.update(own_arrays)
        return output

    def step(self, feeds: Mapping[str, Array], *, training: bool = False, step: int = 0) -> float:
        """Forward and backward: returns the loss, and leaves the gradient in `gradient`."""
        space = self.forward(feeds, training=training, step=step)
        space[self._gradient_names[-1]] = np.ones_like(space["loss"])
        exec(self._code["backward"], space)
        return float(space["loss"])

    # The compiled form ---------------------------------------------------------------------------------

    def source_for(self, update: Update | None) -> str:
        """The source of the compiled form, with the optimizer's update in it. Raises CannotCompile."""
        if self.target is None:
            raise CannotCompile("a program without a loss is run step by step")
        labels = self.target.ndim == 1
        writer = Source(
            self.graph, self.listing, self._names, self._gradient_names,
            places_apart(self.listing, self._places)[0],
            self.params.flat.dtype, update, [self._names[self.graph.position(n)] for n in self.input_names], labels,
            self.parts, self.batch_size,
        )  # fmt: skip
        return writer.text()

    @property
    def parts(self) -> int:
        """Into how many parts the compiled form cuts its turns: so many threads can share a step."""
        return 2 if self.params.flat.size * self.batch_size >= compiled_form.WORTH_SHARING else 1

    @property
    def source(self) -> str:
        """The text that is compiled, for plain gradient descent."""
        return self.source_for(Update("SGD", 0, ()))

    def is_compiled(self, update: Update | None) -> bool:
        """Whether the machine code is on disk already."""
        return is_compiled(self.source_for(update))

    def compile(self, update: Update | None, threads: int = 1) -> Callable[..., int]:
        """The compiled form: `run(inputs, targets, rows, rates, done, decay, running, losses) -> steps done`.

        With an array `right` (steps, 2), it measures: the losses of batches of at most ROWS_MEASURED, and in
        either part of each how many answers are right. Nothing is updated.

        Its results do not depend on the number of threads, of which it uses one or two. BLAS must use one.
        """
        with not_collecting():
            import_numba()
            source = self.source_for(update)
            native = compiled(source)
            from chainrule.kernels.parallel import run_helped
        loads = is_compiled(source)  # the first call loads machine code, and does not make it
        most = max(self.batch_size, ROWS_MEASURED)
        arena = np.zeros(places_apart(self.listing, self._places)[1] * most, self.arena.dtype)
        nothing = np.zeros((0, 2), np.int64)

        def run(
            inputs: list[Array], targets: Array, rows: Array, rates: Array, done: int,
            decay: Array, running: list[Array], losses: Array, right: Array | None = None,
        ) -> int:  # fmt: skip
            arguments = (
                *inputs, targets, rows, rates, done, self.params.flat, self.gradient, decay, *running,
                self._scaling, arena, losses, nothing if right is None else right, right is not None,
            )  # fmt: skip
            nonlocal loads
            with not_collecting(loads):
                loads = False
                return run_helped(native, arguments, len(rows), min(threads, self.parts))

        return run

    # To look at ----------------------------------------------------------------------------------------

    @property
    def memory(self) -> int:
        """How many bytes the arrays of the program take: values, their gradients, the parameters' gradient."""
        return self.arena.nbytes + self.gradient.nbytes + sum(each.nbytes for each in self._spares.values())

    def __str__(self) -> str:
        lines = [f"Program for batches of {self.batch_size}, {self.params.flat.dtype}"]
        for phase, operations in (("forward", self.listing.forward()), ("backward", self.listing.backward())):
            if not operations:
                continue
            lines += ["", phase]
            for each in operations:
                layer = self._layers.get(each.details.get("layer", -1))
                what = repr(layer) if layer is not None else ""
                note = ", ".join(part for part in (what, each.note) if part)
                lines.append(f"  {self._written(each):<58}{'  # ' + note if note else ''}".rstrip())
        lines += ["", "arrays, in one arena; those whose use does not overlap share their place"]
        for name, place in sorted(self._places.items(), key=lambda item: (item[1], item[0])):
            row = self.listing.buffers[name].row
            lines.append(f"  {name:<20} {(self.batch_size, *row)!s:<18} at {place * self.batch_size}")
        alone = sum(self.listing.buffers[name].width for name in self._places) * self.batch_size
        lines.append(f"  {self.arena.size:,} numbers; {alone:,} without sharing")
        if self.listing.skipped:
            lines += ["", "left out", *(f"  {each}" for each in self.listing.skipped)]
        return "\n".join(lines)

    def _written(self, operation: Any) -> str:
        reads = [
            f"{name}ᵀ" if operation.details.get("transposed") == k and operation.kernel == "matmul" else name
            for k, name in enumerate(operation.reads)
        ]
        return f"{', '.join(operation.writes)} = {operation.kernel}({', '.join(reads)})"
