"""What the tests of a graph's page share: graphs, what Python put into a page, and a page in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from browsing import opened
from chainrule.drawing import Drawing, draw


def apple_shop() -> cr.Graph:
    apple, count, tax = cr.Input("apple"), cr.Input("count"), cr.Input("tax")
    graph = cr.Graph(((apple * count).named("apples") * tax).named("total"))
    graph.forward(apple=100, count=2, tax=1.1)
    graph.backward()
    return graph


def sigmoid() -> cr.Graph:
    """1 / (1 + exp(-x)), of elementary operations."""
    x = cr.Input("x")
    graph = cr.Graph((1 / (1 + cr.Exp()(-x))).named("y"))
    graph.forward(x=0.3)
    graph.backward()
    return graph


def fan_out() -> cr.Graph:
    """L = 3 x + 4 x + x * y: three gradients meet at x."""
    x, y = cr.Input("x"), cr.Input("y")
    graph = cr.Graph(
        ((x * 3.0).named("three") + (x * 4.0).named("four") + (x * y).named("product")).named("L")
    )
    graph.forward(x=2.0, y=0.1)
    graph.backward()
    return graph


def digits_network(layers: int = 1, dtype: Any = np.float32) -> tuple[cr.Network, Any, Any]:
    rng = np.random.default_rng(0)
    hidden = [layer for _ in range(layers) for layer in (cr.Affine(12), cr.ReLU())]
    loss = cr.SoftmaxCrossEntropy()
    net = cr.Network(*hidden, cr.Affine(10), input_shape=40, loss=loss, seed=0, dtype=dtype)
    return net, rng.normal(size=(6, 40)).astype(dtype), rng.integers(0, 10, 6)


def vectors(values: Any) -> Drawing:
    """sum(x * x) of float64 vectors."""
    x = cr.Input("x")
    return draw(cr.Graph(cr.Sum()((x * x).named("squares"))), {"x": values})


def data_of(drawing: Drawing) -> dict[str, Any]:
    found = re.search(
        r'<script type="application/json" id="data-graph">(.*?)</script>', drawing.html(), re.DOTALL
    )
    assert found
    return json.loads(found[1])


def numbers_of(array: dict[str, Any]) -> Any:
    import base64

    return np.frombuffer(base64.b64decode(array["numbers"]), "<f4" if array["bytes"] == 4 else "<f8")


def digits(value: Any) -> str:
    """A NumPy number as its repr writes it, without the type."""
    return re.sub(r"^np\.\w+\((.*)\)$", r"\1", repr(value))


# In a browser ---------------------------------------------------------------------------------------------


class Shown:
    """A page in the browser, with what tests ask of it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.set_default_timeout(10_000)
        page.wait_for_selector("html[data-ready=yes]", state="attached")

    def texts(self, selector: str) -> list[str]:
        return [str(text).strip() for text in self.page.locator(selector).all_text_contents()]

    def exact(self, selector: str) -> list[str]:
        return list(self.page.eval_on_selector_all(selector, "all => all.map(one => one.dataset.exact)"))

    @property
    def panel(self) -> str:
        return str(self.page.inner_text("#panel"))

    @property
    def heading(self) -> str:
        return str(self.page.inner_text("#panel h2"))

    @property
    def progress(self) -> str:
        return str(self.page.inner_text("#progress"))

    def click_node(self, k: int) -> None:
        self.page.keyboard.press("0")  # the whole graph, so that every node is in the window
        self.page.click(f'.picture:not([hidden]) g.node[data-node="{k}"] .shape')

    def step_on(self, how: str) -> None:
        if how == "click":
            self.page.click("[data-step=next]")
        else:
            self.page.keyboard.press("ArrowRight")

    def shown_edges(self, what: str) -> list[int]:
        """The edges whose value or gradient can be seen."""
        return list(
            self.page.evaluate(
                """what => [...document.querySelectorAll(".picture:not([hidden]) g.edge")]
                .filter(edge => getComputedStyle(edge.querySelector(":scope > ." + what)).visibility === "visible")
                .map(edge => Number(edge.dataset.edge)).sort((a, b) => a - b)""",
                what,
            )
        )


@contextmanager
def shown_in(browser: Any, folder: Path) -> Iterator[Any]:
    """A function that opens the page of a drawing."""
    with ExitStack() as stack:

        def opening(drawing: Drawing | str, **options: Any) -> Shown:
            path = folder / "graph.html"
            path.write_text(drawing if isinstance(drawing, str) else drawing.html(), encoding="utf-8")
            options = {"reduced_motion": "reduce", "color_scheme": "light", **options}
            return Shown(stack.enter_context(opened(browser, path, **options)))

        yield opening
