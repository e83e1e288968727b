"""Rules for a resolved job that all workloads share, on the submit side: --publish-url, and options after `--`."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.job import HUB_SCHEME
from robotrain.redaction import redact

from robotrain_workloads import packages, publish_url

if TYPE_CHECKING:
    from robotrain.model.job import Job


make_problem = Messages(__file__)

HUB_NAME = r"(?a)\b[\w.-]+\b/\b[\w.-]{1,96}\b(?:@[\w.-]+)?"
"""What may be meant as a repository: `OWNER/NAME`, with a branch. Such a folder is refused, as it is relative."""


def check_publish_url(job: "Job", artifacts: str = "checkpoints") -> Iterator[Problem]:
    """Require a folder that is the same on every machine. Source kinds check remote URLs."""
    url, flag = job["publish_url"], publish_url.PUBLISH_URL_FLAG
    if url is None or publish_url.is_remote_url(url) or url.strip().lower().startswith(HUB_SCHEME):
        return
    try:
        reason = "It names no folder." if publish_url.parse_folder(url) in ("", "/") else ""
    except ValueError as error:
        reason = str(error)
    if reason:
        is_name = artifacts == "checkpoints" and re.fullmatch(HUB_NAME, url)
        hub = (Suggestion(f"{flag} hf://{redact(url)}", "a repository of the Hugging Face Hub"),) if is_name else ()
        yield make_problem(
            "value-invalid",
            Suggestion(f"{flag} /FOLDER/{artifacts}", f"or file:///FOLDER/{artifacts}"),
            *hub,
            where=flag,
            given=url,
            why=reason,
        )


def check_builds(job: "Job") -> Iterator[Problem]:
    """Warn of --allow-builds without a package that may be built: a configuration may set it for all jobs."""
    parameters = dict(job.parameters)
    if parameters["allow_builds"] and not packages.list_given(parameters):
        flag = packages.BUILDS_FLAG
        yield make_problem("option-without-effect", suggest_leaving_out(flag), where=flag, with_flag=packages.WITH_FLAG)
