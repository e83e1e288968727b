"""A run: what was sent, where, and how it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from robotrain.errors import Problem, Rejected, Stage
from robotrain.model.workload import Metric, OutputProfile, Produces

RunState = Literal["pending", "running", "succeeded", "failed", "cancelled", "lost"]

RunChange = Literal["sent", "cancelled", "ended"]
"""What notifications tell of a run. An interrupted submit that was found again counts as sent."""

FINAL_STATES: tuple[RunState, ...] = ("succeeded", "failed", "cancelled", "lost")


class RunGone(Rejected):
    """The engine no longer knows a run; says what is missing."""

    def __init__(self, title: str) -> None:
        super().__init__([Problem(code="run-gone", stage=Stage.SUBMIT, title=title)])


Reference = Mapping[str, str]
"""What a platform needs to find a run again, as it returned it from `submit`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a run is. reason: why it waits or stopped. Times are seconds since the epoch; step counts from 1."""

    state: RunState
    reason: str = ""
    exit_code: int | None = None
    started: float | None = None
    ended: float | None = None

    def __post_init__(self) -> None:
        if self.reason:  # it is shown and kept, and a plugin says it
            from robotrain.redaction import redact_if_secret

            object.__setattr__(self, "reason", redact_if_secret(self.reason))

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in FINAL_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Something a run left. name: how the run calls it (`checkpoints/000400`).

    source, uri: the source kind that reads it, and its printed form there. step, model, digest: of a checkpoint; model
    is the part of it that is the model alone, empty for all of it. size: in bytes, None when it is not known.
    """

    name: str
    kind: Literal["checkpoint", "file"]
    source: str
    uri: str
    step: int | None = None
    model: str = ""
    digest: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What is kept of a run. phase: `sending` until the platform took it and its name was told. settings: the
    platform's, as resolved. makes, outputs, metrics: as its workload declares them. host: the
    machine it was sent from. notes: what happened on its way that explains it.
    """

    run: str
    platform: str
    phase: Literal["sending", "sent"]
    job: str
    plan: str
    created: float
    workload: str
    settings: Mapping[str, str | int | float | bool | None]
    reference: Reference
    host: str = ""
    notes: tuple[str, ...] = ()
    makes: Produces = "checkpoints"
    outputs: OutputProfile = field(default=OutputProfile())
    metrics: tuple[Metric, ...] = ()
