"""The right numbers in the wrong places: inputs exchanged, axes exchanged, a matrix transposed."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.diagnosis.case import Case, Diagnosis


def order(case: Case) -> Diagnosis | None:
    """The gradients of two inputs exchanged."""
    for other, analytic in case.check.analytic.items():
        if other == case.name or not case.fits(analytic):
            continue
        index, n, allowed = case.check.numerical(other)
        there = Case(case.check, other, analytic, index, n, allowed)
        if there.fits(case.analytic):
            return Diagnosis("order", 1.0, {"other": other})
    for axis, length in enumerate(case.analytic.shape):
        if length % 2 == 0 and case.fits(np.roll(case.analytic, length // 2, axis)):
            facts = {"input": f"one half of {case.name} along axis {axis}", "other": "the other half"}
            return Diagnosis("order", 0.95, facts)
    for other, raw in case.check.returned.items():
        unchecked = other != case.name and other not in case.check.analytic and isinstance(raw, np.ndarray)
        if unchecked and raw.dtype.kind == "f" and case.fits(raw.astype(np.float64)):
            return Diagnosis("order", 0.9, {"other": other})
    return None


def transposed(case: Case) -> Diagnosis | None:
    """Two axes exchanged."""
    a = case.analytic
    for axes in permutations(range(a.ndim)):
        if (
            axes != tuple(range(a.ndim))
            and a.ndim <= 4
            and case.fits(np.ascontiguousarray(a.transpose(axes)))
        ):
            return Diagnosis("transpose", 0.95)
    return None


def product_transposed(case: Case) -> Diagnosis | None:
    """A matrix product one of whose factors is transposed, or not, where the reverse belongs."""
    right, came = [], []
    for (p, p_name), (q, q_name) in permutations(_matrices(case), 2):
        for one, one_name in ((p, p_name), (p.T, f"{p_name}.T")):
            for two, two_name in ((q, q_name), (q.T, f"{q_name}.T")):
                if one.shape[1] != two.shape[0] or (one.shape[0], two.shape[1]) != case.analytic.shape:
                    continue
                product = one @ two
                if case.fits(product):
                    right.append((p_name, q_name, f"{one_name} @ {two_name}"))
                if case.is_it(product):
                    came.append((p_name, q_name, f"{one_name} @ {two_name}"))
    for p_name, q_name, belongs in right:
        for p_came, q_came, stands in came:
            if {p_name, q_name} == {p_came, q_came}:
                return Diagnosis("transpose", 1.0, {"came": stands, "expected": belongs})
    return None


def _matrices(case: Case) -> list[tuple[Array, str]]:
    found = [(np.asarray(case.check.dy, np.float64), "dy")]
    for name, value in case.check.target.values.items():
        if value.ndim == 2 and value.dtype.kind == "f":
            found.append((np.asarray(value, np.float64), name))
    return [(array, name) for array, name in found if array.ndim == 2 and array.size <= 100_000]


def transposed_weights(case: Case) -> Diagnosis | None:
    """Right when a square weight is transposed between forward and backward."""
    check = case.check
    for name, value in check.target.values.items():
        square = value.ndim == 2 and value.shape[0] == value.shape[1] and value.shape[0] > 1
        if not square or name not in check.target.parameters:
            continue
        calls = check.calls()
        values = {n: v.copy() for n, v in check.values.items()}
        calls.forward(values)
        calls.replace_parameter(name, np.ascontiguousarray(values[name].T))
        try:
            array = np.asarray(calls.backward(check.dy.copy()).get(case.name), np.float64)
        except Exception:  # it refuses
            continue
        if case.fits(array):
            return Diagnosis(
                "transpose", 0.95, {"detail": f"With {name}.T in the place of {name} it is right."}
            )
    return None
