"""How a run stands by the record in its folder: that it still trains, or has stopped before its end."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from chainrule.reports.run import TrainingRun
from chainrule.reports.symptom import Advice, Symptom
from chainrule.text import counted


def not_ended(run: TrainingRun) -> Iterator[Symptom]:
    """The run is still training, or stopped before its end and can go on."""
    if run.standing is None or run.standing.how not in ("running", "killed", "interrupted"):
        return
    done = counted(len(run.loss), "iteration")
    if run.standing.how == "running":
        text = f"It is still training (process {run.standing.process}), {done} so far"
        yield Symptom("running", text, "this report again when it has ended", severity="note")
        return
    if run.standing.begun_in_python:
        force, resume = "force=True", f"cr.resume({str(run.folder)!r}, x, t)"
    else:
        force, resume = "--force", f"chainrule resume {shlex.quote(str(run.folder))}"
    kept = run.standing.resumes_at
    begins = (
        f"goes on from iteration {kept:,}" if kept else "begins at iteration 0, since no later one was kept"
    )
    again = f"training again from the start, with {force}: it has no checkpoint"
    advice = again if kept is None else Advice(f"{resume}, which {begins}", (resume,))
    yield Symptom("not ended", f"The training was {run.standing.how} after {done}", advice)


def before(run: TrainingRun) -> Iterator[Symptom]:
    """The run took the place of another by --force, and came to no end that replaces it."""
    if run.standing is None or not run.standing.before or run.standing.how == "running":
        return
    diverged = run.history.stopped.startswith("diverged")
    if run.standing.how == "ended" and not diverged:
        return  # it is making its report, and deletes them next
    places = ", ".join(map(str, run.standing.before))
    what = (
        "run that was here before is" if len(run.standing.before) == 1 else "runs that were here before are"
    )
    how = "diverged" if diverged or run.standing.how == "diverged" else f"was {run.standing.how}"
    text = f"The {what} kept in {places}, since the new one {how}"
    line = f"chainrule report {shlex.quote(str(run.standing.before[0]))}"
    yield Symptom("before", text, Advice(line, (line,)), severity="note")


RULES = (not_ended, before)
