"""The report of a training run: a page, pictures, and findings in plain sentences."""

from chainrule.reports.finding import RunFinding
from chainrule.reports.training_report import TrainingReport, report

__all__ = ["RunFinding", "TrainingReport", "report"]
