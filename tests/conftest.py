"""What all tests share."""

from __future__ import annotations

import pytest

from chainrule.program import program


@pytest.fixture(params=["machine", "NumPy"])
def executor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test twice: programs by the machine, and by NumPy as where there is no library."""
    if request.param == "NumPy":
        monkeypatch.setattr(program, "machine", lambda: None)
    return str(request.param)
