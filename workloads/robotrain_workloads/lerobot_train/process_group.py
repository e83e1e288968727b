"""Processes that train together: how they agree on a last step, stop on a signal, and report a failure.

Each hears of a stop at another step, and one that ended alone would leave the others waiting for its gradients. So the
first process names a step, one ahead, before it goes on to it. No gradient of that step is complete without its own:
whoever has done that step finds the name there. It costs one look for a file a step, and there is nothing to wait for.
"""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Protocol

from robotrain_runtime.contract.event import EVENTS_DESCRIPTOR

from robotrain_workloads.lerobot.device import is_first_rank

AGREEMENT_VARIABLE = "ROBOTRAIN_AGREEMENT"
"""The environment name of the folder; it is there in each of several processes that train together."""


class ProcessAgreement:
    """One folder. `ask` and `failure` are for the process that starts the others, the rest is for those."""

    def __init__(self, folder: Path) -> None:
        self._began = folder / "began"
        self._asked = folder / "asked"
        self._last = folder / "last"
        self._failed = folder / "failed"

    def mark_started(self) -> None:
        """A step is done: from now on a stop waits for a checkpoint."""
        self._began.touch()

    @property
    def has_started(self) -> bool:
        """Whether there is something that a checkpoint could save."""
        return self._began.exists()

    def request_stop(self) -> None:
        """Training is to stop."""
        self._asked.touch()

    @property
    def is_stop_requested(self) -> bool:
        """Whether it is to stop."""
        return self._asked.exists()

    def announce_last_step(self, step: int) -> None:
        """The step after which all of them save and end. Only for the first process."""
        scratch = self._last.with_suffix(".part")
        scratch.write_text(str(step))
        os.replace(scratch, self._last)

    @property
    def last_step(self) -> int | None:
        """The step that was named, if any."""
        with suppress(FileNotFoundError):
            return int(self._last.read_text())
        return None

    def report_failure(self, text: str) -> None:
        """Why this process fails. Only the first one is kept: the others fail because it is gone."""
        with suppress(FileExistsError), self._failed.open("x", encoding="utf-8") as file:
            file.write(text)

    @property
    def failure(self) -> str:
        """What the first that failed said; empty when it could not say anything."""
        with suppress(FileNotFoundError):
            return self._failed.read_text(encoding="utf-8")
        return ""


def get_process_agreement() -> ProcessAgreement | None:
    """The one this process takes part in; None when it trains alone."""
    folder = os.environ.get(AGREEMENT_VARIABLE)
    return ProcessAgreement(Path(folder)) if folder else None


STOPPED_STATUS = 128 + signal.SIGTERM


def print_line(text: str) -> None:
    """A line, whole: others may print to the same pipe at that moment, and `print` sends a line's end by itself."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class StopHandler(Protocol):
    """together: whether other processes have to come as far before this one may end."""

    is_group: bool

    def should_stop(self, step: int) -> bool:
        """Asked when a step is done: whether it was the last."""


class SingleProcessStop:
    """Hears SIGTERM. asked: whether it came; from the first step on, the end waits for a checkpoint."""

    is_group = False

    def __init__(self) -> None:
        self.is_requested = False
        self._training = False
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runtime hears it too, and passes it on as SIGTERM

    def should_stop(self, step: int) -> bool:
        """At the first step after the signal."""
        self._training = True
        return self.is_requested

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._training:
            raise SystemExit(STOPPED_STATUS)
        if not self.is_requested:
            print_line("told to stop: saving a checkpoint first")
        self.is_requested = True


class GroupStop:
    """One of several processes. It is told through their agreement; SIGTERM means that another one failed, and ends it
    at once, also where it waits for that one in a place that Python cannot interrupt.
    """

    is_group = True

    def __init__(self, agreement: ProcessAgreement, *, first: bool) -> None:
        self._agreement = agreement
        self._first = first
        self._named = False
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def should_stop(self, step: int) -> bool:
        """At the step they agreed on."""
        if self._first:
            self._agreement.mark_started()
            if self._agreement.is_stop_requested and not self._named:
                self._agreement.announce_last_step(step + 1)
                self._named = True
        return self._agreement.last_step == step


PR_SET_PDEATHSIG = 1


def attach_to_launcher() -> None:
    """End with the process that started this one, and send events the way it would."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    number = os.environ.pop(EVENTS_DESCRIPTOR, "")  # it is that process's: here the number may be anything
    if number and is_first_rank():
        with suppress(OSError):
            os.environ[EVENTS_DESCRIPTOR] = str(os.open(f"/proc/{os.getppid()}/fd/{number}", os.O_WRONLY))


@contextmanager
def report_failures(agreement: ProcessAgreement) -> Iterator[None]:
    """Leave to the process that started this one to say why it fails: once, and after all that the others say."""
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.code, str):
            raise
        agreement.report_failure(end.code)
        raise SystemExit(1) from None
    except Exception:
        agreement.report_failure(traceback.format_exc())
        raise SystemExit(1) from None
