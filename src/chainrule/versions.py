"""What results depend on besides the code: versions, and what runs the programs on this machine."""

from __future__ import annotations

import platform

import numpy as np

from chainrule import __version__
from chainrule.errors import ChainruleError


def show_versions() -> None:
    """Print the versions of chainrule, Python and NumPy, and how programs run here; for a report of a bug.

    Executor: `machine`, the C library, or NumPy, and then why. Variant: of the library, for this processor's
    features. Threads: how many a training uses when nothing else is said.
    """
    found = facts()
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}} {value}")


def facts() -> dict[str, str]:
    """The lines of `show_versions`, by name."""
    from chainrule.program.threads import default_threads

    return {
        "chainrule": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "platform": platform.platform(),
        **_executor(),
        "BLAS": _blas(),
        "threads": str(default_threads()),
    }


def _executor() -> dict[str, str]:
    """The executor, and the variant of the machine where that is it."""
    from chainrule import native

    try:
        reason = native.why_not()
        if reason is None:
            from chainrule.program.layout import variants

            return {"executor": "machine", "variant": variants()[-1]}
        native.library()  # raises where the library is required
    except ChainruleError as error:
        return {"executor": f"none: {error}"}
    return {"executor": f"NumPy: {reason}"}


def _blas() -> str:
    from chainrule.native.blas import found

    blas = found()
    return "not found; the machine multiplies matrices itself" if blas is None else blas.name
