"""Rules of `command` for checkpoints, and for what happens after an interruption."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.source import LOCAL_KIND
from robotrain.redaction import redact

from robotrain_workloads.command import parameters, placeholders, program_checkpoint
from robotrain_workloads.command.checkpoint_pattern import ANY_FOLDERS, STEP, describe_paths

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
        arguments_way = READ_WAY if job["shell"] else USUAL_WAY
        ways = (arguments_way, IN_PLACE_WAY) if _has_place(job) else (arguments_way,)
        reason = f"A script of --shell reads ${parameters.RESUME_VARIABLE}." if job["shell"] else ""
        yield make_problem("resume-unused", *ways, why=reason)
    if resume_args is None:
        return
    try:
        words = parameters.parse_resume_args(resume_args)
    except ValueError as error:
        corrected_line = f"{RESUME_ARGS} {shlex.quote(json.dumps(_split_words(resume_args)))}"
        way = USUAL_WAY if resume_args.lstrip().startswith("[") else Suggestion(redact(corrected_line))
        yield make_problem("value-invalid.resume-args", way, given=resume_args, error=error)
        return
    if job["shell"] and words:
        ways = (suggest_leaving_out(RESUME_ARGS),)
        yield make_problem("value-invalid.resume-args-with-shell", *ways, resume_variable=parameters.RESUME_VARIABLE)
    elif words and not job["resume_in_place"] and placeholders.RESUME not in placeholders.list_names(words):
        yield make_problem("value-invalid.resume-placeholder", USUAL_WAY, IN_PLACE_WAY, given=resume_args)
        return
    for folder in _list_folders(job):
        if files := program_checkpoint.find_unclear_files(folder, job["checkpoints"] or "", words):
            yield make_problem("resume-unclear", given=resume_args, files=redact(describe_paths(files)))


def _has_place(job: "Job") -> bool:
    """Return whether the checkpoint that a job continues from says where the program had saved it, or the job does."""
    return bool(job["checkpoints"]) or any(map(program_checkpoint.read_place, _list_folders(job)))


def _list_folders(job: "Job") -> list[Path]:
    """Return the folders of this machine that a job continues from."""
    return [Path(source.uri) for source in job.sources if source.role == "resume" and source.kind == LOCAL_KIND]


def _split_words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return [text]
