"""Start of a training: from scratch, a checkpoint, or what an earlier attempt of the run saved."""

from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract.document import Folders, JobDocument
from robotrain_runtime.contract.problem import Problem, Problems, make_data_problem

from robotrain_workloads.isaac.checkpoint_file import (
    CheckpointContent,
    find_checkpoint_file,
    make_series_finding,
    parse_number,
    read_length,
)
from robotrain_workloads.isaac_train import parameters
from robotrain_workloads.isaac_train.parameters import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointStart:
    """Where a training starts."""

    mode: Mode = "from-scratch"
    file: Path | None = None
    number: int | None = None
    """The number in the file's name."""


def load_start(document: JobDocument, data: Folders) -> CheckpointStart:
    """Return the start that the document asks for. Raise OSError with a sentence."""
    path = find_start_path(document, data)
    if path is None:
        return CheckpointStart()
    backend = str(document.parameters["backend"])
    file = find_checkpoint_file(path, backend)
    return CheckpointStart(mode=find_start_mode(document), file=file, number=parse_number(file, backend))


def find_start_path(document: JobDocument, data: Folders) -> Path | None:
    """Return where the checkpoint is that the document asks for; None for a start from scratch."""
    if find_start_mode(document) == "from-scratch":
        return None
    paths_by_role = {source.role: path for source, path in data.items()}
    return paths_by_role.get("resume") or paths_by_role.get("checkpoint")


def find_start_mode(document: JobDocument, recovered_folder: Path | None = None) -> Mode:
    """Return how the training starts; what an earlier attempt saved is always resumed."""
    if recovered_folder is not None:
        return "resume"
    return parameters.choose_mode(document.parameters, {source.role for source in document.sources})


def find_start_problems(start: CheckpointStart, content: CheckpointContent, backend: str, series: str) -> Problems:
    """Yield why a training with a library, in an Isaac Lab of a series, cannot start with a checkpoint."""
    if content.problem:
        yield f"{start.file} cannot be used: {content.problem}"
    elif content.backend != backend:
        yield make_data_problem(
            f"{start.file} is a checkpoint of {content.backend}, not of {backend}", f"--backend {content.backend}"
        )
    elif content.series not in ("", series):
        yield make_series_finding(start.file, content, series)
    elif start.mode == "resume" and backend == "skrl" and start.number is None:
        yield make_data_problem(
            f"{start.file} does not tell its timestep, which skrl keeps in the name alone: agent_2400.pt",
            "--checkpoint-mode warm-start",
        )


def find_iteration_problem(document: JobDocument, start: CheckpointStart, content: CheckpointContent) -> Problem | None:
    """Return why no iterations are left after a checkpoint; None if some are, or if it is unknown.

    A run that is resumed without a number of iterations ends where it would have ended: the checkpoint knows.
    """
    if start.mode != "resume" or start.file is None:
        return None
    is_same_run = any(source.role == "resume" for source in document.sources)
    length = read_length(start.file)
    total = document.parameters["max_iterations"]
    rollouts = length[1] if length else 1
    if total is None and length and is_same_run:
        total = length[0] // rollouts
    number = content.timesteps if content.timesteps is not None else start.number
    done_iterations = number // rollouts if length and number is not None else 0
    if content.iteration is not None:  # of rsl_rl, whose first one is 0
        done_iterations = content.iteration + 1
    if not isinstance(total, int) or done_iterations < total:
        return None
    way = f"--set max_iterations={2 * done_iterations}" if is_same_run else f"--max-iterations {2 * done_iterations}"
    return make_data_problem(f"{start.file} has {done_iterations} iterations, and the training ends after {total}", way)
