"""What layers say about themselves: that it is true, and that pictures and reports go by it."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.layers import Layer, Loss
from chainrule.loop import History
from chainrule.reports.network import weights_of_images
from chainrule.reports.run import TrainingRun
from chainrule.saving.evaluations import About, described
from layer_cases import LayerCase, all_cases, all_layers

CASES = all_cases()
LOSSES = [cr.SoftmaxCrossEntropy(), cr.SigmoidCrossEntropy(), cr.MeanSquaredError()]
LOSSES += [cr.MeanAbsoluteError(), cr.Huber()]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_layers_say_is_so(case: LayerCase) -> None:
    layer = case.make()
    inputs = case.inputs(np.random.default_rng(0), np.float64)
    if layer.matrix_input is not None:
        assert layer.signature.inputs.index(layer.matrix_input) == 1
    if layer.units is not None:
        assert case.forward(layer, inputs)[0].shape[-1] == layer.units
    if layer.moves_elements and case.layer is not cr.Dropout:  # which scales what it keeps
        assert np.isin(case.forward(layer, inputs)[0], np.concatenate([np.ravel(x) for x in inputs])).all()
    assert not (layer.is_activation and layer.parameters())


def test_all_activations_say_so() -> None:
    found = {cls.__name__ for cls in all_layers() if cls.is_activation}
    assert found == {
        *("ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Softplus"),
        *("Sigmoid", "Tanh", "Softmax", "LogSoftmax"),
    }


@pytest.mark.parametrize("layer", [cr.Sigmoid(), cr.Tanh()], ids=repr)
def test_saturated_is_where_the_slope_is_a_hundredth_of_its_maximum(layer: Layer) -> None:
    assert layer.saturation is not None
    middle, distance = layer.saturation
    x = np.linspace(-9, 9, 20_001)
    y, saved = layer.forward(x)
    slope = layer.backward(np.ones_like(x), saved)
    np.testing.assert_array_equal(np.abs(y - middle) > distance, slope < slope.max() / 100)


@pytest.mark.parametrize(
    ("layer", "x", "least"),
    [
        (cr.BatchNorm(), (1, 6), 2),
        (cr.BatchNorm(axis=-1), (1, 6), 2),
        (cr.BatchNorm(), (1, 6, 1), 2),
        (cr.BatchNorm(), (1, 6, 3), 1),
        (cr.BatchNorm(axis=-1), (1, 3, 6), 1),
        (cr.LayerNorm(), (1, 6), 1),
        (cr.Affine(3), (1, 6), 1),
    ],
    ids=repr,
)
def test_the_least_number_of_rows_to_train_on(layer: Layer, x: tuple[int, ...], least: int) -> None:
    assert layer.least_rows(x) == least


def test_a_layer_of_ones_own_may_need_several_rows() -> None:
    class Pairs(cr.Layer):
        """y = x,    dL/dx = dL/dy."""

        def least_rows(self, x: tuple[int, ...]) -> int:
            return 5 if x == (1, 4) else 1

        def forward(self, x):
            return x, None

        def backward(self, dy, saved):
            return dy

    x = np.ones((23, 4))
    net = cr.Network(Pairs(), cr.Affine(1), input_shape=4, loss=cr.MeanSquaredError(), seed=0)
    with pytest.raises(cr.errors.ArgumentError, match="at least 5 rows, got 4"):
        net.fit(x, x[:, :1], epochs=1, batch_size=4)
    assert len(net.fit(x, x[:, :1], epochs=1, batch_size=10).loss) == 2  # the three left over join the second


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("shape", [(6, 1), (6, 3), (6, 2, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_example_targets_are_targets(loss: Loss, shape: tuple[int, ...], dtype: str) -> None:
    for rng in (None, np.random.default_rng(0)):
        t = loss.example_targets(shape, dtype, rng)
        loss.check_targets(t, shape)
        assert t.any() == (rng is not None and shape[-1] > 1) or loss.task != "classification"


def test_every_loss_says_its_task() -> None:
    found = {cls.__name__: cls.task for cls in all_layers() if issubclass(cls, Loss)}
    assert found.pop("SoftmaxCrossEntropy") == "classification"
    assert found.pop("SigmoidCrossEntropy") == "multilabel"
    assert found.pop("HalfPoissonDeviance") == ""  # its output is the logarithm of what is predicted
    assert set(found.values()) == {"regression"}
    assert Loss.task == ""


# A layer of one's own -------------------------------------------------------------------------------------


class Dense(cr.Layer):
    """y = x K,    dL/dx = dL/dy K^T,    dL/dK = x^T dL/dy."""

    matrix_input = "K"

    def __init__(self, units: int) -> None:
        self.units = units

    def parameters(self):
        return {"K": cr.ParameterSpec(lambda x: (x[-1], self.units), cr.initializers.He())}

    def forward(self, x, K):
        return x @ K, (x, K)

    def backward(self, dy, saved):
        x, K = saved
        return dy @ K.T, x.T @ dy


class HardTanh(cr.Layer):
    """y = x cut off at -1 and 1,    dL/dx = dL/dy where |x| < 1, else 0."""

    is_activation = True
    can_die = True
    saturation = 0.0, 0.999

    def forward(self, x):
        return np.clip(x, -1, 1), x

    def backward(self, dy, x):
        return np.where(np.abs(x) < 1, dy, 0)


class Square(cr.Layer):
    """y = x^2,    dL/dx = 2 x dL/dy."""

    symbol = "x²"

    def forward(self, x):
        return x * x, x

    def backward(self, dy, x):
        return 2 * x * dy


class Reversed(cr.Layer):
    """y = x with its features in reverse,    dL/dx = dL/dy in reverse."""

    moves_elements = True

    def forward(self, x):
        return x[:, ::-1], None

    def backward(self, dy, saved):
        return dy[:, ::-1]


def test_layers_of_ones_own_are_examined_drawn_and_described_by_what_they_say() -> None:
    net = cr.Network(
        Dense(5),
        HardTanh(),
        Square(),
        Reversed(),
        Dense(2),
        input_shape=4,
        loss=cr.MeanSquaredError(),
        seed=0,
    )
    x = np.random.default_rng(0).normal(size=(40, 4))
    history = net.fit(x, x[:, :2], iterations=2, batch_size=10, callbacks=[cr.Health()])
    assert list(history.health["layers"]) == ["dense1", "hardtanh1", "dense2"]
    measures = history.health["layers"]["hardtanh1"]
    assert {"saturated", "zeros", "dead"} <= set(measures)
    assert measures["saturated"][0] == np.mean(np.abs(x @ _first(net, x)) > 0.999) > 0
    assert described(net) == "4 → 5 → 2, HardTanh"
    labels = {node.name: (node.kind, node.label) for node in cr.draw(net).scene.nodes}
    assert labels["square1"] == ("operation", "x²")
    assert labels["dense1"] == ("layer", "Dense")
    found = weights_of_images(TrainingRun("run", History(), About(), net, image_shape=(2, 2)))
    assert found is not None
    assert found[0] == "K1"


def _first(net: cr.Network, x: np.ndarray) -> np.ndarray:
    """The first weights as they were before training."""
    return cr.Network(Dense(5), input_shape=4, seed=net.seed).params["K1"].astype(np.float64)
