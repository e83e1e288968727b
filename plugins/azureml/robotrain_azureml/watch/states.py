"""What Azure ML says of a job, read: its word for the state, when what happened, why it failed, where its logs lie.
Pure.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robotrain.run import State

CANCELED = "Canceled"
AZURES = "default"
"""The output that Azure ML adds to the one that a job declares."""
_KNOWN: Mapping[str, State] = {
    **dict.fromkeys(("NotStarted", "Unapproved", "Scheduled", "Starting", "Provisioning"), "pending"),
    **dict.fromkeys(("Preparing", "Queued", "Pausing", "Paused"), "pending"),
    **dict.fromkeys(("Running", "Finalizing"), "running"),
    "Completed": "succeeded",
    "Failed": "failed",
    CANCELED: "cancelled",
}
_BY_TIMES = ("CancelRequested", "NotResponding", "Unknown")
"""Words that Azure ML has for a job that waits and for one that runs."""
_TIMED_OUT = (
    r"(?i)max(?:imum)? ?run ?duration|\bjob\b.{0,40}\btimed ?out"
    r"|exceeded (?:the|its) (?:maximum |max |allowed )?(?:timeout|run ?time|time limit|duration)"
)
_SLACK = 60.0
"""Seconds by which the times of a job that was ended for its limit may miss it."""
_EXIT = r"(?i)exit(?:ed)?(?: with)?(?: an?)?(?: non-?zero)?(?: exit| status)* codes?[:=]?\s*\[?(?P<code>\d{1,3})\b"
_DURATION = r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?"
_UNITS = (86400, 3600, 60, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as Azure ML tells it. word: its status. code, message: why it failed, in Azure ML's words.

    made, started, ended: seconds since the epoch. limit: seconds that it may run. logs: the address of each log by its
    name, signed for a while. compute, identity, mode: what the job says; mode: how its output is kept. storage, sender:
    the account that its output lies in, and the object id of who sent it, once somebody asked for them.
    """

    name: str = ""
    word: str = ""
    code: str = ""
    message: str = ""
    warnings: tuple[str, ...] = ()
    made: float | None = None
    started: float | None = None
    ended: float | None = None
    limit: float | None = None
    logs: Mapping[str, str] = field(default_factory=dict, repr=False)
    compute: str = ""
    instance_type: str = ""
    identity: str = ""
    mode: str = ""
    storage: str = ""
    sender: str = ""

    @property
    def state(self) -> State:
        """What it is to robotrain: a time that ran out is no cancelling, and a word nobody knows ends nothing."""
        if self.word == CANCELED and self.timed_out:
            return "failed"
        return _KNOWN.get(self.word) or ("running" if self.started is not None else "pending")

    @property
    def known(self) -> bool:
        """Whether this robotrain knows the word that Azure ML has for it."""
        return self.word in _KNOWN or self.word in _BY_TIMES

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state not in ("pending", "running")

    @property
    def timed_out(self) -> bool:
        """Whether it was ended because it ran as long as it may: its times say so, whatever else timed out in it."""
        if self.limit is None or not (self.ended and self.started):
            return False
        ran, told = self.ended - self.started, " ".join((self.message, *self.warnings))
        if self.word in (CANCELED, "Failed") and re.search(_TIMED_OUT, told):
            return ran >= self.limit - _SLACK
        return self.word == CANCELED and ran >= self.limit

    @property
    def exit_code(self) -> int | None:
        """Of its process, where Azure ML's words tell it."""
        found = re.search(_EXIT, self.message)
        return int(found["code"]) if found else None


def read(resource: Mapping[str, Any], details: Mapping[str, Any]) -> Job:
    """Of what the resource manager and the region answered; the region knows more, where it knows the job."""
    said = _mapping(resource.get("properties"))
    error = _mapping(_mapping(details.get("error")).get("error"))
    logs = _mapping(details.get("logFiles"))
    outputs = _mapping(said.get("outputs"))
    return Job(
        name=_text(resource.get("name")) or _text(details.get("runId")),
        word=_text(details.get("status")) or _text(said.get("status")),
        code=_text(error.get("code")),
        message=" ".join(_messages(error)),
        warnings=tuple(_text(_mapping(one).get("message")) for one in _listed(details.get("warnings"))),
        made=_time(details.get("createdTimeUtc")) or _time(_mapping(resource.get("systemData")).get("createdAt")),
        started=_time(details.get("startTimeUtc")),
        ended=_time(details.get("endTimeUtc")),
        limit=_seconds(_mapping(said.get("limits")).get("timeout")),
        logs={name: url for name, url in logs.items() if isinstance(name, str) and isinstance(url, str)},
        compute=_text(said.get("computeId")).rpartition("/")[2],
        instance_type=_text(_mapping(said.get("resources")).get("instanceType")),
        identity=_text(_mapping(said.get("environmentVariables")).get("AZURE_CLIENT_ID")),
        mode=next((_text(_mapping(one).get("mode")) for name, one in outputs.items() if name != AZURES), ""),
    )


def _messages(error: Mapping[str, Any]) -> Iterator[str]:
    """Of an error and what it is made of: the outer one often says that there was one."""
    yield _text(error.get("message"))
    for one in _listed(error.get("details")):
        yield from _messages(_mapping(one))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: object) -> float | None:
    """Of an ISO duration, as `PT12H`."""
    found = re.fullmatch(_DURATION, _text(value))
    parts = [float(part or 0) * unit for part, unit in zip(found.groups(), _UNITS, strict=True)] if found else []
    return sum(parts) or None


def _time(value: object) -> float | None:
    """An ISO time in seconds since the epoch; one without a zone is UTC."""
    text = re.sub(r"(\.\d{6})\d+", r"\1", _text(value))  # Azure writes seven digits of a second
    try:
        found = datetime.fromisoformat(text if re.search(r"(?:Z|[+-]\d\d:\d\d)$", text) else f"{text}+00:00")
    except ValueError:
        return None
    return found.timestamp()
