"""What is computed by JAX, as a target: a `custom_vjp`, a `custom_jvp`, or a function of its arrays.

JAX is imported by whoever wrote it, never by us.
"""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.checking.precision import EPSILONS
from chainrule.checking.randomness import held
from chainrule.checking.targets.kernels import (
    Arguments,
    Outputs,
    answers_among,
    checked_values,
    first_that_runs,
    is_mask,
    refuse_unknown_inputs,
)
from chainrule.checking.targets.target import (
    Calls,
    Refused,
    Returned,
    Target,
    Use,
    WrongCount,
    input_names,
    source_of,
)
from chainrule.errors import ArgumentError

#: What JAX says of gradients of another number or shape than the inputs.
WRONG_GRADIENTS = re.compile(r"[Cc]ustom VJP bwd rule")
WRONG_SHAPE = re.compile(r"output of type \w+\[([\d,]*)\] corresponding to an input of type \w+\[([\d,]*)\]")


def mapped_tree(thing: Any, name: str, each: Callable[[str, Any], Any]) -> Any:
    """A pytree, with `each(name, leaf)` in the place of each leaf."""
    trees = sys.modules["jax"].tree_util
    return trees.tree_map_with_path(lambda path, leaf: each(name + trees.keystr(path), leaf), thing)


@dataclass
class JaxTarget(Target):
    """A function of JAX arrays; gradients are those of `jax.vjp`."""

    arguments: Arguments = field(default_factory=lambda: Arguments({}, mapped_tree))
    function: Any = None

    def start(self, dtype: str = "float64") -> JaxCalls:
        return JaxCalls(self, differentiated=False)

    @property
    def source(self) -> str | None:
        return source_of(_rule(self.function) or self.function)

    @property
    def method(self) -> Any:
        return self.function

    def computing(self, forward: Callable[..., Any]) -> Target:
        with _wide(["float64"]):
            wide = {
                name: array.astype("float64") if name in self.dtypes else array
                for name, array in self.arguments.arrays.items()
            }
        arguments = replace(self.arguments, arrays=wide)
        return replace(
            self, arguments=arguments, dtypes=dict.fromkeys(self.dtypes, "float64"), function=forward
        )

    def other_uses(self, dy: Array) -> Iterator[Use]:
        """A rule for gradients has a forward of its own, which has to compute the same."""
        calls = JaxCalls(self, differentiated=True)
        yield Use("Where gradients are taken,", "forward-disagrees", calls)


def takes_jax(target: Any, inputs: Iterable[Any]) -> bool:
    """Whether a target is JAX's, or is called with its arrays."""
    jax = sys.modules.get("jax")
    if jax is None or inspect.isclass(target) or not callable(target) or not hasattr(jax, "tree_util"):
        return False
    if type(target).__module__.partition(".")[0] in ("jax", "jaxlib"):
        return True
    has_backward = callable(getattr(target, "backward", None))
    given = any(isinstance(leaf, jax.Array) for leaf in jax.tree_util.tree_leaves(tuple(inputs)))
    return given and not has_backward


def jax_target(target: Any, inputs: Sequence[Any], names: Sequence[str] | None, dtype: str | None) -> Target:
    """What is JAX's as a target. NumPy arrays come in float64 where JAX has that turned on, else in float32."""
    label = getattr(target, "__name__", type(target).__name__)
    refuse_unknown_inputs(label, inputs)
    called = input_names(target, len(inputs), names)
    wide = dtype or ("float64" if sys.modules["jax"].config.jax_enable_x64 else "float32")
    with _wide([wide]):
        arguments = Arguments(dict(zip(called, inputs, strict=True)), mapped_tree)
        arguments = arguments.read(lambda name, leaf: _as_jax(name, leaf, dtype, wide))
        values = checked_values({name: as_numpy(array) for name, array in arguments.arrays.items()})
    rule = _inside(target)
    made = JaxTarget(
        label,
        "function" if rule is None else type(rule).__name__,
        values,
        without_gradient=answers_among(called),
        dtypes={n: str(a.dtype) for n, a in arguments.arrays.items() if str(a.dtype) in EPSILONS},
        arguments=arguments,
        function=target,
    )
    made, calls = first_that_runs([made])
    made = replace(made, without_gradient=made.without_gradient - _meant(made))
    remarks = calls.outputs.remarks() if calls is not None else []
    arrays = sys.modules["jax"].tree_util.tree_leaves(list(inputs))
    if dtype is None and wide == "float32" and any(isinstance(a, np.ndarray) and is_float(a) for a in arrays):
        remarks.append(
            "NumPy arrays were handed over in float32, as JAX does; for float64, turn on jax_enable_x64, or give "
            'dtype="float64".'
        )
    return replace(made, remarks=tuple(remarks))


def _meant(target: JaxTarget) -> frozenset[str]:
    """The inputs named like answers whose gradient is not 0: whoever gives them one means it."""
    named = [name for name in target.without_gradient if name in target.dtypes]
    if not named:
        return frozenset()
    calls = replace(target, without_gradient=frozenset()).start()
    try:
        with np.errstate(all="ignore"):
            returned = calls.backward(np.ones_like(calls.forward(target.values)))
    except (Exception, SystemExit):  # the check itself will tell
        return frozenset()
    return frozenset(name for name in named if returned.get(name) is not None and np.any(returned[name]))


class JaxCalls(Calls):
    """Calls with JAX arrays. `differentiated`: whether the output is that of the forward kept for gradients."""

    def __init__(self, target: JaxTarget, differentiated: bool) -> None:
        self._jax: Any = sys.modules["jax"]
        self._target, self._differentiated = target, differentiated
        self._arrays: dict[str, Any] = {}
        self._pull: Callable[[list[Any]], Any] | None = None
        self.outputs = Outputs({}, {})

    def forward(self, values: Mapping[str, Array]) -> Any:
        target = self._target
        with _wide(target.dtypes.values()):
            self._arrays = {n: self._like(v, target.arguments.arrays[n]) for n, v in values.items()}
            self._pull = None
            if self._differentiated:
                results = self._linearized()
            else:
                with held(target.method, target.draws):
                    results = self._results(self._arrays)
            if not results:
                raise TypeError("it returned no array of floats")
            return self.outputs.joined([as_numpy(each) for each in results])

    def backward(self, dy: Any) -> Returned:
        target = self._target
        with _wide(target.dtypes.values()), held(target.method, target.draws):
            parts = zip(self.outputs.split(dy), self.outputs.dtypes.values(), strict=True)
            upstream = [self._jax.numpy.asarray(part.astype(_numpy_dtype(dtype))) for part, dtype in parts]
            try:
                if self._pull is None:
                    self._linearized()
                assert self._pull is not None
                gradients = self._pull(upstream)[0]
            except (TypeError, ValueError) as error:
                if WRONG_GRADIENTS.search(str(error)) is None:
                    raise
                gradients = self._refused(error, upstream)
            return {name: None if g is None else as_numpy(g) for name, g in gradients.items()}

    def output_sizes(self) -> dict[str, int]:
        return {name: math.prod(shape) for name, shape in self.outputs.shapes.items()}

    def _linearized(self) -> list[Any]:
        """The outputs, by the forward that keeps what backward needs."""
        wanted = {name: self._arrays[name] for name in self._target.differentiable}
        results, self._pull = self._jax.vjp(lambda some: self._results(self._arrays | some), wanted)
        return list(results)

    def _results(self, arrays: Mapping[str, Any]) -> list[Any]:
        """The outputs of floats."""
        found: dict[str, Any] = {}

        def keep(name: str, leaf: Any) -> Any:
            if str(getattr(leaf, "dtype", type(leaf).__name__)).startswith("complex"):
                raise TypeError(
                    "a complex output cannot be compared; return its real and imaginary parts apart"
                )
            if str(getattr(leaf, "dtype", "")) in EPSILONS:
                found[name] = leaf
            return leaf

        mapped_tree(self._target.function(*self._target.arguments.filled(arrays)), "output", keep)
        dtypes = {name: str(each.dtype) for name, each in found.items()}
        self.outputs = Outputs({name: tuple(each.shape) for name, each in found.items()}, dtypes)
        return list(found.values())

    def _like(self, value: Array, like: Any) -> Any:
        array = self._jax.numpy.asarray(np.array(value).astype(like.dtype))
        return self._jax.device_put(array, like.sharding) if array.shape == like.shape else array

    def _refused(self, error: Exception, upstream: Sequence[Any]) -> Returned:
        """Gradients that JAX refused, as they were returned where that is seen, or else what is wrong with them."""
        rule = _inside(self._target.function)
        try:
            if isinstance(rule, self._jax.custom_vjp):
                return self._as_returned(rule, upstream)
        except WrongCount:
            raise
        except Exception:  # the rule is behind a function with other arguments
            pass
        shapes = WRONG_SHAPE.search(str(error))
        if shapes is None:
            raise error
        raise Refused("shape", None, f"({shapes[1]})", f"({shapes[2]})", str(error)) from error

    def _as_returned(self, rule: Any, upstream: Sequence[Any]) -> Returned:
        """What the rule of a `custom_vjp` returns, before JAX sees it."""
        arguments = self._target.arguments
        given = arguments.filled(self._arrays)
        apart = {k % len(given) for k in rule.nondiff_argnums}
        result, kept = rule.fwd(*given)
        parts = iter(upstream)
        dy = mapped_tree(result, "", lambda _, leaf: next(parts) if str(leaf.dtype) in EPSILONS else leaf)
        raw = rule.bwd(*(given[k] for k in sorted(apart)), kept, dy)
        names = [name for k, name in enumerate(arguments.given) if k not in apart]
        returned = list(raw) if isinstance(raw, (tuple, list)) else [raw]
        if len(returned) != len(names):
            raise WrongCount(len(returned), len(names))
        found: Returned = dict.fromkeys(self._target.differentiable)
        for name, gradient in zip(names, returned, strict=True):
            mapped_tree(
                gradient, name, lambda path, leaf: found.update({path: leaf} if path in found else {})
            )
        return found


def _as_jax(name: str, leaf: Any, dtype: str | None, wide: str) -> Any:
    """A leaf as a JAX array; None for what stays as it is: numbers, flags, keys, masks of infinity."""
    jax = sys.modules["jax"]
    if not isinstance(leaf, (np.ndarray, jax.Array)):
        return None
    if str(leaf.dtype).startswith("complex"):
        raise ArgumentError(
            f"check: {name}: complex numbers cannot be checked; give the real and imaginary parts apart"
        )
    if str(leaf.dtype) in EPSILONS:
        if is_mask(as_numpy(leaf)):
            return None
        own = wide if isinstance(leaf, np.ndarray) else dtype or str(leaf.dtype)
        return jax.numpy.asarray(leaf).astype(own)
    is_whole = np.dtype(leaf.dtype).kind in "iub" if not _is_key(leaf) else False
    return jax.numpy.asarray(leaf) if is_whole else None


def _is_key(leaf: Any) -> bool:
    dtypes = sys.modules["jax"].dtypes
    return bool(dtypes.issubdtype(leaf.dtype, dtypes.prng_key))


def _numpy_dtype(dtype: str) -> Any:
    return sys.modules["jax"].numpy.dtype(dtype)


def _wide(dtypes: Iterable[str]) -> AbstractContextManager[Any]:
    """Where a dtype is float64, JAX has it turned on."""
    jax = sys.modules["jax"]
    needed = "float64" in dtypes and not jax.config.jax_enable_x64
    return jax.enable_x64(True) if needed else nullcontext()


def _inside(target: Any) -> Any:
    """The `custom_vjp` or `custom_jvp` behind a function and what wraps it; None where there is none."""
    jax = sys.modules["jax"]
    found = inspect.unwrap(target, stop=lambda each: isinstance(each, (jax.custom_vjp, jax.custom_jvp)))
    return found if isinstance(found, (jax.custom_vjp, jax.custom_jvp)) else None


def _rule(target: Any) -> Any:
    """The rule for its gradients, as it is written; None where JAX derives it."""
    found = _inside(target)
    return getattr(found, "bwd", None) or getattr(found, "jvp", None)


def as_numpy(array: Any) -> Array:
    """An array as NumPy's: floats as float64, others as they are."""
    plain = np.asarray(array)
    return np.array(plain, np.float64 if str(plain.dtype) in EPSILONS else None)
