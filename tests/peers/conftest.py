"""The tests beside PyTorch and JAX: none may be skipped, or left out unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: At least so many tests run when all of this folder is asked for. Raise it when some are added.
AT_LEAST = 195


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail where fewer ran than there are, or where one was skipped."""
    asked = [Path(argument.partition("::")[0]).resolve() for argument in session.config.args]
    narrowed = any(session.config.getoption(option) for option in ("keyword", "markexpr", "collectonly"))
    if asked != [HERE] or narrowed or exitstatus != 0:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None
    ran = len(reporter.stats.get("passed", []))
    skipped = len(reporter.stats.get("skipped", []))
    if ran < AT_LEAST or skipped:
        reporter.write_line(
            f"\ntests/peers: {ran} tests ran, {skipped} were skipped; expected {AT_LEAST}, and none"
        )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
