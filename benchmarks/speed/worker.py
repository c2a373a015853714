"""A worker: one peer in a process of its own, answering one line of JSON with another.

python -m speed.worker PEER FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from peers.base import Peer
from peers.registry import load
from peers.task import Data, rows_of
from speed.memory import peak_memory
from speed.reference import one_logit
from speed.workloads import EPOCH, FITS, TASKS

Request = dict[str, Any]


class Worker:
    """Keeps the peer ready in every variant of the present task."""

    def __init__(self, peer: str, folder: Path) -> None:
        self.kind, self.folder = load(peer), folder
        self.task, self.data = "", Data(*([np.empty(0)] * 4))
        self.ready: dict[tuple[str, int], Peer] = {}

    def answer(self, request: Request) -> Request:
        """Do what is asked, from the start weights."""
        if request["do"] == "memory":
            return {"bytes": peak_memory()}
        if request["do"] == "fit":
            return self._fit(request)
        peer = self._peer(request)
        if request["do"] == "losses":
            form = {"one_logit": self._one_logit(peer), "epsilon_hat": peer.epsilon_hat}
            return {"losses": peer.train(0, request["count"]), **form}
        if request["do"] == "outputs":
            outputs = np.asarray(peer.predictor(request["count"])())[:100]
            return {"outputs": outputs.tolist(), "probabilities": peer.gives_probabilities}
        if request["do"] == "step":
            return {"seconds": peer.step_seconds(request["count"])}
        if request["do"] == "predict":
            return {"seconds": peer.predict_seconds(request["count"], request["calls"])}
        if request["do"] == "job":
            return asdict(peer.job(request["count"], EPOCH))
        raise ValueError(f"unknown request {request}")

    def _fit(self, request: Request) -> Request:
        """A whole fit of a network of the widths that are asked for, and its accuracy."""
        task = FITS[request["task"]].new(request["hidden"])
        if task.name != self.task:
            self.ready.clear()
            self.task, data = task.name, Data.of(task, self.folder)
            whole = len(data.x) // task.batch * task.batch
            self.data = self.kind.placed(Data(data.x[:whole], data.t[:whole], data.x_test, data.t_test))
        rows = np.empty((0, task.batch), np.int64)  # it draws its own
        peer = self.kind(task, self.data, rows, request["variant"], request["threads"])
        seconds = peer.fit_seconds(request["count"])
        return {"seconds": seconds, "accuracy": peer.accuracy(*peer.halves()[0])}

    def _peer(self, request: Request) -> Peer:
        task = TASKS[request["task"]]
        if request["task"] != self.task:
            self.ready.clear()
            self.task, self.data = task.name, Data.of(task, self.folder)
        key = request["variant"], request["threads"]
        if key not in self.ready:
            self.ready[key] = self.kind(task, self.data, rows_of(task, self.folder), *key)
        peer = self.ready[key]
        peer.set_threads()
        peer.reset(one_logit(task.weights()) if self._one_logit(peer) else task.weights())
        return peer

    def _one_logit(self, peer: Peer) -> bool:
        return peer.one_logit and peer.task.sizes[-1] == 2


def main() -> None:
    """Answer until the questions end."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    worker: Worker | None = None
    for line in sys.stdin:
        try:
            worker = worker or Worker(sys.argv[1], Path(sys.argv[2]))
            answer = worker.answer(json.loads(line))
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {(str(error).strip() or '-').splitlines()[0]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
