"""Processes that train together: agreement on the last step, stop on a signal, and report of a failure.

Each process sees a stop at another step, and one that ended alone would leave the others waiting for its gradients. So
the first process announces the last step one step ahead, before it starts that step. The others cannot complete the
step without its gradients, so each finds the announcement when it is done. It costs one file lookup a step and no wait.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import FrameType

from robotrain_runtime.contract.event import EVENTS_DESCRIPTOR, emit_note
from robotrain_runtime.contract.files import write_atomically
from robotrain_runtime.process.stop import STOPPED_STATUS, end_with_parent

from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot.device import is_first_rank
from robotrain_workloads.nodes.node_group import NODE_STOP_SIGNAL

AGREEMENT_VARIABLE = "ROBOTRAIN_AGREEMENT"
"""The environment variable with the shared folder, set in each of several processes that train together."""
NOTICE_SECONDS = 5.0
"""How long the launching process may take to notice a signal that all processes got."""
RANK_PREFIX, DONE = "rank-", b"done"


SECONDS = 7200
"""How long a rank waits for what another one announces: it may load its data for long."""
PREFIX = "robotrain"


class RankStore:
    """Texts by name, which all ranks see. Needs PyTorch, and torchrun, which started this process."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        from torch import distributed

        store = distributed.TCPStore(
            environ["MASTER_ADDR"],
            int(environ["MASTER_PORT"]),
            is_master=False,
            timeout=timedelta(seconds=SECONDS),
            wait_for_workers=False,
        )
        self._store = distributed.PrefixStore(PREFIX, store)

    def announce(self, name: str, text: str) -> None:
        """Set a text, for all ranks."""
        self._store.set(name, text)

    def find(self, name: str) -> str:
        """Return a text; empty if no rank has announced it, or if the store is gone with the node that had it."""
        try:
            return self.wait(name) if self._store.check([name]) else ""
        except RuntimeError:  # torch's DistNetworkError is one
            return ""

    def wait(self, name: str) -> str:
        """Return a text once a rank has announced it. Raise RuntimeError if none does in time."""
        return bytes(self._store.get(name)).decode()


class ProcessAgreement:
    """A shared folder: the launching process requests a stop, the launched ones report steps and failures."""

    def __init__(self, folder: Path) -> None:
        self.started = folder / "began"
        """Exists when a step is done: from now on a stop waits for a checkpoint."""
        self.stop_requested = folder / "asked"
        """Exists when training is to stop."""
        self._folder = folder
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
            return self._failure_file.read_text("utf-8")
        return ""

    def enter_rank(self) -> None:
        """Record that this process is one of the ranks that train."""
        write_atomically(self._folder / f"{RANK_PREFIX}{os.getpid()}", b"")

    def leave_rank(self) -> None:
        """Record that this process has done its work."""
        write_atomically(self._folder / f"{RANK_PREFIX}{os.getpid()}", DONE)

    def list_ranks(self) -> dict[int, bool]:
        """Return the processes that have entered, each with whether it has done its work."""
        files = self._folder.glob(f"{RANK_PREFIX}*")
        return {int(file.name.removeprefix(RANK_PREFIX)): file.read_bytes() == DONE for file in files}


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


class NodesStop(GroupStop):
    """Stop of one of the processes on several nodes: by a store, as their disks differ.

    A node that is asked to stop says so, and the first process announces the last step as in `GroupStop`.
    """

    def __init__(self, agreement: ProcessAgreement, store: RankStore, *, first: bool) -> None:
        super().__init__(agreement, first=first)
        signal.signal(NODE_STOP_SIGNAL, signal.SIG_IGN)  # Slurm sends it to all processes of a task, not to its first
        self._store = store
        self._has_started = False

    def require_same(self, device: str, hardware: str) -> None:
        """Raise SystemExit if this process would compute on another device than the first: they would wait for ever.

        A node with other hardware of the same kind is only slower, which is noted.
        """
        if self._first:
            self._store.announce(DEVICE, f"{device}\n{hardware}")
            return
        first_device, _, first_hardware = self._store.wait(DEVICE).partition("\n")
        if first_device != device:
            device_difference = f"this node trains on {device} and the first one on {first_device}"
            raise WorkFailed(f"the nodes are of different kinds: {device_difference} (use like nodes, or --device cpu)")
        if hardware != first_hardware and os.environ.get("LOCAL_RANK", "0") == "0":
            note_text = (
                f"nodes of different kinds train together, at the pace of the slowest: {first_hardware}, {hardware}"
            )
            emit_note(note_text, "warning")

    def require_same_decoder(self, program: str) -> None:
        """Raise SystemExit if this process would decode videos with another program than the first one."""
        if self._first:
            self._store.announce(DECODER, program)
        elif (first_decoder := self._store.wait(DECODER)) != program:
            decoder_difference = (
                f"this node decodes videos with {program or 'nothing'} and the first one with "
                f"{first_decoder or 'nothing'}"
            )
            raise WorkFailed(f"the nodes decode differently: {decoder_difference} (-- --dataset.video_backend=pyav)")

    def require_same_start(self, step: int) -> None:
        """Raise SystemExit if this process would go on from another step than the first one."""
        if self._first:
            self._store.announce(START, str(step))
        elif (first_step := self._store.wait(START)) != str(step):
            step_difference = f"this node would go on from step {step} and the first one from step {first_step}"
            raise WorkFailed(f"the nodes have different checkpoints: {step_difference}")

    def should_stop(self, step: int) -> bool:
        """Return whether `step` is the one they agreed on."""
        if not self._has_started:
            self._agreement.started.touch()
            self._has_started = True
        if self._agreement.stop_requested.exists():
            self._store.announce(STOP_REQUEST, "1")
        if self._first and not self._announced and self._store.find(STOP_REQUEST):
            self._store.announce(LAST_STEP, str(step + 1))
            self._announced = True
        return self._store.find(LAST_STEP) == str(step)


def outlive_platform_signals(agreement: ProcessAgreement) -> None:
    """Let SIGTERM of another process than the launching one pass where that one was asked to stop as well.

    Slurm sends it to all processes of a node that it takes away: those that train are to save a checkpoint first. Must
    be called before other threads exist, as numpy starts them when it is imported: the signal would end the process.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_wait_for_launcher, args=(agreement,), daemon=True).start()


def _wait_for_launcher(agreement: ProcessAgreement) -> None:
    if sys.platform == "darwin":  # it has no `sigwaitinfo`
        return
    while True:
        sender = signal.sigwaitinfo({signal.SIGTERM}).si_pid
        deadline = time.monotonic() + NOTICE_SECONDS
        while sender != os.getppid() and not agreement.stop_requested.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        if sender == os.getppid() or not agreement.stop_requested.exists():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            os.kill(os.getpid(), signal.SIGTERM)


START, STOP_REQUEST, LAST_STEP, DEVICE, DECODER = "start", "stop", "last", "device", "decoder"
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
