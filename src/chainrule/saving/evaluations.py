"""`evaluation.json` of a run folder: what is told of a run beside its numbers, and the network's answers."""

from __future__ import annotations

import dataclasses
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import __version__
from chainrule.arrays import Array, Shape
from chainrule.errors import FileError
from chainrule.evaluation import Answers, Classified, Estimated, Example, is_image
from chainrule.files import write_bytes
from chainrule.layers import MeanSquaredError, Standardize
from chainrule.network import Network
from chainrule.saving.model import RUN_ID
from chainrule.saving.run_parts import read_json
from chainrule.saving.runs import EVALUATION

FORMAT = "chainrule evaluation 1"
_HARMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError)

Evaluation = tuple["About", Answers | None, Shape | None, tuple[Array, Array] | None]


@dataclass(frozen=True)
class About:
    """What is told of a run beside its numbers: the data, the network, how to repeat it."""

    data: str = ""
    samples: int | None = None
    test_samples: int | None = None
    network: str = ""
    parameters: int | None = None
    #: The shell's command that repeats the run.
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    columns: list[str] | None = None
    #: What the losses are in, such as "share of the target's variance".
    loss_unit: str = ""
    #: R², RMSE and MAE of a regression on the data that it was trained on, as `Network.evaluate` names them.
    on_training: Mapping[str, float] = field(default_factory=dict)
    #: What was found in reading a table, a line each.
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, network: Network) -> About:
        """What the network tells of itself, and the versions of what runs it."""
        columns = network.metadata.get("columns")
        return cls(
            data=str(network.metadata.get("data") or ""),
            network=described(network),
            parameters=int(network.params.flat.size),
            versions=versions(),
            columns=[str(name) for name in columns] if isinstance(columns, list) else None,
            loss_unit=loss_unit_of(network),
        )


def write_evaluation(
    folder: Path,
    about: About,
    answers: Answers | None,
    image_shape: Shape | None,
    sample: tuple[Array, Array] | None,
    run: str = "",
) -> Path:
    """Write what history and model don't hold: the answers on the test data, versions, the command."""
    content = {
        "format": FORMAT,
        RUN_ID: run,
        "about": {**dataclasses.asdict(about), "versions": dict(about.versions)},
        "answers": None if answers is None else to_json(answers),
        "image_shape": image_shape,
        "sample": None if sample is None else {"x": sample[0].tolist(), "t": sample[1].tolist()},
    }
    return write_bytes(folder / EVALUATION, (json.dumps(content) + "\n").encode(), follow=False)


def read_evaluation(path: Path) -> tuple[Evaluation, str]:
    """What `write_evaluation` wrote, and the id of its run. Raises FileError for a file that is damaged."""
    content, run = read_json(path)
    if content.get("format") != FORMAT:
        raise FileError(f"{path.name} is not of the format {FORMAT!r}; it may need a newer chainrule")
    try:
        answers, sample = content["answers"], content["sample"]
        shape = content["image_shape"]
        found = (
            _about(content["about"]),
            None if answers is None else from_json(answers),
            None if shape is None else _image_shape(shape),
            None if sample is None else (np.array(sample["x"]), np.array(sample["t"])),
        )
    except _HARMED as error:
        raise FileError(f"{path.name} is damaged: {repr(error)[:200]}") from None
    return found, run


def _image_shape(lengths: Any) -> Shape:
    shape = tuple(int(length) for length in lengths)
    if min(shape) < 1 or not is_image(shape):
        raise ValueError(f"{shape} is no image")
    return shape


def _about(content: dict[str, Any]) -> About:
    texts = {name: str(content[name]) for name in ("data", "network", "command", "loss_unit")}
    counts = {
        name: None if content[name] is None else whole(content[name])
        for name in ("samples", "test_samples", "parameters")
    }
    columns, on_training = content["columns"], content.get("on_training", {})  # older folders have none
    if on_training and set(on_training) != {"r2", "rmse", "mae"}:
        raise ValueError("the errors on the training data are not those of a regression")
    return About(
        data=texts["data"],
        network=texts["network"],
        command=texts["command"],
        loss_unit=texts["loss_unit"],
        samples=counts["samples"],
        test_samples=counts["test_samples"],
        parameters=counts["parameters"],
        columns=None if columns is None else [str(name) for name in columns],
        on_training={name: float(value) for name, value in on_training.items()},
        notes=[str(note) for note in content.get("notes", [])],
        versions={str(name): str(value) for name, value in content["versions"].items()},
    )


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


def whole(value: Any) -> int:
    """A count that a file holds. Raises ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1e15:
        raise ValueError(f"expected a count, got {value!r:.50}")
    return value


def loss_unit_of(network: Network) -> str:
    """What the losses of a network are in, beside the square of the target's unit; "" for nothing to say."""
    units = network.output.layer
    is_squared = isinstance(network.loss_layer, MeanSquaredError)
    is_in_shares = is_squared and isinstance(units, Standardize) and units.invert
    return "share of the target's variance in the training data" if is_in_shares else ""


def versions() -> dict[str, str]:
    """What the numbers of a run may depend on."""
    return {
        "chainrule": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }


def described(network: Network) -> str:
    """The network in a few words: '64 → 50 → 10, ReLU'."""
    graph = network.graph
    nodes = [graph.nodes[i] for i in graph.ancestors(graph.position(network.output))]
    inside = [node.layer for node in nodes if node.layer is not None]
    units = [layer.units for layer in inside if layer.units is not None]
    kinds = [type(layer) for layer in inside if layer.is_activation]
    shapes = [_shown(shape) for shape in network.input_shapes.values()]
    ends = [_shown(network.output_shape)] if not units or units[-1] != math.prod(network.output_shape) else []
    path = " → ".join([", ".join(shapes), *map(str, units), *ends])
    return ", ".join([path, *dict.fromkeys(kind.__name__ for kind in kinds)])


def _shown(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "1"
