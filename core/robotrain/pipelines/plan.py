"""The plan of a pipeline that a driver runs: `pipeline.json`, and the payloads of its steps."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract.document import JobSource, Scalar, collect_fields

from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan, RenderedPlan
from robotrain.model.workload_profile import Produces
from robotrain.submission.packing import pack_payload
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.same_job import JobPart

if TYPE_CHECKING:
    from pydantic import TypeAdapter


PIPELINE_FILE = "pipeline.json"
SCHEMA = 1
OPTIONAL_KEYS = ("resumes", "finished", "unpinned", "sweep")
"""Keys of the plan that are left out if they are empty."""
MAX_INDENTED = 50
"""The most steps of a plan whose file is indented for readers."""


@dataclass(frozen=True, slots=True)
class StepInput:
    """A role that is filled by what another step makes."""

    role: str
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A step of a plan: a job whose inputs of other steps are not known yet."""

    name: str
    needs: tuple[str, ...] = ()
    """The steps that must succeed before."""
    inputs: tuple[StepInput, ...] = ()
    workload: str
    parameters: dict[str, Scalar] = field(default_factory=dict)
    sources: tuple[JobSource, ...] = ()
    trainer_args: tuple[str, ...] = ()
    settings: dict[str, Scalar] = field(default_factory=dict)
    container_plugins: dict[str, str] = field(default_factory=dict)
    payload: str = ""
    """The digest of its payload."""
    produces: Produces = "checkpoints"
    program_lock: str = ""
    program_python: str = ""
    program_files: tuple[tuple[str, str], ...] = ()
    """The packages of its program, as in a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelinePlan:
    """The content of `pipeline.json`. The steps are in an order in which they can run."""

    schema: int
    run: str
    platform: str
    at_most: int | None
    steps: tuple[PlannedStep, ...]
    resumes: str = ""
    """The run of the pipeline that this one continues."""
    finished: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The steps that it finished, as in `progress.StepState`."""
    unpinned: bool = False
    """Whether branches and tags are not resolved to commits, neither at the submit nor when a step begins."""
    sweep: dict[str, Any] = field(default_factory=dict)
    """Of a sweep: what its steps, the trials, differ in, as in `robotrain.sweeps.space`."""


class StepPacker:
    """The payloads of a pipeline's steps: one for each set of container plugins."""

    def __init__(self) -> None:
        self._digests: dict[tuple[tuple[str, str], ...], str] = {}
        self.files: dict[str, bytes] = {}
        """All payloads, by the path in the plan."""

    def pack(self, prepared: PreparedJob) -> str:
        """Return the digest of the payload of a job."""
        key = tuple(prepared.container_plugins.items())
        if key not in self._digests:
            payload = prepared.payload or pack_payload(prepared.container_plugins)
            self._digests[key] = payload.digest
            self.files[get_payload_path(payload.digest)] = payload.archive
        return self._digests[key]

    def complete(self, prepared: PreparedJob) -> PreparedJob:
        """Return a job with its payload."""
        path = get_payload_path(self.pack(prepared))
        return replace(prepared, payload=Payload(self.files[path]))


def get_payload_path(digest: str) -> str:
    """Return where a plan has the payload with this digest."""
    return f"payload-{digest[:12]}.zip"


def render_pipeline(
    job: Job, plan: PipelinePlan, payloads: Mapping[str, bytes], values: Sequence[Mapping[str, Any]]
) -> RenderedPlan:
    """Return the plan as files, with what it was made from.

    :param payloads: the archives of its steps, by the path in the plan.
    """
    body = {field.name: getattr(plan, field.name) for field in fields(plan)} | {"steps": [*map(_dump_step, plan.steps)]}
    body = {name: value for name, value in body.items() if name not in OPTIONAL_KEYS or value}
    indent = 1 if len(plan.steps) <= MAX_INDENTED else None  # a hundred times as fast without
    files = {**payloads, PIPELINE_FILE: (json.dumps(body, indent=indent) + "\n").encode()}
    return RenderedPlan(
        plan=Plan(
            platform=plan.platform, run=plan.run, job=job, spec=PIPELINE_FILE, files=files, shown=(PIPELINE_FILE,)
        ),
        settings={},
        container_plugins={},
        payload=Payload(next(iter(payloads.values()), b"")),
        values=tuple(values),
        produces=next((step.produces for step in reversed(plan.steps)), "files"),
        steps=tuple(step.name for step in plan.steps),
    )


def _dump_step(step: PlannedStep) -> dict[str, Any]:
    """Return a step as data, without what does not belong to it, so that the plan can be read."""
    body = {field.name: getattr(step, field.name) for field in fields(step)}
    body["inputs"] = [{"role": step_input.role, "step": step_input.step} for step_input in step.inputs]
    body["sources"] = [collect_fields(source) for source in step.sources]
    required_names = ("name", "needs", "workload", "parameters", "settings", "payload", "produces")
    return {name: value for name, value in body.items() if name in required_names or value}


@functools.cache
def _get_adapter() -> TypeAdapter[PipelinePlan]:
    from pydantic import TypeAdapter

    return TypeAdapter(PipelinePlan)


def parse_pipeline(content: bytes) -> PipelinePlan:
    """Return the plan in the content of `pipeline.json`. Raise ValueError."""
    data = json.loads(content)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        schema = data.get("schema") if isinstance(data, dict) else None
        raise ValueError(f"this robotrain reads schema {SCHEMA}, the file has {schema!r}")
    return _get_adapter().validate_python(data)


def list_stored_parts(stored: RenderedPlan) -> list[JobPart]:
    """Return the settings and sources of each step of a stored pipeline. Raise ValueError if it cannot be read."""
    return [
        JobPart(step.settings, step.sources, list_step_values(stored.values, step.name), step.program_lock)
        for step in parse_pipeline(stored.plan.files[PIPELINE_FILE]).steps
    ]


def list_step_values(value_rows: Iterable[Mapping[str, Any]], step: str) -> list[dict[str, Any]]:
    """Return the values of one step of a pipeline, with their own names."""
    start = f"{step}."
    return [{**row, "name": row["name"].removeprefix(start)} for row in value_rows if row["name"].startswith(start)]
