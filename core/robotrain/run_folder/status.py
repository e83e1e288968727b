"""The status of a run from its engine and its folder, and which job does its work."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from robotrain.model.platform import Platform
from robotrain.model.run import Output, Reference, RunGone, RunState, Status
from robotrain.run_folder import log, outputs

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.plan import Plan

CLAIM_LINK = "taken"
CANCELLED_FILE = "cancelled"


class RunOwner(NamedTuple):
    """The job that took the run: its name as the engine knows it, and its process on the machine where it runs."""

    name: str
    process: int


def find_owner(folder: Path) -> RunOwner | None:
    """Who took the run of `folder`; None while nobody did."""
    try:
        name, _, process = os.readlink(folder / CLAIM_LINK).rpartition(":")
    except FileNotFoundError:
        return None
    return RunOwner(name, int(process))


def is_cancelled(folder: Path) -> bool:
    """Whether somebody asked for its end."""
    return (folder / CANCELLED_FILE).exists()


def get_process_state(folder: Path) -> RunState:
    """How the process of this machine is that took the run: pending while none did, lost when it is gone."""
    took = find_owner(folder)
    if took is None:
        return "pending"
    return "running" if _is_alive(took, folder) else "lost"


def stop_process(folder: Path) -> None:
    """Send SIGTERM to the process of this machine that took the run, if it lives."""
    took = find_owner(folder)
    if took and _is_alive(took, folder):
        os.kill(took.process, signal.SIGTERM)


def _is_alive(took: RunOwner, folder: Path) -> bool:
    """Whether it works in the run's folder: the number alone may by now be another's. Only Linux tells."""
    try:
        return os.path.samefile(f"/proc/{took.process}/cwd", folder)
    except OSError:  # it ended
        return False


POLL_PAUSE_SECONDS = 1.0  # an engine is not asked more often
MAX_POLLS = 60  # times
LOCAL_STATES: Mapping[str, RunState] = {"pending": "pending", "running": "running", "lost": "lost"}


def require_run_folder(reference: Reference) -> Path:
    """The folder that `reference` names as `folder`. Raises RunGone when it is not there."""
    folder = Path(reference["folder"])
    if not folder.is_dir():
        raise RunGone(f"the run's folder {folder} is gone, and everything that was known of the run with it")
    return folder


def get_run_status(folder: Path, engine_state: str, states: Mapping[str, RunState], engine: str) -> Status:
    """How the run of `folder` is, when `engine` says `word`, or `word` and why, such as `PENDING (Priority)`.

    states: what a word means; with one that is not there the run goes on, since nobody said that it ended. How a run
    ended is what its runtime said, unless its job waits once more.
    """
    state, said, asked = (
        states.get(engine_state.partition(" ")[0], "running"),
        log.read_outcome(folder),
        is_cancelled(folder),
    )
    if said and state != "pending":
        who = f" by {engine}, as when its time is up" if said.state == "cancelled" and not asked else ""
        return Status(state=said.state, reason=said.reason + who, exit_code=said.exit_code)
    if asked and Status(state=state).finished:
        state = "cancelled"
    return Status(state=state, reason="" if engine_state.lower() == "running" else f"{engine} says {engine_state}")


class RunFolderPlatform(Platform):
    """For a platform to inherit from whose reference names the run's folder as `folder` and the job it sent as `job`.

    The job is, or becomes, the runtime with `--once` and `--log log.txt`. states: what its engine's words mean, as
    `status` takes them; in reasons the engine goes by the platform's name.
    """

    states: Mapping[str, RunState]

    def get_engine_state(self, job: str) -> str:
        """What the engine says of a job now, and after a space why."""
        raise NotImplementedError

    def stop_job(self, job: str) -> None:
        """Take a job from the queue, or have SIGTERM sent to its runtime, which saves what it has."""
        raise NotImplementedError

    def is_local(self, reference: Reference) -> bool:
        """Whether the job is a process of this machine (Linux), so that no engine is asked of it."""
        return False

    def status(self, reference: Reference) -> Status:
        """How the run is. Raises RunGone."""
        folder = require_run_folder(reference)
        if self.is_local(reference):
            return get_run_status(folder, get_process_state(folder), LOCAL_STATES, "this machine")
        return get_run_status(folder, self.get_engine_state(_get_job(reference)), self.states, self.name)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """What the log holds now, or its last lines, or everything up to the run's end. Raises RunGone."""
        return log.read_log_lines(
            require_run_folder(reference) / log.LOG_FILE, lambda: not follow or self._has_ended(reference), tail
        )

    def cancel(self, reference: Reference) -> None:
        """Stop the run, once, and return when it has ended, or after a minute. Raises RunGone."""
        folder = require_run_folder(reference)
        if is_cancelled(folder) or self.status(reference).finished:
            return
        (folder / CANCELLED_FILE).touch()  # first: a job that only now begins looks for it
        if self.is_local(reference):
            stop_process(folder)
        else:
            self.stop_job(_get_job(reference))
        any(self._has_ended(reference) for _ in range(MAX_POLLS))

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """Its complete checkpoints, then other files. Raises RunGone."""
        return outputs.list_outputs(require_run_folder(reference))

    def download(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output, whole. Raises Rejected."""
        outputs.download_output(output, to)

    @staticmethod
    def create_folder(plan: Plan, folder: Path) -> bool:
        """Create the run's folder with the plan's files, all or nothing; False when an earlier submit of it did.

        The payload `payload.zip` is unpacked in `payload/`: there `PYTHONPATH=payload python3 -m robotrain_runtime run
        job.json` is the job. Raise FileExistsError when something else is there, and OSError.
        """
        from robotrain.run_folder import creation

        return creation.create_run_folder(plan, folder)

    @staticmethod
    def has_plan(plan: Plan, folder: Path) -> bool:
        """Return whether `folder` has the files of this very plan, as an earlier submit left them."""
        from robotrain.run_folder import creation

        return creation.has_plan_files(plan, folder)

    @staticmethod
    def find_folder_problems(plan: Plan, folder: Path) -> Iterator[Problem]:
        """Return why `create_folder` would fail, for `preflight`; nothing is created."""
        from robotrain.run_folder import creation

        return creation.find_creation_problems(plan, folder)

    def _has_ended(self, reference: Reference) -> bool:
        time.sleep(POLL_PAUSE_SECONDS)
        return self.status(reference).finished


def _get_job(reference: Reference) -> str:
    """The job that took the run, or else the one that was sent."""
    took = find_owner(require_run_folder(reference))
    return took.name if took else reference["job"]
