"""Trainings to keep, to kill and to resume, and how what they end with is compared."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import schedules
from chainrule.saving.runs import CHECKPOINT

ROWS = 90
RNG = np.random.default_rng(5)
X = RNG.normal(size=(ROWS, 6)).astype(np.float32)
T = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
Y = X[:, :1] * 2 + 0.1
WEIGHTS = RNG.random(ROWS)
OTHERS = np.random.default_rng(1).choice(["yes", "no"], 30)  # labels that cannot be learnt


class Doubled(cr.Layer):
    """y = 2 x, without a kernel."""

    def forward(self, x: Any) -> Any:
        return 2 * x, None

    def backward(self, dy: Any, saved: Any) -> Any:
        return 2 * dy


class Halving(schedules.Schedule):
    """A schedule of the user's."""

    def __init__(self, rate: float = 0.1) -> None:
        self.rate = rate

    def rate_at(self, t: float, total: float) -> float:
        return float(self.rate * 0.5 ** (10 * t / total))


class Slow(cr.optimizers.Optimizer):
    """An optimizer of the user's."""

    running = ("sum",)

    def rule(self, w: Any, g: Any, running: Any, scratch: Any, rate: float, t: int) -> None:
        running["sum"] += g
        w -= rate / t * running["sum"]


class Gathering(cr.Callback):
    """A callback of the user's that gathers something, and says so."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.weights = np.zeros(2)

    def on_resume(self, run: Any, state: dict[str, Any]) -> None:
        self.seen, self.weights = list(state["seen"]), state["weights"]["copy"]

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen, "weights": {"copy": self.weights}, "limit": (math.inf, None)}

    def on_epoch(self, run: Any) -> None:
        self.seen.append(run.history.loss[-1])
        self.weights = self.weights + run.iteration


class KilledAt(cr.Callback):
    """Copies the run folder as it is at an iteration, as if the process had been killed there."""

    def __init__(self, iteration: int, folder: Path, copy: Path) -> None:
        self.iteration, self.folder, self.copy = iteration, folder, copy

    def on_iteration(self, run: Any) -> None:
        if run.iteration == self.iteration:
            while not (self.folder / CHECKPOINT).exists():
                time.sleep(0.001)
            shutil.copytree(
                self.folder, self.copy, ignore_dangling_symlinks=True, copy_function=copy_if_there
            )


def copy_if_there(source: str, target: str) -> None:
    """A part file may become the checkpoint meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, target)


def plain() -> cr.Network:
    return network(cr.Affine(5), cr.ReLU())


def rich() -> cr.Network:
    return network(cr.Affine(8), cr.BatchNorm(), cr.ReLU(), cr.Dropout(0.3), cr.LayerNorm())


def own() -> cr.Network:
    return network(cr.Affine(5), Doubled(), cr.Tanh(), dtype="float64")


def network(*layers: cr.Layer, **more: Any) -> cr.Network:
    return cr.Network(*layers, cr.Affine(2), input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=1, **more)


def estimating() -> cr.Network:
    return cr.Network(
        cr.Affine(5), cr.Sigmoid(), cr.Affine(1), input_shape=6, loss=cr.MeanSquaredError(), seed=1
    )


def with_two_inputs() -> cr.Network:
    a, b = cr.Input("a", shape=(4,)), cr.Input("b", shape=(2,))
    shared = cr.Affine(3)
    return cr.Network(
        output=shared(cr.Affine(2)(a)) + shared(b) + cr.Constant(np.ones(3), "one"),
        loss=cr.MeanSquaredError(),
        seed=4,
    )


def same_history(one: cr.History, other: cr.History) -> bool:
    """All but the seconds; NaN equals NaN."""
    content = [{**vars(each), "seconds": len(each.seconds)} for each in (one, other)]
    return json.dumps(content[0]) == json.dumps(content[1])


def bits(net: cr.Network) -> tuple[bytes, ...]:
    return net.params.flat.tobytes(), *(array.tobytes() for array in net.state.values())


def assert_same(net: cr.Network, history: cr.History, whole: cr.Network, record: cr.History) -> None:
    assert bits(net) == bits(whole)
    assert same_history(history, record)
    assert (net.iterations, net.classes, net.progress.place) == (
        whole.iterations,
        whole.classes,
        whole.progress.place,
    )
    state, wanted = net.progress.state, whole.progress.state
    assert state is not None
    assert wanted is not None
    assert state.iteration == wanted.iteration
    assert {k: v.tobytes() for k, v in state.arrays.items()} == {
        k: v.tobytes() for k, v in wanted.arrays.items()
    }


CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "plain": (plain, {"x": X, "t": T}, {"epochs": 8}),
    "of text, a share held out": (
        rich,
        {"x": X, "t": T},
        {"epochs": 8, "validation": 0.2, "callbacks": [cr.Health(every=3), cr.EarlyStopping(patience=99)]},
    ),
    "stopped early": (  # after iteration 36, with the weights of iteration 12
        plain,
        {"x": X, "t": T},
        {
            "epochs": 40,
            "optimizer": cr.Adam(0.1),
            "validation": (X[:30], OTHERS),
            "callbacks": [cr.EarlyStopping("test_accuracy", patience=4)],
        },
    ),
    "iterations": (rich, {"x": X, "t": T}, {"iterations": 43, "sampling": "replacement", "seed": 9}),
    "not all measured": (rich, {"x": X, "t": T}, {"epochs": 8, "measure_every": 3}),
    "of the user's": (
        own,
        {"x": X, "t": T},
        {"epochs": 8, "optimizer": Slow(Halving(0.2), clip_norm=2.0), "callbacks": Gathering()},
    ),
    "a schedule": (
        estimating,
        {"x": X, "t": Y},
        {"epochs": 8, "optimizer": cr.Momentum(schedules.OneCycle(0.1), weight_decay=0.01, clip_value=1.0)},
    ),
    "weighted": (
        estimating,
        {"x": X, "t": Y, "sample_weight": WEIGHTS},
        {"epochs": 8, "optimizer": "rmsprop", "validation": (X, Y)},
    ),
    "two inputs": (
        with_two_inputs,
        {"x": {"a": X[:, :4], "b": X[:, 4:]}, "t": np.hstack([Y, Y, -Y])},
        {"epochs": 8, "callbacks": [cr.Health()]},
    ),
}


OWN = [Doubled, Slow, Halving]


def fit(name: str, folder: Path, *more: cr.Callback, **checkpoint: Any) -> tuple[cr.Network, cr.History]:
    """The training of that name, kept in the folder."""
    make, data, arguments = CASES[name]
    net, called = make(), arguments.get("callbacks", [])
    called = [type(called)(), *more] if isinstance(called, cr.Callback) else [*called, *more]
    kept = cr.Checkpoint(folder, **checkpoint)
    history = net.fit(**data, batch_size=16, **{**arguments, "callbacks": called, "checkpoint": kept})
    return net, history


def resumed(name: str, folder: Path, *more: cr.Callback, **changed: Any) -> tuple[cr.Network, cr.History]:
    _, data, arguments = CASES[name]
    validation = arguments.get("validation")
    own_callback = [Gathering()] if isinstance(arguments.get("callbacks"), Gathering) else []
    return cr.resume(
        folder,
        **data,
        validation=validation if isinstance(validation, tuple) else None,
        layers=OWN,
        **{"callbacks": [*own_callback, *more], **changed},
    )


CHILD = """
import sys
import numpy as np
import chainrule as cr
rng = np.random.default_rng(0)
x = rng.normal(size=(400, 20)).astype(np.float32)
t = rng.integers(3, size=400)
folder = sys.argv[1]
if folder != "none" and __import__("pathlib").Path(folder, "run.json").exists():
    net, history = cr.resume(folder, x, t, progress=False)
else:
    net = cr.Network(
        cr.Affine(30), cr.BatchNorm(), cr.ReLU(), cr.Dropout(0.2), cr.Affine(3),
        input_shape=20, loss="cross_entropy", seed=0,
    )
    kept = {} if folder == "none" else {"checkpoint": cr.Checkpoint(folder, every=25)}
    callbacks = [cr.Health(), cr.EarlyStopping(patience=500)]
    print("begun", flush=True)
    history = net.fit(
        x, t, epochs=400, batch_size=32, validation=0.2, callbacks=callbacks, progress=False, **kept
    )
print(net.params.flat.tobytes().hex(), [history.loss, history.test_loss, history.health, history.settings])
"""


def child(folder: Path | str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed_run(tmp_path: Path, name: str = "plain") -> Path:
    """A folder of a run that was killed after iteration 20."""
    tmp_path.mkdir(exist_ok=True)
    fit(name, tmp_path / "run", KilledAt(20, tmp_path / "run", tmp_path / "killed"), every=4)
    return tmp_path / "killed"


def copied_at(
    net: cr.Network, tmp_path: Path, at: int, *called: cr.Callback, every: int, **arguments: Any
) -> cr.History:
    """Train to the end, and copy the folder as it was after so many iterations, as a kill there would leave it."""
    folder = tmp_path / "run"
    arguments = {"x": X, "t": T, "batch_size": 16, **arguments}
    return net.fit(
        **arguments,
        callbacks=[*called, KilledAt(at, folder, tmp_path / "killed")],
        checkpoint=cr.Checkpoint(folder, every=every),
    )


def copy_resumed(tmp_path: Path, *called: cr.Callback, **arguments: Any) -> tuple[cr.Network, cr.History]:
    """Go on with what `copied_at` copied."""
    folder = tmp_path / "killed"
    callbacks = [*called, KilledAt(-1, folder, folder)]
    return cr.resume(folder, **{"x": X, "t": T, **arguments}, callbacks=callbacks)
