"""A network of two layers learns to read digits, one visible step after another.

    python examples/two_layer_net.py            # 2,000 iterations, seconds
    python examples/two_layer_net.py 10000      # the textbook's length

MNIST is used where it is found on this machine, and scikit-learn's small digits otherwise.
"""

from __future__ import annotations

import sys

import numpy as np

import chainrule as cr


def main(iterations: int = 2_000) -> None:
    try:
        (x_train, t_train), (x_test, t_test) = cr.datasets.load_mnist(download=False)
        data = "MNIST"
    except cr.errors.FileError:
        (x_train, t_train), (x_test, t_test) = cr.datasets.load_digits()
        data = "the digits of scikit-learn"
        print("MNIST is not on this machine. To download it once, into the cache folder:")
        print('    python -c "import chainrule; chainrule.datasets.load_mnist()"')
    print(f"Training on {len(x_train)} images, testing on {len(x_test)}: {data}.")

    batch_size, learning_rate = 100, 0.1
    net = cr.TwoLayerNet(x_train.shape[1], 50, 10, seed=0)
    rng = np.random.default_rng(0)
    iterations_of_epoch = max(len(x_train) // batch_size, 1)

    train_loss_list: list[float] = []
    train_acc_list: list[float] = []
    test_acc_list: list[float] = []
    print(f"{'iteration':>9}  {'loss':>6}  {'training':>8}  {'test':>6}")
    for i in range(iterations):
        rows = rng.choice(len(x_train), batch_size)  # with replacement
        x, t = x_train[rows], t_train[rows]

        grads = net.gradient(x, t)
        for key in ("W1", "b1", "W2", "b2"):
            net.params[key] -= learning_rate * grads[key]

        train_loss_list.append(net.loss(x, t))
        if i % iterations_of_epoch == 0 or i == iterations - 1:
            train_acc_list.append(net.accuracy(x_train, t_train))
            test_acc_list.append(net.accuracy(x_test, t_test))
            if data == "MNIST" or (i // iterations_of_epoch) % 20 == 0 or i == iterations - 1:
                print(
                    f"{i + 1:>9}  {train_loss_list[-1]:.4f}  {train_acc_list[-1]:>8.4f}  {test_acc_list[-1]:.4f}"
                )

    print(f"{len(train_loss_list)} losses and {len(test_acc_list)} test accuracies were recorded.")
    if iterations >= 2_000:
        print(f"Expected: a test accuracy above 0.93. It is {test_acc_list[-1]:.4f}.")
        assert test_acc_list[-1] > 0.93


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
