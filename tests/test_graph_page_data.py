"""The page of a graph: what Python puts into it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.drawing import draw, graph_page
from graph_page_cases import (
    apple_shop,
    data_of,
    digits_network,
    numbers_of,
    vectors,
)


def test_the_data_holds_every_value_and_gradient() -> None:
    graph = apple_shop()
    data = data_of(draw(graph))
    view = data["views"]["full"]
    assert data["ran"] == "backward"
    for node in view["nodes"][:-1]:
        for what, arrays in (("value", graph.values), ("gradient", graph.gradients)):
            array = data["arrays"][node[what]]
            assert array["number"] == arrays[node["name"]]
            assert numbers_of(array).tolist() == [arrays[node["name"]]]
    rules = [edge["rule"] for edge in view["edges"][:-1]]
    assert [(rule["terms"][0][1], rule["terms"][0][2], rule["total"]) for rule in rules] == [
        (1.1, 2.0, 2.2),
        (1.1, 100.0, 110.00000000000001),
        (1.0, 1.1, 1.1),
        (1.0, 200.0, 200.0),
    ]


def test_a_sum_lists_its_largest_terms_and_counts_the_others() -> None:
    net, x, t = digits_network(dtype=np.float64)
    drawing = draw(net, x, t)
    view = data_of(drawing)["views"]["full"]
    edge = next(
        e for e in view["edges"] if view["nodes"][e["target"]]["name"] == "affine1" and e["slot"] == "W"
    )
    upstream = next(n.gradient for n in drawing.scene.nodes if n.name == "affine1")
    share = next(n.gradient for n in drawing.scene.nodes if n.name == "W1")
    assert upstream is not None
    assert share is not None
    k, j = edge["rule"]["element"]
    terms = sorted(zip(upstream[:, j], x[:, k], strict=True), key=lambda term: -abs(term[0] * term[1]))
    assert edge["rule"]["total"] == share[k, j] == share.flat[np.abs(share).argmax()]
    assert [tuple(term[1:]) for term in edge["rule"]["terms"]] == terms[:4]
    assert edge["rule"]["omitted"] == len(terms) - 4 == 2
    assert [term[0][1] for term in edge["rule"]["terms"]] == [j] * 4


def test_a_large_array_is_thinned_evenly_and_told_so() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(300, 784))
    data = data_of(vectors(table))
    array = data["arrays"][data["views"]["full"]["nodes"][0]["value"]]
    rows, columns = array["rows"], array["columns"]
    assert rows[0] == columns[0] == 0
    assert rows[-1] == 299
    assert columns[-1] == 783
    assert len(rows) * len(columns) <= graph_page.MOST_CELLS_OF_ONE
    assert max(np.diff(columns)) - min(np.diff(columns)) <= 1
    np.testing.assert_array_equal(numbers_of(array), table[np.ix_(rows, columns)].ravel())
    assert len(rows) <= graph_page.MOST_ROWS
    assert array["mean"] == pytest.approx(table.mean())


def test_small_arrays_leave_room_to_large_ones() -> None:
    assert graph_page._fair_share([1] * 1000 + [3000] * 10) == graph_page.MOST_CELLS_OF_ONE
    assert graph_page._fair_share([5000] * 100) == graph_page.MOST_CELLS // 100
    assert graph_page._fair_share([5000] * 100_000) == graph_page.FEWEST_CELLS
    assert graph_page._fair_share([]) == graph_page.MOST_CELLS_OF_ONE


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (1, 1), (1,), (2, 3, 4, 5), (1, 9000), (9000, 1)])
def test_arrays_of_every_shape_are_held(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    told = graph_page._Arrays([])._told(array)
    rows = range(told["rows"]) if isinstance(told["rows"], int) else told["rows"]
    columns = range(told["columns"]) if isinstance(told["columns"], int) else told["columns"]
    table = array.reshape(1, -1) if array.ndim < 2 else array.reshape(shape[0], int(np.prod(shape[1:])))
    np.testing.assert_array_equal(numbers_of(told), table[np.ix_(list(rows), list(columns))].ravel())


def test_no_name_can_end_the_data_or_become_markup() -> None:
    name = "</script><script>alert(1)</script><!-- pictures --><!--"
    x = cr.Input(name)
    html = draw(cr.Graph(x * 2.0), {name: 1.0}).html()
    assert "<script>alert" not in html
    assert "<!-- pictures" not in html
    assert data_of(draw(cr.Graph(x * 2.0), {name: 1.0}))["views"]["full"]["nodes"][0]["name"] == name


def test_what_is_not_finite_becomes_words() -> None:
    x = cr.Input("x")
    data = data_of(draw(cr.Graph(cr.Log()(x)), {"x": -1.0}))
    value = data["arrays"][data["views"]["full"]["nodes"][1]["value"]]
    assert value["number"] == "nan"
    assert value["nans"] == 1


def test_two_classes_of_one_name_keep_their_own_code() -> None:
    def made(factor: float) -> Any:
        class Scale(cr.Layer):
            def forward(self, x: Any) -> Any:
                return x * factor, None

            def backward(self, dy: Any, saved: None) -> Any:
                return dy * factor

        Scale.__doc__ = f"y = {factor} * x,    dL/dx = dL/dy * {factor}."
        return Scale()

    x = cr.Input("x")
    data = data_of(draw(cr.Graph(made(3.0)(made(2.0)(x))), {"x": 1.0}))
    layers = [node["layer"] for node in data["views"]["full"]["nodes"] if node["layer"]]
    assert layers == ["Scale", "Scale (2)"]
    assert [data["kinds"][name]["formula"][:7] for name in layers] == ["y = 2.0", "y = 3.0"]


def test_a_page_without_data_weighs_less_than_200_kb() -> None:
    html = draw(apple_shop()).html()
    left = re.sub(r'<div class="picture".*?</svg></div>', "", html, flags=re.DOTALL)
    assert len(left.encode()) < 200_000
