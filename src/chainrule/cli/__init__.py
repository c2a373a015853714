"""The command line: parse, call, print."""

from chainrule.cli.app import main

__all__ = ["main"]
