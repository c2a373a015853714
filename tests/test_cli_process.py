"""The program `chainrule` as a process: signals, streams and exit statuses."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule.cli.streams import Output
from forks import SIGNALS, started, usual_signals
from test_cli_train import FILES

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and streams as POSIX has them")

PYTHON = [sys.executable, "-W", "error", "-c"]
PROGRAM = [sys.executable, "-W", "error", "-m", "chainrule"]
TRAIN = ["train", "t.csv", "--target", "k", "--epochs", "2", "--no-check", "--out", "mine"]
TRAIN_DIGITS = ["train", "digits", "--epochs", "2", "--no-check", "--out", "mine"]
ASCII = {"PYTHONIOENCODING": "ascii"}
OLD_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(autouse=True)
def _a_table_with_letters_that_ascii_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = (f"{k},{k % 7},{'é' if k % 2 else 'ß²'}" for k in range(40))
    Path("t.csv").write_text("\n".join(["a,é,k", *rows]) + "\n", encoding="utf-8")


def start(command: list[str], before: Callable[[], Any] = usual_signals, **more: Any) -> Any:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    environment = {**os.environ, **streams.pop("env", {})}
    return subprocess.Popen(command, text=True, preexec_fn=before, env=environment, **streams)


def script(text: str, *words: str, **more: Any) -> Any:
    return started(textwrap.dedent(text), *words, **more)


def end_of(child: Any) -> tuple[int, str, str]:
    """The exit status, and what was printed. A traceback is always wrong, and so is half a file."""
    out, err = child.communicate(timeout=120)
    assert "Traceback" not in (err or ""), err
    assert not list(Path(".").rglob("*.part"))
    return child.returncode, out or "", err or ""


# Signals


TRAINING = """
import sys
from chainrule.cli import main
from chainrule.network.training import Training

steps = Training.steps

def steps_told(self, n):
    losses = steps(self, n)
    print("going", flush=True)
    Training.steps = steps
    return losses

Training.steps = steps_told
sys.argv = ["chainrule", "train", "digits", "--out", "mine", "--iterations", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupted_training_is_kept(number: signal.Signals) -> None:
    child = script(TRAINING, "10000000")
    assert child.stdout.readline() == "going\n"
    child.send_signal(number)
    status, out, err = end_of(child)
    assert (status, err) == (
        130,
        "chainrule: interrupted; chainrule resume mine goes on with the training\n",
    )
    assert "stopped: interrupted" in out
    assert "gradients  not checked: interrupted" in out
    assert sorted(os.listdir("mine")) == ["checkpoint.safetensors", *FILES]
    history = cr.History.load("mine/history.jsonl")
    assert history.stopped == "interrupted"
    assert cr.load("mine/model.safetensors").iterations == len(history.loss) >= 1


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    child = script(TRAINING, "300", "--no-check", before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert child.stdout.readline() == "going\n"
    child.send_signal(signal.SIGHUP)
    assert end_of(child)[0] == 0
    assert cr.History.load("mine/history.jsonl").stopped == "finished"


AT = """
import os, signal, sys
from chainrule.cli import main
import chainrule.cli.train as train

def interrupted(*arguments, **named):
    os.kill(os.getpid(), {number})
    return kept(*arguments, **named)

kept = {place}
{place} = interrupted
sys.argv = "chainrule train digits --epochs 2 --out mine".split()
main()
"""


KEPT = "the training has ended, and is kept"


@pytest.mark.parametrize(
    ("number", "place", "told", "files"),
    [
        (signal.SIGTERM, "train.load_for_training", "", None),
        (SIGNALS[-1], "train.keep_run", KEPT, FILES),
        (signal.SIGTERM, "train.compare_gradients", KEPT, FILES),
        (signal.SIGINT, "train.end_run", KEPT, [*FILES, "check.json"]),
    ],
)
def test_a_signal_between(number: signal.Signals, place: str, told: str, files: list[str] | None) -> None:
    status, out, err = end_of(script(AT.format(number=int(number), place=place)))
    assert (status, err) == (130, f"chainrule: {'; '.join(filter(None, ['interrupted', told]))}\n")
    assert (sorted(os.listdir("mine")) if Path("mine").exists() else None) == (files and sorted(files))
    if files:
        assert [line.split()[0] for line in out.splitlines()[-3:]] == ["curves", "graph", "report"]


SLOW = """
import sys, time

class Slow:
    def find_spec(self, name, *where):
        if name == "{name}":
            sys.meta_path.remove(self)
            print("importing", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Slow())
"""


@pytest.mark.parametrize(
    ("number", "name", "way"),
    [
        (signal.SIGINT, "numpy", "script"),
        (signal.SIGTERM, "numpy", "module"),
        (signal.SIGINT, "chainrule.network", "module"),
        (signal.SIGTERM, "chainrule.cli.app", "script"),
        (SIGNALS[-1], "typer.main", "module"),
    ],
)
def test_a_signal_during_the_imports(number: signal.Signals, name: str, way: str) -> None:
    Path("sitecustomize.py").write_text(SLOW.format(name=name))
    program = Path("chainrule")  # as pip writes it
    program.write_text("import sys\nfrom chainrule.cli import main\nsys.exit(main())\n")
    command = [sys.executable, str(program)] if way == "script" else PROGRAM
    child = start([*command, "train", "digits"], env={"PYTHONPATH": "."})
    assert child.stdout.readline() == "importing\n"
    child.send_signal(number)
    assert end_of(child) == (130, "", "chainrule: interrupted\n")


def test_a_program_that_uses_the_library_has_its_own_signals() -> None:
    text = """
    import signal, sys
    sys.argv[0] = "mine"
    import chainrule.cli
    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.getsignal(signal.SIGTERM))
    """
    assert end_of(script(text))[:2] == (0, "True 0\n")


def test_an_interrupt_where_python_can_raise_none() -> None:
    text = """
    import os, signal, sys, time, weakref
    from chainrule.cli import main
    import chainrule.cli.train as train

    class Gone:
        pass

    def load(*arguments, **named):
        gone = Gone()
        watched = weakref.ref(gone, lambda _: os.kill(os.getpid(), signal.SIGTERM))
        del gone
        time.sleep(60)

    train.load_for_training = load
    sys.argv = "chainrule train digits".split()
    main()
    """
    assert end_of(script(text)) == (130, "", "chainrule: interrupted\n")


def test_signals_at_random_moments() -> None:
    rng = random.Random(0)
    started = time.perf_counter()
    assert end_of(start([*PROGRAM, "train", "digits", "--epochs", "5", "--out", "0"]))[0] == 0
    life = time.perf_counter() - started
    for k in range(1, 4):
        child = start([*PROGRAM, "train", "digits", "--epochs", "5", "--out", str(k)])
        time.sleep(0.15 + rng.random() * life)  # Python itself is not ours to begin
        child.send_signal(rng.choice(SIGNALS))
        assert end_of(child)[0] in (0, 130)


# Streams


def test_a_reader_that_has_seen_enough_changes_nothing() -> None:
    for words, status in (
        (TRAIN, 0),
        (["--help"], 0),
        (["predict", "mine", "t.csv"], 0),
        (["check", "wrong.py:Twice", "--input", "4"], 1),
    ):
        Path("wrong.py").write_text(
            "class Twice:\n    def forward(self, x): return 2 * x\n    def backward(self, dy): return dy\n"
        )
        read, write = os.pipe()
        os.close(read)
        found = end_of(start([*PROGRAM, *words], stdout=write))
        os.close(write)
        assert (found[0], "Broken" in found[2]) == (status, False), (words, found)
    assert sorted(os.listdir("mine")) == FILES
    read, write = os.pipe()
    os.close(read)
    assert end_of(start([*PROGRAM, "evaluate", "mine", "none.csv"], stderr=write))[0] == 2
    os.close(write)


@pytest.mark.parametrize("closed", [(1,), (0, 1, 2)])
def test_closed_streams(closed: tuple[int, ...]) -> None:
    def close() -> None:
        for handle in closed:
            os.close(handle)

    status, out, _ = end_of(start([*PROGRAM, *TRAIN_DIGITS], before=close))
    assert (status, bool(out)) == (0, 1 not in closed)
    assert sorted(os.listdir("mine")) == FILES


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [TRAIN_DIGITS, ["--help"], ["--version"]], ids=["train", "help", "version"])
def test_a_full_disk(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        status, _, err = end_of(start([*PROGRAM, *words], stdout=full))
        assert (status, err) == (2, "chainrule: standard output: No space left on device\n")
        assert end_of(start([*PROGRAM, "train", "none.csv"], stderr=full))[0] == 2
    assert Path("mine/report.html").exists() == (words == TRAIN_DIGITS)


ALL = [
    ["--help"],
    ["train", "--help"],
    ["--version"],
    TRAIN,
    ["report", "mine"],
    ["evaluate", "mine", "t.csv"],
    ["summary", "mine"],
    ["draw", "mine", "t.csv", "--out", "g.svg"],
    ["check", "mine", "t.csv"],
]


@pytest.mark.parametrize("environment", [ASCII, OLD_LOCALE], ids=["ascii", "locale"])
def test_an_output_that_takes_ascii_only(environment: dict[str, str]) -> None:
    text = """
    import contextlib, json, sys
    from chainrule.cli import main

    for words in json.loads(sys.argv[1]):
        sys.argv = ["chainrule", *words]
        try:
            main()
        except SystemExit as ended:
            print(words, ended.code, file=sys.stderr)
    """
    refused = [["train", "é.csv"], ["évaluate"], ["evaluate", "mine", "t.csv", "--target", "ü"]]
    lost = ["predict", "mine", "t.csv"]
    status, out, err = end_of(
        start([*PYTHON, textwrap.dedent(text), json.dumps([*ALL, *refused, lost])], env=environment)
    )
    assert (status, (out + err).isascii()) == (0, True)
    statuses = [line.split()[-1] for line in err.splitlines() if line.startswith("[")]
    assert statuses == ["0"] * len(ALL) + ["2"] * (len(refused) + 1)
    assert "'a', '\\xe9'" in out
    assert "standard output is ascii, which lacks '\\xe9'; write into a file, --out FILE" in err


def test_a_file_whose_name_is_no_text() -> None:
    name = os.fsdecode(b"n\xff.csv")
    try:
        Path("t.csv").rename(name)
    except OSError:
        pytest.skip("this file system takes names that are text only")
    words = ["train", name, "--target", "k", "--epochs", "2", "--no-check"]
    status, out, err = end_of(start([*PROGRAM, *words], env=ASCII))
    assert (status, err) == (0, "")
    assert "runs/n\\udcff/report.html" in out
    assert end_of(start([*PROGRAM, "report", os.fsdecode(b"runs/n\xff")]))[0] == 0


def test_an_output_that_returns_where_it_would_wait() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    with open(write, "w") as file:
        output = Output(file, "standard output", may_fail=False)
        while file.buffer.raw.write(b"x" * 100_000) is not None:
            pass
        pid = os.fork()
        if pid == 0:
            time.sleep(0.2)
            os.read(read, 65536)
            os._exit(0)
        assert output.write(b"z" * 10) == 10
        os.waitpid(pid, 0)
        os.close(read)
        assert output.write(b"z" * 10) == 10  # nobody reads
