"""The report of a run while it trains, on the loopback address of this machine."""

from chainrule.reports.live.watching import Watching, watch

__all__ = ["Watching", "watch"]
