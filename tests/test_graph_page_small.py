"""A graph's page where room is short: a failed check, the phone, long equations; and small pictures: images."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from browsing import needs_browser, opened
from chainrule.drawing import Drawing, draw
from test_graph_page_view import DESK, PHONE, network, two_layers

OVERLAPS = """() => {
  const boxes = (what) => [...document.querySelectorAll(what)]
    .map((each) => each.getBoundingClientRect()).filter((box) => box.width);
  const nodes = boxes(".picture:not([hidden]) g.node > .shape");
  const isOver = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return boxes("button").filter((a) => nodes.some((b) => isOver(a, b))).length;
}"""


class Square(cr.Layer):
    """y = x^2,    dL/dx = dL/dy * 2 x."""

    def forward(self, x: Any) -> Any:
        return x**2, x

    def backward(self, dy: Any, x: Any) -> Any:
        return dy * x  # the 2 is missing


def failed_check() -> Drawing:
    rng = np.random.default_rng(0)
    w = cr.Parameter("w", rng.normal(size=(4, 2)))
    graph = cr.Graph(cr.Sum()(Square()(cr.Input("x") @ w)).named("loss"))
    return draw(cr.check(graph, x=rng.normal(size=(3, 4))))


def show(browser: Any, drawing: Drawing, folder: Path, size: tuple[int, int], step: str = "") -> Any:
    width, height = size
    path = drawing.save(folder / "page.html")
    return opened(browser, path, width=width, height=height, reduced_motion="reduce", fragment=step)


@needs_browser
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_a_failed_check_opens_with_what_was_found(browser: Any, tmp_path: Path, size: Any) -> None:
    with show(browser, failed_check(), tmp_path, size) as page:
        told = page.locator("#panel .finding").first
        assert told.is_visible()
        assert "factor of x" in told.inner_text()
        assert "In red: what backward gave" in page.inner_text("#panel")
        assert page.locator(".picture .note").count() == 0
        shapes = page.locator(".picture:not([hidden]) g.node > .shape")
        boxes = [each.bounding_box() for each in shapes.all()]
        widest = max(box["x"] + box["width"] for box in boxes) - min(box["x"] for box in boxes)
        assert widest > 0.75 * page.locator("#stage").bounding_box()["width"]
        assert min(box["x"] for box in boxes) >= 0


def test_a_picture_of_a_failed_check_tells_what_was_found() -> None:
    assert "should be. Look for a number that was left out" in " ".join(
        re.findall(">([^<]+)<", failed_check().svg())
    )


@needs_browser
def test_a_step_of_a_link_shows_all_of_a_small_network_on_a_phone(browser: Any, tmp_path: Path) -> None:
    with show(browser, two_layers(), tmp_path, PHONE, "step=3") as page:
        assert page.locator("#panel h2").inner_text() == "relu1"
        assert page.is_hidden("#map")
        assert page.evaluate(OVERLAPS) == 0


@needs_browser
def test_a_step_of_a_link_shows_the_part_of_a_large_network_that_can_be_read(
    browser: Any, tmp_path: Path
) -> None:
    with show(browser, network(30), tmp_path, PHONE, "step=7") as page:
        label = page.locator(".picture:not([hidden]) g.node.now > .label")
        assert label.bounding_box()["height"] >= 8
        stage, box = (page.locator(each).bounding_box() for each in ("#stage", "g.node.now > .shape"))
        assert stage["y"] < box["y"] < stage["y"] + stage["height"] - box["height"]


@needs_browser
def test_a_formula_is_shown_without_its_remarks_and_gradients_of_images_as_images(
    browser: Any, tmp_path: Path
) -> None:
    with show(browser, two_layers(), tmp_path, DESK, "step=9") as page:
        assert page.locator("#panel h2").inner_text() == "relu1"
        rule = page.locator("#panel .downstream-card .typeset")
        assert "else" in rule.inner_text()
        assert "(at" not in rule.inner_text()
        assert rule.evaluate("rule => rule.scrollWidth <= rule.clientWidth")
        page.keyboard.press("ArrowRight")
        alts = page.locator("#panel .downstream-card img.strip").evaluate_all(
            "all => all.map(one => one.alt)"
        )
        assert alts == ["10 images", "10 of 50 images"]


@needs_browser
def test_an_equals_sign_stays_with_what_follows(browser: Any, tmp_path: Path) -> None:
    drawing = draw(cr.Graph(cr.Multiply()(cr.Input("a"), cr.Input("b"))), {"a": 123456.75, "b": -0.000123456})
    with show(browser, drawing, tmp_path, DESK, "step=4") as page:
        for end in page.locator("#panel .kept").all():
            heights = {part.bounding_box()["y"] for part in end.locator("> span").all()}
            assert max(heights) - min(heights) < 12
        assert page.locator("#panel .kept").count() == 2


def test_weights_of_pixels_and_their_gradients_are_drawn_as_images() -> None:
    drawing = two_layers()
    data = json.loads(re.search(r'id="data-graph">(.*?)</script>', drawing.html(), re.DOTALL)[1])
    arrays = data["arrays"]
    pictures = {
        (node["name"], what): arrays[node[what]]["picture"]["words"]
        for node in data["views"]["full"]["nodes"]
        for what in ("value", "gradient")
        if node[what] is not None and "picture" in arrays[node[what]]
    }
    assert pictures == {
        ("x", "value"): "10 images",
        ("x", "gradient"): "10 images",
        ("W1", "value"): "10 of 50 images",
        ("W1", "gradient"): "10 of 50 images",
    }
    assert drawing.svg().count('class="images"') == 4


def test_an_input_of_one_letter_is_no_circle() -> None:
    svg = draw(cr.Graph(cr.Input("x") * 2.0), {"x": 3.0}).svg()
    node = re.search(r'<g class="node input".*?</g>', svg)[0]
    width, height = (float(re.search(rf'{side}="([\d.]+)"', node)[1]) for side in ("width", "height"))
    assert width > 1.5 * height
