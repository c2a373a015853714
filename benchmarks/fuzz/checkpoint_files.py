"""Valid run folders of trainings that were interrupted, what spoils their checkpoints, and how they are resumed."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np

import chainrule as cr
from fuzz.model_files import ANY_CHANGE, below_checksums, without_checksums
from fuzz.spoiling import ANYTHING, Folder, Spoiler, in_folder
from fuzz.text_files import Rng

DATA = np.random.default_rng(0)
X, T = DATA.normal(size=(12, 4)), DATA.integers(3, size=12)


class Ending(cr.Callback):
    """Ends a training: as Ctrl-C does, or after a few more steps, however many were planned."""

    def __init__(self, interrupt_at: int = -1) -> None:
        self.interrupt_at, self.left = interrupt_at, 4

    def on_iteration(self, run: cr.Run) -> None:
        if run.iteration == self.interrupt_at:
            raise KeyboardInterrupt
        self.left -= 1
        if self.interrupt_at < 0 and self.left == 0:
            run.stop("enough")


def resume_run(path: Path, rng: Rng) -> None:
    """`cr.resume` for a few steps, and a prediction."""
    net, history = cr.resume(path, X, T, validation=(X[:4], T[:4]), callbacks=[Ending()], progress=False)
    assert net.predict(X).shape == (12, 3)
    assert len(history.loss) > 0


def interrupted_run(rng: Rng) -> Folder:
    """The folder of one of the runs."""
    return dict(_folders()[int(rng.integers(len(OPTIMIZERS)))])


OPTIMIZERS = (
    cr.Adam(0.01, clip_norm=1.0),
    cr.SGD(cr.schedules.OneCycle(0.1)),
    cr.Momentum(0.1),
)


@cache
def _folders() -> list[Folder]:
    return [_folder_of(optimizer) for optimizer in OPTIMIZERS]


def _folder_of(optimizer: cr.Optimizer) -> Folder:
    net = cr.Network(
        cr.Affine(5), cr.BatchNorm(), cr.ReLU(), cr.Affine(3), input_shape=4, loss="cross_entropy", seed=0
    )
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(KeyboardInterrupt), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it was interrupted
            net.fit(
                X,
                T,
                epochs=5,
                batch_size=5,
                optimizer=optimizer,
                validation=(X[:4], T[:4]),
                callbacks=[cr.EarlyStopping(patience=9), Ending(interrupt_at=5)],
                checkpoint=cr.Checkpoint(Path(folder) / "run", every=2),
                progress=False,
            )
        return {file.name: file.read_bytes() for file in (Path(folder) / "run").iterdir()}


CHECKPOINTS: tuple[Spoiler, ...] = (
    *(below_checksums(change, "training") for change in ANY_CHANGE * 3),
    *(below_checksums(change) for change in ANY_CHANGE),
    without_checksums,
    *ANYTHING,
)
RUNS = [in_folder({"checkpoint.safetensors": CHECKPOINTS})]
