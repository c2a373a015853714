"""What the classifier and the regressor share: they hold a Training, and translate names."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from chainrule.arrays import Array
from chainrule.errors import DataError
from chainrule.layers import Loss
from chainrule.loop import History
from chainrule.network import Network
from chainrule.sklearn.compatibility import is_plain, validated
from chainrule.sklearn.constraints import check_lbfgs, check_parameters
from chainrule.sklearn.lbfgs import minimize
from chainrule.sklearn.networks import (
    glorot,
    hidden_layers,
    hidden_sizes,
    network_with,
    output_of,
    parameters_of,
)
from chainrule.sklearn.refusals import unchanged_if_refused
from chainrule.sklearn.solvers import fit_by_epochs
from chainrule.sklearn.stochastic import Validation
from chainrule.sklearn.wording import in_words_of, refuse_weightless, settings_of
from chainrule.sparse import sparse_names, with_sparse_rows

PARAMETERS = ("coefs_", "intercepts_")
#: Parameters that a network is made of; a fit that goes on cannot change the first ones.
FIXED = ("hidden_layer_sizes", "batch_norm", "layers", "preset")
PARTS_OF_NETWORK = (*FIXED, "activation", "dropout", "loss", "label_smoothing")


def keep(estimator: Any, given: dict[str, Any]) -> None:
    """Note what a constructor was given, as it is: scikit-learn asks for that."""
    for name, value in given.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


def _rows_of(y: Any, rows: Array) -> Any:
    return y.tocsr()[rows] if hasattr(y, "tocsr") else np.asarray(y)[rows]


def _described(name: str, value: Any) -> str:
    """A parameter as text, which is the same in a copy and in another process."""
    code = getattr(value, "__code__", None)
    if code is not None:
        return f"the function {value.__qualname__} in line {code.co_firstlineno} of {value.__module__}"
    return repr(tuple(hidden_sizes(value)) if name == "hidden_layer_sizes" else value)


class MLP(BaseEstimator):  # type: ignore[misc]
    """A multi-layer perceptron with scikit-learn's interface, trained by chainrule."""

    if TYPE_CHECKING:  # the parameters, which the subclasses take, and what `fit` notes
        solver: Any
        n_outputs_: int
        network_: Network

    # Fitting -------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X and y.

        Shapes: X (n_samples, n_features), dense or sparse; y (n_samples,) or (n_samples, n_outputs); sample_weight
        (n_samples,). dtype: float32 is kept; anything else is computed in float64.
        Raises: ValueError and TypeError, as scikit-learn's estimators do.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _is_stochastic(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, incremental: bool) -> Self:
        with unchanged_if_refused(self):
            self._check_parameters()
            sizes = hidden_sizes(self.hidden_layer_sizes)
            first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
            X, y = self._validated(X, y, incremental, reset=first)
            weights = self._weights(sample_weight, X, y)
            targets = self._targets_like(y, X.dtype, None if first else getattr(self, "n_outputs_", None))
            if first or self.warm_start != "exact":
                self._random_state = check_random_state(self.random_state)
            if first:
                self._begin([X.shape[1], *sizes, self.n_outputs_], X.dtype)
            elif not hasattr(self, "network_"):
                self._adopt_parameters()
            elif self._made_of != self._parts():
                self._make_again()
            self._in_step()
            if self.early_stopping and incremental:
                raise ValueError("partial_fit does not support early_stopping=True")
            data = (
                with_sparse_rows({"x": X})
                | {"t": targets}
                | ({} if weights is None else {"sample_weight": weights})
            )
            if self.solver == "lbfgs":
                check_lbfgs(self, self.network_)
                self.__dict__.pop("_record", None)  # of another solver's fit
                minimize(self, self.network_, data, self._reported_outputs)
            else:
                self._fit_stochastic(data, y, incremental=incremental)
            if not np.isfinite(self.network_.params.flat).all():
                raise ValueError(
                    "Solver produced non-finite parameter weights. The input data may contain large values and "
                    "need to be preprocessed."
                )
            self.network_.programs.predicting(sparse_names(data), rows=2).prepare_to_predict()
        return self

    def _check_parameters(self) -> None:
        """Check the parameters where one is another than in the last fit, unless scikit-learn is told not to."""
        if get_config()["skip_parameter_validation"]:
            return
        given = [getattr(self, name, None) for name in self._parameter_constraints]
        checked = vars(self).get("_checked_parameters")
        if checked is None or any(one is not other for one, other in zip(given, checked, strict=True)):
            check_parameters(self)
            self._checked_parameters = given

    def _checked(self, X: Any, y: Any, **options: Any) -> tuple[Any, Any]:
        """X in float32 or float64, and y, in one dimension where it has one column."""
        X, y = validated(self, X, y, multi_output=True, dtype=(np.float64, np.float32), **options)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _weights(self, sample_weight: Any, X: Any, y: Any) -> Array | None:
        if sample_weight is None:
            return None
        weights = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        if (weights < 0).any():
            raise ValueError(
                "Negative values in data passed to `sample_weight`: expected weights of at least 0"
            )
        if not weights.any():
            raise ValueError("sample_weight: expected a weight above 0, got zeros only")
        return np.asarray(weights)

    # What the network is -------------------------------------------------------------------------------

    @abstractmethod
    def _validated(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        """X and y, checked as scikit-learn does, and the names of classes and features noted."""

    @abstractmethod
    def _targets(self, y: Any, dtype: Any) -> Array:
        """The targets as the loss takes them, with the number of outputs noted."""

    def _targets_like(self, y: Any, dtype: Any, outputs: int | None) -> Array:
        """The targets, of this number of outputs where it is known."""
        targets = self._targets(y, dtype)
        if outputs is not None and self.n_outputs_ != outputs:
            given, self.n_outputs_ = self.n_outputs_, outputs
            raise ValueError(f"y has {given} outputs, but {type(self).__name__} was fitted with {outputs}")
        return targets

    @abstractmethod
    def _make_loss(self) -> Loss:
        """The loss of the network, with `out_activation_` noted."""

    @abstractmethod
    def _score_of(self, outputs: Array, y: Any, weights: Array | None) -> float:
        """The score of a network's outputs: accuracy, or R²."""

    @property
    def _reported_outputs(self) -> int:
        """What the loss over the outputs of a sample is divided by where it is reported."""
        return 1

    def _begin(self, sizes: list[int], dtype: Any) -> None:
        """A new network, and nothing trained yet."""
        self.n_iter_ = self.t_ = 0
        self._rows: Array | None = None
        loss = self._make_loss()
        plain = self.layers is None and self.preset is None
        if plain and not np.any(self.batch_norm):
            hidden = hidden_layers(sizes[1:-1], self.activation, self.dropout)
            weights, biases = glorot(sizes, self.activation, self._random_state, dtype)
            self._use(network_with(weights, biases, hidden, loss, self._seed(np.any(self.dropout))))
        else:
            hidden = self.layers
            if hidden is None:
                hidden = hidden_layers(sizes[1:-1], self.activation, self.dropout, self.batch_norm)
            output = output_of(hidden, sizes[0], sizes[-1], is_given=self.layers is not None)
            self._use(Network(output=output, loss=loss, seed=self._seed(True), dtype=dtype))
        self.n_layers_ = len(self.coefs_) + 1
        if self.solver != "lbfgs":
            self._begin_curves()

    def _begin_curves(self) -> None:
        """Nothing noted yet of what the stochastic solvers note of each epoch."""
        self.loss_curve_: list[float] = []
        self.validation_loss_curve_: list[float] | None = [] if self._validates else None
        self._no_improvement_count = 0
        self._pace: list[tuple[float, float]] = []
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _seed(self, needed: Any) -> int:
        """A seed for the network's own random numbers, drawn only where it needs some."""
        return int(self._random_state.randint(2**31 - 1)) if needed else 0

    def _use(self, network: Network) -> None:
        self.network_, self._made_of = network, self._parts()
        if hasattr(self, "feature_names_in_"):
            network.metadata["columns"] = [str(name) for name in self.feature_names_in_]
        self._show_parameters()

    def _show_parameters(self) -> None:
        """Let `coefs_` and `intercepts_` be views of the network's parameters."""
        self.coefs_, self.intercepts_ = parameters_of(self.network_)
        self._views = {name: list(getattr(self, name)) for name in PARAMETERS}

    def _parts(self) -> dict[str, str]:
        """What the network is made of, by the name of the parameter."""
        return {
            name: _described(name, getattr(self, name)) for name in PARTS_OF_NETWORK if hasattr(self, name)
        }

    def _make_again(self) -> None:
        """The network with the weights it has, and other layers between them, or another loss."""
        parts = self._parts()
        fixed = [name for name in FIXED if self._made_of[name] != parts[name]]
        if fixed or self.layers is not None or np.any(self.batch_norm):
            name = (fixed or [name for name, part in parts.items() if part != self._made_of[name]])[0]
            raise ValueError(
                f"{name}: a fit that goes on keeps the network, which was made with {name}={self._made_of[name]}, "
                f"got {getattr(self, name)!r}; leave it as it was, or fit a new estimator"
            )
        before = self._in_step()
        self._adopt_parameters()
        self.network_.progress, self.network_.iterations = before.progress, before.iterations

    def _adopt_parameters(self) -> None:
        """A network of the weights that somebody has put in, and which no `fit` has made."""
        hidden = hidden_layers([len(b) for b in self.intercepts_[:-1]], self.activation, self.dropout)
        self._use(
            network_with(self.coefs_, self.intercepts_, hidden, self._make_loss(), self._seed(self.dropout))
        )

    def _in_step(self) -> Network:
        """The network, with the weights that `coefs_` and `intercepts_` hold where these were replaced."""
        network: Network = self.network_
        for name, views in zip(PARAMETERS, parameters_of(network), strict=True):
            held = getattr(self, name)
            if (
                isinstance(held, list)
                and len(held) == len(views)
                and all(a is b for a, b in zip(held, self._views[name], strict=True))
            ):
                continue
            given = [np.array(each) for each in held]  # copies: they may be views of each other
            if [each.shape for each in given] != [view.shape for view in views]:
                raise ValueError(
                    f"{name}: expected arrays of shapes {[view.shape for view in views]}, got "
                    f"{[each.shape for each in given]}"
                )
            for view, each in zip(views, given, strict=True):
                view[...] = each
            self._views[name] = views
            setattr(self, name, list(views))
        return network

    # Stochastic solvers --------------------------------------------------------------------------------

    @property
    def _validates(self) -> bool:
        return bool(self.early_stopping) or self.validation_set is not None

    def _fit_stochastic(self, data: dict[str, Array], y: Any, *, incremental: bool) -> None:
        noted = vars(self)
        is_same = (noted.get("validation_loss_curve_") is not None) == self._validates
        is_same = is_same and (noted.get("validation_scores_") is not None) == bool(self.early_stopping)
        if "_pace" not in noted or not is_same:
            self._begin_curves()  # a warm start behind L-BFGS, or behind a fit that was judged otherwise
        data, held_out = self._held_out(data, y)
        validation = None
        if held_out is not None:
            validation = Validation(held_out[0], lambda: self._judged(*held_out), bool(self.early_stopping))
        weights = data.get("sample_weight")
        refuse_weightless(self, weights, None if held_out is None else held_out[0].get("sample_weight"))
        with in_words_of(self, weights):
            fit_by_epochs(self, data, validation, incremental=incremental)

    # Validation ----------------------------------------------------------------------------------------

    def _held_out(
        self, data: dict[str, Array], y: Any
    ) -> tuple[dict[str, Array], tuple[dict[str, Array], Any] | None]:
        """The data to train on, and with their answers those that each epoch is judged by."""
        if self.validation_set is not None:
            if len(self.validation_set) != 2:
                raise InvalidParameterError(
                    f"validation_set: expected a pair (X, y), got {len(self.validation_set)} values"
                )
            try:
                given, answers = self.validation_set
                X, answers = self._validated(given, answers, incremental=True, reset=False)
                t = self._targets_like(answers, X.dtype, self.n_outputs_)
            except ValueError as error:
                raise ValueError(f"validation_set: {error}") from None
            return data, (with_sparse_rows({"x": X}) | {"t": t}, answers)
        if not self.early_stopping:
            return data, None
        stratify = self._strata(y)
        rows = np.arange(data["x"].shape[0])
        kept, held = train_test_split(
            rows, random_state=self._random_state, test_size=self.validation_fraction, stratify=stratify
        )
        if len(held) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        parts = ({name: array[some] for name, array in data.items()} for some in (kept, held))
        return next(parts), (next(parts), _rows_of(y, held))

    def _strata(self, y: Any) -> Array | None:
        """What the rows held out are chosen by, as scikit-learn does: two classes only."""
        return None

    def _judged(self, data: dict[str, Array], y: Any) -> tuple[float, float]:
        """The score of the rows held out, NaN where an output is not finite, and their loss."""
        outputs = self.network_.output_of(data["x"], warns=False)
        if not np.isfinite(outputs).all():
            return float("nan"), float("nan")
        with np.errstate(over="ignore"):  # of a training that diverges
            loss = self.network_.loss_of(outputs, data) / self._reported_outputs
            return float(self._score_of(outputs, y, data.get("sample_weight"))), loss

    @property
    def history_(self) -> History:
        """What `cr.report` takes: the record of the last fit with callbacks, or else a point for each epoch."""
        check_is_fitted(self)
        if not hasattr(self, "_record"):
            raise AttributeError('history_: solver="lbfgs" keeps no record of its iterations')
        record: History | None = self._record
        if record is not None:
            return record
        losses = list(self.loss_curve_)
        rates, seconds = (list(each) for each in zip(*self._pace, strict=True)) if self._pace else ([], [])
        history = History(losses, rates, seconds, list(range(1, len(losses) + 1)), train_loss=losses.copy())
        history.test_loss = list(self.validation_loss_curve_ or [])
        if self.validation_scores_ and is_classifier(self):
            history.test_accuracy = list(self.validation_scores_)
        history.settings = {
            "optimizer": repr(self.network_.progress.optimizer),
            "loss": repr(self.network_.loss_layer),
            "recorded_by": "epoch",
            **settings_of(self),
        }
        history.stopped = self._stopped
        return history

    # Predicting ----------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> Array:
        """The outputs of the network, before the last activation."""
        check_is_fitted(self)
        network = self._in_step()
        if is_plain(self, X):
            with contextlib.suppress(DataError):  # of NaN, which the machine looks for: it is reported below
                return network.output_of(X, warns=False)
        return network.output_of(validated(self, X, reset=False), warns=False)

    # Showing and keeping -------------------------------------------------------------------------------

    def _repr_html_inner(self) -> str:
        return self._with_picture(super()._repr_html_inner())

    def _repr_mimebundle_(self, **given: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**given)
        return {
            kind: self._with_picture(text) if kind == "text/html" else text for kind, text in bundle.items()
        }

    def _with_picture(self, html: str) -> str:
        """scikit-learn's form of the estimator, and behind it the network that was trained."""
        if not hasattr(self, "network_"):
            return html
        from chainrule.notebook import network_html

        return html + network_html(self.network_)

    def __getstate__(self) -> dict[str, Any]:
        if hasattr(self, "network_"):
            self._in_step()
        state = dict(super().__getstate__())
        state.pop("_checked_parameters", None)
        if "network_" in state:  # which holds them
            for name in (*PARAMETERS, "_views"):
                state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "network_"):
            self._show_parameters()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
