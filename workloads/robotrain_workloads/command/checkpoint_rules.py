"""Rules of `command` for checkpoints, and for what happens after an interruption."""

import json
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, make_usage_problem, suggest_leaving_out
from robotrain.redaction import redact

from robotrain_workloads.command import parameters, placeholders
from robotrain_workloads.command.checkpoint_pattern import ANY_FOLDERS, STEP

if TYPE_CHECKING:
    from robotrain.model.job import Job

RESUME_ARGS = "--resume-args"
USUAL_WAY = Suggestion(parameters.RESUME_LINE, "these arguments are added then")
IN_PLACE_WAY = Suggestion("--resume-in-place", "the program looks below {outputs} itself")


def check_checkpoints(job: "Job") -> Iterator[Problem]:
    """Require a pattern that says where the step stands, below the outputs."""
    pattern = job["checkpoints"]
    if pattern is None:
        if job["resume_in_place"]:
            title = "--resume-in-place has no effect without checkpoints"
            fixes = (Suggestion("--checkpoints PATTERN"), suggest_leaving_out("--resume-in-place"))
            yield make_usage_problem("option-without-effect", title, "--resume-in-place", suggestions=fixes)
        return
    parts = pattern.split("/")
    is_name = any(ANY_FOLDERS in part and part != ANY_FOLDERS for part in parts)
    if pattern.count(STEP) != 1 or pattern.startswith("/") or {"", ".", ".."} & {*parts} or is_name:
        title = "--checkpoints is no path below {outputs} with {step} in it"
        why = "The step is the number in the name of a file or folder that the program saves."
        ways = (Suggestion("--checkpoints 'checkpoints/{step}'"),)
        yield make_usage_problem("value-invalid", title, "--checkpoints", why, redact(pattern), ways)


def check_resume(job: "Job") -> Iterator[Problem]:
    """Require arguments that the command can get after an interruption, and that a given checkpoint is used."""
    text = job["resume_args"]
    has_source = any(source.role == "resume" for source in job.sources)
    if has_source and not parameters.is_continued(dict(job.parameters), job.trainer_args):
        title = "the job does not say how its program continues from a checkpoint"
        ways = (USUAL_WAY, *((IN_PLACE_WAY,) if job["checkpoints"] else ()))
        why = f"A script of --shell reads ${parameters.RESUME_VARIABLE}." if job["shell"] else ""
        yield make_usage_problem("resume-unused", title, RESUME_ARGS, why, suggestions=ways)
    if text is None:
        return
    try:
        words = parameters.parse_resume_args(text)
    except ValueError as error:
        line = f"{RESUME_ARGS} {shlex.quote(json.dumps(_split_words(text)))}"
        way = USUAL_WAY if text.lstrip().startswith("[") else Suggestion(redact(line))
        title = f"{RESUME_ARGS} takes a JSON list of texts"
        yield make_usage_problem("value-invalid", title, RESUME_ARGS, f"Here {error}.", redact(text), (way,))
        return
    if job["shell"] and words:
        title = f"{RESUME_ARGS} has no effect with --shell"
        why = f"The script reads ${parameters.RESUME_VARIABLE}, which is empty or missing before an interruption."
        ways = (suggest_leaving_out(RESUME_ARGS),)
        yield make_usage_problem("value-invalid", title, RESUME_ARGS, why, suggestions=ways)
    elif words and not job["resume_in_place"] and placeholders.RESUME not in placeholders.list_names(words):
        title = f"{RESUME_ARGS} does not say which checkpoint"
        why = "{resume} stands for it. A program that finds it itself needs --resume-in-place."
        yield make_usage_problem("value-invalid", title, RESUME_ARGS, why, redact(text), (USUAL_WAY, IN_PLACE_WAY))


def _split_words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return [text]
