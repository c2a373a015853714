"""What one sees of a graph's page: the whole network, in motion, at the step of a link, for everybody's eyes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from browsing import needs_browser, opened
from chainrule.drawing import Drawing, draw

DESK, PHONE = (1280, 900), (400, 800)


def network(layers: int) -> Drawing:
    """Affine and ReLU in turn, `layers` of them in all, and a loss."""
    rng = np.random.default_rng(0)
    hidden = [layer for _ in range(layers // 2) for layer in (cr.Affine(8), cr.ReLU())]
    net = cr.Network(
        *hidden, cr.Affine(4), input_shape=12, loss=cr.SoftmaxCrossEntropy(), seed=0, dtype=np.float64
    )
    return draw(net, rng.normal(size=(5, 12)), rng.integers(0, 4, 5))


def two_layers() -> Drawing:
    (x, t), _ = cr.datasets.load_digits()
    net = cr.Network(
        cr.Affine(50), cr.ReLU(), cr.Affine(10), input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0
    )
    return draw(net, x[:10], t[:10])


def recurrence(steps: int = 217) -> Drawing:
    """Three nodes a step, and two parameters that every step uses: 656 nodes."""
    x, w, b = cr.Input("x"), cr.Parameter("w", 0.9), cr.Parameter("b", 0.1)
    h: Any = x
    for _ in range(steps):
        h = cr.Tanh()(h * w + b)
    return draw(cr.Graph(cr.Sum()(h)), {"x": np.linspace(-1, 1, 4)})


GRAPHS = {"two": two_layers, "ten": lambda: network(10), "thirty": lambda: network(30), "many": recurrence}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Where the page of a graph is, written when it is first asked for."""
    folder, known = tmp_path_factory.mktemp("pages"), {}

    def written(name: str) -> Path:
        if name not in known:
            known[name] = GRAPHS[name]().save(folder / f"{name}.html")
        return known[name]

    return written


@pytest.fixture
def show(browser: Any, saved: Any) -> Iterator[Any]:
    from contextlib import ExitStack

    with ExitStack() as stack:

        def opening(name: str, size: tuple[int, int] = DESK, **options: Any) -> Any:
            options = {"reduced_motion": "reduce", "color_scheme": "light", **options}
            width, height = size
            page = stack.enter_context(opened(browser, saved(name), width=width, height=height, **options))
            page.set_default_timeout(20_000)
            page.wait_for_selector("html[data-ready=yes]", state="attached")
            return page

        yield opening


SEEN = """() => {
  const stage = document.getElementById("stage").getBoundingClientRect();
  const boxes = document.querySelector(".picture:not([hidden])").querySelectorAll("g.node .shape, g.node .label");
  const outside = [...boxes].filter((each) => {
    const box = each.getBoundingClientRect();
    return box.width && (box.left < stage.left - 1 || box.right > stage.right + 1 || box.top < stage.top - 1
      || box.bottom > stage.bottom + 1);
  });
  return {outside: outside.length, all: boxes.length};
}"""

LETTERS = """() => Math.min(...[...document.querySelectorAll(".picture:not([hidden]) g.node.layer .label")]
  .map((each) => each.getBoundingClientRect().height / (each.childElementCount || 1)).filter(Boolean))"""


# The whole network in view -----------------------------------------------------------------------------------


@needs_browser
@pytest.mark.parametrize("size", [DESK, PHONE])
@pytest.mark.parametrize("name", GRAPHS)
def test_the_whole_network_is_in_view_when_the_page_opens(show: Any, name: str, size: Any) -> None:
    page = show(name, size)
    seen = page.evaluate(SEEN)
    assert seen["all"] >= 10
    assert seen["outside"] == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.is_hidden("#map")
    if name != "many":
        assert page.evaluate(LETTERS) >= (9 if size == DESK else 6)


@needs_browser
def test_after_zooming_in_the_map_leads_on_and_fit_shows_all_again(show: Any) -> None:
    page = show("thirty")
    for _ in range(5):
        page.keyboard.press("+")
    assert page.evaluate(SEEN)["outside"] > 0
    assert page.is_visible("#map")
    before = page.evaluate("state.view.zoom.now")
    page.click("#map", position={"x": 5, "y": 5})
    after = page.evaluate("state.view.zoom.now")
    assert (after["x"], after["y"]) != (before["x"], before["y"])
    assert after["k"] == before["k"]
    page.click("[data-zoom=fit]")
    assert page.evaluate(SEEN)["outside"] == 0
    assert page.is_hidden("#map")


@needs_browser
def test_no_two_boxes_overlap_and_no_line_is_lost_where_rows_begin(show: Any) -> None:
    page = show("thirty")
    overlaps = page.evaluate("""() => {
      const boxes = [...document.querySelectorAll(".picture:not([hidden]) g.node .shape")]
        .map((each) => each.getBoundingClientRect());
      const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      return boxes.filter((a, k) => boxes.some((b, n) => n > k && meet(a, b))).length;
    }""")
    assert overlaps == 0
    ends = page.evaluate("""() => state.view.edges.map((edge, k) => {
      const path = state.view.drawnEdges[k].querySelector(".flow");
      const at = (length) => path.getPointAtLength(length).matrixTransform(path.getCTM());
      const box = (node) => state.view.drawnNodes[node].querySelector(".shape, .label").getBoundingClientRect();
      const stage = document.getElementById("stage").getBoundingClientRect();
      const far = (point, {left, right, top, bottom}) => Math.hypot(
        Math.max(left - stage.left - point.x, 0, point.x - right + stage.left),
        Math.max(top - stage.top - point.y, 0, point.y - bottom + stage.top));
      return [far(at(0), box(edge.source)), far(at(path.getTotalLength()), box(edge.target))];
    })""")
    scale = page.evaluate("state.view.zoom.now.k")
    assert max(max(pair) for pair in ends) <= 60 * scale


@needs_browser
def test_what_is_shown_follows_the_size_at_which_it_is_shown(show: Any) -> None:
    page = show("thirty")
    svg = ".picture:not([hidden]) svg.graph"
    assert page.get_attribute(svg, "data-level") == "far"
    page.keyboard.press("End")
    loss = page.locator(".picture:not([hidden]) g.node", has_text="SoftmaxCrossEntropy")
    figure = float(loss.locator(".figure").text_content())
    assert figure == pytest.approx(page.evaluate("typicalSize(state.view.nodes.at(-2).value)"), rel=1e-3)
    assert not page.is_visible(f"{svg} .value .few")
    widths = page.evaluate("""() => state.view.drawnEdges.filter((each) => each.querySelector('.back'))
      .map((each) => parseFloat(getComputedStyle(each.querySelector(".back")).strokeWidth))""")
    assert max(widths) > 1.5 * min(widths)  # the stronger the gradient, the stronger the line
    page.keyboard.press("/")
    page.keyboard.type("affine3")
    page.keyboard.press("Enter")
    assert page.get_attribute(svg, "data-level") == "near"
    assert page.locator(f"{svg} .value .few:visible").count() > 2
    assert page.locator(f"{svg} image[href]").count() > 2
    for _ in range(4):
        page.keyboard.press("+")
    assert page.get_attribute(svg, "data-level") == "numbers"
    texts = page.locator(f"{svg} .value .cells text:not(.shape-of)").all_text_contents()
    assert len(texts) >= 16
    assert all(np.isfinite(float(text)) for text in texts)


@needs_browser
def test_dragging_moves_the_picture_and_is_no_click(show: Any) -> None:
    page = show("two")
    box = page.locator(".picture:not([hidden]) g.node .shape").nth(3).bounding_box()
    x, y = box["x"] + 8, box["y"] + 8
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 40, steps=3)
    page.mouse.up()
    moved = page.locator(".picture:not([hidden]) g.node .shape").nth(3).bounding_box()
    assert (moved["x"] - box["x"], moved["y"] - box["y"]) == pytest.approx((60, 40), abs=1)
    assert page.get_attribute("#panel", "data-tells") == "step"
    page.mouse.click(moved["x"] + 8, moved["y"] + 8)
    assert page.get_attribute("#panel", "data-tells") == "details"


@needs_browser
def test_two_fingers_make_it_larger(show: Any) -> None:
    page = show("two", PHONE, has_touch=True)
    before = page.evaluate("state.view.zoom.now.k")
    page.evaluate("""() => {
      const {svg} = state.view;
      svg.setPointerCapture = () => {};
      const touch = (type, pointerId, clientX, clientY) => svg.dispatchEvent(
        new PointerEvent(type, {pointerId, clientX, clientY, pointerType: "touch", bubbles: true}));
      touch("pointerdown", 1, 180, 300);
      touch("pointerdown", 2, 220, 300);
      touch("pointermove", 1, 160, 300);
      touch("pointermove", 2, 240, 300);
      touch("pointerup", 1, 160, 300);
      touch("pointerup", 2, 240, 300);
    }""")
    assert page.evaluate("state.view.zoom.now.k") == pytest.approx(2 * before, rel=0.01)


# In motion ---------------------------------------------------------------------------------------------------


@needs_browser
def test_it_opens_at_the_beginning_and_plays_to_the_end(show: Any) -> None:
    page = show("two")
    assert page.inner_text("#progress") == "forward 1 of 5"
    assert page.locator(".picture:not([hidden]) g.node.later").count() == 5
    assert page.inner_text("#play") == "Play"
    page.select_option("#speed", "16")
    page.click("#play")
    assert page.inner_text("#play") == "Pause"
    page.wait_for_selector("html[data-phase=backward]", state="attached")
    page.wait_for_selector("html[data-playing=no]", state="attached")
    assert page.inner_text("#progress") == "everything shown"
    assert page.locator(".picture:not([hidden]) g.node.later").count() == 0


@needs_browser
def test_space_plays_and_pauses_and_an_arrow_takes_over(show: Any) -> None:
    page = show("two")
    page.keyboard.press(" ")
    assert page.get_attribute("html", "data-playing") == "yes"
    page.keyboard.press(" ")
    assert page.get_attribute("html", "data-playing") == "no"
    page.keyboard.press(" ")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("html", "data-playing") == "no"
    assert page.inner_text("#progress") == "forward 2 of 5"


@needs_browser
def test_a_link_holds_the_step(show: Any) -> None:
    page = show("two")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("location.hash") == "#step=7"
    page.reload()
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    assert page.inner_text("#progress") == "backward 2 of 6"
    assert page.inner_text("#panel h2") == "loss"
    page.evaluate("location.hash = '#step=3'")
    page.wait_for_selector("html[data-step='2']", state="attached")
    page.evaluate("location.hash = '#step=all'")
    page.wait_for_selector("html[data-step=all]", state="attached")


# Only what applies -------------------------------------------------------------------------------------------


@needs_browser
def test_the_plain_loss_is_told_as_people_know_it(show: Any) -> None:
    page = show("two")
    page.evaluate("location.hash = '#step=7'")
    page.wait_for_selector("html[data-step='6']", state="attached")
    said = " ".join(page.inner_text("#panel").split())
    assert "∂L/∂x = ∂L/∂y × (p − t) / N" in said
    assert page.locator("#panel math mfrac").count() >= 3
    for absent in ("weight", "c_k", "smoothing", "t'"):
        assert absent not in said


@needs_browser
def test_images_are_shown_as_images_and_labels_as_labels(show: Any) -> None:
    page = show("two")
    (_, t), _ = cr.datasets.load_digits()
    strip = page.locator("#panel li", has_text="x").locator("img.strip")
    assert strip.get_attribute("alt") == "10 images"
    assert strip.evaluate("image => image.naturalWidth") == 10 * 8 + 9
    assert page.locator(".picture:not([hidden]) .value.pictured image[href]").count() == 2  # x and W1
    labels = page.locator("#panel li", has_text="labels").inner_text()
    assert ", ".join(map(str, t[:8])) in labels
    assert "±" not in labels
    at_t = page.evaluate("state.view.find('t')")
    page.click(f".picture:not([hidden]) g.node[data-node='{at_t}'] .shape")
    assert page.inner_text("#panel h2") == "t"
    assert "mean" not in page.inner_text("#panel")
    assert "std" not in page.inner_text("#panel")


# For everybody's eyes ----------------------------------------------------------------------------------------


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_axe_finds_no_serious_fault(show: Any, size: Any, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = show("two", size, color_scheme=scheme)
    faults = []
    for step in ("1", "3", "7", "all"):
        page.evaluate(f"location.hash = '#step={step}'")
        page.wait_for_timeout(80)
        found = Axe().run(page).response["violations"]
        faults += [
            (step, fault["id"], node["html"][:120], node.get("failureSummary", "")[:300])
            for fault in found
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]
        ]
    assert faults == []


@needs_browser
def test_the_node_of_the_step_and_the_one_clicked_look_different(show: Any) -> None:
    page = show("two")
    page.evaluate("location.hash = '#step=3'")
    page.wait_for_selector("html[data-step='2']", state="attached")
    page.click(".picture:not([hidden]) g.node[data-node='0'] .shape")
    look = """what => {
      const {stroke, fill, strokeWidth} = getComputedStyle(document.querySelector(`g.node.${what} > .shape`));
      return [stroke, fill, strokeWidth];
    }"""
    assert page.evaluate(look, "now") != page.evaluate(look, "chosen")
    assert page.evaluate(look, "now")[0] == "rgb(29, 95, 168)"  # the blue of values


@needs_browser
def test_pointing_at_an_edge_shows_its_array(show: Any) -> None:
    page = show("two")
    page.keyboard.press("End")
    line = page.locator(".picture:not([hidden]) g.edge[data-edge='0'] .flow").bounding_box()
    page.mouse.move(line["x"] + line["width"] / 4, line["y"] + line["height"] / 2)
    page.wait_for_selector("#card:not([hidden])")
    card = page.inner_text("#card")
    assert card.startswith("x → affine1")
    assert "gradient" in card
    assert page.locator("#card canvas, #card img").count() == 2
    page.mouse.move(600, 880)
    assert page.is_hidden("#card")


@needs_browser
def test_the_legend_names_what_is_drawn(show: Any) -> None:
    page = show("two")
    words = page.inner_text("#panel .signs")
    for word in (
        "a value flows",
        "a gradient flows",
        "an input",
        "a parameter",
        "a layer",
        "step",
        "clicked",
        "purple",
    ):
        assert word in words
    assert "an operation" not in words
    assert "a constant" not in words
    assert "an operation" in show("many").inner_text("#panel .signs")


# What repeats ------------------------------------------------------------------------------------------------


@needs_browser
def test_a_box_opens_in_its_place_and_closes_again(show: Any) -> None:
    page = show("ten")
    page.click("#fold")
    page.keyboard.press("End")
    shown = ".picture:not([hidden])"
    block = page.locator(f"{shown} g.node.block")
    assert block.count() == 1
    nodes = page.locator(f"{shown} g.node").count()
    block.locator(".label").click()
    page.click("#panel [data-open]")
    assert page.get_attribute("html", "data-view") == "collapsed"
    inside = page.locator(f"{shown} g.node.block .inside g.node")
    assert inside.count() == 5 * 4
    assert page.evaluate(SEEN)["outside"] == 0
    frame = page.locator(f"{shown} .inside > .shape").bounding_box()
    for box in (each.bounding_box() for each in inside.locator(".shape").all()):
        assert frame["x"] <= box["x"] <= box["x"] + box["width"] <= frame["x"] + frame["width"]
        assert frame["y"] <= box["y"] <= box["y"] + box["height"] <= frame["y"] + frame["height"]
    inside.filter(has_text="affine3").locator(".shape").click()
    assert page.inner_text("#panel h2") == "affine3"
    for step, there in (("1", False), ("2", True)):
        page.evaluate(f"location.hash = '#step={step}'")
        page.wait_for_selector(f"html[data-step='{int(step) - 1}']", state="attached")
        assert ("later" not in str(block.get_attribute("class"))) == there
    page.keyboard.press("End")
    page.locator(f"{shown} .inside > .label").click()
    page.click("#panel [data-open]")
    assert page.locator(f"{shown} g.node").count() == nodes
    assert page.evaluate(SEEN)["outside"] == 0
