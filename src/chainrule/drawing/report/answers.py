"""The answers of a network as JSON, for a run folder, and read again."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.drawing.report.words import whole
from chainrule.evaluation import Answers, Classified, Estimated, Example


def to_json(answers: Answers) -> dict[str, Any]:
    """The answers in plain Python values."""
    if isinstance(answers, Classified):
        return {
            "classes": answers.classes,
            "confusion": answers.confusion.tolist(),
            "wrong": [_example_to_json(each) for each in answers.wrong],
            "unsure": [_example_to_json(each) for each in answers.unsure],
            "not_finite": answers.not_finite,
        }
    arrays = ("rmse", "mean_absolute", "r_squared", "true", "predicted")
    return {
        "names": answers.names,
        **{name: getattr(answers, name).tolist() for name in arrays},
        "worst": [_example_to_json(each) for each in answers.worst],
        "samples": answers.samples,
        "not_finite": answers.not_finite,
    }


def _example_to_json(example: Example) -> dict[str, Any]:
    return {
        "row": example.row,
        "true": example.true,
        "predicted": example.predicted,
        "probabilities": example.probabilities.tolist(),
        "size": example.size,
        "x": [int(value) if value == round(value) else value for value in example.x.tolist()]
        if np.isfinite(example.x).all() and (np.abs(example.x) < 1e15).all()
        else example.x.tolist(),
    }


def from_json(content: Any) -> Answers:
    """What `to_json` made. Raises ValueError for anything else."""
    try:
        return _classified_from(content) if "classes" in content else _estimated_from(content)
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise ValueError(f"the answers are damaged: {error!r}") from None


def _classified_from(content: dict[str, Any]) -> Classified:
    classes = [str(name) for name in content["classes"]]
    count = len(classes)
    confusion = np.array(content["confusion"])
    if confusion.shape != (count, count) or confusion.dtype.kind not in "iu" or (confusion < 0).any():
        raise ValueError("the confusion matrix does not fit the classes")
    lists = {name: [_example_from(each, count) for each in content[name]] for name in ("wrong", "unsure")}
    return Classified(classes, confusion, lists["wrong"], lists["unsure"], whole(content["not_finite"]))


def _estimated_from(content: dict[str, Any]) -> Estimated:
    names = [str(name) for name in content["names"]]
    width = len(names)
    rmse, absolute, r_squared = (_numbers(content[key], 1) for key in ("rmse", "mean_absolute", "r_squared"))
    true, predicted = (_numbers(content[key], 2, width) for key in ("true", "predicted"))
    if not width or not len(rmse) == len(absolute) == len(r_squared) == width or len(true) != len(predicted):
        raise ValueError("the errors do not fit the outputs")
    worst = [_example_from(each, 0) for each in content["worst"]]
    samples, not_finite = whole(content["samples"]), whole(content["not_finite"])
    return Estimated(names, rmse, absolute, r_squared, true, predicted, worst, samples, not_finite)


def _example_from(content: dict[str, Any], classes: int) -> Example:
    example = Example(
        whole(content["row"]),
        _numbers(content["x"], 1),
        float(content["true"]),
        float(content["predicted"]),
        _numbers(content["probabilities"], 1),
        whole(content.get("size", len(content["x"]))),
    )
    if example.size < len(example.x):
        raise ValueError("an example has more values than it says")
    if len(example.probabilities) != classes:
        raise ValueError("an example's probabilities are not as many as the classes")
    if classes and not (0 <= example.true < classes and 0 <= example.predicted < classes):
        raise ValueError("an example is of no class")
    return example


def _numbers(values: Any, axes: int, width: int = 0) -> Array:
    array = np.array(values, dtype=np.float64)
    if array.size == 0 and axes == 2:
        array = array.reshape(0, width)
    if array.ndim != axes or (axes == 2 and array.shape[1] != width):
        raise ValueError("numbers are not arranged as they should be")
    return array
