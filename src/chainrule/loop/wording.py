"""A training in words: how long it was, what it reached, how it ended."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from chainrule.text import as_float, counted, duration

if TYPE_CHECKING:
    from chainrule.loop.history import History


def one_line(history: History) -> str:
    """'1,200 iterations, 20 epochs, train loss 0.0830, test accuracy 0.9712, 1.30 s, finished'."""
    parts = [*extent(history), *figures(history)]
    if history.seconds:
        parts.append(duration(as_float(history.seconds[-1])))
    if history.stopped:
        parts.append(textwrap.shorten(history.stopped, 80, placeholder=" ..."))
    return ", ".join(parts)


def extent(history: History) -> list[str]:
    """How many iterations there are, and how many epochs, where the settings tell and one is done."""
    done = len(history.loss)
    parts = [counted(done, history.unit)]
    samples, batch = (history.settings.get(name) for name in ("samples", "batch_size"))
    if done and isinstance(samples, int) and isinstance(batch, int) and 0 < batch <= samples:
        joins = "last_batch" in history.settings or history.settings.get("sampling") != "shuffle"
        epochs = done / (samples // batch if joins else math.ceil(samples / batch))
        text = f"{epochs:,.0f}" if epochs >= 100 else f"{epochs:.3g}"
        if epochs >= 1:
            parts.append(f"{text} epoch{'' if text == '1' else 's'}")
    return parts


def figures(history: History) -> list[str]:
    """The last train loss, or that of the last batch, and what tells most about new data."""
    parts = []
    loss = history.latest("train_loss")
    if loss is not None:
        parts.append(f"train loss {number(loss)}")
    elif history.loss:
        parts.append(f"last batch's loss {number(history.loss[-1])}")
    for name in ("test_accuracy", "train_accuracy", "test_loss"):
        value = history.latest(name)
        if value is not None:
            loss = history.latest(name.replace("accuracy", "loss"))  # where it is NaN, no answer was counted
            counted_none = "accuracy" in name and loss is not None and math.isnan(as_float(loss))
            shown = "not measured" if counted_none else number(value)
            return [*parts, f"{name.replace('_', ' ')} {shown}"]
    return parts


def number(value: float) -> str:
    """A measure to read: '0.0830', '2.3026', '1.235e+04'."""
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.4f}"
    return f"{as_float(value):.4g}"
