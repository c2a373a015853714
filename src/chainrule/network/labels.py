"""Labels as people have them, text, booleans and any whole numbers, and the numbers of classes that losses take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any, NoReturn, TypeAlias

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.errors import ArgumentError, DataError, ShapeError, did_you_mean, warn
from chainrule.layers import Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy

Label: TypeAlias = str | int | bool

TEXT = "OUT"  # the kinds of dtype in which text may come
MISSING_TYPES = ("NoneType", "NAType", "NaTType")  # None, and what pandas has for it
SHOWN = 10  # classes in a message
KINDS: dict[type, str] = {str: "text", bool: "booleans", int: "whole numbers"}


class Labels:
    """What the loss of one network takes as targets, and by which names the classes are known.

    A network knows the names of its classes from the first training on labels that are no numbers of its outputs,
    or because they were set. Without names, labels are the numbers of the classes.
    """

    def __init__(self, loss: Loss, output_shape: Shape, names: Sequence[Label] | None) -> None:
        self.loss, self.output_shape = loss, output_shape
        self.names = None if names is None else list(names)
        #: How many classes there are, None where the loss takes no labels.
        self.count = class_count(loss, output_shape)

    def numbered(self, t: Any) -> Array:
        """The targets in the form that the loss takes: labels by their numbers; anything else is as it was.

        Raises: DataError for a missing label, one that is unknown, or text where there are no names.
        """
        given = as_array(t)
        if not self._are_labels(given):
            return given
        labels = self._whole(given)
        kind = kind_of(labels)
        if kind is None:
            numbers = labels
        elif self.names is None:
            numbers = self._without_names(labels, kind)
        elif kind is int and type(self.names[0]) is not int:
            numbers = labels
        else:
            numbers = self._looked_up(labels, kind, self.names)
        if isinstance(self.loss, SigmoidCrossEntropy) and self.output_shape == (1,) and numbers.ndim == 1:
            return numbers[:, np.newaxis]
        return numbers

    def named(self, numbers: Array) -> Array:
        """The labels of these numbers of classes."""
        if self.names is None or self.count is None:
            return numbers
        return np.asarray(np.array(self.names)[numbers])

    def learned(self, t: Any, iterations: int) -> list[Label] | None:
        """The names of the classes: those that are known, else the different labels, None for plain numbers.

        `iterations` is how long the network has been trained. Warns of names that are probably not as meant.
        Raises: DataError where the labels are not as many as the classes.
        """
        if self.names is not None or self.count is None:
            return self.names
        given = as_array(t)
        if not (given.ndim and given.size and self._are_labels(given)):
            return None
        labels = self._whole(given)
        kind = kind_of(labels)
        if kind is None or (kind is int and _in_range(labels, self.count)):
            return None
        if kind is bool and self.count == 2:
            return [False, True]
        different = sorted(set(labels.flat)) if labels.dtype == object else np.unique(labels)
        names: list[Label] = [kind(name) for name in different]
        if len(names) != self.count:
            self._refuse_count(labels, kind, names)
        for text in doubts(names, iterations):
            warn(f"t: {text}")
        return names

    def groups(self, numbers: Array) -> Array | None:
        """The class of each row of targets as the loss takes them; None where a row has none, or several."""
        if self.count is None:
            return None
        if isinstance(self.loss, SigmoidCrossEntropy):
            return (numbers.reshape(len(numbers)) > 0.5).astype(int)
        if numbers.shape[1:] == self.output_shape:
            numbers = numbers.argmax(axis=-1)
        return numbers if numbers.ndim == 1 else None

    def _are_labels(self, t: Array) -> bool:
        """Whether the targets are labels, by their shape. Raises for text that cannot be."""
        is_text = t.dtype.kind in TEXT
        if self.count is None:
            if is_text:
                raise DataError(
                    f"t: expected numbers, got text, {_first(t)!r}: {self.loss!r} takes none; for labels make the "
                    f"network with SoftmaxCrossEntropy() and an output for each class"
                )
            return False
        shape = self.output_shape
        if isinstance(self.loss, SigmoidCrossEntropy):
            fits = t.ndim == 1 or t.shape[1:] == shape
        else:
            fits = t.shape[1:] == (shape := shape[:-1])
        if is_text and not fits:
            expected = f"({len(t)}, {', '.join(map(str, shape))})" if shape else f"({len(t)},)"
            raise ShapeError(
                f"t: expected labels of shape {expected}, got text of shape {t.shape}; give one for each sample"
                + (", t.ravel()" if t.size == len(t) and not shape else "")
            )
        return fits

    def _whole(self, labels: Array) -> Array:
        """Labels that are floats as whole numbers, unless a sigmoid's loss can take them as probabilities."""
        if labels.dtype.kind != "f":
            return labels
        if (missing := np.isnan(labels)).any():
            raise missing_at(labels, int(np.flatnonzero(missing)[0]))
        is_sigmoid = isinstance(self.loss, SigmoidCrossEntropy)
        by_name = self.names is not None and type(self.names[0]) is int
        if is_sigmoid and not by_name and ((labels >= 0) & (labels <= 1)).all():
            return labels
        broken = np.isinf(labels) | (labels != np.round(labels)) | (np.abs(labels) >= 2.0**63)
        if not broken.any():
            return labels.astype(np.int64)
        if is_sigmoid:
            return labels
        place = np.unravel_index(int(np.flatnonzero(broken)[0]), labels.shape)
        raise DataError(
            f"{self.loss!r}: expected labels to be whole numbers, got {labels[place]} in row {place[0]}; "
            f"to estimate numbers, make the network with MeanSquaredError()"
        )

    def _without_names(self, labels: Array, kind: type) -> Array:
        if kind is int:
            return labels
        if kind is bool and self.count == 2:
            return labels.astype(np.int64)
        if kind is bool:
            self._refuse_count(labels, kind, [False, True])
        raise DataError(
            f"t: the labels are {KINDS[kind]}, such as {_first(labels)!r}, and the network knows no names of its "
            f"{self.count} classes yet: train it on such labels first, or name the classes in the order of the "
            f"outputs, net.classes = [...]"
        )

    def _looked_up(self, labels: Array, kind: type, names: list[Label]) -> Array:
        """The number of each label's class."""
        known = type(names[0])
        if kind is not known:
            raise DataError(
                f"t: expected labels among the classes {_listed(names)}, which are {KINDS[known]}, got "
                f"{KINDS[kind]}, {_first(labels)!r}; give the labels as {KINDS[known]}, or as numbers of classes"
                + (", or set net.classes" if known is not int else "")
            )
        number_of = {name: number for number, name in enumerate(names)}
        if labels.dtype == object:
            found = np.array([number_of.get(each, -1) for each in labels.flat], np.int64).reshape(
                labels.shape
            )
        else:
            distinct, places = np.unique(labels, return_inverse=True)
            numbers = np.array([number_of.get(kind(each), -1) for each in distinct], np.int64)
            found = numbers[places.reshape(labels.shape)]
        if (found < 0).any():
            place = np.unravel_index(int(np.flatnonzero(found < 0)[0]), labels.shape)
            unknown = kind(labels[place])
            remedy = (
                did_you_mean(str(unknown), map(str, names))
                if kind is str
                else f"the classes are {_listed(names)}; correct it, or leave the row out"
            )
            raise DataError(f"t: unknown label {unknown!r} in row {place[0]}; {remedy}")
        return found

    def _refuse_count(self, labels: Array, kind: type, names: list[Label]) -> NoReturn:
        """DataError for labels that are more or fewer than the classes."""
        count = self.count
        remedy = (
            f"where a class is missing in the data, name all {count} in the order of the outputs, "
            f"net.classes = [...]; where there are more, give the network an output for each"
        )
        if isinstance(self.loss, SigmoidCrossEntropy):
            remedy = (
                "where one is missing in the data, name both, net.classes = [...]; for more classes than two use "
                "SoftmaxCrossEntropy() and an output for each"
            )
        came = f"{len(names)}: {_listed(names)}"
        if kind is int:
            wrong = (labels < 0) | (labels >= count)
            place = np.unravel_index(int(np.flatnonzero(wrong)[0]), labels.shape)
            raise DataError(
                f"{self.loss!r}: expected labels from 0 to {count - 1 if count else 0}, got {labels[place]} in row "
                f"{place[0]}; or {count} different whole numbers, one for each class, got {came}; {remedy}"
            )
        raise DataError(f"t: expected {count} different labels, one for each class, got {came}; {remedy}")


def class_count(loss: Loss | None, output_shape: Shape) -> int | None:
    """How many classes the outputs tell apart; None where the loss takes no labels of classes."""
    if isinstance(loss, SoftmaxCrossEntropy) and output_shape:
        return output_shape[-1]
    if isinstance(loss, SigmoidCrossEntropy) and output_shape in ((), (1,)):
        return 2
    return None


def checked_names(names: Any, loss: Loss | None, output_shape: Shape) -> list[Label] | None:
    """The names of the classes, set by hand, as a list.

    Raises: ArgumentError unless they are different, of one kind, and as many as the classes.
    """
    if names is None:
        return None
    if loss is not None and loss.task not in ("classification", "multilabel"):
        raise ArgumentError(f"classes: {loss!r} tells no classes apart; expected None, got {names!r}")
    try:
        values = [] if isinstance(names, (str, bytes)) else np.asarray(names, dtype=object).ravel().tolist()
    except (TypeError, ValueError):
        values = []
    kinds = {kind for value in values if (kind := _kind_of_value(value)) is not None}
    if len(kinds) != 1 or not all(_kind_of_value(value) for value in values):
        raise ArgumentError(
            f'classes: expected a list of text, whole numbers or booleans, such as ["no", "yes"], got {names!r}'
        )
    kind = kinds.pop()
    found: list[Label] = [kind(value) for value in values]
    count = class_count(loss, output_shape) or (output_shape[-1] if output_shape else 1)
    if len(set(found)) != len(found) or len(found) != count:
        raise ArgumentError(
            f"classes: expected {count} different names, one for each class in the order of the outputs, got "
            f"{len(found)}: {_listed(found)}"
        )
    return found


def as_array(t: Any) -> Array:
    """The targets as an array of numbers or booleans, or of text.

    Raises: DataError for what is missing, or neither of these; ShapeError for rows of different lengths.
    """
    if isinstance(t, np.ma.MaskedArray) and np.ma.getmaskarray(t).any():
        raise missing_at(t, int(np.flatnonzero(np.ma.getmaskarray(t))[0]))
    try:
        array = np.asarray(t)
        made_text = array.dtype.kind == "U" and isinstance(t, (list, tuple))  # also of numbers beside text
        if made_text or array.dtype.kind not in "biufUT":
            array = np.asarray(t, dtype=object)
    except ValueError as error:
        raise ShapeError(f"t: the rows have different lengths, which makes no array: {error}") from None
    return _of_one_kind(array) if array.dtype.kind == "O" and array.ndim and array.size else array


def is_text(t: Any) -> bool:
    """Whether the targets are text, all of them."""
    if isinstance(t, np.ndarray) and t.dtype.kind in "biuf":
        return False
    try:
        values = np.asarray(t, dtype=object).ravel()
    except ValueError:  # rows of different lengths
        return False
    return len(values) > 0 and all(isinstance(each, str) for each in values)


def _of_one_kind(array: Array) -> Array:
    """An array of objects as one of numbers or booleans, or unchanged where they are text."""
    flat = array.ravel()
    types = set(map(type, flat))
    if types <= {str, np.str_}:
        return array
    first: dict[str, int] = {}
    for place, value in enumerate(flat):
        first.setdefault(_described(value), place)
    if "missing" in first:
        raise missing_at(array, first["missing"])
    (kind, _), *others = first.items()
    known = {*KINDS.values(), "numbers"}
    if strange := [each for each in first if each not in known]:
        place = first[strange[0]]
        row = int(np.unravel_index(place, array.shape)[0])
        raise DataError(
            f"t: expected numbers, or labels as text, booleans or whole numbers, got {strange[0]}, "
            f"{flat[place]!r}, in row {row}"
        )
    if set(first) <= {"whole numbers", "numbers"} or (kind == "booleans" and not others):
        return np.array(array.tolist())
    other, place = others[0]
    row, rows = (int(np.unravel_index(each, array.shape)[0]) for each in (first[kind], place))
    raise DataError(
        f"t: expected labels of one kind, got {kind}, {flat[first[kind]]!r} in row {row}, and {other}, "
        f"{flat[place]!r} in row {rows}; make them all text, or all numbers"
    )


def missing_at(array: Any, place: int) -> DataError:
    """The error for a target that is missing, at this place of the flat array."""
    row = int(np.unravel_index(place, array.shape)[0])
    return DataError(
        f"t: the target in row {row} is missing, {array.ravel()[place]!s}; leave such rows out, or fill them in"
    )


def doubts(names: Sequence[Label], iterations: int) -> Iterator[str]:
    """What is probably not as meant about names that were learned after so many iterations.

    Names that look like a missing value, two that differ by capitals or spaces only, and names after numbers.
    """
    from chainrule.datasets.targets import MISSING

    if iterations:
        yield (
            f"the network was trained on numbers of classes before, in {iterations:,} iterations; the numbers now "
            f"stand for {_listed(names)} in this order: if that is not meant, set net.classes before the first fit"
        )
    seen: dict[str, str] = {}
    for name in (each for each in names if isinstance(each, str)):
        text = " ".join(name.split()).casefold()
        if text in MISSING:
            yield f"one of the classes is named {name!r}, which looks like a missing value: leave such rows out"
        elif text in seen:
            yield (
                f"two classes are named {seen[text]!r} and {name!r}, which differ by capitals or spaces only: if "
                f"they are one, write it in one way"
            )
        seen[text] = name


def kind_of(labels: Array) -> type | None:
    """str, bool or int, by the kind of labels; None for floats."""
    if labels.dtype.kind in TEXT:
        return str
    return {"b": bool, "i": int, "u": int}.get(labels.dtype.kind)


def _kind_of_value(value: Any) -> type | None:
    if isinstance(value, str):
        return str
    if isinstance(value, (bool, np.bool_)):
        return bool
    return int if isinstance(value, Integral) else None


def _described(value: Any) -> str:
    """The kind of a value in words, "missing" for what stands for none."""
    kind = _kind_of_value(value)
    if kind is not None:
        return KINDS[kind]
    if isinstance(value, Real):
        return "numbers" if value == value else "missing"  # NaN differs from itself
    return "missing" if type(value).__name__ in MISSING_TYPES else f"a {type(value).__name__}"


def _in_range(labels: Array, count: int) -> bool:
    return bool(labels.min() >= 0 and labels.max() < count)


def _first(labels: Array) -> Any:
    value = labels.ravel()[0] if labels.size else None
    return value.item() if isinstance(value, np.generic) else value


def _listed(names: Sequence[Label]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
