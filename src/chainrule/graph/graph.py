"""Graph: runs its nodes forward and backward, and keeps every value and every gradient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.arrays import Array, ArrayLike, Shape, is_float
from chainrule.errors import (
    ChainruleError,
    DataError,
    GraphError,
    LayerError,
    NotComputedError,
    ShapeError,
    did_you_mean,
)
from chainrule.graph.nodes import Constant, Input, LayerParameter, Node, Parameter
from chainrule.graph.structure import Structure
from chainrule.layers import Layer, ParameterSpec
from chainrule.randomness import Purpose, fresh_seed, stream


@dataclass
class Run:
    """What one pass forward computed: by position, the values and what each layer saved."""

    dtype: Any
    training: bool
    step: int
    values: list[Array | None]
    saved: list[Any]
    state: dict[str, Array] = field(default_factory=dict)


class NodeArrays(Mapping[str, Any]):
    """Arrays by the name of their node, or by the node itself. They are shown read-only."""

    def __init__(self, structure: Structure, arrays: Sequence[Array | None], missing: str) -> None:
        self._structure, self._arrays, self._missing = structure, arrays, missing

    def __getitem__(self, key: str | Node) -> Any:
        position = self._structure.position(key)
        array = self._arrays[position] if self._arrays else None
        if array is None:
            raise NotComputedError(f"{self._structure.name_of(position)!r}: {self._missing}")
        return _shown(array)

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]  # anything may be asked for; what is no name is not in here
        except GraphError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return (self._structure.name_of(i) for i, array in enumerate(self._arrays) if array is not None)

    def __len__(self) -> int:
        return sum(array is not None for array in self._arrays)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name!r}: {value!r}" for name, value in self.items()) + "}"


class Graph(Structure):
    """A computational graph: the nodes that `output` needs, run forward and backward.

    `forward` computes and keeps `values`; `backward` multiplies each upstream gradient by the local gradient,
    adds up where paths meet, undoes broadcasting, and keeps `gradients`. Both are by name.

    Shapes: any.
    dtype: one for a whole run: the one given, or that of the floats fed and the parameters (float64 when there
    are only whole numbers).
    """

    def __init__(self, output: Node, *, seed: int | None = None, dtype: Any = None) -> None:
        super().__init__(output)
        self.seed = fresh_seed() if seed is None else seed
        self.dtype = None if dtype is None else np.dtype(dtype)
        self.state: dict[str, Array] = {}
        self._bound: dict[int, Array] = {}
        self._checked: set[int] = set()
        self._keep_whole = self.index_leaves()
        self._last: Run | None = None
        self._gradients: list[Array | None] | None = None

    # Parameters ----------------------------------------------------------------------------------------

    def parameter_value(self, name: str) -> Array:
        """The current value of a parameter in this graph, writable."""
        i = self.position(name)
        node = self.nodes[i]
        if not isinstance(node, Parameter):
            raise GraphError(f"{name!r} is not a parameter; {did_you_mean(name, self.parameters)}")
        value = self._value_of_parameter(i, node)
        if value is None:
            raise NotComputedError(f"{name!r} has no value yet: its shape follows from the first forward run")
        return value

    def bind(self, name: str, value: Array) -> None:
        """Let `value` itself, not a copy, be the parameter's value in this graph from now on."""
        if not isinstance(self[name], Parameter):
            raise GraphError(f"{name!r} is not a parameter; {did_you_mean(name, self.parameters)}")
        self._bound[self.position(name)] = value

    def _value_of_parameter(self, i: int, node: Parameter) -> Array | None:
        if i in self._bound:
            return self._bound[i]
        return None if isinstance(node, LayerParameter) else node.value

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
        Feeding a parameter replaces its value for this run. `training` and `step` (which random numbers to
        draw) are handed to the layers that ask for them; running statistics are kept when training.

        Raises: GraphError for unknown, missing or computed names; ShapeError where a layer cannot compute.
        """
        self._last, self._gradients = None, None
        run = self._run({**(feeds or {}), **named}, len(self.nodes) - 1, training, step)
        if training:
            self.state |= run.state
        self._last = run
        return _shown(self._computed(run, len(self.nodes) - 1))

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
        return self._computed(self._run(feeds, last, training, step, keep_saved=False), last)

    def _run(
        self, feeds: Mapping[str, ArrayLike], last: int, training: bool, step: int, keep_saved: bool = True
    ) -> Run:
        wanted = self.ancestors(last)
        fed = self._check_feeds(feeds, wanted)
        nothing: list[Any] = [None] * len(self.nodes)
        run = Run(self.dtype or self._dtype_of(fed), training, step, nothing.copy(), nothing)
        for i in wanted:
            if self.nodes[i].layer is None:
                run.values[i] = self._leaf_value(i, fed, run.dtype)
            else:
                saved = self._compute(i, run)
                if keep_saved:
                    run.saved[i] = saved
        return run

    def _computed(self, run: Run, i: int) -> Array:
        value = run.values[i]
        if value is None:
            raise NotComputedError(
                f"{self._names[i]!r} has no value: it is an optional input that was left out"
            )
        return value

    def _compute(self, i: int, run: Run) -> Any:
        """Run one layer forward: keep its value in `run`, return what it saved."""
        layer = self._layer(i)
        if i not in self._checked:
            self._initialize(i, run)
        inputs = [run.values[source] for source in self._sources[i]]
        asks = layer.signature.forward_asks
        asked: dict[str, Any] = {}
        if "training" in asks:
            asked["training"] = run.training
        if "rng" in asks:
            asked["rng"] = stream(self.seed, Purpose.LAYER, run.step, i)
        if "state" in asks:
            names = self.state_names(layer)
            asked["state"] = {short: run.state.get(full, self.state[full]) for short, full in names.items()}
        try:
            result = layer.forward(*inputs, **asked)
        except ChainruleError:
            raise
        except (ValueError, IndexError, TypeError) as error:
            shapes = ", ".join("none" if value is None else str(value.shape) for value in inputs)
            raise ShapeError(
                f"{self._names[i]}: {layer!r} cannot take inputs of shape {shapes}: {error}"
            ) from error
        self._check_result(i, result, 3 if "state" in asks else 2)
        if "state" in asks:
            run.state |= {full: result[2][short] for short, full in self.state_names(layer).items()}
        run.values[i] = np.asarray(result[0])
        return result[1]

    def _check_result(self, i: int, result: Any, expected: int) -> None:
        if not isinstance(result, tuple) or len(result) != expected:
            what = "(output, saved)" if expected == 2 else "(output, saved, new_state)"
            came = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
            raise LayerError(
                f"{self._names[i]}: the forward of {type(self.nodes[i].layer).__name__} must return {what}, "
                f"got {came}"
            )

    def _initialize(self, i: int, run: Run) -> None:
        """Make the parameters and statistics that a layer declares, now that its input shapes are known."""
        layer, node = self._layer(i), self.nodes[i]
        data = [run.values[self._position[id(source)]] for source in node.inputs]
        shapes = [() if value is None else value.shape for value in data]
        for position in self._owned.get(id(layer), {}).values():
            parameter = self.nodes[position]
            assert isinstance(parameter, LayerParameter)
            shape = self._declared_shape(i, parameter.spec, shapes)
            if position not in self._bound:
                rng = stream(self.seed, Purpose.INITIALIZE, position)
                self._bound[position] = parameter.spec.initializer(shape, rng, run.dtype)
            value = self._bound[position]
            if value.shape != shape:
                raise ShapeError(
                    f"{self._names[i]}: {layer!r} has its parameter {self._names[position]!r} of shape "
                    f"{value.shape} from an earlier use, but inputs of shape {', '.join(map(str, shapes))} "
                    f"need {shape}; use a second layer object for the second shape"
                )
            if run.values[position] is None:
                run.values[position] = np.asarray(value, dtype=run.dtype)
        for short, full in self.state_names(layer).items():
            if full not in self.state:
                spec = layer.state()[short]
                rng = stream(self.seed, Purpose.INITIALIZE, i, 1)
                self.state[full] = spec.initializer(self._declared_shape(i, spec, shapes), rng, run.dtype)
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
                raise GraphError(f"{name!r} cannot be fed, the graph computes it; the graph takes {takes}")
            array = np.asarray(value)
            if array.dtype.kind not in "biuf":
                raise DataError(f"{name!r}: expected numbers, got dtype {array.dtype}")
            fed[i] = array
        for i in wanted:
            node = self.nodes[i]
            if isinstance(node, Input) and i not in fed and not node.optional:
                raise GraphError(
                    f"the input {self._names[i]!r} has no value: call forward({self._names[i]}=...)"
                )
        return fed

    def _dtype_of(self, fed: dict[int, Array]) -> Any:
        floats = {array.dtype for array in fed.values() if is_float(array)}
        for i, node in enumerate(self.nodes):
            if isinstance(node, Parameter) and i not in fed:
                value = self._value_of_parameter(i, node)
                if value is not None:
                    floats.add(value.dtype)
        return np.result_type(*floats) if floats else np.dtype(np.float64)

    def _leaf_value(self, i: int, fed: dict[int, Array], dtype: Any) -> Array | None:
        node = self.nodes[i]
        value: Array | None = None
        if i in fed:
            value = fed[i]
        elif isinstance(node, Parameter):
            value = self._value_of_parameter(i, node)
        elif isinstance(node, Constant):
            value = node.value
        if value is None or (i in self._keep_whole and not is_float(value)):
            return value
        return np.asarray(value, dtype=dtype)

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
        run, last = self._last, len(self.nodes) - 1
        gradients: list[Array | None] = [None] * len(self.nodes)
        gradients[last] = self._first_gradient(dy, self._computed(run, last))
        wanted = (
            [True] * len(self.nodes) if wrt is None else self.leading_to({self.position(key) for key in wrt})
        )
        for i in range(last, -1, -1):
            upstream = gradients[i]
            if upstream is None or self.nodes[i].layer is None:
                continue
            for source, gradient in zip(self._sources[i], self._local(i, upstream, run, wanted), strict=True):
                if gradient is not None and wanted[source]:
                    total = gradients[source]
                    gradients[source] = gradient if total is None else total + gradient
        self._gradients = gradients
        return self.gradients

    def _first_gradient(self, dy: ArrayLike | None, output: Array) -> Array:
        if dy is None:
            if output.ndim:
                raise ShapeError(
                    f"the output {self._names[-1]!r} has shape {output.shape}: backward needs dy, the gradient "
                    f"of the final value with respect to it, of the same shape"
                )
            return np.ones_like(output)
        gradient = np.asarray(dy, dtype=output.dtype)
        if gradient.shape != output.shape:
            raise ShapeError(f"expected dy of the output's shape {output.shape}, got {gradient.shape}")
        return gradient

    def _local(self, i: int, upstream: Array, run: Run, wanted: list[bool]) -> list[Array | None]:
        """The layer's own backward, held to the contract, with broadcasting undone."""
        layer, sources = self._layer(i), self._sources[i]
        asked = {}
        if "needs" in layer.signature.backward_asks:
            asked["needs"] = tuple(wanted[source] for source in sources)
        result = layer.backward(upstream, run.saved[i], **asked)
        returned = result if isinstance(result, tuple) else (result,)
        given = sum(run.values[source] is not None for source in sources)  # optional inputs may be left out
        if len(returned) < given or any(extra is not None for extra in returned[len(sources) :]):
            raise LayerError(
                f"{self._names[i]}: the backward of {type(layer).__name__} returned {len(returned)} gradients "
                f"for {len(sources)} inputs; it returns one for each input, in a tuple when there are several"
            )
        gradients: list[Array | None] = [None] * len(sources)
        for k, (source, gradient) in enumerate(zip(sources, returned, strict=False)):
            value = run.values[source]
            if gradient is None or value is None or not is_float(value):
                continue
            array = np.asarray(gradient, dtype=value.dtype)
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
        """The value of every node in the last forward run, by name."""
        arrays = self._last.values if self._last else ()
        return NodeArrays(self, arrays, "it has no value yet; call forward() first")

    @property
    def gradients(self) -> NodeArrays:
        """The gradient of every node in the last backward run, by name."""
        if self._gradients is None:
            return NodeArrays(self, (), "it has no gradient yet; call backward() after forward()")
        return NodeArrays(
            self, self._gradients, "no gradient reaches it (whole numbers, such as labels, have none)"
        )

    def first_not_finite(self) -> str | None:
        """The name of the first node, in order, whose last value holds a NaN or an infinity."""
        for i, value in enumerate(self._last.values if self._last else ()):
            if value is not None and is_float(value) and not np.isfinite(value).all():
                return self._names[i]
        return None

    def __repr__(self) -> str:
        return f"<Graph of {len(self.nodes)} nodes, output {self._names[-1]!r}>"


def unbroadcast(gradient: Array, shape: Shape) -> Array:
    """Sum a gradient over the axes along which an input of `shape` was broadcast.

    Shapes: gradient is any shape that `shape` broadcasts to -> `shape`.
    Raises: ShapeError when `shape` does not broadcast to the gradient's shape.
    """
    if gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    axes = list(range(extra))
    fits = extra >= 0
    for axis, (have, want) in enumerate(zip(gradient.shape[max(extra, 0) :], shape, strict=False)):
        if want == 1 and have != 1:
            axes.append(extra + axis)
        fits &= want in (1, have)
    if not fits:
        raise ShapeError(f"a gradient of shape {gradient.shape} does not fit an input of shape {shape}")
    return np.asarray(gradient.sum(axis=tuple(axes), keepdims=True).reshape(shape))


def _shown(array: Array) -> Any:
    """A read-only view, or a NumPy number where there is just one."""
    if array.ndim == 0:
        return array[()]
    view = array.view()
    view.flags.writeable = False
    return view
