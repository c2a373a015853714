"""Which target something is, by what it is: a layer, PyTorch's, JAX's, two functions, two methods or an object."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from chainrule.arguments import one_of
from chainrule.arrays import Array
from chainrule.checking.randomness import fixed_randomness
from chainrule.checking.targets.calling import as_given, plain_inputs
from chainrule.checking.targets.captured import held
from chainrule.checking.targets.functions import FunctionTarget
from chainrule.checking.targets.inputs import as_data, complete, inputs_for
from chainrule.checking.targets.jax_targets import jax_target, takes_jax
from chainrule.checking.targets.kernels import answers_among, refuse_unknown_inputs
from chainrule.checking.targets.layers import LayerTarget
from chainrule.checking.targets.naming import Methods, Path
from chainrule.checking.targets.objects import methods_of
from chainrule.checking.targets.parameters import aliases
from chainrule.checking.targets.places import as_text, copied
from chainrule.checking.targets.prepare import object_target
from chainrule.checking.targets.reading import read_by
from chainrule.checking.targets.target import ANSWERS, Target, input_names
from chainrule.checking.targets.torch_inputs import takes_torch, torch_target
from chainrule.errors import ArgumentError
from chainrule.layers import Layer, Loss

T = TypeVar("T", bound=Target)


def target_of(
    target: Any,
    inputs: tuple[Any, ...],
    backward: Callable[..., Any] | None,
    gradients: Mapping[str, str] | None,
    names: Sequence[str] | None,
    ignore: Collection[str],
    seed: int,
    dtype: str | None,
    training: bool,
) -> Target:
    """The target, by what it is: a layer, PyTorch's, JAX's, two functions, or an object."""
    if isinstance(target, Layer):
        return _without_ignored(_layer(target, inputs, seed, training), ignore)
    if backward is None and takes_torch(target, inputs):
        return _without_ignored(torch_target(target, inputs, names, dtype), ignore)
    if backward is None and takes_jax(target, inputs):
        return _without_ignored(jax_target(target, inputs, names, dtype), ignore)
    if are_methods_of_one(target, backward):
        methods = Methods(target.__name__, backward.__name__)  # type: ignore[union-attr]  # two methods
        return _object(target.__self__, methods, inputs, gradients, names, ignore)
    if backward is not None or inspect.isfunction(target) or inspect.isbuiltin(target):
        return _functions(target, backward, inputs, names, ignore)
    return _object(target, methods_of(target), inputs, gradients, names, ignore)


def are_methods_of_one(forward: Any, backward: Any) -> bool:
    """Whether two methods of one object were given, which has a state then."""
    if not (inspect.ismethod(forward) and inspect.ismethod(backward)):
        return False
    owner = forward.__self__
    return owner is backward.__self__ and not inspect.isclass(owner) and not isinstance(owner, Layer)


def _values(names: Sequence[str], inputs: Sequence[Any], whole: Sequence[str] = ()) -> dict[str, Array]:
    return {
        name: as_data(value, name, whole=name in ANSWERS or name in whole)
        for name, value in zip(names, inputs, strict=True)
    }


def _layer(layer: Layer, inputs: tuple[Any, ...], seed: int, training: bool) -> Target:
    rng = np.random.default_rng([seed, 7])
    if inputs:
        signature = layer.signature
        most = None if signature.variadic else len(signature.inputs)
        if most is not None and len(inputs) > most:
            raise ArgumentError(
                f"check: {layer!r} takes {', '.join(signature.inputs)}; {len(inputs)} inputs were given"
            )
        called = [
            signature.inputs[k] if k < len(signature.inputs) else f"input {k + 1}" for k in range(len(inputs))
        ]
        answers = list(signature.inputs[1:]) if isinstance(layer, Loss) else []
        data = _values(called, inputs, [*layer.index_inputs, *answers])
    else:
        data = inputs_for(layer, rng)
    values, state = complete(layer, data, rng)
    without = frozenset(layer.signature.inputs[1:]) if isinstance(layer, Loss) else frozenset()
    return LayerTarget(
        type(layer).__name__,
        repr(layer),
        values,
        without_gradient=frozenset(layer.index_inputs) | without,
        layer=layer,
        training=training,
        state=state,
        seed=seed,
    )


def _functions(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    inputs: tuple[Any, ...],
    names: Sequence[str] | None,
    ignore: Collection[str],
) -> Target:
    name = getattr(forward, "__name__", type(forward).__name__)
    if backward is None:
        raise ArgumentError(
            f"check: {name} is a function; give its backward too: cr.check({name}, x, backward=...)"
        )
    refuse_unknown_inputs(name, inputs)
    called = input_names(forward, len(inputs), names)
    plain = plain_inputs(dict(zip(called, inputs, strict=True)))

    def runs(values: Mapping[str, Array]) -> None:
        forward(*as_given(values, plain))

    values = _read(called, inputs, runs, plain)
    without = answers_among(called) | plain
    found = FunctionTarget(
        name, "function", values, without_gradient=without, forward=forward, backward=backward, plain=plain
    )
    arrays = held(forward)
    beside = {as_text(path): path for path in arrays}
    found = _without_ignored(found, ignore, beside)
    with fixed_randomness(forward):
        read = _read_besides(replace(found, draws=True), arrays)
    left = [text for text, path in beside.items() if path in read and text not in ignore]
    said = tuple(
        f"{name} reads {text}, which was not compared: make it an input, or say that it is no parameter, "
        f'ignore=["{text}"].'
        for text in left
    )
    return replace(found, remarks=said, uncompared=tuple(left))


def _read_besides(target: FunctionTarget, arrays: Mapping[Path, Array]) -> set[Path]:
    """Those of these arrays that a forward reads without being given them."""
    try:
        return read_by(target, aliases(arrays), arrays)
    except (Exception, SystemExit):  # the check itself will tell
        return set()


def _read(
    names: Sequence[str],
    inputs: Sequence[Any],
    runs: Callable[[Mapping[str, Array]], None],
    whole: Collection[str] = (),
) -> dict[str, Array]:
    """The inputs as arrays. Whole numbers become floats, unless the forward can only use them as they are."""
    values = _values(names, inputs, tuple(whole))
    kept = {name: as_data(given, name, whole=True) for name, given in zip(names, inputs, strict=True)}
    turned = [name for name in names if values[name].dtype != kept[name].dtype]
    if not turned:
        return values
    try:
        with np.errstate(all="ignore"), fixed_randomness(runs):
            runs({name: value.copy() for name, value in values.items()})
    except (IndexError, TypeError):
        return _values(names, inputs, [*turned, *whole])
    except (Exception, SystemExit):  # the check itself will tell
        return values
    return values


def _object(
    target: Any,
    methods: Methods,
    inputs: tuple[Any, ...],
    gradients: Mapping[str, str] | None,
    names: Sequence[str] | None,
    ignore: Collection[str],
) -> Target:
    cls = type(target).__name__
    refuse_unknown_inputs(cls, inputs, "an object", "(...)")
    called = input_names(getattr(target, methods.forward), len(inputs), names)
    plain = plain_inputs(dict(zip(called, inputs, strict=True)))

    def runs(values: Mapping[str, Array]) -> None:
        getattr(copied(target), methods.forward)(*as_given(values, plain))

    data = _read(called, inputs, runs, plain)
    return object_target(target, methods, data, plain, answers_among(called) | plain, gradients, ignore)


def _without_ignored(target: T, names: Collection[str], others: Collection[str] = ()) -> T:
    """The target without the gradients of inputs that are constants; `others` may be named, too."""
    for name in names:
        one_of("ignore", name, [*target.values, *others], owner="check")
    names = [name for name in names if name in target.values]
    return replace(
        target,
        without_gradient=target.without_gradient | frozenset(names),
        straight_through=target.straight_through | frozenset(names),
    )
