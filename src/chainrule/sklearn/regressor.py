"""MLPRegressor: scikit-learn's, trained by chainrule."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.metaestimators import available_if

from chainrule.arrays import Array
from chainrule.layers import (
    HalfPoissonDeviance,
    HalfSquaredError,
    Huber,
    Layer,
    Loss,
    MeanAbsoluteError,
    Quantile,
)
from chainrule.loop import Callback
from chainrule.optimizers import Optimizer
from chainrule.saving.checkpoint import Checkpoint
from chainrule.schedules import Schedule
from chainrule.sklearn.base import MLP, keep
from chainrule.sklearn.constraints import REGRESSOR
from chainrule.sklearn.networks import Build

LOSSES: dict[str, type[Loss]] = {
    "squared_error": HalfSquaredError,
    "poisson": HalfPoissonDeviance,
    "absolute_error": MeanAbsoluteError,
    "huber": Huber,
    "quantile": Quantile,
}


class MLPRegressor(RegressorMixin, MLP):  # type: ignore[misc]
    """A regressor as scikit-learn's MLPRegressor: the same parameters, methods and attributes, and more.

    Beyond scikit-learn's parameters, whose names, defaults and meaning are kept:

    activation: str, layer or list = "relu". Also "leakyrelu", "elu", "gelu", "silu", "softplus", or a list.
    solver: str or optimizer = "adam". Also "adamw", whose weight decay is alpha, or an optimizer of the library.
    warm_start: bool or "exact" = False. "exact" goes on with the optimizer's state and the order of the rows.
    loss: str or loss = "squared_error". Also "absolute_error", "huber", "quantile" (the median), or of the library.
    layers: list, function or None = None. Layers, or a function from the input node to a node, as hidden layers.
    dropout: float or list = 0.0. The share of outputs dropped in training; a list has one for each hidden layer.
    batch_norm: bool or list = False. BatchNorm before each activation; a list has one for each hidden layer.
    learning_rate_schedule: schedule or None = None. In place of learning_rate, learning_rate_init and power_t.
    clip_norm: float or None = None. The longest gradient.
    validation_set: pair (X, y) or None = None. Its loss after each epoch is in `validation_loss_curve_`.
    callbacks: cr.Callback, list or None = None. Code that runs while the network trains.
    progress: bool = False. A progress bar.
    checkpoint: path, cr.Checkpoint or None = None. A folder from which the same fit goes on after a crash.
    preset: "chainrule" or None = None. The library's own optimizer, first weights and batches.

    `network_` is the trained `cr.Network`. From the same random_state the losses are scikit-learn's to float error.
    Shapes: X (n_samples, n_features), dense or sparse. dtype: float32 is kept; anything else becomes float64.
    Raises: what scikit-learn's estimator raises.
    Source: scikit-learn, neural_network.MLPRegressor.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = REGRESSOR

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: int | Sequence[int] | Array = (100,),
        activation: str | Layer | Sequence[str | Layer] = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool | str = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        layers: Sequence[Layer] | Build | None = None,
        dropout: float | Sequence[float] = 0.0,
        batch_norm: bool | Sequence[bool] = False,
        learning_rate_schedule: Schedule | None = None,
        clip_norm: float | None = None,
        validation_set: tuple[Any, Any] | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        progress: bool = False,
        checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
        preset: str | None = None,
    ) -> None:
        keep(self, locals())

    def _validated(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        if issparse(y):
            raise TypeError("y: expected a dense array of numbers, got a sparse matrix; give y.toarray()")
        X, y = self._checked(X, y, y_numeric=True, reset=reset)
        if y.dtype.kind not in "biuf":
            raise ValueError(
                f"could not convert string to float: y holds text, of dtype {y.dtype}; give y.astype(float)"
            )
        if isinstance(self._loss, HalfPoissonDeviance) and (y < 0).any():
            raise ValueError('loss="poisson": expected counts of at least 0 in y, got negative numbers')
        return X, y

    def _targets(self, y: Any, dtype: Any) -> Array:
        with np.errstate(over="ignore"):
            t = np.asarray(y, dtype).reshape(len(y), -1)
        if not np.isfinite(t).all():  # y itself is: that was checked
            raise ValueError(
                f"y: expected numbers that {np.dtype(dtype)} holds, the dtype of X, got {np.abs(y).max():.3g}; "
                f"scale y, or give X in float64"
            )
        self.n_outputs_ = t.shape[1]
        return t

    @property
    def _loss(self) -> Loss:
        if not isinstance(self.loss, Loss):
            return LOSSES[self.loss]()
        if self.loss.task != "regression" and not isinstance(self.loss, HalfPoissonDeviance):
            raise InvalidParameterError(
                f"The 'loss' parameter of MLPRegressor must be one for numbers. Got {self.loss!r}."
            )
        return self.loss

    def _make_loss(self) -> Loss:
        loss = self._loss
        self.out_activation_ = "exp" if isinstance(loss, HalfPoissonDeviance) else "identity"
        return loss

    @property
    def _reported_outputs(self) -> int:
        return int(self.n_outputs_) if isinstance(self._loss, HalfSquaredError) else 1

    @available_if(MLP._is_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on X and y, from where the last call stopped."""
        return self._fit(X, y, sample_weight, incremental=True)

    # Predicting ----------------------------------------------------------------------------------------

    def _values_of(self, outputs: Array) -> Array:
        values = np.exp(outputs) if self.out_activation_ == "exp" else outputs
        return values.ravel() if values.shape[1] == 1 else values

    def _score_of(self, outputs: Array, y: Any, weights: Array | None) -> float:
        return float(r2_score(y, self._values_of(outputs), sample_weight=weights))

    def predict(self, X: Any) -> Array:
        """The predicted values: (n_samples,), or (n_samples, n_outputs)."""
        return self._values_of(self._outputs(X))
