"""`validation=0.2`: a share of the data that is held out; and batches that weigh nothing."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, DataError
from chainrule.randomness import held_out

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
K = np.repeat([0, 1, 2], [40, 10, 10])
W = RNG.uniform(0.5, 2, size=60)


def network(loss: Any = "cross_entropy", **arguments: Any) -> cr.Network:
    return cr.Network([cr.Affine(3)], input_shape=4, loss=loss, **({"seed": 0} | arguments))


@pytest.mark.parametrize(
    "t", [K, np.array(["a", "b", "c"])[K], np.eye(3)[K]], ids=["labels", "text", "one-hot"]
)
def test_a_share_is_the_pair_of_the_rows_held_out(t: Any) -> None:
    """The same share of each class, by the seed; and the weights of samples go with their rows."""
    held = held_out(60, 0.2, 5, K)
    np.testing.assert_array_equal(np.bincount(K[held]), [8, 2, 2])
    by_share, by_hand = network(), network()
    arguments: dict[str, Any] = {"epochs": 3, "batch_size": 10, "seed": 5, "optimizer": "adam"}
    first = by_share.fit(X, t, validation=0.2, sample_weight=W, **arguments)
    by_hand.classes = by_share.classes
    second = by_hand.fit(
        X[~held], t[~held], sample_weight=W[~held], validation=(X[held], t[held]), **arguments
    )
    np.testing.assert_array_equal(by_share.params.flat, by_hand.params.flat)
    assert first.train_loss == second.train_loss
    assert first.test_accuracy == second.test_accuracy
    assert first.test_loss[-1] == by_share.loss(X[held], t[held], W[held])
    assert first.settings["samples"] == 48


def test_a_regression_and_several_labels_hold_out_a_share_of_all_rows() -> None:
    for loss, t in (("mse", X[:, :3]), ("binary_cross_entropy", np.eye(3)[K])):
        net = network(loss)
        history = net.fit(X, t, epochs=1, validation=0.25)
        held = held_out(60, 0.25, net.seed)
        assert held.sum() == 15
        assert history.test_loss[-1] == pytest.approx(net.loss(X[held], t[held]))


def test_ten_times_one_epoch_is_ten_epochs() -> None:
    by_parts, at_once = network(), network()
    for _ in range(10):
        by_parts.fit(X, K, epochs=1, batch_size=7, validation=0.3, optimizer="momentum")
    at_once.fit(X, K, epochs=10, batch_size=7, validation=0.3, optimizer="momentum")
    np.testing.assert_array_equal(by_parts.params.flat, at_once.params.flat)


def test_a_state_is_restored_in_a_training_of_the_same_share() -> None:
    arguments: dict[str, Any] = {"optimizer": "adam", "batch_size": 7, "validation": 0.3}
    first, second = (network().training(X, K, **arguments) for _ in range(2))
    first.steps(9)
    second.restore(first.state())
    assert first.steps(5) == second.steps(5)
    assert first.measure() == second.measure()
    with pytest.raises(ArgumentError, match="samples"):
        network().training(X, K, **(arguments | {"validation": 0.2})).restore(first.state())


def test_the_data_of_several_inputs_are_split_alike() -> None:
    a, b = cr.Input("a", shape=(4,)), cr.Input("b", shape=(4,))
    net = cr.Network(output=cr.Affine(3)(a + b), loss="cross_entropy", seed=0)
    alone = cr.Network(output=cr.Affine(3)(cr.Input("a", shape=(4,)) * 2), loss="cross_entropy", seed=0)
    history = net.fit({"a": X, "b": X}, K, epochs=2, validation=0.2)
    assert history.test_loss == pytest.approx(alone.fit(X, K, epochs=2, validation=0.2).test_loss)


def test_a_list_works_as_the_pair() -> None:
    histories = [network().fit(X, K, epochs=1, validation=pair) for pair in ((X, K), [X, K])]
    assert histories[0].test_loss == histories[1].test_loss


def test_every_class_is_left_to_train_on() -> None:
    groups = np.array([0] * 6 + [1] + [2] * 2)
    for share in (0.6, 0.99):
        assert set(groups[~held_out(9, share, 0, groups)]) == {0, 1, 2}
    assert (~held_out(9, 0.99, 0)).sum() == 1


@pytest.mark.parametrize("share", [0.0, 1, 1.5, -0.2, float("nan")])
def test_a_share_lies_between_0_and_1(share: float) -> None:
    with pytest.raises(ArgumentError, match=r"validation: expected a number in \(0, 1\), got"):
        network().fit(X, K, epochs=1, validation=share)


def test_too_few_rows_for_the_share_are_said() -> None:
    for share in (0.1, 0.9):
        net = network()
        with pytest.raises(
            DataError, match=rf"validation: 3 rows are too few to hold out a share of {share} of each"
        ):
            net.fit(X[::20], [0, 1, 2], epochs=1, validation=share)
        assert net.iterations == 0
    with pytest.raises(
        DataError, match=r"validation: 2 rows are too few to hold out a share of 0.1; give more"
    ):
        network("mse").fit(X[:2], X[:2, :3], epochs=1, validation=0.1)


def test_parts_of_weight_0_are_said() -> None:
    held = held_out(60, 0.2, 0, K)
    for weights, part in ((held, "to train on"), (~held, "held out")):
        with pytest.raises(DataError, match=rf"validation: of the rows {part}, every sample_weight is 0"):
            network().fit(X, K, epochs=1, validation=0.2, sample_weight=weights.astype(float), batch_size=5)


# Batches of weight 0 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
def test_a_batch_of_weight_0_is_refused_before_the_training(sampling: Any) -> None:
    """Exactly where a batch of the training would be one, and nothing has changed then."""
    weights = np.zeros(60)
    weights[::3] = 1
    arguments: dict[str, Any] = {"batch_size": 4, "sampling": sampling, "sample_weight": weights}
    seen = set()
    for seed in range(6):
        for steps in (1, 2, 6, 20):
            net = network(seed=seed)
            made = net.training(X, K, **(arguments | {"sample_weight": None}))
            batches = [made.progress.next_batches(1).numbers]
            for _ in range(steps - 1):
                made.progress.advance(1)
                batches.append(made.progress.next_batches(1).numbers)
            is_empty = any(not weights[rows].any() for rows in batches)
            seen.add(is_empty)
            net = network(seed=seed)
            before = net.params.flat.copy()
            if not is_empty:
                net.fit(X, K, iterations=steps, **arguments)
                continue
            with pytest.raises(
                DataError, match=r"would hold only rows whose sample_weight is 0.*leave the rows"
            ):
                net.fit(X, K, iterations=steps, **arguments)
            np.testing.assert_array_equal(net.params.flat, before)
            assert net.progress.state is None
    assert seen == {True, False}


def test_what_is_left_of_an_epoch_is_looked_at_only() -> None:
    weights = np.ones(60)
    order = network().training(X, K, batch_size=6).batches.order_of(0)
    weights[order[:6]] = 0
    arguments: dict[str, Any] = {"batch_size": 6, "sample_weight": weights}
    with pytest.raises(DataError, match=r"batch 1 of epoch 1 would"):
        network().fit(X, K, iterations=1, **arguments)
    net = network()
    net.fit(X, K, iterations=1, batch_size=6)  # past that batch
    again = copy.deepcopy(net)
    net.fit(X, K, iterations=9, **arguments)
    with pytest.raises(DataError, match=r"batch \d+ of epoch \d+ would"):
        again.fit(X[:12], K[:12], epochs=1, batch_size=6, sample_weight=np.arange(12) == 0)


def test_a_batch_of_classes_of_weight_0_is_refused_before_the_training() -> None:
    net = network(cr.SoftmaxCrossEntropy(class_weights=[0, 1, 1]))
    with pytest.raises(DataError, match=r"would hold only rows whose weight of the class is 0"):
        net.fit(X, K, epochs=5, batch_size=2)
    assert net.iterations == 0
    net.fit(X, K, epochs=2, batch_size=60)
