"""The training loop, its callbacks and its record."""

from chainrule.arguments import whole_number
from chainrule.loop.callbacks import Callback, EarlyStopping, Examiner, Findings, Measures, Run, Trainee
from chainrule.loop.health import Health
from chainrule.loop.history import History
from chainrule.loop.loop import Plan, Sampling, train
from chainrule.loop.progress import ProgressBar, is_watched

__all__ = [
    "Callback",
    "EarlyStopping",
    "Examiner",
    "Findings",
    "Health",
    "History",
    "Measures",
    "Plan",
    "ProgressBar",
    "Run",
    "Sampling",
    "Trainee",
    "is_watched",
    "train",
    "whole_number",
]
