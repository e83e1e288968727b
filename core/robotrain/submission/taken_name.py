"""A name that a run of another machine has at the engine, which gives each name once: the second submit is refused."""

import dataclasses
import shlex

from robotrain.errors import Rejected, Suggestion
from robotrain.model.job import Job
from robotrain.model.platform import Platform


def is_name_taken(refusal: Rejected) -> bool:
    """Return whether a platform refuses a plan because a run of another machine has its name."""
    return any(problem.taken_by for problem in refusal.problems)


def explain_taken_name(refusal: Rejected, job: Job, platform: Platform, way: Suggestion) -> Rejected:
    """Return a refusal with what the user can do where a run of another machine has the name.

    :param way: how the job gets another name.
    """
    can_adopt = platform.capabilities.feature("adopt") and not job.profile.outputs.has_steps
    problems = []
    for problem in refusal.problems:
        adopt = f"robotrain adopt --platform {platform.name} {shlex.quote(problem.taken_by)}"
        adopting = [Suggestion(adopt, "records that run here")] * bool(can_adopt)
        ways = (*problem.suggestions, *adopting, way) if problem.taken_by else problem.suggestions
        problems.append(dataclasses.replace(problem, suggestions=ways))
    return Rejected(problems, transient=refusal.transient)


ANOTHER_NAME = Suggestion("--new", "starts a run of another name")
ANOTHER_ATTEMPT = Suggestion("robotrain render JOB.yaml --attempt N --to FOLDER", "renders the job under another name")
