"""What a submit does before it sends anything: `submit --dry-run`."""

from robotrain.errors import Problem, Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import parse_attempt
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.run import RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.store import name_lock
from robotrain.store.name_lock import NameLock
from robotrain.submission import checked_plan, existing_run, submitter
from robotrain.submission.carried_record import carry_labels
from robotrain.submission.checked_plan import Checked, SubmitCheck
from robotrain.submission.checker import NO_OPTIONS, CheckOptions
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.run_labels import NO_LABELS, RunLabels
from robotrain.submission.run_sender import NO_OWNER
from robotrain.submission.same_run import is_same_submission
from robotrain.submission.taken_name import ANOTHER_ATTEMPT, ANOTHER_NAME, explain_taken_name, is_name_taken

make_problem = Messages(__file__)


def dry_run_job(
    prepared: PreparedJob,
    plugins: Plugins,
    *,
    is_new: bool = False,
    pinning: bool = True,
    labels: RunLabels = NO_LABELS,
    checks: CheckOptions = NO_OPTIONS,
) -> Checked:
    """Do everything but submit the job, and return the plan and what to tell of it. Raise Rejected."""
    raise_if_any(name_lock.check_state_folder())
    prepared = prepared.with_job(carry_labels(prepared.job, labels, is_new=is_new))
    check = SubmitCheck(
        pinning=pinning,
        asks_existing=not is_new,
        joins_existing=False,
        options=checks._replace(is_dry_run=True),
    )
    taken_attempt = 0  # the last attempt whose name another machine's run has at the engine
    while True:
        run, notes = _release_claim(
            name_lock.claim_run_name(
                prepared.job,
                lambda record: not is_new and is_same_submission(record, prepared, NO_OWNER),
                last_attempt=taken_attempt,
            )
        )
        attempt = parse_attempt(run)
        try:
            checked = checked_plan.check_job(prepared, attempt, plugins, check)
            return checked._replace(problems=[*notes, *checked.problems])
        except Rejected as refusal:
            if not (is_new and is_name_taken(refusal)):
                raise explain_taken_name(refusal, prepared.job, prepared.platform, ANOTHER_NAME) from refusal
            taken_attempt = attempt


def dry_run_plan(rendered_plan: RenderedPlan, platform: Platform, plugins: Plugins) -> list[Problem]:
    """Do everything but submit the plan, and return what to tell of it.

    Raise Rejected if preflight fails or the plan's name is taken.
    """
    raise_if_any(name_lock.check_state_folder())
    existing = existing_run.find_run_of_plan(rendered_plan, plugins)
    if existing.running:
        return list(existing.notes)
    _, notes = _release_claim(submitter.claim_plan_name(rendered_plan))
    try:
        return [*notes, *checked_plan.run_preflight(rendered_plan, platform, confirm=lambda problem: True)]
    except Rejected as refusal:
        raise explain_taken_name(refusal, rendered_plan.plan.job, platform, ANOTHER_ATTEMPT) from refusal


def _release_claim(claimed: tuple[NameLock, RunRecord | None]) -> tuple[str, list[Problem]]:
    """Release a claim after a dry run; return the claimed name, and a note if its submit was interrupted."""
    lock, interrupted = claimed
    if interrupted is None:
        lock.release_and_remove()
        return lock.run, []
    lock.release()
    note = make_problem("run-interrupted.looked-for", given=interrupted.run, platform=interrupted.platform)
    return lock.run, [note]
