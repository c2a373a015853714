"""Photograph the pages in the documents, in a real browser: `make docs-pictures`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import chainrule as cr

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from browsing import browser_path, opened, started_browser  # noqa: E402  # it stands in tests/


def main() -> None:
    """The graph of a network in the middle of its backward pass, and the head of a report."""
    if browser_path() is None:
        print("no Chromium or Chrome found: the photographs of pages stay as they are")
        return
    (x, t), (x_test, t_test) = cr.datasets.load_digits()
    net = cr.Network(
        cr.Affine(50), cr.ReLU(), cr.Affine(10), input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0
    )
    with tempfile.TemporaryDirectory() as folder, started_browser() as browser:
        drawn = cr.draw(net, x[:10], t[:10], title="A network of two layers, ten digits")
        history = net.fit(x, t, epochs=40, validation=(x_test, t_test), callbacks=[cr.Health()])
        report = cr.report(history, net, x_test, t_test, title="digits")
        with opened(browser, drawn.save(Path(folder) / "graph.html"), height=700) as page:
            page.wait_for_selector("[data-ready=yes]")
            for _ in range(8):
                page.keyboard.press("ArrowRight")
            page.wait_for_timeout(500)
            page.screenshot(path=HERE / "graph-page.png")
        with opened(browser, report.save(Path(folder) / "report.html"), height=860) as page:
            page.wait_for_timeout(500)
            page.screenshot(path=HERE / "report-page.png")
    print(HERE / "graph-page.png", HERE / "report-page.png", sep="\n")


if __name__ == "__main__":
    main()
