"""What OSMO says of a workflow, read: its word for the state, its one task's, and when what happened. Pure."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robotrain.run import State

CANCELLED = "FAILED_CANCELED"
VAGUE = ("FAILED", "FAILED_UPSTREAM")
"""Failures that say nothing more: a task's word, or the workflow's, may."""
GETTING_READY = ("SUBMITTING", "WAITING", "PROCESSING", "SCHEDULING", "INITIALIZING", "RESCHEDULED")
"""A task that does not run yet."""
_KNOWN: Mapping[str, State] = {
    "PENDING": "pending",
    "WAITING": "pending",
    "RUNNING": "running",
    "COMPLETED": "succeeded",
    CANCELLED: "cancelled",
}
_TASK: Mapping[str, State] = {**dict.fromkeys(GETTING_READY, "pending"), "RUNNING": "running"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow as OSMO tells it. word: its status. task: that of its task in its newest try. retry: which, from 0.

    message: why it failed, in OSMO's words. queued, exec_timeout, queue_timeout: seconds. started, ended: since the
    epoch. by: who cancelled it. overview: its page.
    """

    name: str
    word: str
    task: str = ""
    retry: int = 0
    exit_code: int | None = None
    message: str = ""
    queued: float | None = None
    exec_timeout: float | None = None
    queue_timeout: float | None = None
    started: float | None = None
    ended: float | None = None
    by: str = ""
    overview: str = ""

    @property
    def state(self) -> State:
        """What it is to robotrain. Whatever begins with FAILED has failed; another word nobody knows ends nothing."""
        if known := _KNOWN.get(self.failure or self.word):
            return known
        if self.failure:
            return "failed"
        return _TASK.get(self.task) or ("running" if self.started is not None else "pending")

    @property
    def known(self) -> bool:
        """Whether this robotrain knows the word that OSMO has for it."""
        return self.word in _KNOWN or self.word.startswith("FAILED")

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state not in ("pending", "running")

    @property
    def failure(self) -> str:
        """The word that says most of how it failed, the task's or the workflow's; empty while it did not.

        OSMO counts a lost machine as a plain failure of the workflow: the task says which.
        """
        if not self.word.startswith("FAILED"):
            return ""
        vague = self.word in VAGUE
        return self.task if vague and self.task.startswith("FAILED") and self.task not in VAGUE else self.word

    @property
    def silent(self) -> bool:
        """Whether nothing can have been printed yet: its first try waits."""
        return self.state == "pending" and not self.retry and self.started is None


def read(answer: object, task: str = "") -> Workflow:
    """What `osmo workflow query -t json` answered. task: the name of the one that counts; empty for the first."""
    told = answer if isinstance(answer, Mapping) else {}
    tries = [one for one in _tasks(told) if not task or one.get("name") == task] or list(_tasks(told))
    newest = max(tries, key=lambda one: _whole(one.get("retry_id")) or 0, default={})
    groups = [group for group in _listed(told.get("groups")) if group.get("failure_message")]
    message = newest.get("failure_message") or (groups[0]["failure_message"] if groups else "")
    return Workflow(
        name=_text(told.get("name")),
        word=_text(told.get("status")),
        task=_text(newest.get("status")),
        retry=_whole(newest.get("retry_id")) or 0,
        exit_code=_whole(newest.get("exit_code")),
        message=_text(message),
        queued=_seconds(told.get("queued_time")),
        exec_timeout=_seconds(told.get("exec_timeout")),
        queue_timeout=_seconds(told.get("queue_timeout")),
        started=_time(told.get("start_time")) or _time(newest.get("start_time")),
        ended=_time(told.get("end_time")) or _time(newest.get("end_time")),
        by=_text(told.get("cancelled_by")),
        overview=_text(told.get("overview")),
    )


def _tasks(told: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for group in _listed(told.get("groups")):
        yield from _listed(group.get("tasks"))


def _listed(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _time(value: object) -> float | None:
    """An ISO time in seconds since the epoch; OSMO writes UTC and does not say so."""
    try:
        found = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
