"""`cr.draw`: what the picture shows is what flowed."""

from __future__ import annotations

import re
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.drawing import Drawing
from chainrule.drawing.drawing import LARGEST_PICTURE
from chainrule.drawing.statistics import heights, number_text, share_text
from chainrule.errors import ArgumentError, FileError, GraphError

NAMESPACE = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "<script>alert(1)</script>",
    "\"quotes\" & 'more'",
    "emoji 🍎",
    "苹果的价格",
    "]]>",
    "a\nb",
    "\x07\ud800x",
]


def shop() -> cr.Graph:
    apple, count, tax = cr.Input("apple"), cr.Input("count"), cr.Input("tax")
    return cr.Graph(((apple * count).named("apples") * tax).named("total"))


FEEDS = {"apple": 100, "count": 2, "tax": 1.1}


def parsed(drawing: Drawing) -> ElementTree.Element:
    return ElementTree.fromstring(drawing.svg())


def parts(root: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [g for g in root.iter(f"{NAMESPACE}g") if kind in g.get("class", "").split()]


def words(element: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in element.iter(f"{NAMESPACE}text")]


def edges(drawing: Drawing) -> dict[tuple[str, str], tuple[str, str]]:
    """What stands above and below each edge, by the names of its ends."""
    found = {}
    for g in parts(parsed(drawing), "edge"):
        edge = drawing.scene.edges[int(g.get("data-edge", ""))]
        ends = (drawing.scene.nodes[edge.source].name, drawing.scene.nodes[edge.target].name)
        above, below = (" ".join(words(parts(g, kind)[0])) for kind in ("value", "gradient"))
        found[ends] = (above, below)
    return found


def test_every_value_and_every_gradient_stands_on_its_edge() -> None:
    assert edges(cr.draw(shop(), FEEDS)) == {
        ("apple", "apples"): ("100", "2.2"),
        ("count", "apples"): ("2", "110"),
        ("apples", "total"): ("200", "1.1"),
        ("tax", "total"): ("1.1", "200"),
        ("total", "output"): ("220", "1"),
    }


def test_a_graph_that_ran_is_drawn_as_it_is() -> None:
    graph = shop()
    graph.forward(FEEDS)
    assert edges(cr.draw(graph))["apple", "apples"] == ("100", "not computed")
    graph.backward()
    assert edges(cr.draw(graph))["apple", "apples"] == ("100", "2.2")


def test_what_was_not_run_shows_shapes_and_no_gradients() -> None:
    assert set(edges(cr.draw(shop())).values()) == {("", "")}
    net = cr.Network(cr.Affine(3), input_shape=2, loss=cr.SoftmaxCrossEntropy(), seed=0)
    drawn = edges(cr.draw(net))
    assert drawn["x", "affine1"] == ("N×2", "")
    assert drawn["affine1", "loss"] == ("N×3", "")
    assert drawn["W1", "affine1"][0].startswith("2×3")  # known without a run
    assert 'class="back' not in cr.draw(net).svg()


def test_labels_have_no_gradient_and_that_is_said() -> None:
    net = cr.Network(cr.Affine(3), input_shape=2, loss=cr.SoftmaxCrossEntropy(), seed=0)
    drawn = edges(cr.draw(net, np.ones((2, 2)), [0, 2]))
    assert drawn["t", "loss"][1] == "no gradient"
    assert ("sample_weight", "loss") not in drawn


def test_each_edge_of_a_value_used_twice_shows_its_own_share() -> None:
    x = cr.Input("x")
    drawing = cr.draw(cr.Graph(x * x * 3.0 + 5 * x), {"x": 2.0})
    shares = [edge.gradient for edge in drawing.scene.edges if drawing.scene.nodes[edge.source].name == "x"]
    assert sorted(float(share) for share in shares if share is not None) == [5, 6, 6]
    x_node = next(node for node in drawing.scene.nodes if node.name == "x")
    assert x_node.gradient == 17


def test_arrays_are_told_by_shape_mean_spread_extremes_and_zeros() -> None:
    x = np.array([[0.0, 1.0, 2.0, 5.0]])
    told = edges(cr.draw(cr.Graph(cr.Sum()(cr.Input("x"))), x))["x", "sum1"]
    assert told == ("1×4 2 ± 1.871 0 … 5 25% zeros", "1×4 all 1")


def test_a_vector_is_not_taken_for_a_number_nor_nearly_all_for_all() -> None:
    x = np.zeros(1_000)
    x[0] = 1
    told = edges(cr.draw(cr.Graph(cr.Sum()(cr.Input("x"))), x))["x", "sum1"][0]
    assert told.startswith("1000 numbers ")
    assert told.endswith(">99% zeros")
    shares = {0: "0%", 1e-9: "<1%", 0.005: "<1%", 0.25: "25%", 0.995: ">99%", 1 - 1e-9: ">99%", 1: "100%"}
    assert {share: share_text(share) for share in shares} == shares


def test_the_gradients_of_the_edges_are_those_of_the_one_run_backward(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []
    plain = cr.Affine.backward

    def counted(self: cr.Affine, dy: Any, saved: Any, **asked: Any) -> Any:
        called.append(type(self).__name__)
        return plain(self, dy, saved, **asked)

    monkeypatch.setattr(cr.Affine, "backward", counted)
    net = cr.Network(cr.Affine(3), cr.ReLU(), cr.Affine(2), input_shape=4, loss=cr.MeanSquaredError(), seed=0)
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(5, 4)).astype("f4"), rng.normal(size=(5, 2)).astype("f4")
    drawn = cr.draw(net, x, t)
    assert called == ["Affine", "Affine"]
    assert drawn.svg()
    page = drawn.html()
    assert called == ["Affine", "Affine"]  # nor are they asked for the local derivatives of a product
    assert page.count('"rule":{') == 9  # of x, W and b of both, of the ReLU, and of x and t of the loss


def test_a_drawing_keeps_what_it_drew() -> None:
    """What is only computed when a page or a picture is asked for is computed from what was there."""
    for dtype in ("float32", "float64"):
        net = cr.Network(
            cr.Affine(4),
            cr.ReLU(),
            cr.Affine(3),
            input_shape=5,
            loss=cr.SoftmaxCrossEntropy(),
            seed=1,
            dtype=dtype,
        )
        x, t = np.random.default_rng(0).normal(size=(6, 5)).astype(dtype), np.arange(6) % 3
        net.graph.forward(x=x, t=t)
        net.graph.backward()
        report = cr.check(net, {"x": x, "t": t})
        sources: list[Any] = [(net,), (net, x), (net, x, t), (net.graph,), (report,)]
        expected = [(each.svg(), each.html()) for each in (cr.draw(*source) for source in sources)]
        drawings = [cr.draw(*source) for source in sources[:-1]]
        x[...] = 7
        t[...] = 0
        net.params.flat[...] += 1
        drawings.append(cr.draw(report))
        assert [(each.svg(), each.html()) for each in drawings] == expected


def test_what_a_layer_saved_and_cannot_be_copied_is_drawn_too() -> None:
    class Locked(cr.layers.Layer):
        """y = 2 x, with a lock beside it."""

        def forward(self, x: Any) -> Any:
            return 2 * x, (x, threading.Lock(), self)

        def backward(self, dy: Any, saved: Any) -> Any:
            x, lock, layer = saved
            assert lock.acquire(blocking=False)
            lock.release()
            assert layer.factor == 2
            return 2 * dy * np.sign(x)

        def __init__(self) -> None:
            self.factor, self.lock = 2, threading.Lock()

    layer, x = Locked(), np.array(3.0)
    drawing = cr.draw(cr.Graph(layer(layer(cr.Input("x")))), x)
    x[...] = -1
    assert edges(drawing)["x", "locked1"] == ("3", "4")
    assert drawing.scene.edges[0].gradient == 4
    assert '"total":4' in drawing.html()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_histogram_of_any_range(dtype: str) -> None:
    kind = np.finfo(dtype)
    steps = np.linspace(-1, 1, 301)
    for low, high in (
        (float(kind.min), float(kind.max)),
        (0.0, float(kind.smallest_subnormal)),
        (1.0, 1.0 + float(kind.eps)),
        (float(kind.max) / 2, float(kind.max)),
    ):
        array = (low / 2 * (1 - steps) + high / 2 * (1 + steps)).astype(dtype)
        array[0], array[-1] = low, high
        bars = heights(array)
        assert len(bars) == 15
        assert max(bars) == 1
        assert bars[0] > 0
        assert bars[-1] > 0
    assert heights(np.zeros(300, dtype)) == [0.0] * 7 + [1.0] + [0.0] * 7


@pytest.mark.parametrize("size", [1, 8, 5_000])
def test_an_array_has_a_small_picture_of_its_values(size: int) -> None:
    root = parsed(cr.draw(cr.Graph(cr.Sum()(cr.Input("x"))), np.linspace(-1, 1, size)))
    value = parts(parts(root, "edge")[0], "value")[0]
    images = len(list(value.iter(f"{NAMESPACE}image")))
    bars = [each for each in value.iter(f"{NAMESPACE}path") if each.get("class") == "bars"]
    assert (images, len(bars)) == {1: (0, 0), 8: (1, 0), 5_000: (0, 1)}[size]


def test_what_is_not_finite_is_red_and_named() -> None:
    drawing = cr.draw(cr.Graph(cr.Sum()(cr.Log()(cr.Input("x")))), np.array([1.0, 0.0, -1.0]))
    bad = [" ".join(words(g)) for g in parts(parsed(drawing), "value") if "bad" in g.get("class", "")]
    assert any("1 NaN, 1 infinite" in each for each in bad)
    assert "NaN" in bad


def test_drawing_changes_nothing() -> None:
    net = cr.Network(
        cr.Affine(4),
        cr.BatchNorm(),
        cr.Dropout(0.5),
        cr.Affine(3),
        input_shape=2,
        seed=0,
        loss=cr.SoftmaxCrossEntropy(),
    )
    x, t = np.random.default_rng(0).normal(size=(5, 2)), [0, 1, 2, 0, 1]
    before = {name: value.copy() for name, value in {**net.params, **net.state}.items()}
    cr.draw(net, x, t, training=True).html()
    after = {**net.params, **net.state}
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert net.graph.last_pass == (None, None)
    graph = shop()
    graph.forward(FEEDS)
    graph.backward()
    cr.draw(graph, {"apple": 1, "count": 1, "tax": 1})
    assert graph.gradients["apple"] == pytest.approx(2.2)


def test_a_drawing_keeps_what_it_was_made_of() -> None:
    graph = shop()
    graph.forward(FEEDS)
    drawing = cr.draw(graph)
    graph.forward({"apple": 1, "count": 1, "tax": 1})
    assert edges(drawing)["apple", "apples"][0] == "100"


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text(name: str) -> None:
    net = cr.draw(cr.Graph((cr.Input(name) * 2.0).named(name + "2")), 3.0, title=name)
    text = net.svg()
    root = ElementTree.fromstring(text)
    assert "<script" not in text
    assert not list(root.iter(f"{NAMESPACE}script"))
    assert "<script>alert" not in net.html()
    assert net._repr_html_().count("<iframe") == 1


def test_a_long_name_is_shortened_and_told_in_full() -> None:
    name = "a" * 300
    root = parsed(cr.draw(cr.Graph(cr.Input(name) * 2.0), 3.0))
    assert max(map(len, words(root))) < 40
    assert any(name in (title.text or "") for title in root.iter(f"{NAMESPACE}title"))


def test_a_graph_of_one_input_is_drawn() -> None:
    assert "x" in words(parsed(cr.draw(cr.Graph(cr.Input("x")), 1.0)))


@pytest.mark.parametrize(
    "array", [np.zeros((0, 3)), np.zeros(0), np.full(3, np.nan), np.array([1e300, -1e300]), np.arange(3)]
)
def test_odd_arrays_are_drawn(array: Any) -> None:
    ElementTree.fromstring(cr.draw(cr.Graph(cr.Sum()(cr.Input("x"))), array).svg())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (220.00000000000003, "220"),
        (0.1 + 0.2, "0.3"),
        (-0.0, "0"),
        (1234.5678, "1235"),
        (123456.7, "123457"),
        (999999.9, "1000000"),
        (1.5e-7, "1.5e-7"),
        (2e9, "2e9"),
        (np.nan, "NaN"),
        (-np.inf, "-∞"),
    ],
)
def test_numbers_are_short(value: float, shown: str) -> None:
    assert number_text(value) == shown


# Files ---------------------------------------------------------------------------------------------------


def test_it_is_saved_as_svg_png_and_html(tmp_path: Path) -> None:
    drawing = cr.draw(shop(), FEEDS)
    assert ElementTree.parse(drawing.save(tmp_path / "a.svg")).getroot().tag == f"{NAMESPACE}svg"
    assert drawing.save(tmp_path / "a.html").read_text().startswith("<!DOCTYPE html>")
    image = pytest.importorskip("PIL.Image").open(drawing.save(str(tmp_path / "a.PNG"))).convert("RGB")
    root = parsed(drawing)
    assert image.size == (2 * int(root.get("width", "")), 2 * int(root.get("height", "")))
    colours = {colour for _, colour in image.getcolors(1 << 24)}
    assert {(255, 255, 255), (29, 95, 168), (184, 71, 11)} <= colours  # paper, values, gradients


@pytest.mark.parametrize("name", ["a.jpg", "a", ".svg"])
def test_another_ending_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"\.svg, \.png or \.html"):
        cr.draw(shop()).save(tmp_path / name)
    with pytest.raises(FileError):
        cr.draw(shop()).save(tmp_path / "missing" / "a.svg")


def test_letters_are_drawn_where_no_font_is_installed() -> None:
    import resvg_py

    from chainrule.drawing.png import _fonts

    svg = cr.draw(shop(), FEEDS).svg()
    with_fonts = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True, font_files=_fonts())
    without = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    assert len(with_fonts) > len(without)


def test_show_opens_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    path = cr.draw(shop(), FEEDS).show()
    assert opened == [path.as_uri()]
    assert path.read_text().startswith("<!DOCTYPE html>")


# What can be drawn ---------------------------------------------------------------------------------------


def test_a_network_up_to_its_output_has_no_gradients() -> None:
    net = cr.Network(cr.Affine(3), cr.ReLU(), input_shape=2, loss=cr.MeanSquaredError(), seed=0)
    drawing = cr.draw(net, np.ones((2, 2)))
    assert [node.name for node in drawing.scene.nodes][-2:] == ["relu1", "output"]
    assert {below for _, below in edges(drawing).values()} == {"not computed"}


@pytest.mark.parametrize("wrong", [cr.Input("x"), 3, None, "graph", cr.ReLU()])
def test_anything_else_is_refused(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match="draw: expected a graph, a network or the report"):
        cr.draw(wrong)


def test_missing_and_unknown_data_are_named() -> None:
    with pytest.raises(GraphError, match="tax"):
        cr.draw(shop(), {"apple": 1, "count": 2})
    with pytest.raises(GraphError, match="pear"):
        cr.draw(shop(), {**FEEDS, "pear": 1})
    net = cr.Network(cr.Affine(3), input_shape=2, loss=cr.SoftmaxCrossEntropy(), seed=0)
    with pytest.raises(ArgumentError, match="without data"):
        cr.draw(net, t=[1])


# Checks --------------------------------------------------------------------------------------------------


class Doubled(cr.Layer):
    """y = x^2,    dL/dx = dL/dy * 2 x."""

    def forward(self, x: Any) -> Any:
        return x**2, x

    def backward(self, dy: Any, x: Any) -> Any:
        return dy * 4 * x


def test_a_failed_check_is_drawn_with_the_guilty_in_red() -> None:
    x, w = cr.Input("x"), cr.Parameter("w", np.arange(1.0, 9.0).reshape(4, 2))
    report = cr.check(cr.Graph(cr.Sum()(Doubled()(x @ w))), x=np.linspace(-1, 2, 12).reshape(3, 4))
    assert not report.passed
    finding = report.findings[0]
    drawing = cr.draw(report)
    root = parsed(drawing)
    (node,) = parts(parts(root, "all")[0], "guilty")[-1:]
    assert drawing.scene.nodes[int(node.get("data-node", ""))].name == "doubled1" == finding.node
    (edge,) = [g for g in parts(root, "edge") if "guilty" in g.get("class", "")]
    assert drawing.scene.edges[int(edge.get("data-edge", ""))].slot == "x"
    assert finding.analytic is not None
    assert finding.numerical is not None
    told = " ".join(words(edge))
    assert number_text(finding.analytic) in told
    assert f"should be {number_text(finding.numerical)}" in told
    assert finding.mistake in " ".join(words(node))


def test_a_passed_check_has_nothing_red() -> None:
    drawing = cr.draw(cr.check(cr.Sigmoid()))
    assert not parts(parsed(drawing), "guilty")
    assert "nothing wrong was found" in words(parsed(drawing))


def test_the_check_of_one_layer_is_drawn_with_its_inputs() -> None:
    drawing = cr.draw(cr.check(Doubled()))
    assert [node.name for node in drawing.scene.nodes] == ["x", "Doubled", "output"]
    assert len([g for g in parts(parsed(drawing), "edge") if "guilty" in g.get("class", "")]) == 1


def test_a_backward_that_fails_is_drawn() -> None:
    class Fails(Doubled):
        def backward(self, dy: Any, x: Any) -> Any:
            raise RuntimeError("no")

    drawing = cr.draw(cr.check(cr.Graph(cr.Sum()(Fails()(cr.Input("x")))), x=np.ones(3)))
    assert any("guilty" in g.get("class", "") for g in parts(parsed(drawing), "node"))
    drawing.html()


# Large graphs --------------------------------------------------------------------------------------------


def deep(layers: int) -> cr.Network:
    chain = [layer for _ in range(layers) for layer in (cr.Affine(5), cr.ReLU())]
    return cr.Network(*chain, cr.Affine(3), input_shape=5, loss=cr.SoftmaxCrossEntropy(), seed=0)


def test_what_repeats_is_one_box() -> None:
    net = deep(8)
    drawing = cr.draw(net, np.ones((2, 5)), [0, 1], collapse=True)
    labels = [text for g in parts(parsed(drawing), "block") for text in words(g)]
    assert labels[0] == "8 × (Affine → ReLU)"
    assert labels[1] == "affine1 … relu8"


def test_without_repeats_collapse_changes_nothing() -> None:
    assert cr.draw(shop(), FEEDS, collapse=True).svg() == cr.draw(shop(), FEEDS).svg()


def test_a_picture_above_the_limit_is_collapsed_and_says_so() -> None:
    net = deep(LARGEST_PICTURE // 4 + 5)
    drawing = cr.draw(net, np.ones((2, 5)), [0, 1])
    count = len(drawing.scene.nodes)
    assert count > LARGEST_PICTURE
    assert len(parts(parsed(drawing), "node")) < 20
    assert any(f"{count:,} nodes, put together" in text for text in words(parsed(drawing)))
    whole = cr.draw(net, np.ones((2, 5)), [0, 1], collapse=False)
    assert len(parts(parsed(whole), "node")) == count


def test_a_large_graph_without_repeats_is_cut_into_parts() -> None:
    node: cr.Node = cr.Input("x")
    for kind in np.random.default_rng(0).integers(0, 3, size=LARGEST_PICTURE):
        node = [node * 1.01, node + 1.0, cr.Tanh()(node)][kind]
    drawing = cr.draw(cr.Graph(node), 1.0)
    blocks = parts(parsed(drawing), "block")
    assert 2 <= len(blocks) <= 60
    members = [name for node in drawing.scene.nodes for name in node.members]
    assert not members  # the scene itself is whole


def test_a_parameter_shared_by_all_repeats_adds_up_at_the_box() -> None:
    w = cr.Parameter("w", 1.1)
    node: cr.Node = cr.Input("x")
    for _ in range(6):
        node = cr.Tanh()(node * w)
    graph = cr.Graph(node)
    drawing = cr.draw(graph, 0.7, collapse=True)
    graph.forward(x=0.7)
    total = graph.backward()["w"]
    found = {" ".join(words(g)) for g in parts(parsed(drawing), "gradient")}
    assert number_text(float(total)) in found


# The pictures in the documents ---------------------------------------------------------------------------


def pictures() -> dict[str, Any]:
    import runpy

    folder = Path(__file__).parents[1] / "docs" / "pictures"
    return dict(runpy.run_path(str(folder / "graphs.py"))["PICTURES"])


@pytest.mark.parametrize(
    "name", ["apple-shop", "sigmoid", "affine", "softmax-with-cross-entropy", "wrong-backward"]
)
def test_the_documents_show_what_the_library_draws(name: str) -> None:
    kept = Path(__file__).parents[1] / "docs" / "pictures" / f"{name}.svg"

    def comparable(svg: str) -> str:
        return re.sub(r'href="data:[^"]*"', "", svg)  # how a PNG is packed differs from version to version

    assert comparable(kept.read_text()) == comparable(pictures()[name]().svg())


def test_the_softmax_picture_ends_in_y_minus_t() -> None:
    drawn = pictures()["softmax-with-cross-entropy"]()
    scores = np.array([0.3, 2.9, 4.0])
    y = np.exp(scores) / np.exp(scores).sum()
    found = {node.name: node.gradient for node in drawn.scene.nodes}
    for name, expected in zip(("a1", "a2", "a3"), y - [0, 0, 1], strict=True):
        assert found[name] == pytest.approx(expected)
