"""What is validated: the checkpoint's file, its library, its task, and the success rate that it must reach."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_workloads.isaac import checkpoint_file, installation
from robotrain_workloads.isaac_validate.parameters import DEFAULT_THRESHOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A checkpoint, and what is known of it."""

    file: Path
    facts: checkpoint_file.CheckpointFacts
    found: Mapping[str, Any]
    """What Isaac Lab's Python found in it."""

    @property
    def backend(self) -> str:
        """The library that it is of; empty if it is of none."""
        return str(self.found.get("backend", ""))

    @property
    def step(self) -> int:
        """The number in its name; 0 if it has none."""
        return checkpoint_file.parse_number(self.file) or 0

    def choose_task(self, given: str | None) -> str:
        """Return the task; empty if nobody tells."""
        return given or self.facts.task

    def choose_threshold(self, given: float | None) -> float:
        """Return the success rate that it must reach: the flag's, else the model's, else 0.7."""
        return next(one for one in (given, self.facts.success_threshold, DEFAULT_THRESHOLD) if one is not None)


def load_subject(folder: Path, source: Path, cache: Path) -> tuple[Subject, installation.Probe]:
    """Return the subject of a source, and what Isaac Lab's Python answered. Raise OSError with a sentence."""
    file = checkpoint_file.find_checkpoint_file(source)
    probe = installation.probe(folder, file)
    facts = checkpoint_file.read_facts(file, source, cache)
    return Subject(file=file, facts=facts, found=probe.checkpoint), probe


def find_subject_problems(subject: Subject, *, task: str, backend: str, sha256: str) -> Iterator[str]:
    """Yield why the subject is not what is expected, empty for anything; the remedy on a second line."""
    if other := checkpoint_file.find_digest_problem(subject.file, sha256):
        yield other
        return
    if problem := subject.found.get("problem"):
        yield f"{subject.file} cannot be used: {problem}"
        return
    if backend not in ("", subject.backend):
        yield f"{subject.file} is a checkpoint of {subject.backend}, not of {backend}\n--backend {subject.backend}"
    elif subject.facts.framework not in ("", subject.backend):
        yield f"{subject.file} is a checkpoint of {subject.backend}, but its model is tagged {subject.facts.framework}"
    known = subject.facts.task
    if not task and not known:
        yield f"the checkpoint {subject.file} does not tell its task\n--task TASK"
    elif task and known and _strip_variant(task) != _strip_variant(known):
        yield f"the policy was trained for {known}, not for {task}\n--task {known}"


def _strip_variant(task: str) -> str:
    """Return a task without what does not change what a policy sees: its namespace, and `-Play`."""
    return task.rpartition(":")[2].replace("-Play-", "-")
