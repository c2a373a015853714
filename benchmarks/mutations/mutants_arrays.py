"""Mutants of sums, products and shapes, and of pooling and convolution."""

from __future__ import annotations

from mutations import arrays as a
from mutations import images as i
from mutations.mutating import Mutant, mutants
from mutations.targets import distinct, normal, on

SAME = on(normal(6, 5), normal(6, 5))
BIAS = on(normal(6, 5), normal(5))
SQUARE_BIAS = on(normal(5, 5), normal(5))
PRODUCT = on(normal(6, 5), normal(5, 4))
SQUARE = on(normal(5, 4), normal(4, 4))
ALL_SQUARE = on(normal(4, 4), normal(4, 4))
ONE = on(normal(6, 5))
ONE_SQUARE = on(normal(5, 5))
ROWS = on(distinct(6, 5))
IMAGES = on(normal(4, 3, 2, 2))
SIDE_BY_SIDE = on(normal(5, 3), normal(5, 4))
EQUAL_SIDES = on(normal(5, 3), normal(5, 3))
POOLED = on(distinct(3, 2, 4, 6))
CONVOLVED = on(normal(3, 2, 5, 4), weights=(normal(4, 2, 3, 3), normal(4)))
CONVOLVED_SQUARE = on(normal(3, 2, 5, 5), weights=(normal(4, 2, 3, 3), normal(4)))

PAIRED: list[Mutant] = [
    *mutants(a.Multiply, SAME,
        ("order", "gradients exchanged", "return dx, dy", "return dy, dx"),
        ("upstream-ignored", "the other factor alone", "dx = dout *", "dx = 1 *"),
        ("activation-gradient-missing", "dout for both", "dout * self.y", "dout * 1",
         "dout * self.x", "dout * 1"),
        ("activation-gradient-missing", "dout for one", "dout * self.x", "dout * 1"),
        ("missing", "only one gradient", "return dx, dy", "return dx"),
        ("missing", "None for one", "return dx, dy", "return dx, None"),
        ("mutates-upstream", "dout changed between the two",
         "dx = dout * self.y\n        dy = dout * self.x",
         "dy = dout * self.x\n        dout *= self.y\n        dx = dout"),
        ("sign", "one negated", "dout * self.x", "-dout * self.x"),
        ("unknown", "the sum of both factors", "dout * self.y", "dout * (self.x + self.y)"),
        ("zero", "nothing for one", "dout * self.x", "dout * 0"),
        ("mutates-input", "backward writes into x",
         "dy = dout * self.x", "self.x *= dout\n        dy = self.x.copy()"),
    ),
    *mutants(a.Add, SAME,
        ("aliases-upstream", "dout itself for both", "dx = dout * 1", "dx = dout",
         "dy = dout * 1", "dy = dout"),
        ("aliases-upstream", "dout itself for one", "dy = dout * 1", "dy = dout"),
        ("sign", "a difference's gradient", "dy = dout * 1", "dy = -dout"),
        ("upstream-ignored", "ones", "dx = dout * 1", "dx = np.ones_like(dout)"),
        ("factor", "halved", "dx = dout * 1", "dx = dout / 2", "dy = dout * 1", "dy = dout / 2"),
    ),
    *mutants(a.AddBias, BIAS,
        ("broadcast", "not summed", "dout.sum(axis=0)", "dout * 1"),
        ("axis or shape", "summed over the features, N is not D", "dout.sum(axis=0)", "dout.sum(axis=1)"),
        ("axis", "summed to one number", "dout.sum(axis=0)", "dout.sum()"),
        ("axis or batch-mean", "averaged", "dout.sum(axis=0)", "dout.mean(axis=0)"),
        ("axis or unknown", "the first row", "dout.sum(axis=0)", "dout[0].copy()"),
        ("shape or broadcast", "a row too many axes", "dout.sum(axis=0)", "dout.sum(axis=0, keepdims=True)"),
        ("upstream-ignored", "the number of samples",
         "dout.sum(axis=0)", "np.full(dout.shape[1], float(len(dout)))"),
    ),
    *mutants(a.AddBias, SQUARE_BIAS,
        ("axis", "summed over the features", "dout.sum(axis=0)", "dout.sum(axis=1)"),
    ),
    *mutants(a.MatMul, SQUARE,
        ("transpose", "W for W.T", "self.W.T", "self.W"),
        ("transpose", "dW transposed", "self.x.T @ dout", "dout.T @ self.x"),
    ),
    *mutants(a.MatMul, PRODUCT,
        ("raises or transpose", "W for W.T where it doesn't fit", "self.W.T", "self.W"),
        ("raises or transpose", "x for x.T where it doesn't fit", "self.x.T", "self.x"),
        ("transpose or shape", "dW transposed, not square", "self.x.T @ dout", "dout.T @ self.x"),
        ("batch-mean", "dW divided by N", "dW = self.x.T @ dout", "dW = self.x.T @ dout / len(dout)"),
        ("upstream-ignored", "ones for dout", "self.x.T @ dout", "self.x.T @ np.ones_like(dout)"),
        ("dtype", "dW as float32", "self.x.T @ dout", "(self.x.T @ dout).astype(np.float32)"),
    ),
    *mutants(a.MatMul, ALL_SQUARE,
        ("order", "gradients exchanged", "return dx, dW", "return dW, dx"),
    ),
    *mutants(a.Concat, SIDE_BY_SIDE,
        ("shape", "the pieces cut one too early", "[:, : self.width]", "[:, : self.width - 1]",
         "[:, self.width :]", "[:, self.width - 1 :]"),
        ("zero", "nothing for the second", "return da, db", "return da, db * 0"),
        ("missing", "only the first", "return da, db", "return da"),
    ),
    *mutants(a.Concat, EQUAL_SIDES,
        ("order", "pieces exchanged", "return da, db", "return db, da"),
    ),
]  # fmt: skip

SHAPED: list[Mutant] = [
    *mutants(a.Flatten, IMAGES,
        ("shape", "left flat", ".reshape(self.shape)", "* 1"),
        ("transpose", "height and width exchanged",
         ".reshape(self.shape)", ".reshape(self.shape).swapaxes(2, 3)"),
        ("shape", "a single row", ".reshape(self.shape)", ".reshape(1, -1)"),
    ),
    *mutants(a.Sum, ONE,
        ("shape", "not repeated", "dout[:, None] * np.ones(self.shape, dout.dtype)", "dout * 1"),
        ("factor", "a mean's gradient", "dout[:, None] *", "dout[:, None] / self.shape[1] *"),
        ("upstream-ignored", "ones", "dout[:, None] * np", "np"),
    ),
    *mutants(a.Sum, ONE_SQUARE,
        ("transpose or axis", "repeated along the other axis", "dout[:, None]", "dout[None, :]"),
    ),
    *mutants(a.Mean, ONE,
        ("batch-mean", "not divided", " / self.shape[0]", ""),
        ("batch-mean", "divided twice", "/ self.shape[0]", "/ self.shape[0] ** 2"),
        ("factor", "divided by the features", "self.shape[0]", "self.shape[1]"),
    ),
    *mutants(a.Max, ROWS,
        ("mask", "to the whole row", "dx[np.arange(len(dx)), self.where] = dout", "dx += dout[:, None]"),
        ("mask", "to the first", "self.where] =", "self.where * 0] ="),
        ("mask", "to the smallest", "x.argmax", "x.argmin"),
        ("upstream-ignored", "ones", "self.where] = dout", "self.where] = 1"),
        ("sign", "negated", "self.where] = dout", "self.where] = -dout"),
    ),
    *mutants(a.Repeat, ONE,
        ("fan-out", "one copy's gradient only", "copies.sum(axis=1)", "copies[:, 0].copy()"),
        ("fan-out", "the last copy's gradient only", "copies.sum(axis=1)", "copies[:, -1].copy()"),
        ("factor", "averaged over the copies", "copies.sum(axis=1)", "copies.mean(axis=1)"),
        ("unknown", "as if tiled",
         "dout.reshape(self.shape[0], self.times, *self.shape[1:])",
         "dout.reshape(self.times, *self.shape).swapaxes(0, 1)"),
        ("broadcast or shape", "not summed", "copies.sum(axis=1)", "dout * 1"),
    ),
    *mutants(a.Normalize, ONE,
        ("fan-out", "the length taken as constant", "(dout - along * self.out)", "dout"),
        ("fan-out", "only through the length", "(dout - along * self.out)", "-along * self.out"),
        ("unknown or fan-out", "the second term's sign", "dout - along", "dout + along"),
        ("unknown", "not divided by the length", "self.out) / self.norm", "self.out)"),
    ),
]  # fmt: skip

PICTURES: list[Mutant] = [
    *mutants(i.MaxPool, POOLED,
        ("mask", "to the whole block",
         "blocks[np.arange(dout.size), self.where.reshape(-1)] = dout.reshape(-1)",
         "blocks += dout.reshape(-1, 1)"),
        ("mask", "to the corner of the block", "self.where.reshape(-1)]", "0]"),
        ("mask", "to the smallest", "blocks.argmax", "blocks.argmin"),
        ("upstream-ignored", "ones", "= dout.reshape(-1)", "= 1"),
        ("shape", "blocks left apart", "return blocks.reshape(self.shape)", "return blocks"),
        ("factor", "divided by 4", "= dout.reshape(-1)", "= dout.reshape(-1) / 4"),
    ),
    *mutants(i.Conv2d, CONVOLVED,
        ("unknown", "kernel turned round",
         "return dx", "self.dW = self.dW[:, :, ::-1, ::-1].copy()\n        return dx"),
        ("transpose", "kernel's axes exchanged",
         "return dx", "self.dW = self.dW.swapaxes(2, 3).copy()\n        return dx"),
        ("fan-out", "overlapping patches overwritten", "s : s + columns] +=", "s : s + columns] ="),
        ("axis", "db summed to one number", "dout.sum(axis=(0, 2, 3))", "dout.sum()"),
        ("broadcast or axis or shape", "db not summed over the samples",
         "dout.sum(axis=(0, 2, 3))", "dout.sum(axis=(2, 3))"),
        ("batch-mean", "dW divided by N", "return dx", "self.dW /= len(dx)\n        return dx"),
        ("sign", "negated", "return dx", "return -dx"),
        ("missing", "db forgotten", "self.db = dout.sum(axis=(0, 2, 3))", ""),
        ("accumulates", "adds to the last dW",
         "self.dW = np.zeros_like(self.W)", "self.dW = getattr(self, 'dW', np.zeros_like(self.W))",
         "self.dW[:, :, r, s] =", "self.dW[:, :, r, s] +="),
    ),
    *mutants(i.Conv2d, CONVOLVED_SQUARE,
        ("transpose", "image's axes exchanged", "return dx", "return dx.swapaxes(2, 3)"),
    ),
]  # fmt: skip

MUTANTS = PAIRED + SHAPED + PICTURES
