"""The same network in PyTorch, as a scikit-learn estimator by skorch."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from skorch import NeuralNetClassifier

from sklearn_mlp.workloads import Workload


def estimator(load: Workload) -> Any:
    """A classifier with the solver, the batches and the penalty of the others, without printing or validation."""
    torch.manual_seed(0)
    sizes = [load.columns, *load.hidden]
    layers: list[torch.nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], 3))
    more: dict[str, Any] = {"optimizer": torch.optim.Adam}
    if load.solver == "sgd":
        more = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "optimizer__nesterov": True}
    batch_size = min(200, load.rows)
    return NeuralNetClassifier(
        network,
        criterion=torch.nn.CrossEntropyLoss,
        lr=0.001,
        max_epochs=load.epochs,
        batch_size=batch_size,
        iterator_train__shuffle=True,
        optimizer__weight_decay=1e-4 / batch_size,
        train_split=None,
        verbose=0,
        **more,
    )
