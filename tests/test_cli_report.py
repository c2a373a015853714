"""`chainrule report`, and what `chainrule train` leaves and tells for it."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app
from chainrule.text import percent

pytestmark = pytest.mark.usefixtures("without_curves")

ODD = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    return result


def train(*arguments, out="mine", code=0):
    return run("train", *arguments, "--out", out, "--no-check", code=code)


def test_a_run_and_its_report_made_anew():
    result = run("train", "digits", "--out", "mine")
    assert "finding" not in result.stdout  # a healthy run
    before = Path("mine/report.html").read_text()
    _, (x, t) = cr.datasets.load_digits()
    right = percent(cr.load("mine/model.safetensors").accuracy(x, t), 2)
    for told in (
        "Nothing looks wrong",
        "Layers over time",
        "Confusion matrix",
        "13 gradients compared",
        right,
    ):
        assert told in before
    kept = json.loads(Path("mine/evaluation.json").read_text())
    given = cr.load("mine/model.safetensors").predict(x).argmax(axis=1)
    np.testing.assert_array_equal(kept["answers"]["confusion"], confusion_matrix(t, given))
    assert {"chainrule", "Python", "NumPy", "platform"} <= set(kept["about"]["versions"])
    Path("mine/report.html").unlink()
    result = run("report", "mine")
    assert result.stdout == "report     mine/report.html\n"
    assert Path("mine/report.html").read_text() == before
    run("report", "mine")  # again, over it
    assert 'href="graph.html"' in before
    assert '"ran":"backward"' in Path("mine/graph.html").read_text()
    Path("elsewhere").mkdir()
    run("report", "mine", "--out", "elsewhere/digits.html")
    assert 'href="../mine/graph.html"' in Path("elsewhere/digits.html").read_text()
    Path("mine/graph.html").unlink()
    run("report", "mine")
    assert "graph.html" not in Path("mine/report.html").read_text()


def test_the_command_repeats_the_run(tmp_path):
    name = "a 'table' of mine.csv"
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'yes' if a > b else 'no'}" for a, b in rng.normal(size=(60, 2))]
    Path(name).write_text("\n".join(["one,two,it is", *rows]) + "\n")
    chosen = [
        "--target",
        "it is",
        "--epochs",
        3,
        "--seed",
        7,
        "--hidden",
        "8,4",
        "--no-health",
        "--batch-size",
        10,
    ]
    train(name, *chosen)
    page = Path("mine/report.html").read_text()
    found = re.search(r'<pre class="command"[^>]*><code>(.*?)</code>', page, re.DOTALL)
    assert found is not None
    words = shlex.split(html.unescape(found.group(1)))
    assert words[:3] == ["chainrule", "train", name]
    assert "--no-check" in words
    assert "--no-health" in words
    assert "--out" not in words
    run(*words[1:], "--out", "again")
    networks = [cr.load(f"{name}/model.safetensors") for name in ("mine", "again")]
    mine, again = (cr.save(each, "saved.safetensors").read_bytes() for each in networks)
    assert again == mine


def test_health_is_recorded_unless_it_is_not_wanted():
    train("digits", "--iterations", 40, out="a")
    train("digits", "--iterations", 40, "--no-health", out="b")
    a, b = (cr.History.load(f"{name}/history.jsonl") for name in "ab")
    assert a.health["layers"]
    assert b.health == {}
    assert a.loss == b.loss
    assert "Layers over time" in Path("a/report.html").read_text()
    assert "Layers over time" not in Path("b/report.html").read_text()


def test_findings_are_told_beside_the_report():
    result = train("digits", "--learning-rate", 1e-6, "--epochs", 3)
    found = [line for line in result.stdout.splitlines() if line.startswith(("finding ", "try "))]
    assert any("Try: a larger --learning-rate" in line for line in found)
    assert "try        chainrule train digits --epochs 3 --no-check --learning-rate 0.001" in found
    again = run("report", "mine").stdout.splitlines()
    assert again == [*found, "report     mine/report.html"]


def test_a_divergence_is_reported():
    rng = np.random.default_rng(0)
    rows = [",".join(map(str, row)) for row in rng.normal(size=(60, 3))]
    Path("data.csv").write_text("\n".join(["a,b,y", *rows]))
    sgd = "--optimizer", "sgd", "--learning-rate", 1e4
    train("data.csv", "--target", "y", *sgd, "--batch-size", 10, code=1)
    page = Path("mine/report.html").read_text()
    assert "The training diverged at iteration" in page
    assert "Predicted against true" in page
    assert "diverged" in run("report", "mine").stdout


def test_a_regression_in_the_targets_own_unit():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    rows = [f"{a},{b},{5000 + 300 * a - 200 * b}" for a, b in x]
    Path("data.csv").write_text("\n".join(["a,b,price", *rows]))
    train("data.csv", "--target", "price", "--hidden", 0, "--epochs", 40, "--batch-size", 10)
    page = Path("mine/report.html").read_text()
    assert (
        page.count("share of the target") == 2
    )  # the title of the losses' curve, and the same for the script
    assert "<dt>a</dt>" in page
    kept = json.loads(Path("mine/evaluation.json").read_text())["answers"]
    assert 4000 < np.mean(kept["true"]) < 6000
    assert kept["r_squared"][0] > 0.95


def test_odd_names_in_a_table():
    rng = np.random.default_rng(0)
    names = [ODD, 'say "two" 三 🙂']
    rows = [
        f'{a},{b},"{names[int(a > b)].replace(chr(34), chr(34) * 2)}"' for a, b in rng.normal(size=(60, 2))
    ]
    header = f'"{ODD}","=cmd & [b]","the {ODD}"'
    Path("data.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    train("data.csv", "--target", f"the {ODD}", "--epochs", 2, "--batch-size", 10)
    page = Path("mine/report.html").read_text(encoding="utf-8")
    assert ODD not in page
    assert html.escape(ODD) in page
    assert html.escape(names[1]) in page
    assert "=cmd &amp; [b]" in page


def test_several_runs_side_by_side():
    train("digits", "--iterations", 30, out="a")
    train("digits", "--iterations", 60, "--seed", 3, out="b")
    result = run("report", "a", "b")
    assert result.stdout.splitlines()[-1] == "report     comparison.html"
    page = Path("comparison.html").read_text()
    assert "a and b" in page
    settings = page.partition('id="settings"')[2].partition("</section>")[0]
    assert re.findall(r"<tr><td>(\w+)", settings) == ["iterations", "seed"]
    result = run("report", "a", "b", code=2)
    assert (
        "comparison.html exists; choose another name with --out, or write over it with --force"
        in result.stderr
    )
    run("report", "a", "b", "--force")
    run("report", "a", "b", "--out", "both.png")
    assert Path("both.png").read_bytes().startswith(b"\x89PNG")
    run("report", "a", "--out", "one.html")
    assert Path("one.html").exists()


def test_a_folder_of_which_parts_are_missing():
    train("digits", "--iterations", 30)
    os.unlink("mine/history.jsonl")
    Path("mine/model.safetensors").write_bytes(b"damaged")
    lines = run("report", "mine").stdout.splitlines()
    assert lines[0] == (
        "missing    history.jsonl is missing, so the report has no curves, no settings, nothing of the layers"
    )
    assert lines[1].startswith("missing    model.safetensors is not a readable model file")
    assert [line for line in lines[2:] if not line.startswith("finding")] == ["report     mine/report.html"]
    page = Path("mine/report.html").read_text()
    assert "history.jsonl is missing" in page
    assert "model.safetensors is not a readable model file" in page
    assert "chainrule train digits --iterations 30" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["empty"], "nothing of a run can be read here"),
        (["nowhere"], "there is no folder nowhere"),
        (["file"], "expected a run folder, got the file file"),
        (["mine", "nowhere"], "there is no folder nowhere"),
        (["mine", "--out", "mine/history.jsonl"], "exists; choose another name with --out"),
        (["mine", "--out", "report.pdf"], "expected a name that ends in .html or .png"),
        (["mine", "--out", "missing/report.html"], "could not write"),
        ([], "Missing argument"),
    ],
)
def test_bad_input(arguments, message):
    Path("empty").mkdir()
    Path("file").write_text("x")
    train("digits", "--iterations", 1)
    result = run("report", *arguments, code=2)
    assert message in result.stderr
    assert result.stdout == ""
    if arguments:
        assert result.stderr.count("\n") == 1


def test_what_a_terminal_would_obey_is_told_as_text():
    rng = np.random.default_rng(0)
    rows = [f"{a},{'no' if k % 6 else chr(27) + '[31m[red]é'}" for k, a in enumerate(rng.normal(size=60))]
    Path("data.csv").write_text("\n".join(["a,y", *rows]), encoding="utf-8")
    result = train("data.csv", "--target", "y", "--epochs", 30, "--batch-size", 10, "--hidden", 0)
    assert "no better than always answering" in result.stdout or "never answered" in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("data", "options", "told"),
    [
        ("cls.csv", ["--weight-decay", 10], "Try: a smaller --weight-decay"),
        ("digits", ["--weight-decay", 10], "Try: a smaller --weight-decay"),
        ("cls.csv", ["--learning-rate", 100], "Try: a smaller --learning-rate (it was 100; "),
    ],
)
def test_the_remedy_is_the_option_that_did_it(data, options, told):
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'yes' if a > b else 'no'}" for a, b in rng.normal(size=(200, 2))]
    Path("cls.csv").write_text("\n".join(["a,b,y", *rows]) + "\n")
    target = [] if data == "digits" else ["--target", "y"]
    result = CliRunner().invoke(app, ["train", data, *map(str, [*target, *options]), "--no-check"])
    shown = " ".join(result.stdout.split())
    assert told in shown
    tried = [line.split(maxsplit=1)[1] for line in result.stdout.splitlines() if line.startswith("try ")]
    assert tried[0].startswith(f"chainrule train {data} ")
    assert "fits the training data only" not in shown
    page = next(Path("runs").glob("*/report.html")).read_text()
    assert re.search(r"<dt>init</dt>\s*<dd>half-he</dd>", page)
