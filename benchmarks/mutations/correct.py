"""Correct code: every class and pair of the suite, and every layer of chainrule, in several shapes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mutations import arrays as a
from mutations import elementwise as e
from mutations import functions as f
from mutations import images as i
from mutations import losses as s
from mutations import weights as w
from mutations.graphs import LAYERS, graph, network
from mutations.targets import (
    Draw,
    Pair,
    Recipe,
    Rng,
    Target,
    affine,
    affine_apart,
    apart,
    away_from,
    bits,
    distinct,
    normal,
    on,
    one_hot,
    positive,
    recurrent,
    scaled,
    whole,
)
from mutations.wrapped import layer_cases, target_of


@dataclass(frozen=True)
class Correct:
    """Something right, and how to make it from a seed and a dtype."""

    name: str
    make_target: Callable[[int, Any], Target]


SIZES = ((6, 5), (1, 4), (3, 3), (17, 2))


def _each(draw: Callable[..., Draw], copies: int = 1) -> list[Recipe]:
    return [on(*[draw(*size)] * copies) for size in SIZES]


def _apart(*draws: Callable[..., Draw]) -> list[Recipe]:
    return [apart(*(draw(*size) for draw in draws)) for size in SIZES]


def _features(draw: Callable[..., Draw]) -> Callable[..., Draw]:
    return lambda n, d: draw(d)


def _kinks(*kinks: float) -> Callable[..., Draw]:
    return functools.partial(away_from, kinks)


DENSE = [affine(6, 5, 4), affine(4, 4, 4), affine(1, 3, 2), affine(12, 2, 1)]
LABELS = [on(normal(n, k), whole(k, n)) for n, k in SIZES]
COLUMNS = [on(normal(n, k), whole(k, n, 1)) for n, k in SIZES]
HOT = [on(normal(n, k), one_hot(n, k)) for n, k in SIZES]
TABLES = [on(normal(n, k), normal(n, k)) for n, k in SIZES]

WRITTEN: list[tuple[Any, list[Recipe]]] = [
    (e.Relu, [*_each(_kinks(0.0)), on(away_from((0.0,), 2, 3, 4))]),
    (e.LeakyRelu, _each(_kinks(0.0))),
    (e.Absolute, _each(_kinks(0.0))),
    (e.Clip, _each(_kinks(-0.8, 0.8))),
    (e.Sigmoid, [*_each(normal), on(normal(2, 3, 4)), on(normal(7)), on(normal(6, 5, scale=5))]),
    (e.Tanh, [*_each(normal), on(normal(2, 3, 4)), on(normal(7))]),
    (e.Exp, _each(normal)),
    (e.Log, _each(positive)),
    (e.Square, _each(normal)),
    (e.Reciprocal, _each(positive)),
    (e.Softplus, _each(normal)),
    (e.Swish, _each(normal)),
    (e.Dropout, _each(normal)),
    (e.OwnDropout, _each(normal)),
    (e.Softmax, _each(normal)),
    (a.Multiply, _each(normal, 2)),
    (a.Add, _each(normal, 2)),
    (a.AddBias, [on(normal(n, d), normal(d)) for n, d in SIZES]),
    (a.MatMul, [on(normal(n, d), normal(d, 3)) for n, d in SIZES]),
    (a.Flatten, [on(normal(4, 3, 2, 2)), on(normal(3, 2)), on(normal(1, 5, 2))]),
    (a.Sum, _each(normal)),
    (a.Mean, _each(normal)),
    (a.Max, _each(distinct)),
    (a.Concat, [on(normal(n, d), normal(n, 3)) for n, d in SIZES]),
    (a.Repeat, _each(normal)),
    (a.Normalize, _each(positive)),
    (w.Affine, DENSE),
    (w.AffineLists, DENSE),
    (w.AffineDicts, DENSE),
    (w.Embedding, [on(whole(5, n), weights=(normal(5, 3),)) for n in (1, 4, 12)]),
    (w.Residual, [on(normal(n, 4), weights=(normal(4, 4),)) for n in (1, 4, 7)]),
    (w.RNNCell, [recurrent(6, 5, 4), recurrent(1, 2, 3), recurrent(4, 4, 4)]),
    (w.BatchNorm, [scaled(6, 4), scaled(4, 4), scaled(17, 2)]),
    (w.LayerNorm, [scaled(6, 4), scaled(4, 4), scaled(1, 7)]),
    (s.SoftmaxWithLoss, [*LABELS, *COLUMNS, *HOT]),
    (s.OneHotCrossEntropy, HOT),
    (s.SigmoidWithLoss, [on(normal(n, k), bits(n, k)) for n, k in SIZES]),
    (s.MSE, [*TABLES, on(normal(6), normal(6))]),
    (s.Distance, TABLES),
    (i.MaxPool, [on(distinct(3, 2, 4, 6)), on(distinct(1, 1, 2, 2))]),
    (i.Conv2d, [on(normal(3, 2, 5, 4), weights=(normal(4, 2, 3, 3), normal(4)))]),
    (Pair(f.affine_forward, f.affine_backward), [affine_apart(6, 5, 4), affine_apart(4, 4, 4)]),
    (Pair(f.tanh_forward, f.tanh_backward), _apart(normal)),
    (Pair(f.product_forward, f.product_backward), _apart(normal, normal)),
    (Pair(f.scale_forward, f.scale_backward), _apart(normal, _features(normal))),
    (Pair(f.add_forward, f.add_backward), _apart(normal, normal)),
    (Pair(f.softmax_forward, f.softmax_backward), _apart(normal)),
    (Pair(f.logistic_forward, f.logistic_backward), _apart(normal)),
    (Pair(f.rectify_forward, f.rectify_backward), _apart(_kinks(0.0))),
    (Pair(f.linear_forward, f.linear_backward), [apart(normal(6, 2, 2, 2), normal(8, 3), normal(3))]),
    (Pair(f.whiten_forward, f.whiten_backward), [apart(normal(6, 4), positive(4), normal(4))]),
]


def written_by_hand() -> list[Correct]:
    """The classes and pairs of this suite."""
    return [
        Correct(f"{subject.__name__} {number + 1}", functools.partial(_target, subject, recipe))
        for subject, recipes in WRITTEN
        for number, recipe in enumerate(recipes)
    ]


def layers() -> list[Correct]:
    """The layers of chainrule, on the table that their own tests use."""
    return [Correct(f"cr.{case}", functools.partial(_case, case)) for case in layer_cases.all_cases()]


def graphs() -> list[Correct]:
    """Graphs and networks of right nodes."""
    return [
        Correct(f"{place.__name__} with cr.{cls.__name__}", functools.partial(place, cls, None))
        for cls in LAYERS
        for place in (graph, network)
    ]


@functools.cache
def everything_correct() -> tuple[Correct, ...]:
    """All of them."""
    return (*written_by_hand(), *layers(), *graphs())


def checks(count: int) -> Iterator[tuple[Correct, int, Any]]:
    """So many checks: everything with one seed and float64, then with float32, then with the next seed."""
    turns = (
        (correct, seed, dtype)
        for seed in itertools.count()
        for dtype in (np.float64, np.float32)
        for correct in everything_correct()
    )
    return itertools.islice(turns, count)


def _target(subject: Any, recipe: Recipe, seed: int, dtype: Any) -> Target:
    return recipe(subject, _rng(seed), dtype)


def _case(case: Any, seed: int, dtype: Any) -> Target:
    return target_of(case, _rng(seed), dtype)


def _rng(seed: int) -> Rng:
    return np.random.default_rng(1000 + seed)
