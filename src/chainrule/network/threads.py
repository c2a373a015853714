"""How many threads the matrix products of a training use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from chainrule.program import Program
from chainrule.training import whole_number

# Multiplications in the largest product of a step below which one thread is used. On two idle cores two threads
# took 0.7 of the time of one for 4 million, and 0.5 for 50 million; but with another program on one of the cores
# they took up to 50 times as long, as BLAS's threads wait for each other after every product.
SMALL_PRODUCT = 8_000_000


@contextlib.contextmanager
def limited_threads(threads: int | None, program: Program) -> Iterator[None]:
    """Let BLAS use so many threads inside the block; by default one where the products are small."""
    if threads is not None:
        threads = whole_number("threads", threads, 1)
    if threads is None and largest_product(program) >= SMALL_PRODUCT:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if threads is None else threads, user_api="blas"):
        yield


def largest_product(program: Program) -> int:
    """The number of multiplications in the largest matrix product of a step."""
    largest = max((value.size for value in program.params.values() if value.ndim == 2), default=0)
    return largest * program.batch_size
