"""Rules for a resolved job that all workloads of Isaac Lab share, on the submit side: NVIDIA's terms."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Stage, Suggestion, usage_problem

if TYPE_CHECKING:
    from robotrain.model.job import Job


def check_terms(job: "Job") -> Iterator[Problem]:
    """Say which terms are accepted; refuse a job that does not accept them."""
    if job["accept_eula"]:
        title = "submitting accepts NVIDIA's license and privacy terms of Isaac Sim for this job"
        yield Problem(code="eula-accepted", stage=Stage.PARSE, severity="note", title=title)
    else:
        yield usage_problem(
            "eula-not-accepted",
            "Isaac Sim does not start unless NVIDIA's license and privacy terms are accepted",
            where="--no-accept-eula",
            why="ACCEPT_EULA and PRIVACY_CONSENT are set for each job that is submitted.",
            suggestions=(Suggestion("--accept-eula", "accepts them for this job"),),
            absent=("accept_eula",),
        )
