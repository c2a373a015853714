"""What users hand in, checked once at the boundary: the right shapes, numbers, and nothing NaN."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from numbers import Real
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import numpy as np

from chainrule.arguments import number
from chainrule.arrays import Array, ArrayLike, Shape, first_not_finite
from chainrule.datasets.tables import FAR_OFF, NEVER_SEEN, Preparation, is_frame, load_table
from chainrule.errors import ArgumentError, DataError, ShapeError, did_you_mean, warn
from chainrule.incoming import column_names, in_columns, numbers, place
from chainrule.layers import Loss
from chainrule.network.labels import Label, Labels, checked_names
from chainrule.randomness import held_out
from chainrule.sparse import (
    SparseMatrix,
    dense_only,
    index_in,
    is_sparse,
    numbers_in,
    sparse_names,
    sparse_rows,
)

Data: TypeAlias = ArrayLike | SparseMatrix | Mapping[str, ArrayLike | SparseMatrix]


class Feeds:
    """What the users of one network hand in, as its graph takes it: by the names of the inputs, checked."""

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        output_shape: Shape,
        loss: Loss | None,
        dtype: np.dtype[Any],
        classes: list[Label] | None = None,
        columns: list[str] | None = None,
        preparation: Preparation | None = None,
        dense: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.shapes, self.output_shape, self.loss, self.dtype = dict(inputs), output_shape, loss, dtype
        #: The names of the classes, where they are known.
        self.classes = classes
        #: The names of the columns of a frame that the single input was trained on, where they are known.
        self.columns = columns
        #: How the columns of a frame become the numbers of the single input, where they are not numbers.
        self.preparation = preparation
        #: The inputs that cannot be sparse, each with the layer that keeps it from that.
        self.dense = dense

    def _changed(self, **changes: Any) -> Feeds:
        made = copy.copy(self)
        vars(made).update(changes)
        return made

    def with_classes(self, names: Any) -> Feeds:
        """The same with these names of classes. Raises ArgumentError where they do not fit the network."""
        return self._changed(classes=checked_names(names, self.loss, self.output_shape))

    def with_columns(self, columns: Any) -> Feeds:
        """The same that reads frames by these names, where they are one for each number of the single input."""
        texts = isinstance(columns, (list, tuple)) and all(isinstance(each, str) for each in columns)
        fits = texts and list(self.shapes.values()) == [(len(columns),)]
        found = list(columns) if fits else None
        if found == self.columns:
            return self
        return self._changed(columns=found, preparation=None)

    def with_preparation(self, preparation: Preparation) -> Feeds:
        """The same that prepares frames. Raises ArgumentError where the input takes another number of columns."""
        count = len(preparation.names)
        if list(self.shapes.values()) != [(count,)]:
            raise ArgumentError(
                f"preparation: it makes {count:,} numbers of a row, and the network expects "
                f"{', '.join(f'{name} of shape {shape}' for name, shape in self.shapes.items())}; make the network "
                f"with input_shape={count}"
            )
        return self._changed(columns=None, preparation=preparation)

    def columns_of(self, x: Data) -> list[str] | None:
        """The names of the columns of a frame for the single input; None for anything else."""
        if isinstance(x, Mapping) and len(x) == 1:
            x = next(iter(x.values()))
        return self.with_columns(column_names(x)).columns

    def learning(self, t: Any, iterations: int) -> Feeds:
        """The same with the classes of these targets, where none are known yet after `iterations`."""
        learned = self.labels.learned(t, iterations)
        return self if learned == self.classes else self.with_classes(learned)

    def inputs(self, x: Data, *, values: bool = True) -> dict[str, Array]:
        """The data by the name of the input. With `values=False` their numbers are not looked at."""
        if self.preparation is not None and is_frame(x):
            x, lines = load_table(x, None, preparation=self.preparation).prepared
            for label, text in lines:
                if label in (NEVER_SEEN, FAR_OFF):
                    warn(f"{label}: {text}")
        if self.columns is not None and not isinstance(x, np.ndarray) and not is_sparse(x):
            (name,) = self.shapes
            is_named = isinstance(x, Mapping) and name in x
            value = in_columns(x[name] if is_named else x, self.columns, name)  # type: ignore[index]
            x = {name: value} if is_named else value
        found = checked_inputs(x, self.shapes, "the network", self.dtype, values)
        for name in sparse_names(found):
            self.check_sparse(name)
        return found

    def check_sparse(self, name: str) -> None:
        """Raise an error unless the input of this name can be sparse."""
        if name not in self.shapes:
            raise ArgumentError(f"the network has no input {name!r}; {did_you_mean(name, self.shapes)}")
        if name in self.dense:
            raise dense_only(name, self.dense[name])

    def check_values(self, inputs: Mapping[str, Array]) -> None:
        """Raise DataError for numbers that the network cannot take."""
        for name, array in inputs.items():
            check_values(array, name, self.dtype)

    @property
    def labels(self) -> Labels:
        """How labels and the numbers of classes belong together."""
        return Labels(self.the_loss(), self.output_shape, self.classes)

    def targets(self, t: Any, rows: int, weight: ArrayLike | None = None) -> tuple[Array, Array | None]:
        """The targets of the first `rows` rows, and their weights if there are any."""
        labels = self.labels
        targets = labels.taken(t)
        if targets.ndim == 0 or len(targets) != rows:
            raise ShapeError(
                f"t: expected one row for each of the {rows} rows of x, got shape {targets.shape}"
            )
        if rows == 0:
            raise DataError("x has no rows: there is nothing to compute with")
        check_size(targets, "t", self.dtype)
        targets = labels.numbered(targets)
        labels.check_shape(targets)
        self.the_loss().check_targets(targets, (rows, *self.output_shape))
        if weight is not None and not self.takes_weights:
            raise ArgumentError(f"sample_weight: {self.loss!r} takes none; its forward lacks that input")
        return targets, checked_weights(weight, rows, self.dtype)

    def batch(
        self, x: Data, t: Any, weight: ArrayLike | None = None, *, values: bool = True
    ) -> dict[str, Array]:
        """Data, targets and weights, by the name of their input."""
        try:
            inputs = self.inputs(x, values=values)
        except (ShapeError, DataError) as error:
            if self._are_swapped(x, t):
                raise ShapeError(
                    f"{error}; x and t are probably swapped, since t has the shape of the data: the data come first"
                ) from None
            raise
        targets, weights = self.targets(t, rows_of(inputs), weight)
        return {**inputs, "t": targets, **({} if weights is None else {"sample_weight": weights})}

    def _are_swapped(self, x: Any, t: Any) -> bool:
        """Whether x could be the targets, and t the data."""
        try:
            x_shape, t_shape = np.shape(x), np.shape(t)
        except ValueError:  # rows of different lengths
            return False
        of_targets = ((), self.output_shape, self.output_shape[:-1])
        return (
            [t_shape[1:]] == list(self.shapes.values())
            and x_shape[:1] == t_shape[:1]
            and x_shape[1:] in of_targets
        )

    def parts(
        self, data: dict[str, Array], validation: Any, seed: int
    ) -> tuple[dict[str, Array], dict[str, Array] | None]:
        """The data to train on and those to validate on: a share of the data, or a pair of data and targets."""
        if validation is None:
            return data, None
        if isinstance(validation, Real) and not isinstance(validation, bool):
            return self._share_held_out(data, number("validation", validation, "(0, 1)"), seed)
        if not isinstance(validation, (tuple, list)) or len(validation) != 2:
            count = f" of {len(validation)}" if isinstance(validation, (tuple, list)) else ""
            raise ArgumentError(
                f"validation: expected a pair of data and targets, validation=(x_test, t_test), or a share of the "
                f"data to hold out, validation=0.2; got a {type(validation).__name__}{count}"
            )
        try:
            return data, self.batch(*validation)
        except (ShapeError, DataError, ArgumentError) as error:
            raise type(error)(f"validation: {error}") from None

    def _share_held_out(
        self, data: dict[str, Array], share: float, seed: int
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        groups = self.labels.groups(data["t"])
        held = held_out(len(data["t"]), share, seed, groups)
        if not held.any():
            of_each = "" if groups is None else f" of each of {len(np.unique(groups))} classes"
            raise DataError(
                f"validation: {len(held)} rows are too few to hold out a share of {share:g}{of_each}; give more "
                f"rows, or others to validate on, validation=(x_test, t_test)"
            )
        kept, tested = ({name: array[rows] for name, array in data.items()} for rows in (~held, held))
        for part, what in ((kept, "to train on"), (tested, "held out")):
            if "sample_weight" in part and not part["sample_weight"].any():
                raise DataError(
                    f"validation: of the rows {what}, every sample_weight is 0; leave rows of weight 0 out"
                )
        return kept, tested

    def classified(self, output: Array) -> Array:
        """The labels of the likeliest classes, given the outputs of samples."""
        if self.loss is None and self.classes is not None:
            task: str = "classification"
        else:
            loss = self.the_loss()
            task = loss.task
        if task not in ("classification", "multilabel"):
            raise ArgumentError(f"classify is for classifiers; with {loss!r} use predict(x)")
        if (bad := first_not_finite(output)) is not None:
            raise DataError(
                f"classify: the output for row {bad[0]} is {output[bad]}; the network diverged in training, or the "
                f"data are far from what it was trained on"
            )
        if task == "classification":
            number_of = output.argmax(axis=-1)
        elif self.output_shape in ((), (1,)):
            number_of = (output.reshape(len(output)) > 0).astype(np.int64)
        else:
            return np.asarray(output > 0)
        return number_of if self.classes is None else np.asarray(np.array(self.classes)[number_of])

    @property
    def takes_weights(self) -> bool:
        """Whether the loss takes weights of samples."""
        return self.loss is not None and "sample_weight" in self.loss.signature.inputs

    def the_loss(self) -> Loss:
        """The loss. Raises ArgumentError where there is none."""
        if self.loss is None:
            raise ArgumentError(
                "this network has no loss: make it with loss=cr.SoftmaxCrossEntropy() or another"
            )
        return self.loss


def rows_of(arrays: Mapping[str, Array]) -> int:
    """How many rows the arrays have: all the same number."""
    return len(next(iter(arrays.values())))


def checked_inputs(
    x: Data, shapes: Mapping[str, Shape], whose: str, dtype: np.dtype[Any], values: bool = True
) -> dict[str, Array]:
    """The arrays of all inputs by name, each of shape (N, *sample shape), with the same N. Copies nothing.

    With `values=False` their numbers are not looked at: a program does, and if in doubt `check_values`.

    Raises: ShapeError, DataError (not numbers, NaN, infinity, or too large for the dtype), ArgumentError (an
    unknown or missing input).
    """
    if not isinstance(x, np.ndarray) and isinstance(x, Mapping):
        given: dict[str, Any] = dict(x)
        for name in given:
            if name not in shapes:
                raise ArgumentError(f"{whose} has no input {name!r}; {did_you_mean(str(name), shapes)}")
        if missing := [name for name in shapes if name not in given]:
            raise ArgumentError(f"{whose} needs data for the input {missing[0]!r} too")
    elif len(shapes) == 1:
        given = {next(iter(shapes)): x}
    else:
        names = ", ".join(f"{name!r}: ..." for name in shapes)
        raise ArgumentError(f"{whose} has {len(shapes)} inputs: pass a dict, {{{names}}}")
    arrays = {name: _shaped_input(value, name, shapes[name], whose) for name, value in given.items()}
    if values:
        for name, array in arrays.items():
            check_values(array, name, dtype)
    lengths = {name: len(array) for name, array in arrays.items()} if len(arrays) > 1 else {}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"{whose}: the inputs have different numbers of rows: {lengths}")
    return arrays


def _shaped_input(value: Any, name: str, shape: Shape, whose: str) -> Array:
    array: Any = sparse_rows(value, name) if is_sparse(value) else numbers(value, name)
    if array.shape[1:] != shape or array.ndim != len(shape) + 1:
        expected = f"(N, {', '.join(map(str, shape))})" if shape else "(N,)"
        raise ShapeError(
            f"{whose} expected {name} of shape {expected}, got {array.shape}; {_remedy(value, array, shape)}"
        )
    return cast(Array, array)


def check_values(array: Array, name: str, dtype: np.dtype[Any]) -> None:
    """Look for what a network cannot take in the numbers of an input.

    Raises: DataError for NaN, infinity, and a number too large for the dtype.
    """
    held = numbers_in(array)
    bad = first_not_finite(held)
    if bad is not None:
        where = place(index_in(array, bad))
        raise DataError(f"{name} holds {held[bad]} at {where}: remove such rows or fill them in first")
    check_size(array, name, dtype)


def check_size(array: Array, name: str, dtype: np.dtype[Any]) -> None:
    """Raise DataError for a finite number too large for the dtype, which would become an infinity in it."""
    held = numbers_in(array)
    if held.dtype.kind != "f" or held.dtype.itemsize <= dtype.itemsize or not held.size:
        return
    largest = float(np.finfo(dtype).max)
    if not (held.max() > largest or held.min() < -largest):
        return
    too_large = np.isfinite(held) & (np.abs(held) > largest)
    if too_large.any():
        first = tuple(int(i) for i in np.argwhere(too_large)[0])
        raise DataError(
            f"{name} holds {held[first]:.4g} at {place(index_in(array, first))}: too large for {dtype}, which goes "
            f'up to {largest:.2g}; scale the data, or make the network with dtype="float64"'
        )


def _remedy(value: Any, array: Array, shape: Shape) -> str:
    size = int(np.prod(shape))
    if array.shape == shape:
        return "for a single sample use x[np.newaxis]"
    if array.ndim >= 1 and int(np.prod(array.shape[1:])) == size:
        sizes = ", ".join(map(str, (-1, *shape)))
        return f"reshape it: x.reshape({sizes})" if hasattr(value, "reshape") else f"np.reshape(x, ({sizes}))"
    return "the network was made for another shape of sample: see input_shape"


def checked_weights(weights: ArrayLike | None, rows: int, dtype: np.dtype[Any]) -> Array | None:
    """Sample weights of shape (N,): finite, not negative, not all zero."""
    if weights is None:
        return None
    array = numbers(weights, "sample_weight")
    check_size(array, "sample_weight", dtype)
    if array.shape != (rows,):
        raise ShapeError(f"sample_weight: expected shape ({rows},), one a sample, got {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any() or not array.any():
        raise DataError("sample_weight: expected finite weights of at least 0, not all of them 0")
    with np.errstate(over="ignore"):
        total, largest = float(array.sum(dtype=np.float64)), float(np.finfo(dtype).max)
    if total > largest:
        raise DataError(
            f"sample_weight: the sum of the weights is {total:.2g}, too large for {dtype}, which goes up to "
            f"{largest:.2g}; only their ratios count: divide them by the largest"
        )
    return array


def row_slices(rows: int, at_once: int) -> Iterator[slice]:
    """Slices that cover `rows`, `at_once` each."""
    return (slice(start, min(start + at_once, rows)) for start in range(0, rows, at_once))
