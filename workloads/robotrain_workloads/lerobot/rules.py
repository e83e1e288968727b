"""Rules on a resolved job that both workloads share, on the submit side: version and --publish-url."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.redaction import redact

from robotrain_workloads.lerobot import publish_url
from robotrain_workloads.lerobot.versions import LEROBOT_VERSION

if TYPE_CHECKING:
    from robotrain.model.job import Job


def check_version(job: "Job", verb: str = "trains") -> Iterator[Problem]:
    """The version asked for must be the one that is locked. does: what the workload does with it."""
    asked = job["lerobot_version"]
    if asked not in (None, LEROBOT_VERSION):
        yield Problem(
            code="lerobot-version-not-locked",
            stage=Stage.CHECK,
            title=f"this robotrain {verb} with LeRobot {LEROBOT_VERSION}",
            where="--lerobot-version",
            given=str(asked),
            why="The version is part of the locked environment, in which everything is pinned by hash.",
            suggestions=(Suggestion(f"--lerobot-version {LEROBOT_VERSION}", "or leave it out"),),
        )


def check_publish_url(job: "Job", artifacts: str = "checkpoints") -> Iterator[Problem]:
    """A folder of the machine that runs the job, written so that it is the same one wherever it is read.

    An address is for the kinds that can be written to. what: is copied there.
    """
    said = job["publish_url"]
    if said is None or publish_url.is_remote_url(said):
        return
    if why := _explain_invalid_folder(said):
        yield Problem(
            code="publish-url-invalid",
            stage=Stage.PARSE,
            title=f"{publish_url.PUBLISH_URL_FLAG} takes an absolute folder",
            where=publish_url.PUBLISH_URL_FLAG,
            given=redact(said),
            why=why,
            suggestions=(
                Suggestion(f"{publish_url.PUBLISH_URL_FLAG} /FOLDER/{artifacts}", f"or file:///FOLDER/{artifacts}"),
            ),
        )


def _explain_invalid_folder(url: str) -> str:
    try:
        return "It names no folder of its own." if publish_url.parse_folder(url) in ("", "/") else ""
    except ValueError as error:
        return str(error)
