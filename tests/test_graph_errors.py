"""What goes wrong in a graph, and what the message says: what was expected, what came, the remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from chainrule.errors import ArgumentError, DataError, GraphError, LayerError, NotComputedError, ShapeError


def product() -> cr.Graph:
    graph = cr.Graph((cr.Input("width") * cr.Parameter("weight", 3.0)).named("area") + 1)
    graph.forward(width=2.0)
    return graph


def test_a_cycle() -> None:
    x = cr.Input("x")
    first = (x * 2).named("first")
    last = (first + 1).named("last")
    first.inputs = (last, x)
    with pytest.raises(GraphError, match=r"cycle: .*named 'last'.* needs itself through .*named 'first'"):
        cr.Graph(last)
    first.inputs = (first, x)
    with pytest.raises(GraphError, match="cycle"):
        cr.Graph(first)


def test_an_input_that_is_no_node() -> None:
    node = cr.Input("x") * 2
    node.inputs = (node.inputs[0], 2.0)  # type: ignore[assignment]
    with pytest.raises(GraphError, match="an input that is not a node: float"):
        cr.Graph(node)


def test_a_foreign_node() -> None:
    graph, foreign = product(), cr.Input("width")
    graph.backward()
    for ask in (
        lambda: graph.values[foreign],
        lambda: graph.gradients[foreign],
        lambda: graph.backward(wrt=[foreign]),
        lambda: graph.evaluate({"width": 1.0}, foreign),
        lambda: graph.name_of(foreign),
    ):
        with pytest.raises(
            GraphError, match=r"'width'.* is not part of this graph; its nodes: width, weight"
        ):
            ask()


def test_two_nodes_of_one_name() -> None:
    with pytest.raises(
        GraphError, match=r"two nodes are named 'x': .*Input.* and .*Exp.*; give one another name"
    ):
        cr.Graph(cr.Exp()(cr.Input("x"), name="x"))
    with pytest.raises(GraphError, match=r"the name 'W1' is given to .*; give the node another name"):
        cr.Graph(cr.Affine(3)(cr.Input("W1")))


@pytest.mark.parametrize("ask", ["values", "gradients"])
def test_an_unknown_name(ask: str) -> None:
    graph = product()
    graph.backward()
    with pytest.raises(GraphError, match="there is no node named 'widht'; did you mean 'width'"):
        getattr(graph, ask)["widht"]
    with pytest.raises(GraphError, match="did you mean 'weight'"):
        graph.parameter_value("wieght")
    with pytest.raises(GraphError, match=r"'width' is not a parameter; .*Known: weight"):
        graph.parameter_value("width")
    with pytest.raises(GraphError, match="'area' is not a parameter"):
        graph.bind("area", np.ones(()))


def test_feeds() -> None:
    graph = product()
    with pytest.raises(GraphError, match="no node named 'widht'; did you mean 'width'"):
        graph.forward(widht=2.0)
    with pytest.raises(GraphError, match=r"the input 'width' has no value: call forward\(width=...\)"):
        graph.forward()
    with pytest.raises(
        GraphError, match=r"'area' cannot be fed, the graph computes it; .* takes width, weight"
    ):
        graph.forward(width=2.0, area=3.0)
    with pytest.raises(GraphError, match="'constant1' cannot be fed, it is a constant"):
        graph.forward(width=2.0, constant1=3.0)


@pytest.mark.parametrize("name", ["step", "training", "lambda", "my input"])
def test_inputs_whose_name_is_no_keyword_are_fed_in_a_dict(name: str) -> None:
    graph = cr.Graph(cr.Input(name) * 2)
    with pytest.raises(GraphError, match=rf"has no value: call forward\(\{{'{name}': ...\}}\)"):
        graph.forward()
    assert graph.forward({name: 3.0}) == 6


def test_an_optional_input_that_cannot_be_left_out() -> None:
    maybe = cr.Input("maybe", optional=True)
    for node in (cr.Input("x") * maybe, cr.Concatenate()(cr.Input("x"), maybe)):
        graph = cr.Graph(node)
        with pytest.raises(GraphError, match=r"'maybe' was left out, but .* cannot do without: .*maybe="):
            graph.forward(x=[1.0])
    with pytest.raises(NotComputedError, match="optional input that was left out"):
        cr.Graph(maybe).forward()


def test_dy() -> None:
    graph = cr.Graph(cr.Input("x") * 2)
    graph.forward(x=np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"'multiply1' has shape \(2, 3\): backward needs dy"):
        graph.backward()
    for dy in (1.0, np.ones(3), np.ones((3, 2)), np.ones((1, 2, 3))):
        with pytest.raises(ShapeError, match=r"expected dy of the output's shape \(2, 3\), got "):
            graph.backward(dy)
    with pytest.raises(DataError, match="dy: expected a number or an array of numbers, got str"):
        graph.backward("ones")
    graph.forward(x=1.0)
    with pytest.raises(ShapeError, match=r"expected dy of the output's shape \(\), got \(1,\)"):
        graph.backward([1.0])


def test_a_layer_used_with_a_second_shape() -> None:
    layer = cr.Affine(3)
    graph = cr.Graph(layer(cr.Input("x")) + layer(cr.Input("z")))
    with pytest.raises(ShapeError) as caught:
        graph.forward(x=np.ones((2, 4)), z=np.ones((2, 5)))
    message = str(caught.value)
    for part in (
        "affine2",
        "Affine(units=3)",
        "'W1' of shape (4, 3)",
        "(2, 5) need (5, 3)",
        "second layer object",
    ):
        assert part in message


def test_a_failed_run_leaves_no_parameters_of_a_wrong_shape() -> None:
    graph = cr.Graph(
        cr.MeanSquaredError()(cr.BatchNorm()(cr.Affine(3)(cr.Input("x"))), cr.Input("t")), seed=1
    )
    with pytest.raises(ShapeError):
        graph.forward(x=np.ones((2, 5)), t=np.ones(7))
    with pytest.raises(
        NotComputedError, match="'W1' has no value yet: its shape follows from the first forward"
    ):
        graph.parameter_value("W1")
    assert graph.state == {}
    graph.forward(x=np.ones((2, 4)), t=np.ones((2, 3)))
    assert graph.parameter_value("W1").shape == (4, 3)
    with pytest.raises(ShapeError):
        graph.forward(x=np.ones((2, 5)), t=np.ones((2, 3)), training=True)
    assert graph.parameter_value("W1").shape == (4, 3)


def test_the_node_that_failed_is_named() -> None:
    graph = cr.Graph(cr.Exp()(cr.Input("a") + cr.Input("b")).named("y"))
    with pytest.raises(ShapeError, match="expected two shapes that broadcast") as caught:
        graph.forward(a=np.ones(3), b=np.ones(4))
    assert caught.value.__notes__ == ["in the forward of the node 'add1'"]


@pytest.mark.parametrize("seed", [-1, 1.5, "one", (1, 2)])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(ArgumentError, match="seed: expected a whole number of at least 0, got"):
        cr.Graph(cr.Input("x"), seed=seed)


# Layers that break the contract


def broken(forward: Callable[..., Any], backward: Callable[..., Any]) -> cr.Graph:
    """A graph of one layer, on the input x of shape (2, 3), made of the two functions."""
    cls = type("Broken", (cr.Layer,), {"forward": forward, "backward": backward})
    return cr.Graph(cls()(cr.Input("x")))


def good_forward(self: Any, x: Array) -> Any:
    return x * 2, x


def good_backward(self: Any, dy: Array, x: Array) -> Any:
    return dy * 2


X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("returned", "came"),
    [
        (X, "ndarray"),
        ((X,), "1 values"),
        ((X, X, X), "3 values"),
        (None, "NoneType"),
        ([X, None], "list"),
    ],
    ids=["array", "one", "three", "nothing", "list"],
)
def test_a_forward_that_returns_no_pair(returned: Any, came: str) -> None:
    graph = broken(lambda self, x: returned, good_backward)
    message = rf"broken1: the forward of Broken must return \(output, saved\), got {came}"
    with pytest.raises(LayerError, match=message):
        graph.forward(x=X)


@pytest.mark.parametrize("output", [None, "text", X * 1j, {"y": X}], ids=["None", "text", "complex", "dict"])
def test_a_forward_whose_output_is_no_array_of_numbers(output: Any) -> None:
    graph = broken(lambda self, x: (output, None), good_backward)
    with pytest.raises(
        LayerError, match="broken1: the forward of Broken must return an output that is an array"
    ):
        graph.forward(x=X)


def test_a_forward_that_fails_says_where_and_with_which_shapes() -> None:
    graph = broken(lambda self, x: (x @ x, None), good_backward)
    with pytest.raises(ShapeError, match=r"broken1: Broken\(\) cannot take inputs of shape \(2, 3\): matmul"):
        graph.forward(x=X)


@pytest.mark.parametrize("shape", [(3,), (2, 1), (), (3, 2), (2, 4)], ids=str)
def test_a_backward_that_returns_a_wrong_shape(shape: tuple[int, ...]) -> None:
    graph = broken(good_forward, lambda self, dy, saved: np.zeros(shape))
    graph.forward(x=X)
    with pytest.raises(LayerError) as caught:
        graph.backward(X)
    message = str(caught.value)
    assert f"broken1: the backward of Broken returned a gradient of shape {shape} for its input x" in message
    assert "of shape (2, 3); the two shapes must agree" in message


def two_inputs(returned: Callable[[Array], Any]) -> cr.Graph:
    class Two(cr.Layer):
        def forward(self, a: Array, b: Array) -> tuple[Array, None]:
            return a + b, None

        def backward(self, dy: Array, saved: None) -> Any:
            return returned(dy)

    graph = cr.Graph(Two()(cr.Input("a"), cr.Input("b")))
    graph.forward(a=X, b=X)
    return graph


@pytest.mark.parametrize(
    ("returned", "count"),
    [
        (lambda dy: dy, 1),
        (lambda dy: (dy,), 1),
        (lambda dy: [dy, dy], 1),
        (lambda dy: (), 0),
        (lambda dy: None, 1),
        (lambda dy: (dy, dy, dy), 3),
    ],
    ids=["array", "one", "list", "none", "None", "three"],
)
def test_a_backward_that_returns_another_number_of_gradients(returned: Any, count: int) -> None:
    graph = two_inputs(returned)
    message = f"two1: the backward of Two returned {count} gradients for 2 inputs; it returns one for each"
    with pytest.raises(LayerError, match=message):
        graph.backward(X)
    assert len(graph.gradients) == 0


def test_a_backward_that_fails_says_where() -> None:
    graph = broken(good_forward, lambda self, dy, saved: dy @ saved)
    graph.forward(x=X)
    with pytest.raises(ValueError, match="matmul") as caught:
        graph.backward(X)
    assert caught.value.__notes__ == ["in the backward of the node 'broken1'"]


def test_unknown_keywords() -> None:
    with pytest.raises(
        LayerError, match=r"Broken.forward asks for the keyword 'train'.*it may ask for rng, state"
    ):
        broken(lambda self, x, *, train: (x, None), good_backward)
    with pytest.raises(
        LayerError, match=r"Broken.backward asks for the keyword 'need'.*it may ask for needs"
    ):
        broken(good_forward, lambda self, dy, saved, *, need: dy)


def test_a_layer_without_backward() -> None:
    class Half(cr.Layer):
        def forward(self, x: Array) -> tuple[Array, None]:
            return x, None

    with pytest.raises(
        LayerError, match=r"Half has no method backward\(\); a layer defines forward and backward"
    ):
        Half()(cr.Input("x"))


ONE = cr.ParameterSpec((), cr.initializers.Ones())


def declaring(*names: str, forward: Callable[..., Any]) -> cr.Layer:
    methods = {
        "parameters": lambda self: dict.fromkeys(names, ONE),
        "forward": forward,
        "backward": lambda self, dy, saved: dy,
    }
    return type("Declaring", (cr.Layer,), methods)()  # type: ignore[no-any-return]


def test_a_parameter_that_forward_does_not_take() -> None:
    layer = declaring("weight", forward=lambda self, x, weights: (x * weights, None))
    with pytest.raises(
        LayerError, match="declares a parameter 'weight', which its forward does not take; did you"
    ):
        layer(cr.Input("x"), cr.Input("z"))


def test_parameters_come_after_the_data() -> None:
    x = cr.Input("x")
    before = declaring("W", forward=lambda self, x, W, t: (x * W + t, None))
    with pytest.raises(LayerError, match=r"forward takes \(x, W, t\), so give it the inputs before them"):
        before(x, x)
    between = declaring("W", forward=lambda self, x, mask=None, W=None: (x * W, None))
    with pytest.raises(LayerError, match=r"forward takes \(x, mask, W\)"):
        between(x)
    assert cr.Graph(between(x, x)).forward(x=3.0) == 3
    assert cr.Graph(before(x, 2.0, 5.0)).forward(x=3.0) == 11


@pytest.mark.parametrize("returned", [None, {}, {"men": 1.0}, {"mean": 1.0, "var": 1.0}], ids=str)
def test_a_forward_that_returns_other_statistics(returned: Any) -> None:
    class Counting(cr.Layer):
        def state(self) -> dict[str, cr.ParameterSpec]:
            return {"mean": ONE}

        def forward(self, x: Array, *, state: dict[str, Array]) -> Any:
            return x, None, returned

        def backward(self, dy: Array, saved: None) -> Array:
            return dy

    graph = cr.Graph(Counting()(cr.Input("x")))
    with pytest.raises(
        LayerError, match=r"counting1: .* must return as new_state a dict with the keys mean, got"
    ):
        graph.forward(x=1.0)


# Layers that write to what they are given


def writes_forward(self: Any, x: Array) -> Any:
    x += 1
    return x * 2, None


def writes_by_index(self: Any, x: Array) -> Any:
    x[0] = 0
    return x * 2, None


def writes_backward(self: Any, dy: Array, saved: Any) -> Any:
    dy *= 2
    return dy


def writes_to_saved(self: Any, dy: Array, saved: Array) -> Any:
    saved *= dy
    return saved


@pytest.mark.parametrize("forward", [writes_forward, writes_by_index])
def test_a_forward_that_writes_to_its_input(forward: Callable[..., Any]) -> None:
    for x in (np.ones((2, 3)), np.ones((2, 3), int)):
        before = x.copy()
        with pytest.raises(
            LayerError,
            match=r"broken1: the forward of Broken writes .* writes to none of the arrays it is given",
        ):
            broken(forward, good_backward).forward(x=x)
        np.testing.assert_array_equal(x, before)
        assert x.flags.writeable


@pytest.mark.parametrize("backward", [writes_backward, writes_to_saved])
def test_a_backward_that_writes_to_what_it_is_given(backward: Callable[..., Any]) -> None:
    x, dy = np.ones((2, 3)), np.full((2, 3), 5.0)
    graph = broken(good_forward, backward)
    graph.forward(x=x)
    with pytest.raises(
        LayerError,
        match=r"broken1: the backward of Broken writes .* writes to none of the arrays it is given",
    ):
        graph.backward(dy)
    np.testing.assert_array_equal(x, np.ones((2, 3)))
    np.testing.assert_array_equal(dy, np.full((2, 3), 5.0))


def test_a_single_number_is_handed_as_an_array() -> None:
    seen: list[Any] = []

    def forward(self: Any, x: Array) -> Any:
        seen.append(x)
        return x * 2, None

    def backward(self: Any, dy: Array, saved: None) -> Any:
        seen.append(dy)
        return dy * 2

    graph = broken(forward, backward)
    graph.forward(x=3.0)
    graph.backward()
    assert [(type(each), each.shape) for each in seen] == [(np.ndarray, ())] * 2
    assert graph.gradients["x"] == 2


# Functions of NumPy, dtypes and shapes


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (np.exp, r"np\.exp does not take nodes of a graph; use the layer: cr\.Exp\(\)\(node\)"),
        (np.log, r"np\.log does not .*cr\.Log\(\)\(node\)"),
        (np.sqrt, r"cr\.Sqrt\(\)\(node\)"),
        (np.tanh, r"cr\.Tanh\(\)\(node\)"),
        (np.square, r"node\*\*2"),
        (np.sum, r"np\.add\.reduce does not .*cr\.Sum\(\)\(node\)"),
        (np.sin, r"np\.sin does not .*a layer of your own"),
        (lambda node: np.maximum(0, node), r"cr\.ReLU\(\)\(node\)"),
        (lambda node: np.add(np.ones(2), node, out=np.ones(2)), "np.add does not take nodes"),
        (lambda node: np.ones(2) < node, "np.less does not take nodes"),
    ],
)
def test_functions_of_numpy(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        function(cr.Input("x"))


def test_arrays_and_numbers_of_numpy_beside_a_node() -> None:
    x, array = np.array([3.0, 5.0]), np.array([1, 2])
    for two in (array, np.float64(2), np.float32(2), np.int64(2), np.uint8(2), np.array(2.0)):
        node = cr.Input("x")
        for made, expected in (
            (two * node, two * x),
            (node * two, x * two),
            (two + node, two + x),
            (two - node, two - x),
            (two / node, two / x),
            (two**node, two**x),
            (node**two, x**two),
            (np.multiply(two, node), two * x),
            (np.negative(node), -x),
        ):
            assert isinstance(made, cr.Node)
            np.testing.assert_allclose(cr.Graph(made).forward(x=x), expected, rtol=1e-6)
    assert cr.Graph(array @ cr.Input("x")).forward(x=x) == 13
    assert cr.Graph(cr.Input("x") @ array).forward(x=x) == 13
    held: Any = array
    held *= cr.Input("x")
    np.testing.assert_array_equal(cr.Graph(held).forward(x=x), [3, 10])
    node = cr.Input("x")
    equal: Any = array == node
    different: Any = array != node
    assert (equal, different) == (False, True)
    np.testing.assert_array_equal(array, [1, 2])


@pytest.mark.parametrize("dtype", ["flaot", "int64", object(), 3])
def test_a_dtype_is_of_floats(dtype: Any) -> None:
    with pytest.raises(ArgumentError, match="dtype: expected float32 or float64, got"):
        cr.Graph(cr.Input("x"), dtype=dtype)


@pytest.mark.parametrize("shape", [True, (True,), (3, True), False])
def test_a_bool_is_no_shape(shape: Any) -> None:
    with pytest.raises(ArgumentError, match="expected a shape of positive whole numbers"):
        cr.Input("x", shape)
