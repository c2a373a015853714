"""What is timed: fits and predictions of many sizes, in groups that have a goal each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

SMALL, WIDE, LBFGS, SPARSE = "small networks", "(512, 512)", "lbfgs", "sparse, 50,000 columns"
#: How many times as fast as scikit-learn each group should be, by the geometric mean.
GOALS = {SMALL: 4.0, WIDE: 1.5, LBFGS: 1.2, SPARSE: 2.0}
SEARCH_GOAL = 5.0
LOWEST_GOAL = 0.95
WORDS = 50_000  # columns of the sparse input
EPOCHS = {100: 200, 1_000: 50, 10_000: 10, 100_000: 1}
ITERATIONS = {100: 200, 1_000: 100, 10_000: 20}  # of lbfgs
TYPES = ("float64", "float32")


@dataclass(frozen=True)
class Workload:
    """A fit of so many epochs, or iterations of lbfgs, and a prediction of the rows it was trained on."""

    group: str
    solver: str
    hidden: tuple[int, ...]
    rows: int
    columns: int
    epochs: int
    task: str = "classes"
    dtype: str = "float64"

    @property
    def title(self) -> str:
        """What is fitted, without the type of its numbers."""
        what = "" if self.task == "classes" else ", regression"
        return f"{self.solver} {self.hidden}, {self.rows:,} x {self.columns:,}{what}"

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters of either estimator. No early end: everyone does the same epochs."""
        limit: dict[str, Any] = {"max_iter": self.epochs, "tol": 0.0}
        if self.solver != "lbfgs":
            limit["n_iter_no_change"] = self.epochs + 1
        return {"hidden_layer_sizes": self.hidden, "solver": self.solver, "random_state": 0, **limit}


def workloads(quick: bool) -> list[Workload]:
    """All of them, or those of the quick mode."""
    found = [*_small(quick), *_wide(quick), *_lbfgs(quick), *_sparse(quick)]
    return [replace(each, dtype=dtype) for each in found for dtype in TYPES]


Sizes = Iterable[Workload]


def _small(quick: bool) -> Sizes:
    hidden = ((100,),) if quick else ((100,), (50, 50))
    rows = (100, 1_000, 10_000) if quick else tuple(EPOCHS)
    columns = (5, 100) if quick else (5, 20, 100)
    for solver, units, n, d in product(("adam", "sgd"), hidden, rows, columns):
        yield Workload(SMALL, solver, units, n, d, EPOCHS[n])
    for solver, n in product(("adam", "sgd"), () if quick else (1_000, 100_000)):
        yield Workload(SMALL, solver, (100,), n, 20, EPOCHS[n], "numbers")


def _wide(quick: bool) -> Sizes:
    for solver, (n, epochs), d in product(
        ("adam", "sgd"), ((1_000, 5), (10_000, 1)), (100,) if quick else (20, 100)
    ):
        if n == 1_000 or not quick:
            yield Workload(WIDE, solver, (512, 512), n, d, epochs)


def _lbfgs(quick: bool) -> Sizes:
    hidden = ((100,),) if quick else ((100,), (50, 50))
    for units, n, d in product(hidden, ITERATIONS, (20,) if quick else (5, 20, 100)):
        yield Workload(LBFGS, "lbfgs", units, n, d, ITERATIONS[n])
    for n in () if quick else (1_000, 10_000):
        yield Workload(LBFGS, "lbfgs", (100,), n, 20, ITERATIONS[n], "numbers")


def _sparse(quick: bool) -> Sizes:
    for solver, (n, epochs) in product(("adam", "sgd"), ((1_000, 2),) if quick else ((1_000, 2), (5_000, 1))):
        yield Workload(SPARSE, solver, (100,), n, WORDS, epochs)
