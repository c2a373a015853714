"""Names: of optimizers, losses, and of what other libraries call otherwise."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import elsewhere
from chainrule.errors import ArgumentError, ShapeError, did_you_mean
from chainrule.layers import loss as losses

X = np.random.default_rng(0).normal(size=(20, 4))
K = np.arange(20) % 3


def network(loss: Any = "cross_entropy") -> cr.Network:
    return cr.Network([cr.Affine(5), cr.ReLU(), cr.Affine(3)], input_shape=4, loss=loss, seed=0)


@pytest.mark.parametrize("name", cr.optimizers.KINDS)
def test_an_optimizer_by_its_name(name: str) -> None:
    nets = [network(), network()]
    nets[0].fit(X, K, optimizer=name.upper(), epochs=2)
    nets[1].fit(X, K, optimizer=cr.optimizers.get(name), epochs=2)
    np.testing.assert_array_equal(nets[0].params.flat, nets[1].params.flat)
    assert nets[0].training(X, K, optimizer=name).optimizer == cr.optimizers.get(name)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("cross_entropy", "SoftmaxCrossEntropy()"),
        ("binary_cross_entropy", "SigmoidCrossEntropy()"),
        ("mean_squared_error", "MeanSquaredError()"),
        ("mse", "MeanSquaredError()"),
        ("mean_absolute_error", "MeanAbsoluteError()"),
        ("MAE", "MeanAbsoluteError()"),
        ("huber", "Huber()"),
    ],
)
def test_a_loss_by_its_name(name: str, loss: str) -> None:
    assert repr(network(name).loss_layer) == loss
    assert repr(losses.get(name)) == loss


def test_every_loss_has_a_name() -> None:
    known = {cls for cls in vars(losses).values() if isinstance(cls, type) and issubclass(cls, cr.Loss)}
    assert set(losses.NAMES.values()) == known - {cr.Loss}
    assert repr(losses.get("huber", delta=2.0)) == "Huber(delta=2.0)"
    with pytest.raises(ArgumentError, match=r"unknown loss 'cross_entrpy'; did you mean 'cross_entropy'\?"):
        losses.get("cross_entrpy")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("categorical_crossentropy", "cross_entropy"),
        ("sparse_categorical_crossentropy", "cross_entropy"),
        ("CrossEntropyLoss", "cross_entropy"),
        ("crossentropy", "cross_entropy"),
        ("cross-entropy", "cross_entropy"),
        ("log_loss", "cross_entropy"),
        ("SoftmaxCrossEntropy", "cross_entropy"),
        ("BCE", "binary_cross_entropy"),
        ("binary_crossentropy", "binary_cross_entropy"),
        ("squared_error", "mean_squared_error"),
        ("L1Loss", "mean_absolute_error"),
    ],
)
def test_a_loss_by_its_name_elsewhere(name: str, meant: str) -> None:
    with pytest.raises(ArgumentError, match=rf"unknown loss '{name}'; did you mean '{meant}'\?"):
        network(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("score", r"write net.accuracy\(x, t\)"),
        ("compile", r"cr.Network\(..., loss=...\), and the optimizer to net.fit"),
        ("save", r"write cr.save\(net, path\)"),
        ("add", r"give all layers when the network is made"),
        ("state_dict", r"net.params and net.state"),
        ("coefs_", r"write net.params"),
        ("evalute", r"did you mean 'evaluate'\?"),
    ],
)
def test_a_method_of_other_libraries(name: str, message: str) -> None:
    net = network()
    with pytest.raises(AttributeError, match=rf"a network has no attribute '{name}'; .*{message}"):
        getattr(net, name)
    assert not hasattr(net, name)
    assert not hasattr(net, "__array__")
    twins = pickle.loads(pickle.dumps(net)), copy.copy(net), copy.deepcopy(net)
    for twin in twins:
        np.testing.assert_array_equal(twin.params.flat, net.params.flat)


def test_no_method_of_other_libraries_is_one_here() -> None:
    assert not any(elsewhere.method_here(name) for name in dir(cr.Network) if name[0] != "_")


@pytest.mark.parametrize("form", [list, tuple])
def test_layers_in_a_list(form: Any) -> None:
    layers = cr.Affine(5), cr.ReLU(), cr.Affine(3)
    net = cr.Network(form(layers), input_shape=4, loss="cross_entropy", seed=0)
    plain = cr.Network(*layers, input_shape=4, loss=cr.SoftmaxCrossEntropy(), seed=0)
    np.testing.assert_array_equal(net.predict(X), plain.predict(X))
    with pytest.raises(ArgumentError, match="either layers with input_shape=, or output="):
        cr.Network(form(layers), output=net.output)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Dense", "did you mean 'Affine'?"),
        ("Linear", "did you mean 'Affine'?"),
        ("CrossEntropyLoss", "did you mean 'SoftmaxCrossEntropy'?"),
        ("MSELoss", "did you mean 'MeanSquaredError'?"),
        ("Sequential", "did you mean 'Network'?"),
        ("MLPClassifier", "did you mean 'Network'?"),
        ("Afine", "did you mean 'Affine'?"),
        ("Relu", "did you mean 'ReLU'?"),
        ("Conv2D", "there is no convolution in chainrule"),
        ("MaxPool2d", "there is no pooling in chainrule"),
        ("LSTM", "there is no recurrent layer in chainrule"),
    ],
)
def test_an_attribute_that_is_not_there(name: str, message: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(cr, name)
    assert f"module 'chainrule' has no attribute '{name}'; {message}" in str(caught.value)
    assert not hasattr(cr, name)
    assert not hasattr(cr, "_" + name)
    assert getattr(cr, name, 5) == 5


def test_an_attribute_that_a_room_has_not() -> None:
    with pytest.raises(
        AttributeError, match=r"'chainrule.layers' has no attribute 'Dense'; did you mean 'Affine'"
    ):
        cr.layers.Dense  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(
        AttributeError, match=r"'chainrule.optimizers' has no attribute 'Adm'; did you mean 'Adam'"
    ):
        cr.optimizers.Adm  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(cr.layers, "__path_of__")


def test_the_names_here_are_names() -> None:
    """Each is one of the package, of its measures, or of an argument; and none is called otherwise here."""
    arguments = {"learning_rate", "weight_decay", "beta1", "epsilon", "sample_weight", "validation", "seed"}
    arguments |= {"iterations", "progress", "test_loss", "test_accuracy", "train_loss", "train_accuracy"}
    for other, here in elsewhere.CALLED_HERE.items():
        assert hasattr(cr, here) or here in arguments, here
        assert other == other.lower().replace("_", "")
        assert did_you_mean(other, [here]).startswith(f"did you mean '{here}'?")
    assert {name.lower() for name in cr.__all__} & set(elsewhere.CALLED_HERE) == {"loss"}  # of EarlyStopping
    assert not any(elsewhere.missing_here(name) for name in cr.__all__)


@pytest.mark.parametrize(("name", "here"), [("lr", "learning_rate"), ("weight_decay", "weight_decay")])
def test_arguments_of_the_optimizer_given_to_fit(name: str, here: str) -> None:
    with pytest.raises(
        TypeError, match=rf"'{name}'; it belongs to the optimizer, optimizer=cr.Adam\({here}=0.1\)"
    ):
        network().fit(X, K, epochs=1, **{name: 0.1})
    for argument, advice in (
        ("eps", r"cr.Adam\(epsilon=0.1\)"),
        ("momentum", r"cr.Momentum\(momentum=0.1\)"),
        ("class_weight", r"loss=cr.SoftmaxCrossEntropy\(class_weights=\[...\]\)"),
        ("class_weights", r"loss=cr.SoftmaxCrossEntropy\(class_weights=\[...\]\)"),
    ):
        with pytest.raises(TypeError, match=rf"'{argument}'; .*{advice}"):
            network().fit(X, K, epochs=1, **{argument: 0.1})
    with pytest.raises(TypeError, match=r"'validation_split'; did you mean 'validation'\?"):
        network().fit(X, K, epochs=1, validation_split=0.1)


def test_a_single_callback_needs_no_list() -> None:
    nets = [network(), network()]
    stop = cr.EarlyStopping("train_loss", patience=1, min_change=10)
    histories = [
        net.fit(X, K, epochs=9, callbacks=given) for net, given in zip(nets, (stop, [stop]), strict=True)
    ]
    assert histories[0].stopped == histories[1].stopped != "finished"


@pytest.mark.parametrize("call", ["fit", "training", "loss", "evaluate", "gradient"])
def test_data_and_targets_swapped(call: str) -> None:
    more = {"epochs": 1} if call == "fit" else {}
    for t in (K, np.array(["a", "b", "c"])[K], np.eye(3)[K]):
        with pytest.raises(ShapeError, match="x and t are probably swapped"):
            getattr(network(), call)(t, X, **more)
    with pytest.raises(ShapeError) as caught:
        network().fit(X[:, :3], K, epochs=1)
    assert "swapped" not in str(caught.value)
