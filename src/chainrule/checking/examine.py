"""The check of one target: run it, watch how it behaves, compare its gradients, name what is wrong."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.checking.behaviour import directional_error, watch, watch_other_values
from chainrule.checking.comparison import compare, upstream_for
from chainrule.checking.context import Check, typed
from chainrule.checking.diagnosis import name_mistakes
from chainrule.checking.probes import probe
from chainrule.checking.randomness import held
from chainrule.checking.reference import compare_forward, reference_of
from chainrule.checking.targets.target import Calls, Refused, Target, WrongCount, copies
from chainrule.errors import ChainruleError


def examine(target: Target, seed: int, dtype: str, reference: Callable[..., Any] | None = None) -> Check:
    """Check one target: all its differentiable inputs, against its own forward or that of a reference."""
    with np.errstate(all="ignore"):
        target = replace(target, draws=target.draws_by_contract or _draws(target, dtype))
        check = Check(target, seed, dtype)
        calls = _run(check)
        if calls is not None:
            watch(check, calls)
        if calls is None or check.random:
            for name in target.differentiable:
                check.row(name, "not checked")
            return check
        if reference is not None:
            check.reference = reference_of(check.target, reference, check.y.shape)
            compare_forward(check)
        compare(check)
        watch_other_values(check)
        name_mistakes(check)
        probe(check)
    return check


def _draws(target: Target, dtype: str) -> bool:
    """Whether the target draws random numbers: its results differ from call to call.

    They may differ, too, for what an earlier call left behind. Then they do with the same random numbers as well,
    and from new calls each time they don't.
    """
    if not _differ(target, dtype, 4):
        return False
    return not _differ(target, dtype, 4, held_each=True) or _differ(target, dtype, 4, new_each=True)


def _differ(target: Target, dtype: str, times: int, held_each: bool = False, new_each: bool = False) -> bool:
    """Whether results differ from call to call: of one object or new ones, with new random numbers or the same."""
    results = []
    try:
        with held(target.method, True):
            calls = target.start()
            for _ in range(times):
                calls = target.start() if new_each else calls
                with held(target.method, held_each):
                    results.append(np.array(calls.forward(copies(typed(target.values, dtype)))))
    except (Exception, SystemExit):  # the run that follows tells of it
        return False
    first = results[0]
    return first.dtype.kind in "fiub" and any(
        each.shape == first.shape and not np.array_equal(each, first, equal_nan=True) for each in results
    )


def _run(check: Check) -> Calls | None:
    """Forward and backward once, on copies. None where that fails; the finding says how."""
    calls = check.calls()
    try:
        y = calls.forward(copies(check.values))
    except (Exception, SystemExit) as error:
        _raised(check, error, "forward")
        return None
    if not _usable(check, y):
        return None
    check.y = np.array(y)  # a copy: the backward may write to what the forward returned
    check.dy = check.as_given(upstream_for(check.y, check.seed, check.dtype))
    if check.target.contract.without_upstream:
        check.dy = np.ones_like(check.dy)
    try:
        returned = calls.backward(check.dy.copy())
    except WrongCount as error:
        facts = {"expected": f"{error.expected} gradients", "came": str(error.came)}
        check.add("missing", facts=facts)
        return None
    except Refused as error:
        check.add(error.mistake, error.input, facts={**error.facts, "detail": f"{str(error).rstrip('.')}."})
        return None
    except (Exception, SystemExit) as error:
        _raised(check, error, "backward")
        return None
    check.returned = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in returned.items()}
    if check.target.contract.without_upstream and check.y.size > 1:
        _take_mean(check)
    if check.target.handwritten:  # whoever returns a gradient for answers means it
        meant = {n for n, v in check.returned.items() if getattr(v, "dtype", np.dtype(int)).kind == "f"}
        without = (check.target.without_gradient - meant) | check.target.straight_through
        check.target = replace(check.target, without_gradient=without)
    return calls


def _take_mean(check: Check) -> None:
    """A loss of each sample, whose backward is that of their mean, is checked as that."""
    mean = check.dy / check.y.size
    off = directional_error(check, check.values, mean, check.data, np.random.default_rng(check.seed))
    if off is not None and off < 1e-4:
        check.dy = mean
        said = f"backward of {check.target.name} is that of the mean of what forward returns."
        check.target = replace(check.target, remarks=(*check.target.remarks, said))


def _usable(check: Check, y: object) -> bool:
    """Whether an output can be compared: one array of real, finite numbers. The finding says why not."""
    several = isinstance(y, (tuple, list)) and any(isinstance(each, np.ndarray) for each in y)
    try:
        output = np.asarray(y)
        usable = output.dtype.kind in "fiub" and not several
    except (TypeError, ValueError):
        usable = False
    if not usable:
        came = f"it returned {type(y).__name__}"
        if several and isinstance(y, (tuple, list)):
            came = f"it returned {len(y)} arrays; return one at a time, or one made of them"
        if isinstance(y, np.ndarray):
            came += f" of {y.dtype}"
        detail = f"The forward must return an array of real numbers; {came}."
        check.add("raises", facts={"detail": detail})
        return False
    if not np.isfinite(output).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(output))[0])
        detail = f"The output is {output[place]} at {list(place)}, for the inputs given."
        check.add("not-finite", element=place, facts={"detail": detail})
        return False
    return True


def _raised(check: Check, error: BaseException, method: str) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [Path(__file__).parent, *_packages()]
    theirs = [frame for frame in frames if not any(each in Path(frame.filename).parents for each in ours)]
    source = f"{Path(theirs[-1].filename).name}:{theirs[-1].lineno}" if theirs else None
    try:
        said = str(error)
    except Exception:  # it cannot even say what it is
        said = ""
    message = said if isinstance(error, ChainruleError) else f"{type(error).__name__}: {said}"
    if "read-only" in said:
        mistake = "mutates-upstream" if method == "backward" else "mutates-input"
        check.add(mistake, source=source, facts={"detail": f"The {method} failed with {message}."})
        return
    check.add("raises", source=source, facts={"detail": f"The {method} raised {message.rstrip('.')}."})


def _packages() -> list[Path]:
    """Where PyTorch and JAX stand, if they are there: what raises in them is not the user's own line."""
    files = [getattr(sys.modules.get(name), "__file__", None) for name in ("torch", "jax")]
    return [Path(file).parent for file in files if file]
