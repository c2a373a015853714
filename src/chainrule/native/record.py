"""What the build and the running package share: whether the library is wanted, and the record of its build.

The record stands beside the library: which file it is, of which sources, made by what; or why there is none.

The build loads this file by its path, so it needs nothing but the standard library.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

RECORD = "_build.json"


def wanted() -> str:
    """What CHAINRULE_NATIVE says: auto, off or require."""
    said = os.environ.get("CHAINRULE_NATIVE", "").strip().lower() or "auto"
    if said not in ("auto", "off", "require"):
        raise ValueError(f"the environment variable CHAINRULE_NATIVE={said}: expected auto, off or require")
    return said


def has_sources(folder: Path) -> bool:
    """Whether the C files are there, as in a checkout; a wheel has none."""
    return any(folder.glob("*.c"))


def digest(folder: Path) -> str:
    """One number for all that the library is made of: the C files, and build.py with its flags and variants."""
    import hashlib  # it and json take longer to import than the whole package chainrule.native

    found = hashlib.sha256()
    for path in sorted([*folder.glob("*.c"), *folder.glob("*.h"), *folder.glob("build.py")]):
        content = path.read_bytes()
        found.update(f"{path.name} {len(content)}\n".encode() + content)
    return found.hexdigest()


def write(folder: Path, content: dict[str, Any]) -> Path:
    """Write the record into the folder."""
    import json

    path = folder / RECORD
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def read(folder: Path) -> dict[str, Any]:
    """The record in the folder; {} where there is none that can be read, as in a checkout never installed."""
    import json

    try:
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
