"""`chainrule check`: a model, or a class or two functions in a Python file, checked by `cr.check`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from chainrule.arrays import ArrayLike
from chainrule.checking import CheckReport, check
from chainrule.checking.precision import EPSILONS
from chainrule.cli.checked_code import check_code
from chainrule.cli.data import DATA_HELP
from chainrule.cli.models import load_model
from chainrule.cli.options import Seed, Target, refuse_dtype, refuse_no_picture, refuse_seed
from chainrule.cli.reading import TableOptions
from chainrule.cli.rows import ROWS, batch_for
from chainrule.cli.wording import in_options
from chainrule.cli.writing import print_text
from chainrule.drawing import draw
from chainrule.errors import ArgumentError, FileError
from chainrule.network import Network

OF_FILE = "For what is in a Python file"
#: The options for Python files alone, by the names of the arguments of `cr.check`.
OPTIONS_OF_CODE = {
    "reference": "--reference",
    "sizes": "--sizes",
    "ignore": "--ignore",
    "gradients": "--gradient",
    "straight_through": "--straight-through",
}


@dataclass
class Check(TableOptions):
    """Hold every backward against differences of its forward, and name the mistake.

    Exit status: 0 passed, 1 a mistake was found or something was not compared, 2 bad input.

    [bold]chainrule check runs/digits[/bold]

    [bold]chainrule check layers.py:Affine[/bold]  --arg W=5x3 --arg b=3 --input 4x5

    [bold]chainrule check layers.py:SoftmaxWithLoss[/bold]  --input 4x3 --input 4:3

    [bold]chainrule check layers.py:affine_forward,affine_backward[/bold]  --input 4x5 --input 5x3 --input 3

    [bold]chainrule check kernels.py:RMSNorm[/bold]  --input 4x80 --input 80 --reference rms_norm  (PyTorch or JAX)
    """

    name: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|FILE.py:NAME",
            help="A run folder or model file, such as runs/digits; or a Python file, which is run, and in it a "
            "class (or an object) with forward and backward, or two functions: FILE.py:forward,backward.",
        ),
    ]
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help=f"For a model: {DATA_HELP} Its first {ROWS} rows are used, of named data those of the test part. "
            "Default: the named data it was trained on, or else random numbers.",
        ),
    ] = None
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="SHAPE",
            help="An input of forward, once for each, in order. 4x5: random numbers of this shape. 4:3: 4 labels "
            "from 0 to 2. 4x3:onehot: such labels as rows of 0 and 1. 4x5:positive: numbers from 0.5 to 2. 0.5: "
            "this number.",
            rich_help_panel=OF_FILE,
        ),
    ] = None
    arguments: Annotated[
        list[str] | None,
        typer.Option(
            "--arg",
            metavar="NAME=VALUE",
            help="An argument of the class's constructor. W=5x3: a random array. b=3: the same with one axis, for "
            "names such as W, b, gamma; 3x says it for any name. units=7, rate=0.5: a number.",
            rich_help_panel=OF_FILE,
        ),
    ] = None
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="FUNCTION",
            help="A plain function of the same file, or FILE.py:FUNCTION, of which this is the fast form; it is "
            "called with the same inputs in float64.",
            rich_help_panel=OF_FILE,
        ),
    ] = None
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES",
            help="Check again with other lengths of the axes. odd: such as are forgotten, 1, one less, one more, a "
            "prime. 1,7,33: these. 64:63,65: these for the axes of length 64.",
            rich_help_panel=OF_FILE,
        ),
    ] = None
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="An input that is a constant, or what an object keeps that is no parameter, such as running_mean. "
            "Can be given several times.",
            rich_help_panel=OF_FILE,
        ),
    ] = None
    gradients: Annotated[
        list[str] | None,
        typer.Option(
            "--gradient",
            metavar="NAME=ATTRIBUTE",
            help="Where an object keeps the gradient of a parameter, if it is not found: W=grad_of_W.",
            rich_help_panel=OF_FILE,
        ),
    ] = None
    straight_through: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="An input whose gradient is another by design, as a rounding's is; it is not compared.",
            rich_help_panel=OF_FILE,
        ),
    ] = None
    target: Target = None
    seed: Seed = 0
    dtype: Annotated[
        str,
        typer.Option(
            help="What backward computes in: float64 or float32; in code for PyTorch or JAX also bfloat16, float16."
        ),
    ] = "float64"
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")] = (
        False
    )
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw what was checked, the guilty in red: .html, .svg or .png."),
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Write over a picture that is there.")] = False

    def run(self) -> None:
        """Check what the name stands for, and print the report."""
        refuse_seed(self.seed)
        if self.picture is not None:
            refuse_no_picture("--picture", self.picture, self.force)
        if self.dtype not in EPSILONS:
            refuse_dtype(self.dtype)
        code = None if Path(self.name).is_dir() else code_named(self.name)
        note = ""
        if code is None:
            note, report = self._check_model(Path(self.name))
        else:
            report = self._check_code(*code)
        report = replace(
            report, remarks=tuple(in_options(each, OPTIONS_OF_CODE, {}) for each in report.remarks)
        )
        if self.as_json:
            if note:
                print_text(note, err=True)
            typer.echo(as_json(report))
        else:
            if note:
                print_text(f"{note}\n")
            print_report(report)
        if self.picture is not None:
            draw(report).save(self.picture)
            if not self.as_json:
                print_text(f"picture  {self.picture}")
        if not report.passed:
            raise typer.Exit(1)

    def _check_model(self, path: Path) -> tuple[str, CheckReport]:
        """What the model was checked on, and the report."""
        refuse_dtype(self.dtype)
        for option, given in {"--input": self.inputs, "--arg": self.arguments, **self._of_code()}.items():
            if given:
                raise ArgumentError(
                    f"{option} is for a class or a function in a Python file, FILE.py:NAME; {self.name} is taken "
                    f"for a model, whose inputs are rows of DATA"
                )
        if ":" in path.name and not path.exists():
            raise FileError(
                f"there is no model file {path}; a class is named by its Python file, FILE.py:ClassName"
            )
        network = load_model(path, allow_nan=True)
        with np.errstate(all="ignore"):
            where, batch = batch_for(network, self.data, self.target, ROWS, self.seed, self)
        report = check_network(network, batch, self.seed, self.dtype)
        return f"{path}, checked on {where}", report

    def _check_code(self, path: Path, name: str) -> CheckReport:
        if self.data is not None or self.target is not None:
            what = "--target" if self.data is None else f"DATA ({self.data!r})"
            raise ArgumentError(
                f"{what} is for models; what is in a Python file gets its inputs by --input, such as "
                f"--input 4x5"
            )
        self.refuse("tables, and the inputs of what is in a Python file are told by --input")
        texts = {option: given for option, given in self._of_code().items() if given not in (None, [])}
        return check_code(path, name, self.inputs or [], self.arguments or [], self.seed, self.dtype, texts)

    def _of_code(self) -> dict[str, str | list[str] | None]:
        """The options given that are for Python files alone, by name."""
        return {option: getattr(self, argument) for argument, option in OPTIONS_OF_CODE.items()}


def code_named(name: str) -> tuple[Path, str] | None:
    """'file.py:Name' as its two parts; None for what names no Python file."""
    at = name.lower().rfind(".py:")
    if at >= 0:
        return Path(name[: at + 3]), name[at + 4 :].strip()
    return (Path(name), "") if name.lower().endswith(".py") else None


def as_json(report: CheckReport, more: Mapping[str, str] = MappingProxyType({})) -> str:
    """The report as JSON, for a file or another program, and before it `more`."""
    return json.dumps({**more, **report.to_dict()}, indent=1, allow_nan=False)


def check_network(
    network: Network, feeds: Mapping[str, ArrayLike], seed: int = 0, dtype: str = "float64"
) -> CheckReport:
    """Check a network on a batch. The report says what overflows, not NumPy."""
    with np.errstate(all="ignore"):
        return check(network, feeds, seed=seed, dtype=dtype)


def print_report(report: CheckReport) -> None:
    """Print the table and the findings: in colour on a terminal, and else as plain text."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(report)
    else:
        print_text(str(report))
