"""The report of a training run: a page, pictures, and findings in plain sentences."""

from chainrule.reports.symptom import Symptom
from chainrule.reports.training_report import TrainingReport, report

__all__ = ["Symptom", "TrainingReport", "report"]
