"""The options that several commands have, the names that options take, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from chainrule import initializers, schedules
from chainrule.errors import ArgumentError, FileError, did_you_mean
from chainrule.initializers import Initializer
from chainrule.layers import ELU, GELU, Layer, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from chainrule.schedules import Schedule

T = TypeVar("T")

ACTIVATIONS: dict[str, Callable[[], Layer]] = {
    kind.__name__.lower(): kind for kind in (ReLU, LeakyReLU, ELU, GELU, SiLU, Softplus, Sigmoid, Tanh)
}

SCHEDULES: dict[str, Callable[[float], Schedule]] = {
    "constant": schedules.Constant,
    "inverse-square-root": schedules.InverseSquareRoot,
    "cosine": schedules.Cosine,
    "one-cycle": schedules.OneCycle,
}

INITIALIZERS: dict[str, Callable[[], Initializer]] = {
    "half-he": partial(initializers.He, gain=0.5),
    "he": initializers.He,
    "xavier": initializers.Xavier,
    "lecun": initializers.LeCun,
    "orthogonal": initializers.Orthogonal,
    "normal": initializers.Normal,
}

PICTURES = (".html", ".svg", ".png")

Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A run folder or model file, such as runs/digits.")
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN", help="The target column of a table. Default: the one the model was trained on."
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same random numbers.")]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that exists.")]


def choose(option: str, name: str, known: Mapping[str, T]) -> T:
    """What a name stands for. Raises ArgumentError, with the nearest known one, for an unknown name."""
    found = known.get(name.strip().lower())
    if found is None:
        raise ArgumentError(f"{option}: there is no {name!r}; {did_you_mean(name, known)}")
    return found


def refuse_seed(seed: int) -> None:
    """Refuse a seed below 0."""
    if seed < 0:
        raise ArgumentError(f"--seed: expected a whole number of at least 0, got {seed}")


def refuse_dtype(dtype: str) -> None:
    """Refuse a dtype that networks do not compute in."""
    if dtype not in ("float32", "float64"):
        raise ArgumentError(f"--dtype: expected float32 or float64, got {dtype!r}")


def refuse_taken(path: Path, force: bool, how: str = "") -> None:
    """Refuse a file that exists. `how` is the option that names another, where nobody named this one."""
    if path.exists() and not force:
        raise FileError(f"{path} exists; choose another name{how}, or write over it with --force")


def refuse_no_picture(option: str, path: Path, force: bool) -> None:
    """Refuse a name that is no picture's, and one that is taken."""
    if path.suffix.lower() not in PICTURES:
        raise ArgumentError(f"{option} {path}: expected a file that ends in {', '.join(PICTURES)}")
    refuse_taken(path, force)
