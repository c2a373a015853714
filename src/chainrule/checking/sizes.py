"""Other sizes of the inputs: axes of one length get another, in all inputs that share it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.arguments import whole_number
from chainrule.checking.report import CheckReport
from chainrule.errors import ArgumentError, ChainruleError

Check = Callable[[Sequence[Any]], CheckReport]
Sizes = bool | Sequence[int] | Mapping[int, Sequence[int]] | None
"""True for sizes that a kernel may have forgotten; lengths in the place of each axis' own; or by its own length."""


def resized(inputs: Sequence[Any], sizes: Sizes) -> Iterator[tuple[int, int, list[Any]]]:
    """The inputs with each other size: (the length that was, the length that is, the inputs).

    Arrays, tensors and JAX arrays are cut, or repeated from their beginning.
    """
    lengths = sorted({length for each in inputs for length in getattr(each, "shape", ()) if length > 1})
    for length, others in _wanted(sizes, lengths).items():
        for other in others:
            if other != length:
                yield length, other, [_with_length(each, length, other) for each in inputs]


def check_sizes(report: CheckReport, inputs: Sequence[Any], sizes: Sizes, check: Check) -> CheckReport:
    """A report with the mistakes found at other sizes too, by `check` of other inputs; each is reported once."""
    findings, rows, remarks = list(report.findings), list(report.rows), list(report.remarks)
    refused, uncompared = [], list(report.uncompared)
    for length, other, some in resized(inputs, sizes):
        label = f"{report.target}, {other} for {length}"
        try:
            found = check(some)
        except ChainruleError as error:
            refused.append(f"{other} for {length} ({error})")
            continue
        if any(each.mistake == "raises" and "The forward raised" in each.advice for each in found.findings):
            refused.append(f"{other} for {length}")
            continue
        known = {(each.mistake, each.input) for each in findings}
        findings += [replace(e, node=label) for e in found.findings if (e.mistake, e.input) not in known]
        uncompared += [name for name in found.uncompared if name not in uncompared]
        rows += [replace(row, node=label) for row in found.rows]
    if refused:
        remarks.append(
            f"It does not take all sizes of the inputs, and was not checked with {', '.join(refused)}."
        )
    if refused and sizes is not True:  # somebody asked for them
        uncompared += [text.split(" (")[0] for text in refused]
    report = replace(report, uncompared=tuple(uncompared))
    return replace(report, findings=tuple(findings), rows=tuple(rows), remarks=tuple(remarks))


def _wanted(sizes: Sizes, lengths: Sequence[int]) -> dict[int, list[int]]:
    if sizes is None or sizes is False:
        return {}
    if not lengths:
        raise ArgumentError("check: sizes=... goes with inputs that are given and have axes")
    if sizes is True:
        return {
            length: list(dict.fromkeys([1, length - 1, length + 1, _prime_above(length)]))
            for length in lengths
        }
    if isinstance(sizes, (str, int)):
        raise ArgumentError(f"check: sizes: expected True, [1, 7, 33] or {{64: [63, 65]}}, got {sizes!r}")
    if not isinstance(sizes, Mapping):
        return {length: _checked(sizes) for length in lengths}
    for length in sizes:
        if length not in lengths:
            have = ", ".join(map(str, lengths)) or "none"
            raise ArgumentError(
                f"check: sizes: no axis of the inputs has length {length!r}; they have {have}"
            )
    return {length: _checked(others) for length, others in sizes.items()}


def _checked(lengths: Sequence[int]) -> list[int]:
    if not isinstance(lengths, Sequence) or isinstance(lengths, str):
        raise ArgumentError(f"check: sizes: expected a list of lengths, got {lengths!r}")
    return [whole_number("sizes", each, at_least=1) for each in lengths]


def _prime_above(length: int) -> int:
    """The next prime after one and a half times the length: more than one block, and no multiple of one."""
    candidate = length + length // 2 + 1
    while any(candidate % k == 0 for k in range(2, int(candidate**0.5) + 1)):
        candidate += 1
    return candidate


def _with_length(thing: Any, length: int, other: int) -> Any:
    shape = getattr(thing, "shape", ())
    if length not in shape:
        return copy.copy(thing)
    for axis, own in enumerate(shape):
        if own == length:
            index = tuple([slice(None)] * axis + [np.arange(other) % length])
            thing = thing[index]
    return thing
