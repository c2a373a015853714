"""Random numbers that are the same every time, while something that draws them is checked."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

Generators = np.random.Generator | np.random.RandomState | random.Random


@contextmanager
def fixed_randomness(function: Any, seed: int = 0) -> Iterator[None]:
    """Random numbers are the same every time: NumPy's and Python's global ones, and those of generators that stand
    in the module of the function, or on its object and its class. All are put back afterwards.
    """
    kept, kept_python = np.random.get_state(), random.getstate()  # noqa: NPY002  # the checked code may use it
    generators = list(_beside(function))
    states = [_state(each) for each in generators]
    np.random.seed(seed)  # noqa: NPY002  # users draw from the global generator
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(kept)  # noqa: NPY002  # put back as it was
        random.setstate(kept_python)
        for generator, state in zip(generators, states, strict=True):
            _set(generator, state)


def held(function: Any, draws: bool, seed: int = 0) -> AbstractContextManager[None]:
    """The same for what draws random numbers; nothing for what does not, since it takes time."""
    return fixed_randomness(function, seed) if draws else nullcontext()


def _beside(function: Any) -> Iterable[Generators]:
    """The generators that a function, or a method, finds in its module, on its object and on its class."""
    own = getattr(function, "__self__", None)
    plain = inspect.unwrap(getattr(function, "__func__", function))
    places = [getattr(plain, "__globals__", {})]
    if own is not None:
        places += [getattr(own, "__dict__", {}), *(vars(cls) for cls in type(own).__mro__)]
    return [each for place in places for each in list(place.values()) if isinstance(each, Generators)]


def _state(generator: Generators) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state() if isinstance(generator, np.random.RandomState) else generator.getstate()


def _set(generator: Generators, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.setstate(state)
