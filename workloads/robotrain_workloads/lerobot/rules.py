"""Rules for a resolved job that both workloads share, on the submit side: LeRobot version and --publish-url."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.redaction import redact

from robotrain_workloads.lerobot import publish_url
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


def check_publish_url(job: "Job", artifacts: str = "checkpoints") -> Iterator[Problem]:
    """Require a folder that is the same on every machine. Source kinds check remote URLs."""
    url, flag = job["publish_url"], publish_url.PUBLISH_URL_FLAG
    if url is None or publish_url.is_remote_url(url):
        return
    try:
        reason = "It names no folder." if publish_url.parse_folder(url) in ("", "/") else ""
    except ValueError as error:
        reason = str(error)
    if reason:
        yield Problem(
            code="publish-url-invalid",
            stage=Stage.PARSE,
            title=f"{flag} takes an absolute folder",
            where=flag,
            given=redact(url),
            why=reason,
            suggestions=(Suggestion(f"{flag} /FOLDER/{artifacts}", f"or file:///FOLDER/{artifacts}"),),
        )
