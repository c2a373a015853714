"""Random numbers: the published generator, from which the class Dropout and the machine draw the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.loop import Batches
from chainrule.program.calls import Call
from chainrule.program.layout import variants
from chainrule.program.operations.dropout import DROPOUT, DROPOUT_GRADIENT
from chainrule.program.table import Instruction, Place
from chainrule.randomness import kept, layer_key, layer_stream, threshold
from conftest import cut_small
from test_machine import DTYPES, Bench, values

#: Counter, key and result of Philox4x64-10, from the known-answer tests of Random123.
VECTORS = [
    ([0, 0, 0, 0], [0, 0], [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]),
    (
        [2**64 - 1] * 4,
        [2**64 - 1] * 2,
        [0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0],
    ),
    (
        [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89],
        [0x452821E638D01377, 0xBE5466CF34E90C6C],
        [0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6],
    ),
]


def philox(counter: list[int], key: list[int]) -> list[int]:
    """One block, written down once more from the paper."""
    (a, b, c, d), (k0, k1), mask = counter, key, 2**64 - 1
    for _ in range(10):
        one, two = a * 0xD2E7470EE14C6C93, c * 0xCA5A826395121157
        a, b, c, d = (two >> 64) ^ b ^ k0, two & mask, (one >> 64) ^ d ^ k1, one & mask
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return [a, b, c, d]


@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_the_generator_gives_the_published_numbers(
    counter: list[int], key: list[int], expected: list[int]
) -> None:
    assert philox(counter, key) == expected


def test_the_words_of_a_layer_are_as_the_formula_says() -> None:
    key, step = layer_key(seed=3, node=5), 12
    numbers = [int(word) for word in key]
    blocks = [philox([1 + k, step, 0, 0], numbers) for k in range(4)]
    words = [half for block in blocks for word in block for half in (word & 0xFFFFFFFF, word >> 32)]
    for rate in (0.0, 0.3, 0.5, 0.999):
        expected = np.array(words[:30]) >= threshold(rate)
        np.testing.assert_array_equal(kept(layer_stream(key, step), (5, 6), rate).ravel(), expected)


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 64), (33, 21), (5, 300)])
def test_dropout_drops_what_the_class_drops(
    where: str, dtype: str, parts: int, shape: tuple[int, int]
) -> None:

    layer, key = cr.Dropout(0.3), layer_key(7, 2)
    x, dy = values(shape, dtype, 1), values(shape, dtype, 2)
    x.flat[0], dy.flat[0] = np.nan, np.inf
    y, saved = layer.forward(x, training=True, rng=layer_stream(key, 4))
    for training in (True, False):
        bench = Bench(shape[0], dtype, parts)
        a, out = bench.batch(x), bench.batch(np.zeros_like(x))
        factors, upstream = bench.batch(np.zeros_like(x)), bench.batch(dy)
        k = Place("key", "indices", (2,), 1, 0, (2,))
        bench.arrays.append((k, key.view(np.int64)))
        numbers = threshold(0.3), 1 / 0.7
        made = bench.run(
            Instruction(DROPOUT, (a, k, factors, out), numbers, 0),
            Instruction(DROPOUT_GRADIENT, (upstream, factors), (), 0),
            where=where,
            layer=layer,
            call=Call({}, shape[0], 1, np.arange(shape[0]).reshape(1, -1), iteration=4, training=training),
        )
        if training:
            np.testing.assert_allclose(made[1], y, rtol=1e-6)
            np.testing.assert_allclose(made[3], layer.backward(dy, saved), rtol=1e-6)
            assert shape == (1, 1) or 0 < np.count_nonzero(made[1]) < x.size
        else:
            np.testing.assert_array_equal(made[1], x)
            np.testing.assert_array_equal(made[3], dy)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_training_draws_what_the_graph_draws(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of many epochs, a smaller last batch, two uses of one layer, and layers behind each other."""
    cut_small(monkeypatch)
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(37, 6)), rng.integers(0, 3, 37)
    shared = cr.Dropout(0.5)

    def network() -> cr.Network:
        layers: list[Any] = [cr.Affine(9), shared, cr.ReLU(), shared, cr.Dropout(0), cr.Affine(3)]
        return cr.Network(*layers, input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=1, dtype="float64")

    net, by_hand = network(), network()
    assert not net.program(8, t).trains_in_python
    history = net.fit(x, t, epochs=3, batch_size=8, optimizer=cr.SGD(0.1), threads=threads)

    batches = Batches(37, 8, "shuffle", seed=1)
    drawn = [rows for epoch in range(3) for rows in batches.of_epoch(epoch)]
    losses = []
    for step, rows in enumerate(drawn):
        feeds = {"x": x[rows], "t": t[rows]}
        losses.append(float(by_hand.graph.forward(feeds, training=True, step=step)))
        gradients = by_hand.graph.backward(wrt=by_hand.params)
        for name in by_hand.params:
            by_hand.params[name] -= 0.1 * gradients[name]
    np.testing.assert_allclose(history.loss, losses, rtol=1e-10)
    np.testing.assert_allclose(net.params.flat, by_hand.params.flat, rtol=1e-9, atol=1e-12)


def test_a_share_of_the_elements_is_dropped_and_the_mean_kept() -> None:
    keep = kept(layer_stream(layer_key(0, 1), 0), (1000, 1000), 0.3)
    assert keep.mean() == pytest.approx(0.7, abs=0.002)
    other = kept(layer_stream(layer_key(0, 2), 0), (1000, 1000), 0.3)
    later = kept(layer_stream(layer_key(0, 1), 1), (1000, 1000), 0.3)
    for another in (other, later, np.roll(keep, 1), np.roll(keep, 8)):  # independent of each other
        assert (keep & another).mean() == pytest.approx(0.49, abs=0.002)
