"""The comparison of the gradients after a training: what it compares, and that it finds what is wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest
import rich.progress

import chainrule as cr
from chainrule.cli import gradients
from chainrule.cli.check import check_network
from chainrule.cli.gradients import affordable, compare_gradients, sampled
from chainrule.cli.rows import ROWS, feeds, unlearned

(X, T), _ = cr.datasets.load_digits()


class Broken(cr.layers.Layer):
    """y = 2 x, whose backward is wrong by a share."""

    def __init__(self, share=0.001):
        self.share = share

    def forward(self, x):
        return 2 * x, None

    def backward(self, dy, saved):
        return (2 + self.share) * dy


def network(hidden, *more):
    inside = [cr.Affine(hidden), cr.ReLU(), *more, cr.Affine(10)]
    return cr.Network(*inside, input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0)


@pytest.mark.parametrize("hidden", [5, 400])
@pytest.mark.parametrize("share", [0, 0.001, -2, -4])
def test_a_wrong_gradient_is_found_at_any_size(hidden, share):
    told = compare_gradients(network(hidden, Broken(share)), X, T)
    assert ("DISAGREES" if share else "agrees") in told


def test_how_many_are_compared_follows_from_the_size():
    assert "on all 385 parameters" in compare_gradients(network(5), X, T)
    assert affordable(network(50)) >= 3760  # the example of the documents is compared whole
    told = [
        re.search(r"on ([\d,]+) of 30,010 parameters", compare_gradients(network(400), X, T))
        for _ in range(2)
    ]
    assert told[0][1] == told[1][1]
    assert 1000 < int(told[0][1].replace(",", "")) < 5000


def test_a_sample_goes_evenly_over_every_array():
    sizes = [100_000, 10, 2000, 0, 50_000, 1]
    arrays = sampled(sizes, 1500, 3)
    assert [len(each) for each in arrays[1::2]] == [10, 0, 1]
    starts = np.cumsum([0, *sizes])
    for k, places in enumerate(arrays):
        assert (np.diff(places) > 0).all()
        assert ((starts[k] <= places) & (places < starts[k + 1])).all()
    quarters = np.histogram(arrays[0], 4, (0, 100_000))[0]
    assert quarters.max() - quarters.min() <= 1
    assert len(arrays[2]) >= gradients.FEW
    assert 1400 < sum(map(len, arrays)) < 1600
    assert all((a == b).all() for a, b in zip(arrays, sampled(sizes, 1500, 3), strict=True))
    assert not (arrays[0] == sampled(sizes, 1500, 4)[0]).all()
    assert np.concatenate(sampled([3, 4], 7, 0)).tolist() == list(range(7))


def test_a_kink_beside_a_value_is_no_mistake():
    net = network(5)
    twin = net.astype("float64")
    first = X[0] @ twin.params["W1"][:, 2]
    net = cr.Network(
        cr.Affine(5),
        cr.ReLU(),
        cr.Affine(10),
        input_shape=64,
        loss=cr.SoftmaxCrossEntropy(),
        seed=0,
        dtype="float64",
    )
    net.params["b1"][2] = 1e-6 - first  # the usual step crosses 0
    assert "agrees" in compare_gradients(net, X[:1], T[:1])


def test_gradients_of_what_was_learned_are_checked_with_other_targets():
    two = T < 2
    x, t = X[two], T[two]
    net = network(50)
    net.fit(x, t, optimizer=cr.Adam(0.01), epochs=50)
    net.params["W2"] *= 4  # as a much longer training would
    assert net.loss(x, t) < 1e-7
    assert "DISAGREES" in compare_gradients(net, x, t)
    other = unlearned(t, ROWS)
    assert (other != t[:ROWS]).all()
    assert "agrees" in compare_gradients(net, x[:ROWS], other)
    assert check_network(net, feeds(net, x[:ROWS], other)).passed


def test_targets_of_other_rows():
    assert unlearned(np.array([3, 3, 5, 3]), 3).tolist() == [5, 5, 3]
    assert unlearned(np.array([[1.5], [1.5], [0.5]]), 10).tolist() == [[0.5], [0.5], [1.5]]
    assert unlearned(np.ones((4, 1)), 2).tolist() == [[1.0], [1.0]]  # there is no other
    assert unlearned(np.eye(3), 2).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_the_fastest_of_several_calls_is_told(monkeypatch):
    ticks = iter([0, 7, 10, 10.001, 20, 25, 30, 32])
    monkeypatch.setattr(gradients.time, "perf_counter", lambda: next(ticks))
    assert "is 2,000 times faster: 1.00 ms, not 2.0 s" in compare_gradients(network(5), X, T)


def test_a_bar_is_shown_where_somebody_watches(monkeypatch):
    said = []
    monkeypatch.setattr(rich.progress, "track", lambda places, words, **_: (said.append(words), places)[1])
    compare_gradients(network(5), X, T)
    assert said == []
    monkeypatch.setattr(gradients, "is_watched", lambda: True)
    compare_gradients(network(5), X, T)
    assert said == ["checking gradients"]
