"""Who may do what with a network at the same time: one training, and any number of readers beside it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from chainrule.errors import BusyError
from chainrule.locks import renew_after_fork


class Callers:
    """The callers of one network, from any number of threads.

    Predictions need no permission: each has an arena of its own, and reads the parameters as they are. A training
    holds `steps` while steps run, for about a twentieth of a second at a time; what must see the parameters between
    two steps holds `between_steps`, and gets its turn before the next ones.
    """

    def __init__(self) -> None:
        self._training: tuple[int, object] | None = None  # the thread that trains, and which training it is
        renew_after_fork(self, Callers._renew)

    def _renew(self) -> None:
        self._gate, self._steps = threading.Lock(), threading.Lock()
        if self.others_train:  # in a child process, only the thread that forked lives on
            self._training = None

    @property
    def others_train(self) -> bool:
        """Whether another thread is training the network."""
        training = self._training
        return training is not None and training[0] != threading.get_ident()

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """A training, from its first step to its last. Raises BusyError when there is one already."""
        mine = threading.get_ident(), object()
        try:
            with self._gate:
                if self._training is not None:
                    raise BusyError(
                        "this network is being trained already, "
                        + (
                            "by another thread"
                            if self.others_train
                            else "by this thread: in a with block of net.training(...), or in a fit whose callback "
                            "or layer asks for another"
                        )
                        + ": go on when that has ended, or train a copy, copy.deepcopy(net)"
                    )
                self._training = mine
            yield
        finally:
            if self._training is mine:
                self._training = None

    @contextlib.contextmanager
    def steps(self) -> Iterator[None]:
        """Some steps of a training."""
        with self._gate:  # whoever waits for a moment between two steps has it first
            pass
        with self._steps:
            yield

    @contextlib.contextmanager
    def between_steps(self) -> Iterator[None]:
        """A moment in which no other thread changes the parameters."""
        if not self.others_train:
            yield
            return
        with self._gate, self._steps:
            yield

    def check_assignment(self) -> None:
        """Raise BusyError when another thread is training: what is assigned would be lost among its steps."""
        if self.others_train:
            raise BusyError(
                "the parameters of this network cannot be assigned: another thread is training it; wait until that "
                "has ended, or change a copy, copy.deepcopy(net)"
            )
