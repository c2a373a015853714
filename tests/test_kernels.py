"""Every kernel is held against the NumPy definition of its layer, or the rule of its optimizer.

The kernels are compiled as a program compiles them. With NUMBA_DISABLE_JIT=1 the same tests run them uncompiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.kernels import ACTIVATIONS, LOSSES, UPDATES, activation_of, loops, losses, tiles, updates
from chainrule.layers import Layer
from chainrule.program.cache import compiled
from chainrule.program.compiled_form import HEADER, TILES, module_text, source_of

DTYPES = ["float32", "float64"]
SHAPES = [(1, 1), (1, 7), (5, 1), (7, 17), (33, 64)]
ODD = [0.0, -0.0, 1.0, -1.0, 1e-8, -1e-8, 20.0, -20.0, 1e4, -1e4, np.inf, -np.inf, np.nan]
LAYERS: list[Layer] = [
    *(kind() for kind in ACTIVATIONS),
    cr.LeakyReLU(-0.3),
    cr.LeakyReLU(0.0),
    cr.ELU(0.0),
    cr.ELU(2.5),
    cr.GELU(approximate=True),
]


def build(dtype: str, *functions: Callable[..., Any], body: str) -> Callable[..., Any]:
    """The function `run` of a module with these kernels, as programs make it."""
    texts = {each.__name__: f"@compiled\n{source_of(each)}" for each in functions}
    return compiled(module_text(texts, {}, dtype, f"@entry\n{body}"))


def elementwise(
    scalar: Callable[..., Any], arguments: int, numbers: list[float], dtype: str
) -> Callable[..., Any]:
    names = ", ".join("abc"[:arguments])
    element = ", ".join(
        [f"{name}[i, j]" for name in "abc"[:arguments]] + [f"FLOAT({number!r})" for number in numbers]
    )
    body = (
        f"def run({names}, out):\n    for i in range(out.shape[0]):\n        for j in range(out.shape[1]):\n"
        f"            out[i, j] = {scalar.__name__}({element})"
    )
    return build(dtype, scalar, body=body)


def values(shape: tuple[int, int], dtype: str, seed: int, odd: bool = True) -> np.ndarray:
    rng = np.random.default_rng(seed)
    array = (3 * rng.standard_normal(shape)).astype(dtype)
    if odd:
        flat = array.reshape(-1)
        flat[: len(ODD)] = np.array(ODD, dtype)[: flat.size]
    return array


def strides(array: np.ndarray) -> list[np.ndarray]:
    """The same numbers in C order, in Fortran order, and as every second element of a larger array."""
    wide = np.zeros((2 * array.shape[0], 2 * array.shape[1]), array.dtype)
    wide[::2, ::2] = array
    return [array, np.asfortranarray(array), wide[::2, ::2]]


def tolerance(dtype: str) -> dict[str, float]:
    """A few roundings of the terms, which are up to 40 here where they cancel (in the gradient of GELU)."""
    return {"rtol": 2e-6, "atol": 2e-5} if dtype == "float32" else {"rtol": 1e-13, "atol": 4e-14}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_an_activation_and_its_gradient_equal_the_layer(layer: Layer, dtype: str) -> None:
    kernels = activation_of(layer)
    assert kernels is not None
    numbers = [getattr(layer, name) for name in kernels.numbers]
    forward = elementwise(kernels.value, 1, numbers, dtype)
    backward = elementwise(kernels.gradient, 2, numbers, dtype)
    for number, shape in enumerate(SHAPES):
        x, dy = values(shape, dtype, number), values(shape, dtype, number + 50, odd=False)
        with np.errstate(all="ignore"):
            y, saved = layer.forward(x)
            dx = layer.backward(dy, saved)
        for given, upstream in zip(strides(x), strides(dy), strict=True):
            out = np.empty(shape, dtype)
            with np.errstate(all="ignore"):
                forward(given, out)
                np.testing.assert_allclose(out, y, **tolerance(dtype))
                backward(upstream, y if kernels.keeps == "output" else given, out)
            np.testing.assert_allclose(out, dx, **tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.__name__)
def test_a_loss_and_its_gradient_equal_the_layer(kind: type[Layer], dtype: str) -> None:
    layer, kernels = kind(), LOSSES[kind]
    text = source_of(losses.mean_loss).replace("loss_value(x[", f"{kernels.value.__name__}(x[")
    text = text.replace("loss_gradient(x[", f"{kernels.gradient.__name__}(x[").replace(
        "def mean_loss", "def run"
    )
    run = build(dtype, kernels.value, kernels.gradient, body=text)
    for number, shape in enumerate(SHAPES):
        x = values(shape, dtype, number, odd=False)
        t = np.random.default_rng(number).random(shape).astype(dtype)
        x[0, 0] = t[0, 0]
        loss, saved = layer.forward(x, t)
        expected = layer.backward(np.ones((), dtype), saved)[0]
        dx = np.empty_like(x)
        np.testing.assert_allclose(run(x, t, len(x), dx), loss, **tolerance(dtype))
        np.testing.assert_allclose(dx, expected, **tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_cross_entropy_equals_the_layer(dtype: str) -> None:
    text = source_of(losses.softmax_cross_entropy).replace("def softmax_cross_entropy", "def run")
    run, layer = build(dtype, body=text), cr.SoftmaxCrossEntropy()
    for number, shape in enumerate([(1, 2), (3, 1), (7, 10), (33, 5)]):
        for scale in (1, 1e4):
            z = (scale * values(shape, dtype, number, odd=False)).astype(dtype)
            t = np.random.default_rng(number).integers(0, shape[1], shape[0])
            loss, saved = layer.forward(z, t)
            expected, _ = layer.backward(np.ones((), dtype), saved)
            dz = np.empty_like(z)
            np.testing.assert_allclose(run(z, t, len(z), dz), loss, **tolerance(dtype))
            np.testing.assert_allclose(dz, expected, **tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", [cr.SoftmaxCrossEntropy(), cr.SigmoidCrossEntropy()], ids=repr)
def test_right_answers_are_counted_as_the_layer_says(layer: Any, dtype: str) -> None:
    """A largest logit that is there twice counts as the first; a row that is not finite has no answer."""
    kernel = losses.counting_of(layer)
    assert kernel is not None
    run = build(dtype, body=source_of(kernel).replace(f"def {kernel.__name__}", "def run"))
    softmax = isinstance(layer, cr.SoftmaxCrossEntropy)
    for rows in (2, 7, 100):
        z = np.round(values((rows, 5), dtype, rows, odd=False))
        rng = np.random.default_rng(rows)
        t = rng.integers(0, 5, rows) if softmax else rng.integers(0, 2, z.shape).astype(dtype)
        assert run(z, t) == layer.correct(z, t).sum()
        z[0, 3] = np.nan
        z[-1, 2] = np.inf
        assert run(z, t) == layer.correct(z[1:-1], t[1:-1]).sum()
    assert losses.counting_of(cr.MeanSquaredError()) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_softmax_cross_entropy_does_not_hide_what_is_not_finite(bad: float) -> None:
    text = source_of(losses.softmax_cross_entropy).replace("def softmax_cross_entropy", "def run")
    z = np.zeros((4, 3))
    z[2, 1] = bad
    with np.errstate(all="ignore"):
        assert np.isnan(build("float64", body=text)(z, np.zeros(4, int), 4, np.empty_like(z)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("data", ["float32", "float64", "uint8", "int64"])
def test_a_batch_is_gathered_in_the_dtype_of_the_program(data: str, dtype: str) -> None:
    run = build(dtype, body=source_of(loops.gather).replace("def gather", "def run"))
    x = np.random.default_rng(0).integers(0, 255, (20, 9)).astype(data)
    rows = np.array([3, 3, 19, 0])
    for given in strides(x):
        given.flags.writeable = False
        out = np.empty((4, 9), dtype)
        run(given, rows, out)
        np.testing.assert_array_equal(out, x[rows].astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_in_tiles_equal_numpy(dtype: str) -> None:
    body = "@entry\ndef run(a, b, out):\n    product_in_tiles(a, b, out)"
    run = compiled(module_text({}, {}, dtype, body, [TILES]))
    width = tiles.VECTORS * tiles.BYTES // np.dtype(dtype).itemsize
    assert all(tiles.fits(9, k * width, np.dtype(dtype).itemsize) for k in (1, 2, 5))
    assert not tiles.fits(9, width + 1, np.dtype(dtype).itemsize)
    assert not tiles.fits(tiles.LARGEST, width, np.dtype(dtype).itemsize)
    rng = np.random.default_rng(0)
    for rows in range(15):  # every way to cut rows into tiles
        for length, columns in ((1, width), (0, width), (7, 3 * width), (33, 2 * width)):
            a, b = values((rows, length), dtype, rows), values((length, columns), dtype, 5, odd=False)
            a[:, 1:] = rng.normal(size=a[:, 1:].shape)
            if a.size > 4:
                a[rows // 2, length // 2] = np.nan
            wide = np.full((rows + 6, columns + 3), 7, dtype)
            out = wide[:rows, :columns]
            b_wide = np.zeros((length, columns + 1), dtype)
            b_wide[:, :columns] = b
            with np.errstate(all="ignore"):
                expected = a.astype("float64") @ b
                for given in strides(a):
                    for other in (b, b_wide[:, :columns]):
                        out[...] = 5
                        run(given, other, out)
                        np.testing.assert_allclose(out, expected, **tolerance(dtype))
            assert (wide[:, columns:] == 7).all()
            assert (wide[rows:] == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_loops_over_a_batch(dtype: str) -> None:
    x, b = values((7, 17), dtype, 0, odd=False), values((1, 17), dtype, 1, odd=False)[0]
    for loop, expected in (
        (loops.add_bias, x + b),
        (loops.bias_activation_in_place, np.maximum(x + b, 0)),
    ):
        text = source_of(loop).replace(f"def {loop.__name__}", "def run").replace("value(", "relu(")
        z = x.copy()
        build(dtype, ACTIVATIONS[cr.ReLU].value, body=text)(z, b)
        np.testing.assert_allclose(z, expected, **tolerance(dtype))
    db = np.empty_like(b)
    build(dtype, body=source_of(loops.bias_gradient).replace("def bias_gradient", "def run"))(x, db)
    np.testing.assert_allclose(db, x.sum(axis=0), rtol=1e-5)
    y = np.maximum(values((7, 17), dtype, 2, odd=False), 0)
    text = source_of(loops.activation_bias_gradient).replace("def activation_bias_gradient", "def run")
    dy = x.copy()
    build(dtype, ACTIVATIONS[cr.ReLU].gradient, body=text.replace("= gradient(", "= relu_gradient("))(
        dy, y, db
    )
    np.testing.assert_array_equal(dy, np.where(y > 0, x, 0))
    np.testing.assert_allclose(db, np.where(y > 0, x, 0).sum(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_whether_a_gradient_is_finite(dtype: str, bad: float | None) -> None:
    run = build(dtype, body=source_of(loops.all_finite).replace("def all_finite", "def run"))
    for place in (0, 5, 1000):
        g = np.random.default_rng(0).standard_normal(1001).astype(dtype)
        if bad is not None:
            g[place] = bad
        with np.errstate(all="ignore"):
            assert run(g) == (bad is None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UPDATES)
def test_an_update_equals_the_rule_of_its_optimizer(name: str, dtype: str) -> None:
    optimizer = cr.optimizers.get(
        name, learning_rate=0.03, **({"weight_decay": 0.0} if name == "AdamW" else {})
    )
    kernel = UPDATES[name]
    run = build(dtype, body=source_of(kernel).replace(f"def {kernel.__name__}", "def run"))
    rng = np.random.default_rng(0)
    w = rng.standard_normal(101).astype(dtype)
    expected, state = w.copy(), optimizer.start(w)
    running = [np.zeros_like(w) for _ in optimizer.running]
    numbers = [getattr(optimizer, number) for number in optimizer.native[1:]]
    for step in range(50):
        g = rng.standard_normal(101).astype(dtype)
        optimizer.step(expected, g, state)
        run(w, g, *running, 0.03, step + 1, *numbers)
    np.testing.assert_allclose(w, expected, rtol=2e-4 if dtype == "float32" else 1e-11, atol=1e-6)


# Numbers below the smallest normal one, with which processors are slow ------------------------------------


def denormal(array: np.ndarray) -> np.ndarray:
    return (array != 0) & (abs(array) < np.finfo(array.dtype).tiny)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in UPDATES if name != "SGD"])
def test_what_fades_away_in_an_update_ends_at_0(name: str, dtype: str) -> None:
    """Gradients of 0, after which a running array shrinks and shrinks, or are so small that their squares are."""
    optimizer, kernel = cr.optimizers.get(name), UPDATES[name]
    run = build(dtype, body=source_of(kernel).replace(f"def {kernel.__name__}", "def run"))
    numbers = [getattr(optimizer, number) for number in optimizer.native[1:]]
    tiny = np.finfo(dtype).tiny
    w, g = np.ones(60, dtype), np.zeros(60, dtype)
    g[::2] = 0.3 * np.sqrt(tiny)
    running = [np.linspace(0, 1.2 * tiny, 60).astype(dtype) for _ in optimizer.running]
    assert denormal(running[0]).any()
    for step in range(100, 140):
        run(w, g, *running, 0.1, step, *numbers)
        for array in running:
            assert not denormal(array).any()
    np.testing.assert_allclose(w, 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["AdaGrad", "RMSProp", "Adam"])
def test_squares_beside_a_vanishing_epsilon_are_kept(name: str, dtype: str) -> None:
    """There the quotient of a gradient and its root is 1, however small they are."""
    optimizer = cr.optimizers.get(name, epsilon=1e-30 if dtype == "float32" else 1e-200)
    kernel = UPDATES[name]
    run = build(dtype, body=source_of(kernel).replace(f"def {kernel.__name__}", "def run"))
    numbers = [getattr(optimizer, number) for number in optimizer.native[1:]]
    w, running = np.zeros(4, dtype), [np.zeros(4, dtype) for _ in optimizer.running]
    run(w, np.full(4, 0.3 * np.sqrt(np.finfo(dtype).tiny), dtype), *running, 0.1, 1, *numbers)
    assert 0.05 < abs(w[0]) < 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [updates.add_decay, updates.shrink], ids=lambda kernel: kernel.__name__)
def test_a_weight_that_decays_ends_at_0(kernel: Callable[..., Any], dtype: str) -> None:
    run = build(dtype, body=source_of(kernel).replace(f"def {kernel.__name__}", "def run"))
    w = np.linspace(-1.2, 1.2, 61).astype(dtype) * np.finfo(dtype).tiny
    assert denormal(w).any()
    other = np.full(61, 0.1, dtype)
    run(*((w, np.zeros(61, dtype), other) if kernel is updates.add_decay else (w, other, 0.1)))
    assert not denormal(w).any()
    assert w[0] < 0 < w[-1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "layer", [cr.Sigmoid(), cr.SiLU(), cr.Softplus(), cr.ELU(), cr.Tanh(), cr.GELU()], ids=repr
)
def test_saturated_activations_are_0_or_normal(layer: Layer, dtype: str) -> None:
    kernels = activation_of(layer)
    assert kernels is not None
    numbers = [getattr(layer, name) for name in kernels.numbers]
    end = -np.log(np.finfo(dtype).tiny)
    x = np.linspace(0.9 * end, 1.2 * end, 1000).astype(dtype).reshape(10, 100)
    for given in (x, -x):
        y, dx = np.empty_like(x), np.empty_like(x)
        elementwise(kernels.value, 1, numbers, dtype)(given, y)
        kept = y if kernels.keeps == "output" else given
        elementwise(kernels.gradient, 2, numbers, dtype)(np.ones_like(x), kept, dx)
        for result in (y, dx):
            assert np.mean(denormal(result)) <= 0.03  # a product may still be, a little before the end


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_of_a_saturated_softmax_is_0_or_normal(dtype: str) -> None:
    text = source_of(losses.softmax_cross_entropy).replace("def softmax_cross_entropy", "def run")
    run, end = build(dtype, body=text), -np.log(np.finfo(dtype).tiny)
    z = -np.linspace(0.8 * end, 1.2 * end, 5000).astype(dtype).reshape(500, 10)
    z[:, 3] = 0
    dz = np.empty_like(z)
    assert run(z, np.full(500, 3), 500, dz) == 0
    assert not denormal(dz).any()
    assert (dz[:, 4] > 0).any()
    assert not dz[-1].any()


def test_every_optimizer_with_a_kernel_says_so() -> None:
    for name in UPDATES:
        kind = getattr(cr, name)
        assert kind.native[0] == name


def test_no_fast_math_that_changes_nan_or_infinity() -> None:
    assert "nnan" not in HEADER
    assert "ninf" not in HEADER
    assert "fastmath=True" not in HEADER
