"""A user's own layers, shared layers, seeds, random masks and running statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array, Shape
from chainrule.initializers import Constant, Normal

X = np.random.default_rng(0).normal(size=(4, 3))


class Swish(cr.Layer):
    """y = x * s(x): no parameters, nothing asked."""

    def forward(self, x: Array) -> tuple[Array, tuple[Array, Array]]:
        s = 1 / (1 + np.exp(-x))
        return x * s, (x, s)

    def backward(self, dy: Array, saved: tuple[Array, Array]) -> Array:
        x, s = saved
        return dy * s * (1 + x * (1 - s))


class Gated(cr.Layer):
    """y = x * g + h * noise: parameters and every keyword there is."""

    def __init__(self, size: float = 0.5) -> None:
        self.size = size

    def parameters(self) -> dict[str, cr.ParameterSpec]:
        return {
            "g": cr.ParameterSpec(lambda x: x[-1:], Normal(1.0)),
            "h": cr.ParameterSpec((1,), Constant(self.size), decay=False),
        }

    def state(self) -> dict[str, cr.ParameterSpec]:
        return {"seen": cr.ParameterSpec((), Constant(0))}

    def forward(
        self,
        x: Array,
        g: Array,
        h: Array,
        *,
        training: bool,
        rng: np.random.Generator,
        state: dict[str, Array],
    ) -> tuple[Array, Any, dict[str, Array]]:
        noise = rng.normal(size=x.shape) if training else np.zeros(x.shape)
        return x * g + h * noise, (x, g, noise), {"seen": state["seen"] + len(x)}

    def backward(self, dy: Array, saved: Any, *, needs: tuple[bool, ...]) -> tuple[Array | None, ...]:
        x, g, noise = saved
        return tuple(dy * each if need else None for need, each in zip(needs, (g, x, noise), strict=True))


def assert_gradients(graph: cr.Graph, feeds: dict[str, Array], **situation: Any) -> None:
    """Of all inputs and parameters, against central differences under a random upstream gradient."""
    y = np.asarray(graph.forward(feeds, **situation))
    dy = np.random.default_rng(1).normal(size=y.shape)
    graph.backward(dy)
    values = {**feeds, **{name: graph.parameter_value(name) for name in graph.parameters}}
    for name, value in values.items():

        def final(x: Array, name: str = name) -> float:
            return float((graph.evaluate({**feeds, name: x}, **situation) * dy).sum())

        numeric = cr.numerical_gradient(final, value.copy())
        np.testing.assert_allclose(graph.gradients[name], numeric, rtol=1e-6, atol=1e-8)


def test_an_own_layer_without_parameters() -> None:
    graph = cr.Graph(Swish()(cr.Input("x")))
    assert_gradients(graph, {"x": X})
    np.testing.assert_allclose(
        graph.forward(x=X), cr.Graph(cr.SiLU()(cr.Input("x"))).forward(x=X), rtol=1e-14
    )


@pytest.mark.parametrize("training", [True, False])
def test_an_own_layer_that_asks_for_everything(training: bool) -> None:
    graph = cr.Graph(Gated()(cr.Tanh()(Gated(2.0)(cr.Input("x")))), seed=3)
    assert_gradients(graph, {"x": X}, training=training, step=5)
    assert graph.parameter_value("g1").shape == (3,)
    np.testing.assert_array_equal(graph.parameter_value("h1"), [2.0])
    np.testing.assert_array_equal(graph.parameter_value("h2"), [0.5])
    assert [graph.parameters[name].decay for name in ("g1", "h1")] == [True, False]


def test_a_layer_may_be_given_its_parameters() -> None:
    x, w = cr.Input("x"), cr.Parameter("w", np.ones((3, 2)))
    graph = cr.Graph(cr.Affine(2)(x, w))
    assert list(graph.parameters) == ["w", "b1"]
    np.testing.assert_allclose(graph.forward(x=X), X @ np.ones((3, 2)))
    assert_gradients(graph, {"x": X})
    assert list(cr.Graph(cr.BatchNorm()(x, cr.Parameter("scale", np.ones(3)))).parameters) == [
        "scale",
        "beta1",
    ]


def test_the_shapes_of_parameters_follow_from_the_data_alone() -> None:
    graph = cr.Graph(cr.LayerNorm()(cr.Input("x"), cr.Parameter("scale", [1.0, 2.0, 3.0])))
    assert graph.forward(x=X).shape == (4, 3)
    assert graph.parameter_value("beta1").shape == (3,)


def test_a_layer_used_twice_shares_its_parameters() -> None:
    layer = cr.Affine(3)
    graph = cr.Graph(layer(cr.Tanh()(layer(cr.Input("x")))), seed=0)
    assert list(graph.parameters) == ["W1", "b1"]
    assert_gradients(graph, {"x": X})
    W, b = graph.parameter_value("W1"), graph.parameter_value("b1")
    np.testing.assert_allclose(graph.forward(x=X), np.tanh(X @ W + b) @ W + b, rtol=1e-14)


def test_a_layer_used_twice_shares_its_statistics() -> None:
    layer = Gated()
    graph = cr.Graph(layer(layer(cr.Input("x"))))
    assert list(graph.parameters) == ["g1", "h1"]
    graph.forward(x=X, training=True)
    assert graph.state == {"seen1": 8}


def test_a_layer_in_two_graphs_gives_each_its_own() -> None:
    layer, x = cr.Affine(3), cr.Input("x")
    node = layer(x)
    one, two = cr.Graph(node, seed=1), cr.Graph(cr.Exp()(node), seed=2)
    one.forward(x=X)
    two.forward(x=X[:, :2])
    assert one.parameter_value("W1").shape == (3, 3)
    assert two.parameter_value("W1").shape == (2, 3)
    before = two.parameter_value("W1").copy()
    one.parameter_value("W1")[:] = 7
    np.testing.assert_array_equal(two.parameter_value("W1"), before)


def deep(seed: int | None) -> cr.Graph:
    h = cr.Dropout(0.5)(cr.Affine(50)(cr.Input("x")))
    return cr.Graph(cr.Dropout(0.5)(cr.Affine(50)(h)), seed=seed)


def test_one_seed_gives_the_same_parameters() -> None:
    one, two, other = deep(7), deep(7), deep(8)
    for graph in (one, two, other):
        graph.forward(x=X)
    for name in one.parameters:
        np.testing.assert_array_equal(one.parameter_value(name), two.parameter_value(name))
    assert (one.parameter_value("W1") != other.parameter_value("W1")).all()
    alike = cr.Graph(cr.Affine(3)(cr.Affine(3)(cr.Input("x"))), seed=7)
    alike.forward(x=X)
    assert (alike.parameter_value("W1") != alike.parameter_value("W2")).all(), "layers differ"
    assert one.seed == 7
    assert deep(None).seed != deep(None).seed


def test_one_seed_gives_the_same_masks_at_each_step() -> None:
    graph, twin, other = deep(7), deep(7), deep(8)
    at = {step: graph.forward(x=X, training=True, step=step) for step in (0, 1, 2)}
    for step in (2, 0, 1):  # whatever ran before
        np.testing.assert_array_equal(twin.forward(x=X, training=True, step=step), at[step])
        np.testing.assert_array_equal(graph.evaluate({"x": X}, training=True, step=step), at[step])
    assert ((at[0] == 0) != (at[1] == 0)).any()
    other.forward(x=X, training=True)
    graph.forward(x=X, training=True)
    masks = [graph.values["dropout1"] == 0, graph.values["dropout2"] == 0, other.values["dropout1"] == 0]
    assert (masks[0] != masks[1]).any(), "two dropouts of one graph draw other masks"
    assert (masks[0] != masks[2]).any(), "and so does another seed"
    assert 0.3 < masks[0].mean() < 0.7


def test_one_dropout_used_twice_draws_two_masks() -> None:
    layer, x = cr.Dropout(0.5), cr.Input("x")
    graph = cr.Graph(cr.Concatenate(axis=0)(layer(x), layer(x)), seed=0)
    y = graph.forward(x=np.ones((1, 64)), training=True)
    assert ((y[0] == 0) != (y[1] == 0)).any()


def test_dropout_is_off_when_predicting() -> None:
    graph = cr.Graph(cr.Dropout(0.5)(cr.Input("x")))
    np.testing.assert_array_equal(graph.forward(x=X), X)
    np.testing.assert_array_equal(graph.backward(X)["x"], X)


def test_statistics_are_kept_only_when_training() -> None:
    graph = cr.Graph(cr.BatchNorm(momentum=0.5)(cr.Input("x")))
    graph.forward(x=X)
    np.testing.assert_array_equal(graph.state["running_mean1"], np.zeros(3))
    graph.evaluate({"x": X}, training=True)
    np.testing.assert_array_equal(graph.state["running_mean1"], np.zeros(3))
    graph.forward(x=X, training=True)
    np.testing.assert_allclose(graph.state["running_mean1"], X.mean(axis=0) / 2)
    np.testing.assert_allclose(graph.state["running_var1"], 0.5 + X.var(axis=0, ddof=1) / 2)
    kept = graph.state["running_mean1"].copy()
    graph.forward(x=X + 3)
    np.testing.assert_array_equal(graph.state["running_mean1"], kept)
    counting = cr.Graph(Gated()(cr.Input("x")))  # its statistics change when predicting, too
    for training, seen in ((False, 0), (True, 4), (False, 4), (True, 8)):
        counting.forward(x=X, training=training)
        assert counting.state == {"seen1": seen}


def test_statistics_of_a_failed_run_are_not_kept() -> None:
    graph = cr.Graph(cr.BatchNorm()(cr.Input("x")) + cr.Input("z"))
    graph.forward(x=X, z=X)
    kept = graph.state["running_mean1"].copy()
    with pytest.raises(ValueError, match="broadcast"):
        graph.forward(x=X, z=np.ones(7), training=True)
    np.testing.assert_array_equal(graph.state["running_mean1"], kept)


def test_a_parameter_can_be_bound_to_an_array() -> None:
    graph = cr.Graph(cr.Affine(2, bias=False)(cr.Input("x")))
    weights = np.zeros((3, 2))
    graph.bind("W1", weights)
    np.testing.assert_array_equal(graph.forward(x=X), np.zeros((4, 2)))
    weights += 1
    np.testing.assert_allclose(graph.forward(x=X)[:, 0], X.sum(axis=1))
    assert graph.parameter_value("W1") is weights


def test_a_layer_s_parameter_can_be_fed_before_it_exists() -> None:
    graph = cr.Graph(cr.Affine(2)(cr.Input("x")), seed=0)
    np.testing.assert_array_equal(graph.forward(x=X, W1=np.zeros((3, 2)), b1=[1, 2]), [[1, 2]] * 4)
    assert graph.parameter_value("W1").any(), "it was drawn all the same"


def test_shapes_given_as_functions_get_the_shapes_of_all_data_inputs() -> None:
    asked: list[tuple[Shape, ...]] = []

    def shape(*inputs: Shape) -> Shape:
        asked.append(inputs)
        return (inputs[0][-1], inputs[1][-1])

    class Bilinear(cr.Layer):
        """y = a W b^T."""

        def parameters(self) -> dict[str, cr.ParameterSpec]:
            return {"W": cr.ParameterSpec(shape, Normal(1.0))}

        def forward(self, a: Array, b: Array, W: Array) -> tuple[Array, Any]:
            return a @ W @ b.T, (a, b, W)

        def backward(self, dy: Array, saved: Any) -> tuple[Array, ...]:
            a, b, W = saved
            return dy @ b @ W.T, dy.T @ a @ W, a.T @ dy @ b

    graph = cr.Graph(Bilinear()(cr.Input("a"), cr.Input("b")))
    assert_gradients(graph, {"a": X, "b": X[:, :2]})
    assert asked == [((4, 3), (4, 2))]
