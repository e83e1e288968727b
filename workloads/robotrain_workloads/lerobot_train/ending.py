"""Being told to stop: once training goes on, one more checkpoint is saved first."""

import signal
import sys
from types import FrameType
from typing import Protocol

from robotrain_workloads.lerobot_train.agreement import Agreement

STOPPED = 128 + signal.SIGTERM


def say(text: str) -> None:
    """A line, whole: others may print to the same pipe at that moment, and `print` sends a line's end by itself."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Ending(Protocol):
    """together: whether other processes have to come as far before this one may end."""

    together: bool

    def due(self, step: int) -> bool:
        """Asked when a step is done: whether it was the last."""


class Alone:
    """Hears SIGTERM. asked: whether it came; from the first step on, the end waits for a checkpoint."""

    together = False

    def __init__(self) -> None:
        self.asked = False
        self._training = False
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runtime hears it too, and passes it on as SIGTERM

    def due(self, step: int) -> bool:
        """At the first step after the signal."""
        self._training = True
        return self.asked

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._training:
            raise SystemExit(STOPPED)
        if not self.asked:
            say("told to stop: saving a checkpoint first")
        self.asked = True


class Together:
    """One of several processes. It is told through their agreement; SIGTERM means that another one failed, and ends it
    at once, also where it waits for that one in a place that Python cannot interrupt.
    """

    together = True

    def __init__(self, agreement: Agreement, *, first: bool) -> None:
        self._agreement = agreement
        self._first = first
        self._named = False
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def due(self, step: int) -> bool:
        """At the step they agreed on."""
        if self._first:
            self._agreement.begin()
            if self._agreement.asked and not self._named:
                self._agreement.name(step + 1)
                self._named = True
        return self._agreement.last == step
