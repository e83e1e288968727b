"""The plan of a job that is sent: sources pinned, inputs compared, the trainer asked, rendered, and in preflight."""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import NamedTuple

from robotrain_runtime.contract.deadline import DeadlineFuture
from robotrain_runtime.contract.document import JobSource

from robotrain.errors import Problem, Rejected, raise_if_any, select_errors, settle_questions
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.platform_features import Uploads
from robotrain.plugins.manager import Plugins
from robotrain.submission import existing_run, input_check, pin, program_lock
from robotrain.submission.checker import NO_OPTIONS, CheckOptions
from robotrain.submission.existing_run import NO_RUN, ExistingRun
from robotrain.submission.input_check import NO_INPUTS, InputCheck
from robotrain.submission.machine_folders import find_output_problems, place_missing_folders
from robotrain.submission.pinned_job import pin_steps
from robotrain.submission.plan_secrets import find_secrets_in_plan
from robotrain.submission.prepare import InputStep, PreparedJob
from robotrain.submission.queried_settings import fill_settings, query_settings


def pin_sources(
    prepared: PreparedJob, attempt: int, pinning: bool, say: Callable[[str], None] = lambda line: None
) -> tuple[PreparedJob, list[Problem]]:
    """Return the job with its pins, the packages of its program, and the settings that its platform looks up.

    With them, the problems.

    :param say: shows a line while the packages are locked.
    """
    lock = DeadlineFuture(partial(program_lock.lock_program, prepared, say))  # in parallel with the pins
    pinned, problems = _pin_sources(prepared, attempt, pinning)
    locked, lock_problems = lock.result()
    return program_lock.copy_lock(locked, pinned), [*problems, *lock_problems]


def _pin_sources(prepared: PreparedJob, attempt: int, pinning: bool) -> tuple[PreparedJob, list[Problem]]:
    list_uploaded = partial(_list_uploaded, prepared, attempt)
    problems = pin.find_lost_pins(prepared.job, prepared.kinds, list_uploaded, prepared.is_remote_folder)
    query = DeadlineFuture(partial(query_settings, prepared)) if pinning else None  # in parallel with the pins
    jobs, pin_problems = pin_steps([InputStep(prepared)], pinning, is_rejected=bool(select_errors(problems)))
    pinned, query_problems = fill_settings(jobs[""], query.result()) if query else (jobs[""], [])
    return pinned, [*problems, *pin_problems, *query_problems]


class SubmitCheck(NamedTuple):
    """What is checked of a job before it is sent."""

    name: str = ""
    """What the user wants to call the run."""
    pinning: bool = True
    asks_existing: bool = True
    """Whether a run of the same job matters: not to a step of a pipeline, and not with `--new`."""
    joins_existing: bool = True
    """Whether a run of the same job that goes on ends the check: not in a dry run."""
    options: CheckOptions = NO_OPTIONS


class Checked(NamedTuple):
    """A job that may be sent, or that is joined: a run of it goes on."""

    plan: RenderedPlan | None
    """None if the job is joined."""
    existing: ExistingRun
    problems: list[Problem]
    """Warnings and notes, those on the existing run first."""
    inputs: InputCheck = NO_INPUTS


def check_job(prepared: PreparedJob, attempt: int, plugins: Plugins, check: SubmitCheck) -> Checked:
    """Return the plan of an attempt: pinned, compared, asked, rendered, and after preflight.

    Raise Rejected with all problems.
    """
    pinned, problems = pin_sources(prepared, attempt, check.pinning, check.options.say)
    existing = NO_RUN
    if check.asks_existing and not select_errors(problems):
        existing = existing_run.find_existing_run(pinned, plugins, check.name)
        if existing.running and check.joins_existing:
            return Checked(None, existing, list(existing.notes))
    try:
        return _render_and_preflight(pinned, attempt, existing, problems, check.options)
    except Rejected as rejected:
        placed_problems = place_missing_folders(rejected.problems, prepared.resolution)
        raise Rejected([*placed_problems, *existing.notes], transient=rejected.transient) from rejected


def _render_and_preflight(
    prepared: PreparedJob,
    attempt: int,
    existing: ExistingRun,
    earlier_problems: Iterable[Problem],
    options: CheckOptions,
) -> Checked:
    """Return the plan after preflight. Raise Rejected with all problems of pins and preflight.

    Preflight asks services, and may build an environment: inputs that do not fit end before it.
    """
    job_problems = [*earlier_problems, *find_output_problems(prepared.job, prepared.workload, prepared.platform)]
    inputs = input_check.check_inputs(prepared, options, is_rejected=bool(select_errors(job_problems)))
    problems = [*job_problems, *inputs.problems]
    if select_errors(inputs.problems):
        raise Rejected(pin.deduplicate_problems(problems))
    rendered_plan = prepared.render(attempt)
    notes = run_preflight(rendered_plan, prepared.platform, problems, confirm=options.confirm)
    return Checked(rendered_plan, existing, [*existing.notes, *notes], inputs)


def _list_uploaded(prepared: PreparedJob, attempt: int) -> Collection[JobSource]:
    """Return the sources that the platform already has as pinned; none if it fails to answer."""
    try:
        return list(prepared.platform.get_engine_for(Uploads).find_uploaded(prepared.render_plan(attempt)))
    except (Rejected, OSError):  # then every missing source is reported
        return ()


def run_preflight(
    rendered: RenderedPlan,
    platform: Platform,
    earlier_problems: Iterable[Problem] = (),
    confirm: Callable[[Problem], bool] = lambda problem: False,
) -> list[Problem]:
    """Let the platform check a plan, and return its warnings and notes. Raise Rejected.

    :param confirm: asks the user about a problem that has a question.
    """
    raise_if_any(find_secrets_in_plan(rendered.plan))
    problems = [*earlier_problems, *platform.engine.preflight(rendered.plan)]
    problems = settle_questions(pin.deduplicate_problems(problems), confirm)
    raise_if_any(problems)
    return problems
