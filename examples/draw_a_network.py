"""Train a network for a moment, and draw what flows through it: values forward, gradients back.

python examples/draw_a_network.py [folder]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import chainrule as cr


def main(folder: Path) -> None:
    """Write drawings of one batch before and after training, and print what changed."""
    (x, t), _ = cr.datasets.load_digits()
    net = cr.Network(
        cr.Affine(16), cr.Sigmoid(), cr.Affine(10), input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0
    )
    batch = x[:20], t[:20]
    for when in ("before", "after"):
        drawing = cr.draw(net, *batch, title=f"20 digits, {when} training")
        values = {node.name: node.value for node in drawing.scene.nodes if node.value is not None}
        gradients = {node.name: node.gradient for node in drawing.scene.nodes if node.gradient is not None}
        size = float(np.linalg.norm(gradients["W1"]))
        print(f"{when:<7} loss {float(values['loss']):.3f}, gradient of W1 of length {size:.3f}")
        for ending in ("svg", "png", "html"):
            drawing.save(folder / f"{when}.{ending}")
        if when == "before":
            net.fit(x, t, optimizer=cr.Adam(0.01), epochs=20)
    print(f"Open {folder / 'after.html'} in a browser, and walk through it with the arrow keys.")


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "drawings")
    target.mkdir(parents=True, exist_ok=True)
    main(target)
