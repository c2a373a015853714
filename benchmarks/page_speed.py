"""How fast the page of a graph is: made in Python, opened in a real browser, and walked through.

    python benchmarks/page_speed.py            # medians of five; a few minutes
    python benchmarks/page_speed.py --runs 3

It needs Chromium or Chrome (`CHAINRULE_BROWSER` says where) and Playwright (`pip install playwright`). "Opened" is
from the call that navigates until the page has been painted and can be used. "Step" is from the click on "One step
on" until the next picture was painted; "zoom" the same for the button "Larger". `empty` is what a page weighs
without data: the page of the smallest graph, less its pictures and data.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.drawing import Drawing, draw

SIZES = (10, 100, 500, 2000)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

#: Clicks a button and waits for two frames: the first is drawn with what the click changed, the second comes after.
TIMED = """(selector) => new Promise((done) => {
  const begun = performance.now();
  document.querySelector(selector).click();
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun)));
})"""


def two_layers(_: int) -> Drawing:
    """The textbook's network for MNIST, with the gradients of a batch of 10."""
    rng = np.random.default_rng(0)
    net = cr.TwoLayerNet(784, 50, 10, seed=0)
    return draw(net, rng.uniform(size=(10, 784)), rng.integers(0, 10, 10))


def layers(count: int) -> Drawing:
    """Affine and ReLU in turn, 16 wide, four nodes each pair, with the gradients of a batch of 10."""
    rng = np.random.default_rng(0)
    pairs = [layer for _ in range(max((count - 6) // 4, 1)) for layer in (cr.Affine(16), cr.ReLU())]
    net = cr.Network(*pairs, cr.Affine(10), input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0)
    return draw(net, rng.normal(size=(10, 64)), rng.integers(0, 10, 10))


def recurrence(count: int) -> Drawing:
    """h = tanh(h * w + b), written with elementary operations, over vectors of eight: two parameters used often."""
    x = cr.Input("x")
    w, b = cr.Parameter("w", 0.9), cr.Parameter("b", 0.1)
    h: Any = x
    for _ in range(max((count - 5) // 3, 1)):
        h = cr.Tanh()(h * w + b)
    return draw(cr.Graph(cr.Sum()(h)), {"x": np.linspace(-1, 1, 8)})


def timed(browser: Any, path: Path) -> tuple[float, float, float]:
    """Milliseconds until the page can be used, of a step, and of a zoom."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    begun = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    opened = 1000 * (time.perf_counter() - begun)
    step = statistics.median(page.evaluate(TIMED, "[data-step=next]") for _ in range(5))
    zoom = statistics.median(page.evaluate(TIMED, "[data-zoom=in]") for _ in range(3))
    context.close()
    return opened, step, zoom


def without_data(page: str) -> int:
    """What is left of a page when its pictures and its data are taken out, in bytes."""
    left = re.sub(r'<div class="picture".*?</svg></div>', "", page, flags=re.DOTALL)
    left = re.sub(r'<script type="application/json".*?</script>', "", left, flags=re.DOTALL)
    return len(left.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHAINRULE_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    graphs: dict[str, Callable[[int], Drawing]] = {
        "TwoLayerNet": two_layers,
        "layers": layers,
        "recurrence": recurrence,
    }
    print(f"a page without data: {without_data(layers(10).html()) / 1000:.0f} kB. Medians of {runs} runs.")
    print(f"{'graph':<11} {'nodes':>5} {'make':>8} {'size':>9} {'open':>8} {'step':>7} {'zoom':>7}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, build in graphs.items():
            for size in SIZES if build is not two_layers else SIZES[:1]:
                file = Path(folder) / f"{name}{size}.html"
                made = []
                for _ in range(min(runs, 3)):
                    drawing = build(size)
                    begun = time.perf_counter()
                    drawing.save(file)
                    made.append(time.perf_counter() - begun)
                measured = [timed(browser, file) for _ in range(runs)]
                opened, step, zoom = (statistics.median(column) for column in zip(*measured, strict=True))
                print(
                    f"{name:<11} {len(drawing.scene.nodes) - 1:>5} {statistics.median(made):>6.2f} s "
                    f"{file.stat().st_size / 1000:>6.0f} kB {opened:>5.0f} ms {step:>4.0f} ms {zoom:>4.0f} ms"
                )
        browser.close()


if __name__ == "__main__":
    main()
