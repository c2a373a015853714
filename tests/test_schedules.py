"""Schedules at points computed by hand, and the properties that hold for all of them."""

import math
import pickle
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import ArgumentError
from chainrule.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseSquareRoot,
    LinearWarmup,
    OneCycle,
    Schedule,
    Step,
    as_schedule,
)

ROOT = math.sqrt(0.5)

BY_HAND = [
    (Constant(0.3), 0, 10, 0.3),
    (Constant(0.3), 9, 10, 0.3),
    (Constant(0.0), 4, 10, 0.0),
    (Step(0.8, 0.5, every=3), 0, 10, 0.8),
    (Step(0.8, 0.5, every=3), 2, 10, 0.8),
    (Step(0.8, 0.5, every=3), 3, 10, 0.4),
    (Step(0.8, 0.5, every=3), 9, 10, 0.1),
    (Step(1.0, every=5), 5, 10, 0.1),
    (Exponential(2.0, 0.5), 0, 10, 2.0),
    (Exponential(2.0, 0.5), 1, 10, 1.0),
    (Exponential(2.0, 0.5), 4, 10, 0.125),
    (Exponential(1.0), 2, 10, 0.998001),
    (InverseSquareRoot(0.3), 0, 10, 0.3),
    (InverseSquareRoot(0.3), 90, 100, 0.15),
    (InverseSquareRoot(1.0, 1), 8, 10, 1 / 3),
    (InverseSquareRoot(1.0, 5), 5, 10, ROOT),
    (Cosine(1.0), 0, 8, 1.0),
    (Cosine(1.0), 2, 8, (1 + ROOT) / 2),
    (Cosine(1.0), 4, 8, 0.5),
    (Cosine(1.0), 6, 8, (1 - ROOT) / 2),
    (Cosine(0.9, 0.1), 4, 8, 0.5),
    (Cosine(0.9, 0.1), 8, 8, 0.1),
    (LinearWarmup(4, 1.0), 0, 10, 0.2),
    (LinearWarmup(4, 1.0), 3, 10, 0.8),
    (LinearWarmup(4, 1.0), 4, 10, 1.0),
    (LinearWarmup(4, 1.0), 9, 10, 1.0),
    (LinearWarmup(4, Cosine(1.0)), 3, 12, 0.8),
    (LinearWarmup(4, Cosine(1.0)), 4, 12, 1.0),
    (LinearWarmup(4, Cosine(1.0)), 8, 12, 0.5),
    (LinearWarmup(4, Cosine(1.0)), 12, 12, 0.0),
    (LinearWarmup(4, Step(1.0, 0.5, every=2)), 5, 10, 1.0),
    (LinearWarmup(4, Step(1.0, 0.5, every=2)), 6, 10, 0.5),
    (LinearWarmup(9, 1.0), 2, 3, 0.3),
    (OneCycle(1.0, 0.5), 0, 8, 0.04),
    (OneCycle(1.0, 0.5), 2, 8, 0.52),
    (OneCycle(1.0, 0.5), 4, 8, 1.0),
    (OneCycle(1.0, 0.5), 6, 8, (1 + 4e-6) / 2),
    (OneCycle(1.0, 0.5), 8, 8, 4e-6),
    (OneCycle(1.0), 3, 10, 1.0),
    (OneCycle(0.5, 0.25, start_divisor=5.0, final_divisor=2.0), 0, 4, 0.1),
    (OneCycle(0.5, 0.25, start_divisor=5.0, final_divisor=2.0), 1, 4, 0.5),
    (OneCycle(0.5, 0.25, start_divisor=5.0, final_divisor=2.0), 4, 4, 0.05),
]


@pytest.mark.parametrize(("schedule", "iteration", "total", "expected"), BY_HAND)
def test_value_by_hand(schedule: Schedule, iteration: int, total: int, expected: float) -> None:
    assert schedule(iteration, total) == pytest.approx(expected, rel=1e-14, abs=1e-16)


def test_every_schedule_has_a_case_by_hand() -> None:
    ours = {kind for kind in Schedule.__subclasses__() if kind.__module__ == Schedule.__module__}
    assert {type(case[0]) for case in BY_HAND} == ours


rates = st.floats(1e-6, 10)
simple = st.one_of(
    st.builds(Constant, rates),
    st.builds(Step, rates, st.floats(0.01, 1), every=st.integers(1, 50)),
    st.builds(Exponential, rates, st.floats(0.5, 1)),
    st.builds(InverseSquareRoot, rates, st.integers(1, 50)),
    st.builds(Cosine, rates, st.floats(0, 1e-6)),
    st.builds(OneCycle, rates, st.floats(0.05, 0.95)),
)
schedules = st.one_of(simple, st.builds(LinearWarmup, st.integers(1, 300), simple))
lengths = st.integers(1, 200)


def highest(schedule: Schedule) -> float:
    if isinstance(schedule, LinearWarmup):
        return highest(schedule.then)
    return schedule.arguments["peak" if isinstance(schedule, OneCycle) else "rate"]


@given(schedules, lengths)
def test_rates_lie_between_zero_and_the_highest(schedule: Schedule, total: int) -> None:
    for iteration in range(total + 1):
        assert 0 <= schedule(iteration, total) <= highest(schedule) * (1 + 1e-12)


@given(schedules, lengths, st.integers(0, 1000))
def test_after_the_end_the_rate_stays(schedule: Schedule, total: int, more: int) -> None:
    assert schedule(total + more, total) == schedule(total, total)


@given(schedules, lengths, st.integers(1, 500))
def test_needs_total_tells_the_truth(schedule: Schedule, iteration: int, more: int) -> None:
    same = schedule(iteration, iteration + 1) == schedule(iteration, iteration + 1 + more)
    assert same or schedule.needs_total


@pytest.mark.parametrize(
    ("schedule", "needs"),
    [
        (Constant(1.0), False),
        (Step(1.0, every=2), False),
        (Exponential(1.0), False),
        (LinearWarmup(3, 1.0), False),
        (Cosine(1.0), True),
        (OneCycle(1.0), True),
        (LinearWarmup(3, Cosine(1.0)), True),
    ],
)
def test_needs_total(schedule: Schedule, needs: bool) -> None:
    assert schedule.needs_total is needs


@given(st.sampled_from([Cosine(0.7), Exponential(0.7, 0.9), Step(0.7, every=4)]), lengths)
def test_decays_never_rise(schedule: Schedule, total: int) -> None:
    values = [schedule(iteration, total) for iteration in range(total + 1)]
    assert all(after <= before for before, after in pairwise(values))


@given(rates, st.floats(0, 1), lengths)
def test_ends_of_cosine_are_exact(rate: float, final: float, total: int) -> None:
    schedule = Cosine(rate, final)
    assert (schedule(0, total), schedule(total, total)) == (rate, final)


@given(rates, st.integers(2, 100))
def test_warmup_rises_evenly_and_meets_what_follows(rate: float, iterations: int) -> None:
    schedule = LinearWarmup(iterations, Cosine(rate))
    total = 10 * iterations
    values = [schedule(iteration, total) for iteration in range(iterations + 1)]
    steps = [after - before for before, after in pairwise(values)]
    assert values[0] > 0
    assert values[-1] == rate
    assert steps == pytest.approx([rate / (iterations + 1)] * iterations, rel=1e-9)


@given(rates, st.floats(0.1, 0.9), st.integers(100, 500))
def test_one_cycle_rises_then_falls_without_a_jump(peak: float, warmup: float, total: int) -> None:
    schedule = OneCycle(peak, warmup)
    values = [schedule(iteration, total) for iteration in range(total + 1)]
    top = values.index(max(values))
    assert all(after >= before * (1 - 1e-12) for before, after in pairwise(values[: top + 1]))
    assert all(after <= before * (1 + 1e-12) for before, after in pairwise(values[top:]))
    assert abs(top - warmup * total) <= 1
    assert values[0] == peak / 25
    assert values[-1] == pytest.approx(peak / 25e4, rel=1e-12)
    steepest = peak * math.pi / 2 / (min(warmup, 1 - warmup) * total)
    assert max(abs(a - b) for a, b in pairwise(values)) <= steepest


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-0.1), r"Constant: expected rate .* in \[0, inf\), got -0.1; try 0.01"),
        (lambda: Constant(math.nan), r"Constant: expected rate .* got nan"),
        (lambda: Constant(math.inf), r"Constant: expected rate .* got inf"),
        (lambda: Constant("fast"), r"Constant: expected rate .* got 'fast'"),
        (lambda: Constant(True), r"Constant: expected rate .* got True"),
        (lambda: Step(-1.0, every=3), r"Step: expected rate"),
        (lambda: Step(0.1, 0.0, every=3), r"Step: expected factor .* in \(0, 1\], got 0.0"),
        (lambda: Step(0.1, 1.5, every=3), r"Step: expected factor .* got 1.5"),
        (
            lambda: Step(0.1, every=0),
            r"Step: expected every .* whole number of at least 1, got 0; give iterat",
        ),
        (lambda: Step(0.1, every=2.5), r"Step: expected every .* whole number .* got 2.5"),
        (lambda: Step(0.1), r"Step: missing .*'every'"),
        (lambda: Exponential(-1.0), r"Exponential: expected rate"),
        (lambda: Exponential(0.1, 0), r"Exponential: expected decay .* try 0.999"),
        (lambda: Exponential(0.1, 1.01), r"Exponential: expected decay"),
        (lambda: Cosine(-1), r"Cosine: expected rate"),
        (lambda: Cosine(0.1, -0.1), r"Cosine: expected final"),
        (
            lambda: LinearWarmup(0, 0.1),
            r"LinearWarmup: expected iterations .* for none leave LinearWarmup out",
        ),
        (lambda: LinearWarmup(3, -0.1), r"LinearWarmup: expected then .* got -0.1"),
        (lambda: OneCycle(-1), r"OneCycle: expected peak"),
        (lambda: OneCycle(0.1, 1.0), r"OneCycle: expected warmup .* in \(0, 1\), got 1.0"),
        (lambda: OneCycle(0.1, 0.0), r"OneCycle: expected warmup"),
        (lambda: OneCycle(0.1, start_divisor=0.5), r"OneCycle: expected start_divisor"),
        (lambda: OneCycle(0.1, final_divisor=0), r"OneCycle: expected final_divisor"),
        (lambda: as_schedule(-1.0), r"as_schedule: expected value .* or a schedule such as Cosine"),
        (lambda: as_schedule(None), r"as_schedule: expected value .* got None"),
        (lambda: Constant(0.1)(-1, 10), r"expected iteration >= 0 and total >= 1, got -1 and 10; count"),
        (lambda: Cosine(0.1)(0, 0), r"expected iteration >= 0 and total >= 1, got 0 and 0; count"),
    ],
)
def test_bad_arguments(make, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_as_schedule() -> None:
    schedule = Cosine(0.1)
    assert as_schedule(schedule) is schedule
    assert repr(as_schedule(0.25)) == "Constant(rate=0.25)"
    assert as_schedule(1)(0, 5) == 1.0


def test_a_schedule_is_printed_copied_and_never_changed() -> None:
    schedule = LinearWarmup(5, Cosine(0.1, final=0.01))
    assert repr(schedule) == "LinearWarmup(iterations=5, then=Cosine(rate=0.1, final=0.01))"
    copy = pickle.loads(pickle.dumps(schedule))
    assert [copy(i, 20) for i in range(20)] == [schedule(i, 20) for i in range(20)]
    with pytest.raises(ArgumentError, match="iterations cannot be changed; make a new LinearWarmup"):
        schedule.iterations = 7


def test_schedules_made_alike_are_equal() -> None:
    assert Cosine(0.1) == Cosine(rate=0.1, final=0.0)
    assert LinearWarmup(5, Cosine(0.1)) == LinearWarmup(5, Cosine(0.1))
    assert len({Cosine(0.1), Cosine(0.1), Cosine(0.2), Constant(0.1), Exponential(0.1)}) == 4
    assert LinearWarmup(5, Cosine(0.1)) != LinearWarmup(5, Cosine(0.2))
