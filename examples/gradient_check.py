"""Backpropagation against finite differences, on every parameter of a network.

python examples/gradient_check.py
"""

from __future__ import annotations

import time

import numpy as np

import chainrule as cr


def main() -> None:
    (x_train, t_train), _ = cr.datasets.load_digits()
    x, t = x_train[:3], t_train[:3]
    net = cr.TwoLayerNet(64, 50, 10, seed=0)  # float64: finite differences need its digits

    net.gradient(x, t)  # once to warm up
    start = time.perf_counter()
    backpropagation = net.gradient(x, t)
    middle = time.perf_counter()
    numerical = net.numerical_gradient(x, t)
    end = time.perf_counter()

    print("         shape     mean |difference|  relative error   expected")
    for key in net.params:
        difference = backpropagation[key] - numerical[key]
        error = float(np.linalg.norm(difference)) / float(np.linalg.norm(numerical[key]))
        shape = str(net.params[key].shape)
        print(f"    {key}   {shape:<10} {np.abs(difference).mean():>16.1e} {error:>15.1e}    < 1e-07")
        assert error < 1e-7, key
    print(
        f"{net.params.flat.size} parameters: {1000 * (middle - start):.2f} ms by backpropagation, "
        f"{1000 * (end - middle):.0f} ms by finite differences, "
        f"{(end - middle) / (middle - start):.0f} times as long."
    )
    assert end - middle > 10 * (middle - start)
    print("Every gradient agrees.")


if __name__ == "__main__":
    main()
