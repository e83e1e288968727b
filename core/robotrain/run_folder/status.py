"""The status of a run from its folder and its engine, and a base class for platforms with run folders."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from robotrain_runtime.contract import claim
from robotrain_runtime.contract.event import Registered
from robotrain_runtime.contract.step_output import STEP_FILE

from robotrain.cluster.engine import make_cancel_error
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.platform import PlatformEngine
from robotrain.model.platform_features import PipelineRuns, SharedRuns
from robotrain.model.reference import Reference
from robotrain.model.run import Output, RunGone, RunState, Status, StepStatus
from robotrain.model.support import YES
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain.run_folder import cancel, file_names, log
from robotrain.run_folder.cancel import NeededStop, Stop
from robotrain.run_folder.facts import ENGINE_END_FILE, FACT_FILES, FolderFacts
from robotrain.run_folder.parts import JudgedRun, RunPart, judge_parts
from robotrain.run_folder.run_end import get_run_status
from robotrain.run_folder.run_folders import RunFolders

make_problem = Messages(__file__)


OUTPUT_BYTES = 1 << 14
FORBIDDEN = ("Permission denied", "Operation not permitted", "Read-only file system")
"""What is said of a run folder whose run is another user's."""


def raise_gone(reference: Reference) -> NoReturn:
    """Raise RunGone."""
    raise RunGone(f"the run folder {reference['folder']} no longer exists")


def explain_engine_state(engine_state: str, states: Mapping[str, RunState], engine: str) -> Status:
    """Return the status that an engine reports of a job.

    :param engine_state: a word, which may be followed by a reason: `PENDING (Priority)`; empty for a forgotten job.
    :param states: the meaning of the engine's words; any other word means `running`.
    """
    if not engine_state:
        return Status(state="lost", reason=f"{engine} no longer knows its job")
    state = states.get(engine_state.partition(" ")[0], "running")
    is_repeated = state.startswith(engine_state.lower())  # R, RUN and RUNNING
    return Status(state=state, reason="" if is_repeated else f"{engine} says {engine_state}")


class RunFolderEngine(PlatformEngine, PipelineRuns, SharedRuns):
    """A base class for platforms with run folders.

    The reference has the run folder as `folder` and the engine's job as `job`, which runs the runtime with `--once` and
    `--log log.txt`.
    """

    folders = RunFolders()
    """Where its run folders are."""
    states: Mapping[str, RunState]
    """The meaning of the engine's words for states."""
    output_file = ""
    """In the run folder, if there is one: what a job prints before the runtime begins, and why its engine ended it."""
    end_sign = ""
    """How lines in it begin that the engine adds when it ends a job."""
    fact_files: Mapping[str, int] = FACT_FILES
    """The files of a run folder that its status follows from, beside the output file."""
    query_seconds = log.QUERY_SECONDS
    """Between two questions about a run whose log is followed: each costs the engine a request."""

    @property
    def engine_name(self) -> str:
        """The engine's name, for messages."""
        return self.platform.name

    @property
    def spec_file(self) -> str:
        """The file of a run folder that says which run it is of."""
        raise NotImplementedError

    def get_engine_state(self, job: str) -> str:
        """Return the engine's state of a job, which may be followed by a space and a reason.

        It is empty if the engine no longer knows the job: then the last end that was seen counts, or the run is `lost`.
        """
        raise NotImplementedError

    def get_engine_states(self, jobs: Collection[str]) -> Mapping[str, str]:
        """Return the engine's states of jobs, by one question where it answers that; forgotten ones may be missing."""
        return {job: self.get_engine_state(job) for job in jobs}

    def explain_state(self, engine_state: str) -> Status:
        """Return what `get_engine_state` returned as the status of the job: its state, and the reason in words."""
        return explain_engine_state(engine_state, self.states, self.platform.name)

    def stop_jobs(self, jobs: Sequence[str], how: Stop) -> str:
        """Stop jobs; return why the engine refused, but not because one has just ended; else empty. Raise Rejected.

        :param how: `waiting`: remove them from the queue; `running`: send SIGTERM to their runtime, which saves a
            checkpoint; `for good`: end them, as they had the time for that.
        """
        raise NotImplementedError

    def list_parts(self, reference: Reference) -> Mapping[str, RunPart]:
        """Return the parts of a whole pipeline or sweep, by name; nothing for others. Raise RunGone or Rejected."""
        return {}

    def require_folder(self, reference: Reference) -> Path:
        """Return the run folder of a reference. Raise RunGone if it does not exist."""
        folder = reference["folder"]
        return Path(folder) if self.folders.exists(folder) else raise_gone(reference)

    def select_step(self, reference: Reference) -> Reference:
        """Return the reference of a part as that of a run; any other one as it is. Raise RunGone or Rejected."""
        return reference

    def query_jobs(self, references: Sequence[Reference], facts: Sequence[FolderFacts]) -> Any:
        """Return what the engine says of the jobs of these runs, for `judge_run`. Raise RunGone or Rejected.

        :param facts: those of each run, as they were before.
        """
        jobs = {
            reference["folder"]: _get_job(reference, run_facts)
            for reference, run_facts in zip(references, facts, strict=True)
        }
        states = self.get_engine_states({*jobs.values()}) if jobs else {}
        return {folder: states.get(job, "") for folder, job in jobs.items()}

    def judge_run(self, reference: Reference, facts: FolderFacts, jobs: Any) -> JudgedRun:
        """Return what the engine's answer and the facts of a run, which were read after it, amount to. Pure."""
        engine_state = jobs[reference["folder"]]
        earlier_state = facts.read(ENGINE_END_FILE).decode(errors="replace")
        job = self.explain_state(engine_state or earlier_state)
        status = get_run_status(facts, job, self.platform.name)
        if status is job and status.state in ("failed", "lost") and (last_line := self._find_last_line(facts)):
            status = replace(status, reason=f"{status.reason}: {last_line}")
        return JudgedRun(
            status,
            facts.outcome,
            engine_state.encode() if job.finished and engine_state not in ("", earlier_state) else b"",
        )

    def status(self, reference: Reference) -> Status:
        """Return the status of a run, a whole pipeline or sweep, or one of its parts. Raise RunGone or Rejected."""
        part = self.select_step(reference)
        if self.list_parts(reference):
            run_status = self.query_pipeline(reference)[0]
        else:
            jobs = self.query_jobs([part], self.read_all_facts([part]))
            run_status = self.conclude_run(part, self.read_all_facts([part])[0], jobs).status
        self.folders.update_events_file(Path(part["folder"]))  # afterwards: the last ones are there
        return run_status

    def query_pipeline(self, reference: Reference) -> tuple[Status, list[StepStatus]]:
        """Return the status of the whole and its parts, which are asked about at once. Raise RunGone or Rejected."""
        if not (parts := self.list_parts(reference)):
            return self.status(reference), []
        references = [part.reference for part in parts.values()]
        jobs = self.query_jobs(references, self.read_all_facts(references))
        facts = dict(zip(parts, self.read_all_facts(references), strict=True))
        judged_parts = {name: self.conclude_run(part.reference, facts[name], jobs) for name, part in parts.items()}
        return judge_parts(reference["run"], parts, facts, judged_parts)

    def list_steps(self, reference: Reference) -> Iterable[StepStatus]:
        """Return the steps of a pipeline. Raise RunGone or Rejected."""
        return self.query_pipeline(reference)[1] if self.list_parts(reference) else []

    def read_all_facts(self, references: Sequence[Reference]) -> list[FolderFacts]:
        """Return the facts of each run folder. Raise RunGone if one of them does not exist."""
        facts_of_runs = self.find_facts([reference["folder"] for reference in references])
        return [
            facts or self._read_facts_again(reference)
            for reference, facts in zip(references, facts_of_runs, strict=True)
        ]

    def _read_facts_again(self, reference: Reference) -> FolderFacts:
        """Return the facts of a folder that was not seen. Raise RunGone only if it is said to be missing."""
        folder = self.require_folder(reference)
        return self.find_facts([str(folder)])[0] or raise_gone(reference)

    def find_facts(self, folders: Sequence[str]) -> list[FolderFacts | None]:
        """Return the facts of each run folder; None for one that does not exist."""
        printed = {self.output_file: OUTPUT_BYTES} if self.output_file else {}
        return self.folders.find_facts(folders, {**self.fact_files, **printed})

    def conclude_run(self, reference: Reference, facts: FolderFacts, jobs: Any) -> JudgedRun:
        """Judge a run, keep how the engine ended its job, and tell the checkpoints of one that was stopped."""
        judged_run = self.judge_run(reference, facts, jobs)
        if judged_run.status.finished and facts.has_damaged_outcome:
            reasons = filter(None, (judged_run.status.reason, log.DAMAGED_OUTCOME))
            judged_run = judged_run._replace(status=replace(judged_run.status, reason="; ".join(reasons)))
        if judged_run.end:
            with suppress(OSError):  # the folder may be another user's
                self.folders.write_file(facts.folder / ENGINE_END_FILE, judged_run.end)
        if not judged_run.was_stopped:
            return judged_run
        checkpoint_text = "".join(
            f". {sentence}" for sentence in self.folders.describe_surviving_checkpoints(facts.folder)
        )
        return judged_run._replace(status=replace(judged_run.status, reason=judged_run.status.reason + checkpoint_text))

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """Yield the lines of the log, and before them what its job printed. Raise RunGone."""
        part = self.select_step(reference)
        prefix = f"[{self.platform.name}] "
        run_log = self.folders.open_log(Path(part["folder"]), self.output_file, prefix, self.end_sign) or raise_gone(
            part
        )
        if not follow:
            return run_log.read_present(tail)
        return run_log.follow(lambda: self.status(reference), tail, self.query_seconds)

    def events_file(self, reference: Reference) -> Path | None:
        """Return the events file, once it is there. Raise RunGone."""
        part = self.select_step(reference)
        if events := self.folders.find_events_file(Path(part["folder"])):
            return events
        self.require_folder(part)
        return None

    def cancel(self, reference: Reference) -> None:
        """Stop the run or its parts, and return when they have ended. Raise RunGone or Rejected."""
        if not self.platform.capabilities.features.get("cancel", YES):
            super().cancel(reference)
        if self.status(reference).finished:
            return
        parts = [part.reference for part in self.list_parts(reference).values()] or [self.select_step(reference)]
        for part in parts:  # first: a job that begins now looks for it, or does with its next start if this fails
            try:
                self.folders.write_file((folder := Path(part["folder"])) / claim.CANCELLED_FILE)
            except OSError as error:  # on a full disk the job is stopped all the same, and only a restart is not
                reason = error.strerror or str(error)
                if any(sign in reason for sign in FORBIDDEN):
                    problem = make_problem("cancel-refused", given=str(folder), name=folder.name, why=reason)
                    raise Rejected([problem]) from None
        note, signalled = Path(self.select_step(reference)["folder"], cancel.SIGNALLED_FILE), list[str]()
        with suppress(OSError, ValueError):
            signalled = self.folders.read_file(note).decode().split("\n")

        def note_signalled(jobs: Collection[str]) -> None:
            with suppress(OSError):
                self.folders.write_file(note, "\n".join(jobs).encode())

        list_jobs = partial(self.list_jobs_to_stop, parts)
        refusal = cancel.stop_all(list_jobs, self.stop_jobs, signalled, note_signalled)
        if refusal is not None and not self.status(reference).finished:
            seconds = cancel.SAVE_SECONDS + cancel.END_SECONDS
            raise make_cancel_error(self.platform, self.engine_name, reference, refusal, seconds)

    def list_jobs_to_stop(self, references: Sequence[Reference]) -> Mapping[str, NeededStop]:
        """Return the jobs of these runs that have not ended, and how each is to be stopped. Raise RunGone, Rejected."""
        jobs = self.query_jobs(references, self.read_all_facts(references))
        jobs_to_stop = dict[str, NeededStop]()
        for reference, facts in zip(references, self.read_all_facts(references), strict=True):
            status = self.judge_run(reference, facts, jobs).status
            if not status.finished:
                jobs_to_stop[_get_job(reference, facts)] = "waiting" if status.state == "pending" else "running"
        return jobs_to_stop

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """Return the complete checkpoints, then other files. Raise RunGone."""
        return self.folders.list_outputs(self.require_folder(self.select_step(reference)))

    def download(self, reference: Reference, output: Output, to: Path) -> list[str]:
        """Copy one output atomically, and return what of it was left out. Raise RunGone, Rejected."""
        return self.folders.download(output, to, self.require_folder(self.select_step(reference)))

    def read_run_name(self, reference: Reference) -> str:
        """Return the run that a run folder says it is of. Raise RunGone, Rejected, OSError or ValueError."""
        raise NotImplementedError

    def find_other_writer(self, reference: Reference) -> str:
        """Return how somebody else may have written a run folder, in words; empty if nobody may. Raise RunGone."""
        folder = self.require_folder(reference)
        reason = self.folders.find_other_writer(folder)
        return reason and f"{folder} {reason}"

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int | None:
        """Remove the folder of an ended run; return the bytes freed, None if it is another user's.

        Raise RunGone, Rejected, OSError.
        """
        folder = self.require_folder(reference)
        run = ""
        with suppress(Rejected, OSError, ValueError):  # it does not say
            run = self.read_run_name(reference)
        if run != folder.name:  # a record may name any folder
            raise Rejected([make_problem("not-a-run-folder", folder=folder, spec_file=self.spec_file)])
        status = self.status(reference)
        if not status.finished:
            raise Rejected([make_problem("run-goes-on", name=folder.name, state=status.state, why=status.reason)])
        return self.folders.remove(folder, dry_run)

    def has_step_output(self, reference: Reference) -> bool:
        """Return whether a later pipeline can read what a step handed over."""
        with suppress(OSError, ValueError):
            self.folders.read_file(Path(self.select_step(reference)["folder"], file_names.HANDOVER_FOLDER, STEP_FILE))
            return True
        return False

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Register a checkpoint of the run as a version of the model `name`, with its own runtime. Raise Rejected."""
        if not self.platform.capabilities.features.get("register_model"):
            super().register(reference, name, step)
        top = self.require_folder(reference)
        return self.folders.register(self.require_folder(self.select_step(reference)), name, step, top)

    def _find_last_line(self, facts: FolderFacts) -> str:
        """Return what the engine or the job printed last outside of the log, redacted; empty for nothing."""
        lines = facts.read(self.output_file).decode(errors="replace").split("\n")
        printed_lines = [line.strip() for line in lines if line.strip()]
        return redact(printed_lines[-1], max_length=MAX_SENTENCE) if printed_lines else ""


def _get_job(reference: Reference, facts: FolderFacts) -> str:
    """Return the job that works on the run, or else the submitted one."""
    return facts.owner.name if facts.owner else reference["job"]
