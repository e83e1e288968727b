"""Checks of a job's inputs on this machine by the rules of the run, and suggestions for missing ones."""

from __future__ import annotations

import dataclasses
import importlib
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract import failure
from robotrain_runtime.contract.container_plugin import WorkloadContainerPlugin
from robotrain_runtime.contract.document import JobDocument, JobSource, Placement
from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.check.capability_checks import DATASET
from robotrain.errors import Problem, Rejected, Stage, Suggestion, make_problem
from robotrain.model.health import convert_finding
from robotrain.model.plan import make_job_document
from robotrain.model.workload import FoundInput
from robotrain.submission.pin import NO_DESCRIBING_FILES, DescribingFiles, explain_error, parse_source
from robotrain.submission.prepare import PreparedJob, load_workload_container

if TYPE_CHECKING:
    from robotrain.model.capabilities import Capabilities


def find_describing_files(can: Capabilities, container_plugins: Mapping[str, str]) -> DescribingFiles:
    """Return the describing files that the workload declares; none on a platform that runs here and sees the data."""
    if can.feature("runs_here"):
        return NO_DESCRIBING_FILES
    plugin = load_workload_container(container_plugins)
    return dict(plugin.DESCRIBED) if plugin else NO_DESCRIBING_FILES


class InputCheck:
    """The inputs of jobs by the files that describe them: on this machine, read from where the source is, or predicted.

    Only a pinned source is read from elsewhere, each once. After one that cannot be read, no other of its kind is.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        """An empty folder."""
        self._read: dict[JobSource, Path | None] = {}
        self._made: dict[str, Path] = {}
        """By step of a pipeline, the description of what it will make."""
        self._silent_kinds = set[str]()
        self.notes: list[Problem] = []
        """What could not be read."""

    def find_problems(self, prepared: PreparedJob) -> list[Problem]:
        """Return why the sources do not fit the job or each other. Datasets alone are for preflight and the run."""
        if all(source.role == DATASET for source in prepared.job.sources):
            return []
        plugin = load_workload_container(prepared.container_plugins)
        try:
            described = self._find_folders(prepared, plugin) if plugin else {}
            others = any(source.role != DATASET for source in described)
            sentences = list(plugin.compare(_make_document(prepared), described)) if plugin and others else []
        except Exception:  # the run will report it
            return []
        return [convert_finding(failure.make_finding("data-unusable", sentence)) for sentence in sentences]

    def describe_output(self, step: str, prepared: PreparedJob) -> None:
        """Note what is known of the policy that a step of a pipeline will train, for the steps that read it."""
        plugin, folder = load_workload_container(prepared.container_plugins), self._place / f"step-{step}"
        try:
            folder.mkdir()
            if plugin:
                plugin.describe_output(_make_document(prepared), self._find_folders(prepared, plugin), folder)
            if any(folder.iterdir()):
                self._made[step] = folder
        except Exception:  # the run will compare what it made
            return

    def _find_folders(self, prepared: PreparedJob, plugin: WorkloadContainerPlugin) -> dict[JobSource, Path]:
        found = {}
        for source in prepared.job.sources:
            folder = self._made.get(source.uri) if source.kind == STEP_KIND else Path(source.uri)
            if folder and not folder.is_absolute():
                folder = self._read_description(source, prepared, plugin.DESCRIBED.get(source.role, ()))
            if folder and folder.is_dir():
                found[source] = folder
        return found

    def _read_description(self, source: JobSource, prepared: PreparedJob, paths: Sequence[str]) -> Path | None:
        """Return a folder with the files that describe a pinned source; None if none can be read from this machine."""
        pinning = prepared.kinds[source.kind].pinning if source.kind in prepared.kinds else None
        if not (paths and source.pin and pinning) or source.kind in self._silent_kinds:
            return None
        if source not in self._read:
            self._read[source] = None
            try:
                files = pinning.read_files(parse_source(source, prepared.kinds), source.role, source.pin, paths)
            except Exception as error:
                self._silent_kinds.add(source.kind)
                title = f"{source.uri} was not compared with the job: its files cannot be read from this machine"
                why = f"{explain_error(error)} The run compares them."
                self.notes.append(
                    make_problem("sources-unread", title, source.role, "", why, severity="note", stage=Stage.PREFLIGHT)
                )
                return None
            if files:
                self._read[source] = folder = self._place / f"source-{len(self._read)}"
            for path, content in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
        return self._read[source]


def find_input_problems(prepared: PreparedJob) -> list[Problem]:
    """Return why the sources whose description can be read do not fit the job, and notes on those that could not.

    Of a pipeline each step is compared, also with what an earlier step will make.
    """
    steps = prepared.list_input_steps()
    if not any(step.is_compared for step in steps):
        return []
    problems: list[Problem] = []
    with tempfile.TemporaryDirectory(prefix="robotrain-") as place:
        check = InputCheck(Path(place))
        for step in steps:
            if step.is_compared:
                found = check.find_problems(step.job)
                problems += (dataclasses.replace(one, where=step.where or one.where) for one in found)
            if step.is_read:
                check.describe_output(step.name, step.job)
        return [*problems, *check.notes]


def _make_document(prepared: PreparedJob) -> JobDocument:
    """Return the job's document for a machine whose folders and environment are unknown."""
    return make_job_document(
        prepared.job,
        run="",
        platform=prepared.platform.name,
        container_plugins=prepared.container_plugins,
        placement=Placement(work="", cache="", environment=""),
    )


UNAVAILABLE_CODES = ("pin-unknown", "source-missing", "source-unreachable")


def suggest_copies(rejected: Rejected, prepared: PreparedJob) -> Rejected:
    """Return the problems; the first one of each source that is not available suggests its copies here."""
    sources = {source.uri: source for source in prepared.job.sources}
    problems = []
    for problem in rejected.problems:
        source = sources.pop(problem.source or problem.given, None) if problem.code in UNAVAILABLE_CODES else None
        copies = tuple(_list_suggestions(source, prepared)) if source else ()
        problems.append(dataclasses.replace(problem, suggestions=copies + problem.suggestions) if copies else problem)
    return Rejected(problems, transient=rejected.transient)


def _list_suggestions(source: JobSource, prepared: PreparedJob) -> Iterator[Suggestion]:
    """Yield the options for the copies that the job's workload finds."""
    if not prepared.template:
        return
    module: Any = importlib.import_module(prepared.template)
    if (find := getattr(module, "find_copies", None)) is None:
        return
    for found in map(FoundInput._make, find(source.role, source.uri)):
        kind = prepared.kinds.get(found.kind)
        if kind and source.role in kind.roles and prepared.platform.capabilities.source(source.role, kind):
            is_home = found.text.startswith("~/")  # a shell expands it only outside quotes
            path = f"~/{shlex.quote(found.text[2:])}" if is_home else shlex.quote(found.text)
            words = [f"{kind.roles[source.role].flag} {path}"]
            for name, value in found.parameters.items():
                flag = f"--{name.replace('_', '-')}"
                words.append(flag if value is True else f"{flag} {shlex.quote(str(value))}")
            yield Suggestion(" ".join(words), found.summary)
