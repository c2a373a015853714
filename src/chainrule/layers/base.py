"""The layer contract: `forward`, and beside it `backward`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from chainrule.arrays import Shape
from chainrule.configured import Configured
from chainrule.errors import LayerError
from chainrule.initializers import Initializer


@dataclass(frozen=True)
class ParameterSpec:
    """A parameter, or a running statistic, that a layer asks the graph to keep for it.

    `shape` is a tuple, or a function that takes the shapes of the layer's data inputs and returns one.
    `decay` says whether weight decay applies to it by default: yes for weights, no for biases and scales.
    """

    shape: Shape | Callable[..., Shape]
    initializer: Initializer
    decay: bool = True

    def shape_for(self, *input_shapes: Shape) -> Shape:
        """The shape, given the shapes of the layer's data inputs."""
        return tuple(self.shape(*input_shapes)) if callable(self.shape) else tuple(self.shape)


@dataclass(frozen=True)
class Signature:
    """What a layer's `forward` and `backward` take, read off their definitions."""

    inputs: tuple[str, ...]
    required: int
    variadic: bool
    forward_asks: frozenset[str]
    backward_asks: frozenset[str]


FORWARD_MAY_ASK = frozenset({"training", "rng", "state"})
BACKWARD_MAY_ASK = frozenset({"needs"})


class Layer(Configured):
    """One kind of computation. A subclass writes `forward` and `backward`, and nothing else is needed.

    `forward(*inputs) -> (output, saved)` and `backward(dy, saved) -> one gradient per input`, a tuple when
    there are several inputs, None for an input that has no gradient (labels, indices). Both are pure: they
    keep nothing on `self` and write to no array they were given.

    Keyword-only arguments ask the graph for what a few layers need:

    - `forward(..., *, training)`: True while training, False while predicting;
    - `forward(..., *, rng)`: a `numpy.random.Generator` for this use of the layer in this step;
    - `forward(..., *, state)`: a dict of the running statistics declared by `state()`; such a forward returns
      `(output, saved, new_state)`, and the graph keeps `new_state` when it trains;
    - `backward(dy, saved, *, needs=(True, ...))`: a tuple of bools, which inputs' gradients are wanted; None
      may be returned for the others. With a default, the layer is easier to use by hand.

    Class attributes say what is worth knowing about the layer beside its formula. Each has a default; pictures, the
    callback `Health` and reports go by them.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]

    #: Names of inputs that hold whole numbers (indices); they are never converted to floats.
    index_inputs: frozenset[str] = frozenset()
    #: The name of the input that is a matrix by which the first input is multiplied, such as "W".
    matrix_input: ClassVar[str | None] = None
    #: The number of outputs per sample, where the layer decides it.
    units: int | None = None
    #: The sign of an operation of arithmetic, such as "+". It is drawn in a circle, other layers in a box.
    symbol: ClassVar[str | None] = None
    #: Whether the layer is an activation: a nonlinear function without parameters that follows a layer with them.
    is_activation: ClassVar[bool] = False
    #: Whether a unit whose outputs are all 0 learns nothing, as in a ReLU. `Health` counts zeros and dead units.
    can_die: ClassVar[bool] = False
    #: Middle of the outputs, and the distance from it beyond which the slope is below a hundredth of its maximum.
    saturation: ClassVar[tuple[float, float] | None] = None
    #: Whether the outputs are elements of the inputs, moved, left out or scaled. `Health` passes over such layers.
    moves_elements: ClassVar[bool] = False

    def parameters(self) -> dict[str, ParameterSpec]:
        """The parameters, by the name of the input of `forward` that they are handed to."""
        return {}

    def state(self) -> dict[str, ParameterSpec]:
        """The running statistics, by name."""
        return {}

    def least_rows(self, x: Shape) -> int:
        """The least number of rows a batch needs to train on; x is the shape of the first input for one row."""
        return 1

    def __call__(self, *inputs: Any, name: str | None = None) -> Any:
        """Use the layer on nodes of a graph: `cr.Exp()(x)` is a new node. Numbers and arrays are constants."""
        for value in inputs:
            apply = getattr(value, "_apply_layer", None)
            if apply is not None:
                return apply(self, inputs, name)
        raise LayerError(
            f"{self!r} was called on {', '.join(type(value).__name__ for value in inputs) or 'nothing'}: a layer "
            f"is called on nodes of a graph, such as cr.Input('x'); to compute with arrays use .forward(...)"
        )

    @property
    def signature(self) -> Signature:
        """What `forward` and `backward` take."""
        cls = type(self)
        if cls not in _SIGNATURES:
            _SIGNATURES[cls] = _signature_of(cls)
        return _SIGNATURES[cls]


_SIGNATURES: dict[type[Layer], Signature] = {}


def _signature_of(cls: type[Layer]) -> Signature:
    for method in ("forward", "backward"):
        if not callable(getattr(cls, method, None)):
            raise LayerError(f"{cls.__name__} has no method {method}(); a layer defines forward and backward")
    asks: dict[str, frozenset[str]] = {}
    inputs: list[inspect.Parameter] = []
    variadic = False
    for method, allowed in (("forward", FORWARD_MAY_ASK), ("backward", BACKWARD_MAY_ASK)):
        found = list(inspect.signature(getattr(cls, method)).parameters.values())[1:]
        keywords = frozenset(p.name for p in found if p.kind is p.KEYWORD_ONLY)
        if unknown := sorted(keywords - allowed):
            raise LayerError(
                f"{cls.__name__}.{method} asks for the keyword {unknown[0]!r}, which the graph does not have; "
                f"it may ask for {', '.join(sorted(allowed))}"
            )
        asks[method] = keywords
        if method == "forward":
            inputs = [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
            variadic = any(p.kind is p.VAR_POSITIONAL for p in found)
    return Signature(
        inputs=tuple(p.name for p in inputs),
        required=sum(p.default is p.empty for p in inputs),
        variadic=variadic,
        forward_asks=asks["forward"],
        backward_asks=asks["backward"],
    )
