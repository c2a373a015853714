"""The same network, the same batches: chainrule and PyTorch train it to the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.loop import Batches

ROWS, WIDTH, CLASSES, BATCH = 90, 6, 4, 16
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, WIDTH))
LABELS = RNG.integers(0, CLASSES, ROWS)
SHARES = RNG.dirichlet(np.ones(CLASSES), ROWS)
NUMBERS = RNG.normal(size=(ROWS, CLASSES))
WEIGHTS = RNG.uniform(0.1, 3, ROWS)
IDS = RNG.integers(0, 7, (ROWS, 3))

#: By name: a layer of ours, and PyTorch's.
LAYERS: dict[str, tuple[Callable[[], cr.Layer], Callable[[], Any]]] = {
    "relu": (cr.ReLU, nn.ReLU),
    "leaky relu": (lambda: cr.LeakyReLU(0.1), lambda: nn.LeakyReLU(0.1)),
    "elu": (lambda: cr.ELU(1.3), lambda: nn.ELU(1.3)),
    "gelu": (cr.GELU, nn.GELU),
    "gelu by tanh": (lambda: cr.GELU(approximate=True), lambda: nn.GELU("tanh")),
    "silu": (cr.SiLU, nn.SiLU),
    "softplus": (cr.Softplus, nn.Softplus),
    "sigmoid": (cr.Sigmoid, nn.Sigmoid),
    "tanh": (cr.Tanh, nn.Tanh),
    "softmax": (cr.Softmax, lambda: nn.Softmax(-1)),
    "log softmax": (cr.LogSoftmax, lambda: nn.LogSoftmax(-1)),
    "batch norm": (cr.BatchNorm, lambda: nn.BatchNorm1d(8)),
    "layer norm": (cr.LayerNorm, lambda: nn.LayerNorm(8)),
}


def mean_of(values: Any, weights: Any) -> Any:
    return (values * weights).sum() / weights.sum()


#: By name: our loss, its targets, whether samples are weighted, and PyTorch's loss of (output, targets, weights).
LOSSES: dict[str, tuple[cr.Loss, Any, bool, Callable[[Any, Any, Any], Any]]] = {
    "labels": (cr.SoftmaxCrossEntropy(), LABELS, False, lambda z, t, s: nn.functional.cross_entropy(z, t)),
    "smoothed": (
        cr.SoftmaxCrossEntropy(label_smoothing=0.2), LABELS, False,
        lambda z, t, s: nn.functional.cross_entropy(z, t, label_smoothing=0.2),
    ),
    "class weights": (
        cr.SoftmaxCrossEntropy(class_weights=[1, 2, 0.5, 3]), LABELS, False,
        lambda z, t, s: nn.functional.cross_entropy(z, t, weight=torch.tensor([1, 2, 0.5, 3]).double()),
    ),
    "distributions": (
        cr.SoftmaxCrossEntropy(), SHARES, False, lambda z, t, s: nn.functional.cross_entropy(z, t),
    ),
    "sample weights": (
        cr.SoftmaxCrossEntropy(), LABELS, True,
        lambda z, t, s: mean_of(nn.functional.cross_entropy(z, t, reduction="none"), s),
    ),
    "squares": (cr.MeanSquaredError(), NUMBERS, False, lambda z, t, s: nn.functional.mse_loss(z, t)),
    "weighted squares": (
        cr.MeanSquaredError(), NUMBERS, True, lambda z, t, s: mean_of(((z - t) ** 2).mean(dim=1), s),
    ),
    "absolute": (cr.MeanAbsoluteError(), NUMBERS, False, lambda z, t, s: nn.functional.l1_loss(z, t)),
    "huber": (cr.Huber(0.7), NUMBERS, False, lambda z, t, s: nn.functional.huber_loss(z, t, delta=0.7)),
    "binary": (
        cr.SigmoidCrossEntropy(positive_weight=[1, 2, 3, 0.5]), (NUMBERS > 0) * 1.0, False,
        lambda z, t, s: nn.functional.binary_cross_entropy_with_logits(
            z, t, pos_weight=torch.tensor([1, 2, 3, 0.5]).double()
        ),
    ),
}  # fmt: skip

#: By name: our optimizer, PyTorch's of (parameters), and what clips its gradients.
OPTIMIZERS: dict[str, tuple[cr.Optimizer, Callable[[Any], Any], Callable[[Any], Any] | None]] = {
    "sgd": (cr.SGD(0.1), lambda p: torch.optim.SGD(p, 0.1), None),
    "decay": (cr.SGD(0.1, weight_decay=0.1), lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.1), None),
    "momentum": (cr.Momentum(0.05), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9), None),
    "nesterov": (cr.Nesterov(0.05), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True), None),
    "adam": (cr.Adam(0.01), lambda p: torch.optim.Adam(p, 0.01), None),
    "adamw": (cr.AdamW(0.01, weight_decay=0.1), lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1), None),
    "clipped by norm": (
        cr.SGD(0.1, clip_norm=0.1),
        lambda p: torch.optim.SGD(p, 0.1),
        lambda p: nn.utils.clip_grad_norm_(p, 0.1),
    ),
    "clipped by value": (
        cr.SGD(0.1, clip_value=0.02),
        lambda p: torch.optim.SGD(p, 0.1),
        lambda p: nn.utils.clip_grad_value_(p, 0.02),
    ),
}


def trained(ours: cr.Network, theirs: Any, x: Any, t: Any, loss: Any, weighted: bool, optimizer: Any) -> None:
    """Train both on the same batches, and hold losses and weights against each other."""
    own, make, clip = optimizer
    parameters = list(theirs.parameters())
    for parameter, value in zip(parameters, ours.params.values(), strict=True):
        parameter.data = torch.tensor(value.T if value.ndim == 2 and len(value) != 7 else value)
    decayed = [each for each in parameters if each.ndim == 2]
    others = [each for each in parameters if each.ndim != 2]
    stepper = make([{"params": decayed}, {"params": others, "weight_decay": 0.0}])
    batches = Batches(ROWS, BATCH, "shuffle", seed=5)
    losses = []
    for rows in (rows for epoch in range(3) for rows in batches.of_epoch(epoch)):
        stepper.zero_grad()
        value = loss(
            theirs(torch.tensor(x[rows])),
            torch.tensor(t[rows]),
            torch.tensor(WEIGHTS[rows]) if weighted else None,
        )
        value.backward()
        if clip is not None:
            clip(parameters)
        stepper.step()
        losses.append(value.item())
    weights = WEIGHTS if weighted else None
    history = ours.fit(
        x, t, epochs=3, batch_size=BATCH, optimizer=own, sample_weight=weights, seed=5, progress=False
    )
    program = ours.program(BATCH, t, weighted)
    assert not program.trains_in_python
    np.testing.assert_allclose(history.loss, losses, rtol=1e-5)
    for (name, value), parameter in zip(ours.params.items(), parameters, strict=True):
        expected = parameter.detach().numpy()
        expected = expected.T if value.ndim == 2 and len(value) != 7 else expected
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-7, err_msg=name)
    theirs.eval()
    with torch.no_grad():
        np.testing.assert_allclose(ours.predict(x), theirs(torch.tensor(x)).numpy(), rtol=1e-5, atol=1e-6)


def pair(layer: str, loss: cr.Loss) -> tuple[cr.Network, Any]:
    own, other = LAYERS[layer]
    layers = cr.Affine(8), own(), cr.Affine(CLASSES)
    ours = cr.Network(*layers, input_shape=WIDTH, loss=loss, seed=0, dtype="float64")
    return ours, nn.Sequential(nn.Linear(WIDTH, 8), other(), nn.Linear(8, CLASSES)).double()


@pytest.mark.parametrize("layer", LAYERS)
def test_layers(layer: str) -> None:
    loss, _, weighted, theirs = LOSSES["labels"]
    trained(*pair(layer, loss), X, LABELS, theirs, weighted, OPTIMIZERS["sgd"])


@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss: str) -> None:
    own, t, weighted, theirs = LOSSES[loss]
    trained(*pair("tanh", own), X, t, theirs, weighted, OPTIMIZERS["sgd"])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers(optimizer: str) -> None:
    loss, _, weighted, theirs = LOSSES["labels"]
    trained(*pair("tanh", loss), X, LABELS, theirs, weighted, OPTIMIZERS[optimizer])


def test_an_embedding() -> None:
    layers = cr.Embedding(7, 5), cr.Flatten(), cr.Affine(CLASSES)
    ours = cr.Network(*layers, input_shape=3, loss=cr.SoftmaxCrossEntropy(), seed=0, dtype="float64")
    theirs = nn.Sequential(nn.Embedding(7, 5), nn.Flatten(), nn.Linear(15, CLASSES)).double()
    _, _, _, loss = LOSSES["labels"]
    trained(ours, theirs, IDS, LABELS, loss, False, OPTIMIZERS["sgd"])
