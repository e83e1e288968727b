"""A run: its record, status and outputs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.reference import Reference
from robotrain.model.source import LOCAL_KIND, REMOTE_KIND
from robotrain.model.workload_profile import Metric, OutputProfile, Produces
from robotrain.redaction import escape_controls, redact_if_secret

make_problem = Messages(__file__)

RunState = Literal["pending", "running", "succeeded", "failed", "cancelled", "lost"]
"""The state of a run; `lost` is one that disappeared without an outcome."""

RunChange = Literal["sent", "cancelled", "ended"]
"""What a notification is about. An interrupted submit that was found again counts as `sent`."""

FINAL_STATES: tuple[RunState, ...] = ("succeeded", "failed", "cancelled", "lost")


class RunGone(Rejected):
    """The engine no longer knows a run."""

    def __init__(self, title: str) -> None:
        super().__init__([make_problem("run-gone", title=title)])


class RemovedInPart(Rejected):
    """A run could not be removed whole: some of its files are gone."""


RUN_PATTERN = re.compile(r"[a-z][a-z0-9-]*-[0-9a-f]{8}-[0-9]+")


def list_run_parts(address: str) -> list[str]:
    """Return the parts of an address that have the form of a run, the last one first."""
    return [part for part in reversed(re.split(r"[/:\s]", address)) if RUN_PATTERN.fullmatch(part)]


@dataclass(frozen=True, kw_only=True)
class Status:
    """The status of a run. Times are seconds since the epoch."""

    state: RunState
    reason: str = ""
    """Why the run waits or stopped."""
    exit_code: int | None = None
    started: float | None = None
    ended: float | None = None

    def __post_init__(self) -> None:
        if self.state not in get_args(RunState):
            raise ValueError(f"its state is {self.state!r}; expected one of {', '.join(get_args(RunState))}")
        if self.reason:  # the text of a plugin: it is shown and recorded
            lines = redact_if_secret(self.reason).split("\n")
            object.__setattr__(self, "reason", "\n".join(map(escape_controls, lines)))

    @property
    def finished(self) -> bool:
        """Whether the state is final."""
        return self.state in FINAL_STATES


StepStateName = Literal["waiting", "pending", "running", "succeeded", "failed", "cancelled", "lost", "skipped"]


@dataclass(frozen=True, kw_only=True)
class StepStatus:
    """The status of a step of a pipeline. Times are seconds since the epoch."""

    name: str
    state: StepStateName
    run: str = ""
    """Its run, if the step is one."""
    reason: str = ""
    started: float | None = None
    ended: float | None = None


def measure_seconds(status: Status | StepStatus, now: float, last_seen: float | None = None) -> float | None:
    """Return how long a run or step took until now; None if it did not start or nobody saw its end.

    :param last_seen: when it was last known to work, which counts as an end that nobody saw.
    """
    if status.started is None:
        return None
    end_time = status.ended or (last_seen if status.state in (*FINAL_STATES, "skipped") else now)
    return None if end_time is None else max(end_time - status.started, 0.0)


@dataclass(frozen=True, kw_only=True)
class Output:
    """A checkpoint or file that a run produced."""

    name: str
    """Its path within the run: `checkpoints/000400`."""
    kind: Literal["checkpoint", "file"]
    source: str
    """The source kind that reads it."""
    uri: str
    """Its address, as that source kind prints it."""
    step: int | None = None
    model: str = ""
    """The part of a checkpoint that is the model; empty for all of it."""
    digest: str = ""
    size: int | None = None
    """Bytes, if known."""
    addresses: tuple[str, ...] = ()
    """Where else it is: `runs:/…` of an artifact, `models:/…` of a registered model, `https://…` of a copy."""


def locate_output(output: Output, host: str) -> Output:
    """Return an output as other jobs name it: a folder of a host that ssh reaches, as `HOST:/PATH`."""
    if not (host and output.source == LOCAL_KIND):
        return output
    return replace(output, source=REMOTE_KIND, uri=f"{host}:{output.uri}")


UNPUBLISHED_CODE = "outputs-unpublished"
"""The code of the problem of a run that published nothing of what it wrote, which is gone with its machine."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The stored record of a run."""

    run: str
    platform: str
    phase: Literal["sending", "sent"]
    """`sending` until the platform accepted the run."""
    job: str
    """The job's digest."""
    plan: str
    """The plan's digest."""
    created: float
    workload: str
    settings: Mapping[str, str | int | float | bool | None]
    """The platform's resolved settings."""
    reference: Reference
    host: str = ""
    """The machine that submitted it; empty if another one did, and the run was adopted here."""
    notes: tuple[str, ...] = ()
    """What happened during submission that explains its state."""
    makes: Produces = "checkpoints"
    pipeline: str = ""
    """The pipeline that it is a step of, by its run's name."""
    step: str = ""
    """Its name in that pipeline."""
    steps: tuple[str, ...] = ()
    """The names of its steps, in their order, if it is a pipeline."""
    native: bool = False
    """Whether the platform's engine starts the steps of the pipeline, not a driver."""
    outputs: OutputProfile = field(default=OutputProfile())
    metrics: tuple[Metric, ...] = ()
    name: str = ""
    """What its user calls it; several runs may have the same name."""
    note: str = ""
    parent: str = ""
    """The run that it repeats or continues, if `resubmit` or `resume` made it."""
    job_folder: str = ""
    """The folder of its job file; empty without one."""
    program: str = ""
    """The program of its user's own that it runs; empty for one of the workload's."""
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Each value of its job that is not the default, with that default; of sources with their pins."""

    @property
    def is_adopted(self) -> bool:
        """Whether another machine submitted it, perhaps a colleague's."""
        return not self.host

    @property
    def is_sweep(self) -> bool:
        """Whether its steps are trials of one job."""
        return self.outputs.is_sweep
