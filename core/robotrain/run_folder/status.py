"""The status of a run from its engine and its folder, and a platform base class."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from robotrain.model.capabilities import YES
from robotrain.model.platform import Platform
from robotrain.model.run import Output, Reference, RunGone, RunState, Status
from robotrain.run_folder import creation, log, outputs

CLAIM_LINK = "taken"
CANCELLED_FILE = "cancelled"


class RunOwner(NamedTuple):
    """The job that works on the run: its name in the engine, and its process on its machine."""

    name: str
    process: int


def find_owner(folder: Path) -> RunOwner | None:
    """Return the job that works on the run; None before one began."""
    try:
        name, _, process = os.readlink(folder / CLAIM_LINK).rpartition(":")
    except FileNotFoundError:
        return None
    return RunOwner(name, int(process))


def is_cancelled(folder: Path) -> bool:
    """Return whether the run was cancelled."""
    return (folder / CANCELLED_FILE).exists()


def get_process_state(folder: Path) -> RunState:
    """Return the state of a run whose process is on this machine."""
    owner = find_owner(folder)
    if owner is None:
        return "pending"
    return "running" if _is_alive(owner, folder) else "lost"


def stop_process(folder: Path) -> None:
    """Send SIGTERM to the process on this machine that works on the run."""
    owner = find_owner(folder)
    if owner and _is_alive(owner, folder):
        os.kill(owner.process, signal.SIGTERM)


def _is_alive(owner: RunOwner, folder: Path) -> bool:
    """Return whether the process works in the run folder: its number may be reused. Linux only."""
    try:
        return os.path.samefile(f"/proc/{owner.process}/cwd", folder)
    except OSError:  # it ended
        return False


POLL_PAUSE_SECONDS = 1.0
MAX_POLLS = 60
LOCAL_STATES: Mapping[str, RunState] = {"pending": "pending", "running": "running", "lost": "lost"}


def require_run_folder(reference: Reference) -> Path:
    """Return the run folder of a reference. Raise RunGone if it does not exist."""
    folder = Path(reference["folder"])
    if not folder.is_dir():
        raise RunGone(f"the run folder {folder} no longer exists")
    return folder


def get_run_status(folder: Path, engine_state: str, states: Mapping[str, RunState], engine: str) -> Status:
    """Return the status of a run by its engine's state and its recorded outcome.

    :param engine_state: a word, which may be followed by a reason: `PENDING (Priority)`.
    :param states: the meaning of the engine's words; any other word means `running`.
    """
    state = states.get(engine_state.partition(" ")[0], "running")
    outcome, cancelled = log.read_outcome(folder), is_cancelled(folder)
    if outcome and state != "pending":  # a pending run has been restarted
        who = f" by {engine}, as when its time is up" if outcome.state == "cancelled" and not cancelled else ""
        return Status(state=outcome.state, reason=outcome.reason + who, exit_code=outcome.exit_code)
    if cancelled and Status(state=state).finished:
        state = "cancelled"
    return Status(state=state, reason="" if engine_state.lower() == "running" else f"{engine} says {engine_state}")


class RunFolderPlatform(Platform):
    """A base class for platforms with run folders.

    The reference has the run folder as `folder` and the engine's job as `job`, which runs the runtime with `--once` and
    `--log log.txt`.
    """

    states: Mapping[str, RunState]
    """The meaning of the engine's words for states."""

    def get_engine_state(self, job: str) -> str:
        """Return the engine's state of a job, which may be followed by a space and a reason."""
        raise NotImplementedError

    def stop_job(self, job: str) -> None:
        """Remove a job from the queue, or send SIGTERM to its runtime, which saves a checkpoint."""
        raise NotImplementedError

    def is_local(self, reference: Reference) -> bool:
        """Return whether the job is a process on this machine (Linux), without an engine."""
        return False

    def status(self, reference: Reference) -> Status:
        """Return the status of the run. Raise RunGone."""
        folder = require_run_folder(reference)
        if self.is_local(reference):
            return get_run_status(folder, get_process_state(folder), LOCAL_STATES, "this machine")
        return get_run_status(folder, self.get_engine_state(_get_job(reference)), self.states, self.name)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """Yield the lines of the log. Raise RunGone."""
        return log.read_log_lines(
            require_run_folder(reference) / log.LOG_FILE, lambda: not follow or self._has_ended(reference), tail
        )

    def events_file(self, reference: Reference) -> Path | None:
        """Return the events file in the run folder, once it is there. Raise RunGone."""
        return log.find_events_file(require_run_folder(reference))

    def cancel(self, reference: Reference) -> None:
        """Stop the run and return when it has ended, or after a minute. Raise RunGone."""
        if not self.capabilities.features.get("cancel", YES):
            super().cancel(reference)
        folder = require_run_folder(reference)
        if is_cancelled(folder) or self.status(reference).finished:
            return
        (folder / CANCELLED_FILE).touch()  # first: a job that begins now looks for it
        if self.is_local(reference):
            stop_process(folder)
        else:
            self.stop_job(_get_job(reference))
        any(self._has_ended(reference) for _ in range(MAX_POLLS))

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """Return the complete checkpoints, then other files. Raise RunGone."""
        return outputs.list_outputs(require_run_folder(reference))

    def download(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output atomically. Raise Rejected."""
        outputs.download_output(output, to)

    create_folder = staticmethod(creation.create_run_folder)
    has_plan = staticmethod(creation.has_plan_files)
    find_folder_problems = staticmethod(creation.find_creation_problems)

    def _has_ended(self, reference: Reference) -> bool:
        time.sleep(POLL_PAUSE_SECONDS)
        return self.status(reference).finished


def _get_job(reference: Reference) -> str:
    """Return the job that works on the run, or else the submitted one."""
    owner = find_owner(require_run_folder(reference))
    return owner.name if owner else reference["job"]
