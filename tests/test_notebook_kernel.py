"""What the kernel of a notebook sends of a training, a history, a network and a graph: a real one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel
from jupyter_core.utils import ensure_event_loop

pytestmark = pytest.mark.filterwarnings("ignore")  # of what belongs to Jupyter

SETUP = """
import numpy as np
import chainrule as cr
x = np.random.default_rng(0).normal(size=(200, 8)); t = (x[:, 0] > 0).astype(int)
layers = cr.Affine(5), cr.ReLU(), cr.Affine(2)
def made(): return cr.Network(*layers, input_shape=8, loss=cr.SoftmaxCrossEntropy(), seed=0)
net = made()
"""


class Notebook:
    """A running kernel: `run` is a cell, and returns the messages with what it showed."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager, self.client = manager, client

    def run(self, code: str) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        self.client.execute_interactive(code, output_hook=messages.append, timeout=120)
        return [each for each in messages if each["msg_type"] not in ("status", "execute_input")]


@pytest.fixture(scope="module")
def notebook() -> Iterator[Notebook]:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        made = Notebook(manager, client)
        assert made.run(SETUP) == []
        yield made
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        ensure_event_loop().close()  # which jupyter_client made, and leaves open


def bar_of(messages: list[dict[str, Any]]) -> list[str]:
    """The texts of the one bar that was shown, in order. It is HTML each time, and in one place."""
    shown = [each for each in messages if each["msg_type"].endswith("display_data")]
    assert [each["msg_type"] for each in shown] == ["display_data"] + ["update_display_data"] * (
        len(shown) - 1
    )
    assert len({each["content"]["transient"]["display_id"] for each in shown}) == 1
    for each in shown:
        assert "progressbar" in each["content"]["data"]["text/html"]
    return [each["content"]["data"]["text/plain"] for each in shown]


def test_a_training_shows_a_bar_and_the_history_its_curves(notebook: Notebook) -> None:
    messages = notebook.run("net.fit(x, t, epochs=30, validation=(x[:50], t[:50]))")
    *shown, result = messages
    bar = bar_of(shown)
    assert bar[0] == "training: 0 of 60"
    assert re.fullmatch(r"training: 60 of 60, loss [\d.]+, test accuracy [\d.]+, [\d.]+ s, finished", bar[-1])
    assert result["msg_type"] == "execute_result"
    data = result["content"]["data"]
    assert data["text/html"].count("<svg") == 2
    assert re.fullmatch(
        r"<History: 60 iterations, 30 epochs, train loss [\d.]+, test accuracy [\d.]+, [\d.]+ s, finished>",
        data["text/plain"],
    )
    (printed,) = notebook.run("print(cr.History())")
    assert printed["content"]["text"] == "<History: 0 iterations>\n"


def test_the_bar_is_shown_ten_times_a_second_at_most(notebook: Notebook) -> None:
    code = "_ = net.fit(x, t, iterations={}, batch_size=10)"
    start = time.perf_counter()
    notebook.run(code.format(2_000))
    total = int(2_000 * 1.2 / (time.perf_counter() - start))
    start = time.perf_counter()
    bar = bar_of(notebook.run(code.format(max(total, 2_000))))
    assert len(bar) <= 10 * (time.perf_counter() - start) + 2
    assert "finished" in bar[-1]
    assert all(" left" in each for each in bar[1:-1])


def test_the_bar_is_closed_when_training_diverges(notebook: Notebook) -> None:
    messages = notebook.run("made().fit(x, t, optimizer=cr.SGD(1e30), epochs=5)")
    assert messages[-1]["content"]["ename"] == "DivergedError"
    assert "diverged: iteration" in bar_of(messages[:-1])[-1]


def test_the_bar_is_closed_when_training_is_interrupted(notebook: Notebook) -> None:
    (pid,) = notebook.run("import os; print(os.getpid())")
    timer = threading.Timer(2.0, os.kill, (int(pid["content"]["text"]), signal.SIGINT))
    timer.start()
    *shown, result = notebook.run("made().fit(x, t, iterations=100_000_000, batch_size=10)")
    timer.join()
    bar = bar_of(shown)
    assert bar[-1].endswith("interrupted")
    assert len(bar) > 2
    assert "interrupted>" in result["content"]["data"]["text/plain"]


def test_what_a_callback_says_is_text(notebook: Notebook) -> None:
    notebook.run(
        "class Stop(cr.Callback):\n  def on_epoch(self, run): run.stop('<script>alert(1)</script> & $x$')"
    )
    *shown, result = notebook.run("net.fit(x, t, epochs=5, callbacks=[Stop()])")
    for message in (shown[-1], result):
        page = message["content"]["data"]["text/html"]
        assert "<script" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; $x$" in page
        assert "mathjax_ignore" in page


def test_networks_and_graphs_show_themselves(notebook: Notebook) -> None:
    for code, title in (("net", "&lt;Network: x (8,)"), ("net.graph", "&lt;Graph of ")):
        (result,) = notebook.run(code)
        page = result["content"]["data"]["text/html"]
        assert title in page
        assert "data:image/svg+xml;base64," in page
        assert result["content"]["data"]["text/plain"].startswith("<")
    (result,) = notebook.run("cr.TwoLayerNet(8, 5, 2)")  # a subclass
    assert "relu1" in result["content"]["data"]["text/html"]


def test_without_progress_there_is_no_bar(notebook: Notebook) -> None:
    assert notebook.run("_ = net.fit(x, t, epochs=1, progress=False)") == []


# Outside of a notebook


def printed(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_without_ipython_nothing_of_it_is_imported() -> None:
    code = "import sys, chainrule; print('IPython' in sys.modules, 'chainrule.notebook' in sys.modules)"
    assert printed(code).split() == ["False", "False"]


def test_ipython_that_is_imported_but_does_not_run() -> None:
    code = "import IPython, chainrule as cr; from chainrule.loop import is_watched; print(is_watched())"
    assert printed(code).split() == ["False"]


def test_ipython_in_a_terminal_is_no_notebook() -> None:
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as S; S.instance(); "
        "from chainrule.loop.progress import is_in_notebook; print(is_in_notebook())"
    )
    assert printed(code).split() == ["False"]


def test_ipython_that_starts_later_loads_the_extension() -> None:
    code = (
        "import chainrule as cr; from IPython.core.interactiveshell import InteractiveShell as S; "
        "s = S.instance(); "
        "form = lambda: 'text/html' in s.display_formatter.format(cr.History(loss=[2.0, 1.0]))[0]; "
        "print(form()); s.run_line_magic('load_ext', 'chainrule.notebook'); print(form())"
    )
    assert printed(code).split() == ["False", "True"]
