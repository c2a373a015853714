"""The machine: its kernels against the layers, its variants, and tables that are wrong."""

from __future__ import annotations

import copy
import importlib
import pkgutil
import threading
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import ChainruleError, DataError
from chainrule.layers import Layer
from chainrule.native import blas
from chainrule.parameters import Parameters
from chainrule.program import layout, operations, sums
from chainrule.program.calls import Call, Step
from chainrule.program.layout import kernels, variants
from chainrule.program.machine import Machine
from chainrule.program.memory import Memory
from chainrule.program.numpy_executor import NumpyExecutor
from chainrule.program.operations import activations, affine, arithmetic, losses, updates
from chainrule.program.operations.activations import ACTIVATIONS
from chainrule.program.operations.losses import LOSSES
from chainrule.program.operations.updates import UPDATES, update_of
from chainrule.program.python_turns import PythonTurns
from chainrule.program.table import Instruction, Operation, Place, Table, Turn
from chainrule.program.verify import TableError, verify
from conftest import examples

DTYPES = ["float32", "float64"]
LAYERS = [
    cr.ReLU(), cr.LeakyReLU(0.1), cr.LeakyReLU(0.3), cr.ELU(1.5), cr.GELU(), cr.GELU(approximate=True),
    cr.SiLU(), cr.Softplus(), cr.Sigmoid(), cr.Tanh(),
]  # fmt: skip
SHAPES = [(1, 1), (1, 17), (3, 5), (5, 1), (8, 64), (33, 7)]
ODD = [0.0, -0.0, 1e-30, -1e-30, 30.0, -30.0, 90.0, -90.0, 1e4, -1e4]
#: Of W: products in tiles, by BLAS, of a single column or row, and by a transposed matrix in tiles.
SIZES = [
    (1, 1), (1, 16), (7, 1), (7, 3), (90, 200), (33, 32), (5, 10), (90, 50), (3, 130), (70, 64),
    (16, 10), (64, 20), (64, 64),
]  # fmt: skip

GRAPH = cr.Graph(cr.Input("x") * 2)  # for tables that no graph stands behind


def tolerance(dtype: str) -> dict[str, float]:
    """A few roundings of the terms, which are up to 40 here where they cancel (in the gradient of GELU)."""
    return {"rtol": 2e-6, "atol": 2e-5} if dtype == "float32" else {"rtol": 1e-13, "atol": 4e-14}


def values(shape: tuple[int, ...], dtype: str, seed: int, odd: bool = True) -> np.ndarray:
    rng = np.random.default_rng(seed)
    array = (3 * rng.standard_normal(shape)).astype(dtype)
    if odd:
        flat = array.reshape(-1)
        flat[: len(ODD)] = np.array(ODD, dtype)[: flat.size]
    return array


class Bench:
    """One instruction on arrays of its own: `run()` does it, by the machine of a variant or by NumPy."""

    def __init__(self, rows: int, dtype: str, parts: int = 1) -> None:
        self.rows, self.dtype, self.parts = rows, np.dtype(dtype), parts
        self.arrays: list[tuple[Place, np.ndarray]] = []

    def batch(self, array: np.ndarray) -> Place:
        place = Place(f"a{len(self.arrays)}", "arena", array.shape[1:])
        self.arrays.append((place, array))
        return place

    def labels(self, array: np.ndarray, below: int) -> Place:
        place = Place(f"a{len(self.arrays)}", "labels", array.shape[1:], below=below)
        self.arrays.append((place, array))
        return place

    def flat(self, array: np.ndarray, space: Any = "parameters") -> Place:
        start = sum(a.size for p, a in self.arrays if p.space == space)
        row, length = array.shape[-1:], array.shape[0] if array.ndim == 2 else 1
        place = Place(f"a{len(self.arrays)}", space, row, length, start, array.shape)
        self.arrays.append((place, array))
        return place

    def run(
        self,
        *instructions: Instruction,
        where: str = "v3",
        call: Call | None = None,
        layer: Layer | None = None,
    ) -> list[np.ndarray]:
        """The arrays afterwards, in order. The loss is in `self.loss`, whether it stopped in `self.done`."""
        turns = [Turn(each.operation.turn, (each,), self.parts) for each in instructions]
        table = Table(turns, self.rows, instructions[0].operands[0])  # type: ignore[arg-type]
        for space in ("spares", "constants"):
            own = [a for p, a in self.arrays if p.space == space]
            if space == "spares":
                table.spares_size = sum(a.size for a in own)
            elif own:
                table.constants = np.concatenate([a.ravel() for a in own])
        for place, _ in self.arrays:  # apart: none is used again, and each is there from the beginning
            if place.space == "arena":
                place.start, table.arena_width = table.arena_width, table.arena_width + place.width
            elif place.space == "labels":
                place.start, table.labels_width = table.labels_width, table.labels_width + place.width
        table.indices = np.concatenate(
            [np.zeros(0, np.int64), *(a.ravel() for p, a in self.arrays if p.space == "indices")]
        )
        sizes = {s: sum(a.size for p, a in self.arrays if p.space == s) for s in ("parameters", "gradient")}
        params = Parameters.empty({"p": (max(sizes.values()),)}, self.dtype)
        verify(table, params.flat.size)
        memory = Memory(table, params)
        for place, array in self.arrays:
            memory.view(place)[...] = array
        python = PythonTurns(GRAPH, memory)
        if layer is not None:
            python.layers = {0: layer}
        executor: Any
        if where == "NumPy":
            executor = NumpyExecutor(table, memory, python)
        else:
            executor = Machine(table, memory, python, variants().index(where))
        call = call or Call({}, self.rows, 1, np.arange(self.rows).reshape(1, -1))
        self.done = executor.run(call)
        self.loss = float(executor._sums.sum()) if isinstance(executor, Machine) else float(call.losses[0])
        return [memory.view(place).copy() for place, _ in self.arrays]


# Both sides of every operation ---------------------------------------------------------------------------


def all_operations() -> list[Operation]:
    """Every operation that a module of `chainrule.program.operations` defines, or `sums` does."""
    modules = [
        importlib.import_module(f"{operations.__name__}.{each.name}")
        for each in pkgutil.iter_modules(operations.__path__)
    ]
    found = [each for module in (*modules, sums) for value in vars(module).values() for each in held(value)]
    return list(dict.fromkeys(found))


def held(value: Any) -> list[Operation]:
    """The operations in a value: one itself, a dict or tuple of them, or a dataclass that holds some."""
    if isinstance(value, Operation):
        return [value]
    if isinstance(value, dict):
        return [each for one in value.values() for each in held(one)]
    if isinstance(value, tuple):
        return [each for one in value for each in held(one)]
    if is_dataclass(value) and not isinstance(value, type):
        return [each for one in vars(value).values() for each in held(one)]
    return []


def test_every_operation_has_both_sides_and_every_kernel_an_operation() -> None:
    native = [each for each in all_operations() if each.turn != "python"]
    assert len(native) > 40
    for each in native:
        assert each.statement is not None, each
    for variant in range(len(variants())):
        for bits in (32, 64):
            assert set(kernels(variant, bits)[1]) == {each.kernel for each in native}


def test_layers_and_optimizers_with_kernels_are_the_very_classes() -> None:
    for name in UPDATES:
        assert getattr(cr, name).native[0] == name
    for kind in (*ACTIVATIONS, *LOSSES):
        assert issubclass(kind, Layer)


# Kernels against layers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_an_activation_and_its_gradient_equal_the_layer(layer: Layer, dtype: str, where: str) -> None:
    activation = activations.activation_of(layer)
    kinds = activations.OPERATIONS[activation.kernel]
    numbers = (getattr(layer, activation.number),) if activation.number else ()
    for number, shape in enumerate(SHAPES):
        x, dy = values(shape, dtype, number), values(shape, dtype, number + 50, odd=False)
        b = values((shape[1],), dtype, 7, odd=False)
        with np.errstate(all="ignore"):
            y, saved = layer.forward(x)
            dx = layer.backward(dy, saved)
            biased = layer.forward(x + b)[0]
            bench = Bench(shape[0], dtype)
            places = bench.batch(x), bench.batch(np.zeros_like(x)), bench.batch(dy)
            kept = places[1] if activation.keeps == "output" else places[0]
            one = Instruction(kinds["plain"], places[:2], numbers, 0)
            two = Instruction(kinds["gradient"], (places[2], kept), numbers, 0)
            _, made, back = bench.run(one, two, where=where, layer=layer)
            np.testing.assert_allclose(made, y, **tolerance(dtype))
            np.testing.assert_allclose(back, dx, **tolerance(dtype))
            bench = Bench(shape[0], dtype)
            z, bias, out = bench.batch(x), bench.flat(b), bench.batch(np.zeros_like(x))
            kept_form = Instruction(kinds["kept"], (z, bias, out), numbers, 0)
            summed, _, made = bench.run(kept_form, where=where, layer=layer)
            np.testing.assert_array_equal(summed, x + b)
            np.testing.assert_allclose(made, biased, **tolerance(dtype))
            bench = Bench(shape[0], dtype)
            in_place = Instruction(kinds["biased"], (bench.batch(x), bench.flat(b)), numbers, 0)
            np.testing.assert_allclose(
                bench.run(in_place, where=where, layer=layer)[0], biased, **tolerance(dtype)
            )


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.__name__)
def test_a_loss_and_its_gradient_equal_the_layer(kind: type[Layer], dtype: str, where: str) -> None:
    layer, operation = kind(), LOSSES[kind].loss
    softmax = kind is cr.SoftmaxCrossEntropy
    for number, shape in enumerate([(1, 2), (3, 1), (7, 10), (33, 5)]):
        for scale in (1, 1 if kind is cr.HalfPoissonDeviance else 1e4):  # exp(1e4) is infinite
            x = (scale * values(shape, dtype, number, odd=False)).astype(dtype)
            rng = np.random.default_rng(number)
            t: Any = rng.integers(0, shape[1], shape[0]) if softmax else rng.random(shape).astype(dtype)
            if not softmax:
                x[0, 0] = t[0, 0]
            loss, saved = layer.forward(x, t)
            expected = layer.backward(np.ones((), dtype), saved)[0]
            bench = Bench(shape[0], dtype)
            targets = (
                (bench.batch(x), bench.labels(t, shape[1])) if softmax else (bench.batch(x), bench.batch(t))
            )
            form = losses.form_of(layer, shape[1:], t)
            assert form is not None
            made = Instruction(operation, (*targets, bench.batch(np.zeros_like(x))), form.numbers, layer=0)
            dx = bench.run(made, where=where, layer=layer)[-1]
            np.testing.assert_allclose(bench.loss, loss, **tolerance(dtype))
            np.testing.assert_allclose(dx, expected, **tolerance(dtype))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_cross_entropy_does_not_hide_what_is_not_finite(bad: float, dtype: str) -> None:
    z = np.zeros((4, 3), dtype)
    z[2, 1] = bad
    bench = Bench(4, dtype)
    places = bench.batch(z), bench.labels(np.zeros(4, int), 3), bench.batch(np.zeros_like(z))
    bench.run(Instruction(losses.OF_LABELS.loss, places, layer=0))
    assert np.isnan(bench.loss)


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", [cr.SoftmaxCrossEntropy(), cr.SigmoidCrossEntropy()], ids=repr)
def test_right_answers_are_counted_as_the_layer_says(layer: Any, dtype: str, where: str) -> None:
    """A largest logit that is there twice counts as the first; a row that is not finite has no answer."""
    count = LOSSES[type(layer)].count
    assert count is not None
    softmax = isinstance(layer, cr.SoftmaxCrossEntropy)
    for rows in (2, 7, 100):
        z = np.round(values((rows, 5), dtype, rows, odd=False))
        rng = np.random.default_rng(rows)
        t = rng.integers(0, 5, rows) if softmax else rng.integers(0, 2, z.shape).astype(dtype)
        for spoilt in (False, True):
            if spoilt:
                z[0, 3], z[-1, 2] = np.nan, np.inf
            bench = Bench(rows, dtype)
            places = bench.batch(z), bench.labels(t, 5) if softmax else bench.batch(t)
            call = Call({}, rows, 1, None, rows, right=np.zeros(1, np.int64))
            bench.run(Instruction(count, places, layer=0), where=where, call=call, layer=layer)
            inner = slice(1, -1) if spoilt else slice(None)
            assert call.right is not None
            assert call.right[0] == layer.correct(z[inner], t[inner]).sum()


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("without_blas", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_equal_numpy(dtype: str, without_blas: bool, where: str, monkeypatch: Any) -> None:
    """In tiles, by BLAS, by rows, and by the plain loops; every way to cut rows into tiles, and widths of one."""
    if without_blas:
        monkeypatch.setattr(blas, "found", lambda: None)
    for rows in (*range(1, 15), 33):
        for K, N in SIZES:
            x, W = values((rows, K), dtype, rows, odd=False), values((K, N), dtype, 5, odd=False)
            dy = values((rows, N), dtype, 9, odd=False)
            for parts in (1, 2) if rows in (2, 5, 13, 33) else (1,):
                bench = Bench(rows, dtype, parts)
                places = [bench.batch(x), bench.batch(dy), bench.flat(W)]
                places += [
                    bench.batch(np.full((rows, N), 5, dtype)),
                    bench.batch(np.full((rows, K), 5, dtype)),
                ]
                dW = bench.flat(np.full((K, N), 5, dtype), "gradient")
                out = bench.run(
                    Instruction(affine.MATMUL, (places[0], places[2], places[3])),
                    Instruction(affine.MATMUL_BY_TRANSPOSED, (places[1], places[2], places[4])),
                    Instruction(affine.TRANSPOSED_MATMUL, (places[0], places[1], dW)),
                    where=where,
                )
                for got, expected in zip(out[3:], (x @ W, dy @ W.T, x.T @ dy), strict=True):
                    np.testing.assert_allclose(
                        got, expected, rtol=1e-5, atol=1e-3 if dtype == "float32" else 1e-10
                    )


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_loops_over_a_batch(dtype: str, where: str) -> None:
    a, b = values((7, 17), dtype, 0, odd=False), values((7, 17), dtype, 1, odd=False)
    f = values((17,), dtype, 2, odd=False)
    for parts in (1, 2):
        bench = Bench(7, dtype, parts)
        one, other, out = bench.batch(a), bench.batch(b), bench.batch(np.zeros_like(a))
        copied, scaled, biased = (
            bench.batch(np.zeros_like(a)),
            bench.batch(np.zeros_like(a)),
            bench.batch(b),
        )
        factor, bias = bench.flat(f, "constants"), bench.flat(f)
        db, dW = (
            bench.flat(np.full(17, 3, dtype), "gradient"),
            bench.flat(np.ones((7, 17), dtype), "gradient"),
        )
        spare = bench.flat(a, "spares")
        results = bench.run(
            Instruction(arithmetic.ARITHMETIC[cr.Add].value, (one, other, out), (1, 17, 1, 17), 0),
            Instruction(sums.COPY, (one, copied)),
            Instruction(sums.ACCUMULATE, (other, copied)),
            Instruction(arithmetic.ARITHMETIC[cr.Add].value, (one, factor, scaled), (1, 17, 1, 17), 0),
            Instruction(affine.ADD_BIAS, (biased, bias)),
            Instruction(affine.BIAS_GRADIENT, (one, db)),
            Instruction(sums.ACCUMULATE_MATRIX, (spare, dW)),
            where=where,
            layer=cr.Add(),
        )
        expected = [a + b, a + b, a + f, b + f, f, f, a.sum(axis=0), a + 1]
        for got, want in zip(results[2:], expected, strict=False):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("where", [*variants(), "NumPy"])
def test_a_gradient_that_is_not_finite_stops_the_step(where: str, dtype: str, bad: float) -> None:
    for place in (0, 5, 130):
        x = values((10, 131), dtype, 0, odd=False)
        x[3, place] = bad
        for operation in (affine.BIAS_GRADIENT, affine.TRANSPOSED_MATMUL):
            bench = Bench(10, dtype)
            source = bench.batch(x)
            if operation is affine.BIAS_GRADIENT:
                operands: tuple[Place, ...] = (source, bench.flat(np.zeros(131, dtype), "gradient"))
            else:
                dy = bench.batch(np.ones((10, 2), dtype))
                operands = (source, dy, bench.flat(np.zeros((131, 2), dtype), "gradient"))
            whole = Place("gradient", "gradient", (operands[-1].end,), 1, shape=(operands[-1].end,))
            stop = Instruction(updates.STOP_UNLESS_FINITE, (whole,))
            with np.errstate(all="ignore"):
                bench.run(Instruction(operation, operands), stop, where=where)
            assert bench.done == 0


# Updates -------------------------------------------------------------------------------------------------


def updated(
    optimizer: cr.Optimizer, w: Any, gradients: Any, where: str, parts: int, state: Any = None
) -> Any:
    """The parameters and the running arrays after steps with these gradients."""
    state = optimizer.start(w) if state is None else state
    instruction, update = update_of(optimizer, state, w.dtype)
    for g in gradients:
        bench = Bench(0, w.dtype.name, parts)
        places = bench.flat(w), bench.flat(g.copy(), "gradient")
        made = replace(instruction, operands=(*places, *instruction.operands[2:]))
        rates = np.array([optimizer.schedule(state.iteration, 10**6)])
        call = Call({}, 0, 1, np.zeros((1, 0), np.int64), rates=rates, update=update)
        stop = Instruction(updates.STOP_UNLESS_FINITE, (places[1],))
        turns = Turn("update", (stop, made), parts)
        table = Table([turns], 0, places[0])
        params = Parameters(w, {"p": w.shape})
        memory = Memory(table, params)
        memory.gradient[:] = g
        python = PythonTurns(GRAPH, memory)
        executor: Any
        if where == "NumPy":
            executor = NumpyExecutor(table, memory, python)
        else:
            executor = Machine(table, memory, python, variants().index(where))
        assert executor.run(call) == 1
    return w, state


@pytest.mark.parametrize("where", [*variants(), "NumPy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_an_update_equals_the_rule_of_its_optimizer(name: str, dtype: str, decay: float, where: str) -> None:
    optimizer = cr.optimizers.get(name, learning_rate=0.03, weight_decay=decay)
    rng = np.random.default_rng(0)
    w = rng.standard_normal(101).astype(dtype)
    expected, state = w.copy(), optimizer.start(w)
    gradients = [rng.standard_normal(101).astype(dtype) for _ in range(50)]
    for g in gradients:
        optimizer.step(expected, g, state)
    for parts in (1, 2):
        got, own = updated(optimizer, w.copy(), gradients, where, parts)
        assert own.iteration == 50
        np.testing.assert_allclose(got, expected, rtol=2e-4 if dtype == "float32" else 1e-11, atol=1e-6)


def denormal(array: np.ndarray) -> np.ndarray:
    """Numbers below the smallest normal one, with which processors are slow."""
    return (array != 0) & (abs(array) < np.finfo(array.dtype).tiny)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in UPDATES if name != "SGD"])
def test_what_fades_away_in_an_update_ends_at_0(name: str, dtype: str) -> None:
    """Gradients of 0, after which a running array shrinks and shrinks, or are so small that their squares are."""
    optimizer = cr.optimizers.get(name, **({"weight_decay": 0.0} if name == "AdamW" else {}))
    tiny = np.finfo(dtype).tiny
    w, g = np.ones(60, dtype), np.zeros(60, dtype)
    g[::2] = 0.3 * np.sqrt(tiny)
    state = optimizer.start(w)
    state.iteration = 100
    for array in state.arrays.values():
        array[...] = np.linspace(0, 1.2 * tiny, 60)
    for _ in range(40):
        updated(optimizer, w, [g], "v3", 1, state)
        for array in state.arrays.values():
            assert not denormal(array).any()
    np.testing.assert_allclose(w, 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["AdaGrad", "RMSProp", "Adam"])
def test_squares_beside_a_vanishing_epsilon_are_kept(name: str, dtype: str) -> None:
    """There the quotient of a gradient and its root is 1, however small they are."""
    optimizer = cr.optimizers.get(name, learning_rate=0.1, epsilon=1e-30 if dtype == "float32" else 1e-200)
    g = np.full(4, 0.3 * np.sqrt(np.finfo(dtype).tiny), dtype)
    w, _ = updated(optimizer, np.zeros(4, dtype), [g], "v3", 1)
    assert 0.05 < abs(w[0]) < 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "optimizer", [cr.SGD(0.1, weight_decay=0.1), cr.AdamW(0.1, weight_decay=0.1)], ids=repr
)
def test_a_weight_that_decays_ends_at_0(optimizer: cr.Optimizer, dtype: str) -> None:
    w = np.linspace(-1.2, 1.2, 61).astype(dtype) * np.finfo(dtype).tiny
    assert denormal(w).any()
    w, _ = updated(optimizer, w, [np.zeros(61, dtype)], "v3", 1)
    assert denormal(w).sum() <= 2  # those that the decay itself takes below the smallest
    assert w[0] < 0 < w[-1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "layer", [cr.Sigmoid(), cr.SiLU(), cr.Softplus(), cr.ELU(), cr.Tanh(), cr.GELU()], ids=repr
)
def test_saturated_activations_are_0_or_normal(layer: Layer, dtype: str) -> None:
    activation = activations.activation_of(layer)
    kinds = activations.OPERATIONS[activation.kernel]
    numbers = (getattr(layer, activation.number),) if activation.number else ()
    end = -np.log(np.finfo(dtype).tiny)
    x = np.linspace(0.9 * end, 1.2 * end, 1000).astype(dtype).reshape(10, 100)
    for given_ in (x, -x):
        bench = Bench(10, dtype)
        places = bench.batch(given_), bench.batch(np.zeros_like(x)), bench.batch(np.ones_like(x))
        kept = places[1] if activation.keeps == "output" else places[0]
        one = Instruction(kinds["plain"], places[:2], numbers, 0)
        _, y, dx = bench.run(one, Instruction(kinds["gradient"], (places[2], kept), numbers, 0))
        for result in (y, dx):
            assert np.mean(denormal(result)) <= 0.03  # a product may still be, a little before the end


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_of_a_saturated_softmax_is_0_or_normal(dtype: str) -> None:
    end = -np.log(np.finfo(dtype).tiny)
    z = -np.linspace(0.8 * end, 1.2 * end, 5000).astype(dtype).reshape(500, 10)
    z[:, 3] = 0
    bench = Bench(500, dtype)
    places = bench.batch(z), bench.labels(np.full(500, 3), 10), bench.batch(np.zeros_like(z))
    dz = bench.run(Instruction(losses.OF_LABELS.loss, places, layer=0))[-1]
    assert bench.loss == 0
    assert not denormal(dz).any()
    assert (dz[:, 4] > 0).any()
    assert not dz[-1].any()


# Bits ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(len(variants()) < 2, reason="this processor runs only one variant")
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_variant_gives_the_same_bits(dtype: str) -> None:
    """Kernels without functions of libm, and the tiles; BLAS chooses its own kernels by the processor."""
    x, W = values((33, 64), dtype, 0, odd=False), values((64, 32), dtype, 1, odd=False)
    found = []
    for where in variants():
        bench = Bench(33, dtype)
        places = bench.batch(x), bench.flat(W), bench.batch(np.zeros((33, 32), dtype))
        relu = activations.OPERATIONS["leaky_relu"]["plain"]
        out = bench.batch(np.zeros((33, 32), dtype))
        dy = bench.batch(values((33, 32), dtype, 2, odd=False))
        db = bench.flat(np.zeros(32, dtype), "gradient")
        made = bench.run(
            Instruction(affine.MATMUL, places),
            Instruction(relu, (places[2], out), (0.1,)),
            Instruction(affine.BIAS_GRADIENT, (dy, db)),
            where=where,
        )
        g = [values((101,), dtype, 3, odd=False) for _ in range(20)]
        weights = [
            updated(kind, values((101,), dtype, 4), g, where, 2)[0] for kind in (cr.SGD(0.1), cr.Adam(0.1))
        ]
        found.append([each.tobytes() for each in (*made, *weights)])
    assert found[0] == found[1]


# Wrong tables --------------------------------------------------------------------------------------------


def good_program() -> Any:
    layers = cr.Affine(16), cr.ReLU(), cr.Affine(5), cr.GELU(), cr.Affine(4)
    net = cr.Network(*layers, input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=0)
    return net, net.program(8)


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_a_wrong_table_is_refused_or_does_no_harm(data: st.DataObject) -> None:
    """Places, widths, operands and numbers are changed at random. What the verifier lets through runs, and changes
    nothing outside its own arrays."""
    net, program = good_program()
    training = data.draw(st.booleans())
    table: Table = copy.deepcopy(program.training if training else program.predicting)
    places, instructions = table.places, table.instructions
    for _ in range(data.draw(st.integers(1, 3))):
        changes = ["start", "width", "length", "space", "swap", "below", "number", "capacity", "input"]
        what = data.draw(st.sampled_from(changes))
        place = data.draw(st.sampled_from(places))
        if what == "start":
            place.start = data.draw(st.integers(-5, 2 * table.arena_width))
        elif what == "width":
            place.row = (data.draw(st.integers(-1, 40)),)
        elif what == "length":
            place.length = data.draw(st.sampled_from([None, 0, 1, 5, 100]))
        elif what == "space":
            place.space = data.draw(
                st.sampled_from(["arena", "labels", "parameters", "gradient", "data", "spares"])
            )
        elif what == "below":
            place.below = data.draw(st.integers(-1, 9))
        elif what == "input":
            place.is_input = not place.is_input
        elif what == "capacity":
            table.capacity = data.draw(st.integers(0, 8))
        else:
            k = data.draw(st.integers(0, len(instructions) - 1))
            old = instructions[k]
            if what == "number":
                new = replace(old, numbers=(data.draw(st.floats(-9, 9)),) * len(old.numbers))
            else:
                operands = list(old.operands)
                operands[data.draw(st.integers(0, len(operands) - 1))] = place
                new = replace(old, operands=tuple(operands))
            table.turns = [
                replace(turn, instructions=tuple(new if each is old else each for each in turn.instructions))
                for turn in table.turns
            ]
            instructions = table.instructions
    before, x, t = net.params.flat.copy(), np.ones((8, 6), "float32"), np.zeros(8, int)
    for place in places:
        if place.space not in ("arena", "labels", "data"):
            place.shape = (place.length or 0, *place.row) if len(place.shape) == 2 else place.row
    try:
        executor = program.make_executor(table)
    except (TableError, ValueError):
        return
    rows = min(8, table.capacity)
    call = Call({"x": x, "t": t}, rows, 1, np.arange(rows).reshape(1, -1))
    if not training:
        call = Call({"x": x, "t": t}, rows, 1, None, rows, right=np.zeros(1, np.int64))
        call.result = np.zeros((rows, *table.output.row), "float32")
    try:
        executor.run(call)
    except ChainruleError:
        return
    np.testing.assert_array_equal(net.params.flat, before)
    np.testing.assert_array_equal(x, 1)


def test_what_the_verifier_says() -> None:
    _, program = good_program()

    def refused(change: Any) -> str:
        table = copy.deepcopy(program.training)
        change(table)
        with pytest.raises(TableError) as caught:
            program.make_executor(table)
        return str(caught.value)

    def place_of(table: Table, name: str) -> Place:
        return next(place for place in table.places if place.name == name)

    assert "expected it to end within" in refused(lambda t: setattr(place_of(t, "relu1"), "start", 10**6))
    assert "do not fit its operands" in refused(lambda t: setattr(place_of(t, "W1"), "row", (15,)))
    assert "is an input" in refused(lambda t: setattr(place_of(t, "drelu1"), "is_input", True))
    assert "nothing may write to parameters" in refused(
        lambda t: setattr(place_of(t, "dW1"), "space", "parameters")
    )
    assert "to be below" in refused(lambda t: setattr(place_of(t, "t"), "below", 3))


def test_data_changed_by_another_thread_crash_nothing() -> None:
    """Row numbers and labels are read once, checked, and only then used."""
    net, _ = good_program()
    x, t, good = np.ones((400, 6), "float32"), np.zeros(400, int), threading.Event()

    def change() -> None:
        rng = np.random.default_rng(0)
        while not good.is_set():
            t[rng.integers(400)] = rng.choice([-1, 0, 3, 4, 2**40])
            x[rng.integers(400)] = rng.normal()

    thread = threading.Thread(target=change)
    thread.start()
    errors = 0
    try:
        for _ in range(60):
            try:
                trainer = net.program(8).trainer(cr.SGD(0.01), cr.SGD(0.01).start(net.params.flat))
                rows = np.random.default_rng(1).integers(0, 400, (50, 8))
                trainer.steps({"x": x, "t": t}, rows, np.full(50, 1e-6), iteration=0, threads=2)
            except DataError as error:
                errors += "were the targets changed" in str(error)
    finally:
        good.set()
        thread.join()
    assert errors > 0


def test_the_structures_are_laid_out_as_the_library_says() -> None:
    assert layout.machine() is not None  # it raises where they are not


def test_several_threads_predict_with_one_network() -> None:
    net, _ = good_program()
    x = np.random.default_rng(0).normal(size=(300, 6)).astype("float32")
    expected, single = net.predict(x), net.predict(x[:1])
    wrong: list[int] = []

    def look() -> None:
        for k in range(200):
            one = net.predict(x[k : k + 1])
            wrong.extend([k] * (not np.array_equal(net.predict(x), expected) or one.shape != single.shape))
            wrong.extend([k] * (not np.allclose(one, expected[k : k + 1], rtol=1e-4, atol=1e-5)))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_single_row_is_predicted_as_among_others() -> None:
    for dtype in DTYPES:
        for sizes in ((784, 50, 10), (20, 64, 64, 2), (3, 1, 1), (9, 17, 5)):
            layers = [layer for width in sizes[1:-1] for layer in (cr.Affine(width), cr.ReLU())]
            net = cr.Network(
                *layers,
                cr.Affine(sizes[-1]),
                input_shape=sizes[0],
                loss=cr.MeanSquaredError(),
                seed=0,
                dtype=dtype,
            )
            x = np.random.default_rng(0).normal(size=(5, sizes[0])).astype(dtype)
            expected = net.graph.evaluate({"x": x}, net.output)
            for k in (0, 1, 2):
                got = net.predict(x[k : k + 1])
                np.testing.assert_allclose(got, expected[k : k + 1], rtol=2e-4, atol=1e-5)
                assert got.flags.writeable
                assert got.dtype == dtype
            net.params.flat += 1  # the weights as they are now
            assert not np.allclose(net.predict(x[:1]), expected[:1])
            with pytest.raises(DataError, match="x holds nan at row 0, column 2"):
                net.predict(np.array([[0, 0, np.nan, *[0] * (sizes[0] - 3)]], dtype))
            with pytest.raises(cr.errors.ShapeError):
                net.predict(x[0])


def test_step_is_part_of_the_interface_of_statements() -> None:
    assert {"call", "number", "layers", "loss", "saved"} <= set(Step.__dataclass_fields__)
