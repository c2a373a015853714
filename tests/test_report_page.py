"""The page of a report in a real browser: drawn, read by mouse and keyboard, narrow, dark, and fetching nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from browsing import needs_browser, opened
from chainrule.loop import Health
from chainrule.reports import report

pytestmark = needs_browser
ODD = [
    "<script>alert(1)</script>",
    'say "two"',
    "三",
    "naïve 🙂",
    "a&b",
    "'",
    "$x_7$",
    "long " * 20,
    "nine",
    "ten",
]

DRAWN = """() => [...document.querySelectorAll(".chart canvas")].map((canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  for (let k = 0; k < pixels.length; k += 4) {
    if (pixels[k + 3] > 200) colours.add(pixels.slice(k, k + 3).join());
  }
  return colours.size;
})"""
WIDE = "() => document.documentElement.scrollWidth - window.innerWidth"


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("report") / "digits.html", [str(k) for k in range(10)], 20)


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("report") / "odd.html", ODD, 2)


def made(path: Path, names: list[str], epochs: int) -> Path:
    (x, t), (x_test, t_test) = cr.datasets.load_digits()
    net = cr.Network(
        cr.Affine(50), cr.ReLU(), cr.Affine(10), input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0
    )
    history = net.fit(
        x,
        t,
        optimizer=cr.SGD(0.1),  # which leaves more wrong answers than are shown at first
        epochs=epochs,
        validation=(x_test, t_test),
        callbacks=[Health(every=30)],
    )
    history.settings[names[0]] = names[0]
    check = cr.check(net, {"x": x[:3], "t": t[:3]})
    return report(history, net, x_test, t_test, title=names[0], class_names=names, check=check).save(path)


def focused(page: Any) -> str:
    """What has the focus, as text that tells one place from another."""
    text: str = page.evaluate(
        "() => { const e = document.activeElement; return e.id || `${e.tagName}.${e.className} ${e.textContent}`; }"
    )
    return text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_the_curves_are_drawn_and_nothing_is_too_wide(browser, digits, width, scheme):
    with opened(browser, digits, width=width, color_scheme=scheme) as page:
        counts = page.evaluate(DRAWN)
        assert len(counts) == page.locator(".chart").count() >= 8
        assert min(counts) >= 3
        assert page.evaluate(WIDE) <= 0
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, paper[4:-1].split(", "))) > 600) == (scheme == "light")


def test_odd_names_do_no_harm(browser, odd):
    with opened(browser, odd, width=400) as page:
        said: list[str] = []
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.wait_for_timeout(100)
        assert said == []
        assert page.locator("h1").inner_text() == ODD[0]
        names = page.locator(".confusion tbody th").all_text_contents()
        assert [name.strip() for name in names] == [name.strip() for name in ODD]
        assert page.evaluate(WIDE) <= 0


def test_the_theme_is_switched_by_its_button(browser, digits):
    with opened(browser, digits, color_scheme="light") as page:
        pixels = "() => document.querySelector('.chart canvas').toDataURL()"
        before = page.evaluate(pixels)
        page.get_by_role("button", name="Light / dark").click()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.wait_for_timeout(50)
        assert page.evaluate(pixels) != before


def test_the_pointer_reads_and_zooms(browser, digits):
    with opened(browser, digits) as page:
        chart = page.locator(".chart").first
        values = chart.locator(".legend .value")
        at_the_end = values.all_text_contents()
        chart.scroll_into_view_if_needed()
        box = chart.locator(".u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 20, box["y"] + 50)
        assert values.all_text_contents() != at_the_end
        assert chart.locator(".where").text_content().startswith("iteration ")
        others = page.locator(".chart .where").all_text_contents()
        assert others[1].startswith("iteration ")  # the other charts are read at the same place
        page.mouse.down()
        page.mouse.move(box["x"] + 200, box["y"] + 50, steps=5)
        page.mouse.up()
        everything = chart.get_by_role("button", name="Show all")
        assert everything.is_visible()
        page.mouse.dblclick(box["x"] + 100, box["y"] + 50)
        assert not everything.is_visible()


def test_the_keyboard_reads_and_zooms(browser, digits):
    with opened(browser, digits) as page:
        chart = page.locator(".chart").first
        plot = chart.locator(".plot")
        plot.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        assert chart.locator(".where").text_content() == "iteration 3"
        page.keyboard.press("+")
        everything = chart.get_by_role("button", name="Show all")
        assert everything.is_visible()
        page.keyboard.press("0")
        assert not everything.is_visible()


def test_toggles(browser, digits):
    with opened(browser, digits) as page:
        chart = page.locator(".chart").first
        picture = "() => document.querySelector('.chart canvas').toDataURL()"
        pictures = [page.evaluate(picture)]
        name = chart.locator(".legend button").first
        assert name.get_attribute("aria-pressed") == "true"
        name.click()
        page.wait_for_timeout(30)
        assert name.get_attribute("aria-pressed") == "false"
        pictures.append(page.evaluate(picture))
        log = chart.locator(".log")
        log.focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(30)
        assert log.get_attribute("aria-pressed") == "true"
        assert name.get_attribute("aria-pressed") == "false"
        pictures.append(page.evaluate(picture))
        assert len(set(pictures)) == 3


def test_every_control_is_reached_by_tab(browser, digits):
    with opened(browser, digits) as page:
        reached = set()
        for _ in range(120):
            page.keyboard.press("Tab")
            reached.add(focused(page))
        assert "theme" in reached
        assert any(each.startswith("BUTTON.log") for each in reached)
        assert any(each.startswith("A.") for each in reached)
        assert any(each.startswith("SUMMARY") for each in reached)
        assert len([each for each in reached if each.startswith("TD")]) == 1  # arrows go on from there
        plots = page.locator(".plot").count()
        assert page.locator(".plot[tabindex='0'][aria-label]").count() == plots


def test_a_cell_of_the_matrix_chooses_examples(browser, digits):
    with opened(browser, digits) as page:
        shown = page.locator("#wrong .example:visible")
        before = shown.count()
        cell = page.locator(".confusion td.miss").first
        true, given = cell.get_attribute("data-true"), cell.get_attribute("data-given")
        cell.hover()
        words = page.locator("#confusion-words").text_content()
        assert words.startswith(f"{true} predicted as {given}: ")
        assert "%" in words
        cell.click()
        found = shown.evaluate_all("all => all.map(e => [e.dataset.true, e.dataset.given])")
        assert found
        assert {tuple(each) for each in found} == {(true, given)}
        page.get_by_role("button", name="Show the most wrong again").click()
        assert shown.count() == before
        more = page.locator("#more-examples")
        more.click()
        assert shown.count() > before


def test_the_matrix_by_keyboard(browser, digits):
    with opened(browser, digits) as page:
        page.locator(".confusion td[tabindex='0']").focus()
        for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowDown"):
            page.keyboard.press(key)
        place = page.evaluate("[document.activeElement.dataset.true, document.activeElement.dataset.given]")
        assert place == ["2", "0"]
        assert page.locator("#confusion-words").text_content().startswith("2 predicted as 0")
        miss = page.locator(".confusion td.miss").first
        miss.focus()
        page.keyboard.press("Enter")
        assert page.get_by_role("button", name="Show the most wrong again").is_visible()


def test_runs_compared_by_iteration_and_by_time(browser, tmp_path):
    rng = np.random.default_rng(0)
    histories = []
    for pace in (0.01, 0.05):
        loss = np.exp(-np.arange(300) / 80) + 0.02 * rng.random(300)
        seconds = (pace * np.arange(1, 301)).tolist()
        histories.append(cr.History(loss=loss.tolist(), learning_rate=[0.1] * 300, seconds=seconds))
    path = report(*histories, title="paces").save(tmp_path / "paces.html")
    with opened(browser, path, width=400) as page:
        assert min(page.evaluate(DRAWN)) >= 3
        before = page.evaluate("() => document.querySelector('.chart canvas').toDataURL()")
        page.get_by_role("button", name="by time").click()
        assert page.get_by_role("button", name="by iteration").get_attribute("aria-pressed") == "false"
        page.wait_for_timeout(30)
        assert page.evaluate("() => document.querySelector('.chart canvas').toDataURL()") != before
        page.locator(".plot").first.focus()
        page.keyboard.press("ArrowRight")
        assert page.locator(".where").first.text_content().endswith(" s")
        assert page.evaluate(WIDE) <= 0


def test_a_regression_and_a_sick_run(browser, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    net = cr.Network(cr.Affine(1), input_shape=3, loss=cr.MeanSquaredError(), seed=1)
    history = net.fit(x, x[:, :1], iterations=30, callbacks=[Health()])
    history.loss[7] = float("nan")
    history.health["parameters"]["W1"]["update_ratio"] = [None] * len(history.health["iterations"])
    path = report(history, net, x, x[:, :1]).save(tmp_path / "line.html")
    with opened(browser, path, width=400, color_scheme="dark") as page:
        assert page.locator(".findings .error").count() == 1
        counts = page.evaluate(DRAWN)
        assert min(counts[:3]) >= 3
        assert page.evaluate(WIDE) <= 0


def test_in_the_frame_of_a_notebook(browser, digits, tmp_path):
    path = tmp_path / "notebook.html"
    rng = np.random.default_rng(0)
    history = cr.History(loss=rng.random(50).tolist(), learning_rate=[0.1] * 50, seconds=[1.0] * 50)
    path.write_text(
        f"<!DOCTYPE html><meta charset=utf-8><link rel=icon href='data:,'>{report(history)._repr_html_()}"
    )
    with opened(browser, path) as page:
        frame = page.frames[1]
        frame.wait_for_selector(".chart canvas")
        assert min(frame.evaluate(DRAWN)) >= 3
        assert page.evaluate("getComputedStyle(document.body).margin") == "8px"  # its styles stay inside


def test_a_table_that_goes_on_shows_it(browser, digits):
    with opened(browser, digits, width=400) as page:
        for table in page.query_selector_all(".wide:has(> table:not(.confusion))"):
            told = table.evaluate("each => getComputedStyle(each).backgroundAttachment")
            assert (
                told == "local, local, scroll, scroll"
            )  # covers that move with the table, shadows that stay
