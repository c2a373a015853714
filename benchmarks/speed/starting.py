"""How long until the first step is done, and with how much memory, in new processes: cold, and with full caches."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers.registry import REGISTRY, Contender
from speed.results import Start, Tell
from speed.workers import environment
from speed.workloads import Settings


def measure_starts(folder: Path, settings: Settings, tell: Tell) -> list[Start]:
    """Each peer and variant `starts` times: with an empty cache folder, and then, where it is used, filled."""
    result = []
    for number in range(settings.starts):
        for peer, entry in REGISTRY.items():
            for variant in entry.training:
                skipped = settings.quick and variant in entry.compiles
                if peer == "floor" or (peer, variant) == ("ours", "NumPy") or skipped:
                    continue
                with tempfile.TemporaryDirectory(dir=folder) as caches:
                    for filled in (False, True)[: 1 + entry.caches]:
                        tell(f"first step {number + 1} of {settings.starts}: {entry.label}, {variant}")
                        result += _start(peer, variant, filled, folder, Path(caches))
    return result


def _start(peer: str, variant: str, filled: bool, folder: Path, caches: Path) -> list[Start]:
    variables = {**environment(folder, caches), **Contender(peer, variant, 0).environment}
    done = subprocess.run(
        [sys.executable, "-m", "speed.first_step", peer, variant, str(folder), str(time.time())],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:  # a compiler that is missing, say: the workloads tell why
        return []
    return [Start(peer, variant, filled, **json.loads(done.stdout.splitlines()[-1]))]
