"""A skip connection: a value that is used twice, and whose two gradients are added up.

python examples/skip_connection.py
"""

from __future__ import annotations

import numpy as np

import chainrule as cr


def build() -> cr.Network:
    """x -> h -> h + branch(h) -> logits. Any graph of nodes can be a network."""
    x = cr.Input("x", shape=64)
    h = cr.ReLU()(cr.Affine(32)(x), name="h")
    branch = cr.Affine(32)(cr.ReLU()(cr.Affine(32)(h, name="inner")), name="branch")
    joined = (h + branch).named("joined")
    return cr.Network(output=cr.Affine(10)(joined), loss=cr.SoftmaxCrossEntropy(), seed=0)


def main() -> None:
    (x_train, t_train), (x_test, t_test) = cr.datasets.load_digits()
    net = build()
    print(net.summary())

    print("\nThe gradient of h is that along the skip plus that through the branch. Expected: 0")
    graph = net.graph
    graph.forward(x=x_train[:5], t=t_train[:5])
    graph.backward()
    through_branch = graph.gradients["inner"] @ graph.values["W2"].T
    along_skip = graph.gradients["joined"]
    difference = np.abs(graph.gradients["h"] - (along_skip + through_branch)).max()
    print(f"    largest difference {difference:.0e}")
    assert difference < 1e-6

    print("\nBackpropagation against finite differences on every parameter. Expected: below 1e-7")
    exact = net.astype("float64")
    backpropagation = exact.gradient(x_train[:3], t_train[:3])
    numerical = exact.numerical_gradient(x_train[:3], t_train[:3])
    worst = max(
        float(np.linalg.norm(backpropagation[key] - numerical[key])) / float(np.linalg.norm(numerical[key]))
        for key in backpropagation
    )
    print(f"    largest relative error {worst:.0e}")
    assert worst < 1e-7

    print("\nTest accuracy after 15 epochs. Expected: above 0.95")
    history = net.fit(
        x_train,
        t_train,
        optimizer=cr.Momentum(0.05),
        epochs=15,
        validation=(x_test, t_test),
        progress=False,
    )
    print(f"    {history.test_accuracy[-1]:.4f}")
    assert history.test_accuracy[-1] > 0.95


if __name__ == "__main__":
    main()
