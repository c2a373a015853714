"""Labels as people have them, text, booleans and any whole numbers, and the numbers of classes that losses take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.errors import ArgumentError, DataError, ShapeError, did_you_mean, warn
from chainrule.incoming import (
    are_signs,
    is_category,
    looks_missing,
    numbers,
    without_case,
)
from chainrule.layers import Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.layers.loss.base import SameShapeLoss
from chainrule.network.target_arrays import KINDS, TEXT, as_array, is_text, kind_of, kind_of_value, missing_at

Label: TypeAlias = str | int | bool

SHOWN = 10  # classes in a message


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

    def taken(self, t: Any) -> Array:
        """The targets as an array of numbers, or where there are classes of labels, in the shape the loss takes.

        A single number or label for each sample may come as (N,) or (N, 1).
        """
        if self.count is None and not is_text(t):
            if is_category(t):
                raise self._no_labels("categories", np.asarray(t))
            return self._shaped(numbers(t, "t"))
        return self._shaped(as_array(t))

    def numbered(self, t: Any) -> Array:
        """The targets in the form that the loss takes: labels by their numbers; anything else is as it was.

        Raises: DataError for a missing label, one that is unknown, or text where there are no names.
        """
        given = self.taken(t)
        if not self._are_labels(given):
            return given
        labels = self._whole(given)
        kind = kind_of(labels)
        if kind is None:
            return labels
        if self.names is None:
            return self._without_names(labels, kind)
        if kind is int and type(self.names[0]) is not int:
            return labels
        return self._looked_up(labels, kind, self.names)

    def check_shape(self, t: Array) -> None:
        """Raise ShapeError for targets that have another shape than the loss takes, which is the output's."""
        wanted = (len(t), *self.output_shape)
        if not isinstance(self.loss, SameShapeLoss) or t.shape == wanted:
            return
        remedy = "give a number for each output, since nothing is broadcast here"
        if isinstance(self.loss, SigmoidCrossEntropy) and t.ndim == 1:
            remedy = (
                'for one label a sample, of several classes, use the loss "cross_entropy"; '
                "for labels that don't exclude each other give 0 or 1 for each output"
            )
        raise ShapeError(f"t: expected the shape of the network's output, {wanted}, got {t.shape}; {remedy}")

    def _shaped(self, t: Array) -> Array:
        """Targets with or without an axis of length 1 at their end, as the loss takes them."""
        rows = t.shape[1:]
        if isinstance(self.loss, SoftmaxCrossEntropy) and self.output_shape:
            wanted = self.output_shape[:-1]
        elif isinstance(self.loss, SameShapeLoss):
            wanted = self.output_shape
        else:
            return t
        if t.ndim == 0 or rows in (wanted, self.output_shape):
            return t
        if rows == (*wanted, 1):
            return t[..., 0]
        return t[..., np.newaxis] if (*rows, 1) == wanted else t

    def named(self, labels: Array) -> Array:
        """The labels of these numbers of classes."""
        if self.names is None or self.count is None:
            return labels
        return np.asarray(np.array(self.names)[labels])

    def learned(self, t: Any, iterations: int) -> list[Label] | None:
        """The names of the classes: those that are known, else the different labels, None for plain numbers.

        `iterations` is how long the network has been trained. Warns of names that are probably not as meant.
        Raises: DataError where the labels are not as many as the classes.
        """
        if self.names is not None or self.count is None:
            return self.names
        given = self.taken(t)
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

    def groups(self, t: Array) -> Array | None:
        """The class of each row of targets as the loss takes them; None where a row has none, or several."""
        if self.count is None:
            return None
        if isinstance(self.loss, SigmoidCrossEntropy):
            return (t.reshape(len(t)) > 0.5).astype(int)
        if t.shape[1:] == self.output_shape:
            t = t.argmax(axis=-1)
        return t if t.ndim == 1 else None

    def _are_labels(self, t: Array) -> bool:
        """Whether the targets are labels, by their shape. Raises for text that cannot be."""
        is_text = t.dtype.kind in TEXT
        if self.count is None:
            if is_text:
                raise self._no_labels("text", t)
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
            )
        return fits

    def _no_labels(self, what: str, t: Array) -> DataError:
        return DataError(
            f"t: expected numbers, got {what}, {_first(t)!r}: {self.loss!r} takes none; for labels make the "
            f"network with SoftmaxCrossEntropy() and an output for each class"
        )

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
            numbered = np.array([number_of.get(kind(each), -1) for each in distinct], np.int64)
            found = numbered[places.reshape(labels.shape)]
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
        if isinstance(self.loss, SoftmaxCrossEntropy) and count == 1:
            remedy = 'use the loss "binary_cross_entropy", or give the network an output for each class'
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
    kinds = {kind for value in values if (kind := kind_of_value(value)) is not None}
    if len(kinds) != 1 or not all(kind_of_value(value) for value in values):
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


def doubts(names: Sequence[Label], iterations: int) -> Iterator[str]:
    """What is probably not as meant about names that were learned after `iterations`.

    Names that look like a missing value, two that differ by capitals or spaces only, and names after numbers.
    """
    if iterations:
        yield (
            f"the network was trained on numbers of classes before, in {iterations:,} iterations; the numbers now "
            f"stand for {_listed(names)} in this order: if that is not meant, set net.classes before the first fit"
        )
    seen: dict[str, str] = {}
    texts = [each for each in names if isinstance(each, str)]
    signs = are_signs(texts)
    for name in texts:
        text = without_case(name)
        if looks_missing(name, among_signs=signs):
            yield f"one of the classes is named {name!r}, which looks like a missing value: leave such rows out"
        elif text in seen:
            yield (
                f"two classes are named {seen[text]!r} and {name!r}, which differ by capitals or spaces only: if "
                f"they are one, write it in one way"
            )
        seen[text] = name


def _in_range(labels: Array, count: int) -> bool:
    return bool(labels.min() >= 0 and labels.max() < count)


def _first(labels: Array) -> Any:
    value = labels.ravel()[0] if labels.size else None
    return value.item() if isinstance(value, np.generic) else value


def _listed(names: Sequence[Label]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
