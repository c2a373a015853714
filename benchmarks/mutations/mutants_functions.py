"""Mutants of pairs of functions."""

from __future__ import annotations

from mutations import functions as f
from mutations.mutating import Mutant, mutants
from mutations.targets import Pair, affine_apart, apart, away_from, normal, positive

AFFINE = Pair(f.affine_forward, f.affine_backward)
TANH = Pair(f.tanh_forward, f.tanh_backward)
PRODUCT = Pair(f.product_forward, f.product_backward)
SCALE = Pair(f.scale_forward, f.scale_backward)
ADD = Pair(f.add_forward, f.add_backward)
SOFTMAX = Pair(f.softmax_forward, f.softmax_backward)
LOGISTIC = Pair(f.logistic_forward, f.logistic_backward)
RECTIFY = Pair(f.rectify_forward, f.rectify_backward)
LINEAR = Pair(f.linear_forward, f.linear_backward)
WHITEN = Pair(f.whiten_forward, f.whiten_backward)

P_AFFINE, P_ALL_SQUARE = affine_apart(6, 5, 4), affine_apart(4, 4, 4)
P_MATRIX, P_KINKED = apart(normal(6, 5)), apart(away_from((0.0,), 6, 5))
P_SAME, P_SCALE = apart(normal(6, 5), normal(6, 5)), apart(normal(6, 5), normal(5))
P_SQUARE_SCALE = apart(normal(5, 5), normal(5))
P_IMAGES = apart(normal(6, 2, 2, 2), normal(8, 3), normal(3))
P_WHITEN = apart(normal(6, 4), positive(4), normal(4))

MUTANTS: list[Mutant] = [
    *mutants(AFFINE, P_ALL_SQUARE,
        ("transpose", "W for W.T", "W.T", "W"),
        ("transpose", "dW transposed", "x.T @ dy", "dy.T @ x"),
        ("order", "dx and dW exchanged", "return dx, dW, db", "return dW, dx, db"),
        ("axis", "db summed over the features", "dy.sum(axis=0)", "dy.sum(axis=1)"),
    ),
    *mutants(AFFINE, P_AFFINE,
        ("order or shape", "dW and db exchanged", "return dx, dW, db", "return dx, db, dW"),
        ("missing", "db forgotten", "return dx, dW, db", "return dx, dW"),
        ("broadcast", "db not summed", "dy.sum(axis=0)", "dy * 1"),
        ("batch-mean", "dW divided by N", "x.T @ dy", "x.T @ dy / len(dy)"),
        ("sign", "db negated", "dy.sum", "-dy.sum"),
        ("stale-state", "x of the first call",
         "x.T @ dy", 'affine_backward.__dict__.setdefault("x", x).T @ dy'),
        ("stale-weights or stale-state", "W of the first call",
         "dy @ W.T", 'dy @ affine_backward.__dict__.setdefault("W", W.copy()).T'),
        ("mutates-input", "backward writes into x", "dx = dy @ W.T", "dx = dy @ W.T\n    x *= 0.5"),
    ),
    *mutants(TANH, P_MATRIX,
        ("value-for-gradient", "1 - x^2", "y = np.tanh(x)", "y = x"),
        ("activation-gradient-missing", "dy unchanged", "return dy * (1 - y**2)", "return dy * 1"),
        ("upstream-ignored", "without dy", "return dy *", "return"),
    ),
    *mutants(PRODUCT, P_SAME,
        ("order", "gradients exchanged", "return dy * b, dy * a", "return dy * a, dy * b"),
        ("missing", "one gradient", "return dy * b, dy * a", "return dy * b"),
    ),
    *mutants(SCALE, P_SCALE,
        ("broadcast", "dg not summed", "(dy * x).sum(axis=0)", "dy * x"),
        ("axis", "dg summed to one number", "sum(axis=0)", "sum()"),
    ),
    *mutants(SCALE, P_SQUARE_SCALE,
        ("axis", "dg summed over the features", "sum(axis=0)", "sum(axis=1)"),
    ),
    *mutants(ADD, P_SAME,
        ("aliases-upstream", "dy itself for both", "return dy.copy(), dy.copy()", "return dy, dy"),
        ("aliases-upstream", "dy itself for one", "return dy.copy(), dy.copy()", "return dy, dy.copy()"),
    ),
    *mutants(SOFTMAX, P_MATRIX,
        ("fan-out", "the sum forgotten", "y * (dy - mean)", "y * dy"),
    ),
    *mutants(LOGISTIC, P_MATRIX,
        ("stale-state", "the cache is changed in place",
         "return dout * out * (1 - out)", "dx = dout * out * (1 - out)\n    out *= 0.5\n    return dx"),
        ("value-for-gradient", "x for y", "return out, out", "return out, x"),
    ),
    *mutants(RECTIFY, P_KINKED,
        ("mask", "inverted", "x > 0", "x < 0"),
        ("mask", "of dout", "x > 0", "dout > 0"),
        ("mutates-upstream", "in place", "dx = dout * (x > 0)", "dout[x <= 0] = 0\n    dx = dout"),
    ),
    *mutants(LINEAR, P_IMAGES,
        ("shape", "left flat", ".reshape(x.shape)", ""),
        ("zero", "db of zeros", "dout.sum(axis=0)", "np.zeros(w.shape[1])"),
        ("shape", "not laid flat", "x.reshape(len(x), -1).T", "x.T"),
        ("raises", "neither laid flat nor turned", "x.reshape(len(x), -1).T", "x"),
    ),
    *mutants(WHITEN, P_WHITEN,
        ("fan-out", "the mean's path forgotten", "n * dout - dbeta", "n * dout"),
        ("fan-out", "the variance's path forgotten", " - xhat * dgamma)", ")"),
        ("order", "dgamma and dbeta exchanged", "return dx, dgamma, dbeta", "return dx, dbeta, dgamma"),
        ("factor", "dgamma tripled", "return dx, dgamma", "return dx, 3 * dgamma"),
        ("dtype", "as float32", "return dx, dgamma", "return dx.astype(np.float32), dgamma"),
        ("accumulates", "adds to the last call",
         "return dx, dgamma",
         'dgamma += whiten_backward.__dict__.get("last", 0)\n'
         "    whiten_backward.last = dgamma\n    return dx, dgamma"),
    ),
]  # fmt: skip
