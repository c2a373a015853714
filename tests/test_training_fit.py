"""Network.fit: which batches it trains on, that it can be repeated, and what it does to the user's data."""

from __future__ import annotations

import collections
import tracemalloc

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError
from chainrule.loop import Batches, train

RNG = np.random.default_rng(0)
X = RNG.normal(size=(53, 6)).astype(np.float32)
T = RNG.integers(3, size=53)


def network(*layers, seed=0, dtype="float32"):
    layers = layers or (cr.Affine(5), cr.ReLU(), cr.Affine(3))
    return cr.Network(*layers, input_shape=(6,), loss=cr.SoftmaxCrossEntropy(), seed=seed, dtype=dtype)


def batches_of(epochs, batches=None, **arguments):
    """The rows of every batch, over some epochs of 53 samples."""
    if batches is None:
        batches = Batches.make(53, **({"batch_size": 10, "sampling": "shuffle", "seed": 1} | arguments))
    return [rows for epoch in range(epochs) for rows in batches.of_epoch(epoch)]


class Recorder:
    """A training of six steps an epoch that notes how many it was asked for at a time."""

    rates = (0.5,)
    done = 0

    def __init__(self):
        self.calls = []

    @property
    def left_of_epoch(self):
        return 6 - self.done % 6

    @property
    def is_between_epochs(self):
        return self.done % 6 == 0

    def steps(self, n):
        self.calls.append(n)
        self.done += 1
        return [1.0]  # fewer than it was asked for

    def measure(self):
        return {"train_loss": 1.0}


class Seen(cr.Layer):
    """Passes x on, and notes the first column of every batch it was trained on."""

    batches: list = []  # noqa: RUF012  # emptied by each test

    def forward(self, x, *, training):
        if training:
            self.batches.append(x[:, 0].copy())
        return x, None

    def backward(self, dy, saved):
        return dy


@pytest.fixture
def seen():
    Seen.batches.clear()
    return Seen.batches


# Batches


def test_shuffle_visits_every_sample_once_an_epoch():
    assert Batches(53, 10, "shuffle", 1).epoch_length == 6
    batches = batches_of(4)
    assert [len(rows) for rows in batches] == [10, 10, 10, 10, 10, 3] * 4
    epochs = [np.concatenate(batches[k : k + 6]) for k in range(0, 24, 6)]
    for rows in epochs:
        np.testing.assert_array_equal(np.sort(rows), np.arange(53))
    assert len({tuple(rows) for rows in epochs}) == 4
    assert all((rows != np.arange(53)).any() for rows in epochs)


def test_fit_visits_every_sample_once_an_epoch(seen):
    net = network(Seen(), cr.Affine(3))
    net.fit(X, T, epochs=3, batch_size=20)
    assert [len(batch) for batch in seen] == [20, 20, 13] * 3
    for k in range(0, 9, 3):
        np.testing.assert_array_equal(np.sort(np.concatenate(seen[k : k + 3])), np.sort(X[:, 0]))


def test_inputs_targets_and_weights_stay_together():
    x = np.arange(53.0)[:, np.newaxis] / 53

    class Check(cr.Loss):
        def forward(self, x, t, sample_weight=None):
            np.testing.assert_array_equal(x[:, 0], t[:, 0])
            if x.any():  # a program first tries its layers on zeros
                np.testing.assert_array_equal(t[:, 0], sample_weight)
            return np.mean(x), x

        def backward(self, dy, x):
            return np.zeros_like(x), None, None

    keep = cr.Input("x", shape=(1,)) * cr.Parameter("one", 1.0)
    net = cr.Network(output=keep, loss=Check(), dtype="float64", seed=0)
    history = net.fit(x, x, epochs=2, batch_size=10, sample_weight=x[:, 0])
    assert len(history.loss) == 12


def test_replacement_draws_every_row_independently():
    batches = batches_of(200, sampling="replacement", batch_size=26)
    assert len(batches) == 400  # 53 // 26 in an epoch
    assert all(len(rows) == 26 for rows in batches)
    counts = collections.Counter(np.concatenate(batches).tolist())
    expected = 400 * 26 / 53
    assert set(counts) == set(range(53))
    assert all(abs(count - expected) < 5 * expected**0.5 for count in counts.values())
    repeated = np.mean([len(set(rows.tolist())) < 26 for rows in batches])
    assert repeated > 0.98  # almost every batch of 26 draws holds some row twice


def test_iterations_may_end_inside_an_epoch(seen):
    network(Seen(), cr.Affine(3)).fit(X, T, iterations=8, batch_size=10)
    assert [len(rows) for rows in seen] == [10, 10, 10, 10, 10, 3, 10, 10]


def test_the_loop_asks_for_steps_up_to_what_is_due():
    training = Recorder()
    history = train(training, 7, settings={"note": 1})
    assert training.calls[0] == 1
    assert all(n <= 6 - k % 6 for k, n in enumerate(training.calls))
    assert history.loss == [1.0] * 7
    assert history.learning_rate == [0.5] * 7
    assert history.measured_at == [6, 7]
    assert (history.stopped, history.settings) == ("finished", {"note": 1})
    assert history.seconds == sorted(history.seconds)


# Repeating


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
def test_the_same_seed_gives_the_same_training_bit_for_bit(sampling):
    def run(seed, fit_seed=None):
        net = network(cr.Affine(5), cr.Dropout(0.3), cr.Affine(3), seed=seed)
        history = net.fit(X, T, iterations=15, batch_size=10, sampling=sampling, seed=fit_seed)
        return net.params.flat.tobytes(), history.loss

    assert run(3) == run(3)
    assert run(3) != run(4)
    assert run(3, 8) == run(3, 8)
    assert run(3, 3) == run(3)
    assert run(3, 8) != run(3, 9)
    assert run(3, np.int64(8)) == run(3, 8)


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
def test_a_second_fit_does_not_repeat_the_draws(seen, sampling):
    net = network(Seen(), cr.Affine(3))
    for _ in range(2):
        net.fit(X, T, epochs=1, batch_size=10, sampling=sampling, seed=5)
    assert net.iterations == len(seen)
    half = len(seen) // 2
    assert not any(np.array_equal(a, b) for a, b in zip(seen[:half], seen[half:], strict=True))


def test_a_second_fit_does_not_repeat_the_masks():
    class Masks(cr.Layer):
        drawn: list = []  # noqa: RUF012

        def forward(self, x, *, training, rng):
            if training:
                self.drawn.append(rng.random(3).tolist())
            return x, None

        def backward(self, dy, saved):
            return dy

    net = network(Masks(), cr.Affine(3), Masks())
    for _ in range(2):
        net.fit(X, T, iterations=3, batch_size=10)
    assert len(Masks.drawn) == len({tuple(each) for each in Masks.drawn}) == 12


def test_the_optimizer_follows_its_schedule_over_the_whole_training():
    schedule = cr.schedules.Cosine(0.4)
    history = network().fit(X, T, optimizer=cr.SGD(schedule), epochs=2, batch_size=10)
    assert history.learning_rate == [schedule(k, 12) for k in range(12)]


def test_the_default_optimizer_is_adam_with_a_rate_that_falls_and_the_textbooks_is_sgd():
    first = network().fit(X, T, epochs=2, batch_size=10)
    said = cr.Adam(cr.schedules.InverseSquareRoot(0.01), clip_norm=1.0)
    assert first.loss == network().fit(X, T, epochs=2, batch_size=10, optimizer=said).loss
    assert first.learning_rate[0] == 0.01 > first.learning_rate[-1]
    textbook = cr.TwoLayerNet(X.shape[1], 5, 3, seed=0).fit(X, T, epochs=2, batch_size=10)
    assert textbook.learning_rate == [0.1] * 12
    assert textbook.settings["optimizer"] == "SGD(learning_rate=0.1)"


@pytest.mark.parametrize("columns", [1, 3, 10, 30])
@pytest.mark.parametrize("units", [50, 200])
def test_a_line_is_learnt_with_every_default_from_any_seed(columns, units):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(1320, columns))
        t = (3 * x + 2).sum(axis=1, keepdims=True) + 0.1 * rng.normal(size=(1320, 1))
        t = (t - t.mean()) / t.std()
        layers = [cr.Affine(units), cr.ReLU(), cr.Affine(1)]
        net = cr.Network(*layers, input_shape=columns, loss=cr.MeanSquaredError(), seed=seed)
        net.fit(x[:320], t[:320], epochs=20)
        assert 1 - net.loss(x[320:], t[320:]) > 0.95, seed


def test_one_optimizer_trains_two_networks_as_two_would():
    shared = cr.Adam(0.01)
    runs = [
        network(seed=0).fit(X, T, optimizer=each, epochs=2, batch_size=10).loss
        for each in (shared, shared, cr.Adam(0.01))
    ]
    assert runs[0] == runs[1] == runs[2]


# The user's data


def frozen(array):
    array.flags.writeable = False
    return array


def test_data_are_never_written_to():
    x, t, w = frozen(X.astype(np.float32)), frozen(T.copy()), frozen(np.ones(53, np.float32))
    one_hot = frozen(np.eye(3, dtype=np.float32)[T])
    layers = cr.BatchNorm(), cr.Affine(5), cr.ReLU(), cr.Dropout(0.2), cr.Affine(3)
    network(*layers).fit(x, t, epochs=2, batch_size=10, sample_weight=w, validation=(x, t))
    network(*layers).fit(x, one_hot, epochs=2, batch_size=10, validation=(x, one_hot))
    frozen_all = network(cr.LeakyReLU())
    frozen_all.predict(x)
    frozen_all.predict_proba(x)


def forms(tmp_path):
    whole = np.round(10 * X) + 40
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=whole.shape)
    mapped[:] = whole
    mapped.flush()
    wide = np.zeros((106, 12), np.float32)
    wide[::2, ::2] = whole
    return {
        "float32": whole.astype(np.float32),
        "float64": whole.astype(np.float64),
        "float16": whole.astype(np.float16),
        "uint8": whole.astype(np.uint8),
        "int64": whole.astype(np.int64),
        "big-endian": whole.astype(">f8"),
        "fortran": np.asfortranarray(whole),
        "strided": wide[::2, ::2],
        "reversed": np.ascontiguousarray(whole[::-1, ::-1])[::-1, ::-1],
        "memory-mapped": np.load(tmp_path / "x.npy", mmap_mode="r"),
        "list": whole.tolist(),
    }


def test_every_form_of_the_same_data_trains_the_same(tmp_path):
    losses = {
        name: network()
        .fit(x, T.tolist() if name == "list" else T, optimizer=cr.SGD(0.001), epochs=2, batch_size=10)
        .loss
        for name, x in forms(tmp_path).items()
    }
    assert len(losses) == 11
    for name, loss in losses.items():
        assert loss == losses["float32"], name


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_fit_needs_no_copy_of_the_data(dtype):
    x = np.ones((60_000, 100), dtype)
    t = np.zeros(60_000, np.int64)
    net = cr.Network(cr.Affine(3), input_shape=(100,), loss=cr.SoftmaxCrossEntropy(), seed=0)
    net.fit(x[:200], t[:200], iterations=1)
    tracemalloc.start()
    try:
        net.fit(x, t, iterations=5, validation=(x, t))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000  # the data are 6 to 48 MB; row numbers and logits of all samples are 0.5 and 0.7


def test_a_network_without_parameters_can_be_measured():
    net = network(cr.Negative(), cr.Reshape((-1, 6)))
    history = net.fit(X, T, epochs=1, batch_size=10)
    assert len(history.loss) == 6


def test_a_batch_norm_never_trains_on_one_row() -> None:
    """A single row has no variance: what is left over joins the batch before it, and the history says so."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(21, 6)), rng.integers(0, 3, 21)

    def network(*layers: cr.Layer) -> cr.Network:
        return cr.Network(*layers, cr.Affine(3), input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=0)

    normed = network(cr.Affine(5), cr.BatchNorm(), cr.ReLU())
    history = normed.fit(x, t, epochs=3, batch_size=5)
    assert len(history.loss) == 3 * 4
    assert history.settings["last_batch"].startswith("6 rows: BatchNorm")
    batches = batches_of(2, Batches(21, 5, "shuffle", seed=0, least=2))
    assert [len(rows) for rows in batches] == [5, 5, 5, 6] * 2
    assert sorted(np.concatenate(batches[:4])) == list(range(21))
    assert len(normed.fit(x[:3], t[:3], epochs=2, batch_size=2).loss) == 2  # the only batch grows
    assert "last_batch" not in normed.fit(x[:20], t[:20], epochs=1, batch_size=5).settings
    assert len(normed.fit(x, t, epochs=1, batch_size=19).loss) == 2  # two rows are left over
    plain = network(cr.Affine(5), cr.ReLU()).fit(x, t, epochs=3, batch_size=5)
    assert len(plain.loss) == 3 * 5
    for rows, size in ((21, 1), (1, 1)):
        flat = normed.params.flat.copy()
        with pytest.raises(ArgumentError, match=r"batch_size: BatchNorm takes means .*expected at least 2"):
            normed.fit(x[:rows], t[:rows], epochs=1, batch_size=size)
        np.testing.assert_array_equal(normed.params.flat, flat)
    images = network(
        cr.Reshape((-1, 2, 3)), cr.BatchNorm(), cr.Flatten()
    )  # three numbers a row in each channel
    assert "last_batch" not in images.fit(x, t, epochs=1, batch_size=5).settings
    assert len(images.fit(x, t, epochs=1, batch_size=1).loss) == 21
