"""`chainrule resume`: a training that was killed ends as if it had not been."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app
from chainrule.saving.locks import FileLock
from chainrule.saving.runs import RunFolder, record_of
from forks import finished

pytestmark = pytest.mark.usefixtures("without_curves")

KILLED = """
import json, os, signal, sys
from chainrule.cli import main
from chainrule.network.training import Training
from chainrule.saving.checkpoint import _Open

at, words = int(sys.argv[1]), json.loads(sys.argv[2])
keep, steps = _Open.keep, Training.steps

def keep_now(self, run, **more):
    keep(self, run, **more)
    self._wait()

def steps_or_kill(self, n):
    losses = steps(self, n)
    if self.iteration >= at:
        os.kill(os.getpid(), signal.SIGKILL)
    return losses

_Open.keep, Training.steps = keep_now, steps_or_kill
sys.argv = ["chainrule", *words]
main()
"""


@pytest.fixture(autouse=True)
def _tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = ["size,place,kind,price"]
    for k in range(120):
        size = "" if k % 11 == 0 else f"{rng.normal(50, 9):.2f}"
        place = "" if k % 13 == 0 else ["east", "west", "north"][k % 3]
        lines.append(f"{size},{place},{['old', 'new'][int(rng.integers(2))]},{1000 * rng.normal(9, 2):.1f}")
    Path("t.csv").write_text("\n".join(lines) + "\n")


def run(*words: Any, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def killed(at: int, *words: Any) -> None:
    """Run the command in a process of its own, which is killed after so many iterations."""
    words = tuple(map(str, words))
    status, out, err = finished(KILLED, str(at), json.dumps(words))
    assert (status, out) == (-9, ""), err


def content(folder: str, name: str) -> Any:
    """What a JSON file of a run holds, but for whose it is, and how long it took."""
    found = json.loads(Path(folder, name).read_text())
    return {key: value for key, value in found.items() if key not in ("run", "seconds")}


def printed(result: Any, folder: str) -> list[str]:
    """What a command printed, but for times."""
    text = result.stdout.replace(folder, "DIR")
    return re.sub(r"(time +)\S+ s|and is .*", r"\1", text).splitlines()


def same(whole: str, resumed: str) -> None:
    a, b = (cr.load(f"{each}/model.safetensors") for each in (whole, resumed))
    np.testing.assert_array_equal(a.params.flat, b.params.flat)
    assert (a.iterations, a.metadata, a.classes) == (b.iterations, b.metadata, b.classes)
    assert repr(a.preparation) == repr(b.preparation)
    first, second = (cr.History.load(f"{each}/history.jsonl") for each in (whole, resumed))
    assert len(first.seconds) == len(second.seconds)
    first.seconds = second.seconds = []
    assert first == second
    about, other = content(whole, "evaluation.json"), content(resumed, "evaluation.json")
    about["about"].pop("command"), other["about"].pop("command")
    assert about == other
    findings = [
        [finding.text for finding in cr.report(each).findings if "iterations a second" not in finding.text]
        for each in (whole, resumed)
    ]
    assert findings[0] == findings[1]
    assert sorted(os.listdir(whole)) == sorted(os.listdir(resumed))


CASES = {
    "digits": ("digits", "--epochs", 12, "--dropout", 0.2, "--early-stopping", 3),
    "classes": ("t.csv", "--target", "kind", "--epochs", 60, "--batch-size", 16, "--class-weights", "balanced"),
    "numbers": ("t.csv", "--target", "price", "--iterations", 200, "--batch-size", 32, "--no-check"),
    "drawn": ("t.csv", "--target", "price", "--epochs", 40, "--batch-size", 32, "--sampling", "replacement",
              "--optimizer", "momentum", "--schedule", "cosine", "--no-health", "--no-check"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_killed_training_ends_as_if_it_had_not_been(name: str) -> None:
    words = ("train", *CASES[name])
    whole = run(*words, "--out", "full", "--checkpoint-every", "never")
    killed(93, *words, "--out", "mine", "--checkpoint-every", 20)
    assert sorted(os.listdir("mine")) == ["checkpoint.safetensors", "history.jsonl", "run.json", "run.lock"]
    resumed = run("resume", "mine")
    assert printed(resumed, "mine") == printed(whole, "full")
    assert resumed.stderr == whole.stderr
    same("full", "mine")
    if Path("full/check.json").exists():
        assert content("full", "check.json") == content("mine", "check.json")
    again = run("resume", "mine")
    assert again.stdout == f"mine: the training has ended: {cr.History.load('mine/history.jsonl').stopped}\n"


def test_killed_again_and_the_table_moved() -> None:
    words = ("train", *CASES["numbers"])
    whole = run(*words, "--out", "full")
    killed(50, *words, "--out", "mine", "--checkpoint-every", 20)
    killed(130, "resume", "mine")
    assert record_of("mine").state == "running"  # type: ignore[union-attr]
    Path("elsewhere").mkdir()
    Path("t.csv").rename("elsewhere/new.csv")
    told = run("resume", "mine", code=2).stderr
    assert "there is no file t.csv" in told
    assert "chainrule resume mine FILE" in told
    Path("elsewhere/other.csv").write_text(Path("elsewhere/new.csv").read_text().replace("west", "east"))
    assert "the run was begun with other data" in run("resume", "mine", "elsewhere/other.csv", code=2).stderr
    resumed = run("resume", "mine", "elsewhere/new.csv")
    assert printed(resumed, "mine") == printed(whole, "full")
    same("full", "mine")


def test_a_training_that_diverges_after_it_was_resumed() -> None:
    words = (
        "train",
        "t.csv",
        "--target",
        "price",
        "--optimizer",
        "sgd",
        "--learning-rate",
        1e6,
        "--batch-size",
        10,
    )
    whole = run(*words, "--out", "full", code=1)
    assert "the loss became" in whole.stderr
    at = len(cr.History.load("full/history.jsonl").loss)
    killed(1, *words, "--out", "mine", "--checkpoint-every", 1)
    resumed = run("resume", "mine", code=1)
    assert resumed.stderr.replace(" of chainrule train", "") == whole.stderr
    assert len(cr.History.load("mine/history.jsonl").loss) == at
    assert "diverged" in run("resume", "mine").stdout


def test_what_cannot_go_on_says_why() -> None:
    assert "no folder" in run("resume", "none", code=2).stderr
    Path("empty").mkdir()
    assert "no run.json" in run("resume", "empty", code=2).stderr
    net = cr.Network(cr.Affine(2), input_shape=3, loss=cr.SoftmaxCrossEntropy(), seed=0)
    x, t = np.ones((8, 3)), np.zeros(8, int)
    with RunFolder.begin("python", {}) as folder:
        net.fit(x, t, iterations=2, batch_size=4, checkpoint=cr.Checkpoint(folder))
    assert "cr.resume" in run("resume", "python", code=2).stderr
    killed(1, "train", "digits", "--out", "never", "--checkpoint-every", 0, "--iterations", 20)
    assert "no checkpoint to go on from" in run("resume", "never", code=2).stderr
    lock = FileLock(Path("never/run.lock"))
    assert f"written by process {os.getpid()}" in run("resume", "never", code=2).stderr
    lock.release()


@pytest.mark.parametrize(
    "options",
    [
        None, [], {"epochs": "many"}, {"epochs": 1.5}, {"health": 1}, {"drop": [1]}, {"data": None},
        {"unknown": 1}, {"context": 1}, {"command": "x"}, {"learning_rate": True},
    ],
)  # fmt: skip
def test_damaged_settings_are_refused(options: Any) -> None:
    with RunFolder.begin("mine", {"command": "chainrule train digits", "options": options}) as folder:
        folder.interrupt("interrupted")
    assert "run.json" in run("resume", "mine", code=2).stderr


@pytest.mark.parametrize("text", ["-1", "fast", "5weeks", "1.5", ""])
def test_how_often_is_refused_before_anything_is_done(text: str) -> None:
    result = run("train", "digits", f"--checkpoint-every={text}", code=2)
    assert result.stderr.startswith("chainrule: --checkpoint-every: expected a number of iterations")
    assert os.listdir() == ["t.csv"]


def test_a_run_that_has_not_ended_is_named_before_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "checkpoint.safetensors").write_bytes(b"")
    done = CliRunner().invoke(app, ["train", "digits", "--out", "mine"])
    assert done.exit_code == 2
    assert (
        "go on with it, chainrule resume mine, choose another, or write into it with --force" in done.output
    )
