"""What all tests share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browsing import started_browser
from chainrule.loop import History
from chainrule.program import program, table

#: How many times as many random examples as usual.
MORE = float(os.environ.get("CHAINRULE_EXAMPLES", "1"))


def examples(usual: int) -> int:
    """How many random examples a test tries."""
    return max(1, round(usual * MORE))


@pytest.fixture(scope="session", autouse=True)
def _disks_are_not_waited_for() -> Iterator[None]:
    """What a test writes need not outlast a power failure. What calls `os.fsync`, and when, is tested by fakes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture
def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture of the curves is empty: drawing it takes most of the time of a small training."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(History, "plot", lambda self: Figure())


@pytest.fixture(params=["machine", "NumPy"])
def executor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test twice: programs by the machine, and by NumPy as where there is no library."""
    if request.param == "NumPy":
        monkeypatch.setattr(program, "machine", lambda: None)
    return str(request.param)


@pytest.fixture
def many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns are cut into many parts, however small their work is."""
    cut_small(monkeypatch)


def cut_small(patch: pytest.MonkeyPatch) -> None:
    """Let programs that are made from now on cut their turns into parts of two rows, or columns of a matrix."""
    patch.setattr(table, "PART", 1)
    patch.setattr(table, "LEAST_ROWS", 2)
    patch.setattr(table, "LARGE", 60)
    patch.setattr(table, "LEAST_OF_LARGE", {"gradients": 2, "columns": 2})
    patch.setattr(table, "SPARSE_COLUMNS", 1)


def printed(value: object) -> str:
    """The id of a parameter: its repr, without an address, which differs between the workers of pytest-xdist."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@pytest.fixture(scope="module")
def kept_environment() -> Iterator[None]:
    """The environment as it is: Dask leaves its numbers of threads in that of the process that starts a cluster."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser, one for all tests of a file."""
    with started_browser() as found:
        yield found


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Opens the page of a drawing in the browser."""
    from graph_page_cases import shown_in

    with shown_in(browser, tmp_path) as opening:
        yield opening
