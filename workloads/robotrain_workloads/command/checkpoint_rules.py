"""Rules of `command` for checkpoints, and for what happens after an interruption."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages

from robotrain_workloads.command import parameters, placeholders
from robotrain_workloads.command.checkpoint_pattern import ANY_FOLDERS, STEP

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)

RESUME_ARGS = "--resume-args"
USUAL_WAY = Suggestion(parameters.RESUME_LINE, "these arguments are added then")
READ_WAY = Suggestion(f"{RESUME_ARGS} '[]'", "a program of the script reads it")
IN_PLACE_WAY = Suggestion("--resume-in-place", "the program looks below {outputs} itself")


def check_checkpoints(job: "Job") -> Iterator[Problem]:
    """Require a pattern that says where the step stands, below the outputs."""
    pattern = job["checkpoints"]
    if pattern is None:
        return
    pattern_parts = pattern.split("/")
    is_name = any(ANY_FOLDERS in part and part != ANY_FOLDERS for part in pattern_parts)
    if pattern.count(STEP) != 1 or pattern.startswith("/") or {"", ".", ".."} & {*pattern_parts} or is_name:
        yield make_problem("value-invalid.checkpoints", given=pattern)


def check_resume(job: "Job") -> Iterator[Problem]:
    """Require arguments that the command can get after an interruption, and that a given checkpoint is used."""
    resume_args = job["resume_args"]
    has_source = any(source.role == "resume" for source in job.sources)
    if has_source and not parameters.is_continued(dict(job.parameters), job.trainer_args):
        ways = (READ_WAY if job["shell"] else USUAL_WAY, IN_PLACE_WAY)
        reason = f"A script of --shell reads ${parameters.RESUME_VARIABLE}." if job["shell"] else ""
        yield make_problem("resume-unused", *ways, why=reason)
    if resume_args is None:
        return
    try:
        words = parameters.parse_resume_args(resume_args)
    except ValueError as error:
        yield make_problem("value-invalid.resume-args", USUAL_WAY, given=resume_args, error=error)
        return
    if job["shell"] and words:
        way = suggest_leaving_out(RESUME_ARGS)
        yield make_problem("value-invalid.resume-args-with-shell", way, resume_variable=parameters.RESUME_VARIABLE)
    elif words and not job["resume_in_place"] and placeholders.RESUME not in placeholders.list_names(words):
        yield make_problem("value-invalid.resume-placeholder", USUAL_WAY, IN_PLACE_WAY, given=resume_args)
