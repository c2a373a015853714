"""A page in one file: text, styles, scripts and data together, and nothing that a browser would have to fetch."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from chainrule.text import percent, short

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

#: A browser that reads this fetches nothing, whatever a name or a label in the page says.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)


def page(
    title: str,
    body: str,
    *,
    data: Mapping[str, Any] | None = None,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    asks_its_server: bool = False,
) -> str:
    """A whole HTML page that stands alone, unless it asks the server that it came from for more.

    `body` is HTML, as `render` makes it. `styles` and `scripts` name files as `asset` does, which come after
    common.css and common.js. `data` is handed to the scripts, `pageData("graph")`; NaN and infinity become the
    words "nan", "inf" and "-inf".
    """
    style = "\n".join(asset(name) for name in ("drawing/common.css", *styles))
    code = [asset(name) for name in ("drawing/common.js", *scripts)]
    given = [(name, as_json(value)) for name, value in (data or {}).items()]
    return render(
        "drawing/page.html",
        title=title,
        policy=_POLICY + ("; connect-src 'self'" if asks_its_server else ""),
        body=as_html(body),
        style=as_html(style),
        data=[(name, as_html(content)) for name, content in given],
        scripts=[as_html(each) for each in code],
    )


def render(template: str, **values: Any) -> str:
    """A file in the folder `templates` of a room, "drawing/page.html", with values in it, their texts escaped."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    """How templates are read: all that is no HTML by its type is escaped, by `text`."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(lambda name: _shipped(name, "templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if hasattr(value, "__html__") else as_html(text(value)),
    )
    environment.filters |= {"percent": percent, "short": short}
    return environment


def as_html(html: str) -> Markup:
    """A text that is HTML already, for a template."""
    from markupsafe import Markup

    return Markup(html)


def text(value: object) -> str:
    """A text as HTML or SVG shows it, whatever characters are in it; those that no page can hold become U+FFFD."""
    given = str(value)
    if not given.isprintable():
        given = "".join(c if c in "\t\n" or (c >= " " and not _is_unfit(c)) else "�" for c in given)
    return html.escape(given)


def _is_unfit(character: str) -> bool:
    return "\x7f" <= character <= "\x9f" or "\ud800" <= character <= "\udfff" or character in "￾￿"


def as_json(value: Any) -> str:
    """JSON that can stand inside a script element: no `<` or `&` in it."""
    content = json.dumps(_plain(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return content.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@cache
def asset(name: str) -> str:
    """The text of a file in the folder `assets` of a room: "drawing/common.css"."""
    return _shipped(name, "assets")


def _shipped(name: str, folder: str) -> str:
    room, *path = name.split("/")
    return resources.files("chainrule").joinpath(room, folder, *path).read_text(encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    return value
