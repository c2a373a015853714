"""What is typed for an --input or an --arg of `chainrule check`: shapes of random arrays, labels, numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.arrays import Shape
from chainrule.errors import ArgumentError

MOST_NUMBERS = 10_000_000
_ARRAY_NAME = re.compile(r"(w|b|weights?|bias(es)?|gamma|beta)\d*", re.IGNORECASE)
_SHAPE = re.compile(r"\d+x?|\d+(x\d+)+", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d+", re.ASCII)
_INPUT_FORMS = (
    "4x5 (random numbers), 4:3 (4 labels from 0 to 2), 4x3:onehot, 4x5:positive, or a number such as 0.5"
)


def parse_inputs(texts: Sequence[str], seed: int) -> list[Any]:
    """The arrays that --input stands for, each time it is given."""
    return [_input(text, np.random.default_rng([seed, 1, k])) for k, text in enumerate(texts)]


def parse_arguments(texts: Sequence[str], seed: int) -> dict[str, Any]:
    """The names and the values that --arg stands for."""
    given = dict(_argument(text, np.random.default_rng([seed, 2, k])) for k, text in enumerate(texts))
    if len(given) < len(texts):
        raise ArgumentError("--arg: expected each name once")
    return given


def parse_pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """The names and what is said of them, NAME=WHAT each."""
    pairs = [text.partition("=")[::2] for text in texts]
    for (name, what), text in zip(pairs, texts, strict=True):
        if not name.strip() or not what.strip():
            raise ArgumentError(f"{option}: expected NAME=ATTRIBUTE, such as W=grad_of_W, got {text!r}")
    return {name.strip(): what.strip() for name, what in pairs}


def parse_sizes(text: str) -> bool | list[int] | dict[int, list[int]]:
    """The lengths of --sizes: "odd", "1,7,33", or "64:63,65"."""
    length, colon, others = text.strip().partition(":")
    if text.strip() == "odd":
        return True
    numbers = [part.strip() for part in (others if colon else length).split(",")]
    if not all(_WHOLE.fullmatch(each) for each in [*numbers, *([length] if colon else [])]):
        raise ArgumentError(f"--sizes: expected odd, 1,7,33 or 64:63,65, got {text!r}")
    lengths = [int(each) for each in numbers]
    return {int(length): lengths} if colon else lengths


def holds_labels(text: str) -> bool:
    """Whether an --input stands for labels, as numbers or as rows of 0 and 1."""
    return text.endswith(":onehot") or re.fullmatch(r".*:\d+", text, re.ASCII) is not None


def example_of(name: str, inputs: Sequence[Any]) -> str:
    """What could be typed for a constructor's argument of that name."""
    width = inputs[0].shape[-1] if inputs and np.ndim(inputs[0]) else 5
    return f"{width}x3" if _ARRAY_NAME.fullmatch(name) and name.lower().startswith("w") else "3"


def _input(text: str, rng: np.random.Generator) -> Any:
    """The array that an --input stands for."""
    shape_text, colon, kind = text.strip().partition(":")
    if not colon and not _SHAPE.fullmatch(shape_text):
        number = _number(shape_text)
        if number is None:
            raise ArgumentError(f"--input: expected {_INPUT_FORMS}, got {text!r}")
        return np.float64(number)
    if not _SHAPE.fullmatch(shape_text):
        raise ArgumentError(f"--input: expected {_INPUT_FORMS}, got {text!r}")
    shape = _shape(shape_text, "--input", text)
    if not colon:
        return rng.normal(size=shape)
    if kind == "onehot":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if kind == "positive":
        return rng.uniform(0.5, 2.0, shape)
    if re.fullmatch(r"\d{1,9}", kind, re.ASCII) and int(kind) > 0:
        return rng.integers(0, int(kind), shape)
    raise ArgumentError(
        f"--input {text!r}: expected a number of classes, onehot or positive after the colon, got {kind!r}"
    )


def _argument(text: str, rng: np.random.Generator) -> tuple[str, Any]:
    """The name and the value that an --arg stands for."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name.isidentifier():
        raise ArgumentError(f"--arg: expected NAME=3x4 (a random array) or NAME=0.5 (a number), got {text!r}")
    alone = _WHOLE.fullmatch(value) is not None
    if _SHAPE.fullmatch(value) and (not alone or _ARRAY_NAME.fullmatch(name)):
        return name, rng.normal(size=_shape(value, "--arg", text))
    number = int(value) if alone and len(value) < 20 else _number(value)
    if number is None:
        raise ArgumentError(
            f"--arg {text!r}: expected a shape such as 3x4, 3x for one axis, or a number such as 7 or 0.5; for "
            f"another value make the object in the file, and name the object"
        )
    return name, number


def _shape(text: str, option: str, whole: str) -> Shape:
    parts = [part for part in text.split("x") if part]
    shape = tuple(int(part[:12]) for part in parts)
    size = 1
    for length in shape:
        size *= length
    if not 0 < size <= MOST_NUMBERS or len(shape) > 32:
        raise ArgumentError(
            f"{option} {whole!r}: expected lengths of at least 1, and at most {MOST_NUMBERS:,} numbers in all"
        )
    return shape


def _number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        number = float(text) if text.isascii() and "_" not in text else np.nan
    except ValueError:
        return None
    return number if np.isfinite(number) else None
