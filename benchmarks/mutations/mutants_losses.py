"""Mutants of losses."""

from __future__ import annotations

import numpy as np

from mutations import losses as s
from mutations.mutating import Mutant, mutants
from mutations.targets import bits, normal, on, one_hot, whole

LABELS = on(normal(6, 4), whole(4, 6))
COLUMN = on(normal(6, 4), whole(4, 6, 1))
HOT = on(normal(6, 4), one_hot(6, 4))
HOT_WHOLE = on(normal(4, 4), lambda rng, dtype: np.eye(4, dtype=int)[rng.integers(0, 4, 4)])
COINS = on(normal(6, 4), bits(6, 4))
LINE = on(normal(6), normal(6))
TABLE = on(normal(6, 4), normal(6, 4))

LOG_SUM = "log_y = x - x.max(axis=1, keepdims=True) - np.log(s)"

MUTANTS: list[Mutant] = [
    *mutants(s.OneHotCrossEntropy, HOT,
        ("upstream-ignored", "dout ignored, as in a textbook", "dout * (self.y", "1 * (self.y"),
        ("loss-disagrees", "1e-7 inside the log, as in a textbook", LOG_SUM, "log_y = np.log(self.y + 1e-7)"),
        ("batch-mean", "not divided by N", " / len(self.t)", ""),
        ("not-finite", "log of a softmax that is 0", LOG_SUM, "log_y = np.log(self.y)"),
        ("label-shape", "would misread labels", "if t.shape != x.shape:", "if False:"),
        ("sign", "t - y", "(self.y - self.t)", "(self.t - self.y)"),
    ),
    *mutants(s.SoftmaxWithLoss, LABELS,
        ("upstream-ignored", "dout ignored", "return dx * dout", "return dx"),
        ("loss-disagrees", "1e-7 inside the log, as in a textbook",
         "log_y = z - np.log(e.sum(axis=1, keepdims=True))", "log_y = np.log(self.y + 1e-7)"),
        ("loss-disagrees", "probabilities clipped",
         "log_y = z - np.log(e.sum(axis=1, keepdims=True))", "log_y = np.log(np.clip(self.y, 1e-7, 1))"),
        ("batch-mean", "not divided by N", "dx /= len(dx)", ""),
        ("batch-mean", "divided twice by N", "dx /= len(dx)", "dx /= len(dx) ** 2"),
        ("factor", "divided by N times K", "dx /= len(dx)", "dx /= dx.size"),
        ("factor", "the loss in bits", "/ len(x)\n", "/ len(x) / np.log(2)\n"),
        ("not-finite", "exp without the maximum", "z = x - x.max(axis=1, keepdims=True)", "z = x * 1"),
        ("label-shape", "would misread labels (N, 1)", "t.reshape(-1)", "t"),
        ("stale-state", "what was kept is changed in place", "self.y.copy()", "self.y"),
        ("unknown", "the labels forgotten", "dx[self.rows, self.t] -= 1", ""),
        ("mutates-input", "the maximum subtracted in place",
         "z = x - x.max(axis=1, keepdims=True)", "x -= x.max(axis=1, keepdims=True)\n        z = x"),
    ),
    *mutants(s.SigmoidWithLoss, COINS,
        ("upstream-ignored", "dout ignored", "dout * (self.y", "(self.y"),
        ("loss-disagrees", "1e-7 inside the logs",
         "np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))",
         "-t * np.log(self.y + 1e-7) - (1 - t) * np.log(1 - self.y + 1e-7)"),
        ("batch-mean", "not divided by N", " / len(self.t)", ""),
        ("not-finite", "logs of 0",
         "np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))",
         "-t * np.log(self.y) - (1 - t) * np.log(1 - self.y)"),
        ("sign", "t - y", "(self.y - self.t)", "(self.t - self.y)"),
        ("unknown", "the sigmoid's gradient once more",
         "(self.y - self.t)", "(self.y - self.t) * self.y * (1 - self.y)"),
        ("unknown or value-for-gradient", "x in place of y", "self.y = 1 / (1 + np.exp(-x))", "self.y = x"),
    ),
    *mutants(s.MSE, TABLE,
        ("upstream-ignored", "dout ignored", "return dout * 2", "return 2"),
        ("factor", "the 2 forgotten", "dout * 2 *", "dout *"),
        ("factor", "divided by N, not by all", "self.difference.size", "len(self.difference)"),
        ("zero", "zeros", "return dout * 2", "return 0 * dout * 2"),
    ),
    *mutants(s.MSE, LINE,
        ("batch-mean", "not divided by N", " / self.difference.size", ""),
    ),
    *mutants(s.SoftmaxWithLoss, COLUMN,
        ("label-shape", "labels (N, 1) misread", "t.reshape(-1)", "t"),
    ),
    *mutants(s.SoftmaxWithLoss, HOT_WHOLE,
        ("label-shape", "one-hot misread", "if t.size == x.size:", "if t.size < 0:", "t.reshape(-1)", "t"),
    ),
    *mutants(s.OneHotCrossEntropy, COLUMN,
        ("label-shape", "labels (N, 1) stretched", "if t.shape != x.shape:", "if False:"),
    ),
    *mutants(s.Distance, TABLE,
        ("sign", "of the second", "dt = -dout", "dt = dout"),
        ("sign or order", "gradients exchanged", "return dx, dt", "return dt, dx"),
        ("factor", "the half forgotten", "return 0.5 *", "return 1.0 *"),
    ),
]  # fmt: skip
