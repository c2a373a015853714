"""A layer of your own, with a parameter: written, checked, trained, saved and loaded.

python examples/own_layer.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule.arrays import Array


class Swish(cr.Layer):
    """y = x s, s = 1 / (1 + exp(-beta x)),    dL/dx = dL/dy (s + beta x d),    dL/dbeta = dL/dy x^2 d,
    with d = s (1 - s). Every feature learns its own beta.

    Shapes: x (N, D), beta (D,) -> y (N, D).
    """

    def parameters(self) -> dict[str, cr.ParameterSpec]:
        return {"beta": cr.ParameterSpec(lambda x: x[1:], cr.initializers.Ones(), decay=False)}

    def forward(self, x: Array, beta: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        s = (1 + np.tanh(beta * x / 2)) / 2  # the same as 1 / (1 + exp(-beta x)), and never overflows
        return x * s, (x, beta, s)

    def backward(self, dy: Array, saved: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        x, beta, s = saved
        d = s * (1 - s)
        return dy * (s + beta * x * d), dy * x * x * d  # the graph sums the second over the samples


def main() -> None:
    (x_train, t_train), (x_test, t_test) = cr.datasets.load_digits()
    net = cr.Network(
        cr.Affine(32),
        Swish(),
        cr.Affine(10),
        input_shape=64,
        loss=cr.SoftmaxCrossEntropy(),
        seed=0,
    )
    print(net.summary())

    print("\nChecked: relative error of each gradient, expected below 1e-7")
    exact = net.astype("float64")
    backpropagation = exact.gradient(x_train[:5], t_train[:5])
    numerical = exact.numerical_gradient(x_train[:5], t_train[:5])
    for key, gradient in backpropagation.items():
        error = float(np.linalg.norm(gradient - numerical[key])) / float(np.linalg.norm(numerical[key]))
        print(f"    {key:<6}{error:.1e}")
        assert error < 1e-7, key

    print("\nTrained: test accuracy, expected above 0.95")
    net.fit(x_train, t_train, optimizer=cr.Adam(0.01), epochs=20, progress=False)
    accuracy = net.accuracy(x_test, t_test)
    low, high = net.params["beta1"].min(), net.params["beta1"].max()
    print(f"    {accuracy:.4f}, with betas that started at 1 and are now from {low:.2f} to {high:.2f}")
    assert accuracy > 0.95

    print("\nSaved and loaded: the same outputs, expected True")
    with tempfile.TemporaryDirectory() as folder:
        path = cr.save(net, Path(folder) / "digits.safetensors")
        again = cr.load(path, layers=[Swish])
    same = np.array_equal(again.predict(x_test), net.predict(x_test))
    print(f"    {same}")
    assert same


if __name__ == "__main__":
    main()
