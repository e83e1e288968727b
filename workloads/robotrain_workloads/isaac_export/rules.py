"""Rules of `isaac-export` for a resolved job, on the submit side: also what a checkpoint in a local folder shows."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Stage, Suggestion, usage_problem
from robotrain.redaction import redact

from robotrain_workloads.isaac_export import subject, weights_file

if TYPE_CHECKING:
    from robotrain.model.job import Job


def check_play(job: "Job") -> Iterator[Problem]:
    """Reject a number of environments if nothing is played."""
    if job["num_envs"] != 4 and not job["max_steps"] and not job["video_length"]:
        yield usage_problem(
            "nothing-played",
            "--num-envs has no effect: with --max-steps 0 and --video-length 0 nothing is played",
            where="--num-envs",
            given=str(job["num_envs"]),
            suggestions=(Suggestion("--max-steps 500"), Suggestion("remove --num-envs")),
        )


def check_local_checkpoint(job: "Job") -> Iterator[Problem]:
    """Check a checkpoint of this machine before anything is sent: digest, parameters, whose weights it holds."""
    for source in job.sources:
        if source.role != "checkpoint" or source.kind != "local_path" or not Path(source.uri).is_dir():
            continue  # what is not here is checked where the job runs
        try:
            files = subject.find_files(Path(source.uri))
            problems = list(subject.find_file_problems(files, job["sha256"]))
            if not problems and (name := weights_file.find_foreign_class(files.weights)):
                problems = [f"{files.weights} cannot be read as weights: it holds a {name}"]
            if not problems:
                found = {"backend": weights_file.guess_backend(files.weights) or job["backend"]}
                problems = list(subject.find_content_problems(files, found, job["backend"]))
        except OSError as error:
            problems = [str(error)]
        for problem in problems:
            title, _, suggestion = problem.partition("\n")
            yield Problem(
                code="checkpoint-not-exportable",
                stage=Stage.PREFLIGHT,
                title=redact(title, max_length=500),
                where="--checkpoint-uri",
                given=redact(source.uri),
                suggestions=(Suggestion(suggestion),) if suggestion else (),
            )
