"""Prints the table in programs.md that says which layers the machine runs: it builds a network with each and looks.

python docs/machine_table.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr

Use = tuple[str, Callable[[], tuple[cr.Network, Any, bool]]]
LABELS, NUMBERS, SHARES = np.zeros(1, int), np.zeros((1, 3), "float32"), np.full((1, 3), 1 / 3, "float32")


def around(make: Callable[[Any], Any], *shape: int) -> Callable[[], tuple[cr.Network, Any, bool]]:
    """A network with `make(h)` in its middle, h having rows of this shape."""

    def made() -> tuple[cr.Network, Any, bool]:
        x = cr.Input("x", shape=(5,))
        h = cr.Reshape((-1, *shape))(cr.Affine(int(np.prod(shape)))(x))
        y = cr.Affine(3)(cr.Flatten()(make(h)))
        return cr.Network(output=y, loss=cr.SoftmaxCrossEntropy(), seed=0), LABELS, False

    return made


def ending(loss: cr.Loss, targets: Any, weighted: bool = False) -> Callable[[], tuple[cr.Network, Any, bool]]:
    """A network with this loss."""
    return lambda: (cr.Network(cr.Affine(3), input_shape=5, loss=loss, seed=0), targets, weighted)


def looking_up(shape: int | tuple[int, ...]) -> Callable[[], tuple[cr.Network, Any, bool]]:
    def made() -> tuple[cr.Network, Any, bool]:
        layers = cr.Embedding(9, 4), cr.Flatten(), cr.Affine(3)
        return cr.Network(*layers, input_shape=shape, loss=cr.SoftmaxCrossEntropy(), seed=0), LABELS, False

    return made


def any_rows(layer: Callable[[], Any]) -> list[Use]:
    return [("rows of any shape", around(lambda h: layer()(h), 2, 3))]


def between(operation: Callable[[Any, Any], Any]) -> list[Use]:
    """The uses of arithmetic between two nodes."""
    whole, means = np.linspace(1, 2, 3), cr.Mean(axis=-1, keepdims=True)
    parameter, middle = cr.Parameter("q", whole), cr.Parameter("p", np.ones((2, 1, 3)))
    return [
        ("nodes of one shape", around(lambda h: operation(h, h), 2, 3)),
        ("broadcast along rows or columns", around(lambda h: operation(h, means(h)), 2, 3)),
        ("parameters and constants", around(lambda h: operation(operation(h, whole), parameter), 2, 3)),
        ("one broadcast in its middle", around(lambda h: operation(h, middle), 2, 4, 3)),
    ]


def over_axes(layer: Callable[..., Any]) -> list[Use]:
    return [
        (
            "axes of a row that are neighbours",
            around(lambda h: layer(axis=(1, 2), keepdims=True)(h), 2, 3, 2),
        ),
        ("axes that are apart", around(lambda h: layer(axis=(1, 3), keepdims=True)(h), 2, 3, 2)),
        ("over the batch", around(lambda h: h - layer(axis=0)(h), 3)),
    ]


def losses(make: Callable[..., cr.Loss]) -> list[Use]:
    return [("alone", ending(make(), NUMBERS)), ("sample weights", ending(make(), NUMBERS, True))]


def softmax_losses() -> list[Use]:
    full = cr.SoftmaxCrossEntropy(label_smoothing=0.1, class_weights=[1, 2, 3])
    return [
        ("labels", ending(cr.SoftmaxCrossEntropy(), LABELS)),
        ("distributions", ending(cr.SoftmaxCrossEntropy(), SHARES)),
        ("label smoothing, class weights and sample weights", ending(full, LABELS, True)),
    ]


USES: dict[str, list[Use]] = {
    "Affine": any_rows(lambda: cr.Affine(4)),
    **{
        kind.__name__: any_rows(kind)
        for kind in (cr.ReLU, cr.LeakyReLU, cr.ELU, cr.GELU, cr.SiLU, cr.Softplus, cr.Sigmoid, cr.Tanh)
    },
    **{kind.__name__: any_rows(kind) for kind in (cr.Negative, cr.Exp, cr.Log, cr.Sqrt)},
    "Softmax": [("along an axis of a row", around(lambda h: cr.Softmax(axis=1)(h), 2, 3))],
    "LogSoftmax": [("along an axis of a row", around(lambda h: cr.LogSoftmax(axis=1)(h), 2, 3))],
    "Add": between(lambda a, b: a + b),
    "Subtract": between(lambda a, b: a - b),
    "Multiply": between(lambda a, b: a * b),
    "Divide": between(lambda a, b: a / b),
    "Power": between(lambda a, b: cr.Power()(a, b)),
    "MatMul": [
        ("sample by sample", around(lambda h: h @ cr.Transpose((0, 2, 1))(h), 2, 3)),
        ("with a matrix on the right", around(lambda h: h @ cr.Parameter("m", np.ones((3, 2))), 2, 3)),
        ("with one on the left", around(lambda h: cr.Parameter("m", np.ones((4, 2))) @ h, 2, 3)),
    ],
    "Dropout": any_rows(cr.Dropout),
    "BatchNorm": [
        ("an axis of a row", around(lambda h: cr.BatchNorm(axis=2)(h), 2, 3)),
    ],
    "Standardize": any_rows(lambda: cr.Standardize([1, 2, 3], [3, 2, 1])),
    "LayerNorm": [
        ("the last axes", around(lambda h: cr.LayerNorm(axis=(-2, -1))(h), 2, 3)),
        ("others", around(lambda h: cr.LayerNorm(axis=1)(h), 2, 3)),
    ],
    "Embedding": [
        ("whole numbers that are an input", looking_up((2,))),
    ],
    "Flatten": [("always", around(lambda h: cr.Flatten()(h), 2, 3))],
    "Reshape": [("keeping the rows", around(lambda h: cr.Reshape((-1, 6))(h), 2, 3))],
    "Transpose": [("of the axes of a row", around(lambda h: cr.Transpose((0, 2, 1))(h), 2, 3))],
    "Concatenate": [("along an axis of a row", around(lambda h: cr.Concatenate()(h, h), 2, 3))],
    "Index": [
        ("slices, numbers and lists of them within a row", around(cr.Index((slice(None), [0, 2, 0])), 3)),
        ("lists of bools", around(lambda h: cr.Index((slice(None), [True, False, True]))(h), 3)),
    ],
    "Take": [
        ("constant indices within a row", around(lambda h: cr.Take(axis=1)(h, np.array([0, 2])), 3)),
    ],
    "Sum": over_axes(cr.Sum),
    "Mean": over_axes(cr.Mean),
    "Max": over_axes(cr.Max),
    "SoftmaxCrossEntropy": softmax_losses(),
    "SigmoidCrossEntropy": losses(lambda: cr.SigmoidCrossEntropy([1, 2, 3])),
    "MeanSquaredError": losses(cr.MeanSquaredError),
    "MeanAbsoluteError": losses(cr.MeanAbsoluteError),
    "Huber": losses(cr.Huber),
    "HalfSquaredError": losses(cr.HalfSquaredError),
    "Quantile": losses(cr.Quantile),
    "HalfPoissonDeviance": losses(cr.HalfPoissonDeviance),
}  # fmt: skip


def where(words: str, make: Callable[[], tuple[cr.Network, Any, bool]]) -> tuple[str, str]:
    """The words in the column of the machine, or in that of Python, or in both."""
    net, targets, weighted = make()
    program = net.program(4, targets, weighted)
    if program.trains_in_python:
        return "", words
    return (
        (f"{words} in training", f"{words} in predictions") if program.predicting.in_python else (words, "")
    )


def table() -> str:
    """The table, in Markdown. Layers with the same entries share a line."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for name, uses in USES.items():
        columns = zip(*(where(words, make) for words, make in uses), strict=True)
        found = tuple(", ".join(each for each in column if each) for column in columns)
        lines.setdefault(found, []).append(f"`{name}`")
    head = ["| layer | by the machine | by its own Python |", "|---|---|---|"]
    rows = [f"| {' | '.join([', '.join(names), *found])} |" for found, names in lines.items()]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    print(table())
