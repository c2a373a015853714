"""What the pages of runs are made of: sections with charts in them, and cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.drawing.page import page, render

STYLES = ("reports/vendor/uPlot.min.css", "drawing/picture.css", "reports/report.css")
SCRIPTS = ("reports/vendor/uPlot.iife.min.js", "reports/report.js")


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
    #: Whether the axis of shares begins at 0, rather than where they move.
    from_zero: bool = False
    #: "lines", or "points" for a scatter with its line of equality.
    kind: str = "lines"
    x: str = "iteration"
    #: What the curves are of: the title of the other axis.
    y: str = ""
    #: What the picture says, for who cannot see it.
    summary: str = ""

    def to_data(self) -> dict[str, Any]:
        """The chart for the script."""
        return {key: value for key, value in vars(self).items() if key != "summary"}


@dataclass(frozen=True)
class Card:
    """A large number with what it is."""

    label: str
    value: str
    more: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading: `template` shows its values and its charts."""

    name: str
    title: str
    template: str
    values: Mapping[str, Any]
    charts: Sequence[Chart] = ()


def whole_page(
    title: str, lead: str, sections: Sequence[Section], cards: Sequence[Card] | None = None
) -> str:
    """The sections below each other, with the data of all their charts."""
    body, charts = body_of(title, lead, sections, cards)
    return page(f"{title}: training run", body, data={"charts": charts}, styles=STYLES, scripts=SCRIPTS)


def body_of(
    title: str, lead: str, sections: Sequence[Section], cards: Sequence[Card] | None = None
) -> tuple[str, list[dict[str, Any]]]:
    """The sections as HTML, and the data of their charts."""
    shown: list[dict[str, Any]] = []
    charts: list[Chart] = []
    for section in sections:
        shown.append({**section.values, **vars(section), "first_chart": len(charts)})
        charts += section.charts
    body = render("reports/report.html", title=title, lead=lead, sections=shown, cards=cards)
    return body, [chart.to_data() for chart in charts]
