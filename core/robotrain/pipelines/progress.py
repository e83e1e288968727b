"""Progress of a pipeline: the state of each step, in a file that its driver writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from robotrain_runtime.contract.files import is_locked

from robotrain.model.run import Status, StepStateName, StepStatus
from robotrain.store import files, records

PROGRESS_FILE, DRIVER_FILE, CANCEL_FILE, LOG_FILE = "steps.json", "driver", "cancel", "driver.log"
"""In the run's folder: the states; the file that the driver locks; a request to cancel; what the driver prints."""
UNFINISHED: tuple[StepStateName, ...] = ("waiting", "pending", "running")
FAILED: tuple[StepStateName, ...] = ("failed", "lost")
LOST_REASON = "its driver was stopped, as by a restart of the machine; `robotrain pipeline resume {}` goes on"


@dataclass(slots=True, kw_only=True)
class StepState:
    """The state of a step. Times are seconds since the epoch."""

    state: StepStateName = "waiting"
    run: str = ""
    """Its run, from before it is submitted."""
    reason: str = ""
    note: str = ""
    """The runs of the same job that another machine sent, if its platform tells them."""
    exit_code: int | None = None
    started: float | None = None
    ended: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    """Of a trial that ended: its last values of the sweep's metrics."""
    has_policy: bool = True
    """Whether a trial that succeeded left what can be registered, as far as its log tells."""
    by_earlier_run: bool = False
    """Whether an earlier run of the pipeline finished it, so that its time does not count."""
    queued: bool = False
    """Whether its run was submitted and its platform has not started it; its state is `running` then."""

    @property
    def finished(self) -> bool:
        """Whether the state is final."""
        return self.state not in UNFINISHED

    @property
    def shown_state(self) -> StepStateName:
        """The state as views show it."""
        return "pending" if self.queued and self.state == "running" else self.state


@dataclass(slots=True, kw_only=True)
class PipelineProgress:
    """The states of all steps, in the plan's order."""

    steps: dict[str, StepState]
    folder: str = field(default_factory=lambda: str(Path.cwd()))
    """The working folder of the submit: relative paths of settings start from it."""

    @property
    def finished(self) -> bool:
        """Whether every step has ended."""
        return all(step.finished for step in self.steps.values())

    def compute_status(self, run: str, has_driver: bool) -> Status:
        """Return the status of the pipeline: the reason is that of the first step that failed, never of a skipped one.

        A pipeline that has not ended and has no driver is lost.

        :param has_driver: `is_driven`, asked before the progress was read: a driver writes the end before it exits.
        """
        new_steps = [step for step in self.steps.values() if not step.by_earlier_run]
        start_time = min((step.started for step in new_steps if step.started), default=None)
        end_time = max((step.ended for step in new_steps if step.ended), default=None)
        if not self.finished:
            if not has_driver:
                return Status(state="lost", reason=LOST_REASON.format(run), started=start_time)
            waiting_reasons = {
                name: step.reason for name, step in self.steps.items() if step.reason and not step.finished
            }
            reasons = [f"step {name}: {reason}" for name, reason in waiting_reasons.items()]
            has_begun = start_time or any(
                step.shown_state == "running" for step in new_steps
            )  # not each engine says when
            return Status(state="running" if has_begun else "pending", reason="; ".join(reasons), started=start_time)
        if (failure := find_first_failure(self.steps)) is None:
            return Status(state="succeeded", started=start_time, ended=end_time)
        exit_code = self.steps[failure.step].exit_code
        return Status(
            state=failure.state, reason=failure.reason, exit_code=exit_code, started=start_time, ended=end_time
        )


class StepFailure(NamedTuple):
    """The step by which a pipeline did not succeed, and what that means for the whole."""

    step: str
    state: Literal["failed", "cancelled"]
    reason: str


def find_first_failure(steps: Mapping[str, StepState | StepStatus]) -> StepFailure | None:
    """Return the step that failed first; one that was cancelled or never began only if none failed. None if all ran."""
    states = {name: step.state for name, step in steps.items()}
    failed_names = [name for name, state in states.items() if state in FAILED]
    cancelled_names = [name for name, state in states.items() if state == "cancelled"]
    skipped_names = [name for name, state in states.items() if state == "skipped"]
    if not (candidates := failed_names or cancelled_names or skipped_names):
        return None
    name = min(candidates, key=lambda step_name: steps[step_name].ended or float("inf"))
    reason = f"step {name} {states[name]}" + (f": {steps[name].reason}" if steps[name].reason else "")
    return StepFailure(name, "failed" if failed_names else "cancelled", reason)


def make_step_status(name: str, step: StepState) -> StepStatus:
    """Return the status of a step as views show it."""
    return StepStatus(
        name=name,
        state=step.shown_state,
        run=step.run,
        reason="; ".join(filter(None, (step.reason, step.note))),
        started=step.started,
        ended=step.ended,
    )


def is_driven(run: str) -> bool:
    """Return whether a driver of the pipeline is alive on this machine."""
    return bool(is_locked(records.get_run_folder(run) / DRIVER_FILE))


def write_progress(run: str, progress: PipelineProgress) -> None:
    """Write the progress, replacing an earlier one atomically. Raise OSError."""
    body = {"folder": progress.folder, "steps": {name: asdict(step) for name, step in progress.steps.items()}}
    files.write_private_file(records.get_run_folder(run) / PROGRESS_FILE, json.dumps(body, indent=1).encode())


def read_progress(run: str) -> PipelineProgress | None:
    """Return the progress; None before the driver has started, or if it cannot be read."""
    try:
        data = files.read_json(records.get_run_folder(run) / PROGRESS_FILE)
        steps = {name: parse_step(step) for name, step in data["steps"].items()}
        return PipelineProgress(steps=steps, folder=str(data["folder"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def parse_step(data: Mapping[str, Any]) -> StepState:
    """Return the state in a mapping. Raise TypeError, ValueError."""
    step = StepState(**data)
    if step.state not in get_args(StepStateName):
        raise ValueError(f"a step is {step.state!r}")
    return step
