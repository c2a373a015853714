"""Standardize: data and targets on a scale that networks learn on, and what is said where they are not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleWarning, DataError, DivergedError, ShapeError
from chainrule.network.scales import _sample

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 4)) * [1, 20, 3000, 0.1] + [0, 5, 20000, 1]
T = X @ [[1.0], [2.0], [0.01], [5.0]] * 1000 + 3e5
NEAR = (X - X.mean(axis=0)) / X.std(axis=0)
UNITS = (T - T.mean()) / T.std()


def network(*layers: Any, loss: Any = None, **arguments: Any) -> cr.Network:
    loss = cr.MeanSquaredError() if loss is None else loss
    layers = layers or (cr.Affine(8), cr.ReLU(), cr.Affine(1))
    return cr.Network(*layers, input_shape=4, loss=loss, seed=0, **arguments)


def scaled(*ends: Any, **arguments: Any) -> cr.Network:
    return network(
        cr.Standardize.of(X),
        cr.Affine(8),
        cr.ReLU(),
        cr.Affine(1),
        cr.Standardize.of(T, invert=True),
        **arguments,
    )


def test_the_numbers_are_those_of_the_columns() -> None:
    layer = cr.Standardize.of(X)
    np.testing.assert_allclose(layer.forward(X)[0], NEAR, rtol=1e-12, atol=1e-9)
    back = cr.Standardize.of(X, invert=True)
    np.testing.assert_allclose(back.forward(NEAR)[0], X, rtol=1e-12, atol=1e-9)
    images = RNG.normal(size=(9, 1, 2, 3))
    assert cr.Standardize.of(images).mean.shape == (1, 2, 3)
    for column in (T, T[:, 0]):  # one number fits both forms of targets
        assert cr.Standardize.of(column).mean.shape == ()


def test_a_constant_column_is_centred_alone() -> None:
    x = np.column_stack([np.full(7, 0.1), np.arange(7)])
    layer = cr.Standardize.of(x)
    assert layer.std[0] == 1
    np.testing.assert_allclose(layer.forward(x)[0][:, 0], 0, atol=1e-15)
    assert cr.Standardize([0.0], [0.0]).forward(np.ones((2, 1)))[0].tolist() == [[1], [1]]


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(DataError, match="the data hold nan at row 1, column 0"):
        cr.Standardize.of([[1.0, 2], [np.nan, 1]])
    with pytest.raises(DataError, match="expected an array with rows"):
        cr.Standardize.of(np.zeros((0, 3)))
    with pytest.raises(DataError, match="text"):
        cr.Standardize.of([["a"]])
    for wrong in (([1, 2], [1]), ([1], [-1]), ([np.nan], [1])):
        with pytest.raises(ArgumentError, match="Standardize: expected"):
            cr.Standardize(*wrong)
    with pytest.raises(ArgumentError, match="invert to be True or False"):
        cr.Standardize(1, 2, invert=3)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"columns of shape \(3,\).*cr.Standardize.of\(x_train\)"):
        network(cr.Standardize([1, 2, 3], [1, 2, 3]))


def test_thousands_of_columns_are_saved_shown_and_copied(tmp_path: Any) -> None:
    x = RNG.normal(size=(5, 3000)) * 7 + 2
    net = cr.Network(
        cr.Standardize.of(x),
        cr.Affine(1),
        cr.Standardize.of(T, invert=True),
        input_shape=3000,
        loss=cr.MeanSquaredError(),
        seed=0,
    )
    again = cr.load(cr.save(net, tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(again.predict(x), net.predict(x))
    np.testing.assert_allclose(net.astype("float64").predict(x), net.predict(x), rtol=1e-5)
    assert len(repr(cr.Standardize.of(x))) < 200
    assert "Standardize" in str(net.summary())
    assert repr(cr.Standardize([1.0, 2.0], [3.0, 4.0], True)) == (
        "Standardize(mean=[1, 2], std=[3, 4], invert=True)"
    )
    assert repr(cr.Standardize(1 / 3, 2 / 3)) == "Standardize(mean=0.3333, std=0.6667)"
    assert repr(cr.Standardize(np.arange(5) / 7, np.ones(5))) == (
        "Standardize(mean=[0, ..., 0.5714], std=[1, ..., 1])"
    )


def test_gradients_are_right() -> None:
    net = scaled(dtype="float64")
    assert cr.check(net, X[:5], T[:5]).passed
    assert not net.program(5).trains_in_python


@pytest.mark.parametrize("loss", [cr.MeanSquaredError(), cr.MeanAbsoluteError(), cr.Huber()], ids=repr)
def test_a_default_fit_learns_targets_of_any_scale(loss: cr.Loss) -> None:
    net = scaled(loss=loss)
    net.fit(X, T, epochs=60, batch_size=20)
    assert np.mean((net.predict(X) - T) ** 2) < 0.05 * T.var()


@pytest.mark.parametrize("unit", [1e-12, 1e-3, 1e5, 1e20])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", cr.SGD(0.1), cr.Adam(0.01), None], ids=str)
def test_every_optimizer_learns_in_every_unit(unit: float, optimizer: Any) -> None:
    t = np.hstack([NEAR[:, :1], NEAR[:, 1:2] * 1e5]) * unit  # two outputs of different scale
    net = network(cr.Affine(20), cr.ReLU(), cr.Affine(2), cr.Standardize.of(t, invert=True))
    history = net.fit(NEAR, t, epochs=100, batch_size=20, optimizer=optimizer)
    left = np.mean((net.predict(NEAR).astype(float) - t) ** 2, axis=0) / t.var(axis=0)
    assert left.max() < 0.1
    assert net.loss(NEAR, t) == pytest.approx(left.mean(), rel=1e-3) == history.train_loss[-1]
    assert not net.program(5).trains_in_python


def test_the_loss_in_deviations_is_the_same_on_the_machine_and_in_the_graph(tmp_path: Any) -> None:
    net = scaled(dtype="float64")
    measured = net.loss(X, T)
    graph = net.graph.evaluate({"x": X, "t": T})
    assert measured == pytest.approx(float(graph), rel=1e-12)
    assert net.loss(X, T, np.ones(len(X))) == pytest.approx(measured, rel=1e-12)
    assert cr.load(cr.save(net, tmp_path / "model.safetensors")).loss(X, T) == measured
    assert measured == pytest.approx(np.mean((net.predict(X) - T) ** 2) / T.var(), rel=1e-12)


def test_columns_too_fine_for_the_dtype_are_said() -> None:
    x = 1.7e9 + NEAR
    with pytest.warns(
        ChainruleWarning, match="x differs from row to row by too little .* float32: column 0 has mean"
    ):
        network(cr.Standardize.of(x), cr.Affine(1)).training(x, UNITS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network(cr.Standardize.of(x), cr.Affine(1), dtype="float64").training(x, UNITS)


# What is said -----------------------------------------------------------------------------------------------


def said(net: cr.Network, x: Any, t: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net.training(x, t)
    assert all(each.category is ChainruleWarning and each.filename == __file__ for each in caught)
    return [str(each.message) for each in caught]


def test_large_and_small_columns_are_said_with_the_line_to_add() -> None:
    (text,) = said(network(), X, UNITS)
    assert text.startswith(
        "x is on a scale that networks learn badly on: column 2 has mean 2e+04 and standard dev"
    )
    assert text.endswith("cr.Network(cr.Standardize.of(x), ...)")
    (text,) = said(network(), NEAR, T)
    assert text.startswith("t is on a scale")
    assert text.endswith("cr.Network(..., cr.Standardize.of(t, invert=True))")
    (text,) = said(network(), np.where(np.arange(4) == 1, 1e-5, 1) * NEAR, UNITS)
    assert "column 1 has mean" in text
    assert len(said(network(), X, T)) == 2
    assert len(said(network(), NEAR, UNITS * 1e-5)) == 1
    assert len(said(network(), NEAR + np.array([2000, 0, 0, 0]), UNITS)) == 1  # such as years


def test_fit_says_it_once_at_the_line_of_the_caller() -> None:
    with pytest.warns(ChainruleWarning, match="on a scale") as caught:
        network().fit(X, UNITS, epochs=3, optimizer=cr.SGD(1e-12))
    assert [each.filename for each in caught] == [__file__]


def test_nothing_is_said_of_what_is_scaled_or_of_no_scale() -> None:
    norms = cr.Standardize.of(X), cr.BatchNorm(), cr.LayerNorm()
    for norm in norms:
        assert not said(network(norm, cr.Affine(1)), X, UNITS)
        assert not said(network(cr.Flatten(), norm, cr.Affine(1)), X, UNITS)
    x = cr.Input("x", shape=(4,))
    by_hand = cr.Affine(1)((x - X.mean(axis=0)) / X.std(axis=0)) * float(T.std()) + float(T.mean())
    assert not said(cr.Network(output=by_hand, loss=cr.MeanSquaredError(), seed=0), X, T)
    assert not said(scaled(), X, T)
    assert said(network(cr.Affine(2), cr.BatchNorm(), cr.Affine(1)), X, UNITS)  # too late
    assert not said(network(), np.where(np.arange(4) == 1, 0.0, NEAR), UNITS)  # a constant column
    one_hot = np.eye(4)[RNG.integers(4, size=400)]
    assert not said(network(), one_hot, UNITS)
    rare = np.zeros((400, 4))
    rare[3, 1] = 1 / 255  # a pixel that is seldom lit
    assert not said(network(), rare, UNITS)
    ids = RNG.integers(5000, size=(400, 4))
    words = network(cr.Embedding(5000, 3), cr.Flatten(), cr.Affine(1))
    assert not said(words, ids, UNITS)
    labels = network(cr.Affine(3), loss=cr.SoftmaxCrossEntropy())
    assert not said(labels, NEAR, RNG.integers(3, size=400))


def test_an_input_of_several_is_named() -> None:
    x, price = cr.Input("x", shape=(4,)), cr.Input("price", shape=(1,))
    net = cr.Network(output=cr.Affine(1)(cr.Concatenate()(x, price)), loss=cr.MeanSquaredError(), seed=0)
    (text,) = said(net, {"x": NEAR, "price": T}, UNITS)
    assert text.startswith("price is on a scale")
    assert "cr.Standardize.of(x['price'])(price)" in text


def test_few_rows_are_looked_at() -> None:
    x = np.ones((20_000, 5))
    x[1::80] = 1e9  # every 80th row from the second on, and the first of 80 are looked at
    assert len(_sample(x)) == 250
    assert not said(network(cr.Affine(1)), x[:, :4], np.ones((20_000, 1)))


@pytest.mark.parametrize("size", [1e-3, 0.1, 1.0, 30.0, 1e3])
def test_a_default_training_diverges_nowhere_from_a_thousandth_to_a_thousand(size: float) -> None:
    """It is silent where it learns, and says so where it does not."""
    x = RNG.normal(size=(320, 3))
    t = x.sum(axis=1, keepdims=True) / 2
    for inputs, targets in ((size * x, t), (x, size * t)):
        net = cr.Network(
            cr.Affine(50), cr.ReLU(), cr.Affine(1), input_shape=3, loss=cr.MeanSquaredError(), seed=0
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            net.fit(inputs, targets, epochs=20)
        explained = 1 - net.loss(inputs, targets) / targets.var()
        texts = [str(each.message) for each in caught]
        assert len(texts) == (explained < 0.1), (explained, texts)
        assert all(
            "hardly better than one answer for all" in text and "cr.Standardize.of(" in text for text in texts
        )
        assert explained > 0.5 or not 0.1 <= size <= 3
        assert np.mean(net.graph.evaluate({"x": inputs}, "relu1").max(axis=0) > 0) > 0.2


def test_a_classifier_that_learnt_nothing_says_so_also_of_rows_sorted_by_class() -> None:
    x = RNG.normal(size=(600, 2)) + 500
    t = np.sort(RNG.integers(2, size=600))
    layers = [cr.Affine(20), cr.ReLU(), cr.Affine(2)]
    net = cr.Network(layers, input_shape=2, loss="cross_entropy", seed=0)
    with pytest.warns(
        ChainruleWarning, match=r"hardly better than one answer for all, and x is about 5e\+02"
    ):
        net.fit(x, t, epochs=20)
    constant = cr.Network(cr.Affine(1), input_shape=2, loss="mse", seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant.fit(x, np.full((600, 1), 3.0), epochs=20)


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e3, 1e6])
def test_standardized_a_line_is_learnt_in_any_unit(unit: float) -> None:
    x = RNG.normal(size=(320, 3))
    t = unit * (x.sum(axis=1, keepdims=True) + 2)
    net = cr.Network(
        cr.Standardize.of(unit * x),
        cr.Affine(50),
        cr.ReLU(),
        cr.Affine(1),
        cr.Standardize.of(t, invert=True),
        input_shape=3,
        loss=cr.MeanSquaredError(),
        seed=0,
    )
    net.fit(unit * x, t, epochs=20)
    assert np.mean((net.predict(unit * x) - t) ** 2) < 0.05 * t.var()


# What a divergence comes from -------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.* is on a scale")
@pytest.mark.parametrize(
    ("x", "t", "rate", "cause", "message"),
    [
        (
            NEAR,
            T,
            0.1,
            "targets",
            r"the targets are about 5e\+05: scale them, cr.Standardize.of\(t, invert=True\)",
        ),
        (
            X * 1e3,
            UNITS,
            0.1,
            "inputs",
            r"the inputs are about 2e\+07 \(column 2\): scale them, cr.Standardize.of",
        ),
        (X, T, 0.1, "targets", r"the targets are about 5e\+05"),
        (X * 1e6, T, 0.1, "inputs", r"the inputs are about 2e\+10"),
        (
            NEAR,
            UNITS,
            100,
            "rate",
            "the learning rate 100 is too large: try a smaller learning rate, such as 0.1, or",
        ),
        (50 * NEAR, UNITS, 0.5, "inputs", r"the inputs are about 7e\+01"),
        (50 * NEAR, UNITS, 1e4, "rate", "the learning rate 1e[+]04 is too large"),
    ],
)
def test_a_divergence_names_one_cause(x: Any, t: Any, rate: float, cause: str, message: str) -> None:
    net = network(cr.Affine(8), cr.Affine(8), cr.Affine(1))
    with pytest.raises(DivergedError, match=message) as caught:
        net.fit(x, t, epochs=50, batch_size=20, optimizer=cr.SGD(rate))
    assert caught.value.cause == caught.value.history.settings["diverged_by"] == cause
    assert sum(word in str(caught.value) for word in ("the targets are", "the inputs are", "rate")) == 1


def test_weights_that_were_not_finite_and_a_layer_that_is_not_are_causes_too() -> None:
    net = network()
    net.params["W2"] = np.full((8, 1), np.nan)
    with pytest.raises(DivergedError, match="W2 was not finite before") as caught:
        net.fit(NEAR, UNITS, epochs=1)
    assert caught.value.cause == "weights"
    with pytest.raises(
        DivergedError, match=r"neither the data nor the weights are large.*logarithm"
    ) as caught:
        network(cr.Log(), cr.Affine(1)).fit(NEAR, UNITS, epochs=1)
    assert caught.value.cause == "node"
    assert caught.value.node == "log1"
