"""Targets: what can be checked, each kind in one form: named inputs, and calls that go forward and backward."""
