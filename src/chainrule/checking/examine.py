"""The check of one subject: run it, watch how it behaves, hold its gradients against slopes, name what is wrong."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.checking.behaviour import watch
from chainrule.checking.chance import held
from chainrule.checking.diagnosis import diagnose
from chainrule.checking.differences import (
    Compared,
    Differences,
    compare_elements,
    direction_agrees,
    directions,
    relative_error,
    ties_agree,
)
from chainrule.checking.evidence import Evidence, Settings, returned_array, upstream_for
from chainrule.checking.mistakes import advice_for
from chainrule.checking.probes import probe
from chainrule.checking.report import Finding, Row, Severity, Verdict
from chainrule.checking.subjects import LayerSubject, Returned, Session, Subject, WrongCount
from chainrule.errors import ChainruleError

#: Up to so many elements each one is compared, and up to so much work: elements times the numbers that one forward
#: reads and writes. Above, a sample of the elements is compared, and the slopes along some random directions.
EVERY_ELEMENT = 2000
WORK = 100_000_000
SAMPLED = 32
SAMPLED_WHEN_WRONG = 256
DIRECTIONS = 3


@dataclass
class Examination:
    """What is gathered about one subject while it is checked."""

    subject: Subject
    settings: Settings
    findings: list[Finding] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What else is worth knowing."""
        if not self.subject.draws:
            return self.subject.remarks
        drawn = (
            f"{self.subject.name} draws random numbers: every call drew the same ones, to be one function."
        )
        return (*self.subject.remarks, drawn)

    def add(self, mistake: str, input: str | None = None, **details: Any) -> None:
        """A finding, with its advice; `facts` among the details fill in the advice."""
        facts = {"node": self.subject.name, "input": input or "x", **details.pop("facts", {})}
        severity: Severity = details.pop("severity", "error")
        self.findings.append(
            Finding(
                mistake=mistake,
                node=self.subject.name,
                input=input,
                advice=advice_for(mistake, **facts),
                severity=severity,
                source=details.pop("source", self.subject.source),
                **details,
            )
        )

    def row(
        self, name: str, verdict: Verdict, checked: int = 0, along: int = 0, error: float | None = None
    ) -> None:
        """A line of the table."""
        value = self.subject.values[name]
        self.rows.append(
            Row(
                self.subject.name,
                self.subject.kind,
                name,
                value.shape,
                checked,
                value.size,
                along,
                error,
                verdict,
            )
        )


def examine(subject: Subject, settings: Settings) -> Examination:
    """Check one subject: all its differentiable inputs."""
    with np.errstate(all="ignore"):
        subject = replace(subject, draws=_draws(subject, settings))
        found = Examination(subject, settings)
        ran = _run(found)
        if ran is None:
            for name in subject.differentiable:
                found.row(name, "not checked")
            return found
        y, dy, returned, session = ran
        if subject.handwritten:  # whoever returns a gradient for answers means it
            meant = {n for n, v in returned.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"}
            subject = found.subject = replace(subject, without_gradient=subject.without_gradient - meant)
        behaviour = watch(subject, settings, y, dy, returned, session)
        for observed in behaviour.observed:
            found.add(**observed)
        if behaviour.random:
            found.add("random")
            for name in subject.differentiable:
                found.row(name, "not checked")
            return found
        evidence = Evidence(subject, settings, y, dy, returned, behaviour)
        _compare_all(found, evidence)
        probe(found, evidence)
    return found


def _draws(subject: Subject, settings: Settings) -> bool:
    """Whether the subject draws random numbers: a layer by its contract, all else when its results differ."""
    if isinstance(subject, LayerSubject) and subject.draws_by_contract:
        return True
    try:
        with held(subject.method, True):
            session = subject.start()
            results = [
                np.array(session.forward(copies(typed(subject.values, settings.dtype)))) for _ in range(4)
            ]
    except (Exception, SystemExit):  # the run that follows tells of it
        return False
    first = results[0]
    if first.dtype.kind not in "fiub":
        return False
    return any(
        each.shape == first.shape and not np.array_equal(each, first, equal_nan=True) for each in results
    )


def _run(found: Examination) -> tuple[Array, Array, Returned, Session] | None:
    """Forward and backward once, on copies. None where that fails; the finding says how."""
    subject = found.subject
    session = replace(subject, dtype=found.settings.dtype).start()
    values = typed(subject.values, found.settings.dtype)
    try:
        y = session.forward(copies(values))
    except (Exception, SystemExit) as error:
        _raised(found, error, "forward")
        return None
    several = isinstance(y, (tuple, list)) and any(isinstance(each, np.ndarray) for each in y)
    try:
        output = np.array(y)  # a copy: the backward may write to what the forward returned
        usable = output.dtype.kind in "fiub" and not several
    except (TypeError, ValueError):
        usable = False
    if not usable:
        came = f"it returned {type(y).__name__}"
        if several:
            came = f"it returned {len(y)} arrays; return one at a time, or one made of them"
        if isinstance(y, np.ndarray):
            came += f" of {y.dtype}"
        found.add("raises", facts={"detail": f"The forward must return an array of real numbers; {came}."})
        return None
    if not np.isfinite(output).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(output))[0])
        found.add(
            "not-finite",
            element=place,
            facts={"detail": f"The output is {output[place]} at {list(place)}, for the inputs given."},
        )
        return None
    wanted = np.dtype(found.settings.dtype)
    if is_float(output) and output.dtype.itemsize < wanted.itemsize:
        found.add(
            "dtype",
            facts={
                "detail": f"The forward returned {output.dtype} for inputs of {wanted}.",
                "came": str(output.dtype),
                "expected": str(wanted),
            },
        )
    dy = upstream_for(output, found.settings)
    try:
        returned = session.backward(dy.copy())
    except WrongCount as error:
        facts = {"expected": f"{error.expected} gradients", "came": str(error.came)}
        found.add("missing", facts=facts)
        return None
    except (Exception, SystemExit) as error:
        _raised(found, error, "backward")
        return None
    kept = {name: v.copy() if isinstance(v, np.ndarray) else v for name, v in returned.items()}
    return output, dy, kept, session


def _raised(found: Examination, error: BaseException, method: str) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    here = Path(__file__).parent
    theirs = [frame for frame in frames if Path(frame.filename).parent != here]
    source = f"{Path(theirs[-1].filename).name}:{theirs[-1].lineno}" if theirs else None
    try:
        said = str(error)
    except Exception:  # it cannot even say what it is
        said = ""
    message = said if isinstance(error, ChainruleError) else f"{type(error).__name__}: {said}"
    if "read-only" in said:
        found.add(
            "mutates-upstream" if method == "backward" else "mutates-input",
            source=source,
            facts={"detail": f"The {method} failed with {message}."},
        )
        return
    found.add("raises", source=source, facts={"detail": f"The {method} raised {message}."})


def copies(values: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays of their own."""
    return {name: value.copy() for name, value in values.items()}


def typed(values: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """The values with the floats among them in a dtype."""
    return {n: v.astype(dtype, copy=False) if is_float(v) else v for n, v in values.items()}


# Comparing -------------------------------------------------------------------------------------------------


def _compare_all(found: Examination, evidence: Evidence) -> None:
    subject = found.subject
    wrong: list[str] = []
    for name in subject.differentiable:
        value = subject.values[name]
        raw = evidence.returned.get(name)
        if raw is None:
            count = sum(evidence.returned.get(each) is not None for each in subject.differentiable)
            facts = {"expected": f"{len(subject.differentiable)} gradients", "came": str(count)}
            found.add("missing", name, facts=facts)
            found.row(name, "not checked")
            continue
        array, problem = returned_array(raw, value, subject.handwritten, found.settings.dtype)
        if problem is not None and problem.code == "dtype":
            found.add("dtype", name, facts={"came": problem.came, "expected": found.settings.dtype})
        elif problem is not None:
            evidence.misshapen[name] = problem
        if array is None:
            wrong.append(name)
            continue
        evidence.analytic[name] = array
        verdict, worst = _compare(found, evidence, name, array)
        if verdict == "wrong":
            wrong.append(name)
        elif verdict == "kink" and worst is not None:
            _report_kink(found, evidence, name)
    for name in wrong:
        _name_it(found, evidence, name)
    if any(each.severity == "error" and each.mistake != "unknown" for each in found.findings):
        detail = "It may follow from the other mistake that was found here: mend that first."
        found.findings[:] = [
            replace(
                each, advice=advice_for("unknown", node=each.node, input=each.input or "x", detail=detail)
            )
            if each.mistake == "unknown"
            else each
            for each in found.findings
        ]


def _compare(
    found: Examination, evidence: Evidence, name: str, analytic: Array
) -> tuple[Verdict, Compared | None]:
    """Compare one gradient; write its row."""
    settings, size = found.settings, analytic.size
    rng = np.random.default_rng([settings.seed, len(found.rows)])
    if size == 0:
        found.row(name, "ok")
        return "ok", None
    differences = evidence.differences
    along = 0
    chosen = np.arange(size)
    if size > SAMPLED and (size > EVERY_ELEMENT or size * evidence.work > WORK):
        tries = directions(analytic.shape, DIRECTIONS, rng)
        failing = None
        for direction in tries:
            along += 1
            if not direction_agrees(differences, name, analytic, direction, settings.dtype):
                failing = direction
                break
        chosen = _sample(analytic, SAMPLED if failing is None else SAMPLED_WHEN_WRONG, rng)
        if failing is not None:
            hidden = _bisect(differences, name, analytic, failing, settings.dtype)
            chosen = np.union1d(chosen, hidden)
    compared = compare_elements(differences, name, chosen, analytic, settings.dtype)
    evidence.compared[name] = compared
    disagreeing = [each for each in compared if not each.agrees]
    failed = [each for each in disagreeing if not each.kink]
    worst = max(failed or disagreeing or compared, key=_badness)
    kinks = [each for each in disagreeing if each.kink and each.is_defined]
    if len(kinks) > 1 and not failed and not ties_agree(differences, name, kinks, analytic, settings.dtype):
        for each in kinks:
            each.kink = False
        failed = kinks
    verdict: Verdict = "wrong" if failed else "kink" if kinks else "ok"
    if not any(each.is_defined for each in compared):
        verdict = "not checked"
    error = worst.error if failed else _largest_error(compared)
    found.row(name, verdict, len(compared), along, error)
    return verdict, worst


def _largest_error(compared: list[Compared]) -> float:
    """Of the elements that agree, the largest difference, relative to the largest gradient."""
    agreeing = [each for each in compared if each.agrees]
    size = max((abs(each.slope.value) for each in agreeing), default=0.0)
    off = max((abs(each.analytic - each.slope.value) for each in agreeing), default=0.0)
    return off / size if size else 0.0


def _badness(compared: Compared) -> float:
    difference = abs(compared.analytic - compared.slope.value)
    return difference if math.isfinite(difference) else math.inf


def _sample(analytic: Array, count: int, rng: np.random.Generator) -> Array:
    """Flat indices: half of them single ones, half of them in whole rows where these are not too long."""
    size = analytic.size
    single = rng.choice(size, min(count, size), replace=False)
    length = analytic.shape[-1] if analytic.ndim else 1
    if length > count // 2:
        return np.sort(single)
    rows = rng.choice(size // length, max(1, count // 2 // length), replace=False)
    whole = (rows[:, None] * length + np.arange(length)).ravel()
    return np.union1d(single[: count // 2], whole)


def _bisect(
    differences: Differences, name: str, analytic: Array, direction: Array, dtype: str, most: int = 4
) -> Array:
    """Flat indices where the gradient is off: a direction that disagrees is halved until one element is left."""
    found: list[int] = []
    waiting = [(0, direction.size)]
    tries = 0
    while waiting and len(found) < most and tries < 200:
        start, stop = waiting.pop()
        if stop - start == 1:
            found.append(start)
            continue
        middle = (start + stop) // 2
        for part in ((start, middle), (middle, stop)):
            tries += 1
            partial = np.zeros_like(direction)
            partial.reshape(-1)[part[0] : part[1]] = direction.reshape(-1)[part[0] : part[1]]
            if not direction_agrees(differences, name, analytic, partial, dtype):
                waiting.append(part)
    return np.array(found, dtype=np.intp)


def _report_kink(found: Examination, evidence: Evidence, name: str) -> None:
    kinks = [each for each in evidence.compared[name] if not each.agrees and each.is_defined]
    first = kinks[0]
    shape = found.subject.values[name].shape
    one = len(kinks) == 1
    found.add(
        "kink",
        name,
        element=tuple(int(i) for i in np.unravel_index(first.index, shape)),
        analytic=first.analytic,
        numerical=first.slope.value,
        error=first.error,
        severity="note",
        facts={"detail": f"{len(kinks)} element{' stands' if one else 's stand'} at such a place."},
    )


def _name_it(found: Examination, evidence: Evidence, name: str) -> None:
    """The finding for a gradient that is wrong: the worst element, and what the mistake probably is."""
    compared = [each for each in evidence.compared.get(name, []) if not each.agrees and not each.kink]
    details: dict[str, Any] = {}
    if compared:
        worst = max(compared, key=_badness)
        shape = found.subject.values[name].shape
        details = {
            "element": tuple(int(i) for i in np.unravel_index(worst.index, shape)),
            "analytic": worst.analytic,
            "numerical": worst.slope.value,
            "error": relative_error(worst.analytic, worst.slope.value),
        }
    else:
        found.row(name, "wrong")
    cut_off = any(each.mistake == "dtype" and each.input == name for each in found.findings)
    for diagnosis in diagnose(evidence, name):
        if diagnosis.code == "unknown" and cut_off:  # what was cut off with the dtype
            continue
        found.add(diagnosis.code, name, confidence=diagnosis.confidence, facts=diagnosis.facts, **details)
