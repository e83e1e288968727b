"""The checkpoint to export: its files, its digest, and what Isaac Lab's Python found in it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_workloads.isaac import checkpoint_file, installation
from robotrain_workloads.isaac_export.parameters import DEFAULT_TASK

CONVERTER = Path(__file__).parent / "image" / "convert.py"


class CheckpointFiles(NamedTuple):
    """A checkpoint's file, and the parameters of its agent; None if they are missing."""

    weights: Path
    agent: Path | None

    @property
    def step(self) -> int:
        """The number in the file's name; 0 if it has none."""
        return checkpoint_file.parse_number(self.weights) or 0


def find_files(source: Path) -> CheckpointFiles:
    """Return the files of a checkpoint. Raise OSError with a sentence."""
    weights = checkpoint_file.find_checkpoint_file(source)
    return CheckpointFiles(weights, checkpoint_file.find_params(weights))


def choose_task(given: str | None, files: CheckpointFiles, source: Path, cache: Path) -> str:
    """Return the task to play."""
    return given or checkpoint_file.read_facts(files.weights, source, cache).task or DEFAULT_TASK


def find_file_problems(files: CheckpointFiles, sha256: str | None) -> Iterator[str]:
    """Yield the problems of the files, each with the remedy on a second line."""
    if problem := checkpoint_file.find_digest_problem(files.weights, sha256):
        yield problem
    if files.agent is None:
        yield (
            f"{files.weights} has no params/agent.yaml beside it: a checkpoint does not tell activation and clipping\n"
            "--checkpoint-uri FOLDER, which has both"
        )


def ask_isaac_lab(folder: Path, files: CheckpointFiles) -> installation.Probe:
    """Return the versions of Isaac Lab's libraries and what they find in the checkpoint. Raise OSError."""
    answer = installation.ask_program(folder, CONVERTER, str(files.weights), str(files.agent))
    return installation.Probe(answer["versions"], answer["checkpoint"])


def find_content_problems(files: CheckpointFiles, found: Mapping[str, Any], backend: str | None) -> Iterator[str]:
    """Yield why the policy cannot be exported."""
    if problem := found.get("problem"):
        yield f"{files.weights} cannot be exported: {problem}"
    elif backend not in (None, found["backend"]):
        yield f"{files.weights} is a checkpoint of {found['backend']}, not of {backend}\n--backend {found['backend']}"
