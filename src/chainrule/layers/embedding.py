"""Rows of a table, looked up by number."""

from __future__ import annotations

from chainrule.arguments import whole_number
from chainrule.arrays import Array
from chainrule.errors import ShapeError
from chainrule.initializers import Initializer, Normal
from chainrule.layers.affine import initializer
from chainrule.layers.base import Layer, ParameterSpec
from chainrule.layers.indices import add_rows, check_indices

_NORMAL = Normal(1.0)


class Embedding(Layer):
    """y = W[ids],    dL/dW[i] = sum of dL/dy over the places where ids is i. The ids have no gradient.

    Shapes: ids any, whole numbers from 0 to vocabulary - 1; W (vocabulary, dimension) -> y (*ids, dimension).
    dtype: W's, kept.
    Raises: ArgumentError unless both sizes are positive whole numbers and weights is an initializer; DataError
    for ids that aren't whole numbers or are out of range; ShapeError for another W.
    Source: Bengio, Ducharme, Vincent, Jauvin, A neural probabilistic language model (2003), section 2.
    """

    index_inputs = frozenset({"ids"})

    def __init__(self, vocabulary: int, dimension: int, weights: Initializer = _NORMAL) -> None:
        self.vocabulary = whole_number("vocabulary", vocabulary, 1, owner=self)
        self.dimension = whole_number("dimension", dimension, 1, owner=self)
        self.weights = initializer(self, "weights", weights)

    def parameters(self) -> dict[str, ParameterSpec]:
        return {"W": ParameterSpec((self.vocabulary, self.dimension), self.weights)}

    def forward(self, ids: Array, W: Array) -> tuple[Array, Array]:
        check_indices(self, "ids", ids, self.vocabulary)
        if W.shape != (self.vocabulary, self.dimension):
            raise ShapeError(
                f"{self!r}: expected W of shape {(self.vocabulary, self.dimension)}, got {W.shape}; "
                f"make the parameters anew"
            )
        return W.take(ids, axis=0), ids

    def backward(
        self, dy: Array, ids: Array, *, needs: tuple[bool, ...] = (True, True)
    ) -> tuple[None, Array | None]:
        if not needs[1]:
            return None, None
        return None, add_rows(dy.reshape(ids.size, self.dimension), ids.ravel(), self.vocabulary)
