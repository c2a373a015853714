"""The page of a graph: what Python puts into it, and what it does in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from browsing import needs_browser, opened, started_browser
from chainrule.checking import Finding
from chainrule.drawing import Drawing, draw, graph_page
from chainrule.drawing.rules import Source
from chainrule.drawing.scene import scene_of

RED = [222, 45, 60, 255]


# Graphs ----------------------------------------------------------------------------------------------------


def apple_shop() -> cr.Graph:
    apple, count, tax = cr.Input("apple"), cr.Input("count"), cr.Input("tax")
    graph = cr.Graph(((apple * count).named("apples") * tax).named("total"))
    graph.forward(apple=100, count=2, tax=1.1)
    graph.backward()
    return graph


def sigmoid() -> cr.Graph:
    """1 / (1 + exp(-x)), of elementary operations."""
    x = cr.Input("x")
    graph = cr.Graph((1 / (1 + cr.Exp()(-x))).named("y"))
    graph.forward(x=0.3)
    graph.backward()
    return graph


def fan_out() -> cr.Graph:
    """L = 3 x + 4 x + x * y: three gradients meet at x."""
    x, y = cr.Input("x"), cr.Input("y")
    graph = cr.Graph(
        ((x * 3.0).named("three") + (x * 4.0).named("four") + (x * y).named("product")).named("L")
    )
    graph.forward(x=2.0, y=0.1)
    graph.backward()
    return graph


def digits_network(layers: int = 1, dtype: Any = np.float32) -> tuple[cr.Network, Any, Any]:
    rng = np.random.default_rng(0)
    hidden = [layer for _ in range(layers) for layer in (cr.Affine(12), cr.ReLU())]
    loss = cr.SoftmaxCrossEntropy()
    net = cr.Network(*hidden, cr.Affine(10), input_shape=40, loss=loss, seed=0, dtype=dtype)
    return net, rng.normal(size=(6, 40)).astype(dtype), rng.integers(0, 10, 6)


def vectors(values: Any) -> Drawing:
    """sum(x * x) of float64 vectors."""
    x = cr.Input("x")
    return draw(cr.Graph(cr.Sum()((x * x).named("squares"))), {"x": values})


def data_of(drawing: Drawing) -> dict[str, Any]:
    found = re.search(
        r'<script type="application/json" id="data-graph">(.*?)</script>', drawing.html(), re.DOTALL
    )
    assert found
    return json.loads(found[1])


def numbers_of(array: dict[str, Any]) -> Any:
    import base64

    return np.frombuffer(base64.b64decode(array["numbers"]), "<f4" if array["bytes"] == 4 else "<f8")


def digits(value: Any) -> str:
    """A NumPy number as its repr writes it, without the type."""
    return re.sub(r"^np\.\w+\((.*)\)$", r"\1", repr(value))


# What Python puts into the page ------------------------------------------------------------------------------


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


# In a browser ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started_browser() as found:
        yield found


class Shown:
    """A page in the browser, with what tests ask of it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.set_default_timeout(10_000)
        page.wait_for_selector("html[data-ready=yes]", state="attached")

    def texts(self, selector: str) -> list[str]:
        return [str(text).strip() for text in self.page.locator(selector).all_text_contents()]

    def exact(self, selector: str) -> list[str]:
        return list(self.page.eval_on_selector_all(selector, "all => all.map(one => one.dataset.exact)"))

    @property
    def panel(self) -> str:
        return str(self.page.inner_text("#panel"))

    @property
    def heading(self) -> str:
        return str(self.page.inner_text("#panel h2"))

    @property
    def progress(self) -> str:
        return str(self.page.inner_text("#progress"))

    def click_node(self, k: int) -> None:
        self.page.keyboard.press("0")  # the whole graph, so that every node is in the window
        self.page.click(f'.picture:not([hidden]) g.node[data-node="{k}"] .shape')

    def step_on(self, how: str) -> None:
        if how == "click":
            self.page.click("[data-step=next]")
        else:
            self.page.keyboard.press("ArrowRight")

    def shown_edges(self, what: str) -> list[int]:
        """The edges whose value or gradient can be seen."""
        return list(
            self.page.evaluate(
                """what => [...document.querySelectorAll(".picture:not([hidden]) g.edge")]
                .filter(edge => getComputedStyle(edge.querySelector(":scope > ." + what)).visibility === "visible")
                .map(edge => Number(edge.dataset.edge)).sort((a, b) => a - b)""",
                what,
            )
        )


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Any]:
    from contextlib import ExitStack

    with ExitStack() as stack:

        def opening(drawing: Drawing | str, **options: Any) -> Shown:
            path = tmp_path / "graph.html"
            path.write_text(drawing if isinstance(drawing, str) else drawing.html(), encoding="utf-8")
            options = {"reduced_motion": "reduce", "color_scheme": "light", **options}
            return Shown(stack.enter_context(opened(browser, path, **options)))

        yield opening


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


@needs_browser
def test_search_finds_by_name_and_by_kind(show: Any) -> None:
    net, x, t = digits_network(layers=6)
    shown = show(draw(net, x, t))
    shown.page.keyboard.press("/")
    shown.page.keyboard.type("relu")
    assert shown.texts("#hits li") == [f"relu{k}ReLU" for k in range(1, 7)]
    shown.page.keyboard.press("ArrowDown")
    shown.page.keyboard.press("Enter")
    assert shown.heading == "relu2"
    assert shown.page.evaluate("document.activeElement.dataset.node") is not None
    box = shown.page.locator("g.node.chosen").bounding_box()
    stage = shown.page.locator("#stage").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= stage["x"] + stage["width"]
    shown.page.keyboard.press("/")
    shown.page.keyboard.type("parameter")
    assert len(shown.texts("#hits li[role=option]")) == 14
    shown.page.keyboard.press("Escape")
    assert not shown.page.is_visible("#hits")
    shown.page.keyboard.press("/")
    shown.page.keyboard.type("nobody")
    assert shown.texts("#hits li") == ["nothing found"]


@needs_browser
def test_repeated_blocks_collapse_and_show_their_members(show: Any) -> None:
    net, x, t = digits_network(layers=6)
    drawing = draw(net, x, t)
    shown = show(drawing)
    page = shown.page
    assert page.get_attribute("html", "data-view") == "full"
    assert page.locator(".picture:not([hidden]) g.node").count() == len(drawing.scene.nodes)
    page.keyboard.press("/")
    page.keyboard.type("loss")
    page.keyboard.press("Enter")  # far from where the repeated nodes are
    page.keyboard.press("c")
    assert page.get_attribute("html", "data-view") == "collapsed"
    page.click("#fold")
    assert page.get_attribute("html", "data-view") == "full"
    page.click("#fold")
    page.click("g.node.block .label")
    assert "6 × (Affine → ReLU)" in shown.panel or "5 × (Affine → ReLU)" in shown.panel
    page.click("[data-show]")
    assert page.get_attribute("html", "data-view") == "full"
    members = page.locator("g.node.member")
    assert members.count() >= 20
    assert page.locator("g.node.member", has_text="relu5").count() == 1
    stage = page.locator("#stage").bounding_box()
    box = members.first.bounding_box()
    assert 0 <= box["x"] <= stage["width"]
    assert stage["y"] <= box["y"] <= stage["y"] + stage["height"]


@needs_browser
def test_a_graph_without_repeats_has_no_button_to_collapse(show: Any) -> None:
    shown = show(draw(apple_shop()))
    assert not shown.page.is_visible("#fold")
    shown.page.keyboard.press("c")
    assert shown.page.get_attribute("html", "data-view") == "full"


@needs_browser
def test_keys_reach_everything(show: Any) -> None:
    shown = show(draw(apple_shop()))
    page = shown.page
    page.locator("[data-zoom=fit]").focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('g.node') !== null"):
            break
    reached = [page.evaluate("document.activeElement.dataset.node")]
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.node"))
    assert reached == ["0", "1", "2", "3", "4"]
    page.keyboard.press("Enter")
    assert shown.heading == "total"
    page.keyboard.press("Escape")
    assert page.get_attribute("#panel", "data-tells") == "step"
    assert page.evaluate("document.activeElement.dataset.node") == "4"
    page.keyboard.press("?")
    assert page.is_visible("#keys")
    page.keyboard.press("Escape")
    assert not page.is_visible("#keys")
    page.keyboard.press("Home")
    assert shown.progress == "forward 1 of 3"
    assert page.inner_text("#spoken") == "forward 1 of 3: what goes in"
    page.keyboard.press("Escape")
    assert shown.progress == "everything shown"
    scale = "Number(document.querySelector('g.all').getAttribute('transform').match(/scale\\(([^)]*)/)[1])"
    first = page.evaluate(scale)
    page.keyboard.press("+")
    assert page.evaluate(scale) > first
    page.keyboard.press("0")
    assert page.evaluate(scale) == first <= 1.6
    page.mouse.move(300, 300)
    page.mouse.wheel(0, 300)
    page.wait_for_function(f"{scale} < {first}")


@needs_browser
def test_the_slider_goes_to_any_step(show: Any) -> None:
    shown = show(draw(apple_shop()))
    shown.page.locator("#slider").fill("4")
    assert (shown.progress, shown.heading) == ("backward 2 of 4", "total")
    assert shown.page.get_attribute("#slider", "aria-valuetext") == "backward 2 of 4"
    shown.page.click("[data-step=back]")
    assert shown.progress == "backward 1 of 4"
    shown.page.click("[data-step=last]")
    assert shown.progress == "everything shown"
    shown.page.click("[data-step=first]")
    assert shown.page.is_disabled("[data-step=back]")


@needs_browser
def test_a_node_and_an_edge_are_told_in_full(show: Any) -> None:
    net, x, t = digits_network()
    shown = show(draw(net, x, t))
    shown.click_node(3)
    assert shown.heading == "affine1"
    for words in (
        "y = x W + b",
        "∂L/∂W = xᵀ ∂L/∂y",
        "Affine(units=12)",
        "(6, 12)",
        "float32",
        "mean",
        "std",
        "Computed from",
    ):
        assert words in shown.panel
    assert "object" not in shown.panel
    shown.page.click("text=Code of backward")
    assert "def backward" in shown.panel
    assert shown.page.locator(".code .keyword", has_text="def").count() >= 1
    shown.page.click("text=Documentation")
    assert "Shapes:" in shown.panel
    shown.page.click('g.edge[data-edge="1"] .value .main')
    assert shown.heading == "W1 → affine1"
    assert "Chain rule" in shown.panel
    shown.page.keyboard.press("Escape")
    line = shown.page.locator('g.edge[data-edge="0"] .flow').bounding_box()
    shown.page.mouse.click(line["x"] + 8, line["y"] + line["height"] + 3)  # a few pixels beside the line
    assert shown.heading == "x → affine1"


@needs_browser
def test_names_are_text_whatever_they_say(show: Any) -> None:
    names = ["<script>alert(1)</script>", "quo\"te's & <b>x</b>", "重み🍎", "<img src=x onerror=alert(2)>"]
    a, b, c = (cr.Input(name) for name in names[:3])
    graph = cr.Graph(((a * b).named(names[3]) + c).named("</script>"))
    shown = show(draw(graph, dict(zip(names[:3], (2.0, 3.0, 4.0), strict=True))))
    dialogs: list[str] = []
    shown.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    found = []
    for k in range(5):
        shown.click_node(k)
        found.append(shown.heading)
    assert set(found) == {*names, "</script>"}
    shown.page.keyboard.press("Home")
    while shown.progress != "everything shown":
        shown.step_on("keys")
    shown.page.keyboard.press("/")
    shown.page.keyboard.type("<")
    assert len(shown.texts("#hits li")) == 4
    assert shown.page.locator("#graph img, #graph b, #graph script").count() == 0
    assert dialogs == []


@needs_browser
def test_what_is_not_finite_is_marked_and_named(show: Any) -> None:
    x = cr.Input("x")
    graph = cr.Graph(cr.Sum()(cr.Log()(x).named("log")))
    shown = show(draw(graph, {"x": np.array([1.0, -1.0, 0.0, 2.0])}))
    shown.click_node(1)
    assert "1 NaN, 1 infinite" in shown.panel
    canvas = shown.page.locator("#panel canvas").first
    canvas.focus()
    told = []
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowRight"):
        canvas.press(key)
        told.append(shown.page.locator("#panel .said").first.get_attribute("data-exact"))
    assert told == ["0.0", "nan", "-inf", repr(float(np.log(2.0)))]
    colour = """canvas => {
      const {width, height} = canvas;
      return [...canvas.getContext("2d").getImageData(width * 3 / 8, height / 3, 1, 1).data];
    }"""
    assert canvas.evaluate(colour) == RED
    shown.click_node(2)
    assert shown.exact("#panel .big .number")[0] == "nan"
    assert shown.page.locator("#panel .big .number.bad").count() == 1


@needs_browser
def test_gradients_that_were_not_computed_are_said_to_be_missing(show: Any) -> None:
    net, x, _ = digits_network()
    shown = show(draw(net, x))
    assert "not computed: call backward()" in shown.panel
    shown.page.keyboard.press("Home")
    seen = []
    while shown.progress != "everything shown":
        seen.append(shown.progress)
        shown.step_on("keys")
    assert seen == [f"forward {k} of 4" for k in range(1, 5)]
    shown.click_node(3)
    gradient = shown.page.locator("#panel section", has=shown.page.locator("h3", has_text="Gradient"))
    assert gradient.inner_text().split("\n")[-1] == "not computed: call backward()"
    assert not re.search(r"\d", gradient.inner_text())


@needs_browser
def test_a_graph_that_did_not_run_has_no_steps(show: Any) -> None:
    x = cr.Input("x")
    shown = show(draw(cr.Graph(cr.Exp()(x))))
    assert shown.progress == "not run yet"
    assert shown.page.is_disabled("[data-step=next]")
    assert "call forward()" in shown.panel
    shown.page.keyboard.press("ArrowRight")
    shown.click_node(1)
    assert "not computed: call forward()" in shown.panel


@needs_browser
def test_where_no_gradient_flows_it_is_said(show: Any) -> None:
    net, x, t = digits_network()
    drawing = draw(net, x, t)
    k = next(k for k, node in enumerate(drawing.scene.nodes) if node.name == "t")
    shown = show(drawing)
    shown.page.keyboard.press("/")
    shown.page.keyboard.type("t")
    shown.page.keyboard.press("Enter")
    assert shown.heading == drawing.scene.nodes[k].name
    assert "no gradient reaches it" in shown.panel


@needs_browser
def test_a_failed_check_is_accused_in_red(show: Any) -> None:
    graph = apple_shop()
    run, gradients = graph.last_pass
    finding = Finding(
        "wrong-factor",
        "apples",
        "backward gives 2 × what it should",
        "a",
        (),
        4.4,
        2.2,
        0.5,
        source="shop.py:3",
    )
    scene = scene_of(graph, run, gradients, title="a failed check", findings=[finding])
    source = Source(graph, run, gradients, replace(scene, title="a failed check"))
    shown = show(Drawing(source))
    assert "backward gives 2 × what it should" in shown.panel
    shown.page.click("g.node.guilty .shape")
    box = shown.page.locator("#panel .finding")
    assert box.count() == 1
    for words in ("wrong-factor of a", "4.4", "2.2", "shop.py:3"):
        assert words in box.inner_text()
    colours = shown.page.evaluate(
        "[getComputedStyle(document.querySelector('.finding h3')).color,"
        " getComputedStyle(document.querySelector('g.node.guilty .shape')).stroke]"
    )
    assert colours[0] == "rgb(196, 18, 47)"


@needs_browser
def test_many_findings_are_folded_after_the_first_ones(show: Any) -> None:
    graph = apple_shop()
    run, gradients = graph.last_pass
    nodes = [node.name for node in graph.nodes][-5:]
    findings = [
        Finding("factor", name, f"of {name}", "a", (), 2.0 * k, 1.0, 0.5) for name in nodes for k in range(5)
    ]
    source = Source(graph, run, gradients, scene_of(graph, run, gradients, title="", findings=findings))
    shown = show(Drawing(source))
    assert shown.page.locator("#panel .accused:visible").count() == 3
    assert shown.page.locator("#panel .finding:visible").count() == 9
    shown.page.click("#panel details:has(.accused) > summary:has-text('2 more')")
    assert shown.page.locator("#panel .accused:visible").count() == len(nodes)
    shown.page.click("g.node.guilty .shape")
    assert shown.page.locator("#panel .finding:visible").count() == 3
    shown.page.locator("#panel summary", has_text="2 more").click()
    assert shown.page.locator("#panel .finding:visible").count() == 5


@needs_browser
def test_the_theme_can_be_changed(show: Any) -> None:
    shown = show(draw(apple_shop()))
    paper = "getComputedStyle(document.body).backgroundColor"
    assert shown.page.evaluate(paper) == "rgb(255, 255, 255)"
    shown.page.click("#theme")
    assert shown.page.evaluate(paper) == "rgb(20, 23, 28)"
    assert shown.page.get_attribute("html", "data-theme") == "dark"
    shown.page.click("#theme")
    assert shown.page.evaluate(paper) == "rgb(255, 255, 255)"
    assert show(draw(apple_shop()), color_scheme="dark").page.evaluate(paper) == "rgb(20, 23, 28)"


@needs_browser
def test_a_small_screen_holds_everything(show: Any) -> None:
    net, x, t = digits_network(layers=6)
    shown = show(draw(net, x, t), width=400, height=800, has_touch=True)
    page = shown.page

    def fits() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert page.evaluate("document.getElementById('panel').scrollWidth <= innerWidth")
        for button in page.locator(".bar button, #steps button, .zooming button, #search").all():
            if not button.is_visible():
                continue
            box = button.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 400
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= 800
            assert box["width"] >= 34
            assert box["height"] >= 34

    fits()
    assert not page.is_visible("#panel")  # the picture has all the room at first
    page.tap("[data-step=next]")
    page.tap("[data-step=first]")
    for _ in range(3):
        page.tap("[data-step=next]")
        fits()
    assert page.locator("#panel").bounding_box()["y"] >= 400
    assert page.locator("#stage").bounding_box()["height"] >= 180
    page.tap("[data-step=last]")
    page.tap("[data-zoom=fit]")
    page.tap(".picture:not([hidden]) g.node[data-node='1'] .label")
    assert shown.heading == "W1"
    fits()
    page.tap("#panel [data-close]")
    assert not page.is_visible("#panel")


@needs_browser
def test_a_wide_graph_begins_where_it_can_be_read(show: Any) -> None:
    net, x, t = digits_network(layers=12)
    shown = show(draw(net, x, t))
    box = shown.page.locator('.picture:not([hidden]) g.node[data-node="0"]').bounding_box()
    assert 0 <= box["x"] < 200
    letters = shown.page.locator(".picture:not([hidden]) g.node .label").first.bounding_box()
    assert letters["height"] >= 8
    shown.page.keyboard.press("0")
    for k in (0, 40):
        box = shown.page.locator(f'.picture:not([hidden]) g.node[data-node="{k}"]').bounding_box()
        assert 0 <= box["x"] <= 816


@needs_browser
def test_of_a_large_graph_what_is_far_away_is_fetched_when_one_goes_there(show: Any) -> None:
    net, x, t = digits_network(layers=90)
    drawing = draw(net, x, t)
    shown = show(drawing)
    edges = '.picture[data-view="full"] g.edge'
    last = f'{edges}[data-edge="{len(drawing.scene.edges) - 1}"]'
    first = f'{edges}[data-edge="0"]'
    assert shown.page.locator(edges).count() == len(drawing.scene.edges)  # from afar, all
    shown.page.keyboard.press("/")
    shown.page.keyboard.type("loss")
    shown.page.keyboard.press("Enter")
    assert shown.page.locator(edges).count() < 100
    assert (shown.page.locator(first).count(), shown.page.locator(last).count()) == (0, 1)
    shown.page.keyboard.press("Home")
    shown.page.keyboard.press("ArrowRight")
    assert shown.heading == "affine1"
    assert shown.page.locator(first).count() == 1
    assert shown.page.locator(f"{first}.operand").count() == 1
