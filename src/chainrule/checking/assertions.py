"""`cr.assert_gradients`: a check for test-suites, in several dtypes and with several seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chainrule.arrays import ArrayLike
from chainrule.checking.checker import check
from chainrule.errors import ArgumentError


def assert_gradients(
    target: Any,
    *inputs: ArrayLike,
    seeds: Sequence[int] = (0,),
    dtypes: Sequence[Any] | None = None,
    **options: Any,
) -> None:
    """Raise AssertionError, with the report, unless `cr.check(target, *inputs, **options)` passes.

    It has to pass with every seed of `seeds` and in every dtype of `dtypes`, such as ("float32", "bfloat16"); None
    is the dtype of the inputs given. All other options are those of `cr.check`: `reference`, `sizes`, `names`, ...

    Raises: AssertionError where a gradient is wrong, nothing was compared, or something was left uncompared; else
    what `cr.check` raises.
    """
    __tracebackhide__ = True  # pytest shows the report, and not these lines
    if "seed" in options or not isinstance(seeds, Iterable):
        raise ArgumentError("assert_gradients: expected seeds, such as seeds=[0, 1], or seeds=range(20)")
    if "dtype" in options and dtypes is not None:
        raise ArgumentError("assert_gradients: expected dtype or dtypes, got both")
    if isinstance(dtypes, str):
        dtypes = [dtypes]
    if not list(seeds) or (dtypes is not None and not list(dtypes)):
        raise ArgumentError("assert_gradients: expected at least one seed and one dtype, got none")
    for dtype in [options.pop("dtype", None)] if dtypes is None else dtypes:
        for seed in seeds:
            report = check(target, *inputs, seed=seed, dtype=dtype, **options)
            if not report.passed:
                tried = f"seed={seed}" + ("" if dtype is None else f", dtype={str(dtype)!r}")
                raise AssertionError(
                    f"the gradients of {report.target} do not pass with {tried}:\n\n{report}"
                )
