"""Ctrl-C during a training, or another signal to end: the first asks it to stop, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, ClassVar, Self

from chainrule.signals import ENDING, has_default


class Interrupts:
    """While the block runs, the first Ctrl-C, SIGTERM or SIGHUP is noted in `asked` and does nothing else.

    After it they do what they did outside of the block; SIGHUP alone does nothing more, since a terminal that is
    closed may send it twice.

    Only the main thread receives signals, and only the usual handlers are replaced: where a signal is ignored, as
    Ctrl-C in a shell script's background job or SIGHUP under nohup, or an application or an outer block handles
    it, it stays so.
    """

    #: The signal that was noted last, in any block.
    last: ClassVar[int] = signal.SIGINT

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in filter(has_default, ENDING):
                self._before[number] = signal.getsignal(number)
                signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._put_back(*self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked, Interrupts.last = True, number
        self._put_back(*(each for each in self._before if each != getattr(signal, "SIGHUP", None)))

    def _put_back(self, *numbers: int) -> None:
        for number in numbers:
            signal.signal(number, self._before[number])
