"""`cr.check` of what somebody wrote for JAX: right ones pass, wrong ones are found and named."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, DataError

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3))
HERE = Path(__file__).name


def found(*args: Any, **options: Any) -> list[tuple[str, str | None]]:
    """The mistakes that a check in float64 finds, and where."""
    report = cr.check(*args, **{"dtype": "float64", **options})
    return [(each.mistake, each.input) for each in report.findings]


def compared(*args: Any, **options: Any) -> dict[str, str]:
    """The verdicts of a check in float64 that finds nothing, by input."""
    report = cr.check(*args, **{"dtype": "float64", **options})
    assert report.passed, report
    assert report.dtype == "float64"
    return {row.input: row.verdict for row in report.rows}


def product(backward: Callable[..., Any], forward: Callable[..., Any] | None = None) -> Any:
    """x @ w, with a rule for its gradients."""

    @jax.custom_vjp
    def product(x: Any, w: Any) -> Any:
        return x @ w

    product.defvjp(forward or (lambda x, w: (x @ w, (x, w))), backward)
    return product


def of_product(kept: Any, dy: Any) -> Any:
    x, w = kept
    return dy @ w.T, x.T @ dy


def test_a_gradient_of_what_is_called_a_mask_is_compared_where_there_is_one() -> None:
    def rule(of_mask: float) -> Any:
        @jax.custom_vjp
        def scaled(x: Any, mask: Any) -> Any:
            return x * mask

        scaled.defvjp(
            lambda x, mask: (x * mask, (x, mask)), lambda kept, dy: (dy * kept[1], of_mask * dy * kept[0])
        )
        return scaled

    assert compared(rule(1.0), X, X) == {"x": "ok", "mask": "ok"}
    assert compared(rule(0.0), X, X) == {"x": "ok"}
    assert found(rule(3.0), X, X) == [("factor", "mask")]


def test_a_custom_vjp() -> None:
    right = product(of_product)
    assert compared(right, X, W) == {"x": "ok", "w": "ok"}
    assert compared(jax.jit(right), jnp.array(X), jnp.array(W)) == {"x": "ok", "w": "ok"}
    assert compared(lambda a, b: jnp.tanh(right(a, b)), jnp.array(X), W) == {"a": "ok", "b": "ok"}
    assert compared(right, X, W, names=["left", "right"]) == {"left": "ok", "right": "ok"}


WRONG: dict[str, tuple[Callable[..., Any], list[tuple[str, str | None]]]] = {
    "sign": (lambda kept, dy: (dy @ kept[1].T, -kept[0].T @ dy), [("sign", "w")]),
    "shape": (lambda kept, dy: (dy @ kept[1].T, (kept[0].T @ dy).T), [("transpose", "w")]),
    "count": (lambda kept, dy: (dy @ kept[1].T,), [("missing", None)]),
    "none": (lambda kept, dy: (dy @ kept[1].T, None), [("zero", "w")]),
    "raises": (lambda kept, dy: (dy @ kept[1].T, 1 / 0), [("raises", None)]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_custom_vjp_is_named(name: str) -> None:
    rule, expected = WRONG[name]
    report = cr.check(product(rule), X, W, dtype="float64")
    assert [(each.mistake, each.input) for each in report.findings] == expected
    assert report.findings[0].source == f"{HERE}:{rule.__code__.co_firstlineno}"
    assert found(jax.jit(product(rule)), X, W) == expected


def test_a_wrong_shape_behind_another_function() -> None:
    wrong = product(WRONG["shape"][0])
    report = cr.check(lambda pair: wrong(*pair), (jnp.array(X), jnp.array(W)), dtype="float64")
    (finding,) = report.findings
    assert finding.mistake == "shape"
    assert "the shape (3,4), and must have the shape (4,3)" in finding.advice


def test_a_forward_of_its_own_has_to_agree() -> None:
    wrong = product(of_product, lambda x, w: (x @ w + 1, (x, w)))
    assert found(wrong, X, W) == [("forward-disagrees", None)]


class Pair(NamedTuple):
    """Two outputs."""

    loss: Any
    counts: Any
    parts: Any


def scaled(act: Any, params: Any, rows: Any, scale: Any) -> Any:
    """A function with static arguments, a pytree, whole numbers, and several outputs."""
    y = act(params["x"][rows] @ params["w"][0]) * scale
    return Pair(y.sum(), rows.sum(), [y])


def with_rule(wrong: bool = False) -> Any:
    """`scaled`, with a rule for its gradients."""

    @functools.partial(jax.custom_vjp, nondiff_argnums=(0, 3))
    def function(act: Any, params: Any, rows: Any, scale: Any) -> Any:
        assert isinstance(scale, float)
        return scaled(act, params, rows, scale)

    def forward(act: Any, params: Any, rows: Any, scale: Any) -> Any:
        return scaled(act, params, rows, scale), (params, rows)

    def backward(act: Any, scale: Any, kept: Any, dy: Any) -> Any:
        params, rows = kept
        _, pull = jax.vjp(lambda some: scaled(act, some, rows, scale)[::2], params)
        (gradient,) = pull((dy.loss, dy.parts))
        if wrong:
            gradient["w"][0] = gradient["w"][0].T
        return gradient, np.zeros(rows.shape, jax.dtypes.float0)

    function.defvjp(forward, backward)
    return function


def test_pytrees_and_arguments_that_are_not_differentiated() -> None:
    params, rows = {"x": jnp.array(X), "w": [jnp.array(W)]}, jnp.array([0, 2, 2])
    report = cr.check(with_rule(), jnp.tanh, params, rows, 3.0, dtype="float64")
    assert report.passed
    assert {row.input for row in report.rows} == {"params['x']", "params['w'][0]"}
    assert report.remarks == (
        "It returns 2 arrays, which were compared as one: output.loss (), output.parts[0] (3, 3).",
    )
    assert found(with_rule(wrong=True), jnp.tanh, params, rows, 3.0) == [("transpose", "params['w'][0]")]


def softplus(factor: float) -> Any:
    """A function with a rule for its tangents."""

    @jax.custom_jvp
    def softplus(x: Any) -> Any:
        return jnp.log1p(jnp.exp(x))

    @softplus.defjvp
    def of_softplus(primals: Any, tangents: Any) -> Any:
        return softplus(*primals), factor * tangents[0] * jax.nn.sigmoid(primals[0])

    return softplus


def test_a_custom_jvp() -> None:
    assert compared(softplus(1.0), X) == {"x": "ok"}
    report = cr.check(softplus(2.0), X, dtype="float64")
    (finding,) = report.findings
    assert (finding.mistake, finding.input) == ("factor", "x")
    assert finding.source is not None
    assert finding.source.startswith(HERE)


def test_plain_functions_with_keys() -> None:
    def noisy(x: Any, key: Any, flag: bool) -> Any:
        return x * jax.random.normal(key, x.shape) if flag else x

    for key in (jax.random.key(0), jax.random.PRNGKey(0)):
        assert compared(noisy, jnp.array(X), key, True) == {"x": "ok"}


def test_dtypes() -> None:
    right = product(of_product)
    report = cr.check(right, jnp.array(X), jnp.array(W))
    assert (report.dtype, report.remarks) == ("float32", ())
    report = cr.check(right, X, W)
    assert report.dtype == "float32"
    assert "turn on jax_enable_x64" in report.remarks[0]
    with jax.enable_x64(True):
        report = cr.check(right, X, W)
    assert (report.dtype, report.remarks) == ("float64", ())
    assert not jax.config.jax_enable_x64


def rms_norm(factor: float) -> Any:
    """x / sqrt(mean(x²)), computed in float32 inside; a factor is wrong in its gradient."""

    @jax.custom_vjp
    def norm(x: Any) -> Any:
        wide = x.astype(jnp.float32)
        return (wide * jax.lax.rsqrt((wide**2).mean(-1, keepdims=True))).astype(x.dtype)

    def backward(x: Any, dy: Any) -> Any:
        wide, dy = x.astype(jnp.float32), dy.astype(jnp.float32)
        scale = jax.lax.rsqrt((wide**2).mean(-1, keepdims=True))
        dx = scale * dy - factor * wide * scale**3 * (dy * wide).mean(-1, keepdims=True)
        return (dx.astype(x.dtype),)

    norm.defvjp(lambda x: (norm(x), x), backward)
    return norm


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_kernel_in_its_own_dtype(dtype: str) -> None:
    x = jnp.array(RNG.normal(size=(6, 16)), dtype)
    report = cr.check(rms_norm(1.0), x)
    assert report.passed, report
    assert report.dtype == dtype
    assert cr.check(rms_norm(0.0), x).verdict == "wrong"
    wrong = cr.check(rms_norm(0.0), x, reference=lambda x: x / jnp.sqrt((x**2).mean(-1, keepdims=True)))
    assert wrong.mistakes == ("fan-out",)
    cast = cr.check(rms_norm(1.0), jnp.array(x, jnp.float32), dtype=jnp.dtype(dtype))
    assert (cast.passed, cast.dtype) == (True, dtype)


def test_what_is_refused() -> None:
    right = product(of_product)
    with pytest.raises(ArgumentError, match="goes with a function; a custom_vjp has its own"):
        cr.check(right, X, W, backward=of_product)
    with pytest.raises(ArgumentError, match="gradients"):
        cr.check(right, X, W, gradients={"w": "dw"})
    with pytest.raises(ArgumentError, match="unknown inputs"):
        cr.check(right)
    with pytest.raises(ArgumentError, match="complex"):
        cr.check(right, X + 1j, W)
    with pytest.raises(DataError, match=r"x holds nan at \[0, 1\]"):
        cr.check(right, np.where(X[0, 1] == X, np.nan, X), W)
    assert found(lambda x: x.astype(complex), jnp.array(X)) == [("raises", None)]


def test_arrays_of_jax_kept_by_an_object_of_numpys_are_named() -> None:
    class Mixed:
        def __init__(self) -> None:
            self.W = jnp.ones((4, 3))

        def forward(self, x: np.ndarray) -> np.ndarray:
            return np.asarray(x @ np.asarray(self.W))

        def backward(self, dy: np.ndarray) -> np.ndarray:
            return np.asarray(dy @ np.asarray(self.W).T)

    x = np.random.default_rng(0).normal(size=(5, 4))
    assert cr.check(Mixed(), x).uncompared == ("W",)
