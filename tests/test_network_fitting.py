"""An activation in the wrong place is said, and one in the right place is not."""

import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ChainruleWarning
from chainrule.network.fitting import misfit, reach


def network(*last: cr.Layer, loss: cr.Loss) -> cr.Network:
    return cr.Network(cr.Affine(8), cr.ReLU(), cr.Affine(3), *last, input_shape=4, loss=loss, seed=0)


@pytest.mark.parametrize("loss", [cr.SoftmaxCrossEntropy(), cr.SigmoidCrossEntropy()])
@pytest.mark.parametrize(
    "last", [cr.Softmax(), cr.Sigmoid(), cr.ReLU(), cr.Tanh(), cr.Softplus(), cr.ELU(), cr.GELU(), cr.SiLU()]
)
def test_an_activation_before_a_loss_of_logits_is_said(last: cr.Layer, loss: cr.Loss) -> None:
    with pytest.warns(ChainruleWarning, match=r"takes logits.* leave .* out") as caught:
        net = network(last, loss=loss)
    assert caught[0].filename == __file__
    assert repr(last) in misfit(net.output, net.loss_layer, net.output_shape)


def test_it_is_said_behind_dropout_too_and_once_for_all_copies() -> None:
    with pytest.warns(ChainruleWarning, match="takes logits"):
        net = network(cr.Softmax(), cr.Dropout(0.1), cr.Flatten(), loss=cr.SoftmaxCrossEntropy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.astype("float64")


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        ([], cr.SoftmaxCrossEntropy()),
        ([cr.LogSoftmax()], cr.SoftmaxCrossEntropy()),
        ([cr.LeakyReLU()], cr.SigmoidCrossEntropy()),
        ([cr.Sigmoid()], cr.MeanSquaredError()),
        ([cr.ReLU()], cr.MeanAbsoluteError()),
        ([cr.ReLU(), cr.Affine(3)], cr.SoftmaxCrossEntropy()),
    ],
)
def test_what_fits_is_not_said(last: list[cr.Layer], loss: cr.Loss) -> None:
    net = network(*last, loss=loss)
    assert misfit(net.output, loss, net.output_shape) == ""


@pytest.mark.parametrize(
    ("last", "outputs", "loss", "message"),
    [
        ([], 1, "cross_entropy", 'over one output is always 0.*use the loss "binary_cross_entropy"'),
        ([cr.Softmax()], 1, "mse", r"Softmax\(\) over one output is always 1.*leave it out"),
        ([cr.LogSoftmax()], 1, "mse", r"LogSoftmax\(\) over one output is always 0"),
        ([cr.Softmax()], 3, "mse", ""),
        ([cr.Softmax(), cr.Reshape((-1, 3, 1))], 3, "mse", ""),
        ([cr.Sigmoid()], 1, "mse", ""),
        ([], 1, "binary_cross_entropy", ""),
    ],
)
def test_a_softmax_over_one_output_is_said(last: Any, outputs: int, loss: str, message: str) -> None:
    make = lambda: cr.Network([cr.Affine(outputs), *last], input_shape=4, loss=loss)  # noqa: E731
    if message:
        with pytest.warns(ChainruleWarning, match=message):
            make()
    else:
        make()


def test_a_softmax_less_learns_better_which_is_why_it_is_said() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    t = (x[:, 0] > 0).astype(int) + (x[:, 1] > 1)
    with pytest.warns(ChainruleWarning):
        poor = network(cr.Softmax(), loss=cr.SoftmaxCrossEntropy())
    good = network(loss=cr.SoftmaxCrossEntropy())
    for net in (poor, good):
        net.fit(x, t, optimizer=cr.SGD(0.1), epochs=20)
    assert good.loss(x, t) < 0.8 * poor.loss(x, t)


@pytest.mark.parametrize(
    ("last", "low", "words"),
    [
        (cr.ReLU(), -1.0, "numbers of 0 or more"),
        (cr.Sigmoid(), -1.0, "from 0 to 1"),
        (cr.Tanh(), 0.0, "from -1 to 1"),
        (cr.Softmax(), 2.0, "from 0 to 1"),
        (cr.ELU(), -3.0, "of -1 or more"),
    ],
)
def test_targets_that_the_last_layer_never_gives_are_said(last: cr.Layer, low: float, words: str) -> None:
    t = np.linspace(low, low + 3, 60).reshape(20, 3)
    net = network(last, loss=cr.MeanSquaredError())
    with pytest.warns(ChainruleWarning, match=words):
        net.fit(np.ones((20, 4)), t, optimizer=cr.SGD(0.01), epochs=1)


def test_targets_in_reach_are_not_said() -> None:
    t = np.linspace(0, 1, 60).reshape(20, 3)
    for last in ([cr.Sigmoid()], [cr.ReLU()], [cr.Tanh()], [cr.LeakyReLU()], []):
        network(*last, loss=cr.MeanSquaredError()).fit(np.ones((20, 4)), t, optimizer=cr.SGD(0.01), epochs=1)


def test_reach() -> None:
    assert reach(cr.ReLU()) == (0, 1e4)
    assert reach(cr.Sigmoid()) == (0, 1)
    assert reach(cr.GELU())[0] == pytest.approx(-0.17, abs=0.01)


def test_targets_out_of_reach_are_said_behind_an_inverted_standardize_too() -> None:
    t = np.linspace(100, 300, 60).reshape(20, 3)
    net = network(cr.ReLU(), cr.Standardize.of(t, invert=True), loss=cr.MeanSquaredError())
    with pytest.warns(ChainruleWarning, match="numbers of 0 or more"):
        net.fit(np.ones((20, 4)), t, epochs=1)
