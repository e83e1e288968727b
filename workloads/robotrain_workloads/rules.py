"""Rules for a resolved job that all workloads share, on the submit side: --publish-url, and options after `--`."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.redaction import redact

from robotrain_workloads import publish_url

if TYPE_CHECKING:
    from robotrain.model.job import Job

    from robotrain_workloads.option_kinds import OptionProblem


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


def make_option_problems(problems: "Iterable[OptionProblem]") -> Iterator[Problem]:
    """Return the problems of options after `--`, which the trainer would find only on the machine of the job."""
    for found in problems:
        yield Problem(
            code="script-option-invalid" if found.level == "error" else "script-option-doubtful",
            stage=Stage.USAGE,
            severity=found.level,
            title=redact(found.title),
            where="--",
            given=redact(found.given),
            why=found.why,
            suggestions=(Suggestion(redact(found.suggestion), replaces=found.replaces),) if found.suggestion else (),
        )
