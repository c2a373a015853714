"""What a training says where it fails, in the words of the estimators: the parameters that somebody can set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import DataError, DivergedError, FileError
from chainrule.optimizers import Optimizer
from chainrule.sklearn.order import minibatch_size


def refuse_weightless(estimator: Any, weights: Array | None, held_out: Array | None) -> None:
    """Raise ValueError where no row that is trained on, or none that is held out, has a weight above 0."""
    if weights is None:
        return
    for part, what in ((weights, "to train on"), (held_out, "that early_stopping holds out")):
        if part is not None and not part.any():
            raise ValueError(
                f"{_named(estimator)}: the rows {what} all have weight 0; leave rows of weight 0 out of X and y"
            )
    rows = len(weights)
    if np.count_nonzero(weights) < rows // minibatch_size(estimator, rows):
        raise ValueError(_of_minibatch(estimator))


@contextlib.contextmanager
def in_words_of(estimator: Any, weights: Array | None) -> Iterator[None]:
    """Name the parameters where a minibatch has rows of weight 0 only, or a checkpoint's folder is not empty."""
    try:
        yield
    except DataError:
        if weights is None or weights.all():
            raise
        raise ValueError(_of_minibatch(estimator)) from None
    except FileError as error:
        said = str(error).replace("with force=True", "with checkpoint=cr.Checkpoint(folder, force=True)")
        raise FileError(said) from None


def _of_minibatch(estimator: Any) -> str:
    return (
        f"{_named(estimator)}: a minibatch would hold only rows of weight 0, which have no mean loss; leave rows "
        f"of weight 0 out of X and y, or give a larger batch_size"
    )


def _named(estimator: Any) -> str:
    """The parameters that weights may come from."""
    of_classes = getattr(estimator, "class_weight", None) is not None
    return "sample_weight or class_weight" if of_classes else "sample_weight"


def divergence_of(estimator: Any, error: DivergedError) -> str:
    """Where a fit diverged, and what to change, as the estimator's parameters say it."""
    what, name = error.remedy.partition(": ")[0], type(estimator).__name__
    head = str(error).removesuffix(error.remedy)
    if error.cause == "inputs":
        scaler = "MaxAbsScaler" if "MaxAbsScaler" in error.remedy else "StandardScaler"  # of sparse data
        return f"{head}{what}: scale X, such as by make_pipeline({scaler}(), {name}(...))"
    if error.cause == "targets":
        return (
            f"{head}{what}: scale y, by TransformedTargetRegressor({name}(...), transformer=StandardScaler())"
        )
    if error.cause == "weights":
        return f"{head}{what}: fit a new estimator, or give it other first weights"
    if isinstance(estimator.solver, Optimizer):
        return str(error)
    rate = "learning_rate_init"
    if estimator.learning_rate_schedule is not None:
        rate = "learning rate in learning_rate_schedule"
    elif estimator.preset is not None:
        rate = "learning rate, by a solver in place of the preset"
    remedy = error.remedy.replace("smaller learning rate", f"smaller {rate}")
    return head + remedy.replace(" in the optimizer", "")


def settings_of(estimator: Any) -> dict[str, Any]:
    """What a history notes of the estimator, so that a report advises in its parameters."""
    noted: dict[str, Any] = {"estimator": type(estimator).__name__, "epochs": estimator.max_iter}
    own = isinstance(estimator.solver, Optimizer)
    noted["solver"] = "optimizer" if own else "preset" if estimator.preset is not None else estimator.solver
    if estimator.layers is not None:
        noted["layers"] = "given"
    if getattr(estimator, "class_weight", None) is not None:
        noted["class_weight"] = repr(estimator.class_weight)
    if estimator.early_stopping:
        noted["early_stopping"] = f"validation score, patience {estimator.n_iter_no_change}"
    return noted
