"""Graph: runs its nodes forward and backward, and keeps every value and every gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, TypeAlias, cast

import numpy as np

from chainrule.arguments import checked_dtype, checked_seed
from chainrule.arrays import Array, ArrayLike, Shape, is_float
from chainrule.errors import (
    ChainruleError,
    GraphError,
    LayerError,
    NotComputedError,
    ShapeError,
    did_you_mean,
)
from chainrule.graph.checks import (
    checked_output,
    checked_state,
    how_to_feed,
    read_only,
    written_to,
)
from chainrule.graph.nodes import Constant, Input, LayerParameter, Node, Parameter
from chainrule.graph.structure import Structure
from chainrule.graph.values import NodeArrays, Pass, shown, unbroadcast
from chainrule.incoming import as_numbers
from chainrule.layers import Layer, ParameterSpec
from chainrule.parameters import Statistics
from chainrule.randomness import Purpose, fresh_seed, layer_key, layer_stream, stream
from chainrule.sparse import SparseRows, dense_only, is_sparse, numbers_in, sparse_rows

#: What is called before a layer computes: with the layer, and the shapes of all its inputs.
Before: TypeAlias = Callable[[Layer, list[Shape]], None]


class Graph(Structure):
    """A computational graph: the nodes that `output` needs, run forward and backward.

    `forward` computes and keeps `values`; `backward` multiplies each upstream gradient by the local gradient,
    adds up where paths meet, undoes broadcasting, and keeps `gradients`. Both are by name.

    Shapes: any.
    dtype: one for a whole pass: the one given, or that of the floats fed and the parameters (float64 when there
    are only whole numbers). Whole numbers stay whole only where a layer takes indices.
    Raises: GraphError for a cycle or two nodes of one name; ArgumentError for an unusable seed or dtype.
    """

    def __init__(self, output: Node, *, seed: int | None = None, dtype: Any = None) -> None:
        super().__init__(output)
        self.seed = fresh_seed() if seed is None else checked_seed(seed)
        self.dtype = None if dtype is None else checked_dtype(dtype, other_floats=True)
        self.state: dict[str, Array] = Statistics()
        self._bound: dict[int, Array] = {}
        self._checked: set[int] = set()
        self._keep_whole = self.index_leaves()
        self._last: Pass | None = None
        self._gradients: list[Array | None] | None = None

    # Parameters ----------------------------------------------------------------------------------------

    def parameter_value(self, name: str) -> Array:
        """The current value of a parameter in this graph, writable."""
        i = self.position(name)
        node = self.nodes[i]
        if not isinstance(node, Parameter):
            raise GraphError(f"{name!r} is not a parameter; {did_you_mean(name, self.parameters)}")
        value = self.value_of_parameter(i)
        if value is None:
            raise NotComputedError(
                f"{name!r} has no value yet: its shape follows from the first forward pass"
            )
        return value

    def bind(self, name: str, value: Array) -> None:
        """Let `value` itself, not a copy, be the parameter's value in this graph from now on."""
        if not isinstance(self[name], Parameter):
            raise GraphError(f"{name!r} is not a parameter; {did_you_mean(name, self.parameters)}")
        self._bound[self.position(name)] = value

    def begin_with(self, params: Mapping[str, Array], state: Mapping[str, Array]) -> None:
        """Let these be all parameters, not copied, and all running statistics: no initial values are made.

        Raises: GraphError unless there is one for each name. That their shapes are right is found by a pass.
        """
        layers = [node.layer for node in self.nodes if node.layer is not None]
        stated = {full for layer in layers for full in self.state_names(layer).values()}
        for what, needed, given in (("parameters", self.parameters, params), ("statistics", stated, state)):
            if odd := sorted(set(needed) ^ set(given)):
                raise GraphError(
                    f"the {what} of the graph and those that are given differ: {', '.join(odd[:5])}"
                )
        for name, value in params.items():
            self._bound[self.position(name)] = value
        for name, value in state.items():
            self.state[name] = value.copy()

    def value_of_parameter(self, i: int) -> Array | None:
        """The current value of the parameter at position `i`; None before a shape is known."""
        if i in self._bound:
            return self._bound[i]
        node = self.nodes[i]
        return node.value if isinstance(node, Parameter) and not isinstance(node, LayerParameter) else None

    # Forward -------------------------------------------------------------------------------------------

    def forward(
        self,
        feeds: Mapping[str, ArrayLike] | None = None,
        /,
        *,
        training: bool = False,
        step: int = 0,
        **named: ArrayLike,
    ) -> Any:
        """Compute every node and keep its value. Returns the value of the output.

        Inputs are fed by name, `graph.forward(x=2.0, w=3.0)`, or in a dict when a name is no Python word.
        Feeding a parameter replaces its value for this pass. `training` and `step` (which random numbers to
        draw) are handed to the layers that ask for them; running statistics are kept when training.

        Raises: GraphError for unknown, missing or computed names; ShapeError where a layer cannot compute.
        """
        self._last, self._gradients = None, None
        pass_ = self.run({**(feeds or {}), **named}, len(self.nodes) - 1, training, step)
        if training:
            self.keep_statistics(pass_.state)
        self._last = pass_
        return shown(self._computed(pass_, len(self.nodes) - 1))

    def keep_statistics(self, new: Mapping[str, Array]) -> None:
        """Write new running statistics into the arrays of `state`, where they fit, so that these stay the same."""
        for name, value in new.items():
            held = self.state.get(name)
            fits = held is not None and (held.shape, held.dtype) == (value.shape, value.dtype)
            if held is not None and fits and held.flags.writeable:
                held[...] = value
            else:
                dict.__setitem__(self.state, name, value)

    def evaluate(
        self,
        feeds: Mapping[str, ArrayLike],
        output: Node | None = None,
        *,
        training: bool = False,
        step: int = 0,
    ) -> Array:
        """The value of one node, with nothing kept. Only what that node needs is computed."""
        last = self.position(self.output if output is None else output)
        value = self._computed(self.run(feeds, last, training, step, keep_saved=False), last).view()
        value.flags.writeable = False  # it may be a view of what was fed, or of a parameter
        return value

    def run(
        self,
        feeds: Mapping[str, ArrayLike],
        last: int,
        training: bool,
        step: int,
        keep_saved: bool = True,
        before: Before | None = None,
    ) -> Pass:
        """One pass up to the node at `last`; `before` is called with each layer and the shapes of its inputs."""
        wanted = self.ancestors(last)
        fed = self._check_feeds(feeds, wanted)
        nothing: list[Any] = [None] * len(self.nodes)
        pass_ = Pass(self.dtype or self._dtype_of(fed), training, step, nothing.copy(), nothing)
        kept = self._bound.copy(), self._checked.copy(), self.state.copy()
        try:
            for i in wanted:
                if self.nodes[i].layer is None:
                    pass_.values[i] = self._leaf_value(i, fed, pass_.dtype)
                else:
                    saved = self.compute(i, pass_, before)
                    if keep_saved:
                        pass_.saved[i] = saved
        except BaseException:  # parameters made for a wrong shape must not outlive the pass that failed
            self._bound, self._checked, self.state = kept
            raise
        return pass_

    def _computed(self, pass_: Pass, i: int) -> Array:
        value = pass_.values[i]
        if value is None:
            raise NotComputedError(
                f"{self._names[i]!r} has no value: it is an optional input that was left out"
            )
        return value

    def compute(self, i: int, pass_: Pass, before: Before | None = None) -> Any:
        """Run one layer forward: keep its value in `pass_`, return what it saved."""
        layer = self._layer(i)
        if i not in self._checked:
            self._initialize(i, pass_)
        inputs = self._handed(i, pass_)
        if before is not None:
            before(layer, [() if value is None else value.shape for value in inputs])
        asks = layer.signature.forward_asks
        asked: dict[str, Any] = {}
        if "training" in asks:
            asked["training"] = pass_.training
        if "rng" in asks:
            asked["rng"] = layer_stream(layer_key(self.seed, i), pass_.step)
        names = self.state_names(layer) if "state" in asks else {}
        if "state" in asks:
            asked["state"] = {short: pass_.state.get(full, self.state[full]) for short, full in names.items()}
        try:
            result = layer.forward(*inputs, **asked)
        except ChainruleError as error:
            error.add_note(f"in the forward of the node {self._names[i]!r}")
            raise
        except (ValueError, IndexError, TypeError) as error:
            if (wrote := written_to(self._names[i], layer, "forward", error)) is not None:
                raise wrote from error
            shapes = ", ".join("none" if value is None else str(value.shape) for value in inputs)
            raise ShapeError(
                f"{self._names[i]}: {layer!r} cannot take inputs of shape {shapes}: {error}"
            ) from error
        value = checked_output(self._names[i], layer, result)
        if "state" in asks:
            new = checked_state(self._names[i], layer, result[2], names)
            pass_.state |= {full: np.asarray(new[short]) for short, full in names.items()}
        pass_.values[i] = value.astype(pass_.dtype, copy=False) if value.dtype.kind == "f" else value
        return result[1]

    def _handed(self, i: int, pass_: Pass) -> list[Array | None]:
        """The values of a layer's inputs, read-only; all are floats but its indices, None those left out."""
        layer, values = self._layer(i), []
        names = layer.signature.inputs
        for k, source in enumerate(self._sources[i]):
            value = pass_.values[source]
            if value is None:
                if k < layer.signature.required or k >= len(names):
                    raise GraphError(
                        f"the optional input {self._names[source]!r} was left out, but {self._names[i]!r} "
                        f"cannot do without: call {how_to_feed(self._names[source])}"
                    )
            elif value.dtype.kind != "f" and not (k < len(names) and names[k] in layer.index_inputs):
                value = value.astype(pass_.dtype)
            values.append(None if value is None else read_only(value))
        return values

    def _initialize(self, i: int, pass_: Pass) -> None:
        """Make the parameters and statistics that a layer declares, now that its input shapes are known."""
        layer = self._layer(i)
        declared = layer.parameters()
        data = [
            pass_.values[source]
            for name, source in zip_longest(layer.signature.inputs, self._sources[i])
            if source is not None and name not in declared
        ]
        shapes = [() if value is None else value.shape for value in data]
        for position in self._owned.get(id(layer), {}).values():
            parameter = self.nodes[position]
            assert isinstance(parameter, LayerParameter)
            shape = self._declared_shape(i, parameter.spec, shapes)
            if position not in self._bound:
                rng = stream(self.seed, Purpose.INITIALIZE, position)
                self._bound[position] = parameter.spec.initializer(shape, rng, pass_.dtype)
            value = self._bound[position]
            if value.shape != shape:
                raise ShapeError(
                    f"{self._names[i]}: {layer!r} has its parameter {self._names[position]!r} of shape "
                    f"{value.shape} from an earlier use, but inputs of shape {', '.join(map(str, shapes))} "
                    f"need {shape}; use a second layer object for the second shape"
                )
            if pass_.values[position] is None:
                pass_.values[position] = np.asarray(value, dtype=pass_.dtype)
        for short, full in self.state_names(layer).items():
            spec = layer.state()[short]
            shape = self._declared_shape(i, spec, shapes)
            if full not in self.state:
                rng = stream(self.seed, Purpose.INITIALIZE, i, 1)
                self.state[full] = spec.initializer(shape, rng, pass_.dtype)
            elif self.state[full].shape != shape:
                raise ShapeError(
                    f"{self._names[i]}: {layer!r} has its statistics {full!r} of shape {self.state[full].shape}, "
                    f"but inputs of shape {', '.join(map(str, shapes))} need {shape}"
                )
        self._checked.add(i)

    def _declared_shape(self, i: int, spec: ParameterSpec, shapes: list[Shape]) -> Shape:
        try:
            return spec.shape_for(*shapes)
        except (IndexError, TypeError, ValueError) as error:
            raise ShapeError(
                f"{self._names[i]}: {self.nodes[i].layer!r} cannot take inputs of shape "
                f"{', '.join(map(str, shapes))}: {error}"
            ) from error

    def _layer(self, i: int) -> Layer:
        layer = self.nodes[i].layer
        assert layer is not None
        return layer

    def _check_feeds(self, feeds: Mapping[str, ArrayLike], wanted: Sequence[int]) -> dict[int, Array]:
        fed: dict[int, Array] = {}
        for name, value in feeds.items():
            i = self.position(name)
            if not isinstance(self.nodes[i], (Input, Parameter)):
                takes = ", ".join([*self.inputs, *self.parameters]) or "nothing"
                why = "it is a constant" if self.nodes[i].layer is None else "the graph computes it"
                raise GraphError(f"{name!r} cannot be fed, {why}; the graph takes {takes}")
            if is_sparse(value) and isinstance(self.nodes[i], Input):
                if reader := self.readers_of_dense().get(name):
                    raise dense_only(name, reader)
                fed[i] = cast(Array, sparse_rows(value, repr(name)))
            else:
                fed[i] = as_numbers(value, repr(name))
        for i in wanted:
            node = self.nodes[i]
            if isinstance(node, Input) and i not in fed and not node.optional:
                raise GraphError(
                    f"the input {self._names[i]!r} has no value: call {how_to_feed(self._names[i])}"
                )
        return fed

    def _dtype_of(self, fed: dict[int, Array]) -> Any:
        floats = {array.dtype for array in fed.values() if is_float(array)}
        for i, node in enumerate(self.nodes):
            if isinstance(node, Parameter) and i not in fed:
                value = self.value_of_parameter(i)
                if value is not None:
                    floats.add(value.dtype)
        return np.result_type(*floats) if floats else np.dtype(np.float64)

    def constant_value(self, i: int, dtype: Any) -> Array | None:
        """The value of the constant at position `i`, in the dtype of a pass unless it is of indices."""
        return self._leaf_value(i, {}, dtype)

    def _leaf_value(self, i: int, fed: dict[int, Array], dtype: Any) -> Array | None:
        node = self.nodes[i]
        value: Array | None = None
        if i in fed:
            value = fed[i]
        elif isinstance(node, Parameter):
            value = self.value_of_parameter(i)
        elif isinstance(node, Constant):
            value = node.value
        if value is None or (i in self._keep_whole and not is_float(value)):
            return value
        return value.astype(dtype) if isinstance(value, SparseRows) else np.asarray(value, dtype=dtype)

    # Backward ------------------------------------------------------------------------------------------

    def backward(self, dy: ArrayLike | None = None, *, wrt: Iterable[str | Node] | None = None) -> NodeArrays:
        """Run the gradients back from the output, and keep them. Returns `gradients`.

        `dy` is the gradient of the final value with respect to the output, and has its shape; ones when the
        output is a scalar. With `wrt`, only what those nodes' gradients need is computed.

        Raises: NotComputedError before `forward`; ShapeError for a missing or ill-shaped `dy`; LayerError for
        a layer whose backward returns too few gradients or a wrong shape.
        """
        if self._last is None:
            raise NotComputedError("call forward() before backward(): the gradients depend on its values")
        self._gradients = None
        first = self._first_gradient(dy, self._computed(self._last, len(self.nodes) - 1))
        self._gradients = self.run_backward(self._last, first, wrt)
        return self.gradients

    def run_backward(
        self,
        pass_: Pass,
        dy: Array,
        wrt: Iterable[str | Node] | None = None,
        shares: dict[int, list[Array | None]] | None = None,
    ) -> list[Array | None]:
        """One pass backward over what `pass_` kept: the gradients, by position.

        Where `shares` is given, it is filled with the gradients that each node gave its inputs.
        """
        gradients: list[Array | None] = [None] * len(self.nodes)
        gradients[-1] = dy
        wanted = (
            [True] * len(self.nodes) if wrt is None else self.leading_to({self.position(key) for key in wrt})
        )
        for i in range(len(self.nodes) - 1, -1, -1):
            upstream, sources = gradients[i], self._sources[i]
            if upstream is None or not any(wanted[source] for source in sources):
                continue
            given = self.local_gradients(i, upstream, pass_, wanted)
            if shares is not None:
                shares[i] = [None if gradient is None else gradient.copy() for gradient in given]
            for source, gradient in zip(sources, given, strict=True):
                if gradient is not None and wanted[source]:
                    total = gradients[source]
                    gradients[source] = gradient if total is None else np.asarray(total + gradient)
        return gradients

    def _first_gradient(self, dy: ArrayLike | None, output: Array) -> Array:
        if dy is None:
            if output.ndim:
                raise ShapeError(
                    f"the output {self._names[-1]!r} has shape {output.shape}: backward needs dy, the gradient "
                    f"of the final value with respect to it, of the same shape"
                )
            return np.ones_like(output)
        gradient = as_numbers(dy, "dy").astype(output.dtype)
        if gradient.shape != output.shape:
            raise ShapeError(f"expected dy of the output's shape {output.shape}, got {gradient.shape}")
        return gradient

    def local_gradients(self, i: int, upstream: Array, pass_: Pass, wanted: list[bool]) -> list[Array | None]:
        """The layer's own backward, held to the contract, with broadcasting undone."""
        layer, sources = self._layer(i), self._sources[i]
        asked = {}
        if "needs" in layer.signature.backward_asks:
            asked["needs"] = tuple(
                wanted[source] and not isinstance(pass_.values[source], SparseRows) for source in sources
            )
        try:
            result = layer.backward(read_only(upstream), pass_.saved[i], **asked)
        except Exception as error:
            if (wrote := written_to(self._names[i], layer, "backward", error)) is not None:
                raise wrote from error
            error.add_note(f"in the backward of the node {self._names[i]!r}")
            raise
        returned = result if isinstance(result, tuple) else (result,)
        given = sum(pass_.values[source] is not None for source in sources)  # optional inputs may be left out
        if len(returned) < given or any(extra is not None for extra in returned[len(sources) :]):
            raise LayerError(
                f"{self._names[i]}: the backward of {type(layer).__name__} returned {len(returned)} gradients "
                f"for {len(sources)} inputs; it returns one for each input, in a tuple when there are several"
            )
        gradients: list[Array | None] = [None] * len(sources)
        for k, (source, gradient) in enumerate(zip(sources, returned, strict=False)):
            value = pass_.values[source]
            if gradient is None or value is None or not is_float(value):
                continue
            array = np.asarray(gradient)
            if array.dtype.kind not in "fiub":
                raise LayerError(
                    f"{self._names[i]}: the backward of {type(layer).__name__} returned a gradient of dtype "
                    f"{array.dtype}; a gradient holds floats, as its input does"
                )
            array = array.astype(value.dtype, copy=False)
            try:
                gradients[k] = unbroadcast(array, value.shape)
            except ShapeError:
                names = layer.signature.inputs
                raise LayerError(
                    f"{self._names[i]}: the backward of {type(layer).__name__} returned a gradient of shape "
                    f"{array.shape} for its input {names[k] if k < len(names) else k} of shape {value.shape}; "
                    f"the two shapes must agree"
                ) from None
        return gradients

    # What was computed ---------------------------------------------------------------------------------

    @property
    def values(self) -> NodeArrays:
        """The value of every node in the last forward pass, by name."""
        arrays = self._last.values if self._last else ()
        return NodeArrays(self, arrays, "it has no value yet; call forward() first")

    @property
    def gradients(self) -> NodeArrays:
        """The gradient of every node in the last backward pass, by name."""
        if self._gradients is None:
            return NodeArrays(self, (), "it has no gradient yet; call backward() after forward()")
        return NodeArrays(
            self,
            self._gradients,
            "no gradient reaches it: whole numbers, such as labels, have none; so has what a layer returns None "
            "for, or backward(wrt=...) leaves out",
        )

    @property
    def last_pass(self) -> tuple[Pass | None, list[Array | None] | None]:
        """What the last runs left, by position: the values with all that layers saved, and the gradients."""
        return self._last, self._gradients

    def first_not_finite(self) -> str | None:
        """The name of the first node, in order, whose last value holds a NaN or an infinity."""
        for i, value in enumerate(self._last.values if self._last else ()):
            if value is not None and is_float(value) and not np.isfinite(numbers_in(value)).all():
                return self._names[i]
        return None

    def __repr__(self) -> str:
        return f"<Graph of {len(self.nodes)} nodes, output {self._names[-1]!r}>"
