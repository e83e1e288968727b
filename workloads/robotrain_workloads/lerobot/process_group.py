"""Processes that train together: agreement on the last step, stop on a signal, and report of a failure.

Each process sees a stop at another step, and one that ended alone would leave the others waiting for its gradients. So
the first process announces the last step one step ahead, before it starts that step. The others cannot complete the
step without its gradients, so each finds the announcement when it is done. It costs one file lookup a step and no wait.
"""

import os
import resource
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from robotrain_runtime.contract.event import EVENTS_DESCRIPTOR
from robotrain_runtime.contract.files import write_atomically
from robotrain_runtime.process.stop import STOPPED_STATUS, end_with_parent

from robotrain_workloads.lerobot.device import is_first_rank

AGREEMENT_VARIABLE = "ROBOTRAIN_AGREEMENT"
"""The environment variable with the shared folder, set in each of several processes that train together."""


class ProcessAgreement:
    """A shared folder: the launching process requests a stop, the launched ones report steps and failures."""

    def __init__(self, folder: Path) -> None:
        self.started = folder / "began"
        """Exists when a step is done: from now on a stop waits for a checkpoint."""
        self.stop_requested = folder / "asked"
        """Exists when training is to stop."""
        self._last_step_file = folder / "last"
        self._failure_file = folder / "failed"

    def announce_last_step(self, step: int) -> None:
        """Announce the step after which all processes save and end. Only for the first process."""
        write_atomically(self._last_step_file, str(step).encode())

    @property
    def last_step(self) -> int | None:
        """The announced step, if any."""
        with suppress(FileNotFoundError):
            return int(self._last_step_file.read_text())
        return None

    def report_failure(self, text: str) -> None:
        """Record why this process fails. Only the first report is kept: others fail because of it."""
        with suppress(FileExistsError), self._failure_file.open("x", encoding="utf-8") as file:
            file.write(text)

    @property
    def failure(self) -> str:
        """The first reported failure; empty for none."""
        with suppress(FileNotFoundError):
            return self._failure_file.read_text(encoding="utf-8")
        return ""


def get_process_agreement() -> ProcessAgreement | None:
    """Return the agreement of this process; None when it trains alone."""
    folder = os.environ.get(AGREEMENT_VARIABLE)
    return ProcessAgreement(Path(folder)) if folder else None


def print_line(text: str) -> None:
    """Print a complete line: `print` writes the line end separately, and others write to the same pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class SingleProcessStop:
    """Handler of SIGTERM in a single process: after the first step, the end waits for a checkpoint."""

    is_group = False
    """Whether other processes have to reach the same step before this one may end."""

    def __init__(self) -> None:
        self.is_requested = False
        self._training = False
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runtime forwards it as SIGTERM

    def should_stop(self, step: int) -> bool:
        """Return whether `step`, which is done, was the last one."""
        self._training = True
        return self.is_requested

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._training:
            raise SystemExit(STOPPED_STATUS)
        if not self.is_requested:
            print_line("stopping: saving a checkpoint first")
        self.is_requested = True


class GroupStop:
    """Stop of one of several processes, by their agreement.

    SIGTERM means that another process failed: it ends this one at once, also where Python cannot interrupt it.
    """

    is_group = True

    def __init__(self, agreement: ProcessAgreement, *, first: bool) -> None:
        self._agreement = agreement
        self._first = first
        self._announced = False
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def should_stop(self, step: int) -> bool:
        """Return whether `step` is the one they agreed on."""
        if self._first:
            self._agreement.started.touch()
            if self._agreement.stop_requested.exists() and not self._announced:
                self._agreement.announce_last_step(step + 1)
                self._announced = True
        return self._agreement.last_step == step


StopHandler = SingleProcessStop | GroupStop
"""What decides after each step whether training stops."""


def attach_to_launcher() -> None:
    """End with the launching process, and send events through its descriptor."""
    end_with_parent()
    number = os.environ.pop(EVENTS_DESCRIPTOR, "")  # a number in that process
    if number and is_first_rank():
        with suppress(OSError):
            os.environ[EVENTS_DESCRIPTOR] = str(os.open(f"/proc/{os.getppid()}/fd/{number}", os.O_WRONLY))


@contextmanager
def report_failures(agreement: ProcessAgreement) -> Iterator[None]:
    """Leave the error message to the launching process, which prints it once, after all other output."""
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


def exit_with_status(status: int) -> None:
    """End as a process did that failed, so that the runtime sees its signal. Raise SystemExit."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    raise SystemExit(status)
