"""A history as lines: what is appended is read again, a line that a kill cut off is not, and damage is named."""

from __future__ import annotations

import json
import math
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.errors import FileError
from chainrule.loop import History
from chainrule.loop.history import MEASURES
from chainrule.loop.history_lines import (
    BY_ITERATION,
    HistoryLines,
    history_from_lines,
    is_lines,
    marks_of,
    rewind,
)
from conftest import examples

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


def of(iterations: int, *, epoch: int = 3, health: bool = True) -> History:
    """A history of so many iterations, measured and examined after each epoch."""
    history = History(settings={"seed": 0, "epochs": 2})
    for k in range(iterations):
        history.add_iterations([1 / (k + 1)], [0.1], k, k + 1)
        if (k + 1) % epoch == 0:
            history.add_measures({"train_loss": 0.5 + k, "test_accuracy": 0.25})
    if health:
        at = list(range(0, iterations + 1, epoch))
        measures = {"kind": "ReLU", "dead": [k / 100 for k in at], "update": [None, *[0.1] * (len(at) - 1)]}
        history.health = {"rows": 5, "iterations": at, "layers": {"relu": measures}, "parameters": {}}
    return history


def appended(parts: list[History], run: str = "0123abcd") -> bytes:
    lines, content = HistoryLines(run), b""
    for each in parts:
        content += lines.new(each)
        lines.written()
    return content


def same(a: History, b: History) -> bool:
    return repr(vars(a)) == repr(vars(b))  # NaN is NaN here


def test_going_back_over_and_over_takes_no_longer_than_reading() -> None:
    content = appended([of(2000, epoch=1)])
    marks = marks_of(of(2000, epoch=1))
    again = json.dumps({"from": 2000, "resumes": marks, **dict.fromkeys(BY_ITERATION, "")})
    begin = time.monotonic()
    history, _ = history_from_lines(content + f"{again}\n".encode() * 20_000)
    assert time.monotonic() - begin < 2
    assert same(history, of(2000, epoch=1))


def test_empty_lines_take_no_memory_and_are_counted() -> None:
    content = appended([of(2)]) + b"\n" * 30_000_000
    tracemalloc.start()
    try:
        assert same(history_from_lines(content)[0], of(2))
        with pytest.raises(FileError, match=r"damaged at line 30,?000,?003"):
            history_from_lines(content + b"{}")
        assert tracemalloc.get_traced_memory()[1] < 2 * len(content) + 5_000_000
    finally:
        tracemalloc.stop()


def test_what_is_appended_is_the_history() -> None:
    content = appended([of(0), of(4), of(4), of(11)])
    assert is_lines(content)
    assert content.count(b"\n") == 5
    history, run = history_from_lines(content)
    assert run == "0123abcd"
    assert same(history, of(11))


@st.composite
def histories(draw: Any) -> list[History]:
    """The states of a history at several times, each of which goes on from the last."""
    now, states = History(), []
    for _ in range(draw(st.integers(1, 5))):
        for _ in range(draw(st.integers(0, 4))):
            now.add_iterations([draw(NUMBERS)], [draw(NUMBERS)], 0.0, draw(st.floats(0, 1e9)))
        if draw(st.booleans()):
            now.add_measures({name: draw(NUMBERS) for name in MEASURES})
        if draw(st.booleans()):
            now.settings["seed"] = draw(st.integers() | st.text() | st.none())
        now.stopped = draw(st.sampled_from(["", "finished", "diverged: \n\u2028'"]))
        states.append(History.from_json(now.to_json()))
    return states


@settings(max_examples=examples(60), deadline=None)
@given(histories())
def test_any_history_in_any_steps(states: list[History]) -> None:
    assert same(history_from_lines(appended(states))[0], states[-1])


@settings(max_examples=examples(60), deadline=None)
@given(histories(), st.data())
def test_a_history_that_goes_on_from_before(states: list[History], data: Any) -> None:
    """A kill cuts the last line off anywhere; another process goes on from a state that was written before it."""
    *before, last = states
    whole = appended(before)
    torn = appended(states)[: data.draw(st.integers(len(whole), len(appended(states))))]
    if not before:
        return
    lines = HistoryLines("0123abcd", before[-1], resumes=True)
    history, _ = history_from_lines(torn + lines.new(last))
    if len(before[-1].loss) == 0:
        assert history.loss == last.loss or repr(history.loss) == repr(last.loss)
    else:
        kept = len(before[-1].measured_at)
        assert repr(history.loss) == repr(last.loss)
        assert history.measured_at[kept:] == last.measured_at[kept:] or len(last.loss) == len(before[-1].loss)


def test_a_last_line_cut_off_at_every_byte_is_not_read() -> None:
    before, whole = appended([of(5)]), appended([of(5), of(11)])
    for end in range(len(before), len(whole)):
        history, _ = history_from_lines(whole[:end])
        assert same(history, of(5) if end < len(whole) - 1 else of(11)), end
    for end in range(len(before)):
        try:
            history, _ = history_from_lines(whole[:end])
        except FileError:
            assert b"\n" not in whole[:end]
        else:
            assert same(history, History()) or end == len(before) - 1


def test_behind_a_line_that_was_cut_off_it_goes_on() -> None:
    done, longer = of(6), of(12)
    whole = appended([done, longer])
    start = len(appended([done]))
    for end in range(start, len(whole) + 1):
        lines = HistoryLines("0123abcd", of(6), resumes=True)
        history, _ = history_from_lines(whole[:end] + lines.new(longer))
        assert same(history, longer), end
    for iterations in (0, 3, 6):  # from an older checkpoint
        done = of(12)
        rewind(done, marks_of(of(iterations)))
        lines = HistoryLines("0123abcd", done, resumes=True)
        assert same(history_from_lines(whole + lines.new(of(9)))[0], of(9))


@pytest.mark.parametrize("iterations", [0, 1, 2, 3, 4, 6, 9])
def test_rewinding(iterations: int) -> None:
    history = of(9)
    history.stopped = "finished"
    rewind(history, marks_of(of(iterations)))
    assert same(history, of(iterations))
    with pytest.raises(ValueError, match="it goes back to"):
        rewind(history, marks_of(of(12)))


def damaged(change: Any) -> bytes:
    """Lines of which one is changed."""
    lines = appended([of(3), of(6), of(9)]).split(b"\n")
    part = json.loads(lines[2])
    change(part)
    lines[2] = json.dumps(part).encode()
    return b"\n".join(lines)


@pytest.mark.parametrize(
    "change",
    [
        lambda part: part.update({"from": 4}),
        lambda part: part.update({"from": -1, "resumes": [-1, 0, 0]}),
        lambda part: part.update({"from": 3, "resumes": [2, 0, 0]}),
        lambda part: part.update({"from": 99, "resumes": [99, 0, 0]}),
        lambda part: part.update({"from": "x" * 100_000}),
        lambda part: part.update({"from": True, "resumes": [1, 0, 0]}),
        lambda part: part.update({"resumes": True}),
        lambda part: part.update({"loss": "AAAA"}),
        lambda part: part.update({"loss": "?"}),
        lambda part: part.update({"loss": 5}),
        lambda part: part.update({"loss": ""}),
        lambda part: part.pop("seconds"),
        lambda part: part.update({"measures": []}),
        lambda part: part["measures"].update({"x" * 100_000: [1]}),
        lambda part: part["measures"].update({"train_loss": 1}),
        lambda part: part["measures"].update({"train_loss": ["x"]}),
        lambda part: part["measures"].update({"train_loss": "ab"}),
        lambda part: part.update({"health": 5}),
        lambda part: part["health"].update({"iterations": 5}),
        lambda part: part["health"]["layers"]["relu"].update({"dead": {}}),
        lambda part: part.update({"settings": 5}),
        lambda part: part.update({"stopped": 5}),
    ],
)
def test_a_damaged_line_is_named(change: Any) -> None:
    with pytest.raises(FileError, match=r"the history is damaged at (line 3|'\w+')") as caught:
        history_from_lines(damaged(change))
    assert len(str(caught.value)) < 300


def test_a_line_that_is_no_json_is_named_where_others_follow() -> None:
    lines = appended([of(3), of(6), of(9)]).split(b"\n")
    for wrong in (b"{", b"\xff", b"nothing", b"[" * 100_000):
        with pytest.raises(FileError, match="the history is damaged at line 3"):
            history_from_lines(b"\n".join([*lines[:2], wrong, *lines[3:]]))
    with pytest.raises(FileError, match="the history is damaged at line 3"):
        history_from_lines(b"\n".join([*lines[:2], b"[]", *lines[3:]]))


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"{}", b"[]", b"\xef\xbb\xbf{}", b'{"format": "chainrule history 3"}']
)
def test_what_is_no_history(content: bytes) -> None:
    with pytest.raises(FileError, match="this is no history"):
        history_from_lines(content)


def test_numbers_keep_all_their_bits() -> None:
    history = History(loss=[math.pi, 5e-324, -0.0, math.inf], learning_rate=[0.1] * 4, seconds=[1.0] * 4)
    assert same(history_from_lines(appended([history]))[0], history)
