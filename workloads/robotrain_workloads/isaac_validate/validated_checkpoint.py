"""The checkpoint to validate: its file, library and task, and the success rate that it must reach."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_workloads.isaac import checkpoint_file, installation
from robotrain_workloads.isaac_validate.parameters import DEFAULT_THRESHOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedCheckpoint:
    """A checkpoint to validate, and the facts about it."""

    file: Path
    facts: checkpoint_file.CheckpointFacts
    found: Mapping[str, Any]
    """What Isaac Lab's Python found in it."""

    @property
    def backend(self) -> str:
        """The library that wrote the checkpoint; empty if it is unknown."""
        return str(self.found.get("backend", ""))

    @property
    def step(self) -> int:
        """The number in its name; 0 if it has none."""
        return checkpoint_file.parse_number(self.file) or 0

    def choose_task(self, given: str | None) -> str:
        """Return the task; empty if it is unknown."""
        return given or self.facts.task

    def choose_threshold(self, given: float | None) -> float:
        """Return the success rate that it must reach: the flag's, else the model's, else 0.7."""
        return next(one for one in (given, self.facts.success_threshold, DEFAULT_THRESHOLD) if one is not None)


def load_checkpoint(folder: Path, source: Path, cache: Path) -> tuple[ValidatedCheckpoint, installation.Probe]:
    """Return the checkpoint of a source, and what Isaac Lab's Python answered. Raise OSError with a sentence."""
    file = checkpoint_file.find_checkpoint_file(source)
    probe = installation.probe(folder, file)
    facts = checkpoint_file.read_facts(file, source, cache)
    return ValidatedCheckpoint(file=file, facts=facts, found=probe.checkpoint), probe


def find_checkpoint_problems(loaded: ValidatedCheckpoint, *, task: str, backend: str, sha256: str) -> Iterator[str]:
    """Yield each mismatch with the expected values (empty: any value), with the remedy on a second line."""
    if other := checkpoint_file.find_digest_problem(loaded.file, sha256):
        yield other
        return
    if problem := loaded.found.get("problem"):
        yield f"{loaded.file} cannot be used: {problem}"
        return
    if backend not in ("", loaded.backend):
        yield f"{loaded.file} is a checkpoint of {loaded.backend}, not of {backend}\n--backend {loaded.backend}"
    elif loaded.facts.framework not in ("", loaded.backend):
        yield f"{loaded.file} is a checkpoint of {loaded.backend}, but its model is tagged {loaded.facts.framework}"
    known = loaded.facts.task
    if not task and not known:
        yield f"the checkpoint {loaded.file} does not tell its task\n--task TASK"
    elif task and known and _strip_variant(task) != _strip_variant(known):
        yield f"the policy was trained for {known}, not for {task}\n--task {known}"


def _strip_variant(task: str) -> str:
    """Return a task without its namespace and `-Play`, which do not change the observations of a policy."""
    return task.rpartition(":")[2].replace("-Play-", "-")
