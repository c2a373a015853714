"""Checking: `check` holds a backward against numerical differentiation, and names the mistake."""

from chainrule.checking.assertions import assert_gradients
from chainrule.checking.checker import check
from chainrule.checking.report import CheckReport, Finding, Row

__all__ = ["CheckReport", "Finding", "Row", "assert_gradients", "check"]
