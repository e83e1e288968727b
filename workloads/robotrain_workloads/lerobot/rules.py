"""The rule for a resolved job that both workloads share, on the submit side: the LeRobot version."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Stage, Suggestion

from robotrain_workloads.lerobot.parameters import LEROBOT_VERSION

if TYPE_CHECKING:
    from robotrain.model.job import Job


def check_version(job: "Job", verb: str = "trains") -> Iterator[Problem]:
    """Require the locked version. `verb` is what the workload does with LeRobot."""
    version = job["lerobot_version"]
    if version not in (None, LEROBOT_VERSION):
        yield Problem(
            code="lerobot-version-not-locked",
            stage=Stage.CHECK,
            title=f"this robotrain {verb} with LeRobot {LEROBOT_VERSION}",
            where="--lerobot-version",
            given=str(version),
            why="The version is part of the locked environment, where every package is pinned by hash.",
            suggestions=(Suggestion(f"--lerobot-version {LEROBOT_VERSION}", "or remove the option"),),
        )
