"""A job as Azure ML describes it: fetched and parsed.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from robotrain.model.run import Reference
from robotrain_azure.arm import ArmError

from robotrain_azureml import errors
from robotrain_azureml.service import jobs

if TYPE_CHECKING:
    from robotrain.model.run import RunState

CANCELED = "Canceled"
AZURE_OUTPUTS = "default"
"""The output that Azure ML adds to the one that a job declares."""
_STATES: Mapping[str, RunState] = {
    **dict.fromkeys(("NotStarted", "Unapproved", "Scheduled", "Starting", "Provisioning"), "pending"),
    **dict.fromkeys(("Preparing", "Queued", "Pausing", "Paused"), "pending"),
    **dict.fromkeys(("Running", "Finalizing"), "running"),
    "Completed": "succeeded",
    "Failed": "failed",
    CANCELED: "cancelled",
}
_AMBIGUOUS_STATES = ("CancelRequested", "NotResponding", "Unknown")
"""Words that Azure ML has for a job that waits and for one that runs."""
_TIMEOUT_PATTERN = (
    r"(?i)max(?:imum)? ?run ?duration|\bjob\b.{0,40}\btimed ?out"
    r"|exceeded (?:the|its) (?:maximum |max |allowed )?(?:timeout|run ?time|time limit|duration)"
)
_TIMEOUT_SLACK_SECONDS = 60.0
"""Seconds by which the times of a job that was ended for its limit may miss it."""
_EXIT_CODE_PATTERN = (
    r"(?i)exit(?:ed)?(?: with)?(?: an?)?(?: non-?zero)?(?: exit| status)* codes?[:=]?\s*\[?(?P<code>\d{1,3})\b"
)
_DURATION_PATTERN = r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?"
_DURATION_UNITS = (86400, 3600, 60, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureMLJob:
    """A job as Azure ML tells it. word: its status. code, message: why it failed, in Azure ML's words.

    made, started, ended: seconds since the epoch. limit: seconds that it may run. logs: the address of each log by its
    name, signed for a while. compute, identity, mode: what the job says; mode: how its output is kept. storage, sender:
    the account that its output lies in, and the object id of who sent it, once somebody asked for them.
    """

    name: str = ""
    job_status: str = ""
    code: str = ""
    message: str = ""
    warnings: tuple[str, ...] = ()
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    limit: float | None = None
    logs: Mapping[str, str] = field(default_factory=dict, repr=False)
    compute: str = ""
    instance_type: str = ""
    identity: str = ""
    output_mode: str = ""
    storage_account: str = ""
    sender: str = ""

    @property
    def state(self) -> RunState:
        """What it is to robotrain: a time that ran out is no cancelling, and a word nobody knows ends nothing."""
        if self.job_status == CANCELED and self.has_timed_out:
            return "failed"
        return _STATES.get(self.job_status) or ("running" if self.started is not None else "pending")

    @property
    def is_known(self) -> bool:
        """Whether this robotrain knows the word that Azure ML has for it."""
        return self.job_status in _STATES or self.job_status in _AMBIGUOUS_STATES

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state not in ("pending", "running")

    @property
    def has_timed_out(self) -> bool:
        """Whether it was ended because it ran as long as it may: its times say so, whatever else timed out in it."""
        if self.limit is None or not (self.ended and self.started):
            return False
        ran, told = self.ended - self.started, " ".join((self.message, *self.warnings))
        if self.job_status in (CANCELED, "Failed") and re.search(_TIMEOUT_PATTERN, told):
            return ran >= self.limit - _TIMEOUT_SLACK_SECONDS
        return self.job_status == CANCELED and ran >= self.limit

    @property
    def exit_code(self) -> int | None:
        """Of its process, where Azure ML's words tell it."""
        found = re.search(_EXIT_CODE_PATTERN, self.message)
        return int(found["code"]) if found else None


def parse_job(resource: Mapping[str, Any], details: Mapping[str, Any]) -> AzureMLJob:
    """Of what the resource manager and the region answered; the region knows more, where it knows the job."""
    said = _as_mapping(resource.get("properties"))
    error = _as_mapping(_as_mapping(details.get("error")).get("error"))
    logs = _as_mapping(details.get("logFiles"))
    outputs = _as_mapping(said.get("outputs"))
    return AzureMLJob(
        name=_as_text(resource.get("name")) or _as_text(details.get("runId")),
        job_status=_as_text(details.get("status")) or _as_text(said.get("status")),
        code=_as_text(error.get("code")),
        message=" ".join(_list_messages(error)),
        warnings=tuple(_as_text(_as_mapping(one).get("message")) for one in _as_list(details.get("warnings"))),
        created=_parse_time(details.get("createdTimeUtc"))
        or _parse_time(_as_mapping(resource.get("systemData")).get("createdAt")),
        started=_parse_time(details.get("startTimeUtc")),
        ended=_parse_time(details.get("endTimeUtc")),
        limit=_parse_duration(_as_mapping(said.get("limits")).get("timeout")),
        logs={name: url for name, url in logs.items() if isinstance(name, str) and isinstance(url, str)},
        compute=_as_text(said.get("computeId")).rpartition("/")[2],
        instance_type=_as_text(_as_mapping(said.get("resources")).get("instanceType")),
        identity=_as_text(_as_mapping(said.get("environmentVariables")).get("AZURE_CLIENT_ID")),
        output_mode=next(
            (_as_text(_as_mapping(one).get("mode")) for name, one in outputs.items() if name != AZURE_OUTPUTS), ""
        ),
    )


def _list_messages(error: Mapping[str, Any]) -> Iterator[str]:
    """Of an error and what it is made of: the outer one often says that there was one."""
    yield _as_text(error.get("message"))
    for one in _as_list(error.get("details")):
        yield from _list_messages(_as_mapping(one))


def _as_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _parse_duration(value: object) -> float | None:
    """Of an ISO duration, as `PT12H`."""
    found = re.fullmatch(_DURATION_PATTERN, _as_text(value))
    parts = (
        [float(part or 0) * unit for part, unit in zip(found.groups(), _DURATION_UNITS, strict=True)] if found else []
    )
    return sum(parts) or None


def _parse_time(value: object) -> float | None:
    """An ISO time in seconds since the epoch; one without a zone is UTC."""
    text = re.sub(r"(\.\d{6})\d+", r"\1", _as_text(value))  # Azure writes seven digits of a second
    try:
        found = datetime.fromisoformat(text if re.search(r"(?:Z|[+-]\d\d:\d\d)$", text) else f"{text}+00:00")
    except ValueError:
        return None
    return found.timestamp()


def query_job(reference: Reference) -> tuple[AzureMLJob, str]:
    """How it is, and why its region was not heard: empty when it was. Raises RunGone, Refused.

    A region that cannot be reached from here, as that of a private workspace, takes nothing from what is known anyway.
    """
    resource = jobs.get_job(reference)
    try:
        told = jobs.fetch_run_details(jobs.get_run_workspace(reference), reference["job"], resource)
    except ArmError as error:
        return parse_job(resource, {}), str(error)
    return parse_job(resource, told), ""


def query_job_region(reference: Reference) -> AzureMLJob:
    """What its region knows: how it is, and where its logs lie. Raises RunGone, Refused."""
    at, name = jobs.get_run_workspace(reference), reference.get("job", "")
    try:
        told = jobs.fetch_run_details(at, name)
    except ArmError as error:
        raise errors.make_rejection(error, at, f"ask the workspace's region for the job {name}") from None
    return parse_job({} if told else jobs.get_job(reference), told)
