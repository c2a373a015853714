"""What `chainrule train` tells when it has trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rich.markup import escape

from chainrule.cli.data import Dataset
from chainrule.datasets.tables import told_of
from chainrule.evaluation import Estimated, error_text, r2_text
from chainrule.network import Network
from chainrule.reports.run import TrainingRun

NOT_MEASURED = "not measured: the training ended within its first epoch"


def kept_files(folder: Path, *names: str) -> list[tuple[str, str]]:
    """What the run folder holds, as labels and paths."""
    return [(name.split(".")[0], escape(str(folder / name))) for name in names]


def on_both(of_test: str, of_training: str) -> str:
    """A measure of the test data and of the training data."""
    return f"{of_test} on the test data, {of_training} on the training data"


def results(
    run: TrainingRun, network: Network, data: Dataset, worded: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    """The results of a training, as labels and texts. `worded` makes options of the arguments in a remedy."""
    history = run.history
    for label, text in () if data.preparation is None else told_of(data.preparation):
        yield label, escape(text if label != "left out" else worded(text))
    units = [node.layer.units for node in network.graph if node.layer is not None and node.layer.units]
    shape = " -> ".join(map(str, [data.x.shape[1], *units]))
    yield "network", f"{shape}, {network.params.flat.size:,} parameters"
    counts = f"{len(data.x):,} samples to train on, {len(data.x_test):,} to test on"
    yield "data", f"{escape(data.name)}: {counts}"
    if isinstance(run.answers, Estimated):
        both = run.answers.means, run.about.on_training
        yield "R²", on_both(*(r2_text(each["r2"]) for each in both))
        yield (
            "RMSE",
            on_both(*(f"{error_text(each['rmse'])} (MAE {error_text(each['mae'])})" for each in both)),
        )
    for name, digits in () if data.classes is None else (("accuracy", ".4f"), ("loss", ".4g")):
        train_value, test_value = run.latest(f"train_{name}"), run.latest(f"test_{name}")
        if train_value is None or test_value is None:
            yield name, NOT_MEASURED
        else:
            yield name, on_both(f"{test_value:{digits}}", f"{train_value:{digits}}")
    count, seconds = len(history.loss), history.seconds[-1] if history.seconds else 0.0
    stopped = "" if history.stopped == "finished" else f"; stopped: {escape(history.stopped)}"
    yield "time", f"{seconds:.2f} s for {count:,} iterations{stopped}"
