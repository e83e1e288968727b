"""A checkpoint whose policy is played: its file and what is known of it, and why it cannot be played."""

from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.problem import Problems, make_data_problem

from robotrain_workloads.isaac import checkpoint_file
from robotrain_workloads.isaac.checkpoint_file import (
    CheckpointContent,
    CheckpointFacts,
    make_series_finding,
    read_content,
)

PPO_WAY = "robotrain submit isaac-train --backend skrl --task TASK"


class PlayedCheckpoint(NamedTuple):
    """A checkpoint, and the facts about it."""

    file: Path
    params: Path | None
    """The parameters of its agent; None if they are missing."""
    facts: CheckpointFacts
    content: CheckpointContent

    @property
    def backend(self) -> str:
        """The library that wrote it; empty if it is unknown."""
        return self.content.backend

    @property
    def step(self) -> int:
        """The number in its name; 0 if it has none."""
        return checkpoint_file.parse_number(self.file) or 0


def load_checkpoint(source: Path, cache: Path) -> PlayedCheckpoint:
    """Return the checkpoint of a source. Raise OSError with a sentence."""
    file = checkpoint_file.find_checkpoint_file(source)
    facts = checkpoint_file.read_facts(file, source, cache)
    return PlayedCheckpoint(file, checkpoint_file.find_params(file), facts, read_content(file))


def find_problems(checkpoint: PlayedCheckpoint, backend: object, series: str) -> Problems:
    """Yield why an Isaac Lab of a series cannot play a checkpoint, or that it is of another library than `backend`."""
    file, content = checkpoint.file, checkpoint.content
    if content.problem:
        yield f"{file} cannot be used: {content.problem}"
    elif content.series not in ("", series):
        yield make_series_finding(file, content, series)
    elif algorithm := checkpoint_file.find_several_agents(checkpoint.params):
        title = f"{file} has policies of several agents ({algorithm}), which are not played yet"
        yield make_data_problem(title, PPO_WAY)
    elif backend and backend != content.backend:
        title = f"{file} is a checkpoint of {content.backend}, not of {backend}"
        yield make_data_problem(title, f"--backend {content.backend}")
