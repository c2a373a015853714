"""A purchase as a computational graph: every price flows forward, every gradient flows back.

python examples/apple_shop.py
"""

from __future__ import annotations

import math

import chainrule as cr

Expected = dict[str, tuple[float, float]]


def one_kind() -> None:
    """Two apples at 100, and a tax of 10 %."""
    apple, count, tax = cr.Input("apple"), cr.Input("count"), cr.Input("tax")
    apples = (apple * count).named("apples")
    graph = cr.Graph((apples * tax).named("total"))
    graph.forward(apple=100, count=2, tax=1.1)
    graph.backward()
    show(
        "Two apples",
        graph,
        {  # name: (price, gradient)
            "apple": (100, 2.2),
            "count": (2, 110),
            "apples": (200, 1.1),
            "tax": (1.1, 200),
            "total": (220, 1),
        },
    )


def two_kinds() -> None:
    """Two apples at 100 and three oranges at 150, added up, and a tax of 10 %."""
    apple, apple_count = cr.Input("apple"), cr.Input("apple_count")
    orange, orange_count = cr.Input("orange"), cr.Input("orange_count")
    tax = cr.Input("tax")
    apples = (apple * apple_count).named("apples")
    oranges = (orange * orange_count).named("oranges")
    fruit = (apples + oranges).named("fruit")
    graph = cr.Graph((fruit * tax).named("total"))
    graph.forward(apple=100, apple_count=2, orange=150, orange_count=3, tax=1.1)
    graph.backward()
    show(
        "Two apples and three oranges",
        graph,
        {
            "apple": (100, 2.2),
            "apple_count": (2, 110),
            "apples": (200, 1.1),
            "orange": (150, 3.3),
            "orange_count": (3, 165),
            "oranges": (450, 1.1),
            "fruit": (650, 1.1),
            "tax": (1.1, 650),
            "total": (715, 1),
        },
    )


def show(title: str, graph: cr.Graph, expected: Expected) -> None:
    """Print what the graph holds beside what is expected, and stop where they differ."""
    print(title)
    print(f"  {'node':<14}{'price':>8}{'expected':>10}{'gradient':>12}{'expected':>10}")
    for name in graph.names:
        price, gradient = float(graph.values[name]), float(graph.gradients[name])
        expected_price, expected_gradient = expected[name]
        print(f"  {name:<14}{price:>8g}{expected_price:>10g}{gradient:>12g}{expected_gradient:>10g}")
        assert math.isclose(price, expected_price), name
        assert math.isclose(gradient, expected_gradient), name
    print()


if __name__ == "__main__":
    one_kind()
    two_kinds()
    print("Every price and every gradient is as expected.")
