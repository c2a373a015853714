"""The lines of Python that make the network of a run anew, and train it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from chainrule import initializers, layers, optimizers, schedules
from chainrule.graph import Parameter
from chainrule.layers import Standardize
from chainrule.network import Network
from chainrule.reports.run import TrainingRun
from chainrule.reports.setup import Setup

LEFT_OUT = {
    "weight_decay": ("0.0", "0"),
    "clip_norm": ("None",),
    "clip_value": ("None",),
    "decay_all": ("False",),
    "beta1": ("0.9",),
    "beta2": ("0.999",),
    "epsilon": ("1e-08",),
}
"""Arguments of optimizers that say what holds without them."""


class _Unsaid(Exception):  # nobody but this file sees it
    """Something that no line of code says."""


def network_line(
    run: TrainingRun, change: Callable[[list[str]], list[str]] | None = None, loss: str = ""
) -> str:
    """`net = cr.Network(...)` of the run's network, its layers changed; "" for one that is no chain of layers that
    this package has.
    """
    network = run.network
    if network is None or network.loss_layer is None or len(network.input_shapes) != 1:
        return ""
    try:
        own = _chain(network)
        changed = own if change is None else change(own)
        if not changed:
            return ""
        own_loss = loss or _code(repr(network.loss_layer))
    except _Unsaid:
        return ""
    (shape,) = network.input_shapes.values()
    shown = str(shape[0]) if len(shape) == 1 else str(tuple(shape))
    given = [f"input_shape={shown}", f"loss={own_loss}", f"seed={network.seed!r}"]
    if str(network.dtype) != "float32":
        given.append(f'dtype="{network.dtype}"')
    return f"net = cr.Network({', '.join([*changed, *given])})"


def fit_line(
    run: TrainingRun,
    setup: Setup,
    keywords: Mapping[str, str],
    other: str = "",
    more: Mapping[str, str] | None = None,
) -> str:
    """`history = net.fit(x, t, ...)` with other arguments; "" where the run's own are not known."""
    settings = run.history.settings
    given: dict[str, str] = {}
    if other:
        given["optimizer"] = other
    elif text := str(settings.get("optimizer", "")):
        try:
            given["optimizer"] = _code(text, keywords)
        except _Unsaid:
            return ""
    elif keywords:
        return ""
    given |= {"epochs": str(setup.epochs)} if setup.epochs else {"iterations": str(setup.iterations)}
    if not setup.epochs and not setup.iterations:
        return ""
    if isinstance(size := settings.get("batch_size"), int):
        given["batch_size"] = str(size)
    if run.history.test_loss:
        given["validation"] = "(x_test, t_test)"
    if run.history.health:
        given["callbacks"] = "[cr.Health()]"
    given |= more or {}
    if "iterations" in (more or {}):
        given.pop("epochs", None)
    return f"history = net.fit(x, t, {', '.join(f'{name}={value}' for name, value in given.items())})"


def _chain(network: Network) -> list[str]:
    """The layers of a network as code, in order, where each takes what the one before gives."""
    graph = network.graph
    before = graph.position(next(iter(network.input_shapes)))
    found = []
    for i in graph.ancestors(graph.position(network.output)):
        node = graph.nodes[i]
        if node.layer is None:
            continue
        values = [k for k in graph.source_positions(i) if not isinstance(graph.nodes[k], Parameter)]
        if values != [before]:
            raise _Unsaid
        before = i
        if isinstance(node.layer, Standardize):
            found.append("cr.Standardize.of(t, invert=True)" if node.layer.invert else "cr.Standardize.of(x)")
        else:
            found.append(_code(repr(node.layer)).replace("(units=", "(", 1))
    return found


def _code(text: str, keywords: Mapping[str, str] | None = None) -> str:
    """What an object shows of itself as code, under `cr`, some keywords of it changed. Raises _Unsaid."""
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise _Unsaid from None
    if not isinstance(call, ast.Call):
        raise _Unsaid
    for name, value in (keywords or {}).items():
        call.keywords = [each for each in call.keywords if each.arg != name]
        call.keywords.insert(0, ast.keyword(name, ast.parse(value, mode="eval").body))
    return ast.unparse(_Named().visit(call))


class _Named(ast.NodeTransformer):
    """Names of classes become those under `cr`; what says nothing is left out."""

    def visit_Call(self, node: ast.Call) -> ast.AST:  # as ast names it
        if not isinstance(node.func, ast.Name):
            return node  # written under `cr` already
        name = node.func.id
        if name == "Constant" and len(node.keywords) == 1:
            rate: ast.expr = self.visit(node.keywords[0].value)
            return rate  # a schedule that is a number
        node.func = ast.parse(f"{_place(name)}.{name}", mode="eval").body
        kept = [
            each for each in node.keywords if ast.unparse(each.value) not in LEFT_OUT.get(each.arg or "", ())
        ]
        node.keywords = [ast.keyword(each.arg, self.visit(each.value)) for each in kept]
        node.args = [self.visit(each) for each in node.args]
        return node


def _place(name: str) -> str:
    for module in (layers, optimizers, initializers, schedules):
        if isinstance(getattr(module, name, None), type):
            return "cr" if module in (layers, optimizers) else f"cr.{module.__name__.rpartition('.')[2]}"
    raise _Unsaid
