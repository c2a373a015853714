"""The report of a run while it trains: what is served, to whom, and that it ends with the training."""

from __future__ import annotations

import html
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from browsing import needs_browser
from chainrule.errors import ArgumentError, FileError
from chainrule.loop import Callback, History
from chainrule.loop.history_lines import HistoryLines, HistoryTail
from chainrule.reports.live import growth, watch
from chainrule.reports.live.watching import watching
from chainrule.saving.runs import RunFolder

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(100, 4)), RNG.integers(0, 3, 100)


class Held(Callback):
    """Holds a training at an iteration until it is let go."""

    every_iteration = 1

    def __init__(self, at: int) -> None:
        self.at, self.there, self.go = at, threading.Event(), threading.Event()

    def on_iteration(self, run):
        if run.iteration == self.at:
            self.there.set()
            assert self.go.wait(60)


def training(folder: Path, held: Held, **given) -> threading.Thread:
    net = cr.Network(cr.Affine(3), input_shape=4, loss=cr.SoftmaxCrossEntropy(), seed=0)
    checkpoint = cr.Checkpoint(folder, every=5)

    def fit() -> None:
        net.fit(
            X, T, iterations=40, batch_size=10, callbacks=[cr.Health(), held], checkpoint=checkpoint, **given
        )

    thread = threading.Thread(target=fit)
    thread.start()
    return thread


def get(address: str, host: str = "") -> tuple[int, str]:
    request = urllib.request.Request(address, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def grown(address: str) -> dict:
    made: dict = json.loads(get(f"{address}growth")[1])
    return made


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(growth, "SECONDS", 0.0)
    monkeypatch.setattr(growth, "SHARE", 1e9)


def test_it_grows_with_the_training_and_ends_with_it(tmp_path, capsys):
    folder = tmp_path / "run"
    made = watch(folder)
    assert capsys.readouterr().out == f"watch the training at {made.address}\n"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", made.address)
    assert "has not begun" in get(made.address)[1]
    held = Held(23)
    thread = training(folder, held)
    assert held.there.wait(60)
    first = grown(made.address)
    (loss,) = [chart for chart in first["charts"] if chart["title"] == "Loss"]
    assert 15 <= loss["tables"][0]["x"][-1] <= 23
    assert "iterations so far" in first["body"]
    same = json.loads(get(f"{made.address}growth?version={first['version']}")[1])
    assert set(same) == {"version"}
    held.go.set()
    last: dict = {}
    while "over" not in last:  # a page that asks is waited for
        last = grown(made.address)
    thread.join()
    assert not last["has_page"]
    (loss,) = [chart for chart in last["charts"] if chart["title"] == "Loss"]
    assert loss["tables"][0]["x"][-1] == 40
    assert made.wait(20)
    with pytest.raises(OSError, match=r".*"):
        urllib.request.urlopen(made.address, timeout=5)


def test_only_this_machine_is_answered_and_only_by_its_name(tmp_path):
    with watching(tmp_path / "run") as made:
        port = int(made.address.rpartition(":")[2].strip("/"))
        for host, status in (("127.0.0.1", 200), ("localhost", 200), ("evil.example", 403), ("", 403)):
            name = f"{host}:{port}" if host else "127.0.0.1"
            assert get(made.address, name)[0] == status
        for place in ("../../etc/passwd", "history.jsonl", "growth/", "%2e%2e/", "graph.html"):
            assert get(made.address + place)[0] == 404
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", "/", b"x")
        assert connection.getresponse().status == 501
        assert json.loads(get(f"{made.address}growth?version=%00")[1])["charts"] == []
        page = html.unescape(get(made.address)[1])
        assert "default-src 'none'" in page
        assert "connect-src 'self'" in page
        assert made._server.server_address[0] == "127.0.0.1"


def test_a_run_that_has_ended_before_is_not_the_one_that_is_waited_for(tmp_path):
    held = Held(1)
    held.go.set()
    training(tmp_path / "run", held).join()
    with watching(tmp_path / "run") as made:
        assert not made.wait(1.2)
        page = get(made.address)[1]
        assert "has ended" in page
        assert "waits for the next training" in page


def test_the_report_that_is_written_a_moment_after_the_end_is_waited_for(tmp_path):
    folder, held = tmp_path / "run", Held(1)
    with watching(folder) as made:
        thread = training(folder, held)
        assert held.there.wait(60)
        (folder / "report.html").write_text("one of before")
        os.utime(folder / "report.html", (1, 1))
        held.go.set()
        thread.join()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            answer = grown(made.address)
            assert "over" not in answer
            assert " left" not in answer.get("body", "")
        (folder / "graph.html").write_text("the </script> network")
        assert get(f"{made.address}graph.html") == (200, "the </script> network")
        (folder / "report.html").write_text("the last one</body>")
        assert grown(made.address) == {"over": True, "has_page": True}
        page = get(made.address)[1]
        assert page.startswith("the last one<script ")
        assert "the \\u003c/script\\u003e network" in page
        assert made.wait(20)


def test_what_is_no_run_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match="expected a run folder, got the file"):
        watch(tmp_path / "file")
    with pytest.raises(ArgumentError, match=r"expected the folder of a run, .* got History"):
        watch(History())  # type: ignore[arg-type]


def test_a_damaged_history_is_no_trouble(tmp_path):
    held = Held(23)
    thread = training(tmp_path / "run", held)
    assert held.there.wait(60)
    with watching(tmp_path / "run") as made:
        with open(tmp_path / "run/history.jsonl", "ab") as file:
            file.write(b'{"from": 999999, "loss": "?"}\n{"cut off')
        assert get(made.address)[0] == 200
        assert get(f"{made.address}growth")[0] == 200
        held.go.set()
        thread.join()


def test_a_history_is_read_as_far_as_it_is_written(tmp_path):
    path = tmp_path / "history.jsonl"
    tail = HistoryTail(path)
    assert not tail.read()
    history = History(loss=[1.0, 2.0], learning_rate=[0.1, 0.1], seconds=[0.5, 1.0])
    lines = HistoryLines("a" * 8)
    first = lines.new(history)
    lines.written()
    history.add_iterations([3.0], [0.1], 1.0, 1.5)
    second = lines.new(history)
    path.write_bytes(first + second[:10])
    assert tail.read()
    assert (tail.history.loss, tail.run) == ([1.0, 2.0], "a" * 8)
    assert not tail.read()
    path.write_bytes(first + second)
    assert tail.read()
    assert tail.history.loss == [1.0, 2.0, 3.0]
    path.write_bytes(first)  # another run took its place
    assert tail.read()
    assert tail.history.loss == [1.0, 2.0]
    path.unlink()
    assert tail.read()
    assert tail.history.loss == []


def test_it_takes_no_more_than_its_share_of_the_time(tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "SHARE", 0.01)
    held = Held(23)
    thread = training(tmp_path / "run", held)
    assert held.there.wait(60)
    with watching(tmp_path / "run") as made:
        begun, versions = time.monotonic(), set()
        while time.monotonic() - begun < 1.0:
            with open(tmp_path / "run/history.jsonl", "ab") as file:
                file.write(b"\n")  # something new each time
            versions.add(grown(made.address)["version"])
        assert len(versions) <= 3  # each of which took some milliseconds
        held.go.set()
        thread.join()


def test_a_run_that_goes_on_is_the_one_that_is_waited_for(tmp_path):
    folder, held = tmp_path / "run", Held(1)
    held.go.set()
    training(folder, held).join()
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "state": "interrupted"}))
    with watching(folder) as made:
        assert "waits for the next training" in html.unescape(get(made.address)[1])
        with RunFolder.reopen(folder) as reopened:
            reopened.go_on()
            assert "This page waits" not in grown(made.address)["body"]
            reopened.interrupt("interrupted")
        assert made.wait(20)


HELD = """
import sys, time
from pathlib import Path
from chainrule.cli import main
from chainrule.network.training import Training

steps = Training.steps

def steps_slowly(self, n):
    if Path("held").exists():
        time.sleep(0.5)
    return steps(self, n)

Training.steps = steps_slowly
sys.argv[0] = "chainrule"
main()
"""


@needs_browser
@pytest.mark.parametrize("is_resumed", [False, True])
def test_train_watch_in_a_browser(browser, tmp_path, is_resumed):
    (tmp_path / "held").touch()
    program = [sys.executable, "-c", HELD]
    command = [*program, "train", "digits", "--iterations", "9000", "--batch-size", "20", "--no-check"]
    command += ["--watch", "--out", "run"]
    if is_resumed:
        held = [*command, "--checkpoint-every", "50"]
        held.remove("--watch")
        with subprocess.Popen(
            held, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path
        ) as first:
            while not (tmp_path / "run/checkpoint.safetensors").exists():
                time.sleep(0.05)
            first.send_signal(signal.SIGTERM)
        command = [*program, "resume", "run", "--watch"]
    with (
        browser.new_page(viewport={"width": 400, "height": 800}) as page,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process,
    ):
        assert process.stdout is not None
        found = re.fullmatch(r"watch +(http://127\.0\.0\.1:\d+/)\n", process.stdout.readline())
        assert found is not None
        troubles: list[str] = []
        page.on("console", lambda each: troubles.append(each.text) if each.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(found[1])
        page.locator(".chart canvas").first.wait_for(timeout=60_000)
        progress = page.locator(".card").first
        before = progress.inner_text()
        assert "of 9,000 iterations" in before
        page.wait_for_function(
            "(before) => document.querySelector('.card')?.innerText !== before", arg=before, timeout=60_000
        )
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        (tmp_path / "held").unlink()
        page.locator("#network").wait_for(timeout=120_000)  # the report that the training wrote at its end
        assert process.wait(60) == 0
        with pytest.raises(OSError, match=r".*"):
            urllib.request.urlopen(found[1], timeout=5)
        for link in page.locator(
            "#network a"
        ).all():  # the server is gone, and they lead to the network still
            with page.context.expect_page() as opened:
                link.click()
            opened.value.on("pageerror", lambda error: troubles.append(str(error)))
            opened.value.locator("#play").click()
            opened.value.locator("#panel").get_by_text("local").first.wait_for()
            opened.value.close()
        assert troubles == []
    assert (tmp_path / "run/report.html").exists()
    repeats = json.loads((tmp_path / "run/run.json").read_text())["settings"]
    assert "--watch" not in repeats["command"]
    assert "watch" not in repeats["options"]
