"""The textbook's two-layer network, and its interface."""

from __future__ import annotations

from chainrule.arguments import whole_number
from chainrule.initializers import Normal
from chainrule.layers import Affine, ReLU, SoftmaxCrossEntropy
from chainrule.network.network import Network
from chainrule.optimizers import SGD


class TwoLayerNet(Network):
    """Affine - ReLU - Affine with softmax cross-entropy, made as the textbook makes it.

    y = relu(x W1 + b1) W2 + b2,    loss = -log softmax(y)[t], the mean over the batch.

    It has `predict(x)`, `loss(x, t)`, `accuracy(x, t)`, `gradient(x, t)`, `numerical_gradient(x, t)` and
    `params` with "W1", "b1", "W2", "b2". The weights start normal with `weight_init_std`, the biases at 0.

    Shapes: x (N, input_size), t (N,) labels or (N, output_size) one-hot -> logits (N, output_size).
    dtype: float64, as in the textbook, unless told otherwise. `fit` trains with its SGD(0.1), too.
    """

    default_optimizer = SGD(0.1)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        weight_init_std: float = 0.01,
        seed: int | None = None,
        dtype: str = "float64",
    ) -> None:
        for name, size in (
            ("input_size", input_size),
            ("hidden_size", hidden_size),
            ("output_size", output_size),
        ):
            whole_number(f"TwoLayerNet: {name}", size, 1)
        weights = Normal(weight_init_std)
        super().__init__(
            Affine(hidden_size, weights=weights),
            ReLU(),
            Affine(output_size, weights=weights),
            input_shape=(input_size,),
            loss=SoftmaxCrossEntropy(),
            seed=seed,
            dtype=dtype,
        )
