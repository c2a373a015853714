"""What a notebook shows of drawings, checks, networks and histories: their HTML, opened in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from browsing import needs_browser, opened
from chainrule.drawing.history import history_html
from chainrule.loop.progress import BarState
from chainrule.notebook import graph_html, network_html

pytestmark = needs_browser


def notebook(folder: Path, *shown: str) -> Path:
    """A page with several outputs below each other, as a notebook has them."""
    path = folder / "notebook.html"
    cells = "".join(f'<div class="output">{each}</div>' for each in shown)
    path.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,">'
        f"<style>body {{ font-family: serif; color: rgb(1, 2, 3) }}</style>{cells}",
        encoding="utf-8",
    )
    return path


def test_two_drawings_and_a_check_show_themselves(browser: Any, tmp_path: Path) -> None:
    apple, count = cr.Input("apple"), cr.Input("count")
    graph = cr.Graph((apple * count).named("total"))
    first = cr.draw(graph, {"apple": 100, "count": 2})
    second = cr.draw(graph, {"apple": 100, "count": 3})
    report = cr.check(cr.Sigmoid())
    path = notebook(tmp_path, first._repr_html_(), second._repr_html_(), report._repr_html_())
    with opened(browser, path) as page:
        frames = [frame for frame in page.frames if frame is not page.main_frame]
        totals = []
        for frame in frames:
            frame.wait_for_selector("svg.graph .edge")
            totals.append(frame.locator(".value").all_text_contents())
        assert sorted("300" in total for total in totals) == [False, True]
        assert page.locator("text=Sigmoid").count() > 0
        # what is inside a frame does not change how the notebook around it looks
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(1, 2, 3)"
        assert page.evaluate("getComputedStyle(document.body).fontFamily") == "serif"


def test_the_svg_alone_is_shown(browser: Any, tmp_path: Path) -> None:
    x = cr.Input("x")
    drawing = cr.draw(cr.Graph(cr.Exp()(x)), {"x": 0.0})
    with opened(browser, notebook(tmp_path, drawing._repr_svg_())) as page:
        assert page.locator("svg.graph .node").count() == 3
        box = page.locator("svg.graph .node.operation circle").bounding_box()
        assert box["width"] == pytest.approx(44, abs=3)


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("ground", ["white", "#111"])
def test_a_history_and_a_bar_fit_the_notebook_around_them(
    browser: Any, tmp_path: Path, width: int, ground: str
) -> None:
    loss = [3.0 / (k + 1) + (k % 7) / 50 for k in range(2_000)]
    history = cr.History(
        loss=loss,
        seconds=[k / 100 for k in range(2_000)],
        measured_at=[500, 1000, 1500, 2000],
        train_loss=[0.5, 0.25, 0.125, 0.0625],
        train_accuracy=[0.7, 0.8, 0.9, 0.95],
        test_accuracy=[0.6, 0.7, 0.8, 0.85],
        stopped="early: " + "a_very_long_word_without_spaces" * 5,
    )
    bar = BarState(0.4, ["400 of 1,000", "loss 0.25", "1.30 s", "stopped by a " + "long" * 40], "#e07b1a")
    path = notebook(tmp_path, history_html(history), bar._repr_html_())
    colour = "rgb(0, 0, 0)" if ground == "white" else "rgb(238, 238, 238)"
    with opened(browser, path, width=width) as page:
        page.add_style_tag(content=f"body {{ background: {ground}; color: {colour} !important }}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = [chart.bounding_box() for chart in page.locator("svg").all()]
        assert len(boxes) == 2
        beside = boxes[0]["y"] == boxes[1]["y"]
        assert beside == (width == 1280)
        for k, words in enumerate(page.locator("svg text").all()):
            box = words.bounding_box()
            chart = next(each for each in boxes if each["y"] <= box["y"] and _is_beside(each, box))
            assert box["x"] >= chart["x"] - 1, k
            assert box["x"] + box["width"] <= chart["x"] + chart["width"] + 1, words.text_content()
            assert box["height"] > 9
        tick = page.locator("svg text", has_text="iteration").first
        assert tick.evaluate("node => getComputedStyle(node).fill") == colour
        shown = page.locator("[role=progressbar]").bounding_box()
        inner = page.locator("[role=progressbar] div").bounding_box()
        assert inner["width"] == pytest.approx(0.4 * shown["width"], abs=1)


def _is_beside(chart: dict[str, float], box: dict[str, float]) -> bool:
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return (
        chart["x"] <= middle[0] <= chart["x"] + chart["width"]
        and chart["y"] <= middle[1] <= chart["y"] + chart["height"]
    )


def test_a_network_shows_its_picture_and_its_layers(browser: Any, tmp_path: Path) -> None:
    net = cr.Network(cr.Affine(5), cr.ReLU(), input_shape=8, loss=cr.MeanSquaredError(), seed=0)
    with opened(browser, notebook(tmp_path, network_html(net), graph_html(net.graph)), width=400) as page:
        for picture in page.locator("img").all():
            assert picture.evaluate("image => image.complete && image.naturalWidth > 300")
            assert 0.59 < picture.evaluate("image => image.width / image.naturalWidth") < 1  # made to fit
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        table = page.locator("pre")
        assert not table.is_visible()
        page.locator("summary").click()
        assert "affine1" in table.inner_text()
