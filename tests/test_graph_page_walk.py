"""The page of a graph in a browser: steps, and the numbers of each."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from browsing import needs_browser
from chainrule.drawing import draw
from graph_page_cases import (
    apple_shop,
    digits,
    digits_network,
    fan_out,
    sigmoid,
    vectors,
)


@needs_browser
@pytest.mark.parametrize("how", ["click", "keys"])
@pytest.mark.parametrize("build", [apple_shop, sigmoid])
def test_a_walk_through_forward_and_backward_tells_every_number(show: Any, build: Any, how: str) -> None:
    graph = build()
    drawing = draw(graph)
    nodes, edges = drawing.scene.nodes, drawing.scene.edges
    shown = show(drawing)
    assert shown.progress.startswith("forward 1 of")
    shown.page.keyboard.press("End")
    assert shown.progress == "everything shown"
    assert shown.shown_edges("gradient") == list(range(len(edges)))

    shown.step_on(how)
    leaves = [k for k, node in enumerate(nodes) if node.layer is None and node.kind != "output"]
    assert shown.heading == "What goes in"
    assert shown.exact("#panel li .number") == [
        digits(np.float64(graph.values[nodes[k].name])) for k in leaves
    ]
    assert shown.shown_edges("value") == [k for k, edge in enumerate(edges) if edge.source in leaves]
    assert shown.shown_edges("gradient") == []

    computed = [k for k, node in enumerate(nodes) if node.layer is not None]
    known = set(leaves)
    for number, k in enumerate(computed):
        shown.step_on(how)
        known.add(k)
        name = nodes[k].name
        assert (shown.progress, shown.heading) == (f"forward {number + 2} of {len(computed) + 1}", name)
        own = [edge for edge in edges if edge.target == k]
        told = shown.exact("#panel li[data-edge] .number")
        assert told == [digits(np.float64(graph.values[nodes[edge.source].name])) for edge in own]
        assert shown.exact("#panel .result .number") == [digits(np.float64(graph.values[name]))]
        assert shown.exact("#panel .equation .result") == [digits(np.float64(graph.values[name]))]
        assert shown.shown_edges("value") == [n for n, edge in enumerate(edges) if edge.source in known]
        assert shown.shown_edges("gradient") == []

    shown.step_on(how)
    assert shown.heading == "Where backward begins"
    assert shown.exact("#panel .total") == ["1.0"]
    assert shown.shown_edges("gradient") == [len(edges) - 1]

    for number, k in enumerate(reversed(computed)):
        shown.step_on(how)
        name = nodes[k].name
        assert (shown.progress, shown.heading) == (f"backward {number + 2} of {len(computed) + 2}", name)
        assert shown.exact("#panel .upstream-card .total") == [digits(np.float64(graph.gradients[name]))]
        own = [n for n, edge in enumerate(edges) if edge.target == k]
        for n in own:
            card = f'#panel .downstream-card[data-edge="{n}"]'
            expected = digits(np.float64(graph.gradients[nodes[edges[n].source].name]))
            assert shown.exact(f"{card} .total") == [expected]
            (upstream,), (local,) = (
                shown.exact(f"{card} .number.upstream"),
                shown.exact(f"{card} .number.local"),
            )
            assert upstream == digits(np.float64(graph.gradients[name]))
            assert float(upstream) * float(local) == pytest.approx(float(expected), rel=1e-12)
        assert set(own) <= set(shown.shown_edges("gradient"))
        assert shown.page.locator(".edge.downstream").count() == len(own)
        assert shown.page.locator(f'g.node.now[data-node="{k}"]').count() == 1

    shown.step_on(how)
    assert shown.heading == "What has come back"
    told = shown.exact("#panel li[data-node] > .number")
    assert told == [digits(np.float64(graph.gradients[nodes[k].name])) for k in leaves]
    shown.step_on(how)
    assert shown.progress == "everything shown"


@needs_browser
def test_the_page_says_what_is_multiplied_with_what(show: Any) -> None:
    shown = show(draw(apple_shop()))
    for _ in range(5):
        shown.step_on("keys")
    said = re.sub(r"\s+", " ", str(shown.page.text_content('#panel .card[data-edge="0"]')))
    assert "∂L/∂a=∂L/∂y × ∂y/∂a=1.1 × 2 = 2.2" in said
    assert "∂L/∂a = ∂L/∂y × b" in said
    shown.page.keyboard.press("Home")
    shown.page.keyboard.press("ArrowRight")
    assert "y=100 × 2=200" in str(shown.page.text_content("#panel .equation"))


@needs_browser
def test_a_walk_through_a_network_tells_the_gradients_of_arrays(show: Any) -> None:
    net, x, t = digits_network()
    drawing = draw(net, x, t)
    nodes, edges = drawing.scene.nodes, drawing.scene.edges
    gradients = net.graph.run_backward(
        net.graph.run(net.feeds(x, t), len(net.graph) - 1, False, 0), np.float32(1).reshape(())
    )
    expected = {net.graph.name_of(i): gradient for i, gradient in enumerate(gradients)}
    shown = show(drawing)
    shown.page.keyboard.press("Home")
    walked, sums = [], 0
    while shown.progress != "everything shown":
        if shown.progress.startswith("backward") and shown.page.locator("#panel .upstream-card").count():
            walked.append(shown.heading)
            for card in shown.page.locator("#panel .downstream-card").all():
                source = nodes[edges[int(card.get_attribute("data-edge"))].source].name
                share = expected[source]
                if share is None:
                    assert "no gradient flows here" in card.inner_text()
                    continue
                total = card.locator(".total")
                assert total.get_attribute("data-exact") == digits(share.flat[np.abs(share).argmax()])
                index = np.unravel_index(np.abs(share).argmax(), share.shape)
                assert str([int(k) for k in index]) in card.inner_text()
                terms = card.locator(".term").all()
                sums += len(terms) > 1
                told = [
                    [float(n.get_attribute("data-exact")) for n in term.locator(".number").all()]
                    for term in terms
                ]
                left = card.locator(".rest").all_inner_texts()
                if not left:
                    assert sum(u * v for u, v in told) == pytest.approx(
                        float(total.get_attribute("data-exact")), 1e-4
                    )
                else:
                    assert re.fullmatch(r"\+ … \(\d+ more terms?\)", left[0])
        shown.step_on("keys")
    assert walked == ["loss", "affine2", "relu1", "affine1"]
    assert sums >= 4


@needs_browser
def test_gradients_of_a_node_that_feeds_several_add_up(show: Any) -> None:
    graph = fan_out()
    shown = show(draw(graph))
    shown.page.keyboard.press("End")
    shown.page.keyboard.press("ArrowLeft")
    assert shown.heading == "What has come back"
    adds = shown.page.locator("#panel .adds")
    assert adds.count() == 1
    assert "x is used 3 times" in adds.inner_text()
    shares = [float(share) for share in shown.exact("#panel .adds .share")]
    assert sorted(shares) == [0.1, 3.0, 4.0]
    assert shown.exact("#panel .adds .sum") == [digits(np.float64(graph.gradients["x"]))]
    shown.page.keyboard.press("ArrowLeft")  # the last of the three that send a gradient to x
    assert "the gradients add up" in shown.panel
    shown.page.keyboard.press("ArrowLeft")
    assert "one of the gradients that add up" in shown.panel


@needs_browser
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_heat_map_tells_its_exact_numbers(show: Any, dtype: Any) -> None:
    net, x, t = digits_network(dtype=dtype)
    drawing = draw(net, x, t)
    k = next(k for k, node in enumerate(drawing.scene.nodes) if node.name == "affine1")
    value, gradient = drawing.scene.nodes[k].value, drawing.scene.nodes[k].gradient
    assert value is not None
    assert gradient is not None
    assert value.dtype == dtype
    shown = show(drawing)
    shown.click_node(k)
    for number, array in enumerate((value, gradient)):
        canvas = shown.page.locator("#panel canvas").nth(number)
        said = shown.page.locator("#panel .said").nth(number)
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        for row, column in ((0, 0), (3, 7), (5, 11)):
            x_at = (column + 0.5) * box["width"] / array.shape[1]
            y_at = (row + 0.5) * box["height"] / array.shape[0]
            canvas.hover(position={"x": x_at, "y": y_at})
            assert said.inner_text().split("\n") == [f"[{row}, {column}]", digits(array[row, column])]
        shown.page.mouse.move(5, 5)
        canvas.focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowUp", "End"):
            canvas.press(key)
            at = json.loads(str(said.get_attribute("data-index")))
            assert said.get_attribute("data-exact") == digits(array[tuple(at)])
        assert at == [5, 11]
        canvas.press("Home")
        canvas.press("ArrowDown")
        canvas.press("ArrowRight")
        assert said.inner_text().split("\n") == ["[1, 1]", digits(array[1, 1])]
    assert shown.progress == "forward 1 of 5"  # the arrows did not walk on


@needs_browser
def test_numbers_of_every_size_are_written_as_numpy_does(show: Any) -> None:
    values = np.array(
        [0.0, -0.0, 1.0, 100.0, 0.1, 1 / 3, 1e-4, 9.9e-5, 1e15, 1.5e16, 1e22, 1.7e308, 5e-324, -2.5]
    )
    values = np.concatenate([values, np.random.default_rng(0).normal(size=40) * 10.0 ** np.arange(-20, 20)])
    shown = show(vectors(values))
    exact = "([values, type]) => values.map(value => exact(value, type))"
    finite = values.tolist()
    assert shown.page.evaluate(exact, [finite, "float64"]) == [repr(value) for value in finite]
    single = values[np.abs(values) < 1e30].astype(np.float32)
    assert shown.page.evaluate(exact, [single.tolist(), "float32"]) == [digits(value) for value in single]
    assert shown.page.evaluate(exact, [[3, 0], "int64"]) == ["3", "0"]


@needs_browser
def test_a_long_vector_is_broken_into_lines_and_a_large_table_thinned(show: Any) -> None:
    vector = np.random.default_rng(1).normal(size=100)
    shown = show(vectors(vector))
    shown.click_node(0)
    canvas = shown.page.locator("#panel canvas").first
    said = shown.page.locator("#panel .said").first
    canvas.focus()
    canvas.press("Home")
    canvas.press("ArrowDown")
    canvas.press("ArrowRight")
    assert said.inner_text().split("\n") == ["[33]", digits(vector[33])]
    assert shown.page.locator(".thinned").count() == 0


@needs_browser
def test_what_was_thinned_out_is_told(show: Any) -> None:
    table = np.random.default_rng(1).normal(size=(300, 7, 112))
    shown = show(vectors(table))
    shown.click_node(0)
    assert shown.texts("#panel .thinned")[0] == "shows 64 of 300 rows, 64 of 784 columns"
    canvas = shown.page.locator("#panel canvas").first
    canvas.focus()
    canvas.press("End")
    said = shown.page.locator("#panel .said").first
    assert said.inner_text().split("\n") == ["[299, 6, 111]", digits(table[299, 6, 111])]
    for _ in range(30):
        canvas.press("ArrowLeft")
    at = json.loads(str(said.get_attribute("data-index")))
    assert at[1] == 3
    assert said.get_attribute("data-exact") == digits(table[tuple(at)])
    assert "(300, 7, 112)" in shown.panel
