"""JAX: a jitted step with donated buffers, and many of them in one lax.scan."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from peers.base import Peer
from peers.task import Array, Data


class Jax(Peer):
    """Variants: "step" is called batch by batch, "scan" once for all the batches that are asked for."""

    @classmethod
    def placed(cls, data: Data) -> Data:
        return Data(*(jnp.asarray(array) for array in (data.x, data.t, data.x_test, data.t_test)))

    def set_threads(self) -> None:
        """XLA's threads are those of the process: they are set by its environment."""

    def prepare(self) -> None:
        data = self.data
        self.x, self.t = jnp.asarray(data.x), jnp.asarray(data.t)
        self.x_test, self.t_test = jnp.asarray(data.x_test), jnp.asarray(data.t_test)
        self.batches = [jnp.asarray(rows) for rows in self.rows] if self.variant == "step" else []
        self.stretches: dict[tuple[int, int], Any] = {}
        self.step = jax.jit(self._step, donate_argnums=0)
        self.scan = jax.jit(self._scan, donate_argnums=0)
        self.logits = jax.jit(_logits)
        self.share = jax.jit(lambda params, x, t: (_logits(params, x).argmax(axis=1) == t).mean())

    def reset(self, weights: list[Array]) -> None:
        params = [jnp.array(w) for w in weights]  # copies, since the steps take them over
        self.state = params, *([jnp.zeros_like(w) for w in params] for _ in range(2)), jnp.zeros(())
        jax.block_until_ready(self.state)

    def _step(self, state: Any, rows: Any, x: Any, t: Any) -> Any:
        params, first, second, count = state
        loss, grads = jax.value_and_grad(_loss)(params, x[rows], t[rows])
        rate = self.task.learning_rate
        if self.task.optimizer == "sgd":
            return ([w - rate * g for w, g in zip(params, grads, strict=True)], first, second, count), loss
        count = count + 1
        first = [0.9 * m + 0.1 * g for m, g in zip(first, grads, strict=True)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, grads, strict=True)]
        # In float32 1 - 0.999^t would lose half of its digits.
        bias1, bias2 = (-jnp.expm1(count * math.log(beta)) for beta in (0.9, 0.999))
        params = [
            w - rate * (m / bias1) / (jnp.sqrt(v / bias2) + 1e-8)
            for w, m, v in zip(params, first, second, strict=True)
        ]
        return (params, first, second, count), loss

    def _scan(self, state: Any, batches: Any, x: Any, t: Any) -> Any:
        return jax.lax.scan(lambda s, rows: self._step(s, rows, x, t), state, batches)

    def train(self, start: int, stop: int) -> list[float]:
        losses = self._run(start, stop)
        if self.variant == "scan":
            return [float(loss) for loss in np.asarray(losses)]
        return [float(loss) for loss in losses]

    def step_seconds(self, steps: int) -> float:
        """Without moving the losses to Python's numbers one by one, for which there is no cheap way."""
        start = time.perf_counter()
        self._run(0, steps)
        return (time.perf_counter() - start) / steps

    def _run(self, start: int, stop: int) -> Any:
        """The losses, on the device."""
        losses: Any = []
        if self.variant == "scan":
            if (start, stop) not in self.stretches:  # the first time, which is never a measured one
                self.stretches[start, stop] = jnp.asarray(self.rows[start:stop])
            self.state, losses = self.scan(self.state, self.stretches[start, stop], self.x, self.t)
        else:
            for rows in self.batches[start:stop]:
                self.state, loss = self.step(self.state, rows, self.x, self.t)
                losses.append(loss)
        jax.block_until_ready((self.state, losses))
        return losses

    def accuracy(self, x: Any, t: Any) -> float:
        return float(self.share(self.state[0], x, t))

    def halves(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        return (self.x, self.t), (self.x_test, self.t_test)

    def predictor(self, rows: int) -> Callable[[], Any]:
        x, params = self.x_test[:rows], self.state[0]
        return lambda: self.logits(params, x).block_until_ready()


def _logits(params: Any, x: Any) -> Any:
    for number in range(0, len(params), 2):
        x = x @ params[number] + params[number + 1]
        if number + 2 < len(params):
            x = jax.nn.relu(x)
    return x


def _loss(params: Any, x: Any, t: Any) -> Any:
    scores = jax.nn.log_softmax(_logits(params, x))
    return -jnp.take_along_axis(scores, t[:, None], axis=1).mean()


PEER = Jax
