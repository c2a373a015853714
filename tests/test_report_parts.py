"""The report of a run folder, also a damaged one; bad input; and how numbers are worded and thinned."""

from __future__ import annotations

import html
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import as_floats
from chainrule.drawing.thinning import rounded, smoothed, thinned
from chainrule.errors import ChainruleError, FileError
from chainrule.evaluation import judge
from chainrule.loop import History
from chainrule.reports import TrainingReport, report
from chainrule.reports.answers import alike
from chainrule.reports.reading import read_run
from chainrule.saving.evaluations import About, described, from_json, to_json, write_evaluation
from chainrule.text import duration, fold, percent, short
from report_cases import (
    FALLING,
    ODD_NAMES,
    Digits,
    codes,
    data_in,
    health_of,
    run_of,
    trained_digits,
)


@pytest.fixture(scope="module")
def digits() -> Digits:
    return trained_digits()


# Run folders ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole_folder(digits, tmp_path_factory) -> Path:
    net, history, x, t = digits
    path = tmp_path_factory.mktemp("whole") / "a run"
    path.mkdir()
    cr.save(net, path / "model.safetensors")
    history.save(path / "history.json")
    check = cr.check(net, {"x": x[:3], "t": t[:3]})
    (path / "check.json").write_text(json.dumps(check.to_dict()))
    about = About("digits", 1438, 359, described(net), 3760, "chainrule train digits", {"Python": "3"})
    write_evaluation(path, about, judge(net, x, t), (8, 8), (x[:1], t[:1]))
    return path


@pytest.fixture
def folder(whole_folder, tmp_path) -> Path:
    return Path(shutil.copytree(whole_folder, tmp_path / "a run"))


def test_a_folder_is_enough(folder, digits):
    net, history, x, t = digits
    made = report(folder)
    page = made.html()
    right = percent(net.accuracy(x, t), 2)
    for told in ("chainrule train digits", right, "64 → 50 → 10, ReLU", "First layer", "Gradient check"):
        assert told in page
    assert "Missing" not in page
    again = made.runs[0].answers
    assert to_json(again) == to_json(judge(net, x, t))
    assert data_in(page)[0] == data_in(report(history, net, x, t).html())[0]


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 4),
    "a list": lambda path: path.write_text("[1, 2]"),
    "another object": lambda path: path.write_text(
        '{"format": "x", "rows": 3, "findings": [1], "passed": 7}'
    ),
    "deep": lambda path: path.write_text("[" * 100_000),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["model.safetensors", "history.json", "evaluation.json", "check.json"])
def test_what_is_missing_is_named(folder, name, damage):
    DAMAGES[damage](folder / name)
    page = report(folder).html()
    if (name, damage) == ("check.json", "missing"):
        assert "Missing" not in page  # a run need not be checked
    else:
        assert "<b>Missing</b>" in page
        assert (name if damage != "missing" else name.replace("y.json", "y.jsonl")) in page
        assert "so the report has" in page
    assert ("Confusion matrix" in page) == (name != "evaluation.json")
    assert ('data-chart="0"' in page) == (name != "history.json")


def test_an_evaluation_damaged_in_one_place(folder):
    whole = json.loads((folder / "evaluation.json").read_text())

    def places(value, path=()):
        yield path
        items = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value[:2])
            if isinstance(value, list)
            else ()
        )
        for key, each in items:
            yield from places(each, (*path, key))

    pages = set[str]()
    for path in list(places(whole))[1:]:
        for wrong in (None, "x", -1, [], {}, 10**400, [[1], 2]):
            content = json.loads(json.dumps(whole))
            target = content
            for key in path[:-1]:
                target = target[key]
            target[path[-1]] = wrong
            (folder / "evaluation.json").write_text(json.dumps(content))
            run = read_run(folder)
            assert run.missing or run.about is not None
            if len(path) < 4 and (shown := repr((run.missing, run.about, run.answers))) not in pages:
                pages.add(shown)  # of the same parts comes the same page
                TrainingReport([run]).html()


def test_a_history_with_numbers_that_are_none(folder):
    content = json.loads((folder / "history.json").read_text())
    for name in ("loss", "learning_rate", "seconds", "train_loss", "test_loss", "test_accuracy"):
        content[name][3], content[name][-1] = 10**400, math.nan
    content["measured_at"][2] = math.inf
    (folder / "history.json").write_text(json.dumps(content))
    made = report(folder)
    assert "diverged" in codes(made)
    page = made.html()
    assert '"inf"' not in page.partition("data-charts")[2]
    made.save(folder / "a.png")


def test_folders_with_nothing_of_a_run(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        FileError, match=r"nothing of a run can be read here: history.jsonl is missing; model"
    ):
        report(tmp_path / "empty")
    with pytest.raises(FileError, match="there is no folder"):
        report(tmp_path / "nowhere")
    file = tmp_path / "history.json"
    file.write_text("{}")
    with pytest.raises(FileError, match=r"expected a run folder, got the file .*; its folder is"):
        report(file)


def test_several_folders_are_compared(folder, tmp_path):
    other = tmp_path / "other" / "a run"
    shutil.copytree(folder, other)
    history = History.load(other / "history.json")
    history.settings["seed"] = "<script>alert(1)</script>"
    history.stopped = "interrupted"
    history.save(other / "history.json")
    made = report(folder, other)
    page = made.html()
    assert "a run (1)" in page
    assert "a run (2)" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "interrupted" in page
    charts = {chart["title"]: chart for chart in data_in(page)}
    assert [each["name"] for each in charts["Test accuracy"]["series"]] == ["a run (1)", "a run (2)"]
    table = charts["Test accuracy"]["tables"][0]
    np.testing.assert_allclose(table["y"][0], history.test_accuracy, rtol=1e-5)
    seconds = [history.seconds[k - 1] for k in history.measured_at]
    np.testing.assert_allclose(table["seconds"], seconds, rtol=1e-3)
    settings = page.partition('id="settings"')[2].partition("</section>")[0]
    assert re.findall(r"<tr><td>(\w+)", settings) == ["seed"]
    assert made.save(tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    (other / "history.json").unlink()
    assert "history.jsonl is missing" in report(folder, other).html()
    assert all(each.where.startswith("a run (") for each in report(folder, other).findings)


def test_settings_that_differ_are_compared_in_a_few_digits():
    settings = [
        {"optimizer": f"Adam(0.01, weight_decay={decay})", "seed": seed, "clip_norm": clip}
        for decay, seed, clip in ((5 / 1435, 123456789, 0.12345671), (0.0, 123456780, 0.12345672))
    ]
    histories = [run_of(FALLING, settings=each) for each in settings]
    page = report(*histories).html()
    assert "0.003484" in page
    assert "0.00348432" not in page
    assert "123456789" in page
    assert "0.12345671" in page  # else the two would look the same


def test_shares_of_layers_are_drawn_from_zero():
    history = run_of(FALLING)
    layers = {"relu1": {"kind": "ReLU", "dead": [1.0] * 5, "zeros": [0.99, 1.0, 1.0, 1.0, 1.0]}}
    history.health = {"rows": 9, "iterations": [0, 100, 200, 300, 400], "layers": layers, "parameters": {}}
    history.train_accuracy = [0.9, 0.95]
    history.measured_at = [200, 400]
    charts = data_in(report(history).html())
    assert {chart["title"]: chart["from_zero"] for chart in charts if chart["percent"]} == {
        "Accuracy": False,
        "Dead units": True,
        "Zeros in the output": True,
    }


# Bad input --------------------------------------------------------------------------------------------------


def test_odd_names_are_shown_as_text(digits):
    net, history, x, t = digits
    net.metadata = {"data": "<img src=x onerror=alert(1)>", "target": "</script>"}
    try:
        made = report(history, net, x, t, title=ODD_NAMES[0] + '"', class_names=ODD_NAMES, image_shape=())
        page = made.html()
    finally:
        net.metadata = {}
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    for name in ODD_NAMES[:8]:
        assert html.escape(name) in page
    assert "\x1b" not in page
    assert page.encode()


def test_names_of_layers_and_settings_are_shown_as_text():
    bad = "<script>alert(1)</script>"
    layers = {bad: {"kind": bad, "dead": [0.9] * 3, "gradient_std": [1.0] * 3}}
    weights = {bad + "W": {"layer": bad, "norm": [1.0] * 3, "update_ratio": [0.5] * 3}}
    history = run_of(FALLING, health=health_of(layers, weights), stopped=bad)
    history.settings = {bad: {bad: [bad]}}
    assert (
        bad not in report(history, check={"passed": False, "rows": [{"node": bad}], "findings": [{}]}).html()
    )


@pytest.mark.parametrize(
    ("arguments", "named", "message"),
    [
        ((), {}, "expected a history, or run folders"),
        ((3,), {}, "expected a History, as fit returns it, or the path of a run folder, got int"),
        (("h", "net"), {"x": 1}, "x goes with one history"),
        (("h",), {"network": 3}, "expected network to be a cr.Network, got int"),
        (("h",), {"x": [[1.0]]}, "x and t go together"),
        (("h", "net", "x"), {}, "x and t go together"),
        (("h",), {"check": 3}, "what cr.check returned, got int"),
        (("h",), {"titel": "x"}, "there is no argument 'titel'"),
        (("h", "net", "x", "t"), {"class_names": ["a"]}, "expected 10 names, one for each class"),
        (("h", "net", "x", "t"), {"class_names": "abcdefghij"}, "expected 10 names"),
        (("h", "net", "x", "t"), {"image_shape": (7, 9)}, r"image_shape: expected \(H, W\)"),
        (("h", "net", "x", "t"), {"sample": 10_000}, "expected a row of x, 0 to 358, got 10000"),
        (("h", "net", "x", "x"), {}, "SoftmaxCrossEntropy"),
    ],
)
def test_bad_arguments(digits, arguments, named, message):
    given = dict(zip(("net", "h", "x", "t"), digits, strict=True))
    values = [given.get(each, each) if isinstance(each, str) else each for each in arguments]
    if arguments[:2] == ("h", "net") and named == {"x": 1}:
        values = [given["h"], given["h"]]
    with pytest.raises(ChainruleError, match=message):
        report(*values, **named)


def test_damaged_answers():
    for content in (None, 3, [], {}, {"classes": 3}, {"names": []}, {"classes": ["a"], "confusion": [[1.5]]}):
        with pytest.raises(ValueError, match=r"damaged|fit|arranged"):
            from_json(content)


# Words and thinning -----------------------------------------------------------------------------------------


def test_numbers_as_people_read_them():
    assert [short(each) for each in (0, 0.25149, 1438, 12345, 1e-9, 3e20, math.nan)] == [
        "0",
        "0.2515",
        "1438",
        "12,345",
        "1e-9",
        "3e20",
        "nan",
    ]
    assert [duration(each) for each in (0.153, 31.61, 125, 7260)] == [
        "0.15 s",
        "31.6 s",
        "2 min 5 s",
        "2 h 1 min",
    ]
    assert [fold(each) for each in (400, 1234, 5e7)] == ["400-fold", "1,200-fold", "5e7-fold"]
    assert percent(0.93035) == "93.0 %"
    assert rounded([1.23456789, math.nan, -math.inf, 3.0]) == [1.23457, None, None, 3]
    assert as_floats([10**400, "x", None, 2]).tolist()[0] == math.inf


@pytest.mark.parametrize("count", [0, 1, 2, 1199, 1200, 1201, 5000])
def test_thinning(count):
    values = np.random.default_rng(count).normal(size=count)
    kept = thinned(values)
    assert len(kept) <= 1202
    assert (np.diff(kept) > 0).all()
    if count:
        assert kept[0] == 0
        assert kept[-1] == count - 1
        assert values[kept].max() == values.max()
        assert values[kept].min() == values.min()
    smooth = smoothed(values)
    assert len(smooth) == count
    half = max(count // 50, 1) // 2
    for k in range(0, count, 97):
        assert smooth[k] == pytest.approx(values[max(k - half, 0) : k + half + 1].mean())


def test_the_numbers_of_an_example_have_the_same_digits():
    assert alike([210_123.4, 360_345.0, -150_221.6]) == ["210,123", "360,345", "-150,222"]
    assert alike([0.01234, 0.5, -0.48766]) == ["0.0123", "0.5000", "-0.4877"]
    assert alike([12.3456, 8.1, 4.2456]) == ["12.35", "8.10", "4.25"]
    assert alike([1e12, 2e12, 0.0]) == ["1e12", "2e12", "0"]
    assert alike([0.0, 0.0, 0.0]) == ["0", "0", "0"]
