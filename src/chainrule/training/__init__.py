"""The training loop, its callbacks and its record."""

from chainrule.training.callbacks import Callback, EarlyStopping, Examiner, Findings, Measures, Run, Trainee
from chainrule.training.health import Health
from chainrule.training.history import History
from chainrule.training.loop import Plan, Sampling, train, whole_number
from chainrule.training.progress import ProgressBar, is_watched

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
