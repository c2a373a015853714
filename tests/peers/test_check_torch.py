"""`cr.check` of what somebody wrote for PyTorch: right ones pass, wrong ones are found and named."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.errors import ArgumentError, DataError

RNG = np.random.default_rng(0)
X, W, B = (torch.tensor(RNG.normal(size=shape)) for shape in ((5, 4), (4, 3), (3,)))


def found(*args: Any, **options: Any) -> list[tuple[str, str | None]]:
    """The mistakes that a check finds, and where."""
    report = cr.check(*args, **options)
    assert report.passed == (not report.findings)
    return [(each.mistake, each.input) for each in report.findings]


def compared(*args: Any, **options: Any) -> dict[str, str]:
    """The verdicts of a check that finds nothing, by input."""
    report = cr.check(*args, **options)
    assert not report.findings, report
    return {row.input: row.verdict for row in report.rows}


# Functions -----------------------------------------------------------------------------------------------------


class Linear(torch.autograd.Function):
    """scale * x @ w + b, with all that a Function may do: what is not needed is None."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, b: Any = None, scale: float = 1.0, flag: bool = True) -> Any:
        assert isinstance(scale, float)
        assert flag is True
        ctx.save_for_backward(x, w)
        ctx.scale, ctx.has_bias = scale, b is not None
        y = scale * (x @ w)
        return y if b is None else y + b

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Any) -> Any:
        x, w = ctx.saved_tensors
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            dx = ctx.scale * (dy @ w.T)
        if ctx.needs_input_grad[1]:
            dw = ctx.scale * (x.T @ dy)
        if ctx.has_bias and ctx.needs_input_grad[2]:
            db = dy.sum(0)
        return dx, dw, db, None, None


class NewStyle(torch.autograd.Function):
    """x * w, with `setup_context`, and integers that choose rows."""

    @staticmethod
    def forward(x: Any, rows: Any, w: Any) -> Any:
        assert rows.dtype == torch.int64
        return x[rows] * w

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, rows, w = inputs
        ctx.save_for_backward(x, rows, w)

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        x, rows, w = ctx.saved_tensors
        return torch.zeros_like(x).index_add_(0, rows, dy * w), None, (dy * x[rows]).sum(0)


class Several(torch.autograd.Function):
    """x² and the sums of x, of which either may be used alone, and where x is positive."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        ctx.set_materialize_grads(False)
        positive = (x > 0).to(x.dtype)
        ctx.mark_non_differentiable(positive)
        return x**2, x.sum(0), positive, x.shape[0]

    @staticmethod
    def backward(ctx: Any, squares: Any, sums: Any, *_: Any) -> Any:
        (x,) = ctx.saved_tensors
        dx = torch.zeros_like(x)
        if squares is not None:
            dx = dx + 2 * x * squares
        return dx if sums is None else dx + sums


class Doubled(torch.autograd.Function):
    """2 x, written into x, and said so."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        x.mul_(2)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        return 2 * dy


def test_a_function_and_its_apply() -> None:
    assert compared(Linear, X, W) == {"x": "ok", "w": "ok"}
    assert compared(Linear.apply, X.clone().requires_grad_(), W, B, 3.0) == dict.fromkeys("xwb", "ok")
    assert compared(Linear, X, W, None, 2.0, True) == {"x": "ok", "w": "ok"}
    assert compared(NewStyle, X, torch.tensor([0, 3, 3]), X[0]) == {"x": "ok", "w": "ok"}
    assert compared(lambda a, b: Linear.apply(a, b, None, 0.5), X, W) == {"a": "ok", "b": "ok"}
    assert compared(Linear, X, W, names=["left", "right"]) == {"left": "ok", "right": "ok"}


def test_the_report_says_the_line_of_the_backward() -> None:
    class Wrong(Linear):
        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return -dy @ ctx.saved_tensors[1].T, *Linear.backward(ctx, dy)[1:]

    for target in (Wrong, lambda x, w: Wrong.apply(x, w)):
        report = cr.check(target, X, W)
        (finding,) = report.findings
        assert (finding.mistake, finding.input) == ("sign", "x")
        assert report.target == "Wrong"
        line = Wrong.backward.__code__.co_firstlineno
        assert finding.source == f"{Path(__file__).name}:{line}"


def test_tensors_of_any_layout() -> None:
    assert compared(Linear, X.T.contiguous().T, torch.cat([W, W])[::2]) == {"x": "ok", "w": "ok"}
    assert compared(Linear, X[:0], W) == {"x": "ok", "w": "ok"}
    assert compared(torch.sin, torch.tensor(0.3, dtype=torch.float64)) == {"input 1": "ok"}
    report = cr.check(Linear, X[:1].expand(5, 4), W)
    assert report.passed
    assert report.remarks == ("x is expanded, and was checked as an array of its own.",)


def test_several_outputs() -> None:
    report = cr.check(Several, X)
    assert report.passed
    assert report.remarks == (
        "output[2] has no gradient, and was not compared.",
        "It returns 2 arrays, which were compared as one: output[0] (5, 4), output[1] (4,).",
    )


def test_what_is_written_by_design() -> None:
    assert compared(Doubled, X) == {"x": "ok"}
    before = X.clone()
    assert torch.equal(X, before)


def test_a_gradient_of_what_has_no_effect_may_be_none() -> None:
    class Norm(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, running_mean: Any, training: bool) -> Any:
            return x - (x.mean(0) if training else running_mean)

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy - dy.mean(0), None, None

    assert compared(Norm, X, X[0], True) == {"x": "ok"}
    assert ("missing", "running_mean") in found(Norm, X, X[0], False)
    assert found(lambda x: (x / x.std()).detach(), X) == [("missing", "x")]  # not where all is scaled at once


def spoiled(name: str) -> Any:
    """A Linear or Several with one thing wrong."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any = None) -> Any:
            y = Several.forward(ctx, x) if w is None else Linear.forward(ctx, x, w)
            if name == "writes in forward":
                x.mul_(2)
            return y

        @staticmethod
        def backward(ctx: Any, dy: Any, *others: Any) -> Any:
            saved = ctx.saved_tensors
            if name == "unused":
                return 2 * saved[0] * dy + others[0]
            if name == "unused is zero":
                return None if dy is None else Several.backward(ctx, dy, *others)
            x, w = saved
            dx, dw = dy @ w.T, x.T @ dy
            match name:
                case "factor":
                    dw = 2 * dw
                case "shape":
                    dw = dw.T
                case "count":
                    return dx
                case "missing":
                    dw = None
                case "writes into dy":
                    dy.mul_(2)
                case "writes into x":
                    x.mul_(2)
                case "needs":
                    dw = dw if ctx.needs_input_grad[0] else None
                case "raises in part" if not ctx.needs_input_grad[1]:
                    raise ValueError("where is dw?")
                case "raises":
                    raise ValueError("on purpose")
                case "strides of dy":
                    dx = torch.as_strided(dy, dy.shape, (dy.shape[1], 1)) @ w.T
                case "strides of x":
                    dw = torch.as_strided(x, x.shape, (x.shape[1], 1)).T @ dy
                case "keeps":
                    dx, ctx.uses = dx * (1 + getattr(ctx, "uses", 0)), 1
            return dx, dw

    return Wrong


WRONG: dict[str, list[tuple[str, str | None]]] = {
    "factor": [("factor", "w")],
    "shape": [("transpose", "w")],
    "count": [("missing", None)],
    "missing": [("missing", "w")],
    "writes into dy": [("mutates-upstream", "x")],
    "writes in forward": [("mutates-input", "x")],
    "needs": [("used-in-part", "w")],
    "raises in part": [("used-in-part", "x")],
    "raises": [("raises", None)],
    "strides of dy": [("strides", "x")],
    "strides of x": [("strides", "w")],
    "keeps": [("stale-state", "x")],
    "unused": [("used-in-part", "x")],
    "unused is zero": [("used-in-part", "x")],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_function_is_named(name: str) -> None:
    inputs = (X,) if name.startswith("unused") else (X, W)
    came = found(spoiled(name), *inputs)
    if name == "writes in forward":  # what was saved is written to, too
        assert came[0] == WRONG[name][0]
    else:
        assert came == WRONG[name]


def test_an_input_written_to_by_backward() -> None:
    assert ("mutates-input", "x") in found(spoiled("writes into x"), X, W)


def test_a_shape_that_is_refused_inside_a_function_of_tensors() -> None:
    wrong = spoiled("shape")
    report = cr.check(lambda x, w: wrong.apply(x, w).tanh(), X, W)
    (finding,) = report.findings
    assert finding.mistake == "shape"
    assert "the shape (3, 4), and must have the shape (4, 3)" in finding.advice


def test_an_error_is_said_with_the_line_that_raised_it() -> None:
    (finding,) = cr.check(spoiled("raises"), X, W).findings
    assert "The backward raised ValueError: on purpose." in finding.advice
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert finding.source is not None
    name, line = finding.source.split(":")
    assert name == Path(__file__).name
    assert 'ValueError("on purpose")' in lines[int(line) - 1]


def test_another_forward_without_gradients() -> None:
    def forward(x: Any) -> Any:
        return x.tanh() if torch.is_grad_enabled() else x.tanh() + 1

    assert found(forward, X) == [("forward-disagrees", None)]


# Operators and modules -----------------------------------------------------------------------------------------


@torch.library.custom_op("chainrule_tests::scaled", mutates_args=())  # type: ignore[untyped-decorator, unused-ignore]
def scaled(x: torch.Tensor, w: torch.Tensor, factor: float) -> torch.Tensor:
    return x * w * factor


@torch.library.custom_op("chainrule_tests::wrong", mutates_args=())  # type: ignore[untyped-decorator, unused-ignore]
def wrongly_scaled(x: torch.Tensor, w: torch.Tensor, factor: float) -> torch.Tensor:
    return x * w * factor


@torch.library.custom_op("chainrule_tests::without", mutates_args=())  # type: ignore[untyped-decorator, unused-ignore]
def without_gradient(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def keep(ctx: Any, inputs: Any, output: Any) -> None:
    x, w, ctx.factor = inputs
    ctx.save_for_backward(x, w)


def backward_of_scaled(ctx: Any, dy: Any) -> Any:
    x, w = ctx.saved_tensors
    return dy * w * ctx.factor, dy * x * ctx.factor, None


def backward_without_factor(ctx: Any, dy: Any) -> Any:
    x, w = ctx.saved_tensors
    return dy * w * ctx.factor, dy * x, None


scaled.register_autograd(backward_of_scaled, setup_context=keep)
wrongly_scaled.register_autograd(backward_without_factor, setup_context=keep)


def test_operators() -> None:
    for each in (scaled, torch.ops.chainrule_tests.scaled, torch.ops.chainrule_tests.scaled.default):
        assert compared(each, X, X + 1, 3.0) == {"x": "ok", "w": "ok"}
    report = cr.check(wrongly_scaled, X, X + 1, 3.0)
    (finding,) = report.findings
    assert (finding.mistake, finding.input) == ("factor", "w")
    assert finding.source == f"{Path(__file__).name}:{backward_without_factor.__code__.co_firstlineno}"
    (finding,) = cr.check(without_gradient, X).findings
    assert finding.mistake == "raises"
    assert "register_autograd" in finding.advice


class Block(nn.Module):
    """A module with a Function of its own, a buffer that changes, and one weight in two places."""

    def __init__(self, function: Any = Linear) -> None:
        super().__init__()
        self.function, self.calls = function, 0
        self.x = nn.Parameter(torch.tensor(RNG.normal(size=(4, 4))))
        self.norm = nn.BatchNorm1d(4, dtype=torch.float64)
        self.out = nn.Linear(4, 4, dtype=torch.float64)
        self.again = nn.Linear(4, 4, bias=False, dtype=torch.float64)
        self.again.weight = self.out.weight
        self.frozen = nn.Parameter(torch.ones(4, dtype=torch.float64), requires_grad=False)

    def forward(self, x: Any) -> Any:
        self.calls += 1
        hidden = nn.functional.dropout(self.norm(self.function.apply(x, self.x)), 0.2, self.training)
        return self.again(self.out(hidden).tanh()) * self.frozen


def test_a_module_is_checked_and_left_as_it_was() -> None:
    module = Block()
    module.out.bias.grad = torch.ones(4, dtype=torch.float64)
    before, random = copy.deepcopy(module.state_dict()), torch.get_rng_state()
    rows = compared(module, X)
    assert rows == dict.fromkeys(["x", "self.x", "norm.weight", "norm.bias", "out.weight", "out.bias"], "ok")
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert (module.calls, module.training, module.x.grad) == (0, True, None)
    assert torch.equal(module.out.bias.grad, torch.ones(4, dtype=torch.float64))
    assert set(compared(module.eval(), X)) == set(rows)


def test_a_wrong_function_in_a_module() -> None:
    assert found(Block(spoiled("factor")), X) == [("factor", "self.x")]


def test_arrays_for_a_module_of_float32_become_float32() -> None:
    report = cr.check(nn.Linear(4, 3), X.numpy())
    assert report.dtype == "float32"
    assert report.remarks == ("Linear does not take float64: the arrays were handed over in float32.",)
    assert compared(nn.Linear(4, 3), X, dtype="float64") == dict.fromkeys(["input", "weight", "bias"], "ok")


def test_modules_of_pytorch_itself() -> None:
    words = torch.tensor([[0, 1], [2, 2]])
    assert compared(nn.Embedding(5, 3, sparse=True), words, dtype="float64") == {"weight": "ok"}
    attention = nn.MultiheadAttention(4, 2, batch_first=True)  # the weights that it returns need no value
    rows = compared(attention, X[None], X[None], X[None], dtype="float64")
    assert {"query", "key", "value", "in_proj_weight"} <= set(rows)
    report = cr.check(nn.LSTM(4, 3), X[:, None], dtype="float64")
    assert report.passed
    assert "output[1][1] (1, 1, 3)" in report.remarks[0]


# Functions of tensors, lists and dicts ---------------------------------------------------------------------------


def test_lists_and_dicts_of_tensors() -> None:
    def network(x: Any, params: Any, *, power: int = 1) -> Any:
        return {"y": ((x @ params["w"][0] + params["b"]) ** power).tanh(), "n": len(x)}

    rows = compared(network, X, {"w": [W, "kept"], "b": B})
    assert list(rows) == ["x", "params['w'][0]", "params['b']"]


def test_a_tensor_that_was_not_handed_over_is_told() -> None:
    hidden = W.clone().requires_grad_()
    report = cr.check(lambda x: x @ hidden, X)
    assert len(report.remarks) == 1
    assert "a tensor of shape (4, 3) that requires a gradient and was not handed over" in report.remarks[0]


def test_masks_stay_as_they_are() -> None:
    mask = torch.zeros(5, 5, dtype=torch.float64).masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
    assert compared(lambda x, bias: (x @ x.T + bias).softmax(-1) @ x, X, mask) == {"x": "ok"}
    with pytest.raises(DataError, match=r"x holds inf at \[0, 0\]"):
        cr.check(torch.sin, torch.full((2, 2), torch.inf), names=["x"])


# What is left as it was ------------------------------------------------------------------------------------------


def test_the_settings_of_pytorch_are_left_as_they_were() -> None:
    class Disturbing(Linear):
        @staticmethod
        def forward(ctx: Any, *args: Any) -> Any:
            torch.set_default_dtype(torch.float64)
            torch.manual_seed(3)
            return Linear.forward(ctx, *args)

    before, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    with torch.no_grad():
        assert not cr.check(Disturbing, X, W, names=["x", "w"]).findings
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        assert not cr.check(Disturbing, X, W, names=["x", "w"]).findings
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002


def test_random_numbers_are_the_same_in_every_call() -> None:
    class Dropout(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mask = torch.rand_like(x) < 0.5
            return x * ctx.mask

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy * ctx.mask

    assert compared(Dropout, X) == {"x": "ok"}


# Dtypes ----------------------------------------------------------------------------------------------------------


class Single(torch.autograd.Function):
    """3 x, for float32 alone."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        if x.dtype != torch.float32:
            raise TypeError(f"expected float32, got {x.dtype}")
        return 3 * x

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        assert dy.dtype == torch.float32
        return 3 * dy


def test_tensors_keep_their_dtype() -> None:
    report = cr.check(Single, X.float())
    assert report.passed
    assert (report.dtype, report.remarks) == ("float32", ())
    assert cr.check(Single, X, dtype="float32").passed
    assert cr.check(Single, X).mistakes == ("raises",)


class RMSNorm(torch.autograd.Function):
    """x / sqrt(mean(x²) + eps) * w, computed in float32 inside, as fused kernels are."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, eps: float) -> Any:
        wide = x.float()
        scale = torch.rsqrt((wide * wide).mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, w, scale)
        return (wide * scale * w.float()).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        x, w, scale = ctx.saved_tensors
        wide, of_scaled = x.float(), dy.float() * w.float()
        dx = scale * of_scaled - wide * scale**3 * (of_scaled * wide).mean(-1, keepdim=True)
        return dx.to(x.dtype), (dy.float() * wide * scale).sum(0).to(w.dtype), None


def plain_rms_norm(x: Any, w: Any, eps: float) -> Any:
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * w


class WithoutMean(RMSNorm):
    """The path through the mean square is missing."""

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        x, w, scale = ctx.saved_tensors
        return (scale * dy.float() * w.float()).to(x.dtype), *RMSNorm.backward(ctx, dy)[1:]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_kernel_in_its_own_dtype(dtype: torch.dtype) -> None:
    x, w = (torch.tensor(RNG.normal(size=shape), dtype=dtype) for shape in ((6, 16), (16,)))
    report = cr.check(RMSNorm, x, w, 1e-5)
    assert report.passed, report
    assert f"torch.{report.dtype}" == str(dtype)
    assert cr.check(WithoutMean, x, w, 1e-5).verdict == "wrong"
    wrong = cr.check(WithoutMean, x, w, 1e-5, reference=plain_rms_norm)
    assert [(f.mistake, f.input) for f in wrong.findings] == [("fan-out", "x")]
    cast = cr.check(RMSNorm, x.double(), w.double(), 1e-5, dtype=dtype)
    assert (cast.passed, cast.dtype) == (True, report.dtype)


def test_arrays_are_float64_where_that_is_taken() -> None:
    assert cr.check(Linear, X.numpy(), W.numpy()).dtype == "float64"
    report = cr.check(Single, X.numpy())
    assert report.passed
    assert report.remarks == ("Single does not take float64: the arrays were handed over in float32.",)
    report = cr.check(Single, X.numpy().astype(np.float32))
    assert report.remarks == ("The arrays given are of float32, and so the check was made in float32.",)


# What is refused -------------------------------------------------------------------------------------------------


def test_what_is_refused() -> None:
    for options in ({"backward": np.sin}, {"gradients": {"w": "dw"}}):
        for target in (Linear, Linear.apply, scaled, nn.Linear(4, 3)):
            with pytest.raises(ArgumentError, match="goes with"):
                cr.check(target, X, **options)
    with pytest.raises(ArgumentError, match="unknown inputs"):
        cr.check(Linear)
    with pytest.raises(ArgumentError, match="complex"):
        cr.check(torch.real, X.to(torch.complex128))
    with pytest.raises(ArgumentError, match="names"):
        cr.check(Linear, X, W, names=["x"])
    assert cr.check(lambda x: x.to(torch.complex128), X).mistakes == ("raises",)


# The command line ------------------------------------------------------------------------------------------------

FILE = """
import torch

class Thrice(torch.autograd.Function):
    @staticmethod
    def forward(x): return 3 * x
    @staticmethod
    def setup_context(ctx, inputs, output): pass
    @staticmethod
    def backward(ctx, dy): return 2 * dy

class Module(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = torch.nn.Linear(width, 3)
    def forward(self, x): return self.inner(x)

@torch.library.custom_op("chainrule_cli::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor: return 2 * x
twice.register_autograd(lambda ctx, dy: 2 * dy)
"""


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (["Thrice", "--input", "4x3"], "Thrice: failed: factor", 1),
        (["Thrice"], "Thrice(x) takes an --input for each, none was given", 2),
        (["Module", "--input", "5x4", "--arg", "width=4"], "3 gradients compared", 0),
        (["twice", "--input", "4x3"], "twice: passed", 0),
        (["twice"], "twice(x) takes an --input for each", 2),
    ],
)
def test_the_command_line(arguments: list[str], said: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE, encoding="utf-8")
    name, *rest = arguments
    command = [sys.executable, "-m", "chainrule", "check", f"mine.py:{name}", *rest]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert said in result.stdout + result.stderr
    assert result.returncode == status


def test_constants_and_what_was_not_handed_over() -> None:
    class Scaled(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any, c: Any) -> Any:
            ctx.save_for_backward(c)
            return x * c

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy * ctx.saved_tensors[0], None

    x, c = X.clone(), X.clone()
    assert cr.check(Scaled, x, c).mistakes == ("missing",)
    assert cr.check(Scaled, x, c, ignore=["c"]).passed
    report = cr.check(Scaled, x.clone().requires_grad_(), c)
    assert report.passed
    assert "No gradient of c is asked for" in report.remarks[0]
    kept = W.clone().requires_grad_()
    unseen = cr.check(lambda x: x @ kept, x)
    assert unseen.verdict == "incomplete"


def test_a_bias_whose_gradient_is_0_is_no_alarm() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    for seed in range(3):
        report = cr.check(net, torch.randn(5, 4), seed=seed)
        assert report.passed, report
        assert report.sharpness is not None
        assert report.sharpness < 0.1


def test_exact_kinks_with_a_reference_are_no_alarm() -> None:
    class Relu(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy * (ctx.saved_tensors[0] > 0)

    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    x[0] = 0
    for dtype in ("float32", "bfloat16"):
        report = cr.check(Relu, x, reference=torch.relu, dtype=dtype)
        assert report.passed, report


def test_a_module_that_makes_its_parameters_in_its_first_call() -> None:
    module = torch.nn.LazyLinear(3)
    report = cr.check(module, torch.randn(5, 4))
    assert [row.input for row in report.rows if row.verdict == "ok"] == ["input", "weight", "bias"]
    assert torch.nn.parameter.is_lazy(module.weight), "the module itself is not called"


@pytest.mark.parametrize("kind", [torch.nn.Embedding, torch.nn.EmbeddingBag])
def test_a_row_for_padding_has_no_gradient_by_design(kind: Any) -> None:
    report = cr.check(kind(6, 3, padding_idx=0), torch.tensor([[1, 2, 0, 5, 2]]))
    assert report.passed, str(report)
    assert "weight[0] is padding, and has no gradient by design." in report.remarks


def test_tensors_kept_by_an_object_of_arrays_are_named() -> None:
    class Mixed:
        def __init__(self) -> None:
            self.W, self.unused = torch.randn(4, 3, dtype=torch.float64), torch.ones(3)

        def forward(self, x: np.ndarray) -> np.ndarray:
            return np.asarray(x @ self.W.numpy())

        def backward(self, dy: np.ndarray) -> np.ndarray:
            return np.asarray(dy @ self.W.numpy().T)

    x = np.random.default_rng(0).normal(size=(5, 4))
    assert cr.check(Mixed(), x).uncompared == ("W",)
    assert cr.check(Mixed(), x, ignore=["W"]).passed


def test_a_gradient_that_is_cut_off_is_missing() -> None:
    class Cut(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = torch.nn.Parameter(torch.randn(4, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.a.detach()

    report = cr.check(Cut(), torch.randn(5, 4))
    assert report.mistakes == ("missing",)
    assert ".detach()" in report.findings[0].advice
