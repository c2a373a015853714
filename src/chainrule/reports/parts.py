"""The pieces of HTML that pages of runs are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrule.drawing.page import text
from chainrule.reports.finding import RunFinding


@dataclass(frozen=True)
class Chart:
    """Curves that the page's script draws: `tables` share one picture, each with its own x.

    A table is {"x": [...], "y": [[...], ...]}, and may hold "seconds" as another x. `series` names the ys of all
    tables in their order.
    """

    title: str
    tables: list[dict[str, Any]]
    series: list[dict[str, Any]]
    log: bool = False
    percent: bool = False
    #: "lines", or "points" for a scatter with its line of equality.
    kind: str = "lines"
    x: str = "iteration"
    #: What the picture says, for who cannot see it.
    summary: str = ""

    def to_data(self) -> dict[str, Any]:
        """The chart for the script."""
        return {key: value for key, value in vars(self).items() if key != "summary"}


@dataclass
class Section:
    """A part of the page with a heading, its HTML, and the charts in it."""

    name: str
    title: str
    body: str
    charts: list[Chart] = field(default_factory=list)


#: Where a chart stands in a body; replaced by its number when the page is put together.
CHART = "\ue000chart\ue000"


def section_html(section: Section, first_chart: int) -> str:
    """The section, its charts numbered from `first_chart`."""
    body = section.body
    for k, chart in enumerate(section.charts):
        body = body.replace(CHART, chart_html(chart, first_chart + k), 1)
    return (
        f'<section id="{section.name}" aria-labelledby="{section.name}-title">'
        f'<h2 id="{section.name}-title">{text(section.title)}</h2>{body}</section>'
    )


def chart_html(chart: Chart, number: int) -> str:
    """The place of a chart, with its title and what it says in words."""
    return (
        f'<figure class="chart" data-chart="{number}"><figcaption>{text(chart.title)}</figcaption>'
        f'<p class="summary faint">{text(chart.summary)}</p></figure>'
    )


def charts_html(count: int) -> str:
    """Places for so many charts, beside each other where there is room."""
    return f'<div class="charts">{CHART * count}</div>' if count else ""


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    kinds: str = "",
    label: str = "",
    title: bool = True,
) -> str:
    """A table of cells that are HTML already. `kinds` has a letter for each column: t text, n number.
    `label` says what it is, above it where that is its `title`.
    """
    kinds = kinds or "t" * len(head)
    names = {"t": "", "n": ' class="n"'}
    heads = "".join(
        f'<th scope="col"{names[kind]}>{cell}</th>' for kind, cell in zip(kinds, head, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{names[kind]}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    caption = f"<caption>{text(label)}</caption>" if label and title else ""
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{text(label or "table")}"><table>{caption}'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def listed(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values, both texts, below each other."""
    rows = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="pairs">{rows}</dl>'


def card(label: str, value: str, more: str = "") -> str:
    """A large number with what it is."""
    rest = f'<span class="more">{text(more)}</span>' if more else ""
    return f'<div class="card"><span class="label">{text(label)}</span><b>{text(value)}</b>{rest}</div>'


def bar(share: float) -> str:
    """A bar from 0 to 1 for a table's cell."""
    return f'<span class="bar" aria-hidden="true"><i style="width:{100 * min(max(share, 0), 1):.1f}%"></i></span>'


_SIGNS = {"error": "wrong", "warning": "look at", "note": "note"}


def findings_html(findings: Sequence[RunFinding], nothing: str) -> str:
    """The findings, each with what to try; or that there is nothing."""
    if not findings:
        return f'<p class="fine"><b class="sign good">fine</b> {text(nothing)}</p>'
    items = "".join(
        f'<li class="{each.severity}" data-code="{text(each.code)}"><b class="sign">{_SIGNS[each.severity]}</b>'
        f"<p>{text(each.text)}.</p><p class=advice><b>Try</b> {text(each.advice)}.</p></li>"
        for each in findings
    )
    return f'<ul class="findings">{items}</ul>'


def header(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The top of the page: title, theme, and links to its parts."""
    links = "".join(f'<a href="#{each.name}">{text(each.title)}</a>' for each in sections)
    return (
        f'<header><div class="top"><h1>{text(title)}</h1>'
        f'<button id="theme" type="button">Light / dark</button></div>'
        f'<p class="lead">{text(lead)}</p></header><nav aria-label="Parts of this page">{links}</nav>'
    )
