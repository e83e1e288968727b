"""The plan of a scheduler's jobs: what stands in it, and what finds a job again."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from robotrain_runtime.contract.document import DOCUMENT_FILE, JobSource, Placement, parse_document

from robotrain.cluster.spec import SubmissionSpecFile
from robotrain.errors import Rejected, Stage
from robotrain.model.plan import Plan
from robotrain.run_folder.placement import list_code_folders

PAYLOAD_FILE, START_FILE, SEARCH_FILE = "payload.zip", "start.sh", "find-python.sh"
STEPS_FOLDER = "steps"
"""In the run folder and the plan of a pipeline: a folder for each step, by its name."""
SCHEMA = 1
TOKEN_LENGTH = 16


@dataclass(frozen=True, kw_only=True)
class SchedulerJob:
    """A job as a scheduler gets it: that of a run, or a step of a pipeline."""

    name: str
    """Its name: the run, or RUN-STEP."""
    folder: str
    """Its run folder."""
    step: str = ""
    """The step that it is."""
    needs: tuple[str, ...] = ()
    """The steps that must succeed before."""
    program: tuple[str, ...] = ()
    """The program that the scheduler starts on the node, and its words."""
    output: str = ""
    """The file, in its folder, for what the program prints before the log begins."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """What only its platform has and reads."""
    token: str = ""
    """What marks the job, so that it is found again: a digest of all that is sent of its run."""
    words: tuple[str, ...] = ()
    """The words after the submit command."""

    @property
    def path(self) -> str:
        """Where a plan, and the run folder, has its files; empty for the top."""
        return os.path.join(STEPS_FOLDER, self.step) if self.step else ""

    @property
    def root(self) -> str:
        """The run folder of the whole, with the payload."""
        return self.folder.removesuffix(f"/{self.path}") if self.step else self.folder

    @property
    def document(self) -> str:
        """The path of its job document in the plan."""
        return os.path.join(self.path, DOCUMENT_FILE)


@dataclass(frozen=True, kw_only=True)
class SchedulerSpec:
    """How a run is submitted."""

    run: str
    folder: str
    """The run folder."""
    jobs: tuple[SchedulerJob, ...]
    """Each comes after those that it needs."""
    login: str = ""
    """The address of the login node that it is submitted on, by ssh; empty for this machine."""
    schema: int = SCHEMA

    @property
    def is_pipeline(self) -> bool:
        """Whether its jobs are steps, even if there is only one."""
        return bool(self.jobs[0].step)


def make_token(*sent: object) -> str:
    """Return what tells a plan from every other one of the same run: a digest of what is sent."""
    return hashlib.sha256(repr(sent).encode()).hexdigest()[:TOKEN_LENGTH]


def format_become_python(search: str, payload: str, *words: str) -> str:
    """Return the lines with which a script in the run folder becomes a Python of the node, with the payload.

    :param search: the program that finds a Python.
    :param words: those of the Python, as a shell reads them.
    """
    return (
        f'export PYTHONPATH="$PWD/{payload}" PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1\n'
        f'exec /bin/sh "{search}" {" ".join(words)}'
    )


def make_spec_file(platform: str, engine: str = "") -> SubmissionSpecFile[SchedulerSpec]:
    """Return the file of the jobs in a plan. `engine`: the platform's name in messages."""
    required_files = (SEARCH_FILE, PAYLOAD_FILE)
    return SubmissionSpecFile(SchedulerSpec, f"{platform}.json", SCHEMA, engine or platform, required_files)


def read_placements(plan: Plan) -> list[Placement]:
    """Return where each job of a plan works. Raise Rejected if the plan is damaged."""
    spec_file = make_spec_file(plan.platform)
    try:
        jobs = spec_file.load(plan, Stage.PREFLIGHT).jobs
        return [parse_document(plan.files[job.document].decode()).placement for job in jobs]
    except (LookupError, ValueError) as error:
        raise Rejected([spec_file.make_damaged_plan_problem(Stage.PREFLIGHT, f"{error}.")]) from None


def list_code_copies(files: Mapping[str, bytes], jobs: Iterable[SchedulerJob]) -> Iterator[tuple[JobSource, str]]:
    """Yield the folders of code on this machine that a run has a copy of, each with the folder of the copy."""
    for job in jobs:
        document = parse_document(files[job.document].decode())
        sources = {source.uri: source for source in list_code_folders(document.sources)}
        yield from ((sources[mount.uri], mount.folder) for mount in document.placement.mounts if mount.uri in sources)
