"""The blocks of the documents that need PyTorch or JAX."""

from __future__ import annotations

from pathlib import Path

import pytest

from test_docs import FILES, has_blocks, run_blocks

BLOCKS = [(path, tag) for path in FILES for tag in ("torch", "jax") if has_blocks(path, tag)]


def test_there_are_some() -> None:
    assert {tag for _, tag in BLOCKS} == {"torch", "jax"}


@pytest.mark.parametrize(("path", "tag"), BLOCKS, ids=lambda value: getattr(value, "name", value))
def test_blocks_run(path: Path, tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_blocks(path, tag)
