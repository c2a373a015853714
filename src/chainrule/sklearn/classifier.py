"""MLPClassifier: scikit-learn's, trained by chainrule."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import compute_sample_weight
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from chainrule.arrays import Array
from chainrule.errors import ArgumentError
from chainrule.layers import Layer, Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.layers.activation import sigmoid, softmax
from chainrule.loop import Callback
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.saving.checkpoint import Checkpoint
from chainrule.schedules import Schedule
from chainrule.sklearn.base import MLP, keep
from chainrule.sklearn.constraints import CLASSIFIER
from chainrule.sklearn.networks import Build
from chainrule.sklearn.refusals import unchanged_if_refused


class MLPClassifier(ClassifierMixin, MLP):  # type: ignore[misc]
    """A classifier as scikit-learn's MLPClassifier: the same parameters, methods and attributes, and more.

    Beyond scikit-learn's parameters, whose names, defaults and meaning are kept:

    activation: str, layer or list = "relu". Also "leakyrelu", "elu", "gelu", "silu", "softplus", or a list.
    solver: str or optimizer = "adam". Also "adamw", whose weight decay is alpha, or an optimizer of the library.
    warm_start: bool or "exact" = False. "exact" goes on with the optimizer's state and the order of the rows.
    class_weight: dict, list, "balanced" or None = None. The weights of the classes.
    label_smoothing: float = 0.0. The share of a label that is spread over all classes.
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
    Source: scikit-learn, neural_network.MLPClassifier.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = CLASSIFIER

    def __init__(
        self,
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
        loss: str = "log_loss",
        class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | str | None = None,
        label_smoothing: float = 0.0,
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

    # Labels --------------------------------------------------------------------------------------------

    def _validated(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = self._checked(X, y, reset=reset)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._learn_labels(y)
            return X, y
        is_plain = y.ndim == 1 and y.dtype.kind in "iub"
        classes = np.unique(y) if is_plain else unique_labels(y)
        if self.warm_start and not incremental:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )
        return X, y

    def _learn_labels(self, y: Any) -> None:
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _weights(self, sample_weight: Any, X: Any, y: Any) -> Array | None:
        weights = super()._weights(sample_weight, X, y)
        if self.class_weight is None:
            return weights
        of_classes: Array = self._weights_of_classes(y).astype(X.dtype)
        weights = of_classes if weights is None else weights * of_classes
        if not weights.any():
            raise ValueError("class_weight: expected a weight above 0 for a class of y, got zeros only")
        return weights

    def _weights_of_classes(self, y: Any) -> Array:
        """class_weight for each row. A dict may leave out classes, whose weight is 1."""
        for each in self.class_weight if isinstance(self.class_weight, list) else [self.class_weight]:
            for label, weight in each.items() if isinstance(each, dict) else ():
                if not isinstance(weight, Real) or not 0 <= float(weight) < math.inf:
                    raise InvalidParameterError(
                        f"class_weight: expected finite weights of at least 0, got {weight!r} for class {label!r}"
                    )
        if not isinstance(self.class_weight, dict) or y.ndim > 1:
            return np.asarray(compute_sample_weight(self.class_weight, y))
        classes = self.classes_.tolist()
        unknown = [label for label in self.class_weight if label not in classes]
        if unknown and set(classes) - set(
            self.class_weight
        ):  # else it is of more classes than y happens to hold
            raise ValueError(f"class_weight: {unknown[0]!r} is none of the classes, which are {classes}")
        of_each = np.array([self.class_weight.get(label, 1) for label in classes], float)
        return np.asarray(of_each[np.searchsorted(self.classes_, y)])

    def _targets(self, y: Any, dtype: Any) -> Array:
        kind = self._label_binarizer.y_type_
        if kind == "multiclass":
            self.n_outputs_ = len(self.classes_)
            return np.asarray(np.searchsorted(self.classes_, y))
        t = np.asarray(self._label_binarizer.transform(y), dtype)
        self.n_outputs_ = t.shape[1]
        e = self.label_smoothing
        return t * (1 - e) + e / 2 if e else t

    def _strata(self, y: Any) -> Array | None:
        return self._label_binarizer.transform(y).astype(bool) if self.n_outputs_ == 1 else None

    def _use(self, network: Network) -> None:
        super()._use(network)
        if len(self.classes_) > 1 and not self._label_binarizer.y_type_.startswith("multilabel"):
            with contextlib.suppress(ArgumentError):  # labels that are no text, whole numbers or booleans
                network.classes = self.classes_.tolist()

    def _make_loss(self) -> Loss:
        if self._label_binarizer.y_type_ == "multiclass":
            self.out_activation_ = "softmax"
            return SoftmaxCrossEntropy(self.label_smoothing)
        self.out_activation_ = "logistic"
        return SigmoidCrossEntropy(sum_labels=True)

    @available_if(MLP._is_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch on X and y, from where the last call stopped.

        `classes` are all classes that any call will hold; the first call needs them.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                'class_weight="balanced" needs all of y at once, which partial_fit does not see; give a dict'
            )
        with unchanged_if_refused(self):
            if _check_partial_fit_first_call(self, classes):
                self._learn_labels(y if type_of_target(y).startswith("multilabel") else classes)
            return self._fit(X, y, sample_weight, incremental=True)

    # Predicting ----------------------------------------------------------------------------------------

    def _labels_of(self, outputs: Array) -> Array:
        if self.out_activation_ == "softmax":
            return np.asarray(self.classes_[outputs.argmax(axis=1)])
        if self.n_outputs_ == 1:
            return np.asarray(self.classes_[np.minimum(outputs[:, 0] > 0, len(self.classes_) - 1)])
        labels: Array = self._label_binarizer.inverse_transform(outputs, threshold=0)
        return labels

    def _score_of(self, outputs: Array, y: Any, weights: Array | None) -> float:
        labels = self._labels_of(outputs)
        if issparse(y):
            return float(accuracy_score(y, labels, sample_weight=weights))
        right = labels == y  # the same, without a look at every argument, which takes longer than the epoch
        return float(np.average(right if right.ndim == 1 else right.all(axis=1), weights=weights))

    def predict(self, X: Any) -> Array:
        """The likeliest class of each row, (n_samples,); for several labels 0 and 1, (n_samples, n_outputs)."""
        return self._labels_of(self._outputs(X))

    def predict_proba(self, X: Any) -> Array:
        """The probabilities of the classes, in the order of `classes_`: (n_samples, n_classes)."""
        outputs = self._outputs(X)
        if self.out_activation_ == "softmax":
            return softmax(outputs)
        p = sigmoid(outputs)
        return np.hstack([1 - p, p]) if self.n_outputs_ == 1 else p

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of the probabilities."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
