"""What users hand in by mistake: each a clear error of chainrule's, with the remedy, before anything changes."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError, DataError, ShapeError
from conftest import printed

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4))
T = RNG.integers(3, size=20)


def network(loss=None, **arguments):
    loss = cr.SoftmaxCrossEntropy() if loss is None else loss
    return cr.Network(cr.Affine(3), input_shape=(4,), loss=loss, **({"seed": 0} | arguments))


def spoiled(value, row=17, column=2):
    x = X.astype(object) if value is None else X.copy()
    x[row, column] = value
    return x


BAD_X = {
    "columns": (X[:, :3], ShapeError, r"expected x of shape \(N, 4\), got \(20, 3\)"),
    "one axis": (X[0], ShapeError, r"got \(4,\); for a single sample use x\[np.newaxis\]"),
    "image": (X.reshape(20, 2, 2), ShapeError, r"got \(20, 2, 2\); reshape it: x.reshape\(-1, 4\)"),
    "number": (1.0, ShapeError, r"got \(\)"),
    "nan": (spoiled(np.nan), DataError, r"x holds nan at row 17, column 2"),
    "infinity": (spoiled(-np.inf, 3, 0), DataError, r"x holds -inf at row 3, column 0"),
    "text": (X.astype(str), DataError, r"x: expected an array of numbers, got dtype <U"),
    "objects": (spoiled(None), DataError, r"x: .*dtype object; None at row 17, column 2 is missing"),
    "complex": (X + 0j, DataError, r"x: expected an array of numbers, got dtype complex"),
    "dates": (np.full((20, 4), "2020", "M8[Y]"), DataError, r"x: expected an array of numbers"),
    "nothing": (None, DataError, r"x: expected an array of numbers"),
    "ragged": ([[1.0, 2, 3, 4], [1.0, 2]], ShapeError, r"x: the rows have different lengths"),
    "unknown input": ({"X": X}, ArgumentError, r"has no input 'X'; did you mean 'x'\?"),
    "missing input": ({}, ArgumentError, r"needs data for the input 'x' too"),
}
BAD_T = {
    "short": (T[:19], ShapeError, r"t: expected one row for each of the 20 rows of x, got shape \(19,\)"),
    "number": (1, ShapeError, r"t: expected one row for each of the 20 rows"),
    "columns": (T[:, np.newaxis].repeat(2, 1), ShapeError, r"got t of shape \(20, 2\); give one label"),
    "fractions": (T + 0.5, DataError, r"labels to be whole numbers, got 1.5 in row 0; to estimate numbers"),
    "missing": (
        np.where(np.arange(20) == 9, np.nan, T),
        DataError,
        r"t: the target in row 9 is missing, nan",
    ),
    "too large": (np.where(np.arange(20) == 9, 3, T), DataError, r"labels from 0 to 2, got 3 in row 9"),
    "negative": (np.where(np.arange(20) == 9, -1, T), DataError, r"labels from 0 to 2, got -1 in row 9"),
    "text": (np.array(["cat"] * 20), DataError, r"t: .*'cat'.*net.classes = \[...\]"),
    "None": ([None, *T[1:]], DataError, r"t: the target in row 0 is missing, None"),
    "dates": (np.full(20, "2020", "M8[Y]"), DataError, r"t: expected numbers, or labels .* got a date"),
    "mixed": (["cat", *T[1:]], DataError, r"t: .*text, 'cat' in row 0, and whole numbers, .* in row 1"),
    "ragged": ([[1], [1, 2]] * 10, ShapeError, r"t: the rows have different lengths"),
    "no distribution": (np.ones((20, 3)), DataError, r"distribution.*in row 0"),
    "nan": (np.full((20, 3), np.nan), DataError, r"finite targets, got nan in row 0"),
}


def calls(net):
    return (
        net.loss,
        net.accuracy,
        net.evaluate,
        net.gradient,
        net.numerical_gradient,
        lambda x, t: net.fit(x, t, epochs=1, batch_size=5),
    )


def refused(net, call, kind, message):
    before = net.params.flat.copy()
    with pytest.raises(kind, match=message) as caught:
        call()
    assert isinstance(caught.value, ChainruleError)
    assert net.iterations == 0
    np.testing.assert_array_equal(net.params.flat, before)


@pytest.mark.parametrize("name", BAD_X)
def test_bad_data(name):
    x, kind, message = BAD_X[name]
    net = network()
    for call in calls(net):
        refused(net, lambda call=call: call(x, T), kind, message)
    refused(net, lambda: net.predict(x), kind, message)


@pytest.mark.parametrize("name", BAD_T)
def test_bad_targets(name):
    t, kind, message = BAD_T[name]
    net = network()
    for call in calls(net):
        refused(net, lambda call=call: call(X, t), kind, message)


@pytest.mark.parametrize("name", BAD_X)
def test_bad_validation_data_is_said_to_be_that(name):
    x, kind, message = BAD_X[name]
    net = network()
    refused(
        net,
        lambda: net.fit(X, T, epochs=1, batch_size=5, validation=(x, T)),
        kind,
        "^validation: .*" + message,
    )


@pytest.mark.parametrize("name", BAD_T)
def test_bad_validation_targets_are_said_to_be_that(name):
    t, kind, message = BAD_T[name]
    net = network()
    refused(
        net,
        lambda: net.fit(X, T, epochs=1, batch_size=5, validation=(X, t)),
        kind,
        "^validation: .*" + message,
    )


@pytest.mark.parametrize("validation", [X, [X], (X,), (X, T, T), "test", {"x": X}, True], ids=printed)
def test_validation_of_a_wrong_form(validation):
    net = network()
    call = lambda: net.fit(X, T, epochs=1, batch_size=5, validation=validation)  # noqa: E731
    refused(
        net,
        call,
        ArgumentError,
        rf"expected a pair of data and targets, validation=\(x_test, t_test\), or a share .* got a "
        rf"{type(validation).__name__}",
    )


def test_empty_data():
    net = network()
    for call in calls(net):
        refused(net, lambda call=call: call(X[:0], T[:0]), DataError, r"x has no rows")
    empty = lambda: net.fit(X, T, epochs=1, batch_size=5, validation=(X[:0], T[:0]))  # noqa: E731
    refused(net, empty, DataError, r"validation: x has no rows")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, r"batch_size: expected a whole number of at least 1, got 0"),
        ({"batch_size": -5}, r"batch_size: .*got -5"),
        ({"batch_size": 2.0}, r"batch_size: .*got 2.0"),
        ({"batch_size": True}, r"batch_size: .*got True"),
        ({"batch_size": 21}, r"batch_size: expected at most the number of samples, 20, got 21"),
        ({"epochs": 0}, r"epochs: expected a whole number of at least 1, got 0"),
        ({"epochs": 1.5}, r"epochs: .*got 1.5"),
        ({"epochs": "3"}, r"epochs: .*got '3'"),
        ({"epochs": None}, r"either epochs= or iterations="),
        ({"iterations": 5}, r"either epochs= or iterations=, not both"),
        ({"epochs": None, "iterations": -1}, r"iterations: .*got -1"),
        ({"sampling": "shufle"}, r"unknown sampling 'shufle'; did you mean 'shuffle'\?"),
        ({"sampling": None}, r"unknown sampling None"),
        ({"seed": -1}, r"seed: expected a whole number of at least 0, got -1"),
        ({"seed": 0.5}, r"seed: .*got 0.5"),
        ({"optimizer": "adma"}, r"unknown optimizer 'adma'; did you mean 'adam'\?"),
        ({"optimizer": cr.SGD}, r"optimizer: .*got <class.*; write it with parentheses, cr.SGD\(\)"),
        ({"optimizer": 0.1}, r"optimizer: .*got 0.1"),
        ({"callbacks": cr.EarlyStopping}, r"callbacks: .*write it with parentheses, cr.EarlyStopping\(\)"),
        ({"callbacks": [cr.EarlyStopping]}, r"callbacks: .*write it with parentheses, cr.EarlyStopping\(\)"),
        ({"callbacks": [print]}, r"callbacks: expected a list such as"),
    ],
    ids=printed,
)
def test_bad_arguments_of_fit(arguments, message):
    net = network()
    call = lambda: net.fit(X, T, **({"epochs": 1, "batch_size": 5} | arguments))  # noqa: E731
    refused(net, call, ArgumentError, message)


@pytest.mark.parametrize(
    ("weights", "kind", "message"),
    [
        (np.ones(19), ShapeError, r"sample_weight: expected shape \(20,\), one a sample, got \(19,\)"),
        (np.ones((20, 1)), ShapeError, r"sample_weight: expected shape \(20,\)"),
        (np.full(20, -1.0), DataError, r"weights of at least 0"),
        (np.full(20, np.nan), DataError, r"finite weights"),
        (np.zeros(20), DataError, r"not all of them 0"),
        (["a"] * 20, DataError, r"sample_weight: expected an array of numbers"),
        (
            np.full(20, 3e38),
            DataError,
            r"the sum of the weights is 6e\+39, too large for float32.*divide them",
        ),
    ],
)
def test_bad_sample_weights(weights, kind, message):
    net = network()
    for call in (net.loss, net.gradient, lambda x, t, w: net.fit(x, t, epochs=1, sample_weight=w)):
        refused(net, lambda call=call: call(X, T, weights), kind, message)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.SGD(-0.1), r"learning_rate.*got -0.1"),
        (lambda: cr.Adam(float("nan")), r"learning_rate.*got nan"),
        (lambda: cr.Network(input_shape=(4,)), r"a network needs layers"),
        (lambda: cr.Network(cr.Affine(3)), r"input_shape is missing.*input_shape=\(784,\)"),
        (lambda: cr.Network(cr.ReLU, input_shape=4), r"parentheses, cr.ReLU\(\)"),
        (lambda: cr.Network([[cr.ReLU()]], input_shape=4), r"a network is made of layers, got \[ReLU\(\)\]"),
        (
            lambda: cr.Network([cr.ReLU()], cr.ReLU(), input_shape=4),
            r"a network is made of layers, got \[ReLU\(\)\]",
        ),
        (lambda: cr.Network([], input_shape=4), r"a network needs layers"),
        (lambda: cr.Network("relu", input_shape=4), r"got the text 'relu'; write cr.ReLU\(\) as the"),
        (lambda: cr.Affine(50, activation="tanh"), r"'activation'; write cr.Tanh\(\) as the next layer"),
        (
            lambda: cr.Network(cr.Affine(3), cr.SoftmaxCrossEntropy(), input_shape=4),
            r"SoftmaxCrossEntropy\(\) is a loss: pass it as loss=",
        ),
        (lambda: network(loss=cr.Huber), r"loss: .*write it with parentheses, cr.Huber\(\)"),
        (lambda: network(loss="hubber"), r"unknown loss 'hubber'; did you mean 'huber'\?"),
        (lambda: network(loss=3), r"loss: expected a loss such as.*got 3"),
        (lambda: cr.Adam(lr=0.1), r"did you mean 'learning_rate'\?"),
        (lambda: network(dtype="int8"), r"float32 or float64, got int8"),
        (lambda: network(dtype="float16"), r"float32 or float64, got float16"),
        (lambda: network(dtype=">f4"), r"float32 or float64, got >f4"),
        (lambda: network(dtype="real"), r"float32 or float64, got 'real'"),
        (lambda: network(seed=-1), r"seed: expected a whole number of at least 0, got -1"),
        (lambda: network(seed="one"), r"seed: expected a whole number of at least 0, got 'one'"),
        (lambda: cr.Network(cr.ReLU(), input_shape=(0,)), r"input_shape: expected a shape of positive"),
        (lambda: cr.Network(cr.ReLU(), input_shape=(2.5,)), r"input_shape: expected a shape of positive"),
        (lambda: cr.TwoLayerNet(4, 0, 3), r"hidden_size: expected a whole number of at least 1, got 0"),
        (lambda: cr.TwoLayerNet("4", 5, 3), r"input_size: expected a whole number.*got '4'"),
        (lambda: cr.TwoLayerNet(4, 5, 3, weight_init_std=-1), r"std.*got -1"),
        (lambda: cr.EarlyStopping("val_loss"), r"unknown monitor 'val_loss'; did you mean 'test_loss'\?"),
        (lambda: cr.EarlyStopping("test_los"), r"unknown monitor 'test_los'; did you mean 'test_loss'\?"),
        (
            lambda: cr.EarlyStopping(patience=0),
            r"patience to be a whole number of at least 1, got 0; it counts epochs",
        ),
        (
            lambda: cr.EarlyStopping(patience="3"),
            r"patience to be a whole number of at least 1, got '3'",
        ),
        (
            lambda: cr.EarlyStopping(min_change=-1),
            r"expected min_change to be a number in \[0, inf\), got -1",
        ),
        (lambda: network().gradient(X, T, step=-1), r"step: expected a whole number of at least 0, got -1"),
        (lambda: network().params["W2"], r"no parameter 'W2'; Known: W1, b1"),
    ],
)
def test_bad_constructions(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_a_layer_that_does_not_fit_is_named():
    with pytest.raises(ShapeError, match=r"Reshape\(shape=\(-1, 7\)\)"):
        cr.Network(cr.Affine(5), cr.Tanh(), cr.Reshape((-1, 7)), input_shape=(4,))
    first = cr.Affine(5)
    with pytest.raises(ShapeError, match=r"affine2: .*'W1' of shape \(4, 5\) from an earlier use"):
        cr.Network(first, first, input_shape=(4,))


def test_several_inputs_want_a_dict():
    a, b = cr.Input("a", shape=(4,)), cr.Input("b", shape=(4,))
    net = cr.Network(output=a + b, loss=cr.MeanSquaredError())
    with pytest.raises(ArgumentError, match=r"has 2 inputs: pass a dict, \{'a': ..., 'b': ...\}"):
        net.predict(X)
    with pytest.raises(ArgumentError, match=r"needs data for the input 'b' too"):
        net.predict({"a": X})
    with pytest.raises(ShapeError, match=r"different numbers of rows: \{'a': 20, 'b': 19\}"):
        net.predict({"a": X, "b": X[:19]})


def test_indices_out_of_range():
    net = cr.Network(cr.Embedding(5, 2), input_shape=(3,), seed=0)
    with pytest.raises(DataError, match=r"ids from 0 to 4, got 5"):
        net.predict(np.array([[0, 1, 5]]))
    with pytest.raises(DataError, match=r"ids to be whole numbers, got float"):
        net.predict(np.array([[0.0, 1, 2]]))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "bool", ">i4", "float16", ">f8"])
def test_integers_are_converted_and_never_computed_in(dtype):
    x = RNG.integers(2 if dtype == "bool" else 128, size=(20, 4)).astype(dtype)
    for net in (network(dtype="float64"), network(cr.MeanSquaredError(), dtype="float64")):
        t = T if net.loss_layer.index_inputs else x[:, :3]
        floats = T if net.loss_layer.index_inputs else x[:, :3].astype(float)
        assert net.loss(x, t) == net.loss(x.astype(float), floats)
        np.testing.assert_array_equal(net.predict(x), net.predict(x.astype(float)))
        for name, gradient in net.gradient(x, t).items():
            np.testing.assert_array_equal(gradient, net.gradient(x.astype(float), floats)[name])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("rows", [1, 3_000])
@pytest.mark.parametrize("kind", ["narrower", "wider", "used twice", "flattened", "two inputs", "float32"])
def test_predict_names_what_it_cannot_take_wherever_it_is(bad: float, rows: int, kind: str) -> None:
    """Also where a ReLU would make a proper 0 of it, and where its weights are 0."""
    x = cr.Input("x", shape=(4, 5) if kind == "flattened" else (20,))
    flat = cr.Flatten()(x) if kind == "flattened" else x
    hidden = cr.ReLU()(cr.Affine(30 if kind == "wider" else 6)(flat))
    output = cr.Affine(3)(hidden)
    if kind == "used twice":
        output = output + cr.Affine(3)(x)
    if kind == "two inputs":
        output = output + cr.Affine(3)(cr.Input("y", shape=(2,)))
    net = cr.Network(output=output, seed=0)
    data = np.random.default_rng(0).normal(size=(rows, *net.input_shapes["x"]))
    if kind == "float32":  # taken as it is, and not from the beginning of a row
        data = np.asfortranarray(data.astype("float32"))[:, ::-1]
        bad = np.inf if bad == 1e300 else bad

    def predict() -> np.ndarray:
        return net.predict({"y": np.zeros((rows, 2)), "x": data} if kind == "two inputs" else data)

    predict()
    net.params["W1"][...] = 0
    row = rows - 1 - rows // 3
    data[(row, *np.unravel_index(7, data.shape[1:]))] = bad
    with pytest.raises(DataError, match=rf"x holds .* at row {row}\b"):
        predict()


def test_predict_blames_the_input_for_what_a_layer_cannot_bear() -> None:
    class Pick(cr.layers.Layer):
        """y[n] = the sum of table rows that the numbers of x[n] name."""

        def forward(self, x):
            return np.eye(4)[np.clip(x, 0, 3).astype(int)].sum(axis=1), None

        def backward(self, dy, saved):
            return None

    net = cr.Network(cr.Affine(3), Pick(), input_shape=8, seed=0)
    data = np.ones((5, 8))
    net.predict(data)
    data[3, 7] = np.nan
    with pytest.raises(DataError, match="x holds nan at row 3, column 7"), np.errstate(all="ignore"):
        net.predict(data)


def test_predict_takes_an_overflow_of_proper_numbers() -> None:
    net = cr.Network(cr.Affine(3), cr.ReLU(), cr.Affine(2), input_shape=8, seed=0)
    net.params["W1"][...] = 1e30
    with pytest.warns(cr.errors.ChainruleWarning, match="affine1 overflows float32"):
        assert not np.isfinite(net.predict(np.full((5, 8), 1e30, np.float32))).all()


def test_one_axis_of_data_for_networks_of_one_number():
    net = cr.Network(cr.Affine(1), input_shape=1, loss="mse")
    for x, remedy in ((X[:, 0], r"x.reshape\(-1, 1\)"), (list(X[:, 0]), r"np.reshape\(x, \(-1, 1\)\)")):
        refused(net, lambda x=x: net.predict(x), ShapeError, rf"expected x of shape \(N, 1\).*{remedy}")


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_a_regression_of_one_output_takes_targets_of_one_axis(loss):
    t = X[:, 0]
    nets = [cr.Network(cr.Affine(1), input_shape=4, loss=loss, seed=0) for _ in range(2)]
    for net, given in zip(nets, (t, t[:, np.newaxis]), strict=True):
        net.fit(X, given, epochs=2, validation=(X, given))
    np.testing.assert_array_equal(nets[0].params.flat, nets[1].params.flat)
    assert nets[0].loss(X, list(t)) == nets[1].loss(X, t[:, np.newaxis])
    assert nets[0].fit(X, t, epochs=1, validation=0.2).test_loss
    np.testing.assert_array_equal(nets[0].gradient(X, t)["W1"], nets[0].gradient(X, t[:, np.newaxis])["W1"])
    several = network(cr.MeanSquaredError())
    refused(
        several,
        lambda: several.fit(X, t, epochs=1),
        ShapeError,
        r"t: expected the shape of the network's output, \(20, 3\), got \(20,\)",
    )


def test_shapes_of_targets_and_weights_of_classes_are_those_of_the_output():
    net = network(cr.SoftmaxCrossEntropy(class_weights=[1, 2]))
    refused(
        net, lambda: net.loss(X, T), ShapeError, r"expected an output with 2 classes.*got \(20, 3\); give 3"
    )
