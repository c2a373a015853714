"""What the run was on."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from peers.registry import REGISTRY

BUSY = 0.5  # the load from which on the figures of a machine are not to be trusted


def machine() -> dict[str, Any]:
    """Processor, cores, load, versions."""
    packages = sorted({name for entry in REGISTRY.values() for name in entry.packages})
    versions = {"Python": platform.python_version()}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    if "chainrule" not in versions:
        import chainrule

        versions["chainrule"] = chainrule.__version__
    blas = [p for p in threadpool_info() if p["user_api"] == "blas"]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2),
        "blas": ", ".join(
            sorted({f"{p['internal_api']} {p['version']} ({p['architecture']})" for p in blas})
        ),
        "compiler": next((name for name in ("g++", "clang++", "c++") if shutil.which(name)), "none"),
        "versions": versions,
    }


def said(*packages: str) -> str:
    """Two lines: what a script runs on, with which packages, and whether others were at work when it began."""
    import chainrule

    versions = {"Python": platform.python_version(), "chainrule": chainrule.__version__}
    for name in ("numpy", *packages):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    load = os.getloadavg()[0]
    busy = "; others are at work: the figures are a trial, and threads that wait for each other suffer most"
    return (
        f"{_processor()}, {os.cpu_count()} cores; {', '.join(f'{k} {v}' for k, v in versions.items())}\n"
        f"load at the start {load:.2f}{busy if load > BUSY else ''}"
    )


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
