"""Draw the pictures of graphs in the documents, from graphs that run: `make docs-pictures`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule.drawing import Drawing


def apple_shop() -> Drawing:
    """Two apples at 100 each, and a tax of 10 %."""
    apple, count, tax = cr.Input("apple"), cr.Input("count"), cr.Input("tax")
    graph = cr.Graph((apple * count * tax).named("total"))
    return cr.draw(graph, {"apple": 100, "count": 2, "tax": 1.1}, title="The apple shop")


def sigmoid() -> Drawing:
    """y = 1 / (1 + exp(-x)), one operation after another."""
    x = cr.Input("x")
    graph = cr.Graph((1 / (1 + cr.Exp()(x * -1))).named("y"))
    return cr.draw(graph, {"x": 0.5}, title="The sigmoid, as elementary nodes")


def affine() -> Drawing:
    """Y = X W + B for a batch of three samples, with an upstream gradient."""
    rng = np.random.default_rng(0)
    x = cr.Parameter("X", rng.normal(size=(3, 4)))
    w, b = cr.Parameter("W", rng.normal(size=(4, 2))), cr.Parameter("B", rng.normal(size=2))
    graph = cr.Graph((x @ w + b).named("Y"))
    graph.forward()
    graph.backward(rng.normal(size=(3, 2)))
    return cr.draw(graph, title="The affine layer, in a batch")


def softmax_with_cross_entropy() -> Drawing:
    """Softmax with cross-entropy loss for three classes: what comes back to the scores is y - t."""
    scores = [cr.Input(f"a{k}") for k in (1, 2, 3)]
    targets = [cr.Input(f"t{k}") for k in (1, 2, 3)]
    exps = [cr.Exp()(a) for a in scores]
    share = (1 / (exps[0] + exps[1] + exps[2])).named("1/S")
    outputs = [(e * share).named(f"y{k}") for k, e in enumerate(exps, 1)]
    terms = [t * cr.Log()(y) for t, y in zip(targets, outputs, strict=True)]
    graph = cr.Graph(((terms[0] + terms[1] + terms[2]) * -1).named("loss"))
    feeds = {"a1": 0.3, "a2": 2.9, "a3": 4.0, "t1": 0, "t2": 0, "t3": 1}
    return cr.draw(graph, feeds, title="Softmax with cross-entropy loss, three classes")


def wrong_backward() -> Drawing:
    """What a check found, drawn."""

    class Square(cr.Layer):
        """y = x^2,    dL/dx = dL/dy * 2 x."""

        def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return x**2, x

        def backward(self, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
            return dy * x  # the 2 is missing

    rng = np.random.default_rng(0)
    x, w = cr.Input("x"), cr.Parameter("w", rng.normal(size=(4, 2)))
    report = cr.check(cr.Graph(cr.Sum()(Square()(x @ w)).named("loss")), x=rng.normal(size=(3, 4)))
    return cr.draw(report)


PICTURES = {
    "apple-shop": apple_shop,
    "sigmoid": sigmoid,
    "affine": affine,
    "softmax-with-cross-entropy": softmax_with_cross_entropy,
    "wrong-backward": wrong_backward,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        print(draw().save(Path(__file__).parent / f"{name}.svg"))
