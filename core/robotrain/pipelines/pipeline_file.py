"""pipeline.yaml: the file form of a pipeline. A step is a job file, a job written in place, or a registration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.config.job_file import JOB_KEYS, JobFile, JobReader, read_job_file
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.config.job_file import YamlNode
    from robotrain.errors import Problem

PIPELINE_KEYS = ("name", "at_most", "steps")
FROM_KEY, AFTER_KEY, REGISTER_KEY, JOB_KEY = "from", "after", "register", "job"
STEP_KEYS = (JOB_KEY, *JOB_KEYS, AFTER_KEY, REGISTER_KEY, FROM_KEY)
REGISTRATION_KEYS = (REGISTER_KEY, FROM_KEY, AFTER_KEY)
DEFAULT_NAME = "pipeline"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStep:
    """A step as the file describes it: a job, or the registration of a policy as a version of a model."""

    name: str
    where: str
    job: JobFile | None = None
    """None for a registration."""
    model: str = ""
    policy_from: str = ""
    """The step whose policy is registered."""
    after: tuple[str, ...] = ()
    """Steps that must succeed before, beside those that it takes an input from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFile:
    """The content of a pipeline file."""

    name: str = DEFAULT_NAME
    steps: tuple[FileStep, ...] = ()
    at_most: int | None = None
    """How many steps may run at the same time; None for all that can."""
    problems: tuple[Problem, ...] = ()


def read_pipeline_file(path: Path) -> PipelineFile:
    """Return the pipeline file at `path`, with its problems; the job of a step has those of its job file."""
    return _PipelineReader(path).read_pipeline()


class _PipelineReader(JobReader):
    """Reader of a pipeline file. A job file that several steps use is read once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "pipeline")
        self.files: dict[Path, JobFile] = {}

    def read_pipeline(self) -> PipelineFile:
        """Return the content of the file."""
        top = dict(self.read_top(PIPELINE_KEYS))
        name = self.read_text(top["name"], "name") if "name" in top and not top["name"].null else DEFAULT_NAME
        at_most = self.read_limit(top["at_most"]) if "at_most" in top else None
        steps = tuple(self.read_steps(top["steps"])) if "steps" in top else ()
        return PipelineFile(name=name, steps=steps, at_most=at_most, problems=tuple(self.problems))

    def read_limit(self, node: YamlNode) -> int | None:
        """Return a whole number greater than 0; None for anything else, which is a problem unless it is null."""
        if node.kind == "scalar" and node.text.isdecimal() and int(node.text) > 0:
            return int(node.text)
        if not node.null:
            self.add_problem(node, "at_most must be a whole number greater than 0")
        return None

    def read_steps(self, node: YamlNode) -> Iterator[FileStep]:
        """Yield the steps in their order; a repeated name is a problem of the check, not of the file."""
        if node.kind != "mapping":
            if not node.null:
                self.add_problem(node, "steps must be a mapping of names to steps")
            return
        for key, value in node.pairs:
            if key.kind == "scalar":
                yield self.read_step(key.text, key.line, value)
            else:
                self.add_problem(key, "the name of a step must be plain text")

    def read_step(self, name: str, line: int, node: YamlNode) -> FileStep:
        """Return a step."""
        what, where = f"step {redact(name)}", self.format_place(line)
        entries = dict(self.read_mapping(node, what, STEP_KEYS))
        after = tuple(self.read_names(entries[AFTER_KEY], f"{what}.{AFTER_KEY}")) if AFTER_KEY in entries else ()
        if REGISTER_KEY not in entries:
            if FROM_KEY in entries:
                title = f"{what}: `from` belongs to a source, such as sources.policy, or beside `register`"
                self.add_problem(entries[FROM_KEY], title)
            return FileStep(name=name, where=where, job=self.read_step_job(entries, what), after=after)
        for key in entries:
            if key not in REGISTRATION_KEYS:
                self.add_problem(entries[key], f"{what} registers a policy: {key} does not belong to it")
        if FROM_KEY not in entries:
            self.add_problem(entries[REGISTER_KEY], f"{what} registers a policy, but `from` does not name its step")
        model = self.read_text(entries[REGISTER_KEY], f"{what}.{REGISTER_KEY}")
        policy_from = self.read_text(entries[FROM_KEY], f"{what}.{FROM_KEY}") if FROM_KEY in entries else ""
        return FileStep(name=name, where=where, model=model, policy_from=policy_from, after=after)

    def read_names(self, node: YamlNode, what: str) -> Iterator[str]:
        """Yield one name, or those of a list."""
        for item in node.items if node.kind == "sequence" else [node]:
            if not item.null:
                yield self.read_text(item, what)

    def read_step_job(self, entries: dict[str, YamlNode], what: str) -> JobFile:
        """Return the job of a step: that of its job file, with the values that the step itself has."""
        inline = self.make_job(entries)
        sources = [dataclasses.replace(one, kind=STEP_KIND) if one.kind == FROM_KEY else one for one in inline.sources]
        inline = dataclasses.replace(inline, sources=tuple(sources), problems=())
        if JOB_KEY not in entries:
            return inline
        path = self.folder / self.read_text(entries[JOB_KEY], f"{what}.{JOB_KEY}")
        if path not in self.files:
            self.files[path] = read_job_file(path)
        return _merge_jobs(self.files[path], inline)


def _merge_jobs(file: JobFile, step: JobFile) -> JobFile:
    """Return the job of a file, with the values of a step instead of its own; sources are replaced by role."""
    roles = {source.role for source in step.sources}
    kept = [dataclasses.replace(one, folder=file.folder) for one in file.sources if one.role not in roles]
    platforms = {
        name: {**file.platforms.get(name, {}), **step.platforms.get(name, {})}
        for name in (*file.platforms, *step.platforms)
    }
    return JobFile(
        folder=step.folder,
        workload=step.workload or file.workload,
        config=step.config or file.config,
        sources=(*kept, *step.sources),
        parameters={**file.parameters, **step.parameters},
        platforms=platforms,
        trainer_args=file.trainer_args if step.trainer_args is None else step.trainer_args,
        problems=file.problems,
    )
