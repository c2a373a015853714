"""The table of mistakes, the page that explains them, and the advice."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from chainrule.checking.mistakes import FACTS, MISTAKES, advice_for

PAGE = Path(__file__).parents[1] / "docs" / "mistakes.md"
TEXT = re.sub(r"^```.*?^```", "", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
KNOWN: dict[str, object] = {
    "input": "kernel",
    "node": "dense7",
    "factor": 0.25,
    "n": 4,
    "axis": 1,
    "expected": "(5,)",
    "came": "(6, 5)",
    "other": "slope",
    "detail": "It was seen twice.",
}


def test_every_mistake_has_a_section_and_the_reverse() -> None:
    assert re.findall(r"^### (.*)$", TEXT, flags=re.MULTILINE) == list(MISTAKES), (
        "the page has the table's order"
    )


def test_every_mistake_is_in_the_page_s_table() -> None:
    table = "\n".join(line for line in TEXT.splitlines() if line.startswith("|"))
    assert re.findall(r"\[([\w-]+)\]\(#\1\)", table) == list(MISTAKES)


def test_every_section_shows_the_mistake_found() -> None:
    sections = re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert len(sections) == len(MISTAKES)
    for section in sections:
        code = section.splitlines()[0]
        shown = re.findall(r"# -> (.*)$", section, flags=re.MULTILINE)
        assert any(f"'{code}'" in value for value in shown), code


@pytest.mark.parametrize("code", MISTAKES)
def test_a_mistake_is_described_in_plain_words(code: str) -> None:
    mistake = MISTAKES[code]
    assert mistake.code == code
    assert 0 < len(mistake.title.split()) <= 10
    assert mistake.title[-1] not in ".:"
    assert mistake.advice.endswith(".")


@pytest.mark.parametrize("code", MISTAKES)
def test_advice_without_facts_is_whole(code: str) -> None:
    advice = advice_for(code)
    assert advice.endswith(f". See docs/mistakes.md#{code}")
    assert not re.search(r"[{}]|None|  ", advice)
    assert advice == advice_for(code, **dict.fromkeys(FACTS))
    assert 10 <= len(advice.split()) <= 80


@pytest.mark.parametrize("code", MISTAKES)
def test_advice_with_facts_says_them(code: str) -> None:
    asked = set(re.findall(r"{(\w+):", MISTAKES[code].advice))
    assert asked <= FACTS.keys()
    advice = advice_for(code, **KNOWN)
    for name in asked:
        assert str(KNOWN[name]) in advice, name
    assert advice.endswith(f"It was seen twice. See docs/mistakes.md#{code}")
    assert not re.search(r"[{}]|  ", advice)


def test_the_facts_are_all_of_use_and_all_tested() -> None:
    asked = {name for mistake in MISTAKES.values() for name in re.findall(r"{(\w+):", mistake.advice)}
    assert asked | {"detail"} == FACTS.keys() == KNOWN.keys()


def test_numbers_are_short() -> None:
    assert "is 2 times" in advice_for("factor", factor=np.float64(2.0000000001))
    assert "is 0.3333 times" in advice_for("factor", factor=np.float32(1 / 3))
    assert "is 3 times" in advice_for("factor", factor=3)
    assert "is a constant times" in advice_for("factor", factor=float("nan"))
    assert "over axis 0." in advice_for("axis", axis=0)
    assert "over axis 2." in advice_for("axis", axis=(2,))
    assert "over axes (0, 2)." in advice_for("axis", axis=(0, 2))


def test_names_are_not_read_as_templates() -> None:
    assert "The gradient of {factor:x}{0} has" in advice_for("sign", input="{factor:x}{0}")


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(TypeError, match="unknown facts inputs; there are input, node"):
        advice_for("sign", inputs="x")
    with pytest.raises(KeyError, match="typo"):
        advice_for("typo")
