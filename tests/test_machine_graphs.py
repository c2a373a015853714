"""Random graphs of all layers: the graph, NumPy and the machine, with any number of threads, agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import DivergedError
from chainrule.network import Progress
from chainrule.program import program as programs
from conftest import cut_small, examples

Shape = tuple[int, ...]


class Halved(cr.Layer):
    """y = x / 2, in Python."""

    def forward(self, x: Any) -> Any:
        return x / 2, None

    def backward(self, dy: Any, saved: None) -> Any:
        return dy / 2


ACTIVATIONS = [
    cr.ReLU, cr.Tanh, cr.Sigmoid, cr.LeakyReLU, cr.Softplus, cr.SiLU, cr.ELU, cr.GELU,
    lambda: cr.GELU(approximate=True), cr.Negative,
]  # fmt: skip


class Growing:
    """A graph that grows by a random layer at a time. Numbers stay near 1."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.nodes, self.inputs = draw, [], []
        self.shared: dict[Any, cr.Affine] = {}
        for k in range(self.pick([1, 1, 2])):
            shape = self.pick([(3,), (5,), (8,), (2, 4), (3, 1), (2, 3, 2)])
            self.inputs.append(cr.Input(f"in{k}", shape=shape))
            self.add(self.inputs[-1], shape)
        if self.pick([False, False, True]):
            ids = cr.Input("ids", shape=self.pick([(), (2,)]))
            self.inputs.append(ids)
            self.add(cr.Embedding(6, 4)(ids), (*ids.shape, 4))  # type: ignore[misc]

    def pick(self, choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def add(self, node: Any, shape: Shape) -> None:
        self.nodes.append((node, shape))

    def grow(self) -> None:
        """One more layer."""
        kinds = [name.removeprefix("_add_") for name in dir(self) if name.startswith("_add_")]
        kind = self.pick([*kinds, "affine", "affine"])
        node, shape = self.pick(self.nodes)
        getattr(self, f"_add_{kind}")(node, shape)

    def _add_affine(self, x: Any, shape: Shape) -> None:
        units = self.pick([1, 4, 16, 20])
        fresh = cr.Affine(units, bias=self.pick([True, False]))
        key = shape[-1:], units
        layer = self.shared.setdefault(key, fresh) if self.pick([True, False]) else fresh
        self.add(layer(x), (*shape[:-1], units))

    def _add_activation(self, x: Any, shape: Shape) -> None:
        self.add(self.pick(ACTIVATIONS)()(x), shape)

    def _add_function(self, x: Any, shape: Shape) -> None:
        positive = x * x + 1
        made = [cr.Log()(positive), cr.Sqrt()(positive), cr.Exp()(cr.Tanh()(x)), cr.Power()(positive, 0.3)]
        self.add(self.pick(made), shape)

    def _add_arithmetic(self, x: Any, shape: Shape) -> None:
        others = [other for other, same in self.nodes if same == shape]
        others.append(cr.Parameter(f"p{len(self.nodes)}", np.linspace(0.5, 1, shape[-1])))
        others.append(np.linspace(0.5, 1, shape[-1]))
        others.append(cr.Mean(axis=-1, keepdims=True)(x))
        other = self.pick(others)
        made = [x + other, x - other, x * other, x / (other * other + 1)]
        self.add(self.pick(made), shape)

    def _add_dropout(self, x: Any, shape: Shape) -> None:
        self.add(cr.Dropout(self.pick([0.0, 0.3, 0.8]))(x), shape)

    def _add_norm(self, x: Any, shape: Shape) -> None:
        layers = [cr.BatchNorm(axis=len(shape)), cr.BatchNorm(axis=1), cr.LayerNorm()]
        column = np.linspace(0.5, 1.5, shape[-1])
        layers += [cr.Standardize(column, column), cr.Standardize(0.5, 2, invert=True)]
        if len(shape) > 1:
            layers.append(cr.LayerNorm(axis=(-2, -1)))
        self.add(self.pick(layers)(x), shape)

    def _add_softmax(self, x: Any, shape: Shape) -> None:
        axis = self.pick(range(1, len(shape) + 1))
        self.add(self.pick([cr.Softmax, cr.LogSoftmax])(axis=axis)(x), shape)

    def _add_join(self, x: Any, shape: Shape) -> None:
        others = [(y, s) for y, s in self.nodes if s[:-1] == shape[:-1] and s[-1] + shape[-1] <= 24]
        if others:
            y, other = self.pick(others)
            self.add(cr.Concatenate()(x, y), (*shape[:-1], shape[-1] + other[-1]))

    def _add_index(self, x: Any, shape: Shape) -> None:
        key = self.pick([slice(None, None, -1), slice(0, 1), [0, 0, shape[-1] - 1]])
        columns = np.arange(shape[-1])[key]
        self.add(cr.Index((slice(None), ..., key))(x), (*shape[:-1], len(columns)))

    def _add_shape(self, x: Any, shape: Shape) -> None:
        if len(shape) == 1:
            self.add(cr.Reshape((-1, shape[0], 1))(x), (shape[0], 1))
        elif self.pick([True, False]):
            self.add(cr.Flatten()(x), (int(np.prod(shape)),))
        else:
            self.add(cr.Transpose((0, *range(len(shape), 0, -1)))(x), shape[::-1])

    def _add_reduction(self, x: Any, shape: Shape) -> None:
        if len(shape) > 1:
            axis = self.pick(range(1, len(shape) + 1))
            kind = self.pick([cr.Sum, cr.Mean, cr.Max])
            self.add(kind(axis=axis)(x), shape[: axis - 1] + shape[axis:])

    def _add_batch_mean(self, x: Any, shape: Shape) -> None:
        self.add(x - cr.Mean(axis=0)(x), shape)

    def _add_matrix(self, x: Any, shape: Shape) -> None:
        if len(shape) == 2:
            flipped = cr.Transpose((0, 2, 1))(x)
            self.add(cr.MatMul()(x, flipped) * 0.3, (shape[0], shape[0]))
        else:
            matrix = cr.Parameter(f"m{len(self.nodes)}", np.linspace(-1, 1, shape[-1] * 2).reshape(-1, 2))
            self.add(x @ matrix, (*shape[:-1], 2))

    def _add_python(self, x: Any, shape: Shape) -> None:
        self.add(Halved()(x), shape)

    def output(self) -> Any:
        """Three numbers a row, of the last node, of one before, and of every input."""
        last = [self.nodes[-1], self.pick(self.nodes), *((node, node.shape) for node in self.inputs[:2])]
        made = [
            cr.Affine(3)(x if len(shape) == 1 else cr.Flatten()(x)) for x, shape in last if x.name != "ids"
        ]
        total = made[0]
        for each in made[1:]:
            total = total + each
        return total


LABELS = [cr.SoftmaxCrossEntropy(), cr.SoftmaxCrossEntropy(label_smoothing=0.1, class_weights=[1, 2, 0.5])]
NUMBERS = [cr.MeanSquaredError(), cr.MeanAbsoluteError(), cr.Huber(), cr.SigmoidCrossEntropy([1, 2, 3])]
OPTIMIZERS = [
    cr.SGD(0.01), cr.Momentum(0.01, weight_decay=0.1), cr.Adam(0.01, clip_norm=0.5), cr.AdamW(0.01),
    cr.RMSProp(0.01, clip_value=0.1), cr.AdaGrad(0.01), cr.Nesterov(0.01),
]  # fmt: skip


@st.composite
def networks(draw: st.DrawFn) -> tuple[cr.Network, dict[str, Any], cr.Optimizer]:
    """A network, data for it, and an optimizer."""
    growing = Growing(draw)
    for _ in range(draw(st.integers(1, 8))):
        growing.grow()
    loss = draw(st.sampled_from([*LABELS, *LABELS, *NUMBERS]))
    net = cr.Network(output=growing.output(), loss=loss, seed=draw(st.integers(0, 99)), dtype="float64")
    rows, rng = draw(st.sampled_from([2, 3, 7, 16])), np.random.default_rng(0)
    data = {
        name: rng.integers(0, 6, (rows, *shape)) if name == "ids" else rng.normal(size=(rows, *shape))
        for name, shape in net.input_shapes.items()
    }
    data["t"] = rng.integers(0, 3, rows) if loss in LABELS else rng.random((rows, 3))
    if loss in LABELS and draw(st.booleans()):
        data["t"] = rng.dirichlet(np.ones(3), rows)
    if draw(st.booleans()):
        data["sample_weight"] = rng.uniform(0.1, 2, rows)
    return net, data, draw(st.sampled_from(OPTIMIZERS))


def gradient_of(
    net: cr.Network, data: dict[str, Any], training: bool, kind: str, threads: int, cut: bool = True
) -> tuple[float, np.ndarray]:
    """Loss and flat gradient of the first step, by a new program."""
    with pytest.MonkeyPatch.context() as patch:
        if cut:
            cut_small(patch)
        net.programs._made.clear()
        program = net.program(16, data["t"], "sample_weight" in data)
    assert program.training is not None
    program._free[id(program.training)] = [program.make_executor(program.training, kind)]
    state = {name: value.copy() for name, value in net.state.items()}
    with np.errstate(all="ignore"):
        found = program.loss_and_gradient(data, training=training, step=3, threads=threads)
    net.graph.keep_statistics(state)
    return found


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.booleans())
def test_graph_numpy_and_machine_agree(
    made: tuple[cr.Network, dict[str, Any], cr.Optimizer], training: bool
) -> None:
    net, data, _ = made
    state = {name: value.copy() for name, value in net.state.items()}
    loss = float(net.graph.forward(data, training=training, step=3))
    gradients = net.graph.backward(wrt=net.params)
    net.graph.keep_statistics(state)
    expected = np.concatenate([gradients[name].ravel() for name in net.params])
    size = np.abs(expected).max() + 1e-3
    one = gradient_of(net, data, training, "machine", 1)
    for found, flat in (one, gradient_of(net, data, training, "NumPy", 1)):
        assert found == pytest.approx(loss, rel=1e-10, abs=1e-12)
        np.testing.assert_allclose(flat, expected, rtol=1e-7, atol=1e-9 * size)
    for threads in (2, 5):
        found, flat = gradient_of(net, data, training, "machine", threads)
        assert found == one[0]
        np.testing.assert_array_equal(flat, one[1])
    x = {name: data[name] for name in net.input_shapes}
    np.testing.assert_allclose(net.predict(x), net.graph.evaluate(x, net.output), rtol=1e-9, atol=1e-10)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks())
def test_trainings_are_the_same_for_any_number_of_threads(
    made: tuple[cr.Network, dict[str, Any], cr.Optimizer],
) -> None:
    net, data, optimizer = made
    data = dict(data)
    t, weights = data.pop("t"), data.pop("sample_weight", None)
    start = net.params.flat.copy(), {name: value.copy() for name, value in net.state.items()}
    results = []
    for threads, executor in ((1, "machine"), (2, "machine"), (5, "machine"), (1, "NumPy")):
        net.params.flat[:] = start[0]
        net.graph.keep_statistics(start[1])
        net.iterations, net.progress = 0, Progress()
        net.programs._made.clear()
        with pytest.MonkeyPatch.context() as patch:
            cut_small(patch)
            if executor == "NumPy":
                patch.setattr(programs, "machine", lambda: None)
            try:
                history = net.fit(
                    data,
                    t,
                    epochs=2,
                    batch_size=2,
                    sample_weight=weights,
                    optimizer=optimizer,
                    threads=threads,
                    seed=1,
                )
            except DivergedError:  # numbers that grow with each step are no test of bits
                reject()
        results.append((history.loss, net.params.flat.copy(), [value.copy() for value in net.state.values()]))
    for other in results[1:3]:
        np.testing.assert_equal(other, results[0])
    np.testing.assert_allclose(results[3][0], results[0][0], rtol=1e-5, atol=1e-7)
