"""One of several processes that train together: what it does before, and how its failure becomes known."""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from robotrain_runtime.emit import DESCRIPTOR

from robotrain_workloads.lerobot_train.agreement import Agreement
from robotrain_workloads.lerobot_train.device import first_rank

PR_SET_PDEATHSIG = 1


def begin() -> None:
    """End with the process that started this one, and send events the way it would."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    number = os.environ.pop(DESCRIPTOR, "")  # it is that process's: here the number may be anything
    if number and first_rank():
        with suppress(OSError):
            os.environ[DESCRIPTOR] = str(os.open(f"/proc/{os.getppid()}/fd/{number}", os.O_WRONLY))


@contextmanager
def failing(agreement: Agreement) -> Iterator[None]:
    """Leave to the process that started this one to say why it fails: once, and after all that the others say."""
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.code, str):
            raise
        agreement.fail(end.code)
        raise SystemExit(1) from None
    except Exception:
        agreement.fail(traceback.format_exc())
        raise SystemExit(1) from None
