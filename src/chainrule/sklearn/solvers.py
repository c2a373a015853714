"""The stochastic solvers: the optimizer and the batches of an estimator's parameters, and their training."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.network import Network, Training
from chainrule.network.making import checked_callbacks
from chainrule.network.progress import Progress
from chainrule.optimizers import SGD, AdamHat, AdamW, Momentum, Nesterov, Optimizer
from chainrule.saving.checkpoint import Checkpoint
from chainrule.schedules import Constant, Schedule
from chainrule.sklearn.order import Draws, RowOrder, minibatch_size
from chainrule.sklearn.stochastic import Epochs, SolverState, Validation, run_epochs


def fit_by_epochs(
    estimator: Any, data: dict[str, Array], validation: Validation | None, *, incremental: bool
) -> None:
    """Train the estimator's network: one epoch where that is `incremental`, else until its rules end it.

    With `incremental`, or an exact warm start, the optimizer goes on with what it has gathered.
    """
    network, exact = estimator.network_, estimator.warm_start == "exact"
    goes_on = (incremental or exact) and hasattr(estimator, "_optimizer")
    optimizer, order = _optimizer_of(estimator), _order_of(estimator, data["x"].shape[0])
    if optimizer.schedule.needs_total and (incremental or goes_on):
        raise ValueError(
            f"learning_rate_schedule: {optimizer.schedule!r} depends on the length of the training, which a "
            f"fit that goes on does not know; choose another, such as cr.schedules.InverseSquareRoot(0.01)"
        )
    if goes_on:
        network.progress = network.progress.with_optimizer(optimizer, network.params.flat, network.decays)
    rate = float(estimator.learning_rate_init)
    if not goes_on or estimator._optimizer.first_rate != rate:
        estimator._optimizer = SolverState(rate, rate)
    training = Training(
        network,
        data,
        optimizer,
        order,
        validation=None if validation is None else validation.data,
        total=estimator.max_iter * order.epoch_length,
        fresh=not goes_on,
    )
    limit = 1 if incremental else estimator.max_iter
    training.planned = limit * order.epoch_length
    if optimizer.schedule == Constant(
        float(estimator.learning_rate_init)
    ):  # the rate may change with the epochs
        training.learning_rate = estimator._optimizer.learning_rate
    estimator.n_iter_ = 0
    epochs = Epochs(estimator, training, limit, outputs=estimator._reported_outputs, validation=validation)
    callbacks, checkpoint = checked_callbacks(estimator.callbacks or []), estimator.checkpoint
    if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
        checkpoint = Checkpoint(checkpoint)
    run_epochs(epochs, callbacks, estimator.progress, checkpoint, warns=not incremental)
    estimator._rows = order.draws.last if exact else None
    order.draws.kept = {}
    network.progress.order = Progress.order
    if not incremental and not estimator.warm_start:
        network.programs.trainer = None  # its memory is free before that of a prediction is taken


def _optimizer_of(estimator: Any) -> Optimizer:
    """The optimizer that the parameters describe."""
    e = estimator
    if isinstance(e.solver, Optimizer):
        return e.solver
    if e.preset == "chainrule":
        return Network.default_optimizer
    schedule: float | Schedule = e.learning_rate_schedule or float(e.learning_rate_init)
    more: dict[str, Any] = {"weight_decay": e.alpha, "clip_norm": e.clip_norm}
    if e.solver == "adamw":
        return AdamW(schedule, beta1=e.beta_1, beta2=e.beta_2, epsilon=e.epsilon, **more)
    more["penalized"] = e._reported_outputs if e.alpha else 0
    if e.solver == "adam":
        return AdamHat(schedule, beta1=e.beta_1, beta2=e.beta_2, epsilon=e.epsilon, **more)
    if not e.momentum:
        return SGD(schedule, **more)
    kind = Nesterov if e.nesterovs_momentum else Momentum
    return kind(schedule, momentum=e.momentum, **more)


def _order_of(estimator: Any, samples: int) -> RowOrder:
    """The batches, in the order that the estimator's random state draws."""
    network, given = estimator.network_, estimator.random_state
    epoch, done = network.progress.place
    before = estimator._rows if estimator.warm_start == "exact" else None
    batch_size, least = _batch_size(estimator, samples), network.least_batch()
    if batch_size < least:
        remedy = "a larger batch_size" if samples >= least else "more rows at a time"
        raise ValueError(
            f"BatchNorm takes means over a minibatch: expected at least {least} rows, got {batch_size}, whose "
            f"normalized values are all 0; give {remedy}, or leave batch_norm out"
        )
    return RowOrder(
        samples,
        batch_size,
        "shuffle",
        int(given) if isinstance(given, Integral) else 0,
        least,
        draws=Draws(
            estimator._random_state if estimator.shuffle else None,
            np.arange(samples) if before is None or len(before) != samples else before,
            next=epoch + (done > 0),
        ),
    )


def _batch_size(estimator: Any, samples: int) -> int:
    if estimator.batch_size != "auto" and estimator.batch_size > samples:
        said = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
        warnings.warn(said, stacklevel=7)
    return minibatch_size(estimator, samples)
