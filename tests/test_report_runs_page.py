"""The reports of runs that went wrong, and right, in a real browser: whole, narrow, dark, and open to everybody."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

import chainrule as cr
from browsing import needs_browser, opened
from chainrule.errors import ChainruleWarning, DivergedError
from chainrule.reports import TrainingReport, report

pytestmark = needs_browser
WIDE = "() => document.documentElement.scrollWidth - window.innerWidth"
SCREENS = "() => document.documentElement.scrollHeight / window.innerHeight"
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(400, 5))


def trained(
    t: np.ndarray, loss: cr.layers.Loss, optimizer: cr.Optimizer, outputs: int, **given: Any
) -> TrainingReport:
    net = cr.Network(cr.Affine(20), cr.ReLU(), cr.Affine(outputs), input_shape=5, loss=loss, seed=0)
    test = NUMBERS[300:], t[300:]
    options: dict[str, Any] = {"epochs": 30, "batch_size": 20, "callbacks": [cr.Health()]} | given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainruleWarning)
        try:
            history = net.fit(NUMBERS[:300], t[:300], optimizer=optimizer, validation=test, **options)
        except DivergedError as error:
            history = error.history
    return report(history, net, *test, check=cr.check(net, {"x": NUMBERS[:3], "t": t[:3]}))


def diverged() -> TrainingReport:
    t = NUMBERS @ RNG.normal(size=(5, 1)) * 100
    return trained(t, cr.MeanSquaredError(), cr.SGD(50.0), 1)


def regression() -> TrainingReport:
    t = NUMBERS @ RNG.normal(size=(5, 1)) / 2 + 0.1 * RNG.normal(size=(400, 1))
    return trained(t, cr.MeanSquaredError(), cr.Adam(0.01), 1)


def imbalanced() -> TrainingReport:
    t = (NUMBERS @ np.ones(5) + 2 * RNG.normal(size=400) > 5).astype(int)
    return trained(t, cr.SoftmaxCrossEntropy(), cr.Adam(0.003), 2)


def perfect() -> TrainingReport:
    t = (NUMBERS[:, 0] > 0).astype(int)
    NUMBERS[:, 0] += np.where(t, 2.0, -2.0)
    return trained(t, cr.SoftmaxCrossEntropy(), cr.Adam(0.01), 2, epochs=60)


RUNS = {each.__name__: each for each in (diverged, regression, imbalanced, perfect)}


@pytest.fixture(scope="module")
def reports() -> dict[str, TrainingReport]:
    return {name: make() for name, make in RUNS.items()}


@pytest.fixture(scope="module")
def pages(reports, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    made = {name: each.save(folder / f"{name}.html") for name, each in reports.items()}
    runs = [
        replace(each.runs[0], name=name)
        for name, each in reports.items()
        if name in ("imbalanced", "perfect")
    ]
    return {**made, "compared": TrainingReport(runs).save(folder / "compared.html")}


def faults(page: Any) -> list[str]:
    """What axe finds wrong that is serious."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("name", [*RUNS, "compared"])
@pytest.mark.parametrize(("width", "height", "scheme"), [(1280, 900, "light"), (400, 800, "dark")])
def test_every_report_is_whole_and_open_to_everybody(browser, pages, name, width, height, scheme):
    with opened(browser, pages[name], width=width, height=height, color_scheme=scheme) as page:
        assert page.evaluate(WIDE) <= 0
        assert page.evaluate(SCREENS) <= 10
        assert faults(page) == []
        if name != "compared":  # a picture of the network that is not cut off
            box, within = page.locator("#network svg").bounding_box(), page.locator("#network").bounding_box()
            assert box["width"] <= within["width"]


def test_what_they_say(reports):
    codes = {name: [each.code for each in made.findings] for name, made in reports.items()}
    assert codes["diverged"] in (["diverged"], ["scale"])
    assert codes["regression"] == codes["perfect"] == []
    assert codes["imbalanced"] in (["baseline"], ["missed class"])
    assert "hardly anything left to win" in reports["perfect"].html()
    for made in reports.values():
        page = made.html()
        cards = page.partition('class="cards"')[2].partition("<main")[0].lower()
        assert "0.00 % of 0" not in page
        assert "nan" not in cards
        assert "inf" not in cards.replace("infinite", "").replace("became inf", "")


def test_losses_over_decades_are_logarithmic_and_accuracy_is_shown_where_it_moves(browser, tmp_path):
    accuracy = [0.1, 0.5, 0.8, *np.linspace(0.9, 0.99, 30).tolist()]
    loss = np.geomspace(2.3, 1e-3, len(accuracy)).tolist()
    at = list(range(1, len(loss) + 1))
    made = {}
    for name, count in (("many", 33), ("few", 5)):
        curve = loss[:count]
        history = cr.History(
            loss=curve,
            learning_rate=[0.1] * len(curve),
            seconds=curve,
            measured_at=at[: len(curve)],
            train_accuracy=accuracy[: len(curve)],
        )
        made[name] = report(history).save(tmp_path / f"{name}.html")
    with opened(browser, made["many"]) as page:
        assert page.get_by_role("button", name="Log").get_attribute("aria-pressed") == "true"
        whole = page.get_by_role("button", name="All", exact=True)
        assert whole.get_attribute("aria-pressed") == "false"
        before = page.locator(".chart canvas").nth(1).evaluate("(each) => each.toDataURL()")
        whole.click()
        assert page.locator(".chart canvas").nth(1).evaluate("(each) => each.toDataURL()") != before
    with opened(browser, made["few"]) as page:
        assert page.get_by_role("button", name="Log").get_attribute("aria-pressed") == "false"
        assert page.get_by_role("button", name="All", exact=True).count() == 0


def test_a_line_is_copied_by_its_button(browser, pages):
    with opened(browser, pages["diverged"]) as page:
        line = page.locator(".lines li").first
        text = line.locator("code").inner_text()
        line.get_by_role("button").click()
        assert page.evaluate("getSelection().toString()").strip() == text.strip()
        assert line.get_by_role("button").inner_text() in ("Copied", "Selected")


def test_tables_of_a_comparison_are_sorted_by_their_heads(browser, pages):
    with opened(browser, pages["compared"]) as page:
        table = page.locator("#layers table")
        head = table.get_by_role("columnheader", name="difference")
        column = head.evaluate("(each) => [...each.parentElement.children].indexOf(each)")
        cells = f"(table) => [...table.tBodies[0].rows].map((row) => row.children[{column}].dataset.value)"
        for state in ("ascending", "descending"):
            head.get_by_role("button").click()
            assert head.get_attribute("aria-sort") == state
            shown = [float(each) for each in table.evaluate(cells) if each]
            assert shown == sorted(shown, reverse=state == "descending")
            assert "" not in table.evaluate(cells)[: len(shown)]  # what is not measured comes last
        assert page.locator("#results th[aria-sort]").count() >= 5


def test_on_a_phone_cards_and_charts_are_swiped(browser, pages):
    with opened(browser, pages["regression"], width=400, height=800) as page:
        for row in (".cards", "#layers .charts", "#answers .examples"):
            inside, outside = page.locator(row).evaluate("(each) => [each.scrollWidth, each.clientWidth]")
            assert inside > outside
            tops = page.locator(f"{row} > *").evaluate_all("(all) => all.map((each) => each.offsetTop)")
            assert len(set(tops)) == 1
