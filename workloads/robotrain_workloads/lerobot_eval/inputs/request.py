"""What an evaluation is asked for: one file, from the container plugin to the launcher. Standard library only."""

import dataclasses
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.files import write_atomically

REQUEST_FILE = "evaluation.json"
"""The file, below the run's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedPolicy:
    """The policy, and where it comes from."""

    name: str = ""
    """The address of its source, or the type of an untrained one."""
    source: str = ""
    """The kind of its source, in one word."""
    pin: str = ""
    """Empty if it is unknown."""
    run: str = ""
    """The run that trained it; empty if that is unknown."""
    step: int = 0
    """The step at which it was saved; 0 if it is unknown."""
    folder: Path | None = None
    """The folder of its model; None for an untrained one."""
    base: Path | None = None
    """The folder of the policy that it belongs to, if it is an adapter."""
    role: str = "policy"
    """`reference` for one that the evaluated policy is compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """What to evaluate, and where its results go. What is named like a parameter is what the user gave, if anything.

    Episode i of each task has the seed `seed + i`.
    """

    job_name: str = ""
    device: str = "auto"
    eval_episodes: int = 10
    eval_batch_size: int = 10
    seed: int = 1000
    replay_episodes: str | None = None
    exclude_episodes: str | None = None
    env: str = ""
    """Empty for none."""
    env_steps: int | None = None
    env_workers: int | None = None
    task_description: str | None = None
    starts: str | None = None
    success_reward: float | None = None
    success_threshold: float | None = None
    record_video: bool = False
    checkpoints: str | None = None
    confirm: int = 0
    at_most: int | None = None
    confidence: float | None = None
    detect: float | None = None
    equal_within: float | None = None
    margin: float | None = None
    allow_floor: bool = False
    earlier_comparisons: str | None = None
    """JSON of those that this one may go on from, of whatever policies."""
    conditions_digest: str = ""
    """Of what the outcome of an episode depends on, beside its policy and its start."""
    policy: EvaluatedPolicy = EvaluatedPolicy()
    """Of several checkpoints the newest, until each has its turn."""
    references: Sequence[EvaluatedPolicy] = ()
    """Those to compare it with, in rounds from equal starts."""
    checkpoints_folder: Path | None = None
    """The folder with several checkpoints, which are evaluated in turn; None for the one policy."""
    root: Path | None = None
    """The folder of the dataset to replay; None for none."""
    dataset: str = ""
    """Its name, as the user gave it."""
    tasks: Sequence[str] = ()
    """Those of the environment, one after the other; empty for its only one."""
    task: str = ""
    """The one that is rolled out now."""
    first: int = 0
    """The number of its first episode among those of all tasks."""
    skip: int = 0
    """How many starts are left out: episode i has the seed and the start of episode `skip + i`."""
    scenes: Path | None = None
    """The folder with meshes and textures of the environment; None if its package has them."""
    work: Path = Path()
    """The run's own folder."""
    video_folder: Path | None = None
    """None for no videos."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """The policy's names of observations, by those of the environment or the dataset."""
    options: Sequence[str] = ()
    """Those for LeRobot."""
    results: Path = Path()
    """The folder of the results."""
    kept_policy: Path | None = None
    """The folder that the policy's files are copied to; of several, below it under its step. None to keep none."""
    link_policy: bool = False
    """Whether they may be linked instead: they never change."""
    lock: str = ""
    """The SHA-256 of the locked environment; empty for one of the user's own."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the tracking run."""

    def save(self, work: Path) -> Path:
        """Write it to the run's folder, and return the file. Raise OSError."""
        work.mkdir(parents=True, exist_ok=True)
        request_json = json.dumps(dataclasses.asdict(self), default=str)
        write_atomically(work / REQUEST_FILE, request_json.encode(), mode=0o600)
        return work / REQUEST_FILE


def read_request(file: Path) -> EvaluationRequest:
    """Return what `EvaluationRequest.save` wrote. Raise OSError."""
    request_fields = json.loads(file.read_bytes())
    policy, *references = (
        EvaluatedPolicy(**_make_paths(EvaluatedPolicy, policy))
        for policy in (request_fields["policy"], *request_fields["references"])
    )
    return EvaluationRequest(
        **{**_make_paths(EvaluationRequest, request_fields), "policy": policy, "references": tuple(references)}
    )


def _make_paths(kind: type, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record with paths where it has paths."""
    hints = typing.get_type_hints(kind)
    are_paths = {name for name, hint in hints.items() if Path in (hint, *typing.get_args(hint))}
    return {name: Path(value) if value and name in are_paths else value for name, value in fields.items()}
