"""A fit that is refused changes nothing of the estimator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from chainrule.errors import ArgumentError, DivergedError


@contextlib.contextmanager
def unchanged_if_refused(estimator: Any) -> Iterator[None]:
    """Put the estimator's attributes back where a fit is refused, or fails before its first iteration.

    A fit that diverges leaves its network, which `cr.check` and `cr.draw` can look at.
    """
    before, done = dict(vars(estimator)), _iterations(estimator)
    try:
        yield
    except Exception as error:
        has_begun = isinstance(error.__cause__, DivergedError) or _iterations(estimator) not in (0, done)
        if isinstance(error, ArgumentError) or not has_begun:
            estimator.__dict__.clear()
            estimator.__dict__.update(before)
        raise


def _iterations(estimator: Any) -> int:
    """How many iterations the estimator's network has been trained for; 0 where there is none."""
    return int(getattr(vars(estimator).get("network_"), "iterations", 0))
