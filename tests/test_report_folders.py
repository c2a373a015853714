"""Reports of run folders: how the run stands, parts of other runs, files that contradict each other, odd files."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app
from chainrule.cli.models import load_model
from chainrule.errors import ChainruleError, ChainruleWarning, FileError
from chainrule.loop import History
from chainrule.reports import TrainingReport
from chainrule.saving import run_parts, runs
from chainrule.saving.container import pieces_of, read_container
from chainrule.saving.runs import RunFolder, RunRecord

pytestmark = pytest.mark.usefixtures("without_curves")

OLD = Path(__file__).parent / "models" / "version-0.6"


def run(*arguments: Any, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture(scope="module")
def trained(tmp_path_factory: Any) -> Path:
    """Two runs."""
    folder: Path = tmp_path_factory.mktemp("trained")
    for seed in (0, 1):
        options = ("--hidden", 4, "--epochs", 4, "--batch-size", 16, "--seed", seed)
        run("train", OLD / "leaves.csv", "--target", "kind", *options, "--out", folder / str(seed))
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: Any) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained / "0", tmp_path / "mine")
    return Path("mine")


def told(folder: Path) -> dict[str, str]:
    """The findings, by their codes. The page has them, too."""
    made = cr.report(folder)
    page = html.unescape(re.sub(r"<[^>]*>", "", made.html()))
    for each in made.findings:
        assert each.text in page
    for text in made.runs[0].missing:
        assert text in page
    return {each.code: str(each) for each in made.findings}


def stands(folder: Path, **change: Any) -> None:
    """Note another state of the run."""
    content = json.loads((folder / runs.RUN).read_text())
    (folder / runs.RUN).write_text(json.dumps({**content, **change}))


def becomes_checkpoint(folder: Path, iteration: Any = 7) -> None:
    """Let there be a checkpoint in place of the model."""
    metadata, tensors = read_container(folder / runs.MODEL)
    metadata.pop("checksums")
    metadata["training"] = json.dumps({"iteration": iteration})
    pieces = pieces_of({**tensors, "training/m": tensors["b1"]}, metadata)
    (folder / runs.CHECKPOINT).write_bytes(b"".join(pieces))
    for name in runs.OF_THE_END:
        (folder / name).unlink()


# How the run stands ----------------------------------------------------------------------------------------


def test_a_run_that_has_ended(folder: Path) -> None:
    assert set(told(folder)) <= {"unfinished"}
    assert cr.report(folder).runs[0].missing == ()


def test_a_run_that_was_killed_early_is_not_judged_by_its_first_update(folder: Path) -> None:
    """Before training there are no updates yet but the first, which Adam makes as large as its rate."""
    history = cr.History.load(folder / runs.HISTORY)
    one = cr.report(replace_health(history, [0])).findings
    two = cr.report(replace_health(history, [0, 6])).findings
    assert "large updates" not in [each.code for each in one]
    assert "large updates" in [each.code for each in two]


def replace_health(history: History, iterations: list[int]) -> History:
    ratios = [0.4 for _ in iterations]
    weights = {"W1": {"layer": "affine1", "norm": ratios, "update_ratio": ratios, "gradient_norm": ratios}}
    history.health = {"rows": 9, "iterations": iterations, "layers": {}, "parameters": weights}
    return history


def test_a_run_without_its_evaluation_keeps_its_command(folder: Path) -> None:
    """A killed run has none: its record says which command began it."""
    command = cr.report(folder).runs[0].about.command
    becomes_checkpoint(folder)
    assert not (folder / runs.EVALUATION).exists()
    page = html.unescape(cr.report(folder).html())
    assert command.startswith("chainrule train")
    assert cr.report(folder).runs[0].about.command == command
    assert command in page
    assert "no command that repeats" not in page


def test_a_run_that_was_killed(folder: Path) -> None:
    stands(folder, state="running", stopped="")
    (folder / runs.LOCK).write_text("123\n")
    again = "training again from the start, with --force: it has no checkpoint"
    assert told(folder)["not ended"] == f"The training was killed after 12 iterations. Try: {again}."
    becomes_checkpoint(folder)
    goes_on = "chainrule resume mine, which goes on from iteration 7"
    assert told(folder)["not ended"] == f"The training was killed after 12 iterations. Try: {goes_on}."
    lines = run("report", folder).stdout.splitlines()
    assert lines[0] == (
        "missing    model.safetensors is missing, so the report shows the model after 7 iterations, of a run that "
        "has not ended"
    )
    assert lines[1] == f"finding    The training was killed after 12 iterations. Try: {goes_on}."


def test_a_run_that_was_killed_before_its_second_checkpoint(folder: Path) -> None:
    stands(folder, state="running", stopped="")
    becomes_checkpoint(folder, 0)
    begins = "chainrule resume mine, which begins at iteration 0, since no later one was kept"
    assert told(folder)["not ended"] == f"The training was killed after 12 iterations. Try: {begins}."
    (folder / runs.CHECKPOINT).write_bytes(b"cut off")
    assert told(folder)["not ended"].endswith("it has no checkpoint.")


def test_a_run_that_was_begun_in_python_goes_on_there(folder: Path) -> None:
    stands(folder, state="running", stopped="", settings={"seed": 0})
    again = "training again from the start, with force=True: it has no checkpoint"
    assert told(folder)["not ended"] == f"The training was killed after 12 iterations. Try: {again}."
    becomes_checkpoint(folder)
    goes_on = "cr.resume('mine', x, t), which goes on from iteration 7"
    assert told(folder)["not ended"] == f"The training was killed after 12 iterations. Try: {goes_on}."


def test_the_page_of_a_folder_from_elsewhere_takes_the_place_of_a_link(folder: Path) -> None:
    Path("precious").write_text("mine")
    (folder / runs.REPORT).unlink()
    (folder / runs.REPORT).symlink_to(Path("precious").absolute())
    run("report", folder)
    assert Path("precious").read_text() == "mine"
    assert "</html>" in (folder / runs.REPORT).read_text(encoding="utf-8")


def test_a_run_that_was_interrupted(folder: Path) -> None:
    stands(folder, state="interrupted", stopped="interrupted")
    becomes_checkpoint(folder)
    goes_on = "chainrule resume mine, which goes on from iteration 7"
    assert told(folder)["not ended"] == f"The training was interrupted after 12 iterations. Try: {goes_on}."


def test_a_run_that_still_trains(folder: Path) -> None:
    code = (
        "import sys\nfrom chainrule.saving.runs import RunFolder\nrun = RunFolder.reopen('mine')\n"
        "run.go_on()\nprint(flush=True)\nsys.stdin.readline()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
        assert process.stdout is not None
        process.stdout.readline()
        text = f"It is still training (process {process.pid}), 12 iterations so far"
        assert told(folder)["running"].startswith(text)
        process.kill()
    assert "not ended" in told(folder)


def test_a_record_that_is_damaged(folder: Path) -> None:
    (folder / runs.RUN).write_text("{")
    assert cr.report(folder).runs[0].missing[0].startswith("run.json is damaged: ")
    assert cr.report(folder).runs[0].missing[0].endswith("so the report has nothing on how the run stands")
    assert run("evaluate", folder, OLD / "leaves.csv").exit_code == 0


@pytest.mark.parametrize("end", ["interrupted", "diverged: the loss is NaN", "killed"])
def test_the_run_of_before_is_told_of(folder: Path, end: str) -> None:
    with RunFolder.begin(folder, {}, force=True) as new:
        new.append_history(History(loss=[1.0], learning_rate=[0.1], seconds=[1.0], stopped=end))
        if end != "killed":
            (new.interrupt if end == "interrupted" else new.end)(end)
    place = f"mine/before-{new.id}"
    how = "diverged" if end.startswith("diverged") else f"was {end}"
    expected = f"The run that was here before is kept in {place}, since the new one {how}"
    assert told(folder)["before"] == f"{expected}. Try: chainrule report {place}."
    assert run("report", place).exit_code == 0
    for command in ("evaluate", "predict", "check"):
        assert run(command, place, OLD / "leaves.csv").exit_code == 0


def test_training_with_force_that_diverges_keeps_the_run_of_before(folder: Path) -> None:
    before = (folder / runs.MODEL).read_bytes()
    wild = ("--optimizer", "sgd", "--learning-rate", 1e30, "--epochs", 50)
    out = ("--out", folder, "--force", "--no-check")
    result = run("train", OLD / "leaves.csv", "--target", "kind", *wild, *out, code=1)
    place = next(folder.glob("before-*"))
    assert f"before     the run that was here is kept in {place}\n" in result.stdout
    assert (place / runs.MODEL).read_bytes() == before
    record = runs.record_of(folder)
    assert record is not None
    assert (record.state, record.stopped.partition(":")[0]) == ("ended", "diverged")
    assert f"is kept in {place}" in (folder / runs.REPORT).read_text()
    run("train", OLD / "leaves.csv", "--target", "kind", "--epochs", 1, *out)
    assert not list(folder.glob("before-*"))


WRONG = [
    (["nowhere.csv"], "nowhere.csv"),
    ([str(OLD / "leaves.csv"), "--target", "nothing"], "nothing"),
    (["digits", "--batch-size", "0"], "--batch-size"),
    (["digits", "--sampling", "odd"], "odd"),
    (["digits", "--epochs", "-1"], "--epochs"),
    (["digits", "--hidden", "x"], "--hidden"),
    (["digits", "--early-stopping", "-5"], "--early-stopping"),
]


@pytest.mark.parametrize(("arguments", "named"), WRONG)
def test_wrong_input_leaves_no_folder_and_touches_none(
    folder: Path, arguments: list[str], named: str
) -> None:
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    assert named in run("train", *arguments, "--out", "new/one", code=2).stderr
    assert not Path("new").exists()
    run("train", *arguments, "--out", folder, "--force", code=2)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_another_process_that_takes_the_name_first_is_in_no_ones_way(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    others: list[RunFolder] = []
    begin = RunFolder.begin

    def begin_late(path: Path, settings: Any, *, force: bool = False) -> RunFolder:
        if len(others) < 2:
            others.append(begin(path, {}))
        if len(others) == 2:
            others[1].end("finished")  # a name that is in use, and one that is taken
        return begin(path, settings, force=force)

    monkeypatch.setattr(RunFolder, "begin", begin_late)
    table = (OLD / "leaves.csv", "--target", "kind", "--epochs", 1, "--no-check")
    run("train", *table)
    assert sorted(os.listdir("runs")) == ["leaves", "leaves-2", "leaves-3"]
    assert (tmp_path / "runs" / "leaves-3" / runs.MODEL).exists()
    others.clear()
    assert "is being written by process" in run("train", *table, "--out", "named", code=2).stderr
    for each in others:
        each.close()


def test_train_notes_its_options(folder: Path, trained: Path) -> None:
    record = runs.record_of(folder)
    assert record is not None
    assert record.settings["command"].startswith("chainrule train /")
    options = record.settings["options"]
    assert (options["hidden"], options["epochs"], options["seed"], options["init"]) == ("4", 4, 0, None)
    assert options["out"] == str(trained / "0")
    assert (record.state, record.stopped) == ("ended", "finished")


def test_a_training_that_is_killed(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "chainrule", "train", "digits", "--epochs", "100000", "--out", "a"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60
        while not (tmp_path / "a" / runs.RUN).exists() and time.monotonic() < end:
            time.sleep(0.01)
        assert runs.is_alive("a")
        assert f"process {process.pid}" in run("train", "digits", "--out", "a", "--force", code=2).stderr
        process.send_signal(signal.SIGKILL)
    assert "not ended" in told(Path("a"))
    run("train", "digits", "--iterations", 1, "--out", "a", "--force", "--no-check")
    assert "not ended" not in told(Path("a"))


# Parts of other runs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [runs.MODEL, runs.HISTORY, runs.EVALUATION, runs.CHECK])
def test_a_part_of_another_run_is_recognised(folder: Path, trained: Path, name: str) -> None:
    shutil.copy(trained / "1" / name, folder / name)
    ids = [json.loads((each / runs.RUN).read_text())["id"] for each in (trained / "1", folder)]
    missing = cr.report(folder).runs[0].missing
    assert len(missing) == 1
    assert missing[0].startswith(
        f"{name} is of another run ({ids[0]}, and this is {ids[1]}), so the report has no"
    )
    assert f"missing    {name} is of another run" in run("report", folder).stdout


def test_without_a_record_parts_are_held_against_each_other(folder: Path, trained: Path) -> None:
    (folder / runs.RUN).unlink()
    assert cr.report(folder).runs[0].missing == ()
    shutil.copy(trained / "1" / runs.MODEL, folder / runs.MODEL)
    assert cr.report(folder).runs[0].missing[0].startswith("model.safetensors is of another run")


def test_a_part_without_an_id_belongs_to_the_run(folder: Path) -> None:
    cr.save(cr.load(folder / runs.MODEL), folder / runs.MODEL)
    assert cr.report(folder).runs[0].missing == ()


# Commands on folders of every kind -------------------------------------------------------------------------

COMMANDS = [
    ("evaluate", OLD / "leaves.csv"),
    ("predict", OLD / "leaves.csv"),
    ("summary",),
    ("draw", OLD / "leaves.csv", "--force"),
    ("check", OLD / "leaves.csv"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each[0])
def test_a_folder_of_version_06(command: tuple[Any, ...], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(OLD / "run", tmp_path / "old")
    told_of_it = run(command[0], "old", *command[1:]).output
    assert told_of_it == run(command[0], "old/model.safetensors", *command[1:]).output.replace(
        "old/model.safetensors", "old"
    )


def test_the_report_of_a_folder_of_version_06(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(OLD / "run", tmp_path / "old")
    made = cr.report("old")
    assert made.runs[0].missing == ()
    assert made.runs[0].history.test_accuracy == [
        0.6666666666666666,
        0.5833333333333334,
        0.6666666666666666,
        0.75,
    ]
    assert set(told(Path("old"))) <= {"unfinished"}
    assert "75.00 %" in made.html()
    assert "report     old/report.html" in run("report", "old").stdout
    run(
        "train",
        OLD / "leaves.csv",
        "--target",
        "kind",
        "--epochs",
        1,
        "--out",
        "old",
        "--force",
        "--no-check",
    )
    assert not (tmp_path / "old" / "history.json").exists()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each[0])
def test_a_folder_with_a_checkpoint_and_no_model(command: tuple[Any, ...], folder: Path) -> None:
    of_the_model = run(command[0], folder, *command[1:]).stdout
    becomes_checkpoint(folder)
    result = run(command[0], folder, *command[1:])
    note = "note: mine/checkpoint.safetensors is the model after 7 iterations, of a run that has not ended\n"
    assert result.stderr == note
    assert result.stdout == of_the_model
    becomes_checkpoint_again = folder / runs.CHECKPOINT
    assert run_parts.folder_of(becomes_checkpoint_again) == folder


# Files that contradict each other --------------------------------------------------------------------------


def edited(folder: Path, name: str, change: Callable[[Any], object]) -> str:
    """Change a JSON file; the history as that of version 0.6 is."""
    if name == runs.OLD_HISTORY:
        (folder / name).write_text(History.load(folder / runs.HISTORY).to_json())
        for each in (runs.HISTORY, runs.RUN):
            (folder / each).unlink()
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))
    return told(folder).get("contradiction", "")


OF_HISTORY = [
    (lambda c: c["seconds"].pop(), "12 losses, 12 learning rates and 11 times in the history"),
    (lambda c: c["measured_at"].__setitem__(-1, 13), "do not rise to at most 12, which were done"),
    (lambda c: c["measured_at"].__setitem__(-1, 9), "do not rise to at most 12, which were done"),
    (lambda c: c["measured_at"].__setitem__(0, -3), "do not rise to at most 12"),
    (lambda c: c["measured_at"].__setitem__(1, 10**400), "do not rise to at most 12"),
    (lambda c: c["measured_at"].__setitem__(1, float("nan")), "do not rise to at most 12"),
    (lambda c: c["test_accuracy"].pop(), "test_accuracy has 3 values for 4 measurements"),
    (lambda c: c["train_accuracy"].__setitem__(0, 1.5), "train_accuracy is not between 0 and 1"),
    (lambda c: c["test_accuracy"].__setitem__(-1, 0.01), "a test accuracy of 1.00 % in the history"),
    (lambda c: c["seconds"].__setitem__(5, 0.0), "its times go back"),
    (lambda c: c["health"]["iterations"].__setitem__(-1, 99), "the examinations do not rise"),
    (
        lambda c: c["health"]["layers"].update(odd={"kind": "x"}),
        "'odd' was examined, and is not in the model",
    ),
    (
        lambda c: c["settings"].update(samples=7),
        "trained on 7 samples by the history, on 48 by the evaluation",
    ),
]


@pytest.mark.parametrize(("change", "expected"), OF_HISTORY)
def test_a_history_that_contradicts(folder: Path, change: Any, expected: str) -> None:
    assert expected in edited(folder, runs.OLD_HISTORY, change)


OF_EVALUATION = [
    (lambda c: c["about"].update(parameters=28), "28 parameters in the evaluation, 27 in the model"),
    (lambda c: c["about"].update(test_samples=13), "answers for 12 samples, of 13 to test on"),
    (lambda c: c["answers"].update(classes=["a", "b", "<c>"]), "other classes in the evaluation"),
    (lambda c: c["answers"]["confusion"][0].__setitem__(0, 99), "to test on"),
    (lambda c: c["answers"]["unsure"][0]["probabilities"].__setitem__(0, 7), "probabilities that are not"),
]


@pytest.mark.parametrize(("change", "expected"), OF_EVALUATION)
def test_an_evaluation_that_contradicts(folder: Path, change: Any, expected: str) -> None:
    assert expected in edited(folder, runs.EVALUATION, change)


OF_CHECK = [
    (lambda c: c["rows"][0].pop("node"), "1 compared gradients in the check without names"),
    (lambda c: c["rows"][0].update(verdict="wrong"), "a check that passed, with 1 gradients that are wrong"),
]


@pytest.mark.parametrize(("change", "expected"), OF_CHECK)
def test_a_check_that_contradicts(folder: Path, change: Any, expected: str) -> None:
    assert expected in edited(folder, runs.CHECK, change)


def test_a_run_that_is_as_it_was_contradicts_nothing(folder: Path, trained: Path) -> None:
    assert edited(folder, runs.OLD_HISTORY, lambda content: None) == ""
    assert "contradiction" not in told(trained / "1")


# Odd files -------------------------------------------------------------------------------------------------

ODD: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "folder": Path.mkdir,
    "empty": Path.touch,
    "deep": lambda path: path.write_text("[" * 1_000_000),
    "deep object": lambda path: path.write_text('{"a":' * 1_000_000),
    "number": lambda path: path.write_text('{"run": ' + "1" * 10_000_000 + "}"),
    "UTF-16": lambda path: path.write_text("{}", encoding="utf-16"),
    "byte order mark": lambda path: path.write_text("\ufeff{}", encoding="utf-8"),
    "Latin-1": lambda path: path.write_text('{"é": 1}', encoding="latin-1"),
    "twice": lambda path: path.write_text('{"run": "a", "run": "b"}'),
    "id": lambda path: path.write_text('{"run": ["a"]}'),
}


@pytest.mark.parametrize("name", [runs.RUN, runs.HISTORY, runs.EVALUATION, runs.CHECK, runs.MODEL])
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_file_is_named(folder: Path, name: str, odd: str) -> None:
    (folder / name).unlink()
    ODD[odd](folder / name)
    begin = time.process_time()
    made = cr.report(folder)
    assert any(name in each for each in made.runs[0].missing), made.runs[0].missing
    assert all(len(each) < 500 for each in made.runs[0].missing)
    assert len(TrainingReport(made.runs).html()) > 10_000
    assert time.process_time() - begin < 3


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    with open(folder / runs.CHECK, "r+b") as file:
        file.truncate(1 << 34)
    assert "could not read check.json: it has more than" in cr.report(folder).runs[0].missing[0]


def test_a_file_of_many_names_is_read_at_once(folder: Path) -> None:
    names = [f'"{k}": 0' for k in range(20_000)]
    (folder / runs.EVALUATION).write_text("{" + ", ".join([*names, '"19999": 0']) + "}")
    begin = time.monotonic()
    with pytest.raises(FileError, match="'19999' stands twice in it"):
        run_parts.read_json(folder / runs.EVALUATION)
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("odd", ["pipe", "device", "folder", "link to nothing"])
def test_odd_histories_are_refused_elsewhere_too(folder: Path, odd: str) -> None:
    (folder / runs.HISTORY).unlink()
    ODD[odd](folder / runs.HISTORY)
    with pytest.raises(FileError, match="could not read"):
        History.load(folder / runs.HISTORY)


def test_an_unfinished_model_of_odd_metadata(folder: Path) -> None:
    becomes_checkpoint(folder, iteration="many")
    with pytest.warns(ChainruleWarning, match="the model after some iterations"):
        load_model(folder)
    with pytest.raises(ChainruleError):
        run_parts.read_json(folder / "nothing.json")
    assert RunRecord("a", "running").settings == {}
