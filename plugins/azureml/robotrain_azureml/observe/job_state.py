"""A job as Azure ML describes it: queries, parsing, and the request to cancel it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from robotrain.cluster.answers import as_mapping, as_mappings, as_text, parse_time
from robotrain.model.reference import STEP_KEY, Reference
from robotrain.model.run import RunGone, RunState
from robotrain_azure import errors as azure_errors
from robotrain_azure.arm import ArmError

from robotrain_azureml import errors
from robotrain_azureml.service import jobs
from robotrain_azureml.spec.pipeline_spec import STEP_TAG, STEPS_KEY, make_step_folder, parse_steps

CANCELED = "Canceled"
AZURE_OUTPUTS = "default"
"""The output that Azure ML adds to the declared one."""
_STATES: Mapping[str, RunState] = {
    **dict.fromkeys(("NotStarted", "Unapproved", "Scheduled", "Starting", "Provisioning"), "pending"),
    **dict.fromkeys(("Preparing", "Queued", "Pausing", "Paused"), "pending"),
    **dict.fromkeys(("Running", "Finalizing"), "running"),
    "Completed": "succeeded",
    "Failed": "failed",
    CANCELED: "cancelled",
}
_AMBIGUOUS_STATES = ("CancelRequested", "NotResponding", "Unknown")
"""States of jobs that may be waiting or running."""
_TIMEOUT_PATTERN = (
    r"(?i)max(?:imum)? ?run ?duration|\bjob\b.{0,40}\btimed ?out"
    r"|exceeded (?:the|its) (?:maximum |max |allowed )?(?:timeout|run ?time|time limit|duration)"
)
_TIMEOUT_SLACK_SECONDS = 60.0
"""How far the times of a job that reached its limit may be off."""
_EXIT_CODE_PATTERN = (
    r"(?i)exit(?:ed)?(?: with)?(?: an?)?(?: non-?zero)?(?: exit| status)* codes?[:=]?\s*\[?(?P<code>\d{1,3})\b"
)
_DURATION_PATTERN = r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?"
_DURATION_UNITS = (86400, 3600, 60, 1)
"""An ISO duration like `PT12H`, and the seconds of its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureMLJob:
    """A job as Azure ML describes it. Times are seconds since the epoch."""

    name: str = ""
    job_status: str = ""
    """Azure ML's own name of the state."""
    code: str = ""
    message: str = ""
    """Why it failed, in Azure ML's words."""
    warnings: tuple[str, ...] = ()
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    limit: float | None = None
    """Seconds that it may run."""
    logs: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The signed URL of each log, by name; it expires."""
    compute: str = ""
    instance_type: str = ""
    """That of a Kubernetes compute; empty for a managed one, which has none."""
    output_mode: str = ""

    @property
    def state(self) -> RunState:
        """The state for robotrain: a timeout is a failure, and an unknown state is not an end."""
        if self.job_status == CANCELED and self.has_timed_out:
            return "failed"
        return _STATES.get(self.job_status) or ("running" if self.started is not None else "pending")

    @property
    def is_known(self) -> bool:
        """Whether this robotrain knows the state's name."""
        return self.job_status in _STATES or self.job_status in _AMBIGUOUS_STATES

    @property
    def is_finished(self) -> bool:
        """Whether the job has ended."""
        return self.state not in ("pending", "running")

    @property
    def has_timed_out(self) -> bool:
        """Whether the job reached its own time limit: its times must agree, other timeouts do not count."""
        if self.limit is None or not (self.ended and self.started):
            return False
        run_seconds = self.ended - self.started
        messages = " ".join((self.message, *self.warnings))
        if self.job_status in (CANCELED, "Failed") and re.search(_TIMEOUT_PATTERN, messages):
            return run_seconds >= self.limit - _TIMEOUT_SLACK_SECONDS
        return self.job_status == CANCELED and run_seconds >= self.limit

    @property
    def other_machine(self) -> str:
        """What to choose for a machine of another kind: a managed compute has no instance types."""
        return "an --instance-type" if self.instance_type else "a --compute"

    @property
    def exit_code(self) -> int | None:
        """The exit code of its process, if Azure ML's message contains it."""
        match = re.search(_EXIT_CODE_PATTERN, self.message)
        return int(match["code"]) if match else None


def parse_job(resource: Mapping[str, Any], details: Mapping[str, Any]) -> AzureMLJob:
    """Parse the answers of the resource manager and the region; the region's details are preferred."""
    properties = as_mapping(resource.get("properties"))
    error = as_mapping(as_mapping(details.get("error")).get("error"))
    logs = as_mapping(details.get("logFiles"))
    outputs = as_mapping(properties.get("outputs"))
    duration = re.fullmatch(_DURATION_PATTERN, as_text(as_mapping(properties.get("limits")).get("timeout")))
    parts = zip(duration.groups(), _DURATION_UNITS, strict=True) if duration else ()
    return AzureMLJob(
        name=as_text(resource.get("name")) or as_text(details.get("runId")),
        job_status=as_text(details.get("status")) or as_text(properties.get("status")),
        code=as_text(error.get("code")),
        message=" ".join(_list_messages(error)),
        warnings=tuple(as_text(warning.get("message")) for warning in as_mappings(details.get("warnings"))),
        created=parse_time(details.get("createdTimeUtc"))
        or parse_time(as_mapping(resource.get("systemData")).get("createdAt")),
        started=parse_time(details.get("startTimeUtc")),
        ended=parse_time(details.get("endTimeUtc")),
        limit=sum(float(part or 0) * unit for part, unit in parts) or None,
        logs={name: url for name, url in logs.items() if isinstance(name, str) and isinstance(url, str)},
        compute=as_text(properties.get("computeId")).rpartition("/")[2],
        instance_type=as_text(as_mapping(properties.get("resources")).get("instanceType")),
        output_mode=next(
            (as_text(as_mapping(output).get("mode")) for name, output in outputs.items() if name != AZURE_OUTPUTS), ""
        ),
    )


def _list_messages(error: Mapping[str, Any]) -> Iterator[str]:
    """Yield the messages of an error and its details: the outer one is often generic."""
    yield as_text(error.get("message"))
    for detail in as_mappings(error.get("details")):
        yield from _list_messages(detail)


def query_job(reference: Reference) -> tuple[AzureMLJob, str]:
    """Return the job, and why its region gave no details (empty if it did). Raises RunGone, Rejected.

    The region of a private workspace may be out of reach; the rest is known anyway.
    """
    if PARENT_KEY in reference:
        return parse_job(*fetch_step_job(reference)), ""
    resource = jobs.get_job(reference)
    try:
        details = jobs.fetch_run_details(jobs.get_run_workspace(reference), reference["job"], resource)
    except ArmError as error:
        return parse_job(resource, {}), str(error)
    return parse_job(resource, details), ""


def query_job_region(reference: Reference) -> AzureMLJob:
    """Return the state and the logs from the region's service. Raises RunGone, Rejected."""
    workspace = jobs.get_run_workspace(reference)
    name = reference.get("job", "")
    with errors.reject_errors(workspace, f"ask the workspace's region for the job {name}"):
        details = jobs.fetch_run_details(workspace, name)
    return parse_job({} if details else jobs.get_job(reference), details)


DECLINED_STATUSES = (400, 409)
"""Answers if there is nothing to cancel."""


def has_ended(reference: Reference) -> bool:
    """Return whether the job has ended. Raises RunGone, Rejected."""
    return query_job(reference)[0].is_finished


def request_cancel(reference: Reference) -> str:
    """Ask Azure ML to end a job; return why it declined: the job may have ended meanwhile. Raises RunGone, Rejected."""
    workspace, name = jobs.get_run_workspace(reference), reference["job"]
    try:
        jobs.get_client().post(f"{workspace.resource}/jobs/{name}/cancel")
    except ArmError as error:
        if azure_errors.is_part_missing(error):
            raise jobs.make_run_gone(workspace, name) from None
        if error.status not in DECLINED_STATUSES:
            raise errors.make_rejection(error, workspace, f"cancel the job {name}") from None
        return str(error)
    return ""


def fetch_step_runs(reference: Reference) -> dict[str, dict[str, Any]]:
    """Return the region's details of the steps that could begin, by name; the last attempt of each. Raises Rejected.

    Without tags, as for a step of a copied job, the name that Azure ML shows tells which step it is.
    """
    workspace, name = jobs.get_run_workspace(reference), reference["job"]
    with errors.reject_errors(workspace, f"ask the workspace's region for the steps of {name}"):
        children = jobs.fetch_children(workspace, name)
    facts_of = parse_steps(reference)
    by_run = {facts.run: step for step, facts in facts_of.items()}
    runs_by_step: dict[str, dict[str, Any]] = {}
    for child in sorted(children, key=lambda child: str(child.get("createdUtc") or "")):
        tags = as_mapping(child.get("tags"))
        if step := tags.get(STEP_TAG) or by_run.get(str(child.get("displayName"))):
            runs_by_step[step] = child
    return runs_by_step


def select_step(reference: Reference, child: Mapping[str, Any] | None = None) -> Reference:
    """Return the reference of the job of a step, and that of any other run as it is. Raises RunGone, Rejected.

    `child`: what the region knows of it, if that was asked already.
    """
    if (step := reference.get(STEP_KEY, "")) and reference.get(STEPS_KEY):
        child = child or fetch_step_runs(reference).get(step)
        if child is None:
            raise RunGone(f"the step {step} of {reference['job']} has not begun")
        facts, parent = parse_steps(reference)[step], reference["job"]
        fields = {name: reference_value for name, reference_value in reference.items() if name != STEPS_KEY}
        return {
            **fields,
            "job": str(child.get("runId")),
            PARENT_KEY: parent,
            "key": facts.key,
            "run": facts.run,
            "plan": reference["run"],
            "datastore": facts.datastore,
            "output": f"azureml/{parent}-{step}/{facts.output}",
            "files": f"{make_step_folder(step)}/",
            "results": "yes" if facts.results else "",
            "publishes": facts.publishes,
        }
    return reference


PARENT_KEY = "parent"
"""The key of the reference of a step's job with the name of its pipeline job."""


def fetch_step_job(reference: Reference) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the job of a step as a command job, and its details. Raises RunGone, Rejected.

    Its state comes from the region, its settings from the job of the pipeline.
    """
    workspace, name = jobs.get_run_workspace(reference), reference["job"]
    parent = jobs.get_job({**reference, "job": reference[PARENT_KEY]})
    with errors.reject_errors(workspace, f"ask the workspace's region for the job {name}"):
        details = jobs.fetch_run_details(workspace, name, parent)
    if not details:
        raise jobs.make_run_gone(workspace, name)
    node = as_mapping(as_mapping(as_mapping(parent.get("properties")).get("jobs")).get(reference["key"]))
    properties = {
        **{key: node.get(key) for key in ("computeId", "limits", "outputs")},
        "resources": {"instanceType": as_mapping(node.get("resources")).get("instance_type")},
        "environmentVariables": node.get("environment_variables"),
    }
    return {"name": name, "properties": properties}, details
