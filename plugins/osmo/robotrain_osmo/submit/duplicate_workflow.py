"""The workflow of a plan that another machine sent: OSMO takes the same name again, and so the lowest number wins."""

import time

from robotrain.errors import Stage
from robotrain.model.plan import Plan
from robotrain.model.run import Reference

from robotrain_osmo.spec import submission_spec
from robotrain_osmo.submit import submit
from robotrain_osmo.submit.submit import get_number


def find_duplicate(plan: Plan, sent: Reference | None) -> str:
    """Return the user's first workflow of a plan that has not ended; empty for none. Raise CommandFailed.

    :param sent: the workflow of this machine: only those with a lower number count.
    """
    submission = submission_spec.load_submission(plan, Stage.SUBMIT)
    mark, numbers = submit.read_plan_mark(plan), range(1, get_number(sent["workflow"])) if sent else None
    if sent and not numbers:
        return ""
    found = submit.list_workflows(submission)
    if numbers and not {*numbers} <= {*map(get_number, found)}:  # OSMO lists late, and not those of other users
        time.sleep(submit.SETTLE_SECONDS)
        found = submit.list_workflows(submission)
    for workflow, state in found.items():
        counts = not state.is_finished and (numbers is None or get_number(workflow) in numbers)
        if counts and submit.has_plan_mark(submission.cli, workflow, mark):
            return workflow
    return ""
