"""What everyone is compared with before being timed: the formulas in float64, as plainly as they can be put."""

from __future__ import annotations

import numpy as np

from peers.task import Array, Data, Task


def one_logit(weights: list[Array]) -> list[Array]:
    """The same network for two classes with one output, the second logit less the first."""
    return [*weights[:-2], weights[-2][:, 1:] - weights[-2][:, :1], weights[-1][1:] - weights[-1][:1]]


def logits(weights: list[Array], x: Array) -> Array:
    """The output for x."""
    return _forward([w.astype(np.float64) for w in weights], x.astype(np.float64))[-1]


def softmax(scores: Array) -> Array:
    """Probabilities, for one logit those of two classes."""
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Array = e / e.sum(axis=1, keepdims=True)
    return result


def losses(
    task: Task, data: Data, weights: list[Array], batches: Array, epsilon_hat: bool = False
) -> list[float]:
    """Train on the batches; the loss of each, before its update.

    Adam is algorithm 1 of Kingma and Ba, or with `epsilon_hat` the form at the end of their section 2.
    """
    params = [w.astype(np.float64) for w in weights]
    first = [np.zeros_like(w) for w in params]
    second = [np.zeros_like(w) for w in params]
    result = []
    for count, rows in enumerate(batches, start=1):
        loss, grads = _gradient(params, data.x[rows].astype(np.float64), data.t[rows])
        result.append(loss)
        for w, g, m, v in zip(params, grads, first, second, strict=True):
            if task.optimizer == "sgd":
                w -= task.learning_rate * g
                continue
            m[...] = 0.9 * m + 0.1 * g
            v[...] = 0.999 * v + 0.001 * g * g
            bias = (1 - 0.999**count) ** 0.5
            epsilon = 1e-8 / bias if epsilon_hat else 1e-8
            w -= task.learning_rate * (m / (1 - 0.9**count)) / (np.sqrt(v) / bias + epsilon)
    return result


def _forward(params: list[Array], x: Array) -> list[Array]:
    """The inputs of every layer, and the output."""
    values = [x]
    for number in range(0, len(params), 2):
        if number:
            values[-1] = np.maximum(values[-1], 0)
        values.append(values[-1] @ params[number] + params[number + 1])
    return values


def _gradient(params: list[Array], x: Array, t: Array) -> tuple[float, list[Array]]:
    *inputs, scores = _forward(params, x)
    probabilities = softmax(scores)
    here = np.arange(len(x))
    loss = -float(np.log(probabilities[here, t]).mean())
    probabilities[here, t] -= 1
    dy = probabilities[:, -scores.shape[1] :] / len(x)
    grads: list[Array] = []
    for number in range(len(params) - 2, -1, -2):
        value = inputs[number // 2]
        grads = [value.T @ dy, dy.sum(axis=0), *grads]
        dy = (dy @ params[number].T) * (value > 0)
    return loss, grads
