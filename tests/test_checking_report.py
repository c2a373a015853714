"""A report: as text, in a terminal, in a notebook and as JSON, whatever the names in it are."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import asdict, replace
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from chainrule.checking.mistakes import MISTAKES, advice_for
from chainrule.checking.rendering import ROWS_SHOWN, WIDTH
from chainrule.checking.report import CheckReport, Finding, Row

OK = Row("affine1", "Affine(units=3)", "x", (4, 3), 12, 12, 0, 2.3e-10, "ok")
WRONG = Row("affine1", "Affine(units=3)", "W1", (784, 50), 256, 39_200, 3, 2.0, "wrong")
SIGN = Finding(
    "sign",
    "affine1",
    advice_for("sign", input="W1"),
    input="W1",
    element=(0, 3),
    analytic=0.25,
    numerical=-0.25,
    error=2.0,
    source="layers.py:12",
)
KINK = Finding("kink", "relu1", advice_for("kink", input="x"), input="x", element=(), severity="note")
ALIAS = Finding("aliases-upstream", "add1", advice_for("aliases-upstream"), severity="warning")

EMPTY = CheckReport("Nothing()", (), (), 0.0, 0, "float64")
PASSING = CheckReport("ReLU()", (KINK,), (OK,), 0.1, 0, "float64")
FAILING = CheckReport("Network", (SIGN, ALIAS, KINK), (OK, WRONG), 0.2, 1, "float32")

HOSTILE = [
    "[red]alarm[/red]",
    "[/]",
    "[link=https://example.org]here[/link]",
    ":smile:",
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "&lt;b&gt;",
    "</div></table>",
    "全连接层",
    "🎉👩‍🔬",
    "naïve e\u0301",
    "a name " * 30,
    "x" * 300,
    "",
]
OBEYED = {
    "\x1b[31mred\x1b[0m": "\\x1b[31mred\\x1b[0m",
    "\x1b]8;;https://example.org\x07here": "\\x1b]8;;https://example.org\\x07here",
    "one\r\ntwo\tthree": "one\\r\\ntwo\\tthree",
    "bell\x07 and back\x08": "bell\\x07 and back\\x08",
    "\x9b2J": "\\x9b2J",
    "\u202egnirts": "\\u202egnirts",
    "zero\u200bwidth\ufeff": "zero\\u200bwidth\\ufeff",
    "line\u2028separator": "line\\u2028separator",
    "\ud800": "\\ud800",
    "nul\x00": "nul\\x00",
}


def named(name: str) -> CheckReport:
    """A failing report in which everything that may be named has this name."""
    finding = replace(SIGN, mistake=name, node=name, input=name, source=name, advice=name)
    return CheckReport(
        name,
        (finding, replace(KINK, node=name)),
        (replace(OK, node=name, kind=name, input=name),),
        0.1,
        0,
        name,
    )


class Page(HTMLParser):
    """What a browser makes of it: the tags, their attributes, and the text in each table cell and outside."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.cells: list[str] = []
        self.text = ""
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "br":
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self.open:
            self.cells[-1] += data


def squeezed(text: str) -> str:
    """The text without blanks and line ends, since long names are folded."""
    return re.sub(r"\s", "", text)


def in_a_terminal(report: CheckReport, width: int = 100, **options: Any) -> str:
    console = Console(file=StringIO(), width=width, legacy_windows=False, **options)
    with console.capture() as captured:
        console.print(report)
    return captured.get()


@pytest.mark.parametrize("report", [EMPTY, PASSING, FAILING])
def test_every_report_renders(report: CheckReport) -> None:
    last = str(report).splitlines()[-1]
    assert last == report.summary()
    assert ("passed" in last) == report.passed
    assert in_a_terminal(report).split() == str(report).split()
    assert report.summary() in Page(report._repr_html_()).text
    for text in (str(report), in_a_terminal(report), report._repr_html_()):
        assert ("gradient of" in text) == bool(report.rows)


def test_a_failing_report_as_text() -> None:
    assert str(FAILING) == (
        "node     kind             gradient of  shape      compared                     error  verdict\n"
        "---------------------------------------------------------------------------------------------\n"
        "affine1  Affine(units=3)  x            (4, 3)     all 12                       2e-10  ok\n"
        "affine1  Affine(units=3)  W1           (784, 50)  256 of 39,200, 3 directions      2  wrong\n"
        "\n"
        "sign in affine1, W1[0, 3]: the gradient is negated\n"
        "    backward gives 0.25, differences give -0.25, relative error 2\n"
        "    The gradient of W1 has the right size and the wrong sign: multiply it by -1. For y = a - b, say,\n"
        "    db = -dy. See docs/mistakes.md#sign\n"
        "    layers.py:12\n"
        "\n"
        "aliases-upstream (warning) in add1: backward returns the very array dy\n"
        "    The gradient of this input is the very array dy, not a new one: what is done to the one in place\n"
        "    is done to the other. Return dy.copy(). See docs/mistakes.md#aliases-upstream\n"
        "\n"
        "kink (note) in relu1, x: not differentiable here\n"
        "    The function has a corner at this value of x: the slopes on the two sides differ, so there is no\n"
        "    derivative to compare with. Any number between the two will do; this is no failure. See\n"
        "    docs/mistakes.md#kink\n"
        "\n"
        "Network: failed: sign, aliases-upstream; 2 gradients compared; 1 note"
    )


def test_the_notebook_shows_what_the_text_shows() -> None:
    page = Page(FAILING._repr_html_())
    assert page.cells[:7] == ["affine1", "Affine(units=3)", "x", "(4, 3)", "all 12", "2e-10", "ok"]
    assert page.cells[11:] == ["256 of 39,200, 3 directions", "2", "wrong"]
    told = [line.strip() for line in str(FAILING).split("\n\n", 1)[1].splitlines()]
    assert squeezed("".join(told)) in squeezed(page.text)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_as_text(name: str) -> None:
    report = named(name)
    for text in (str(report), in_a_terminal(report, 60), in_a_terminal(report, 250)):
        assert squeezed(report.summary()) in squeezed(text)
        assert squeezed(f"{report.findings[0].place}") in squeezed(text)
    assert squeezed(text).count(squeezed(name[:10])) >= 8
    page = Page(report._repr_html_())
    assert page.cells[0] == page.cells[2] == name
    assert set(page.tags) <= {"div", "table", "thead", "tbody", "tr", "th", "td", "b", "br"}
    assert page.attributes == {"style", "class"}
    assert report.summary() in page.text


@pytest.mark.parametrize("name", OBEYED)
def test_control_characters_are_shown_as_escapes(name: str) -> None:
    report, obeyed = named(name), set(name) - set(OBEYED[name]) - {"\n"}
    page = Page(report._repr_html_())
    for text in (str(report), in_a_terminal(report), report._repr_html_()):
        assert not obeyed & set(text)
        text.encode("utf-8")
    assert squeezed(OBEYED[name]) in squeezed(str(report))
    assert page.cells[0] == page.cells[2] == OBEYED[name]


@pytest.mark.parametrize("name", [*HOSTILE, *OBEYED])
def test_no_line_is_longer_than_the_width(name: str) -> None:
    lines = str(named(name)).splitlines()
    assert max(cell_len(line) for line in lines) <= WIDTH
    assert all(line == line.rstrip() for line in lines)


def test_what_an_error_says_keeps_its_lines() -> None:
    finding = replace(SIGN, advice="first line\n\tsecond [bold]line[/bold] \x1b[2J\nthird")
    report = replace(FAILING, findings=(finding,))
    assert "    first line\n        second [bold]line[/bold] \\x1b[2J\n    third\n" in str(report)
    assert "first line<br>    second [bold]line[/bold] \\x1b[2J<br>third" in report._repr_html_()


def test_the_text_has_no_colours_and_the_terminal_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in str(FAILING)
    assert str(FAILING).splitlines()[0].endswith("verdict")
    colourful = in_a_terminal(FAILING, force_terminal=True, color_system="standard")
    assert "\x1b[1;31msign\x1b[0m" in colourful


def test_long_reports_are_cut_and_no_wrong_row_is() -> None:
    ok = [replace(OK, node=f"ok{k}", error=k * 1e-12) for k in range(1000)]
    wrong = [replace(WRONG, node=f"wrong{k}") for k in range(40)]
    rows = [*ok[:500], *wrong, *ok[500:], replace(OK, node="bend", verdict="kink")]
    report = replace(FAILING, rows=tuple(rows))
    html = Page(report._repr_html_())
    for text in (str(report), in_a_terminal(report)):
        first = re.findall(r"^(ok\d+|wrong\d+|bend) ", text, flags=re.MULTILINE)
        assert first == html.cells[::7]
        assert first == [f"ok{k}" for k in range(ROWS_SHOWN)] + [f"wrong{k}" for k in range(40)] + ["bend"]
        assert "and 970 more: ok, with errors of at most 1e-09" in text
    assert ROWS_SHOWN == 30
    assert "and 970 more: ok" in html.text
    assert "more:" not in str(replace(report, rows=tuple(ok[:ROWS_SHOWN])))


@pytest.mark.parametrize(
    ("checked", "of", "directions", "text"),
    [
        (12, 12, 0, "all 12"),
        (39_200, 39_200, 0, "all 39,200"),
        (256, 39_200, 3, "256 of 39,200, 3 directions"),
        (256, 39_200, 1, "256 of 39,200, 1 direction"),
        (0, 39_200, 2, "2 directions"),
        (0, 0, 0, "none: empty"),
        (0, 5, 0, "none"),
    ],
)
def test_how_much_was_compared(checked: int, of: int, directions: int, text: str) -> None:
    row = replace(OK, checked=checked, of=of, directions=directions)
    assert Page(replace(PASSING, rows=(row,))._repr_html_()).cells[4] == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, ""),
        (0.0, "0"),
        (2.34e-10, "2e-10"),
        (0.00051, "5e-04"),
        (0.051, "0.051"),
        (2.0, "2"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_errors_are_short(error: float | None, text: str) -> None:
    assert Page(replace(PASSING, rows=(replace(OK, error=error),))._repr_html_()).cells[5] == text


@pytest.mark.parametrize(
    ("analytic", "numerical", "text"),
    [
        (0.25, -0.25, "backward gives 0.25, differences give -0.25"),
        (1 / 3, 1 / 3 + 1e-8, "backward gives 0.333333333, differences give 0.333333343"),
        (math.nan, 1.0, "backward gives nan, differences give 1"),
        (None, 1.0, "differences give 1"),
        (2.0, None, "backward gives 2"),
        (2.0, 2.0, "backward gives 2, differences give 2"),
    ],
)
def test_values_are_as_long_as_it_takes_to_see_that_they_differ(
    analytic: float | None, numerical: float | None, text: str
) -> None:
    finding = replace(SIGN, analytic=analytic, numerical=numerical, error=None)
    report = replace(FAILING, findings=(finding,))
    assert f"    {text}\n" in str(report)
    assert f"<br>{text}<br>" in report._repr_html_()


def test_a_guess_is_called_one() -> None:
    def rendered(confidence: float) -> list[str]:
        report = replace(FAILING, findings=(replace(SIGN, confidence=confidence),))
        return [str(report), report._repr_html_()]

    assert all("How sure the name is: 60 %" in text for text in rendered(0.6))
    assert not any("sure" in text for text in rendered(0.9))


@pytest.mark.parametrize("code", MISTAKES)
def test_every_mistake_is_shown_with_its_title_and_advice(code: str) -> None:
    report = replace(FAILING, findings=(replace(SIGN, mistake=code, advice=advice_for(code)),))
    assert f"\n{code} in affine1, W1[0, 3]: {MISTAKES[code].title}\n" in str(report)
    assert squeezed(advice_for(code)) in squeezed(str(report))


def test_the_dict_is_json() -> None:
    strange = replace(SIGN, analytic=math.nan, numerical=math.inf, error=-math.inf, source="\ud800<b>")
    report = replace(FAILING, findings=(strange, KINK), rows=(replace(OK, error=math.nan), WRONG))
    again = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert again == report.to_dict()
    assert again["passed"] is False
    assert again["findings"][0]["analytic"] == "nan"
    assert again["findings"][0]["numerical"] == "inf"
    assert again["findings"][0]["error"] == "-inf"
    assert again["findings"][0]["element"] == [0, 3]
    assert again["findings"][1] == {**asdict(KINK), "element": []}
    assert again["rows"][1]["shape"] == [784, 50]
    assert json.loads(json.dumps(EMPTY.to_dict(), allow_nan=False))["findings"] == []


def test_what_passes() -> None:
    assert [report.passed for report in (EMPTY, PASSING, FAILING)] == [False, True, False]
    assert [each.verdict for each in (EMPTY, PASSING, FAILING)] == ["not checked", "passed", "wrong"]
    incomplete = replace(PASSING, uncompared=("kernel",))
    assert (incomplete.verdict, incomplete.passed) == ("incomplete", False)
    assert "incomplete: kernel not compared; 1 gradient" in incomplete.summary()
    assert replace(FAILING, uncompared=("kernel",)).verdict == "wrong"
    assert incomplete.to_dict()["verdict"] == "incomplete"
    assert incomplete.to_dict()["uncompared"] == ["kernel"]
    for shown in (str(incomplete), incomplete._repr_html_()):
        assert incomplete.summary() in shown
    assert replace(PASSING, findings=(ALIAS, KINK)).passed
    assert PASSING.mistakes == ()
    assert FAILING.mistakes == ("sign", "aliases-upstream")
    assert replace(FAILING, findings=(SIGN, ALIAS, SIGN)).mistakes == ("sign", "aliases-upstream")
    assert "failed: sign (2); 2 gradients" in replace(FAILING, findings=(SIGN, SIGN)).summary()


def test_a_report_says_how_sharp_the_check_was_where_float64_would_be_sharper() -> None:
    coarse = replace(PASSING, rows=(replace(OK, sharpness=0.004), replace(OK, sharpness=0.015)))
    said = "A relative error above 0.015 in any of these gradients would have been found."
    assert coarse.to_dict()["sharpness"] == 0.015
    for shown in (str(coarse), coarse._repr_html_()):
        assert said in shown
    wrong = replace(coarse, findings=(SIGN,))
    for other in (PASSING, replace(PASSING, rows=(replace(OK, sharpness=1.5e-5),)), wrong):
        assert "would have been found" not in str(other)


def test_a_forward_is_held_against_its_reference() -> None:
    finding = replace(SIGN, mistake="forward-disagrees", input=None)
    assert "the forward gives 0.25, the reference gives -0.25, relative error 2" in str(
        replace(FAILING, findings=(finding,))
    )


def test_rich_is_imported_when_something_is_shown() -> None:
    code = (
        "import sys, chainrule.checking.rendering as r; from chainrule.checking.report import CheckReport; "
        "report = CheckReport('x', (), (), 0.0, 0, 'float64'); report._repr_html_(); report.to_dict(); "
        "print('rich' in sys.modules); str(report); print('rich' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["False", "True"]


def test_long_names_are_never_cut_and_kinds_are() -> None:
    row = replace(OK, node="q" * 150, input="z" * 150, kind="Affine(units=50, weights=Normal(std=0.01))")
    table = str(replace(PASSING, rows=(row,), findings=(), target="net")).split("\n", 1)[1]
    assert (table.count("q"), table.count("z")) == (150, 150)
    assert "weights" not in table
    assert Page(replace(PASSING, rows=(row,))._repr_html_()).cells[1] == "Affine(units=50, weig..."
