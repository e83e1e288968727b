"""Whether a job has a run already: the one place that is asked before a plan is sent, and when the platform refuses it.

- It goes on: the submit ends with that run (`unfinished`).
- It ended, and left a checkpoint: that is said, and the job is sent.
- Its submit was interrupted: `name_lock` finds it with the name, and the platform is asked (`interrupted_submit`).
- Another machine sent it: known only from the platform, which refuses its name a second time (`taken_name`).
- A new run of it is an attempt, with a number: `describe_attempt` says what changed since the one before.
"""

from contextlib import suppress
from functools import partial
from typing import NamedTuple

from robotrain import network_deadline
from robotrain.config.validate import list_fields
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import parse_attempt
from robotrain.model.plan import RenderedPlan
from robotrain.model.run import RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.store import records, run_differences
from robotrain.store.run_differences import Difference
from robotrain.store.run_values import PIN
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.same_run import (
    find_same_run,
    find_unfinished_run_of_plan,
    has_same_inputs,
    list_job_runs,
    make_same_run_note,
)
from robotrain.submission.unfinished_runs import UnfinishedRun

make_problem = Messages(__file__)


class ExistingRun(NamedTuple):
    """What exists of a job."""

    running: UnfinishedRun | None = None
    """The run that goes on."""
    notes: tuple[Problem, ...] = ()
    """For the user: that run, runs that differ in settings or pins, and what an earlier run left."""


NO_RUN = ExistingRun()


def find_existing_run(prepared: PreparedJob, plugins: Plugins) -> ExistingRun:
    """Return what exists of a job with its settings and pins.

    Raise Rejected if it is not known whether a run goes on.
    """
    same_run, notes = find_same_run(prepared, plugins)
    if same_run:
        notes.append(make_same_run_note(same_run, dict(list_fields(prepared.settings))))
    else:
        limit = network_deadline.get_limit(network_deadline.LONG_SECONDS)
        with suppress(Rejected, OSError):  # the job is submitted as it is
            notes += network_deadline.ask_one(partial(_find_left_checkpoint, prepared, plugins), limit)
    return ExistingRun(same_run, tuple(notes))


def _find_left_checkpoint(prepared: PreparedJob, plugins: Plugins) -> list[Problem]:
    """Return the note that the newest earlier run of the job that left a checkpoint can be continued; none if a newer
    one succeeded. Raise whatever a plugin raises.
    """
    for record in list_job_runs(prepared):
        if record.phase != "sent" or record.steps or not has_same_inputs(record, prepared):
            continue
        engine = plugins.platform_of(record).engine
        status = records.read_final_status(record.run) or engine.status(record.reference)
        if status.state == "succeeded":
            break
        outputs = engine.outputs(record.reference)
        if steps := [output.step for output in outputs if output.kind == "checkpoint" and output.step is not None]:
            way = Suggestion(f"robotrain resume {record.run}", "continues it")
            return [make_problem("run-left-checkpoint", way, run=record.run, state=status.state, step=max(steps))]
    return []


def find_run_of_plan(rendered_plan: RenderedPlan, plugins: Plugins) -> ExistingRun:
    """Return the run that a plan was submitted as, if it goes on. Raise Rejected if that is not known."""
    same_run = find_unfinished_run_of_plan(rendered_plan, plugins)
    if same_run is None:
        return NO_RUN
    return ExistingRun(same_run, (make_same_run_note(same_run, rendered_plan.settings, can_be_new=False),))


def describe_attempt(record: RunRecord) -> str:
    """Return which attempt of its job a run is, and what changed since the one before; empty for the first.

    A job has its name from its settings and the addresses of its sources: their contents may have changed.
    """
    attempt = parse_attempt(record.run)
    stem = record.run.removesuffix(f"{attempt}")
    with suppress(Rejected):
        for number in range(attempt - 1, 0, -1):
            if earlier_record := records.find_record(f"{stem}{number}"):
                changes = run_differences.find_changes(earlier_record.values, record.values)
                changes = [change for change in changes if not _lacks_pin(change)]
                if not changes:
                    break
                names = "; ".join(change.name for change in changes)
                return f"attempt {attempt} of this job, with changes since {earlier_record.run}: {names}"
    return f"attempt {attempt} of the same job" if attempt > 1 else ""


def _lacks_pin(change: Difference) -> bool:
    """Return whether a source differs only in that one run has no pin of it: it counts as the same."""
    pinless_texts = {PIN.sub("", text or "") for text in change.texts}
    return len(pinless_texts) == 1 and pinless_texts <= {*change.texts}
