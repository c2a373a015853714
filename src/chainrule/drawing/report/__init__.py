"""The report of a training run: a page, pictures, and findings in plain sentences."""

from chainrule.drawing.report.findings import RunFinding
from chainrule.drawing.report.run_report import TrainingReport, report

__all__ = ["RunFinding", "TrainingReport", "report"]
