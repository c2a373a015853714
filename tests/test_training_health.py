"""Health: what it measures, when, that it changes nothing, and what it does where there is little to measure."""

from __future__ import annotations

import itertools
import json
import math
import signal

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, DivergedError, FileError
from chainrule.loop import train
from chainrule.loop.health import iterations_apart

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
T = RNG.integers(3, size=60)
ALL = {"rows": 60}  # with so many, the sample is all the data, in order


def network(*layers, loss=None, dtype="float64", **arguments):
    layers = layers or (cr.Affine(5), cr.ReLU(), cr.Affine(3))
    loss = cr.SoftmaxCrossEntropy() if loss is None else loss
    return cr.Network(*layers, loss=loss, seed=0, dtype=dtype, **({"input_shape": 4} | arguments))


def examined(net, x=X, t=T, *, health=None, **arguments):
    """The record of a training with Health."""
    health = cr.Health(**ALL) if health is None else health
    return net.fit(x, t, callbacks=[health], **({"iterations": 4, "batch_size": 10} | arguments)).health


def numbers(health):
    """Every list of measures, with what it is of."""
    for part in ("layers", "parameters"):
        for name, measures in health[part].items():
            for measure, values in measures.items():
                if not isinstance(values, str):
                    yield (name, measure), values


# The structure


def test_the_structure_of_the_record():
    net = network(cr.Affine(5), cr.ReLU(), cr.Affine(4), cr.Tanh(), cr.Affine(3))
    health = examined(net, iterations=10, health=cr.Health(every=5, rows=30))
    assert list(health) == ["rows", "iterations", "layers", "parameters"]
    assert (health["rows"], health["iterations"]) == (30, [0, 5, 10])
    assert list(health["layers"]) == ["affine1", "relu1", "affine2", "tanh1", "affine3"]
    assert [layer["kind"] for layer in health["layers"].values()] == [
        "Affine",
        "ReLU",
        "Affine",
        "Tanh",
        "Affine",
    ]
    flow = ["gradient_norm", "gradient_std"]
    assert list(health["layers"]["affine1"]) == ["kind", "mean", "std", *flow]
    assert list(health["layers"]["relu1"]) == ["kind", "mean", "std", "zeros", "dead", *flow]
    assert list(health["layers"]["tanh1"]) == ["kind", "mean", "std", "saturated", *flow]
    assert {name: each["layer"] for name, each in health["parameters"].items()} == {
        "W1": "affine1",
        "b1": "affine1",
        "W2": "affine2",
        "b2": "affine2",
        "W3": "affine3",
        "b3": "affine3",
    }
    assert list(health["parameters"]["W1"]) == ["layer", "norm", "gradient_norm", "update_ratio"]
    found = dict(numbers(health))
    assert len(found) == 4 + 6 + 4 + 5 + 4 + 6 * 3
    for values in found.values():
        assert len(values) == 3
        assert all(value is None or type(value) is float for value in values)
    assert json.loads(json.dumps(health, allow_nan=False)) == health


def test_without_it_nothing_is_recorded():
    assert network().fit(X, T, iterations=3, batch_size=10).health == {}


# The numbers


def test_the_measures_of_outputs_are_those_of_the_graph():
    net = network(cr.Affine(5), cr.ReLU(), cr.Affine(4), cr.Sigmoid(), cr.Affine(3))
    net.params["W2"] *= 9
    net.graph.forward(x=X, t=T)
    net.graph.backward()
    layers = examined(net)["layers"]
    for name, measures in layers.items():
        value, gradient = np.array(net.graph.values[name]), np.array(net.graph.gradients[name])
        assert measures["mean"][0] == pytest.approx(value.mean(), rel=1e-12)
        assert measures["std"][0] == pytest.approx(value.std(), rel=1e-12)
        assert measures["gradient_norm"][0] == pytest.approx(np.linalg.norm(gradient), rel=1e-12)
        assert measures["gradient_std"][0] == pytest.approx(gradient.std(), rel=1e-12)
    assert layers["relu1"]["zeros"][0] == np.mean(net.graph.values["relu1"] == 0) > 0
    y = np.array(net.graph.values["sigmoid1"])
    assert layers["sigmoid1"]["saturated"][0] == np.mean(y * (1 - y) < 0.01 * 0.25) > 0


@pytest.mark.parametrize(
    ("layer", "edge"), [(cr.Sigmoid(), math.log(0.5 + math.sqrt(0.2475)) * -1), (cr.Tanh(), 0)]
)
def test_saturated_is_where_the_slope_is_below_a_hundredth(layer, edge):
    z = np.linspace(-8, 8, 1601)
    _, saved = layer.forward(z)
    slope = layer.backward(np.ones_like(z), saved)
    flat = np.mean(slope < 0.01 * slope.max())
    net = cr.Network(
        output=layer(cr.Input("x", shape=1) * cr.Parameter("w", 1.0)),
        loss=cr.MeanSquaredError(),
        dtype="float64",
    )
    health = examined(net, z[:, None], z[:, None] * 0, health=cr.Health(rows=2000))
    (measures,) = health["layers"].values()
    assert measures["saturated"][0] == pytest.approx(flat)
    assert 0.1 < flat < 0.9


def test_dead_units_are_found():
    net = network(cr.Affine(8), cr.ReLU(), cr.Affine(3))
    net.params["b1"][[1, 4]] = -1000
    net.params["b1"][[0, 2, 3, 5, 6, 7]] = 2
    relu = examined(net)["layers"]["relu1"]
    assert relu["dead"] == [0.25] * len(relu["dead"])
    assert 0.25 <= relu["zeros"][0] < 0.5
    assert examined(network(cr.Affine(8), cr.ReLU(), cr.Affine(3)))["layers"]["relu1"]["dead"][0] == 0


def test_a_unit_is_dead_only_if_it_is_on_all_rows_and_places():
    x = np.full((6, 2, 3), -1.0)  # rows, places, units
    x[4, 1, 2] = 5.0
    net = cr.Network(
        output=cr.Flatten()(cr.ReLU()(cr.Input("x", shape=(2, 3)) * cr.Parameter("w", 1.0))),
        loss=cr.MeanSquaredError(),
        dtype="float64",
    )
    relu = examined(net, x, np.zeros((6, 6)), batch_size=2)["layers"]["relu1"]
    assert (relu["dead"][0], relu["zeros"][0]) == (pytest.approx(2 / 3), 35 / 36)


def test_the_gradients_of_parameters_are_those_of_the_network_on_the_same_rows():
    net = network()
    expected = net.gradient(X, T)
    parameters = examined(net)["parameters"]
    assert set(parameters) == set(expected)
    for name, gradient in expected.items():
        assert parameters[name]["gradient_norm"][0] == pytest.approx(np.linalg.norm(gradient), rel=1e-12)


def test_the_norms_of_parameters_are_those_at_the_time():
    net = network()
    health = examined(net, iterations=20, health=cr.Health(every=20))
    for name, before in network().params.items():
        norms = health["parameters"][name]["norm"]
        assert norms == pytest.approx([np.linalg.norm(before), np.linalg.norm(net.params[name])])


def test_the_update_ratio_of_gradient_descent():
    net = network()
    expected, before = net.gradient(X, T), net.params["W1"].copy()
    parameters = examined(net, optimizer=cr.SGD(0.3))["parameters"]
    ratio = 0.3 * np.linalg.norm(expected["W1"]) / np.linalg.norm(before)
    assert parameters["W1"]["update_ratio"][0] == pytest.approx(ratio, rel=1e-9)
    assert parameters["b1"]["norm"][0] == 0
    assert parameters["b1"]["update_ratio"][0] is None  # nothing to compare with
    assert parameters["b1"]["update_ratio"][1] > 0


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize(
    "optimizer", [cr.Adam(0.01), cr.Momentum(0.1), cr.AdamW(cr.schedules.Cosine(0.1))], ids=repr
)
def test_the_update_is_that_of_the_optimizer_as_it_is_then(optimizer):
    """With all the data in each batch, the update it would make is the one that the next step makes."""
    weights = []

    class Keep(cr.Callback):
        def on_start(self, run):
            weights.append(run.training.snapshot()[0])

        def on_iteration(self, run):
            weights.append(run.training.snapshot()[0])

    net = network()
    net.params["b1"], net.params["b2"] = np.ones(5), np.ones(3)
    settings = {"optimizer": optimizer, "iterations": 9, "batch_size": 60}
    health = net.fit(X, T, callbacks=[cr.Health(every=4, rows=60), Keep()], **settings).health
    for name, measures in health["parameters"].items():
        views = [net.params.like(flat)[name] for flat in weights]
        made = [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in itertools.pairwise(views)]
        assert measures["update_ratio"][:-1] == pytest.approx(made[::4], rel=1e-6), name
        assert measures["update_ratio"][-1] > 0  # as if another step of the last learning rate came


def test_a_sum_of_squares_that_overflows_is_no_infinity():
    net = network(cr.Affine(1), loss=cr.MeanAbsoluteError(), dtype="float32")
    net.params["W1"] = np.full((4, 1), 1e25, np.float32)
    health = examined(net, np.abs(X), X[:, :1], optimizer=cr.SGD(1e-30))
    assert health["parameters"]["W1"]["norm"][0] == pytest.approx(2e25, rel=1e-6)
    assert math.isfinite(health["layers"]["affine1"]["std"][0])


# When


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize(
    ("every", "expected"),
    [(1, list(range(41))), (7, [0, 7, 14, 21, 28, 35, 40]), (20, [0, 20, 40]), (99, [0, 40])],
)
def test_the_iterations_are_exactly_those_asked_for(every, expected):
    settings = {"iterations": 40, "batch_size": 16}  # four in an epoch, the last smaller
    assert examined(network(), health=cr.Health(every=every), **settings)["iterations"] == expected


def test_a_long_training_is_cut_where_it_should_be():
    settings = {"iterations": 20_000, "batch_size": 20, "sampling": "replacement"}
    health = examined(network(), health=cr.Health(every=3_333), **settings)
    assert health["iterations"] == [0, 3333, 6666, 9999, 13332, 16665, 19998, 20000]


@pytest.mark.parametrize("total", [1, 2, 300, 5_000, 123_457])
@pytest.mark.parametrize("cost", [0.01, 2.5, 40.0, 1e6])
def test_unless_told_otherwise_it_takes_a_twentieth_at_most(total, cost):
    every = iterations_apart(total, cost)
    examinations = 1 + math.ceil(total / every)
    assert 2 <= examinations <= 41
    assert examinations == 2 or examinations * cost <= 0.05 * total
    if cost * 50 <= 0.05 * total and total >= 2_000:
        assert examinations >= 39


def test_a_second_training_counts_anew_and_replaces_nothing():
    net, health = network(), cr.Health(every=2)
    first = net.fit(X, T, iterations=4, batch_size=10, callbacks=[health])
    second = net.fit(X, T, iterations=6, batch_size=10, callbacks=[health])
    assert first.health["iterations"] == [0, 2, 4]
    assert second.health["iterations"] == [0, 2, 4, 6]
    norms = [each.health["parameters"]["W1"]["norm"] for each in (first, second)]
    assert norms[1][0] == norms[0][-1]


def test_the_last_examination_is_made_when_a_training_is_stopped():
    class Stop(cr.Callback):
        def on_iteration(self, run):
            if run.iteration == 5:
                run.stop()

    net = network()
    health = net.fit(X, T, epochs=9, batch_size=10, callbacks=[cr.Health(every=3), Stop()]).health
    assert health["iterations"] == [0, 3, 5]
    assert health["parameters"]["W1"]["norm"][-1] == pytest.approx(np.linalg.norm(net.params["W1"]))


def test_after_a_failure_nothing_is_examined():
    class Fail(cr.Callback):
        def on_iteration(self, run):
            self.history = run.history
            if run.iteration == 5:
                raise RuntimeError("mine")

    fail = Fail()
    with pytest.raises(RuntimeError, match="mine"):
        network().fit(X, T, epochs=9, batch_size=10, callbacks=[cr.Health(every=3), fail])
    assert fail.history.health["iterations"] == [0, 3]


# It changes nothing


def everything(net):
    """All that an examination could have changed."""
    return (
        net.params.flat.tobytes(),
        {name: value.tobytes() for name, value in net.state.items()},
        net.iterations,
    )


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize(
    "optimizer", [cr.SGD(0.1), cr.Adam(0.01), cr.Nesterov(0.05, weight_decay=0.01)], ids=repr
)
def test_training_is_bit_for_bit_the_same(optimizer):
    settings = {"optimizer": optimizer, "epochs": 30, "batch_size": 16, "validation": (X, T)}
    nets = network(dtype="float32"), network(dtype="float32")
    plain = nets[0].fit(X, T, **settings)
    watched = nets[1].fit(X, T, callbacks=[cr.Health(every=7)], **settings)
    assert everything(nets[0]) == everything(nets[1])
    assert plain.loss == watched.loss
    assert plain.test_loss == watched.test_loss
    assert len(watched.health["iterations"]) == 1 + math.ceil(120 / 7)


def test_training_with_noise_and_statistics_is_bit_for_bit_the_same():
    def make():
        return network(cr.Affine(6), cr.BatchNorm(), cr.ReLU(), cr.Dropout(0.3), cr.Affine(3))

    nets = make(), make()
    settings = {"optimizer": cr.Adam(0.01, clip_norm=1.0), "epochs": 8, "batch_size": 16}
    plain = nets[0].fit(X, T, **settings)
    before = np.random.get_state()[1].copy()  # noqa: NPY002  # the global one, which nobody may touch
    watched = nets[1].fit(X, T, callbacks=[cr.Health(every=3)], **settings)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert everything(nets[0]) == everything(nets[1])
    assert plain.loss == watched.loss


def test_what_the_graph_holds_stays():
    net = network(cr.Affine(5), cr.BatchNorm(), cr.ReLU(), cr.Affine(3))
    net.graph.forward(x=X[:7], t=T[:7])
    net.graph.backward()
    before = {name: np.array(value) for name, value in net.graph.values.items()}
    gradients = {name: np.array(value) for name, value in net.graph.gradients.items()}
    examined(net, health=cr.Health(every=1))
    for kept, held in ((before, net.graph.values), (gradients, net.graph.gradients)):
        assert set(kept) - set(net.params) - set(net.state) <= set(held)
        for name in set(kept) - set(net.params):
            np.testing.assert_array_equal(kept[name], held[name])


def test_data_that_cannot_be_written_to():
    x, t = X.copy(), T.copy()
    x.flags.writeable = t.flags.writeable = False
    examined(network(cr.ReLU(), cr.Affine(3)), x, t)


def test_the_same_seed_gives_the_same_record():
    def record(seed, **arguments):
        net = network(cr.Affine(6), cr.ReLU(), cr.Dropout(0.3), cr.Affine(3))
        return examined(net, seed=seed, health=cr.Health(rows=20), iterations=50, **arguments)

    assert record(1) == record(1)
    assert record(1)["layers"]["affine1"]["mean"][0] != record(2)["layers"]["affine1"]["mean"][0]
    assert record(1)["iterations"] == record(2)["iterations"]


def test_the_rows_are_the_same_all_along():
    seen = []

    class Look(cr.Layer):
        def forward(self, x, *, training):
            if len(x) == 13:
                seen.append(x.copy())
            return x, None

        def backward(self, dy, saved):
            return dy

    examined(network(Look(), cr.Affine(3)), health=cr.Health(every=1, rows=13))
    assert len(seen) == 5
    assert all((each == seen[0]).all() for each in seen)
    assert len(np.unique(seen[0], axis=0)) == 13
    assert all((row == X).all(axis=1).any() for row in seen[0])


# Networks of all sorts


def test_training_is_what_is_looked_at():
    """Dropout drops with the next step's numbers, BatchNorm takes the sample's statistics."""
    net = network(cr.Affine(6), cr.BatchNorm(), cr.Dropout(0.5), cr.Affine(3))
    net.fit(X, T, iterations=5, batch_size=10)
    expected = net.astype("float64").gradient(X, T, training=True)
    health = examined(net)
    assert list(health["layers"]) == ["affine1", "batchnorm1", "affine2"]
    for name, gradient in expected.items():
        got = health["parameters"][name]["gradient_norm"][0]
        assert got == pytest.approx(np.linalg.norm(gradient), rel=1e-6, abs=1e-12)
    assert health["layers"]["batchnorm1"]["mean"][0] == pytest.approx(0, abs=0.3)


def test_several_inputs_and_whole_numbers():
    words, price = cr.Input("words", shape=3), cr.Input("price", shape=2)
    known = cr.Tanh()(cr.Flatten()(cr.Embedding(10, 4)(words)))
    output = cr.Affine(3)(cr.Concatenate()(known, cr.LayerNorm()(price)))
    net = cr.Network(output=output, loss=cr.SoftmaxCrossEntropy(), seed=0)
    data = {"words": RNG.integers(10, size=(60, 3)), "price": X[:, :2]}
    health = examined(net, data)
    assert list(health["layers"]) == ["embedding1", "tanh1", "layernorm1", "affine1"]
    assert all(
        value is not None for (name, _), values in numbers(health) if name != "b1" for value in values[1:]
    )


def test_a_layer_used_twice_and_a_parameter_of_ones_own():
    x, shared = cr.Input("x", shape=4), cr.Affine(4)
    output = cr.Affine(3)(shared(cr.ELU()(shared(x))) * cr.Parameter("scale", 2.0))
    health = examined(cr.Network(output=output, loss=cr.SoftmaxCrossEntropy(), seed=0))
    assert list(health["layers"]) == ["affine1", "elu1", "affine2", "affine3"]
    used = {name: each["layer"] for name, each in health["parameters"].items()}
    assert used == {"W1": "affine1", "b1": "affine1", "scale": "multiply1", "W2": "affine3", "b2": "affine3"}


def test_layers_of_ones_own_are_looked_at_too():
    class Square(cr.Layer):
        def forward(self, x):
            return x * x, x

        def backward(self, dy, x):
            return 2 * x * dy

    health = examined(network(cr.Affine(5), Square(), cr.Affine(3)))
    assert list(health["layers"]) == ["affine1", "square1", "affine2"]
    assert health["layers"]["square1"]["kind"] == "Square"


def test_an_activation_before_all_parameters_has_a_gradient_too():
    health = examined(network(cr.Tanh(), cr.Affine(3)))
    assert health["layers"]["tanh1"]["gradient_norm"][0] > 0


def test_what_no_gradient_reaches_has_none():
    class Stop(cr.Layer):
        def forward(self, x):
            return x, None

        def backward(self, dy, saved):
            return None

    x = cr.Input("x", shape=4)
    output = cr.Affine(4)(x) + Stop()(cr.Tanh()(x))
    health = examined(cr.Network(output=output, loss=cr.SoftmaxCrossEntropy(), seed=0))
    assert set(health["layers"]["tanh1"]["gradient_norm"]) == {None}
    assert None not in health["layers"]["tanh1"]["mean"]


def test_sample_weights_count_and_rows_of_weight_0_are_left_out():
    weights = np.where(np.arange(60) < 40, 0.0, np.arange(60.0))
    net = network()
    expected = net.gradient(X, T, weights)
    health = examined(net, sample_weight=weights)
    assert health["rows"] == 20
    got = health["parameters"]["W1"]["gradient_norm"][0]
    assert got == pytest.approx(np.linalg.norm(expected["W1"]), rel=1e-12)


def test_a_deep_network_and_one_row():
    layers = [layer for _ in range(40) for layer in (cr.Affine(6), cr.Sigmoid())]
    health = examined(network(*layers, cr.Affine(3)), health=cr.Health(rows=1))
    assert (len(health["layers"]), health["rows"]) == (81, 1)
    norms = [each["gradient_norm"][0] for name, each in health["layers"].items() if name.startswith("affine")]
    assert norms[0] < 1e-6 * norms[-1]  # the vanishing gradient, as the books have it


def test_no_parameters():
    health = examined(network(cr.LeakyReLU(), loss=cr.MeanSquaredError()), t=X)
    assert health["parameters"] == {}
    assert health["layers"]["leakyrelu1"]["gradient_norm"][0] > 0


# When it diverges


@pytest.mark.usefixtures("executor")
def test_a_training_that_diverges_keeps_its_record():
    def diverge(*callbacks):
        net = network(cr.Affine(5), cr.ReLU(), cr.Affine(1), loss=cr.MeanSquaredError(), dtype="float32")
        settings = {"optimizer": cr.SGD(1e4), "epochs": 50, "batch_size": 10}
        with pytest.raises(DivergedError) as caught:
            net.fit(X, X[:, :1], callbacks=callbacks, **settings)
        return net, caught.value

    plain, expected = diverge()
    net, error = diverge(cr.Health(every=1))
    assert (str(error), error.iteration, error.node) == (str(expected), expected.iteration, expected.node)
    assert everything(net) == everything(plain)
    health = error.history.health
    assert health["iterations"] == list(range(error.iteration))
    assert health["parameters"]["W1"]["norm"][-1] > 1e3 * health["parameters"]["W1"]["norm"][0]
    assert cr.History.from_json(error.history.to_json()) == error.history


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_from_the_start(bad):
    net = network()
    net.params["W1"][0, 0] = bad
    with pytest.raises(DivergedError) as caught:
        examined(net)
    health = caught.value.history.health
    assert health["iterations"] == [0]
    assert health["layers"]["affine1"]["mean"] == [None]
    assert health["parameters"]["W1"]["update_ratio"] == [None]
    assert "NaN" not in caught.value.history.to_json()
    assert "Infinity" not in caught.value.history.to_json()


def test_ctrl_c_ends_with_an_examination():
    class Interrupt(cr.Callback):
        def on_iteration(self, run):
            if run.iteration == 4:
                signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        history = network().fit(X, T, epochs=9, callbacks=[cr.Health(every=3), Interrupt()], batch_size=10)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (history.stopped, history.health["iterations"]) == ("interrupted", [0, 3, 4])


# What is handed in


@pytest.mark.parametrize("bad", [0, -1, 1.5, "10", True, [], math.nan])
def test_bad_arguments(bad):
    with pytest.raises(ArgumentError, match=r"Health: every: expected a whole number of at least 1, got"):
        cr.Health(every=bad)
    with pytest.raises(ArgumentError, match=r"Health: rows: expected a whole number of at least 1, got"):
        cr.Health(rows=bad)


def test_one_is_enough():
    with pytest.raises(ArgumentError, match=r"expected one among the callbacks.*leave one out"):
        network().fit(X, T, iterations=1, batch_size=10, callbacks=[cr.Health(), cr.Health()])


def test_a_training_that_cannot_be_examined():
    class Bare:
        rates, left_of_epoch, is_between_epochs = (0.5,), 1, False

        def steps(self, n):
            return [1.0]

        def measure(self):
            return {}

    assert len(train(Bare(), 2).loss) == 2
    with pytest.raises(ArgumentError, match=r"a method examiner\(rows\), got Bare; see"):
        train(Bare(), 2, [cr.Health()])


# Its file


def test_json_round_trip(tmp_path):
    net = network()
    net.params["b1"] = np.zeros(5)
    history = net.fit(X, T, iterations=4, batch_size=10, callbacks=[cr.Health()])
    assert None in history.health["parameters"]["b1"]["update_ratio"]
    assert cr.History.from_json(history.to_json()) == history
    assert cr.History.load(history.save(tmp_path / "history.json")).health == history.health


def test_a_file_from_before_has_no_health():
    text = cr.History(loss=[1.0]).to_json().replace('"health": {}', '"stopped": ""')
    assert "health" not in text
    assert cr.History.from_json(text).health == {}


GOOD = {
    "rows": 2,
    "iterations": [0, 5],
    "layers": {"relu1": {"kind": "ReLU", "dead": [0.5, None]}},
    "parameters": {"W1": {"layer": "affine1", "norm": [1, 2.5]}},
}


@pytest.mark.parametrize(
    "damage",
    [
        {"rows": "2"},
        {"iterations": 5},
        {"iterations": [0, 5, 10]},
        {"iterations": [0, None]},
        {"layers": []},
        {"layers": {"relu1": []}},
        {"layers": {"relu1": {"kind": "ReLU", "dead": [0.5]}}},
        {"layers": {"relu1": {"kind": "ReLU", "dead": [0.5, "a"]}}},
        {"parameters": None},
        {"parameters": {"W1": {"norm": 3}}},
        {"more": 1},
    ],
    ids=str,
)
def test_a_damaged_record_is_a_file_error(damage):
    def text(health):
        return json.dumps({"format": "chainrule history 1", "health": health})

    assert cr.History.from_json(text(GOOD)).health == GOOD
    with pytest.raises(FileError, match=r"the history is damaged at 'health'"):
        cr.History.from_json(text(GOOD | damage))


@pytest.mark.parametrize("health", [None, [], 3, *({k: GOOD[k] for k in GOOD if k != left} for left in GOOD)])
def test_a_record_that_is_not_whole_is_a_file_error(health):
    with pytest.raises(FileError, match=r"the history is damaged at 'health'"):
        cr.History.from_json(json.dumps({"format": "chainrule history 1", "health": health}))
