"""`robotrain-plan.json` as it is read: what a plan was made from, and the files that it holds."""

from dataclasses import dataclass
from typing import Any

from robotrain_runtime.document import Scalar

from robotrain.job import Job
from robotrain.workload import Makes


@dataclass(frozen=True, kw_only=True)
class Loser:
    """A value that another overrode."""

    value: Any
    origin: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """A value of the job, for people."""

    name: str
    value: Any
    origin: str
    overrode: list[Loser]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`robotrain-plan.json`. payload: the file that holds it, and its digest."""

    schema: int
    robotrain: str
    run: str
    platform: str
    job: Job
    settings: dict[str, Scalar]
    halves: dict[str, str]
    payload: str
    payload_digest: str
    spec: str
    shown: tuple[str, ...]
    files: dict[str, str]
    values: tuple[Row, ...]
    makes: Makes = "checkpoints"
