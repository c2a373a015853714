"""An examination of a network: one run forward and backward that changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from chainrule.arrays import Array, norm_of
from chainrule.layers import Layer, Standardize
from chainrule.loop import Findings, Measures
from chainrule.optimizers import Optimizer, OptimizerState

if TYPE_CHECKING:
    from chainrule.network.network import Network
    from chainrule.program import Program

# Seconds, as measured, on one thread: for each row, of a parameter and of a number computed in an examination; of a
# node there; and of the same in a step, with its instructions. A row of a step takes less: nothing is allocated.
PARAMETER, NUMBER, NODE = 1e-10, 1.5e-9, 75e-6
ROW_OF_STEP, INSTRUCTION, IN_PYTHON = 0.4, 0.3e-6, 30e-6


def steps_worth(program: Program, rows: int) -> float:
    """About how many steps of a training take as long as an examination; the same on every machine.

    An examination runs the graph on one thread; steps may use as many as their turns have parts.
    """
    table = program.training
    assert table is not None
    in_python = sum(turn.kind == "python" for turn in table.turns)
    step = ROW_OF_STEP * program.batch_size * _seconds_of_row(program) + INSTRUCTION * len(table.instructions)
    step = (step + IN_PYTHON * in_python) / table.parts
    return seconds_of(program, rows) / step


def seconds_of(program: Program, rows: int) -> float:
    """About how long an examination takes; a number that is the same on every machine."""
    return rows * _seconds_of_row(program) + NODE * len(program.graph)


def _seconds_of_row(program: Program) -> float:
    table = program.training
    assert table is not None
    numbers = sum(place.width for place in table.places if place.space == "arena")
    return PARAMETER * program.params.flat.size + NUMBER * numbers


class NetworkExaminer:
    """Looks at the layers and the parameters of a network, always on the same rows of its data.

    As in training, dropout drops, with the random numbers of the step that comes next, and a BatchNorm takes the
    statistics of the rows at hand.
    """

    def __init__(
        self,
        network: Network,
        feeds: dict[str, Array],
        optimizer: Optimizer,
        state: OptimizerState,
        next_rate: Callable[[], float],
        cost: float,
        seconds: float,
    ) -> None:
        graph = network.graph
        self.network, self.optimizer, self.cost, self.seconds = network, optimizer, cost, seconds
        self.rows = len(feeds["t"])
        whole = graph.index_leaves()
        self._feeds = {
            name: array if graph.position(name) in whole else array.astype(network.dtype)
            for name, array in feeds.items()
        }
        self._layers = _examined(network)
        self._wanted = [*self._layers, *network.params]
        self._users = {name: _user_of(network, name) for name in network.params}
        self._gradient = network.params.like(np.zeros_like(network.params.flat))
        self._updated = network.params.like(np.empty_like(network.params.flat))
        self._next_rate = next_rate
        self._state, self._trial = state, optimizer.start(network.params.flat, network.decays)

    def examine(self) -> Findings:
        """What there is to say of every layer and parameter now."""
        graph = self.network.graph
        last = len(graph) - 1
        with np.errstate(all="ignore"):
            pass_ = graph.run(self._feeds, last, training=True, step=self.network.iterations)
            loss = pass_.values[last]
            assert loss is not None
            gradients = graph.run_backward(pass_, np.ones_like(loss), self._wanted)
            layers: dict[str, Measures] = {}
            for name, layer in self._layers.items():
                i = graph.position(name)
                value = pass_.values[i]
                assert value is not None
                layers[name] = {"kind": type(layer).__name__, **_of_output(layer, value)}
                layers[name] |= _of_gradient(gradients[i])
            for name, into in self._gradient.items():
                gradient = gradients[graph.position(name)]
                into[...] = 0 if gradient is None else gradient
            return {"layers": layers, "parameters": self._of_parameters()}

    def _of_parameters(self) -> dict[str, Measures]:
        """Norms, and what the optimizer would do in the next step, which it does to copies."""
        params, updated, trial = self.network.params, self._updated, self._trial
        np.copyto(updated.flat, params.flat)
        trial.iteration = self._state.iteration
        for name, array in self._state.arrays.items():
            np.copyto(trial.arrays[name], array)
        self.optimizer.step(updated.flat, self._gradient.flat, trial, learning_rate=self._next_rate())
        np.subtract(updated.flat, params.flat, out=updated.flat)
        found: dict[str, Measures] = {}
        for name, value in params.items():
            norm, update = norm_of(value), norm_of(updated[name])
            found[name] = {
                "layer": self._users[name],
                "norm": norm,
                "gradient_norm": norm_of(self._gradient[name]),
                "update_ratio": update / norm if norm else math.nan,
            }
        return found


def _examined(network: Network) -> dict[str, Layer]:
    """The layers between data and loss that are looked at, by the names of their nodes, in order.

    All but those that only move elements, or are an operation of arithmetic, as Standardize is by fixed numbers:
    beside outputs in the unit of a target nothing else would be seen.
    """
    graph = network.graph
    depends = graph.leading_to({graph.position(name) for name in network.input_shapes})
    found = {}
    for i in graph.ancestors(graph.position(network.output)):
        layer = graph.nodes[i].layer
        if layer is None or not depends[i]:
            continue
        is_plain = layer.moves_elements or layer.symbol is not None or isinstance(layer, Standardize)
        if not is_plain or layer.parameters():
            found[graph.name_of(i)] = layer
    return found


def _user_of(network: Network, parameter: str) -> str:
    """The name of the first node that takes the parameter."""
    graph = network.graph
    position = graph.position(parameter)
    return graph.name_of(next(i for i in range(len(graph)) if position in graph.source_positions(i)))


def _of_output(layer: Layer, y: Array) -> Measures:
    mean = y.sum() / y.size
    found: Measures = {"mean": float(mean), "std": norm_of(y - mean) / math.sqrt(y.size)}
    if layer.can_die:
        zero = y == 0
        found["zeros"] = np.count_nonzero(zero) / y.size
        found["dead"] = float(zero.reshape(-1, y.shape[-1] if y.ndim > 1 else 1).all(axis=0).mean())
    if layer.saturation is not None:
        middle, distance = layer.saturation
        found["saturated"] = np.count_nonzero(np.abs(y - middle) > distance) / y.size
    return found


def _of_gradient(dy: Array | None) -> Measures:
    if dy is None:
        return {"gradient_norm": math.nan, "gradient_std": math.nan}
    return {
        "gradient_norm": norm_of(dy),
        "gradient_std": norm_of(dy - dy.sum() / dy.size) / math.sqrt(dy.size),
    }
