"""Run folders of a platform: their creation from a plan, the status of a run, and a platform base class."""

import errno
import io
import os
import re
import shutil
import signal
import time
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from robotrain_runtime.contract import claim
from robotrain_runtime.contract.claim import RunOwner
from robotrain_runtime.contract.document import Mount
from robotrain_runtime.contract.event import Registered
from robotrain_runtime.contract.files import make_atomically, read_limited_file, write_atomically

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model import plan as plans
from robotrain.model.job import Job
from robotrain.model.plan import Plan
from robotrain.model.platform import Platform
from robotrain.model.run import Output, Reference, RunGone, RunState, Status
from robotrain.model.support import YES
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain.run_folder import code_copy, ended_run, log, outputs, settings_rules
from robotrain.run_folder.facts import ENGINE_END_FILE

make_problem = Messages(__file__)


def get_process_state(folder: Path) -> RunState:
    """Return the state of a run whose process is on this machine."""
    owner = claim.find_owner(folder)
    if owner is None:
        return "pending"
    return "running" if _is_alive(owner, folder) else "lost"


def stop_process(folder: Path) -> None:
    """Send SIGTERM to the process on this machine that works on the run."""
    owner = claim.find_owner(folder)
    if owner and _is_alive(owner, folder):
        os.kill(owner.process, signal.SIGTERM)


def _is_alive(owner: RunOwner, folder: Path) -> bool:
    """Return whether the process works in the run folder: its number may be reused. Linux only."""
    try:
        return os.path.samefile(f"/proc/{owner.process}/cwd", folder)
    except OSError:  # it ended
        return False


MAX_END_BYTES = 1 << 16
LAST_LINES = 20
POLL_PAUSE_SECONDS = 1.0
MAX_POLLS = 60
LOCAL_STATES: Mapping[str, RunState] = {"pending": "pending", "running": "running", "lost": "lost"}


def require_run_folder(reference: Reference) -> Path:
    """Return the run folder of a reference. Raise RunGone if it does not exist."""
    folder = Path(reference["folder"])
    if not folder.is_dir():
        raise RunGone(f"the run folder {folder} no longer exists")
    return folder


def explain_engine_state(engine_state: str, states: Mapping[str, RunState], engine: str) -> Status:
    """Return the status that an engine reports of a job.

    :param engine_state: a word, which may be followed by a reason: `PENDING (Priority)`; empty for a forgotten job.
    :param states: the meaning of the engine's words; any other word means `running`.
    """
    state = states.get(engine_state.partition(" ")[0], "running") if engine_state else "lost"
    says = f"{engine} says {engine_state}" if engine_state else f"{engine} no longer knows its job"
    return Status(state=state, reason="" if engine_state.lower() == "running" else says)


def get_run_status(folder: Path, job: Status, engine: str) -> Status:
    """Return the status of a run by that of its job and its recorded outcome.

    A run that did not succeed has not ended before its job has: its engine may start it again.
    """
    state, has_ended = job.state, job.finished
    outcome, cancelled = log.read_outcome(folder), (folder / claim.CANCELLED_FILE).exists()
    if outcome and (has_ended or (state == "running" and (cancelled or outcome.state == "succeeded"))):
        who = f" by {engine}, as when its time is up" if outcome.state == "cancelled" and not cancelled else ""
        return Status(state=outcome.state, reason=outcome.reason + who, exit_code=outcome.exit_code)
    return replace(job, state="cancelled") if cancelled and has_ended else job


def create_run_folder(plan: Plan, folder: Path, payload: str = "payload.zip") -> bool:
    """Write the files of `plan` to `folder`, and unpack its payload to `payload/`; return False if they exist already.

    `PYTHONPATH=payload python3 -m robotrain_runtime run job.json` in the folder runs the job. Raise FileExistsError if
    the folder has another content, OSError.

    :param payload: the path of the payload in the plan.
    """
    try:
        with make_atomically(folder) as part:
            plans.write_plan_files(plan, part)
            _unpack_payload(plan.files[payload], part / log.PAYLOAD_FOLDER)
        is_new = True
    except OSError as error:
        if not folder.is_dir():
            raise
        if not has_plan_files(plan, folder):
            raise FileExistsError(f"{folder} already exists with another content") from error
        is_new = False
    _remove_leftovers(folder)
    return is_new


LEFTOVER_NAME = re.compile(r"\.([\w-]+)\.[0-9a-f]{8}(?:\.part|\.gone)?")
"""The names of run folders that were not yet complete, or are being removed, with the name of their run."""
MIN_LEFTOVER_SECONDS = 24 * 3600
"""A younger one may be in use."""


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed commands left beside a run folder, which exists: of its own run, and old ones of others."""
    with suppress(OSError), os.scandir(folder.parent) as entries:
        for entry in entries:
            found = LEFTOVER_NAME.fullmatch(entry.name)
            if not (found and entry.is_dir(follow_symlinks=False)):
                continue
            age = time.time() - entry.stat(follow_symlinks=False).st_mtime
            if found[1] == folder.name or age > MIN_LEFTOVER_SECONDS:
                shutil.rmtree(entry.path, ignore_errors=True)


def _unpack_payload(archive: bytes, folder: Path) -> None:
    """Write the files of a payload, in half the time that `extractall` takes. Raise OSError."""
    made: set[str] = set()
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        for path in packed.namelist():
            above, _, name = path.rpartition("/")
            if path.startswith("/") or ".." in path.split("/"):
                raise OSError(errno.EINVAL, "the payload has a path that leads out of it", path)
            if above not in made:
                (folder / above).mkdir(parents=True, exist_ok=True)
                made.add(above)
            if name:
                (folder / path).write_bytes(packed.read(path))


def make_plan_code_mounts(job: Job, folder: Path) -> tuple[Mount, ...]:
    """Return where a run with this folder finds its own copy of the user's code, for `Placement.mounts`."""
    return code_copy.make_code_mounts(job.sources, str(folder / code_copy.CODE_FOLDER))


def copy_plan_code(plan: Plan, folder: Path) -> None:
    """Copy the user's code of a plan to where `make_plan_code_mounts` has it, unless it is there. Raise OSError."""
    for source in code_copy.list_code_folders(plan.job.sources):
        code_copy.copy_code(source, folder / code_copy.CODE_FOLDER)


def has_plan_files(plan: Plan, folder: Path) -> bool:
    """Return whether `folder` has the unchanged files of the plan."""
    return all((folder / path).is_file() and (folder / path).read_bytes() == plan.files[path] for path in plan.files)


def find_creation_problems(plan: Plan, folder: Path) -> Iterator[Problem]:
    """Yield problems that would make `create_run_folder` fail, without changing anything."""
    above = next((parent for parent in folder.parents if parent.is_dir()), folder.parent)
    if os.path.lexists(folder) and not has_plan_files(plan, folder):
        yield make_problem("run-folder-refused.exists", folder=folder)
    elif not os.access(above, os.W_OK):
        yield make_problem("run-folder-refused.not-creatable", folder=folder, above=above)


class RunFolderPlatform(Platform):
    """A base class for platforms with run folders.

    The reference has the run folder as `folder` and the engine's job as `job`, which runs the runtime with `--once` and
    `--log log.txt`.
    """

    states: Mapping[str, RunState]
    """The meaning of the engine's words for states."""
    output_file = ""
    """In the run folder, if there is one: what a job prints before the runtime begins, and why its engine ended it."""

    def get_engine_state(self, job: str) -> str:
        """Return the engine's state of a job, which may be followed by a space and a reason.

        It is empty if the engine no longer knows the job: then the last end that was seen counts, or the run is `lost`.
        """
        raise NotImplementedError

    def explain_state(self, engine_state: str) -> Status:
        """Return what `get_engine_state` returned as the status of the job: its state, and the reason in words."""
        return explain_engine_state(engine_state, self.states, self.name)

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
            process = explain_engine_state(get_process_state(folder), LOCAL_STATES, "this machine")
            return get_run_status(folder, process, "this machine")
        job = self.explain_state(self._read_or_record_end(folder, self.get_engine_state(_get_job(reference))))
        status = get_run_status(folder, job, self.name)
        if status is job and status.state in ("failed", "lost") and (line := self._read_last_line(folder)):
            return replace(status, reason=f"{status.reason}: {line}")
        return status

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
        if (folder / claim.CANCELLED_FILE).exists() or self.status(reference).finished:
            return
        (folder / claim.CANCELLED_FILE).touch()  # first: a job that begins now looks for it
        if self.is_local(reference):
            stop_process(folder)
        else:
            try:
                self.stop_job(_get_job(reference))
            except BaseException:  # so that it can be repeated
                (folder / claim.CANCELLED_FILE).unlink(missing_ok=True)
                raise
        any(self._has_ended(reference) for _ in range(MAX_POLLS))

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """Return the complete checkpoints, then other files. Raise RunGone."""
        return outputs.list_outputs(require_run_folder(reference))

    def download(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output atomically. Raise Rejected."""
        outputs.download_output(output, to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Register a checkpoint of the run as a version of the model `name`, with its own runtime. Raise Rejected."""
        if not self.capabilities.features.get("register_model"):
            super().register(reference, name, step)
        return ended_run.register_model(require_run_folder(reference), name, step)

    @staticmethod
    def find_working_job(folder: Path) -> str:
        """Return the name of the job that works on a run, or did last; empty before any has begun."""
        owner = claim.find_owner(folder)
        return owner.name if owner else ""

    @staticmethod
    def check_secrets(secrets: str | None, of_platform: Collection[str] = ()) -> Iterator[Problem]:
        """Check the setting `secrets`: files. `of_platform`: variables that the platform sets, or how they begin."""
        return settings_rules.check_secrets(secrets, of_platform)

    create_folder = staticmethod(create_run_folder)
    copy_code = staticmethod(copy_plan_code)
    make_code_mounts = staticmethod(make_plan_code_mounts)
    has_plan = staticmethod(has_plan_files)
    find_folder_problems = staticmethod(find_creation_problems)

    def _read_last_line(self, folder: Path) -> str:
        """Return what the engine or the job printed last outside of the log, redacted; empty for nothing."""
        if not self.output_file:
            return ""
        reader = log.LogReader(folder / self.output_file, tail=LAST_LINES)
        lines = [line.strip() for line in (*reader.read_lines(), *reader.read_rest()) if line.strip()]
        return redact(lines[-1], max_length=MAX_SENTENCE) if lines else ""

    def _read_or_record_end(self, folder: Path, engine_state: str) -> str:
        """Return the engine's state, or the recorded end of a job that it has forgotten; record an end."""
        path = folder / ENGINE_END_FILE
        with suppress(OSError, ValueError):  # the folder may be another user's
            known = read_limited_file(path, MAX_END_BYTES).decode(errors="replace") if path.exists() else ""
            if not engine_state:
                return known
            if engine_state != known and self.explain_state(engine_state).finished:
                write_atomically(path, engine_state.encode())
        return engine_state

    def _has_ended(self, reference: Reference) -> bool:
        time.sleep(POLL_PAUSE_SECONDS)
        return self.status(reference).finished


def _get_job(reference: Reference) -> str:
    """Return the job that works on the run, or else the submitted one."""
    owner = claim.find_owner(require_run_folder(reference))
    return owner.name if owner else reference["job"]
