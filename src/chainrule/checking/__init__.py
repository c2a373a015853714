"""Checking: `check` holds a backward against numerical differentiation, and names the mistake."""

from chainrule.checking.checker import check
from chainrule.checking.report import Finding, Report, Row

__all__ = ["Finding", "Report", "Row", "check"]
