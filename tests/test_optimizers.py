"""Optimizers against their formulas, against values that PyTorch computed, and their rules."""

import math
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule.optimizers as optimizers
import chainrule.optimizers.optimizer as optimizer_module
from chainrule.errors import ArgumentError, ShapeError
from chainrule.optimizers import SGD, AdaGrad, Adam, AdamHat, AdamW, Momentum, Nesterov, RMSProp
from chainrule.schedules import Constant, Cosine, Exponential, LinearWarmup

KINDS = [SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam, AdamHat, AdamW]
OPTIONS = [
    {},
    {"weight_decay": 0.05},
    {"weight_decay": 0.05, "decay_all": True},
    {"clip_norm": 1.5},
    {"clip_value": 0.4},
    {"weight_decay": 0.05, "clip_norm": 1.5, "clip_value": 0.6},
]
NUMBERS = {
    "Momentum": {"momentum": 0.8},
    "Nesterov": {"momentum": 0.7},
    "AdaGrad": {"epsilon": 0.01},
    "RMSProp": {"alpha": 0.9, "epsilon": 0.02},
    "Adam": {"beta1": 0.85, "beta2": 0.97, "epsilon": 0.03},
    "AdamHat": {"beta1": 0.85, "beta2": 0.97, "epsilon": 0.03},
    "AdamW": {"beta1": 0.85, "beta2": 0.97, "epsilon": 0.03},
}


def by_formula(
    kind, w, gradients, rates, decays, *, weight_decay, decay_all, clip_norm, clip_value, **numbers
):
    """The parameters after all steps, in plain Python, one element at a time."""
    w = [float(each) for each in w]
    first, second = [0.0] * len(w), [0.0] * len(w)  # velocity or first moment; sum or mean of squares
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        g = [float(each) for each in gradient]
        norm = math.sqrt(math.fsum(each * each for each in g))
        for i in range(len(w)):
            x = g[i]
            if clip_norm is not None and norm > clip_norm:
                x = x / norm * clip_norm
            if clip_value is not None:
                x = math.copysign(min(abs(x), clip_value), x)
            decay = weight_decay if decay_all or decays[i] else 0.0
            if kind is AdamW:
                w[i] = w[i] - rate * decay * w[i]
            else:
                x = x + decay * w[i]
            if kind is SGD:
                w[i] = w[i] - rate * x
            elif kind is Momentum:
                first[i] = numbers["momentum"] * first[i] - rate * x
                w[i] = w[i] + first[i]
            elif kind is Nesterov:
                first[i] = numbers["momentum"] * first[i] - rate * x
                w[i] = w[i] + numbers["momentum"] * first[i] - rate * x
            elif kind is AdaGrad:
                second[i] = second[i] + x**2
                w[i] = w[i] - rate * x / (math.sqrt(second[i]) + numbers["epsilon"])
            elif kind is RMSProp:
                second[i] = numbers["alpha"] * second[i] + (1 - numbers["alpha"]) * x**2
                w[i] = w[i] - rate * x / (math.sqrt(second[i]) + numbers["epsilon"])
            else:
                first[i] = numbers["beta1"] * first[i] + (1 - numbers["beta1"]) * x
                second[i] = numbers["beta2"] * second[i] + (1 - numbers["beta2"]) * x**2
                mean = first[i] / (1 - numbers["beta1"] ** t)
                square = second[i] / (1 - numbers["beta2"] ** t)
                if kind is AdamHat:  # epsilon stands beside the root of what is not corrected
                    mean, square = mean * math.sqrt(1 - numbers["beta2"] ** t), second[i]
                w[i] = w[i] - rate * mean / (math.sqrt(square) + numbers["epsilon"])
    return w


@pytest.mark.parametrize("block", [5, optimizer_module.BLOCK])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "plain")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_formula(kind, options, block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer_module, "BLOCK", block)  # 13 parameters: in blocks of 5, 5, 3, and in one
    random = np.random.default_rng(7)
    w = random.standard_normal(13)
    gradients = random.standard_normal((250, 13)) * random.uniform(0, 1.5, (250, 1))
    rates = 0.05 * random.uniform(0.5, 1, 250)
    decays = random.random(13) < 0.5
    optimizer = kind(**NUMBERS.get(kind.__name__, {}), **options)
    expected = by_formula(
        kind,
        w,
        gradients,
        rates,
        decays,
        weight_decay=options.get("weight_decay", 0.01 if kind is AdamW else 0.0),
        decay_all=options.get("decay_all", False),
        clip_norm=options.get("clip_norm"),
        clip_value=options.get("clip_value"),
        **NUMBERS.get(kind.__name__, {}),
    )
    state = optimizer.start(w, decays)
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.step(w, gradient, state, learning_rate=rate)
    assert state.iteration == 250
    np.testing.assert_allclose(w, expected, rtol=1e-12, atol=1e-13)


def test_every_optimizer_is_tested() -> None:
    assert set(optimizers.KINDS.values()) == set(KINDS)


# What PyTorch 2.13.0 computes in float64, in 20 steps from START with `pytorch_gradient`.
START = [0.5, -1.0, 2.0, -0.25]
MASK = [True, True, False, True]
PYTORCH = [
    (
        SGD(0.1),
        [0.3149051762419459, -1.2588070686131305, 1.7049943654575614, -0.48892032012819614],
    ),
    (
        SGD(0.1, weight_decay=0.05),
        [0.2825498167494769, -1.1456430934218034, 1.5256539078690194, -0.4645179288875341],
    ),
    (
        Momentum(0.1),
        [-1.2300429472552479, -2.956351360113944, 0.5777928933798654, -0.7262975281045196],
    ),
    (
        Momentum(0.1, 0.8, weight_decay=0.05),
        [-0.5556700308493664, -1.6048461021876057, 0.5217970503046405, -0.6163515079488573],
    ),
    (
        Nesterov(0.1),
        [-1.2421334762877774, -3.019523292715681, 0.4250079694994404, -0.9175880954222639],
    ),
    (
        Nesterov(0.1, weight_decay=0.05),
        [-1.090721249527899, -1.9676739283008602, -0.3249200617200491, -0.8395220178480244],
    ),
    (
        AdaGrad(),
        [0.47653314936393226, -1.01602564331266, 1.9887801742025326, -0.2586996895468362],
    ),
    (
        AdaGrad(0.1, epsilon=0.5, weight_decay=0.05),
        [0.372115047463806, -1.0863466032008695, 1.8591578847919974, -0.28656881033984877],
    ),
    (
        RMSProp(),
        [0.2651252168259563, -1.1611188495187315, 1.8860865968966103, -0.33923685788461294],
    ),
    (
        RMSProp(0.1, alpha=0.9, epsilon=0.5, weight_decay=0.05),
        [0.26372671790284147, -1.1621338764109692, 1.633723676521754, -0.37160033895564215],
    ),
    (
        Adam(),
        [0.49420677880735736, -1.0051442036837606, 1.9968135013112192, -0.25052975521187965],
    ),
    (
        Adam(0.1, beta1=0.8, beta2=0.95, epsilon=0.5, weight_decay=0.05),
        [0.20524808038257383, -1.2166946333875535, 1.6863439258453954, -0.2770653826274904],
    ),
    (
        AdamW(),
        [0.4941075505207001, -1.0049435306686898, 1.9964139491521684, -0.2504797594842862],
    ),
    (
        AdamW(0.1, weight_decay=0.3),
        [-0.12226159763375845, -0.8905888761349605, 0.8679568808207757, -0.1884638317091819],
    ),
    (
        Momentum(0.1, clip_value=0.6),
        [-0.4003342146064314, -1.8902175737142661, 1.8462202053552412, 0.02952731922982484],
    ),
    (
        Adam(0.1, weight_decay=0.05, clip_value=0.6),
        [-0.01701034721377715, -1.2218952760457469, 1.5471200885026388, -0.1636885685013469],
    ),
]
PYTORCH_MASKED = [  # two parameter groups, the one of START[2] without weight decay
    (
        SGD(0.1, weight_decay=0.3),
        [0.1644901126749843, -0.7139393917443294, 1.7049943654575614, -0.36927746065783934],
    ),
    (
        Adam(0.1, weight_decay=0.3),
        [-0.16926556071432125, -0.8479491585270513, 1.6813501311218872, -0.19686517727946626],
    ),
    (
        AdamW(0.1, weight_decay=0.3),
        [-0.12226159763375845, -0.8905888761349605, 1.6813501311218872, -0.1884638317091819],
    ),
]
PYTORCH_CLIPPED = [  # the same, after clip_grad_norm_ and then clip_grad_value_
    (
        SGD(0.1, weight_decay=0.3, clip_norm=1.2),
        [0.1956748106456545, -0.6157836026120318, 1.8793608916885323, -0.2681257879969066],
    ),
    (
        Momentum(0.1, weight_decay=0.3, clip_norm=1.2, clip_value=0.7),
        [-0.4333084143314309, 0.39988695012504955, 1.3395673408335829, -0.11261086316793482],
    ),
]
PYTORCH_FLOAT32 = [
    (
        SGD(0.1, weight_decay=0.05),
        [0.2825499, -1.1456436, 1.5256538, -0.46451798],
    ),
    (
        Momentum(0.1, 0.8, weight_decay=0.05),
        [-0.5556701, -1.6048462, 0.5217969, -0.6163517],
    ),
    (
        Nesterov(0.1, weight_decay=0.05),
        [-1.090721, -1.9676739, -0.32492006, -0.8395223],
    ),
    (
        AdaGrad(0.1, epsilon=0.5, weight_decay=0.05),
        [0.37211502, -1.0863465, 1.8591579, -0.28656882],
    ),
    (
        RMSProp(0.1, alpha=0.9, epsilon=0.5, weight_decay=0.05),
        [0.2637267, -1.1621338, 1.6337237, -0.37160027],
    ),
    (
        Adam(0.1, beta1=0.8, beta2=0.95, epsilon=0.5, weight_decay=0.05),
        [0.20524803, -1.2166947, 1.6863439, -0.27706543],
    ),
    (
        AdamW(0.1, weight_decay=0.3),
        [-0.12226155, -0.8905895, 0.86795735, -0.18846396],
    ),
]


def pytorch_gradient(t: int) -> np.ndarray:
    return np.array([np.sin(1.3 * t + i) * (1 + 0.2 * i) + 0.1 for i in range(4)])


def after_20_steps(optimizer, dtype=np.float64, decays=None, rates=(None,) * 20) -> np.ndarray:
    w = np.array(START, dtype)
    state = optimizer.start(w, decays)
    for t in range(20):
        gradient = pytorch_gradient(t).astype(dtype)
        gradient.flags.writeable = False
        optimizer.step(w, gradient, state, learning_rate=rates[t])
    assert all(array.dtype == dtype for array in (w, *state.arrays.values()))
    return w


@pytest.mark.parametrize(("optimizer", "expected"), PYTORCH, ids=repr)
def test_pytorch(optimizer, expected) -> None:
    np.testing.assert_allclose(after_20_steps(optimizer), expected, rtol=1e-12)


@pytest.mark.parametrize(("optimizer", "expected"), PYTORCH_MASKED, ids=repr)
def test_pytorch_where_decay_applies(optimizer, expected) -> None:
    np.testing.assert_allclose(after_20_steps(optimizer, decays=np.array(MASK)), expected, rtol=1e-12)


@pytest.mark.parametrize(("optimizer", "expected"), PYTORCH_CLIPPED, ids=repr)
def test_pytorch_clipped_by_norm(optimizer, expected) -> None:
    # PyTorch divides by norm + 1e-6, so its gradients are shorter by up to 1e-6.
    np.testing.assert_allclose(after_20_steps(optimizer, decays=np.array(MASK)), expected, rtol=5e-6)


@pytest.mark.parametrize(("optimizer", "expected"), PYTORCH_FLOAT32, ids=repr)
def test_pytorch_float32(optimizer, expected) -> None:
    np.testing.assert_allclose(after_20_steps(optimizer, np.float32), expected, rtol=2e-6)


def test_momentum_and_pytorch_differ_only_when_the_rate_changes() -> None:
    """PyTorch's form, w - r b, multiplies past gradients with the new rate; ours kept their own."""
    rates = [0.1] * 10 + [0.01] * 10
    w, buffer = np.array(START), np.zeros(4)
    for t in range(20):
        buffer = 0.9 * buffer + pytorch_gradient(t)
        w = w - rates[t] * buffer
    pytorch = [-0.4014501438445623, -2.060427164599577, 1.3630485476637517, -0.16461510517069158]
    np.testing.assert_allclose(w, pytorch, rtol=1e-12)
    assert np.abs(after_20_steps(Momentum(0.1), rates=rates) - pytorch).max() > 0.1


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "plain")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_gradient_is_never_written_to(kind, options) -> None:
    w, gradient = np.ones(6), np.linspace(-3.0, 3.0, 6)
    before = gradient.copy()
    frozen = gradient.view()
    frozen.flags.writeable = False
    optimizer = kind(**options)
    state = optimizer.start(w)
    for each in (frozen, gradient):
        optimizer.step(w, each, state)
    np.testing.assert_array_equal(gradient, before)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_one_optimizer_serves_two_states(kind) -> None:
    """Taking turns gives what each gets alone, although one vector is longer than the other."""
    random = np.random.default_rng(3)
    optimizer = kind(weight_decay=0.1, clip_norm=1.0)
    starts = [random.standard_normal(5), random.standard_normal(9)]
    gradients = [random.standard_normal((30, 5)), random.standard_normal((30, 9))]

    alone = [start.copy() for start in starts]
    for w, sequence in zip(alone, gradients, strict=True):
        state = optimizer.start(w)
        for gradient in sequence:
            optimizer.step(w, gradient, state)

    together = [start.copy() for start in starts]
    states = [optimizer.start(w) for w in together]
    for t in range(30):
        for w, sequence, state in zip(together, gradients, states, strict=True):
            optimizer.step(w, sequence[t], state)
    for expected, w in zip(alone, together, strict=True):
        np.testing.assert_array_equal(w, expected)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_iteration_and_arrays_are_all_that_resuming_takes(kind) -> None:
    random = np.random.default_rng(4)
    w = random.standard_normal(5)
    gradients = random.standard_normal((20, 5))
    decays = np.array([True, False, True, True, False])
    optimizer = kind(Exponential(0.1, 0.9), weight_decay=0.1)
    state = optimizer.start(w, decays)
    for gradient in gradients[:10]:
        optimizer.step(w, gradient, state)
    saved = w.copy(), state.iteration, {name: array.copy() for name, array in state.arrays.items()}
    for gradient in gradients[10:]:
        optimizer.step(w, gradient, state)

    resumed, iteration, arrays = saved
    state = kind(Exponential(0.1, 0.9), weight_decay=0.1).start(resumed, decays)
    state.iteration, state.arrays = iteration, arrays
    for gradient in gradients[10:]:
        optimizer.step(resumed, gradient, state)
    np.testing.assert_array_equal(resumed, w)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_fades_away_ends_at_0(kind, dtype) -> None:
    """Processors are slow with numbers below the smallest normal one, and rounding would keep them for ever."""
    tiny = np.finfo(dtype).tiny
    w, gradient = np.linspace(0, tiny, 100).astype(dtype), np.zeros(100, dtype)
    optimizer = kind(0.01, weight_decay=0.01)
    state = optimizer.start(w)
    for array in state.arrays.values():
        array[:] = np.linspace(0, tiny, 100)
    w[1] = np.nan
    for _ in range(optimizer_module.CLEARING):
        optimizer.step(w, gradient, state)
    for array in (w, *state.arrays.values()):
        assert not ((array != 0) & (abs(array) < tiny)).any()
    assert np.isnan(w[1])


@pytest.mark.parametrize("kind", [AdaGrad, RMSProp, Adam], ids=lambda kind: kind.__name__)
def test_squares_beside_a_vanishing_epsilon_stay(kind) -> None:
    """There the quotient of a gradient and its root is about 1, however small they are."""
    w, gradient = np.zeros(3, np.float32), np.full(3, 1e-20, np.float32)
    optimizer = kind(0.01, epsilon=1e-30)
    state = optimizer.start(w)
    for _ in range(optimizer_module.CLEARING):
        optimizer.step(w, gradient, state)
    assert (state.arrays[optimizer.running[-1]] > 0).all()


@pytest.mark.parametrize(
    "options", [{}, {"weight_decay": 0.01, "clip_norm": 1.0, "clip_value": 0.1}], ids=["plain", "all"]
)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_step_allocates_no_array(kind, options) -> None:
    size = optimizer_module.BLOCK * 2 + 1000
    w, gradient = np.ones(size, np.float32), np.ones(size, np.float32)
    optimizer = kind(**options)
    state = optimizer.start(w, np.arange(size) % 2 == 0)
    optimizer.step(w, gradient, state)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(3):
            optimizer.step(w, gradient, state)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 16_000  # a block takes 512 KiB; NumPy's own buffers for a cast 32 KiB


@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(-5, 5)), min_size=1, max_size=8),
    st.floats(0.05, 1.9),
)
def test_gradient_descent_on_a_convex_quadratic_never_rises(terms, fraction: float) -> None:
    """L = sum a w^2 / 2 falls at every step if the rate is less than 2 / max(a)."""
    a, w = np.array(terms).T.copy()
    optimizer = SGD(fraction / a.max())
    state = optimizer.start(w)
    loss = float(a @ w**2)
    for _ in range(20):
        optimizer.step(w, a * w, state)
        after = float(a @ w**2)
        assert after < loss or after <= 1e-300
        loss = after


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(1, 5), st.booleans()), min_size=1, max_size=8))
def test_every_optimizer_lowers_a_convex_quadratic(kind, terms) -> None:
    a = np.array([each[0] for each in terms])
    w = np.array([each[1] if each[2] else -each[1] for each in terms])
    optimizer = kind(0.01)
    state = optimizer.start(w)
    start = np.abs(w)
    for _ in range(10):  # few enough that no rate of 0.01 carries any weight past its minimum at 0
        optimizer.step(w, a * w, state)
    if kind in (Momentum, Nesterov):
        assert a @ w**2 < a @ start**2
    else:
        assert np.all(np.abs(w) < start)


def test_clipping_by_norm_keeps_the_direction_and_short_gradients() -> None:
    for gradient, moved in (([3.0, -4.0], [0.6, -0.8]), ([0.3, -0.4], [0.3, -0.4]), ([0.0, 0.0], [0.0, 0.0])):
        w = np.zeros(2)
        optimizer = SGD(1.0, clip_norm=1.0)
        optimizer.step(w, np.array(gradient), optimizer.start(w))
        np.testing.assert_allclose(-w, moved, rtol=1e-15)


def test_clipping_by_norm_survives_squares_that_overflow() -> None:
    w = np.zeros(4, np.float32)
    optimizer = SGD(1.0, clip_norm=2.0)
    optimizer.step(w, np.full(4, -1e30, np.float32), optimizer.start(w))
    np.testing.assert_allclose(w, np.ones(4), rtol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_clipping_by_norm_does_not_hide_a_gradient_that_is_not_finite(bad: float) -> None:
    w = np.zeros(3)
    optimizer = SGD(1.0, clip_norm=1.0)
    optimizer.step(w, np.array([1.0, bad, 2.0]), optimizer.start(w))
    np.testing.assert_array_equal(w, [-1.0, -bad, -2.0])


def test_the_norm_is_of_all_blocks_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer_module, "BLOCK", 2)
    w = np.zeros(4)
    optimizer = SGD(1.0, clip_norm=1.0)
    optimizer.step(w, np.ones(4), optimizer.start(w))
    np.testing.assert_allclose(w, [-0.5] * 4)


def test_learning_rates() -> None:
    def moved(optimizer, iteration: int = 0, **given) -> float:
        w = np.zeros(1)
        state = optimizer.start(w)
        state.iteration = iteration
        optimizer.step(w, np.ones(1), state, **given)
        return -w[0]

    assert moved(SGD(0.25)) == 0.25
    assert moved(SGD(0.25), learning_rate=0.5) == 0.5
    assert moved(SGD(0.25), learning_rate=0) == 0
    assert moved(SGD(Exponential(1.0, 0.5)), iteration=3) == 0.125
    assert moved(SGD(LinearWarmup(3, 1.0)), iteration=1) == 0.5
    assert moved(SGD(Cosine(0.5)), learning_rate=0.125) == 0.125
    assert repr(SGD(0.25).schedule) == "Constant(rate=0.25)"
    with pytest.raises(ArgumentError, match=r"got none; give step.*learning_rate=optimizer.schedule"):
        moved(SGD(LinearWarmup(3, Cosine(0.5))))
    for bad in (-0.1, math.nan, math.inf):
        with pytest.raises(ArgumentError, match=r"expected a learning rate in \[0, inf\)"):
            moved(SGD(0.25), learning_rate=bad)


def test_no_parameters() -> None:
    w = np.zeros(0, np.float32)
    optimizer = Adam(clip_norm=1.0, weight_decay=0.1)
    state = optimizer.start(w)
    optimizer.step(w, np.zeros(0, np.float32), state)
    assert state.iteration == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: SGD(-0.1),
            r"SGD: expected learning_rate .* in \[0, inf\), got -0.1; try 0.01, or a schedule",
        ),
        (lambda: SGD(math.nan), r"SGD: expected learning_rate .* got nan"),
        (lambda: Adam(math.inf), r"Adam: expected learning_rate .* got inf"),
        (lambda: Adam("fast"), r"Adam: expected learning_rate .* got 'fast'"),
        (lambda: SGD(weight_decay=-1.0), r"SGD: expected weight_decay .* got -1.0"),
        (lambda: SGD(clip_norm=0.0), r"SGD: expected clip_norm .* in \(0, inf\), got 0.0; try 1.0; None"),
        (lambda: SGD(clip_norm=-1.0), r"SGD: expected clip_norm"),
        (lambda: SGD(clip_value=0), r"SGD: expected clip_value .* got 0;"),
        (lambda: Momentum(momentum=1.1), r"Momentum: expected momentum .* in \[0, 1\], got 1.1; try 0.9"),
        (lambda: Nesterov(momentum=-0.1), r"Nesterov: expected momentum"),
        (lambda: AdaGrad(epsilon=0.0), r"AdaGrad: expected epsilon .* in \(0, inf\), got 0.0"),
        (lambda: RMSProp(alpha=1.0), r"RMSProp: expected alpha"),
        (lambda: RMSProp(epsilon=-1.0), r"RMSProp: expected epsilon"),
        (lambda: Adam(beta1=1.0), r"Adam: expected beta1 .* in \[0, 1\), got 1.0"),
        (lambda: Adam(beta2=-0.1), r"Adam: expected beta2"),
        (lambda: AdamW(epsilon=math.nan), r"AdamW: expected epsilon"),
        (lambda: Adam(betas=(0.9, 0.999)), r"Adam: .*'betas'; did you mean 'beta[12]'\?"),
    ],
)
def test_bad_arguments(make, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_bad_parameters() -> None:
    with pytest.raises(ShapeError, match=r"one flat vector, got shape \(2, 3\); use ravel"):
        SGD().start(np.zeros((2, 3)))
    for dtype in (np.int64, np.float16, np.complex128, np.bool_):
        with pytest.raises(ArgumentError, match=rf"got {np.dtype(dtype)}; convert them with astype"):
            SGD().start(np.zeros(3, dtype))
    for decays in (np.ones(4, bool), np.ones(3), np.ones((3, 1), bool)):
        with pytest.raises(ShapeError, match=r"expected decays as a bool array of shape \(3,\)"):
            SGD().start(np.zeros(3), decays)


@pytest.mark.parametrize(
    ("w", "gradient", "message"),
    [
        (np.zeros(3), np.zeros(4), r"expected gradient of shape \(3,\) and float64, .* got \(4,\)"),
        (np.zeros(3), np.zeros((3, 1)), r"expected gradient of shape \(3,\)"),
        (np.zeros(3), np.zeros(3, np.float32), r"expected gradient .* float64, .* got \(3,\) and float32"),
        (np.zeros(3, np.float32), np.zeros(3), r"expected parameters .* got \(3,\) and float32"),
        (np.zeros(2), np.zeros(2), r"expected parameters of shape \(3,\) .* call start"),
    ],
)
def test_vectors_that_do_not_fit(w, gradient, message: str) -> None:
    optimizer = SGD()
    state = optimizer.start(np.zeros(3))
    with pytest.raises(ShapeError, match=message):
        optimizer.step(w, gradient, state)
    assert state.iteration == 0


def test_a_state_that_does_not_fit() -> None:
    w = np.zeros(3)
    with pytest.raises(ArgumentError, match=r"expected state.arrays\['first_moment'\] .* got none; use the"):
        Adam().step(w, w.copy(), Momentum().start(w))
    state = Momentum().start(w)
    state.arrays["velocity"] = np.zeros(3, np.float32)
    with pytest.raises(ArgumentError, match=r"\['velocity'\] .* got \(3,\) and float32"):
        Momentum().step(w, w.copy(), state)


def test_frozen_parameters() -> None:
    w = np.zeros(3)
    state = SGD().start(w)
    w.flags.writeable = False
    with pytest.raises(ArgumentError, match=r"parameters that can be written to; give a copy\(\)"):
        SGD().step(w, np.zeros(3), state)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_get(kind) -> None:
    name = kind.__name__
    for spelled in (name, name.lower(), name.upper()):
        made = optimizers.get(spelled, learning_rate=0.5)
        assert type(made) is kind
        assert made.arguments == {"learning_rate": 0.5}


def test_get_unknown() -> None:
    with pytest.raises(ArgumentError, match=r"unknown optimizer 'Adan'; did you mean 'adam'\? Known: adag"):
        optimizers.get("Adan")
    with pytest.raises(ArgumentError, match=r"did you mean 'momentum'\?"):
        optimizers.get("momentum", momentun=0.9)


def test_an_optimizer_is_printed_copied_and_never_changed() -> None:
    optimizer = Adam(Cosine(0.1), clip_norm=1.0)
    assert repr(optimizer) == "Adam(learning_rate=Cosine(rate=0.1), clip_norm=1.0)"
    copy = pickle.loads(pickle.dumps(optimizer))
    assert repr(copy) == repr(optimizer)
    assert copy.beta2 == 0.999
    with pytest.raises(ArgumentError, match="clip_norm cannot be changed; make a new Adam"):
        optimizer.clip_norm = 2.0


def test_defaults() -> None:
    rates = {kind.__name__: kind().schedule(0, 1) for kind in KINDS}
    assert rates == {
        "SGD": 0.01,
        "Momentum": 0.01,
        "Nesterov": 0.01,
        "AdaGrad": 0.01,
        "RMSProp": 0.01,
        "Adam": 0.001,
        "AdamHat": 0.001,
        "AdamW": 0.001,
    }
    assert AdamW().weight_decay == 0.01
    assert all(kind().weight_decay == 0 for kind in KINDS if kind is not AdamW)
    assert Momentum(Constant(1.0)).momentum == Nesterov().momentum == 0.9


def test_optimizers_made_alike_are_equal() -> None:
    assert SGD(0.1) == SGD(learning_rate=0.1, weight_decay=0.0)
    assert Adam() == Adam(0.001, beta1=0.9)
    assert Adam(Cosine(0.1)) == Adam(Cosine(0.1, 0.0))
    assert hash(Adam(Cosine(0.1))) == hash(Adam(Cosine(0.1, 0.0)))
    assert len({SGD(0.1), SGD(0.1), SGD(0.2), Momentum(0.1), Nesterov(0.1)}) == 4
    for other in (SGD(0.2), Momentum(0.1), SGD(0.1, clip_norm=1.0), 0.1, None):
        assert SGD(0.1) != other
    assert pickle.loads(pickle.dumps(Adam(Cosine(0.1)))) == Adam(Cosine(0.1))


class RuleOnly(SGD):
    def rule(self, w, g, running, scratch, rate, t) -> None:
        w -= 2 * rate * g


class OwnConstructor(optimizers.Optimizer):
    running = ("seen",)

    def __init__(self, learning_rate=0.5, factors=(1.0,), **others) -> None:
        super().__init__(learning_rate, **others)
        self.learning_rate = learning_rate
        self.factors = factors

    def rule(self, w, g, running, scratch, rate, t) -> None:
        running["seen"] += 1
        w -= rate * self.factors[0] * g


def test_optimizers_of_ones_own() -> None:
    for optimizer, moved in (
        (RuleOnly(0.25), 0.5),
        (OwnConstructor(), 0.5),
        (OwnConstructor(0.25, [3.0], clip_value=0.5), 0.375),
    ):
        w = np.zeros(3)
        optimizer.step(w, np.ones(3), optimizer.start(w))
        np.testing.assert_array_equal(w, [-moved] * 3)
        assert pickle.loads(pickle.dumps(optimizer)) == optimizer
        assert isinstance(hash(optimizer), int)
    assert repr(OwnConstructor(0.25, clip_value=1)) == "OwnConstructor(learning_rate=0.25, clip_value=1)"
    assert OwnConstructor(0.25, [3.0]) == OwnConstructor(factors=[3.0], learning_rate=0.25)
    assert OwnConstructor(0.25, np.ones(2)) != OwnConstructor(0.25, np.zeros(2))
    assert RuleOnly(0.1) != SGD(0.1)
    with pytest.raises(ArgumentError, match=r"RuleOnly: expected weight_decay .* got -1"):
        RuleOnly(weight_decay=-1)
