"""Losses: values, both kinds of labels, weights, stability, and what they refuse. Warnings are errors here."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule.layers as layers
from chainrule.arrays import Array
from chainrule.errors import ArgumentError, DataError, ShapeError

X = np.array([[0.2, -1.3, 2.1], [1.7, 0.4, -0.6], [-0.9, 0.8, 0.1], [3.0, -2.0, 0.5]])
LABELS = np.array([2, 0, 1, 1])
ONE_HOT = np.eye(3)[LABELS]
SOFT = np.array([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.25, 0.5, 0.25]])
MULTI = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
ONE = np.array(1.0)


def run(layer: layers.Loss, *inputs: Array, dy: Array = ONE) -> tuple[Array, tuple[Array | None, ...]]:
    y, saved = layer.forward(*inputs)
    assert isinstance(y, np.ndarray)
    assert y.shape == ()
    return y, layer.backward(dy, saved)


# Loss and gradient for targets at X, from PyTorch 2.13 in float64.
PYTORCH = {
    "plain": (
        layers.SoftmaxCrossEntropy(),
        LABELS,
        1.52207645373144,
        [
            [0.031609460403406, 0.007053023962017, -0.038662484365423],
            [-0.067889200795674, 0.049630982638012, 0.018258218157661],
            [0.027196884891752, -0.101125682883692, 0.07392879799194],
            [0.229605741691051, -0.2484529286818, 0.018847186990749],
        ],
    ),
    "smoothing": (
        layers.SoftmaxCrossEntropy(label_smoothing=0.1),
        LABELS,
        1.553743120398106,
        [
            [0.023276127070072, -0.001280309371316, -0.021995817698756],
            [-0.051222534129007, 0.041297649304679, 0.009924884824328],
            [0.018863551558418, -0.084459016217025, 0.065595464658607],
            [0.221272408357718, -0.231786262015133, 0.010513853657416],
        ],
    ),
    "class-weights": (
        layers.SoftmaxCrossEntropy(class_weights=[1.0, 0.5, 3.0]),
        LABELS,
        0.724517375520966,
        [
            [0.075862704968174, 0.016927257508842, -0.092789962477015],
            [-0.054311360636539, 0.03970478611041, 0.014606574526129],
            [0.010878753956701, -0.040450273153477, 0.029571519196776],
            [0.09184229667642, -0.09938117147272, 0.0075388747963],
        ],
    ),
    "smoothing-and-class-weights": (
        layers.SoftmaxCrossEntropy(label_smoothing=0.1, class_weights=np.array([1.0, 0.5, 3.0])),
        LABELS,
        0.851048145749975,
        [
            [0.065402903053098, 0.012747561300066, -0.078150464353165],
            [-0.033693595335032, 0.038356692082597, -0.004663096747564],
            [0.006387838081374, -0.021873661117505, 0.015485823036131],
            [0.103544089345038, -0.092590739100597, -0.01095335024444],
        ],
    ),
    "distributions": (
        layers.SoftmaxCrossEntropy(),
        SOFT,
        1.52582645373144,
        [
            [-0.018390539596594, -0.067946976037983, 0.086337515634577],
            [0.007110799204326, -0.000369017361988, -0.006741781842339],
            [0.027196884891752, -0.101125682883692, 0.07392879799194],
            [0.167105741691051, -0.1234529286818, -0.043652813009251],
        ],
    ),
    "sigmoid": (
        layers.SigmoidCrossEntropy(),
        MULTI,
        0.773266635518059,
        [
            [0.04581949977604, -0.06548624858688, -0.009091401766301],
            [-0.012872105423628, 0.049890638342704, 0.02952864114785],
            [0.024087541447916, 0.057497873427301, -0.039585067710088],
            [-0.003952156098131, -0.073399756498157, 0.051871610933488],
        ],
    ),
    "sigmoid-positive-weight": (
        layers.SigmoidCrossEntropy(positive_weight=[0.5, 2.0, 3.0]),
        MULTI,
        1.196565147259943,
        [
            [0.04581949977604, -0.13097249717376, -0.027274205298903],
            [-0.006436052711814, 0.049890638342704, 0.02952864114785],
            [0.024087541447916, 0.057497873427301, -0.118755203130265],
            [-0.001976078049065, -0.146799512996314, 0.051871610933488],
        ],
    ),
    "squared": (
        layers.MeanSquaredError(),
        MULTI,
        1.921666666666667,
        (X - MULTI) / 6,
    ),
    "absolute": (
        layers.MeanAbsoluteError(),
        MULTI,
        1.116666666666667,
        np.sign(X - MULTI) / 12,
    ),
    "huber": (
        layers.Huber(delta=1.5),
        MULTI,
        0.83,
        [
            [0.016666666666667, -0.125, 0.091666666666667],
            [0.058333333333333, 0.033333333333333, -0.05],
            [-0.075, 0.066666666666667, -0.075],
            [0.125, -0.125, 0.041666666666667],
        ],
    ),
}


@pytest.mark.parametrize("name", PYTORCH)
def test_values_from_pytorch(name: str) -> None:
    layer, t, loss, gradient = PYTORCH[name]
    y, (dx, _) = run(layer, X, t)
    np.testing.assert_allclose(y, loss, rtol=1e-13)
    np.testing.assert_allclose(dx, gradient, atol=2e-15)


@pytest.mark.parametrize("name", PYTORCH)
def test_the_upstream_gradient_is_used(name: str) -> None:
    layer, t, _, _ = PYTORCH[name]
    _, (dx, dt) = run(layer, X, t)
    _, (dx3, dt3) = run(layer, X, t, dy=np.array(-3.0))
    np.testing.assert_allclose(dx3, -3 * dx)
    if t.dtype.kind == "f":
        np.testing.assert_allclose(dt3, -3 * dt)
    else:
        assert dt is None


# SoftmaxCrossEntropy

SOFTMAXES = [
    layers.SoftmaxCrossEntropy(),
    layers.SoftmaxCrossEntropy(label_smoothing=0.2),
    layers.SoftmaxCrossEntropy(class_weights=[1.0, 0.0, 3.0]),
    layers.SoftmaxCrossEntropy(0.3, [2.0, 0.5, 1.0]),
]
SAMPLE_WEIGHTS = [None, np.array([1.0, 0.0, 2.0, 0.5])]


def by_the_definition(layer: layers.SoftmaxCrossEntropy, x: Array, t: Array, s: Array | None) -> float:
    """The sums of the docstring, written out with loops."""
    total, norm, e = 0.0, 0.0, layer.label_smoothing
    N, K = x.shape
    for i in range(N):
        for k in range(K):
            weight = (1.0 if s is None else s[i]) * (
                1.0 if layer.class_weights is None else layer.class_weights[k]
            )
            log_p = x[i, k] - math.log(sum(math.exp(each) for each in x[i]))
            total -= weight * ((1 - e) * t[i, k] + e / K) * log_p
            norm += weight * t[i, k]
    return total / norm


@pytest.mark.parametrize("layer", SOFTMAXES, ids=repr)
@pytest.mark.parametrize("s", SAMPLE_WEIGHTS, ids=["unweighted", "weighted"])
@pytest.mark.parametrize("t", [ONE_HOT, SOFT], ids=["one-hot", "distribution"])
def test_softmax_cross_entropy_is_its_definition(layer: layers.SoftmaxCrossEntropy, s, t: Array) -> None:
    y, _ = layer.forward(X, t, s)
    assert y == pytest.approx(by_the_definition(layer, X, t, s), rel=1e-13)


@pytest.mark.parametrize("layer", SOFTMAXES, ids=repr)
@pytest.mark.parametrize("s", SAMPLE_WEIGHTS, ids=["unweighted", "weighted"])
def test_labels_and_one_hot_rows_agree(layer: layers.SoftmaxCrossEntropy, s) -> None:
    expected, saved = layer.forward(X, LABELS, s)
    dx = layer.backward(ONE, saved)[0]
    for t in (ONE_HOT, ONE_HOT.astype(np.float32), ONE_HOT.astype(np.int8), ONE_HOT.astype(bool)):
        y, saved = layer.forward(X, t, s)
        np.testing.assert_allclose(y, expected, rtol=1e-14)
        np.testing.assert_allclose(layer.backward(ONE, saved)[0], dx, atol=1e-15)


def test_labels_are_told_from_distributions_by_their_axes_when_sizes_agree() -> None:
    x = X[:3]
    by_label, _ = layers.SoftmaxCrossEntropy().forward(x, np.array([0, 1, 2]))
    by_row, _ = layers.SoftmaxCrossEntropy().forward(x, np.eye(3, dtype=int))
    assert by_label == pytest.approx(float(by_row))


def test_classes_are_on_the_last_axis_of_a_sequence() -> None:
    x, t = X.reshape(2, 2, 3), LABELS.reshape(2, 2)
    for layer in SOFTMAXES:
        y, (dx, _) = run(layer, x, t)
        flat, (dx_flat, _) = run(layer, X, LABELS)
        np.testing.assert_allclose(y, flat)
        np.testing.assert_allclose(dx.reshape(4, 3), dx_flat)


def test_one_sample_weight_for_a_sequence_or_one_for_each_step() -> None:
    layer, x, t = layers.SoftmaxCrossEntropy(), X.reshape(2, 2, 3), LABELS.reshape(2, 2)
    first, _ = layer.forward(x, t, np.array([1.0, 3.0]))
    second, _ = layer.forward(x, t, np.array([[1.0, 1.0], [3.0, 3.0]]))
    assert first == second
    masked, _ = layer.forward(x, t, np.array([[True, True], [True, False]]))
    np.testing.assert_allclose(masked, layer.forward(X[:3], LABELS[:3])[0])


def test_sample_weights_are_repetitions() -> None:
    repeats = np.array([1, 0, 2, 3])
    for layer in (
        *SOFTMAXES,
        layers.SigmoidCrossEntropy([1.0, 2.0, 3.0]),
        layers.MeanSquaredError(),
        layers.Huber(),
    ):
        t = SOFT
        weighted, _ = layer.forward(X, t, repeats)
        repeated, _ = layer.forward(X.repeat(repeats, axis=0), t.repeat(repeats, axis=0))
        np.testing.assert_allclose(weighted, repeated)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("t", [np.array([0, 1, 2, 0]), np.eye(3)[[0, 1, 2, 0]]], ids=["labels", "one-hot"])
def test_softmax_cross_entropy_far_from_zero(dtype: type, t: Array) -> None:
    """An epsilon inside the logarithm would cap the loss at 16, and leave the gradient of another function."""
    x = np.array([[1e4, 0, -1e4], [1e4, 0, -1e4], [1e4, 0, -1e4], [0, 0, 0]], dtype)
    for layer in (layers.SoftmaxCrossEntropy(), layers.SoftmaxCrossEntropy(class_weights=[1.0, 1.0, 1.0])):
        y, (dx, _) = run(layer, x, t)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, (0 + 1e4 + 2e4 + math.log(3)) / 4, rtol=1e-6)
        expected = [[0, 0, 0], [1, -1, 0], [1, 0, -1], [-2 / 3, 1 / 3, 1 / 3]]
        np.testing.assert_allclose(dx, np.array(expected) / 4, rtol=1e-6)


def test_masked_logits_are_no_nan_where_the_target_is_zero() -> None:
    x = np.array([[0.0, 0.0, -np.inf], [1.0, 1.0, -np.inf]])
    for t in (np.array([0, 1]), np.eye(3)[:2]):
        y, (dx, _) = run(layers.SoftmaxCrossEntropy(), x, t)
        assert y == pytest.approx(math.log(2))
        np.testing.assert_allclose(dx, [[-0.25, 0.25, 0], [0.25, -0.25, 0]])
    y, _ = run(layers.SoftmaxCrossEntropy(), x, np.array([2, 1]))
    assert y == np.inf
    weighted = layers.SoftmaxCrossEntropy(class_weights=[1.0, 1.0, 0.0])
    _, (_, dt) = run(weighted, x, np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]))
    assert np.isfinite(dt).all()


def test_softmax_probabilities_and_correctness() -> None:
    layer = layers.SoftmaxCrossEntropy()
    np.testing.assert_allclose(layer.probabilities(X).sum(axis=-1), 1)
    for t in (LABELS, ONE_HOT):
        np.testing.assert_array_equal(layer.correct(X, t), [True, True, True, False])


CE = layers.SoftmaxCrossEntropy()
BAD_LABELS = [
    (LABELS[:, None], ShapeError, r"got t of shape \(4, 1\); use t.ravel\(\)"),
    (
        LABELS[:3],
        ShapeError,
        r"labels of shape \(4,\) or distributions of shape \(4, 3\), got t of shape \(3,\)",
    ),
    (LABELS.astype(float), DataError, r"whole numbers, got float64; convert them with t.astype\(int\)"),
    (LABELS == 1, DataError, r"whole numbers, got bool; convert them with t.astype\(int\)"),
    (
        np.array([0, 1, 3, 7]),
        DataError,
        "from 0 to 2, got 3 in row 2; correct it, or give the network a logit",
    ),
    (np.array([0, -1, 1, 1]), DataError, "from 0 to 2, got -1 in row 1"),
    (np.array(["a", "b", "a", "b"]), DataError, r"got <U1; number the labels with numpy.unique"),
    (SOFT - 0.1, DataError, r"a distribution, .* in row 0; divide by the sum, or use SigmoidCrossEntropy"),
    (np.tile([1.2, -0.2, 0.0], (4, 1)), DataError, "numbers of at least 0 that sum to"),
    (MULTI, DataError, "in row 0; divide by the sum"),
    (MULTI.astype(bool), DataError, "in row 0; divide by the sum"),
    (np.where(SOFT == 1, np.nan, SOFT), DataError, "expected finite targets, got nan in row 2"),
]


@pytest.mark.parametrize(("t", "error", "message"), BAD_LABELS, ids=range(len(BAD_LABELS)))
def test_targets_that_softmax_refuses(t: Array, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CE.check_targets(t, X.shape)
    with pytest.raises(error, match=message):
        CE.forward(X, t)


def test_a_distribution_may_be_rounded() -> None:
    p = np.full((4, 3), 1 / 3)
    for dtype in (np.float16, np.float32, np.float64):
        CE.check_targets(p.astype(dtype), X.shape)
    CE.check_targets(p.astype(np.float32).astype(np.float64), X.shape)


def test_whole_arrays_are_checked_without_computing() -> None:
    CE.check_targets(np.zeros(100_000, np.uint8), (100_000, 10))
    with pytest.raises(DataError, match="got 10 in row 99999"):
        CE.check_targets(np.r_[np.zeros(99_999, int), 10], (100_000, 10))


def test_softmax_cross_entropy_refuses() -> None:
    with pytest.raises(ShapeError, match="put a batch axis before it, or use SigmoidCrossEntropy"):
        CE.forward(X[0], np.array(1))
    with pytest.raises(DataError, match=r"from 0 to 0, got 1 in row 1; .* use SigmoidCrossEntropy"):
        CE.forward(X[:2, :1], np.array([0, 1]))
    with pytest.raises(ShapeError, match=r"with 2 classes on its last axis, .* got \(4, 3\); give 3 weights"):
        layers.SoftmaxCrossEntropy(class_weights=[1.0, 2.0]).forward(X, LABELS)
    with pytest.raises(DataError, match="so there is nothing to average; leave such batches out"):
        layers.SoftmaxCrossEntropy(class_weights=[1.0, 0.0, 0.0]).forward(X, np.array([1, 1, 2, 2]))
    for weights in ([1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [[1.0, 1.0, 1.0]], [1.0, math.nan, 1.0]):
        with pytest.raises(
            ArgumentError, match="SoftmaxCrossEntropy: expected class_weights to be one number"
        ):
            layers.SoftmaxCrossEntropy(class_weights=weights)
    for smoothing in (1.0, -0.1):
        with pytest.raises(ArgumentError, match=r"expected label_smoothing to be a number in \[0, 1\)"):
            layers.SoftmaxCrossEntropy(label_smoothing=smoothing)


# SigmoidCrossEntropy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_cross_entropy_far_from_zero(dtype: type) -> None:
    x = np.array([1e4, -1e4, 1e4, -1e4], dtype)
    y, (dx, dt) = run(layers.SigmoidCrossEntropy(), x, np.array([1, 0, 0, 1], dtype))
    assert y.dtype == dtype
    np.testing.assert_allclose(y, 5e3)
    np.testing.assert_allclose(dx, [0, 0, 0.25, -0.25])
    np.testing.assert_allclose(dt, -x / 4)


def test_sigmoid_cross_entropy_keeps_small_gradients() -> None:
    """s(x) - t would be rounded to 0 here."""
    x = np.array([[50.0, -50.0]])
    y, (dx, _) = run(layers.SigmoidCrossEntropy(), x, np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(y, math.exp(-50))
    np.testing.assert_allclose(dx, [[-math.exp(-50) / 2, math.exp(-50) / 2]])


def test_sigmoid_and_softmax_of_two_classes_agree() -> None:
    x, labels = X[:, :1], np.array([[1], [0], [1], [1]])
    binary, _ = layers.SigmoidCrossEntropy().forward(x, labels)
    two, _ = layers.SoftmaxCrossEntropy().forward(
        np.concatenate([np.zeros_like(x), x], axis=1), labels.ravel()
    )
    np.testing.assert_allclose(binary, two)


def test_binary_targets_of_any_kind() -> None:
    expected, _ = layers.SigmoidCrossEntropy().forward(X, MULTI)
    for dtype in (np.int64, np.uint8, bool, np.float32):
        y, (_, dt) = run(layers.SigmoidCrossEntropy(), X, MULTI.astype(dtype))
        assert y == expected
        assert (dt is None) == (dtype is not np.float32)


def test_sigmoid_probabilities_and_correctness() -> None:
    layer = layers.SigmoidCrossEntropy()
    np.testing.assert_allclose(layer.probabilities(np.array([0.0, math.log(3)])), [0.5, 0.75])
    np.testing.assert_array_equal(
        layer.correct(X[:2], MULTI[:2]), [[False, False, True], [True, False, True]]
    )


def test_sigmoid_cross_entropy_refuses() -> None:
    layer = layers.SigmoidCrossEntropy()
    with pytest.raises(DataError, match="from 0 to 1, got 2 in row 0; use SoftmaxCrossEntropy"):
        layer.forward(X[:, 0], LABELS)
    with pytest.raises(
        ShapeError, match=r"expected t of x's shape \(4, 1\), got \(4,\); use t.reshape\(-1, 1\)"
    ):
        layer.forward(X[:, :1], MULTI[:, 0])
    with pytest.raises(ShapeError, match="one for each positive_weight"):
        layers.SigmoidCrossEntropy([1.0, 2.0]).forward(X, MULTI)
    for weight in (-1.0, math.inf, [[1.0]]):
        with pytest.raises(
            ArgumentError, match="SigmoidCrossEntropy: expected positive_weight to be a number"
        ):
            layers.SigmoidCrossEntropy(weight)


# Regressions, and what all losses share

REGRESSIONS = [layers.MeanSquaredError(), layers.MeanAbsoluteError(), layers.Huber()]
SAME_SHAPE = [*REGRESSIONS, layers.SigmoidCrossEntropy()]


def test_huber_is_half_the_square_near_and_a_line_far() -> None:
    y, _ = layers.Huber(delta=2.0).forward(np.array([1.0, -2.0, 5.0]), np.zeros(3))
    np.testing.assert_allclose(y, (0.5 + 2.0 + 2.0 * (5 - 1)) / 3)
    with pytest.raises(ArgumentError, match=r"Huber: expected delta to be a number in \(0, inf\), got 0"):
        layers.Huber(0)


def test_the_gradient_of_an_absolute_error_of_zero_is_zero() -> None:
    _, (dx, _) = run(layers.MeanAbsoluteError(), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    np.testing.assert_array_equal(dx, [0, 0.5])


@pytest.mark.parametrize("layer", SAME_SHAPE, ids=repr)
def test_nothing_is_broadcast(layer: layers.Loss) -> None:
    for x, t, remedy in (
        ((4, 1), (4,), r"expected t of x's shape \(4, 1\), got \(4,\); use t.reshape\(-1, 1\)"),
        ((4,), (4, 1), r"expected t of x's shape \(4,\), got \(4, 1\); use t.ravel\(\)"),
        ((4, 2, 1), (4, 2), r"use t\[..., None\]"),
        ((4, 2), (4, 2, 1), r"use t\[..., 0\]"),
        ((4, 3), (1, 3), "make them the same, since nothing is broadcast here"),
        ((4, 3), (), "make them the same"),
    ):
        with pytest.raises(ShapeError, match=remedy):
            layer.forward(np.zeros(x), np.zeros(t))


@pytest.mark.parametrize("layer", REGRESSIONS, ids=repr)
def test_regressions_know_no_classes(layer: layers.Loss) -> None:
    assert layer.probabilities(X) is None
    assert layer.correct(X, X) is None


@pytest.mark.parametrize("layer", [*SAME_SHAPE, CE], ids=repr)
def test_an_empty_batch_is_refused(layer: layers.Loss) -> None:
    with pytest.raises(
        DataError, match=r"at least one sample, got x of shape \(0, 3\); leave empty batches out"
    ):
        layer.forward(X[:0], SOFT[:0])


@pytest.mark.parametrize("layer", [*SAME_SHAPE, CE], ids=repr)
def test_targets_that_are_not_finite_are_refused(layer: layers.Loss) -> None:
    t = SOFT.copy()
    t[3, 1] = np.inf
    with pytest.raises(
        DataError, match="expected finite targets, got inf in row 3; leave that row out or fill"
    ):
        layer.forward(X, t)
    with pytest.raises(DataError, match=r"number the labels with numpy.unique"):
        layer.forward(X, t.astype(str))


@pytest.mark.parametrize("layer", [*SAME_SHAPE, CE], ids=repr)
def test_sample_weights_that_are_refused(layer: layers.Loss) -> None:
    for weights, error, message in (
        (
            np.ones(3),
            ShapeError,
            r"expected sample_weight of shape \(4,\), got \(3,\); give one weight for each",
        ),
        (np.ones((4, 1)), ShapeError, r"got \(4, 1\)"),
        (np.array(1.0), ShapeError, r"got \(\)"),
        (np.array([1, 1, 1, -1]), DataError, "to be finite and at least 0"),
        (np.array([1, 1, 1, np.nan]), DataError, "to be finite and at least 0"),
        (np.zeros(4), DataError, "got zeros only; leave such batches out"),
    ):
        with pytest.raises(error, match=message):
            layer.forward(X, SOFT, weights)


@pytest.mark.parametrize("layer", [*SAME_SHAPE, CE], ids=repr)
def test_the_loss_has_the_dtype_of_x(layer: layers.Loss) -> None:
    y, gradients = run(layer, X.astype(np.float32), SOFT, np.ones(4), dy=np.array(1, np.float32))
    assert y.dtype == np.float32
    dx, dt, none = gradients
    assert dx.dtype == dt.dtype == np.float32
    assert none is None


def test_a_loss_of_ones_own_refuses_targets_that_are_not_finite_numbers() -> None:
    class Mine(layers.Loss):
        pass

    Mine().check_targets(X, X.shape)
    with pytest.raises(DataError, match="finite targets"):
        Mine().check_targets(np.array([1.0, np.nan]), (2,))


def test_weights_that_are_no_numbers() -> None:
    for wrong in ("a", ["a", "b"], {"a": 1}, [1j], [[1], [1, 2]]):
        with pytest.raises(ArgumentError, match="SoftmaxCrossEntropy: expected class_weights to be"):
            layers.SoftmaxCrossEntropy(class_weights=wrong)  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match="SigmoidCrossEntropy: expected positive_weight to be"):
            layers.SigmoidCrossEntropy(wrong)  # type: ignore[arg-type]


def test_logits_that_are_whole_numbers() -> None:
    x = np.array([[3, -1, 0], [2, 2, 1]], np.int8)
    for layer, t in (
        (layers.SoftmaxCrossEntropy(), np.array([0, 2])),
        (layers.SoftmaxCrossEntropy(class_weights=[0.5, 1, 1.5]), SOFT[:2]),
        (layers.SigmoidCrossEntropy(0.5), np.array([[0.2, 1, 0], [1, 1, 0.3]])),
    ):
        y, gradients = run(layer, x, t)
        expected, expected_gradients = run(layer, x.astype(np.float64), t)
        assert y == expected
        np.testing.assert_array_equal(gradients[0], expected_gradients[0])
