"""Processor time of the layout of a graph's picture, beside grandalf's on the same graph, in one run.

    python benchmarks/layout_speed.py                  # half a minute; without grandalf, ours alone
    python benchmarks/layout_speed.py --everything     # grandalf for the large graphs too: many minutes

grandalf (`pip install grandalf`) is a pure-Python layered layout too. It keeps no room for labels, so it has less
to do: half the columns. It is given up to 500 boxes unless `--everything` is asked for.

The graphs: random ones with mostly short links; a chain of layers with two parameters each; a recurrent network
unrolled, whose three parameters are used at every step; and random ones whose links may have any length.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
import sys
import time
from collections.abc import Callable

from chainrule.drawing.layout import Box, Link, layered

SIZES = (50, 500, 2000)
SMALL = 500
Graph = tuple[list[Box], list[Link]]


def labelled(inputs: list[list[int]]) -> Graph:
    """Boxes and labels of many sizes for a graph given as the inputs of each box."""
    rng = random.Random(0)
    boxes = [Box(rng.choice((40, 80, 120, 200)), 36) for _ in inputs]
    links = [
        Link(source, target, rng.choice((30, 60, 90, 130)), rng.choice((30, 50, 80, 110)), port)
        for target, sources in enumerate(inputs)
        for port, source in enumerate(sources)
    ]
    return boxes, links


def local(count: int) -> Graph:
    """A random graph: one to two inputs each, nine in ten of them among the ten boxes before."""
    rng = random.Random(1)
    inputs: list[list[int]] = [[]]
    for i in range(1, count):
        nearest = max(0, i - 10) if rng.random() < 0.9 else max(0, i - 100)
        inputs.append([rng.randrange(nearest, i) for _ in range(rng.choice((1, 1, 1, 2, 2)))])
    return labelled(inputs)


def chain(count: int) -> Graph:
    """x -> affine(W, b) -> relu -> affine(W, b) -> ..."""
    inputs: list[list[int]] = [[]]
    last = 0
    while len(inputs) + 4 <= count:
        at = len(inputs)
        inputs += [[], [], [last, at, at + 1], [at + 2]]
        last = at + 3
    return labelled(inputs)


def recurrent(count: int) -> Graph:
    """h = tanh(x Wx + h Wh + b), again and again, operation by operation."""
    inputs: list[list[int]] = [[], [], [], []]
    last = 3
    while len(inputs) + 7 <= count:
        at = len(inputs)
        inputs += [[], [at, 0], [last, 1], [at + 1, at + 2], [at + 3, 2], [at + 4]]
        last = at + 5
    return labelled(inputs)


def anything(count: int) -> Graph:
    """A random graph: one or two inputs each, from anywhere before."""
    rng = random.Random(2)
    return labelled(
        [[rng.randrange(i) for _ in range(rng.choice((1, 2)))] if i else [] for i in range(count)]
    )


GRAPHS: dict[str, Callable[[int], Graph]] = {
    "random, short links": local,
    "chain of layers": chain,
    "recurrent, unrolled": recurrent,
    "random, any links": anything,
}


def ours(boxes: list[Box], links: list[Link]) -> float:
    """Processor seconds of one layout."""
    begin = time.process_time()
    layered(boxes, links)
    return time.process_time() - begin


def grandalf(boxes: list[Box], links: list[Link]) -> float:
    """Processor seconds of one layout by grandalf, of each connected part."""
    graphs = importlib.import_module("grandalf.graphs")
    layouts = importlib.import_module("grandalf.layouts")
    vertices = [graphs.Vertex(i) for i in range(len(boxes))]
    for vertex, box in zip(vertices, boxes, strict=True):
        vertex.view = layouts.VertexViewer(box.height, box.width)
    pairs = dict.fromkeys((link.source, link.target) for link in links)
    graph = graphs.Graph(vertices, [graphs.Edge(vertices[a], vertices[b]) for a, b in pairs])
    begin = time.process_time()
    for part in graph.C:
        layout = layouts.SugiyamaLayout(part)
        layout.init_all(roots=[vertex for vertex in part.sV if not vertex.e_in()], inverted_edges=[])
        layout.draw()
    return time.process_time() - begin


def main() -> None:
    """Print the table."""
    has_grandalf = importlib.util.find_spec("grandalf") is not None
    if not has_grandalf:
        print("grandalf is not installed: ours alone")
    print(f"{'graph':22} {'boxes':>6} {'links':>6} {'chainrule':>10} {'grandalf':>10}")
    for name, make in GRAPHS.items():
        for size in SIZES:
            boxes, links = make(size)
            best = min(ours(boxes, links) for _ in range(3))
            theirs = "-"
            if has_grandalf and (size <= SMALL or "--everything" in sys.argv):
                theirs = f"{grandalf(boxes, links):.2f} s"
            print(f"{name:22} {len(boxes):6} {len(links):6} {best:8.2f} s {theirs:>10}", flush=True)


if __name__ == "__main__":
    main()
