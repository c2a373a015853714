"""A real browser for tests: Chromium or Chrome of the machine, driven by Playwright, with the network cut off."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def browser_path() -> str | None:
    """The browser to use: what CHAINRULE_BROWSER says, or one that is found."""
    return os.environ.get("CHAINRULE_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


needs_browser = pytest.mark.skipif(
    browser_path() is None,
    reason="no Chromium or Chrome found on this machine: install one (Debian: apt-get install chromium), or say "
    "where it is in CHAINRULE_BROWSER",
)


@contextmanager
def started_browser() -> Iterator[Any]:
    """A running browser. One for a module of tests is enough."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Any, path: Path, *, width: int = 1200, height: int = 800, fragment: str = "", **options: Any
) -> Iterator[Any]:
    """A page opened from a file. At the end: no error on its console, and nothing asked of the network."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    address = path.resolve().as_uri() + (f"#{fragment}" if fragment else "")
    page.goto(address)
    yield page
    context.close()
    assert troubles == []
    assert [
        url for url in asked if url.split("#")[0] != address.split("#")[0] and not url.startswith("data:")
    ] == []
