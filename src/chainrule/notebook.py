"""What a notebook shows of a network, a graph and a history: HTML forms, registered with IPython.

`import chainrule` registers them where IPython runs. Where it starts later, as with `IPython.embed()`, say
`%load_ext chainrule.notebook`.
"""

from __future__ import annotations

import base64
import io
import re
import sys
from typing import TYPE_CHECKING, Any

from chainrule.graph import Graph
from chainrule.loop import History
from chainrule.network import Network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALLEST = 0.6  # of its size, a picture in a notebook


def register() -> None:
    """Register the HTML forms with the IPython that runs, if one does."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = None if get_ipython is None else get_ipython()
    if shell is not None:
        load_ipython_extension(shell)


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext chainrule.notebook` calls."""
    formatter = shell.display_formatter.formatters["text/html"]
    for kind, form in ((History, history_html), (Network, network_html), (Graph, graph_html)):
        formatter.for_type(kind, form)
    pictures = shell.display_formatter.formatters[
        "image/png"
    ]  # `history.plot()`, also without %matplotlib inline
    pictures.for_type_by_name("matplotlib.figure", "Figure", figure_png)


# The forms import what they need when they are first shown, so that `import chainrule` stays quick.


def history_html(history: History) -> str:
    """Curves, and the final figures."""
    from chainrule.drawing import history as drawing

    return drawing.history_html(history)


def figure_png(figure: Figure) -> bytes:
    """A figure of matplotlib as a picture."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    return content.getvalue()


def graph_html(graph: Graph) -> str:
    """The picture, with the values and gradients of the last passes."""
    return _titled(repr(graph), _picture(graph))


def network_html(network: Network) -> str:
    """The picture, and the table of the layers."""
    from chainrule.drawing.page import text

    network = network.settled()
    table = (
        f'<details><summary style="cursor:pointer">summary</summary><pre style="overflow-x:auto;'
        f'white-space:pre;color:inherit;background:transparent">{text(network.summary())}</pre></details>'
    )
    return _titled(repr(network), _picture(network) + table)


def _picture(shown: Graph | Network) -> str:
    """The drawing as an image, whose styles cannot reach the notebook; `cr.draw` shows one to walk through.

    It is made smaller to fit, as far as it can be read.
    """
    from chainrule.drawing import draw

    svg = draw(shown).svg()
    width = re.search(r' width="(\d+)"', svg)
    least = 0 if width is None else round(int(width[1]) * SMALLEST)
    source = base64.b64encode(svg.encode()).decode()
    return (
        '<div style="overflow-x:auto"><img alt="the graph" '
        f'style="max-width:max(100%,{least}px);height:auto;border-radius:6px" '
        f'src="data:image/svg+xml;base64,{source}"></div>'
    )


def _titled(title: str, content: str) -> str:
    from chainrule.drawing.page import text

    # mathjax_ignore: else a notebook would typeset a name with dollar signs
    return (
        '<div class="mathjax_ignore tex2jax_ignore" style="color:inherit;background:transparent">'
        f'<div style="margin-bottom:6px"><b>{text(title)}</b></div>{content}</div>'
    )
