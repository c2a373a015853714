"""History: what training recorded."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chainrule.errors import ArgumentError, FileError, did_you_mean
from chainrule.files import write_bytes
from chainrule.loop.wording import one_line

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

MEASURES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


@dataclass(repr=False)
class History:
    """The record of one training.

    Every iteration: `loss` (of its batch, before its update), `learning_rate`, `seconds` (since the start).
    Every epoch, and after the last iteration when it falls inside an epoch: `measured_at` (how many iterations
    were done), `train_loss`, `train_accuracy`, `test_loss`, `test_accuracy`, over all the data; a list stays
    empty when there is nothing to measure (no validation data, no accuracy for a regression).
    `health` is what the callback `Health` found at its examinations; without it the dict is empty.
    `stopped` says why training ended: "finished", "interrupted", or what a callback said. A training that
    was stopped inside an epoch is not measured once more.
    """

    loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    measured_at: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    stopped: str = ""
    health: dict[str, Any] = field(default_factory=dict)

    @property
    def unit(self) -> Literal["iteration", "epoch"]:
        """What `loss` has a value of: "epoch" for an estimator's fit without callbacks."""
        return "epoch" if self.settings.get("recorded_by") == "epoch" else "iteration"

    def add_iterations(
        self, losses: Sequence[float], rates: Sequence[float], start: float, seconds: float
    ) -> None:
        """Record iterations that were done in one go, from `start` to `seconds`: each took the same share."""
        share = (seconds - start) / len(losses)
        self.loss.extend(map(float, losses))
        self.learning_rate.extend(map(float, rates))
        self.seconds.extend([start + share * k for k in range(1, len(losses) + 1)])

    def add_measures(self, measures: Mapping[str, float]) -> None:
        """Record what was measured over all the data after the iterations done so far."""
        self.measured_at.append(len(self.loss))
        for name, value in measures.items():
            if name not in MEASURES:
                raise ArgumentError(f"unknown measure {name!r}; {did_you_mean(name, MEASURES)}")
            getattr(self, name).append(value)

    def latest(self, name: str) -> float | None:
        """The last value of a measure, or None when there is none."""
        if name not in MEASURES:
            raise ArgumentError(f"unknown measure {name!r}; {did_you_mean(name, MEASURES)}")
        values: list[float] = getattr(self, name)
        return values[-1] if values else None

    def to_json(self) -> str:
        """The whole record as JSON text."""
        return json.dumps({"format": "chainrule history 1", **asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> History:
        """The record that `to_json` wrote. Raises FileError for anything else."""
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FileError(
                f"a history is JSON text, as History.to_json writes it; this is not: {error}"
            ) from None
        if not isinstance(content, dict) or content.pop("format", None) != "chainrule history 1":
            raise FileError("this JSON is not a history: expected what History.to_json wrote")
        return cls.from_dict(content)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> History:
        """The record with these fields. Raises FileError where they are not those of a record."""
        known = {each.name: each for each in fields(cls)}
        for name, value in content.items():
            kind = {"settings": dict, "stopped": str, "health": dict}.get(name, list)
            damaged = name not in known or not isinstance(value, kind)
            if damaged or (kind is list and not _numbers(value)) or (name == "health" and not _health(value)):
                raise FileError(f"the history is damaged at {name!r}: expected what History.to_json wrote")
        return cls(**content)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the record as a JSON file, "history.json"."""
        return write_bytes(path, self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read a JSON file that `save` wrote, or the history.jsonl of a run folder."""
        from chainrule.loop.history_lines import read_history

        return read_history(path)[0]

    def to_frame(self, by: Literal["iteration", "epoch"] = "iteration") -> pandas.DataFrame:
        """The record as a pandas frame: a row for each iteration, or for each measurement."""
        import pandas

        if by == "iteration":
            columns = {"loss": self.loss, "learning_rate": self.learning_rate, "seconds": self.seconds}
            return pandas.DataFrame(columns, index=pandas.RangeIndex(1, len(self.loss) + 1, name=self.unit))
        if by == "epoch":
            measures = {name: getattr(self, name) for name in MEASURES if getattr(self, name)}
            return pandas.DataFrame(measures, index=pandas.Index(self.measured_at, name=self.unit))
        raise ArgumentError(f"by={by!r}: {did_you_mean(str(by), ['iteration', 'epoch'])}")

    def __repr__(self) -> str:
        return f"<History: {one_line(self)}>"

    def plot(self) -> Figure:
        """A matplotlib figure: the loss of every iteration, and the accuracy (or loss) of every epoch."""
        from chainrule.loop.curves import plot_history

        return plot_history(self)


def _numbers(values: list[Any]) -> bool:
    return all(isinstance(value, (int, float)) for value in values)


def _health(record: dict[str, Any]) -> bool:
    """Whether this is what `Health` records: as many numbers, or None, of each measure as examinations."""
    if not record:
        return True
    times = record.get("iterations")
    if set(record) != {"rows", "iterations", "layers", "parameters"} or not isinstance(times, list):
        return False
    named = [part for part in (record["layers"], record["parameters"]) if isinstance(part, dict)]
    found = [measures for part in named for measures in part.values()]
    lists = [times]
    for measures in found:
        if not isinstance(measures, dict):
            return False
        lists += [values for values in measures.values() if not isinstance(values, str)]
    return (
        len(named) == 2
        and all(isinstance(number, int) for number in [record["rows"], *times])
        and all(isinstance(values, list) and len(values) == len(times) for values in lists)
        and all(_numbers([value for value in values if value is not None]) for values in lists)
    )
