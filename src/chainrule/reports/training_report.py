"""`cr.report`: what a training came to, as a page, as pictures, and as findings in plain sentences."""

from __future__ import annotations

import contextlib
import html
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import Any, overload

import numpy as np

from chainrule.arguments import as_whole
from chainrule.arrays import Array, ArrayLike
from chainrule.checking import CheckReport
from chainrule.elsewhere import estimator_here
from chainrule.errors import ArgumentError
from chainrule.evaluation import image_shape_of_network, judge
from chainrule.files import write_bytes
from chainrule.loop import History
from chainrule.network import Network
from chainrule.network.feeds import Data
from chainrule.reports.comparison import comparison_page
from chainrule.reports.findings import findings_of
from chainrule.reports.reading import read_run
from chainrule.reports.run import TrainingRun
from chainrule.reports.run_page import run_page
from chainrule.reports.symptom import Symptom
from chainrule.saving.evaluations import About, versions
from chainrule.sparse import is_sparse, sparse_rows

ESTIMATOR = "cr.report(clf.history_, clf.network_, X_test, y_test)"


class TrainingReport:
    """The report of one training, or of several side by side. Made by `cr.report`.

    A notebook shows it as the page that `save("report.html")` writes; printing it tells the findings.
    """

    def __init__(self, runs: Sequence[TrainingRun], title: str | None = None) -> None:
        self.runs = tuple(runs)
        self.title = title or (
            self.runs[0].name if len(self.runs) == 1 else " and ".join(run.name for run in self.runs)
        )

    @property
    def findings(self) -> tuple[Symptom, ...]:
        """What looks wrong, the worst first; of several runs one after another, their names leading `where`."""
        if len(self.runs) == 1:
            return findings_of(self.runs[0])
        return tuple(
            replace(each, where=f"{run.name}: {each.where}" if each.where else run.name)
            for run in self.runs
            for each in findings_of(run)
        )

    def html(self) -> str:
        """One page that needs nothing else: no network, no other file."""
        if len(self.runs) == 1:
            return run_page(replace(self.runs[0], name=self.title))
        return comparison_page(self.runs, self.title)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page, "report.html", or a summary as one picture, "report.png"."""
        ending = Path(path).suffix.lower()
        if ending in (".html", ".htm"):
            return write_bytes(path, self._beside(Path(path)).html().encode())
        if ending == ".png":
            from chainrule.reports.pictures import summary_png

            return write_bytes(path, summary_png(self.runs, self.title))
        raise ArgumentError(f"save: expected a name that ends in .html or .png, got {os.fspath(path)!r}")

    def save_pictures(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write what the page shows as PNG files, those that there is something for: curves, health, weights,
        confusion (or predictions), examples. Returns their paths.
        """
        from chainrule.reports.pictures import write_pictures

        return write_pictures(self.runs, Path(folder))

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that neither its styles nor its scripts reach the notebook."""
        return (
            '<iframe sandbox="allow-scripts" '
            'style="width:100%;height:780px;border:1px solid #8886;border-radius:6px" '
            f'title="{html.escape(self.title)}" srcdoc="{html.escape(self._beside(None).html())}"></iframe>'
        )

    def _beside(self, path: Path | None) -> TrainingReport:
        """The report for this place, from which links lead to the pages of its networks; None for no place."""
        runs = []
        for run in self.runs:
            link = ""
            if path is not None and run.graph and run.folder is not None:
                with contextlib.suppress(ValueError):  # on another drive
                    link = os.path.relpath(run.folder.resolve() / run.graph, path.resolve().parent)
            runs.append(replace(run, graph=Path(link).as_posix() if link else ""))
        return TrainingReport(runs, self.title)

    def __str__(self) -> str:
        lines = [str(each) for each in self.findings]
        return "\n".join(
            [f"{self.title}: {len(lines) or 'no'} finding{'' if len(lines) == 1 else 's'}", *lines]
        )

    def __repr__(self) -> str:
        return f"<TrainingReport: {self.title}, {len(self.findings)} findings>"


@overload
def report(
    history: History,
    network: Network | None = None,
    x: Data | None = None,
    t: ArrayLike | None = None,
    *,
    check: CheckReport | dict[str, Any] | None = None,
    title: str | None = None,
    class_names: Sequence[str] | None = None,
    image_shape: Sequence[int] | None = None,
    sample: int = 0,
) -> TrainingReport: ...


@overload
def report(*runs: History | str | os.PathLike[str], title: str | None = None) -> TrainingReport: ...


def report(
    *runs: Any,
    network: Network | None = None,
    x: Data | None = None,
    t: ArrayLike | None = None,
    check: CheckReport | dict[str, Any] | None = None,
    title: str | None = None,
    class_names: Sequence[str] | None = None,
    image_shape: Sequence[int] | None = None,
    sample: int = 0,
    **history: Any,
) -> TrainingReport:
    """The report of a training, `cr.report(history, net, x_test, t_test)`, or of run folders,
    `cr.report("runs/digits")`; several, `cr.report("runs/a", "runs/b")`, are compared.

    The network gives its weights and its picture; with `x` and `t`, data with known answers, its mistakes too.
    `check` is what `cr.check` returned. `image_shape` says that a sample is an image, (28, 28) or (32, 32, 3);
    inputs of 64, 784 and 3,072 values, and of three axes with one or three colours, are taken for images by
    themselves, and () shows none. `sample` is the row of x that the network's picture shows the values of.

    Raises: ArgumentError for what does not go together; FileError for a folder with nothing of a run in it.
    """
    if set(history) - {"history"} or (history and runs):
        raise ArgumentError(f"report: there is no argument {next(iter(history))!r} here; see help(cr.report)")
    runs = (*runs, *history.values())
    if not runs:
        raise ArgumentError(
            'report: expected a history, or run folders, cr.report("runs/digits"), got nothing'
        )
    if isinstance(runs[0], History) and 1 < len(runs) <= 4 and isinstance(runs[1], (Network, NoneType)):
        by_position: list[Any] = [*runs[1:], *(network, x, t)[len(runs) - 1 :]]
        network, x, t = by_position
        runs = runs[:1]
    given = {"network": network, "x": x, "t": t, "check": check, "class_names": class_names}
    given["image_shape"] = image_shape
    extra = [name for name, value in given.items() if value is not None]
    if len(runs) == 1 and isinstance(runs[0], History):
        return TrainingReport(
            [_material(runs[0], network, x, t, check, title, class_names, image_shape, sample)], title
        )
    if extra:
        raise ArgumentError(f"report: {extra[0]} goes with one history; a run folder holds its own")
    return TrainingReport(_told_apart([_any_run(each, k) for k, each in enumerate(runs)]), title)


def _any_run(given: Any, number: int) -> TrainingRun:
    if isinstance(given, History):
        return _material(given, None, None, None, None, f"run {number + 1}", None, None, 0)
    if isinstance(given, (str, os.PathLike)):
        return read_run(given)
    advice = estimator_here(given, ESTIMATOR)
    raise ArgumentError(
        f"report: expected a History, as fit returns it, or the path of a run folder, got {type(given).__name__}"
        f"{advice and '; '}{advice}"
    )


def _told_apart(runs: list[TrainingRun]) -> list[TrainingRun]:
    """The runs under names that differ."""
    counts = Counter(run.name for run in runs)
    seen: Counter[str] = Counter()
    named = []
    for run in runs:
        seen[run.name] += 1
        again = counts[run.name] > 1
        named.append(replace(run, name=f"{run.name} ({seen[run.name]})") if again else run)
    return named


def _material(
    history: History,
    network: Network | None,
    x: Data | None,
    t: ArrayLike | None,
    check: CheckReport | dict[str, Any] | None,
    title: str | None,
    class_names: Sequence[str] | None,
    image_shape: Sequence[int] | None,
    sample: int,
) -> TrainingRun:
    if network is not None and not isinstance(network, Network):
        advice = estimator_here(network, ESTIMATOR)
        raise ArgumentError(
            f"report: expected network to be a cr.Network, got {type(network).__name__}{advice and '; '}{advice}"
        )
    if (x is None) != (t is None) or (x is not None and network is None):
        raise ArgumentError(
            "report: x and t go together, and with a network: cr.report(history, net, x_test, t_test)"
        )
    if check is not None and not isinstance(check, (CheckReport, dict)):
        raise ArgumentError(
            f"report: expected check to be what cr.check returned, got {type(check).__name__}"
        )
    answers = shape = rows = None
    samples = history.settings.get("samples")
    about = About(versions=versions()) if network is None else About.of(network)
    if network is not None:
        target = network.metadata.get("target")
        if x is not None and t is not None:
            answers = judge(network, x, t, class_names=class_names, target=target)
            rows = rows_of(x, t, sample)
        shape = image_shape_of_network(network, image_shape, about.columns)
    about = replace(
        about,
        samples=samples if isinstance(samples, int) else None,
        test_samples=None if answers is None else answers.samples + answers.not_finite,
    )
    as_dict = check.to_dict() if isinstance(check, CheckReport) else check
    return TrainingRun(
        name=title or about.data or "training run",
        history=history,
        about=about,
        network=network,
        answers=answers,
        check=as_dict,
        image_shape=shape,
        sample=rows,
    )


def rows_of(x: Data, t: ArrayLike, row: int) -> tuple[Any, Array]:
    """One row of the data, still as rows, and its target. Raises ArgumentError for a row that isn't there."""
    targets = np.asarray(t)
    found = as_whole(row)
    if found is None or not 0 <= found < len(targets):
        raise ArgumentError(f"sample: expected a row of x, 0 to {len(targets) - 1}, got {row!r}")
    part = slice(found, found + 1)
    if isinstance(x, Mapping):
        return {name: _dense(value, part) for name, value in x.items()}, targets[part]
    return _dense(x, part), targets[part]


def _dense(rows: Any, part: slice) -> Array:
    """A part of the rows as an array, of a sparse matrix too."""
    if is_sparse(rows):
        return np.asarray(sparse_rows(rows, "x").csr[part].toarray())
    return np.asarray(rows)[part]
