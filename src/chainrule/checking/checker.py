"""`cr.check`: hold a backward against numerical differentiation, say where it is wrong, and name the mistake."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.arguments import checked_dtype, checked_seed, one_of
from chainrule.arrays import ArrayLike
from chainrule.checking.examine import examine
from chainrule.checking.graphs import check_graph
from chainrule.checking.precision import EPSILONS, lowest
from chainrule.checking.randomness import fixed_randomness
from chainrule.checking.report import CheckReport, Finding, LookedAt, Row
from chainrule.checking.sizes import Sizes, check_sizes
from chainrule.checking.targets.choice import are_methods_of_one, target_of
from chainrule.checking.targets.jax_targets import takes_jax
from chainrule.checking.targets.layers import LayerTarget
from chainrule.checking.targets.objects import ObjectTarget
from chainrule.checking.targets.places import look
from chainrule.checking.targets.target import Target
from chainrule.checking.targets.torch_inputs import takes_torch
from chainrule.checking.wider import named_in_float32
from chainrule.elsewhere import estimator_here
from chainrule.errors import ArgumentError
from chainrule.graph import Graph
from chainrule.layers import Layer
from chainrule.native.blas import one_thread
from chainrule.network import Network


def check(
    target: Any,
    *inputs: ArrayLike | Mapping[str, ArrayLike],
    backward: Callable[..., Any] | None = None,
    gradients: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
    ignore: Collection[str] = (),
    reference: Callable[..., Any] | None = None,
    straight_through: Collection[str] = (),
    sizes: Sizes = None,
    seed: int = 0,
    dtype: Any = None,
    training: bool = True,
    **feeds: ArrayLike,
) -> CheckReport:
    """Hold a backward against numerical differentiation: where is it wrong, and what is the mistake?

    `target` is one of:

    - a layer: `check(cr.GELU())`, or with inputs of yours, `check(cr.Affine(4), x)`;
    - an object that has `forward` and `backward` and keeps its state on itself: `check(MyAffine(W, b), x)`. Its
      parameters are found wherever forward reads them, their gradients by their names (W and dW, `params` and
      `grads`, `value` and `grad`), or named in `gradients={"W": "grad_of_W"}`. It is copied; the object itself is
      neither run nor changed;
    - two functions: `check(forward, x, backward=backward)`, with backward(dy, *inputs); or a forward that returns
      (y, cache), and backward(dy, cache);
    - what is PyTorch's or JAX's: a `torch.autograd.Function`, a `torch.library` operator, an `nn.Module`, a
      `jax.custom_vjp` or `custom_jvp`, or a function of tensors or of JAX arrays: `check(MyFunction, x, w, 0.1)`.
      Numbers, flags and functions among its arguments stay as they are, lists and dicts are looked into;
    - a graph with values for its inputs, `check(graph, x=..., t=...)`, or a network with a batch,
      `check(net, x, t)`: every node is checked by itself, and the whole.

    A slope is (L(x + h) - L(x - h)) / 2h, with L = sum(dy * y), a random dy, and h = cbrt(machine epsilon) times
    the larger of |x| and the root mean square of the input. A gradient is wrong where it is further off than
    1e-5 (float32: 2e-4) of the sum of |dy_j ∂y_j/∂x_i|, 1e-13 (2e-6) of the largest such sum, ten times what the
    difference rounds, and 16 machine epsilons of the largest |dy| times the root mean square of the input, or 1
    where that is larger, all together. Up to 1,000 elements of an input
    each one is compared; above, three random directions, one more in the last slice of each axis, and 32
    elements. Where one of these disagrees, up to 2,000 elements each one is compared; above, 256 elements and those
    found by halving the direction. All that within 10,000,000 numbers read and written for the elements of an
    input, ten times as many where one disagrees: where a forward is large, fewer elements are compared, down to 8.

    `reference`: a plain forward in float64 of which the target is the fast form, called with the same inputs. The
    output is held against its output, and gradients against its slopes.
    `ignore`: inputs that are constants, and what an object keeps that is no parameter, by name or path, such as
    "running_mean". All else that the output depends on and that was not compared stands in `report.uncompared`, and
    the verdict is "incomplete".
    `straight_through`: inputs whose gradient is another by design, as a rounding's is; it is not compared.
    `sizes`: check again with other lengths of the axes: True for such as kernels forget (1, one less, one more, a
    prime), `[1, 7, 33]` in the place of each axis' own, `{64: [63, 65]}` for the axes of length 64.

    Shapes: any.
    dtype: the backward runs in `dtype`, float64 (the default, unless all that is given is in float32) or float32;
    differences are always taken in float64. Tensors and JAX arrays keep their own dtype and device, unless `dtype`
    casts them: bfloat16 and float16, too. There, an element may be off by 3e-2 (float16: 4e-3) of that sum.
    Raises: ArgumentError for a target that cannot be checked, DataError for inputs that are no finite real numbers,
    ShapeError for inputs the target cannot take together.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), 11.5; Press et al., Numerical Recipes (2007), 5.7.
    """
    if advice := estimator_here(target, "cr.check(clf.network_, X[:5], y[:5])"):
        raise ArgumentError(f"check: expected what has a backward, got {type(target).__name__}; {advice}")
    _refuse_options(target, backward, gradients, names, ignore)
    seed, asked = checked_seed(seed), None if dtype is None else _dtype(dtype)
    options: dict[str, Any] = {"backward": backward, "gradients": gradients, "names": names, "ignore": ignore}
    options |= {
        "reference": reference,
        "straight_through": straight_through,
        "seed": seed,
        "training": training,
    }

    def again(inputs: Sequence[Any], dtype: str | None = asked) -> CheckReport:
        return check(target, *inputs, dtype=dtype, **options)

    if isinstance(target, (Graph, Network)):
        _refuse_for_graphs(reference=reference, straight_through=straight_through, sizes=sizes)
        return _graph(target, inputs, feeds, seed, asked, training)
    if feeds:
        raise ArgumentError(
            f"check: {next(iter(feeds))}=... is for graphs; give the inputs in order, check(target, x, ...)"
        )
    began = time.perf_counter()
    checked = target_of(target, inputs, backward, gradients, names, ignore, seed, asked, training)
    checked = _without_straight_through(checked, straight_through)
    if asked is None and not checked.native and _all_in_float32(checked, inputs):
        said = "All that was given is in float32, and so the check was made in float32."
        asked, checked = "float32", replace(checked, remarks=(*checked.remarks, said))
    wide = lowest(checked.dtypes.values()) if checked.native else _plain_dtype(asked)
    with one_thread(), fixed_randomness(checked.method):  # what is drawn here is not missed later
        examined = examine(checked, seed, wide, reference)
    looked_at = LookedAt(inputs={key: value.copy() for key, value in checked.values.items()})
    report = _report(
        checked.name,
        examined.findings,
        examined.rows,
        began,
        seed,
        wide,
        tuple(examined.remarks),
        examined.target.uncompared,
        looked_at,
    )
    report = named_in_float32(report, lambda: again(inputs, "float32"))
    if sizes:
        report = check_sizes(report, inputs, sizes, again)
    return replace(report, seconds=time.perf_counter() - began)


def _report(name: str, findings: list[Finding], rows: list[Row], began: float, *others: Any) -> CheckReport:
    """The report, with errors before notes, and what has a name before what has none."""
    if not rows and not findings:
        raise ArgumentError(
            f"check: nothing in {name} has a gradient to check: no input or parameter holds floats, but those that "
            f"are said to be constant or straight-through"
        )
    rank = {"error": 0, "warning": 1, "note": 2}
    findings = sorted(findings, key=lambda each: (rank[each.severity], each.mistake == "unknown"))
    return CheckReport(name, tuple(findings), tuple(rows), time.perf_counter() - began, *others)


def _all_in_float32(target: Target, inputs: Iterable[Any]) -> bool:
    """Whether whoever wrote it computes in float32: its inputs and the parameters of the object are of that."""
    arrays = list(inputs)
    if isinstance(target, ObjectTarget):
        arrays += [look(target.original.thing, place.path) for place in target.places.values()]
    dtypes = {each.dtype for each in arrays if isinstance(each, np.ndarray) and each.dtype.kind == "f"}
    return dtypes == {np.dtype("float32")} and not isinstance(target, LayerTarget)


def _plain_dtype(asked: str | None) -> str:
    """The dtype in which a backward in NumPy runs."""
    return str(checked_dtype(asked or "float64", owner="check"))


def _refuse_for_graphs(**options: Any) -> None:
    """ArgumentError for an option that graphs and networks do not take."""
    for name, value in options.items():
        if value:
            raise ArgumentError(
                f"check: {name}=... goes with a function, an object or a layer, not with a graph"
            )


def _without_straight_through(target: Target, names: Collection[str]) -> Target:
    """The target without the gradients that are wrong by design."""
    if isinstance(names, str):
        names = [names]
    for name in names:
        one_of("straight_through", name, target.differentiable, owner="check")
    said = tuple(f"{name} is straight-through: its gradient was not compared." for name in names)
    through = target.straight_through | frozenset(names)
    without = target.without_gradient | through
    return replace(
        target,
        without_gradient=without,
        remarks=(*target.remarks, *said),
        straight_through=through,
    )


def _dtype(dtype: Any) -> str:
    """The name of a dtype of floats, which may come as one of NumPy's, PyTorch's or JAX's; or ArgumentError."""
    text = str(dtype).removeprefix("torch.")
    return text if text in EPSILONS else str(checked_dtype(dtype, owner="check"))


def _refuse_options(target: Any, backward: Any, gradients: Any, names: Any, ignore: Any) -> None:
    """ArgumentError for an option that this kind of target does not take."""
    is_class, has_backward = inspect.isclass(target), callable(getattr(target, "backward", None))
    known = isinstance(target, (Graph, Network, Layer)) or is_class
    known = known or takes_torch(target, ()) or takes_jax(target, ())
    is_function = backward is not None or inspect.isfunction(target) or inspect.isbuiltin(target)
    is_function = is_function and not are_methods_of_one(target, backward)
    what = "a class" if is_class else f"a {type(target).__name__}"
    if backward is not None and (known or has_backward):
        raise ArgumentError(f"check: backward=... goes with a function; {what} has its own")
    if backward is not None and not callable(backward):
        raise ArgumentError(f"check: backward: expected a function, got {type(backward).__name__}")
    if gradients is not None and (known or is_function):
        raise ArgumentError("check: gradients=... goes with an object that keeps its own parameters")
    if gradients is not None and not (
        isinstance(gradients, Mapping)
        and all(isinstance(text, str) for pair in gradients.items() for text in pair)
    ):
        raise ArgumentError(
            f'check: gradients: expected names, such as {{"W": "dW"}} for the gradient of W that stands in dW, '
            f"got {gradients!r}"
        )
    if isinstance(ignore, str) or not (
        isinstance(ignore, Iterable) and all(isinstance(text, str) for text in ignore)
    ):
        raise ArgumentError(f'check: ignore: expected names, such as ["running_mean"], got {ignore!r}')
    if ignore and isinstance(target, (Graph, Network)):
        raise ArgumentError("check: ignore=... goes with a function, an object or a layer, not with a graph")
    if names is not None and isinstance(target, (Graph, Network, Layer)):
        raise ArgumentError(
            "check: names=... goes with an object or a function; layers and graphs have names"
        )


def _graph(
    target: Graph | Network,
    inputs: tuple[Any, ...],
    feeds: Mapping[str, ArrayLike],
    seed: int,
    dtype: str | None,
    training: bool,
) -> CheckReport:
    began = time.perf_counter()
    if isinstance(target, Network):
        target = target.settled()
    wide = _plain_dtype(dtype)
    graph = target.graph if isinstance(target, Network) else target
    given: dict[str, ArrayLike] = dict(feeds)
    if len(inputs) == 1 and isinstance(inputs[0], Mapping):
        given = {**inputs[0], **given}
    elif inputs:
        order = [name for name in graph.inputs if name not in given]
        if isinstance(target, Graph) and len(order) > 1:
            how = ", ".join(f"{name}=..." for name in order)
            raise ArgumentError(f"check: a graph's inputs are given by name: cr.check(graph, {how})")
        if len(inputs) > len(order):
            raise ArgumentError(
                f"check: {len(inputs)} inputs given, and there are {len(order)}: {', '.join(order)}"
            )
        given |= dict(zip(order, inputs, strict=False))
    if isinstance(target, Network):
        missing = [name for name, node in graph.inputs.items() if name not in given and not node.optional]
        if missing:
            raise ArgumentError(
                f"check: a network is checked on a batch, cr.check(net, x, t): {missing[0]} is missing"
            )
        if "t" in given and target.loss_layer is not None:
            given["t"] = target.labels.numbered(given["t"])
    with one_thread(), np.errstate(all="ignore"):
        findings, rows, remarks, looked_at = check_graph(graph, given, seed, wide, training)
    name = f"{'network' if isinstance(target, Network) else 'graph'} of {len(graph.nodes)} nodes"
    return _report(name, findings, rows, began, seed, wide, tuple(remarks), (), looked_at)
