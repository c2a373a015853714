"""What a notebook shows of a drawing and of a check: HTML in a frame of its own, opened in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from browsing import needs_browser, opened, started_browser

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started_browser() as running:
        yield running


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
