"""The page of a graph in a browser: search, keys, boxes, what is missing or wrong, and small screens."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

import chainrule as cr
from browsing import needs_browser
from chainrule.checking import Finding
from chainrule.drawing import Drawing, draw
from chainrule.drawing.rules import Source
from chainrule.drawing.scene import scene_of
from graph_page_cases import (
    apple_shop,
    digits_network,
)

RED = [222, 45, 60, 255]


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
