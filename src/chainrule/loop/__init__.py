"""The training loop, its callbacks and its record."""

from chainrule.loop.batches import Batches, Sampling
from chainrule.loop.callbacks import Callback, EarlyStopping, Examiner, Findings, Measures, Run, Trainee
from chainrule.loop.health import Health
from chainrule.loop.history import History
from chainrule.loop.interrupts import Interrupts
from chainrule.loop.loop import Standing, train
from chainrule.loop.pace import Pace
from chainrule.loop.progress import ProgressBar, is_watched

__all__ = [
    "Batches",
    "Callback",
    "EarlyStopping",
    "Examiner",
    "Findings",
    "Health",
    "History",
    "Interrupts",
    "Measures",
    "Pace",
    "ProgressBar",
    "Run",
    "Sampling",
    "Standing",
    "Trainee",
    "is_watched",
    "train",
]
