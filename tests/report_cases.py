"""What the tests of reports share: runs that are made up, and a network that has learnt the digits."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from functools import cache

import numpy as np

import chainrule as cr
from chainrule.evaluation import Classified
from chainrule.loop import Health, History
from chainrule.reports import TrainingReport, report

ODD_NAMES = [
    "<script>alert(1)</script>",
    'say "two"',
    "三",
    "naïve 🙂",
    "a&b",
    "'",
    "$x_7$",
    "[bold]",
    "",
    "\x1b[31mred\u202e",
]

Digits = tuple[cr.Network, History, np.ndarray, np.ndarray]


@cache
def trained_digits() -> Digits:
    """A network that has learnt the digits, its history, and the test data."""
    (x, t), (x_test, t_test) = cr.datasets.load_digits()
    net = cr.Network(
        cr.Affine(50),
        cr.ReLU(),
        cr.Affine(10),
        input_shape=64,
        loss=cr.SoftmaxCrossEntropy(),
        seed=0,
    )
    history = net.fit(x, t, epochs=20, validation=(x_test, t_test), callbacks=[Health()])
    return net, history, x_test, t_test


def data_in(page: str) -> list[dict]:
    """The charts that a page hands to its script."""
    found = re.search(r'<script type="application/json" id="data-charts">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


def codes(made: TrainingReport) -> list[str]:
    return [each.code for each in made.findings]


def run_of(loss, **more) -> History:
    """A history with this loss; measured values every tenth iteration, if given."""
    count = len(loss)
    measures = {name: list(more.pop(name)) for name in list(more) if name.startswith(("train_", "test_"))}
    points = max(map(len, measures.values()), default=0)
    return History(
        loss=list(loss),
        learning_rate=more.pop("rates", [0.1] * count),
        seconds=[0.01 * (k + 1) for k in range(count)],
        measured_at=[round((k + 1) * count / points) for k in range(points)],
        settings={"loss": "SoftmaxCrossEntropy()", **more.pop("settings", {})},
        stopped=more.pop("stopped", "finished"),
        **measures,
        **more,
    )


FALLING = (0.3 + 2 * np.exp(-np.arange(400) / 40)).tolist()


def health_of(layers=None, parameters=None) -> dict:
    return {
        "rows": 256,
        "iterations": [0, 50, 100],
        "layers": layers or {},
        "parameters": parameters or {},
    }


def finding(made: TrainingReport, code: str):
    """The one finding of this code, whose sentence and advice are on the page."""
    (found,) = [each for each in made.findings if each.code == code]
    page = made.html()
    assert f"<p>{html.escape(found.text)}.</p>" in page
    assert html.escape(found.advice) in page
    assert str(found) in str(made)
    return found


def labelled(confusion, names) -> TrainingReport:
    found = Classified(list(names), np.array(confusion), [], [])
    made = report(run_of(FALLING))
    return TrainingReport([replace(made.runs[0], answers=found)])
