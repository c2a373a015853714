"""A report as text, in a terminal and in a notebook.

Names come from the user's code, and are shown as text wherever they end up: never as markup of rich, never as HTML,
and without the control characters that could rewrite a terminal's screen.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from chainrule.checking.mistakes import MISTAKES
from chainrule.checking.report import CheckReport, Finding, Row
from chainrule.text import clean, counted

if TYPE_CHECKING:
    from rich.console import JustifyMethod, OverflowMethod, RenderableType

WIDTH = 100
ROWS_SHOWN = 30
"""So many rows of each verdict are shown. Wrong ones are shown all."""
KIND_SHOWN = 24
"""So many characters of what a layer is are shown."""
SHARP = 3e-5
"""A check in float64 is nearly always sharper than this. Where it is not, the report says how sharp it was."""

_HEADER = ("node", "kind", "gradient of", "shape", "compared", "error", "verdict")
_STYLES = {"ok": "green", "wrong": "bold red", "kink": "yellow", "not checked": "dim"}
_OUTCOMES = {"passed": "green", "wrong": "red", "incomplete": "yellow", "not checked": "yellow"}
_SEVERITIES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
_BADGES = {"ok": "#1b6e3c", "wrong": "#b3261e", "kink": "#8a5a00", "not checked": "#5f6368"}
_BADGE_OF = {"error": "#b3261e", "warning": "#8a5a00", "note": "#0b57a4"}


def as_text(report: CheckReport) -> str:
    """The report as plain text, without colours, at most 100 columns wide."""
    from rich.console import Console

    console = Console(
        file=StringIO(),
        width=WIDTH,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    )
    with console.capture() as captured:
        console.print(as_rich(report))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")


def as_rich(report: CheckReport) -> RenderableType:
    """The report as something that rich can print: the table, the findings, and the verdict."""
    from rich.box import Box
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    shown, hidden = _shown(report.rows)
    if shown:
        lines = "    \n    \n -- \n" + "    \n" * 5  # a rule under the header, and no other
        table = Table(box=Box(lines, ascii=True), show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for title in _HEADER:  # a name is never cut; what kind of layer it is may be
            justify: JustifyMethod = "right" if title == "error" else "left"
            overflow: OverflowMethod = "ellipsis" if title == "kind" else "fold"
            one_line = title in {"kind", "shape", "error", "verdict"}
            longest = max(len(row.verdict) for row in shown)
            least = {"compared": len("256 of 39,200,"), "verdict": longest}.get(title)
            table.add_column(title, justify=justify, overflow=overflow, no_wrap=one_line, min_width=least)
        for row in shown:
            *cells, verdict = (Text(cell) for cell in _cells(row))
            verdict.stylize(_STYLES[row.verdict])
            table.add_row(*cells, verdict)
        parts.append(table)
    parts += [Text(clean(line), style="dim") for line in _beside(report, hidden)]
    for finding in report.findings:
        head = Text.assemble((clean(finding.mistake), _SEVERITIES[finding.severity]), _heading(finding))
        body = Text("\n".join(_explanation(finding)))
        parts += [Text(), head, Padding(body, (0, 0, 0, 4))]
    if parts:
        parts.append(Text())
    parts.append(Text(clean(report.summary()), style=f"bold {_OUTCOMES[report.verdict]}"))
    return Group(*parts)


def as_html(report: CheckReport) -> str:
    """The report as one <div> that needs nothing else, in the colours of the notebook around it."""
    shown, hidden = _shown(report.rows)
    parts = []
    if shown:
        cell = "padding:2px 10px 2px 0;text-align:left;vertical-align:top;border:0;background:none"
        rule = "border-bottom:1px solid rgba(128,128,128,.6)"
        head = "".join(f'<th style="{cell};{rule}">{title}</th>' for title in _HEADER)
        body = []
        for row in shown:
            *cells, verdict = (_escaped(each) for each in _cells(row))
            cells.append(_badge(verdict, _BADGES[row.verdict]))
            body.append("<tr>" + "".join(f'<td style="{cell}">{each}</td>' for each in cells) + "</tr>")
        parts.append(
            f'<table style="border-collapse:collapse;border:0;color:inherit"><thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(body)}</tbody></table>"
        )
    parts += [f'<div style="opacity:.75">{_escaped(line)}</div>' for line in _beside(report, hidden)]
    for finding in report.findings:
        colour = _BADGE_OF[finding.severity]
        lines = "<br>".join(_escaped(line) for line in _explanation(finding))
        parts.append(
            f'<div style="margin:8px 0;padding-left:10px;border-left:3px solid {colour}">'
            f"{_badge(_escaped(finding.mistake), colour)}{_escaped(_heading(finding))}<br>{lines}</div>"
        )
    verdict = _escaped(report.summary())
    parts.append(f'<div style="margin-top:8px"><b>{verdict}</b></div>')
    # mathjax_ignore: else a notebook would typeset a name with dollar signs
    return (
        '<div class="mathjax_ignore tex2jax_ignore" style="color:inherit;background:transparent;'
        f'font-family:monospace;line-height:1.4;overflow-x:auto">{"".join(parts)}</div>'
    )


def _shown(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """The rows to show, in their order, and what to say about the others."""
    seen: Counter[str] = Counter()
    shown: list[Row] = []
    hidden: dict[str, list[Row]] = {}
    for row in rows:
        seen[row.verdict] += 1
        if row.verdict == "wrong" or seen[row.verdict] <= ROWS_SHOWN:
            shown.append(row)
        else:
            hidden.setdefault(row.verdict, []).append(row)
    told = []
    for verdict, others in hidden.items():
        errors = [row.error for row in others if row.error is not None]
        largest = f", with errors of at most {_error(max(errors))}" if errors else ""
        told.append(f"and {len(others):,} more: {verdict}{largest}")
    return shown, told


def _beside(report: CheckReport, hidden: Sequence[str]) -> list[str]:
    """The lines under the table: of rows not shown, the remarks, and how sharp the check was."""
    lines = [*hidden, *report.remarks]
    if report.verdict in ("passed", "incomplete") and (report.sharpness or 0) > SHARP:
        lines.append(
            f"A relative error above {_error(report.sharpness)} in any of these gradients would have been found."
        )
    return lines


def _cells(row: Row) -> tuple[str, ...]:
    return (
        clean(row.node),
        _shortened(clean(row.kind)),
        clean(row.input),
        str(row.shape),
        _compared(row),
        _error(row.error),
        row.verdict,
    )


def _shortened(kind: str) -> str:
    return kind if len(kind) <= KIND_SHOWN else kind[: KIND_SHOWN - 3] + "..."


def _compared(row: Row) -> str:
    """How much was compared: 'all 12', or '256 of 39,200, 3 directions'."""
    parts = []
    if row.checked == row.of:
        parts.append(f"all {row.of:,}" if row.of else "none: empty")
    elif row.checked:
        parts.append(f"{row.checked:,} of {row.of:,}")
    if row.directions:
        parts.append(counted(row.directions, "direction"))
    return ", ".join(parts) or "none"


def _heading(finding: Finding) -> str:
    """What follows the code: where it is, how severe, and what it is in a few words."""
    severity = "" if finding.severity == "error" else f" ({finding.severity})"
    title = f": {MISTAKES[finding.mistake].title}" if finding.mistake in MISTAKES else ""
    return f"{severity} in {clean(finding.place)}{title}"


def _explanation(finding: Finding) -> list[str]:
    """The lines under the heading: the numbers, the advice, how sure the name is, and where the code stands."""
    lines = []
    if finding.analytic is not None or finding.numerical is not None:
        analytic, numerical = _values(finding.analytic, finding.numerical)
        values = []
        of_forwards = finding.mistake == "forward-disagrees"
        ours = "the forward gives" if of_forwards else "backward gives"
        right = "the reference gives" if of_forwards else "differences give"
        if finding.analytic is not None:
            values.append(f"{ours} {analytic}")
        if finding.numerical is not None:
            values.append(f"{right} {numerical}")
        if finding.error is not None:
            values.append(f"relative error {_error(finding.error)}")
        lines.append(", ".join(values))
    lines += [clean(line) for line in finding.advice.expandtabs(4).splitlines()]
    if finding.confidence < 0.9:
        lines.append(f"How sure the name is: {100 * finding.confidence:.0f} %")
    if finding.source is not None:
        lines.append(clean(finding.source))
    return lines


def _values(*numbers: float | None) -> list[str]:
    """The numbers with six digits, or with as many as it takes to see that they differ."""
    texts: list[str] = []
    for digits in (6, 9, 12, 17):
        texts = ["" if number is None else f"{number:.{digits}g}" for number in numbers]
        if len(set(texts)) == len(set(numbers)):
            break
    return texts


def _error(error: float | None) -> str:
    """A relative error as people read it: '2e-10', '0.05', '2'."""
    if error is None:
        return ""
    return f"{error:.2g}" if error == 0 or error >= 0.001 else f"{error:.0e}"


def _escaped(text: str) -> str:
    return html.escape(clean(text))


def _badge(escaped: str, colour: str) -> str:
    """A word on a colour of its own, readable on light and on dark."""
    return f'<b style="background:{colour};color:#fff;border-radius:3px;padding:0 5px">{escaped}</b>'
