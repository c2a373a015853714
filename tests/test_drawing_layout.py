"""The layered layout: what must hold of every picture, and what the usual graphs should look like."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.drawing.layout import Box, Layout, Link, Place, layered
from chainrule.errors import GraphError

NEAR = 1e-6
Rectangle = tuple[float, float, float, float]
Graph = tuple[list[Box], list[Link]]


def rectangle(place: Place, size: Box | Link) -> Rectangle:
    """Left, top, right, bottom; a little smaller than it is, so that touching is allowed."""
    w, h = size.width / 2 - NEAR, size.height / 2 - NEAR
    return place.x - w, place.y - h, place.x + w, place.y + h


def overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def meets(start: tuple[float, float], end: tuple[float, float], box: Rectangle) -> bool:
    """Whether a line runs through a rectangle."""
    begin, stop = 0.0, 1.0
    for axis in (0, 1):
        low, high, step = box[axis] - start[axis], box[axis + 2] - start[axis], end[axis] - start[axis]
        if step == 0:
            if low > 0 or high < 0:
                return False
        else:
            first, last = sorted((low / step, high / step))
            begin, stop = max(begin, first), min(stop, last)
    return begin < stop


def lies_on(place: Place, points: Sequence[tuple[float, float]]) -> bool:
    spot = (place.x - NEAR, place.y - NEAR, place.x + NEAR, place.y + NEAR)
    return any(meets(a, b, spot) for a, b in pairwise(points))


def faults(boxes: list[Box], links: list[Link], layout: Layout) -> list[str]:
    """Everything that is wrong with a picture."""
    found: list[str] = []
    nodes = [rectangle(*each) for each in zip(layout.boxes, boxes, strict=True)]
    labels = [
        rectangle(route.label, link) if link.width and link.height else None
        for route, link in zip(layout.routes, links, strict=True)
    ]
    for i, j in combinations(range(len(nodes)), 2):
        if overlap(nodes[i], nodes[j]):
            found.append(f"boxes {i} and {j} overlap")
    for k, label in enumerate(labels):
        if label is None:
            continue
        found += [f"label {k} overlaps box {i}" for i, node in enumerate(nodes) if overlap(label, node)]
        for j in range(k):
            other = labels[j]
            if other is not None and overlap(label, other):
                found.append(f"labels {j} and {k} overlap")
    for k, (route, link) in enumerate(zip(layout.routes, links, strict=True)):
        source, target = nodes[link.source], nodes[link.target]
        if source[2] > target[0] + NEAR:
            found.append(f"link {k}: the target is not right of the source")
        (x, y), (end_x, end_y) = route.points[0], route.points[-1]
        if abs(x - source[2]) > 2 * NEAR or not source[1] <= y <= source[3]:
            found.append(f"link {k} does not start at its source")
        if abs(end_x - target[0]) > 2 * NEAR or not target[1] <= end_y <= target[3]:
            found.append(f"link {k} does not end at its target")
        if not lies_on(route.label, route.points):
            found.append(f"label {k} is not on its line")
        for a, b in pairwise(route.points):
            if b[0] < a[0] - NEAR:
                found.append(f"link {k} goes back")
            found += [f"link {k} runs through box {i}" for i, node in enumerate(nodes) if meets(a, b, node)]
            found += [
                f"link {k} runs through label {j}"
                for j, label in enumerate(labels)
                if j != k and label is not None and meets(a, b, label)
            ]
    corners = [(box[axis], box[axis + 1]) for box in (*nodes, *filter(None, labels)) for axis in (0, 2)]
    for x, y in (*corners, *(point for route in layout.routes for point in route.points)):
        if not (-NEAR <= x <= layout.width + NEAR and -NEAR <= y <= layout.height + NEAR):
            found.append(f"({x}, {y}) is outside of the picture")
    for i in range(len(boxes)):
        into = sorted((k for k, link in enumerate(links) if link.target == i), key=lambda k: links[k].port)
        arrivals = [layout.routes[k].points[-1][1] for k in into]
        if any(a >= b for a, b in pairwise(arrivals)):
            found.append(f"box {i}: the inputs do not arrive in their order")
    return found


def random_graph(count: int, most: int, reach: int, seed: int) -> Graph:
    """Boxes with up to `most` inputs each, from the `reach` boxes before; sizes of all kinds."""
    rng = random.Random(seed)
    boxes = [Box(rng.uniform(40, 200), rng.uniform(20, 60)) for _ in range(count)]
    order = rng.sample(range(count), count)  # a box's number says nothing of its place
    links: list[Link] = []
    for i in range(1, count):
        for port in range(rng.randint(0, most)):
            size = rng.choice(((0.0, 0.0), (rng.uniform(10, 130), rng.uniform(10, 110))))
            links.append(Link(order[rng.randrange(max(0, i - reach), i)], order[i], *size, port))
    rng.shuffle(links)
    return boxes, links


def named(inputs: dict[str, str], size: tuple[float, float] = (60, 40)) -> tuple[list[str], Graph]:
    """A graph written as {"y": "x w", ...}: each box with its inputs."""
    names = list(inputs)
    links = [
        Link(names.index(source), i, *size, port)
        for i, name in enumerate(names)
        for port, source in enumerate(inputs[name].split())
    ]
    return names, ([Box(70, 34) for _ in names], links)


def placed(inputs: dict[str, str]) -> dict[str, Place]:
    names, (boxes, links) = named(inputs)
    layout = layered(boxes, links)
    assert faults(boxes, links, layout) == []
    return dict(zip(names, layout.boxes, strict=True))


MLP = {
    "x": "",
    "W1": "",
    "b1": "",
    "affine1": "x W1 b1",
    "relu": "affine1",
    "W2": "",
    "b2": "",
    "affine2": "relu W2 b2",
    "t": "",
    "loss": "affine2 t",
}


@pytest.mark.parametrize("seed", range(60))
def test_nothing_overlaps_in_random_graphs(seed: int) -> None:
    boxes, links = random_graph(2 + seed % 39, 1 + seed % 4, (3, 10, 40)[seed % 3], seed)
    assert faults(boxes, links, layered(boxes, links)) == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nothing_overlaps_whatever_the_graph(data: st.DataObject) -> None:
    size = st.floats(1, 200)
    boxes = data.draw(st.lists(st.builds(Box, size, size), max_size=12))
    ends = st.tuples(st.integers(0, len(boxes) - 1), st.integers(0, len(boxes) - 1))
    pairs = data.draw(st.lists(ends, max_size=25)) if boxes else []
    label = st.one_of(st.just((0.0, 0.0)), st.tuples(size, size))
    links = [
        Link(min(a, b), max(a, b), *data.draw(label), data.draw(st.integers(0, 3)))
        for a, b in pairs
        if a != b
    ]
    layout = layered(boxes, links)
    assert faults(boxes, links, layout) == []
    assert layered(boxes, links) == layout


@pytest.mark.parametrize(
    ("moved", "to", "noticed"),
    [
        (0, 1, "boxes 0 and 1 overlap"),
        (0, 1, "the target is not right of the source"),
        (0, 1, "link 0 does not start at its source"),
        (1, 0, "link 0 does not end at its target"),
    ],
)
def test_the_judge_notices_a_box_out_of_place(moved: int, to: int, noticed: str) -> None:
    _, (boxes, links) = named({"x": "", "a": "x", "b": "a x", "c": "b"})
    layout = layered(boxes, links)
    assert faults(boxes, links, layout) == []
    places = list(layout.boxes)
    places[moved] = places[to]
    wrong = faults(boxes, links, Layout(layout.width, layout.height, tuple(places), layout.routes))
    assert any(noticed in each for each in wrong)


def test_the_judge_notices_labels_and_borders() -> None:
    _, (boxes, links) = named({"x": "", "a": "x", "b": "a x", "c": "b"})
    layout = layered(boxes, links)
    wider = [Link(link.source, link.target, 200, 100, link.port) for link in links]
    assert any("overlaps box" in each for each in faults(boxes, wider, layout))
    assert any("labels" in each for each in faults(boxes, wider, layout))
    narrow = Layout(layout.width / 2, layout.height, layout.boxes, layout.routes)
    assert any("outside" in each for each in faults(boxes, links, narrow))
    moved = (*layout.boxes[:3], layout.routes[1].label)
    through = faults(boxes, links, Layout(layout.width, layout.height, moved, layout.routes))
    assert "link 1 runs through box 3" in through
    swapped = [Link(link.source, link.target, 60, 40, -link.port) for link in links]
    assert any("order" in each for each in faults(boxes, swapped, layout))


def test_an_empty_graph() -> None:
    assert layered([], []) == Layout(0, 0, (), ())


def test_boxes_without_links_are_stacked() -> None:
    boxes = [Box(40, 30), Box(80, 20), Box(60, 50)]
    layout = layered(boxes, [], gap_y=10)
    assert [place.y for place in layout.boxes] == [15, 60, 115]
    assert (layout.width, layout.height) == (80, 140)


def test_the_main_chain_is_a_straight_line() -> None:
    at = placed(MLP)
    assert len({at[name].y for name in ("x", "affine1", "relu", "affine2", "loss")}) == 1


def test_a_leaf_stands_directly_left_of_its_first_consumer() -> None:
    at = placed(MLP)
    assert at["W1"].x == at["b1"].x == at["x"].x
    assert at["W2"].x == at["b2"].x == at["relu"].x
    assert at["t"].x == at["affine2"].x
    shared = placed({"x": "", "a": "x", "w": "", "b": "a w", "c": "b", "d": "c w"})
    assert shared["w"].x == shared["a"].x


def test_what_hangs_on_parameters_stands_near_its_consumer() -> None:
    at = placed({"x": "", "a": "x", "b": "a", "w": "", "s": "w", "e": "s", "y": "b e"})
    assert at["e"].x == at["b"].x
    assert at["w"].x == at["x"].x


@pytest.mark.parametrize(
    "inputs",
    [
        {"apple": "", "count": "", "price": "apple count", "tax": "", "pay": "price tax"},
        {"x": "", "m": "", "minus": "x m", "exp": "minus", "one": "", "plus": "exp one", "inverse": "plus"},
        {"x": "", "a": "x", "b": "a", "sum": "b x", "y": "sum"},
    ],
    ids=["apple", "sigmoid", "residual"],
)
def test_textbook_graphs_have_one_straight_line_from_left_to_right(inputs: dict[str, str]) -> None:
    at = placed(inputs)
    first = next(iter(at.values()))
    line = [place.x for place in at.values() if place.y == first.y]
    assert len(set(line)) == len({place.x for place in at.values()})


def test_a_skip_connection_is_one_level_line() -> None:
    _, (boxes, links) = named({"x": "", "a": "x", "b": "a", "c": "b", "sum": "c x"})
    skip = layered(boxes, links).routes[-1].points
    assert max(b[0] - a[0] for a, b in pairwise(skip) if a[1] == b[1]) > 0.6 * (skip[-1][0] - skip[0][0])
    assert len(skip) <= 6


def test_a_box_used_twice_by_another_has_two_lines() -> None:
    _, (boxes, links) = named(
        {"x": "", "square": "x x", "three": "", "times": "three x", "sum": "square times"}
    )
    layout = layered(boxes, links)
    assert faults(boxes, links, layout) == []
    assert abs(layout.routes[0].label.y - layout.routes[1].label.y) >= 40


def test_links_of_one_source_share_a_thread() -> None:
    inputs = {"w": "", "h0": "", **{f"h{i}": f"h{i - 1} w" for i in range(1, 8)}}
    _, (boxes, links) = named(inputs)
    long = [route.points for route, link in zip(*(layered(boxes, links).routes, links), strict=True)]
    threads = [points for points, link in zip(long, links, strict=True) if link.source == 0][1:]
    assert len({points[1] for points in threads}) == 1
    assert len({points[2][1] for points in threads}) == 1


def test_labels_widen_only_their_own_column() -> None:
    boxes = [Box(40, 30)] * 4
    narrow = [Link(0, 1, 20, 20), Link(1, 2, 20, 20), Link(2, 3, 20, 20)]
    wide = [*narrow[:2], Link(2, 3, 130, 20)]
    assert layered(boxes, wide).width == layered(boxes, narrow).width + 110


def test_straight_lines_do_not_make_the_picture_tall() -> None:
    rng = random.Random(8)
    links = [
        Link(rng.randrange(max(0, i - 12), i), i, 60, rng.uniform(10, 110), port)
        for i in range(1, 200)
        for port in range(rng.randint(1, 2))
    ]
    boxes = [Box(60, 30)] * 200
    layout = layered(boxes, links, gap_y=16)
    columns: dict[float, float] = {}
    for route, link in zip(layout.routes, links, strict=True):
        columns[route.label.x] = columns.get(route.label.x, 0) + link.height + 16
    assert layout.height < 2 * max(columns.values())


def test_no_line_of_a_tree_crosses_another() -> None:
    rng = random.Random(5)
    links = [Link(i, rng.randrange(max(0, i - 4), i), 50, 30, i) for i in range(1, 40)]
    boxes = [Box(60, 30)] * 40
    routes = layered(boxes, links).routes
    for (a, one), (b, two) in combinations(zip(routes, links, strict=True), 2):
        if one.target == two.target:
            assert (a.label.y < b.label.y) == (a.points[-1][1] < b.points[-1][1])


@pytest.mark.parametrize(
    "links", [[Link(0, 0)], [Link(0, 1), Link(1, 0)], [Link(0, 1), Link(1, 2), Link(2, 1)]]
)
def test_a_circle_is_refused(links: list[Link]) -> None:
    with pytest.raises(GraphError, match="circle"):
        layered([Box(40, 30)] * 3, links)


@pytest.mark.parametrize("link", [Link(0, 3), Link(-1, 1)])
def test_a_link_to_nowhere_is_refused(link: Link) -> None:
    with pytest.raises(GraphError, match="3 boxes"):
        layered([Box(40, 30)] * 3, [link])


def test_a_deep_graph_needs_no_recursion_and_little_time() -> None:
    boxes = [Box(60, 30)] * 4000
    links = [Link(i, i + 1, 60, 40) for i in range(3999)]
    begin = time.perf_counter()
    layout = layered(boxes, links)
    assert time.perf_counter() - begin < 10
    assert len({place.y for place in layout.boxes}) == 1


def test_a_hub_takes_little_time() -> None:
    count = 600
    boxes = [Box(60, 30)] * (2 * count + 2)
    links = [Link(i, 2 * count + j, 20, 10, i) for i in range(2 * count) for j in range(2)]
    begin = time.perf_counter()
    layered(boxes, links)
    assert time.perf_counter() - begin < 20
