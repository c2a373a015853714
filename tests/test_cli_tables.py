"""Everyday tables through the command line: train, evaluate, predict and report, with --target alone."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from typer.testing import CliRunner, Result

from chainrule.cli.app import app

pytestmark = pytest.mark.usefixtures("without_curves")

runner = CliRunner()
ROWS = 60
TURNED = str.maketrans(",.", ".,")


def people(seed: int = 0) -> list[dict[str, Any]]:
    """Rows of a made-up table whose last column follows from the others."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(ROWS):
        height, city, smokes = (
            rng.normal(1.7, 0.1),
            rng.choice(["Ulm", "Köln", "Bad Tölz"]),
            rng.random() < 0.4,
        )
        price = 100 * height + 20 * smokes + {"Ulm": 0, "Köln": 30, "Bad Tölz": 60}[str(city)]
        rows.append(
            {
                "height": round(height, 3),
                "city": str(city),
                "smokes": bool(smokes),
                "joined": f"{2019 + k % 4}-{1 + k % 12:02}-{1 + k % 28:02}",
                "price": round(price, 2),
            }
        )
    return rows


def as_csv(rows: list[dict[str, Any]], separator: str = ",", **replaced: Callable[[Any], str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow([replaced.get(name, str)(value) for name, value in row.items()])
    return text.getvalue()


def german(value: Any) -> str:
    return str(value).replace(".", ",")


def with_gaps(rows: list[dict[str, Any]], word: str = "") -> list[dict[str, Any]]:
    """The same with a cell missing here and there, but in the target."""
    names = list(rows[0])[:-1]
    return [
        {
            name: word if name != "price" and (k + 3 * names.index(name)) % 9 == 0 else value
            for name, value in row.items()
        }
        for k, row in enumerate(rows)
    ]


def quoted(rows: list[dict[str, Any]]) -> str:
    return as_csv(rows, city=lambda city: f"{city},\nGermany")


PLAIN = as_csv(people())
EVERYDAY: dict[str, bytes] = {
    "semicolons and decimal commas": as_csv(people(), ";", height=german, price=german).encode(),
    "UTF-8 with a mark": PLAIN.encode("utf-8-sig"),
    "UTF-16 with tabs": as_csv(people(), "\t").encode("utf-16"),
    "latin-1": as_csv(people(), ";").encode("latin-1"),
    "sep= of Excel": ("sep=;\n" + as_csv(people(), ";", height=german, price=german)).encode(),
    "missing cells": as_csv(with_gaps(people())).encode(),
    "words for missing": as_csv(with_gaps(people(), "n/a")).encode(),
    "dates with the day first": as_csv(
        people(), joined=lambda day: ".".join(reversed(day.split("-")))
    ).encode(),
    "yes and no": as_csv(people(), smokes=lambda value: "yes" if value else "no").encode(),
    "quoted newlines": quoted(people()).encode(),
    "names twice and empty": PLAIN.replace("height,city,smokes", "a,,a").encode(),
    "money and percent": as_csv(people(), price="${:,.2f}".format, height="{:.1%}".format).encode(),
    "comments": ("# made up\n# in 2024\n" + PLAIN).encode(),
}


def chainrule(*words: Any) -> Result:
    return runner.invoke(app, list(map(str, words)))


@pytest.mark.parametrize("name", EVERYDAY)
def test_everyday_files_go_through_with_a_target_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("people.csv")
    path.write_bytes(EVERYDAY[name])
    trained = chainrule("train", path, "--target", "price")
    assert trained.exit_code == 0, trained.output
    score = float(re.search(r"^R²\s+([-\d.]+) on the test", trained.output, re.MULTILINE).group(1))
    evaluated = chainrule("evaluate", "runs/people", path)
    assert evaluated.exit_code == 0, evaluated.output
    whole = float(re.search(r"^R²\s+([-\d.]+)", evaluated.output, re.MULTILINE).group(1))
    assert score > (0.4 if "missing" in name else 0.8)
    assert whole > (0.6 if "missing" in name else 0.9)
    predicted = chainrule("predict", "runs/people", path)
    assert predicted.exit_code == 0, predicted.output
    assert predicted.stdout.count("\n") == ROWS + 1
    reported = chainrule("report", "runs/people")
    assert reported.exit_code == 0, reported.output
    page = Path("runs/people/report.html").read_text(encoding="utf-8")
    assert 'id="columns"' in page
    assert "days since 20" in page


def test_the_report_calls_samples_by_their_rows_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = people()
    Path("people.csv").write_text(as_csv(rows), encoding="utf-8")
    assert chainrule("train", "people.csv", "--target", "price", "--epochs", 5, "--no-check").exit_code == 0
    kept = json.loads(Path("runs/people/evaluation.json").read_text(encoding="utf-8"))
    for example in kept["answers"]["worst"]:
        assert example["true"] == pytest.approx(rows[example["row"] - 1]["price"], rel=1e-5)


def test_the_page_says_what_was_found_in_reading_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [row | {"weight": 1_000.5 + k} for k, row in enumerate(people())]
    text = as_csv(
        rows, ";", height=german, price=german, weight=lambda value: f"{value:,.1f}".translate(TURNED)
    )
    Path("people.csv").write_text(text)
    trained = chainrule("train", "people.csv", "--target", "price", "--no-check", "--epochs", 1)
    assert trained.exit_code == 0, trained.output
    path = Path("runs/people/evaluation.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert any("separator ';'" in note and "people.csv" not in note for note in content["about"]["notes"])
    page = html.unescape(Path("runs/people/report.html").read_text(encoding="utf-8"))
    columns = page.partition('id="columns"')[2].partition("</section>")[0]
    assert "separator ';'" in columns
    assert "numbers, such as 1.234,5" in columns
    assert "true or false" in columns
    assert "decimal comma" not in columns.partition("<table>")[2]
    del content["about"]["notes"]  # as older folders have it
    path.write_text(json.dumps(content))
    assert chainrule("report", "runs/people").exit_code == 0
    assert "damaged" not in Path("runs/people/report.html").read_text(encoding="utf-8")


def test_what_is_left_out_names_an_option_and_columns_keep_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [row | {"rate=1": f"text {k % 30}", "batch_size": k % 7} for k, row in enumerate(people() * 2)]
    Path("people.csv").write_text(as_csv(rows))
    words = ("--target", "price", "--no-check", "--epochs", 1, "--most-categories", 20)
    trained = chainrule("train", "people.csv", *words)
    assert trained.exit_code == 0, trained.output
    left = next(line for line in trained.stdout.splitlines() if line.startswith("left out"))
    assert "'rate=1'" in left
    assert "--most-categories 30 would take it" in left
    assert "'batch_size'" in trained.stdout


def test_uneven_classes_have_a_balanced_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, rare in (("even", 2), ("uneven", 10)):
        rows = [row | {"kind": "no" if k % rare else "yes"} for k, row in enumerate(people())]
        Path(f"{name}.csv").write_text(as_csv(rows))
        trained = chainrule("train", f"{name}.csv", "--target", "kind", "--no-check", "--epochs", 2)
        assert trained.exit_code == 0, trained.output
        told = chainrule("evaluate", f"runs/{name}", f"{name}.csv").stdout
        assert ("balanced" in told) == (name == "uneven")
    answers = io.StringIO(chainrule("predict", "runs/uneven", "uneven.csv").stdout)
    given = [row["kind"] for row in csv.DictReader(answers)]
    found = balanced_accuracy_score([row["kind"] for row in rows], given)
    assert float(re.search(r"^balanced\s+(\S+)", told, re.MULTILINE).group(1)) == pytest.approx(
        found, rel=1e-4
    )


def test_gradients_need_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text(PLAIN)
    assert chainrule("train", "people.csv", "--target", "price", "--no-check", "--epochs", 1).exit_code == 0
    Path("new.csv").write_text(as_csv([{k: v for k, v in row.items() if k != "price"} for row in people()]))
    for command in ("draw", "check"):
        told = chainrule(command, "runs/people", "new.csv")
        assert told.exit_code == 2
        assert "gradients flow back from a loss, which needs the answers: " in told.stderr
        assert "no column 'price'" in told.stderr
    told = chainrule("evaluate", "runs/people", "people.csv", "--target", "height")
    assert "is one that the model computes from; name another" in told.stderr
    told = chainrule("evaluate", "runs/people", "people.csv", "--target", "city", "--drop", "x")
    assert told.exit_code == 2
