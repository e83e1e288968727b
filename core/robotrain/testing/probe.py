"""A plugin of the kits: a platform that takes every source, and a workload that takes every role. They only render."""

import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from robotrain_runtime.document import Placement, dump
from robotrain_runtime.document import Role as RoleName

from robotrain.capabilities import ANY, YES, Capabilities, Support
from robotrain.hookspecs import hook
from robotrain.job import Job
from robotrain.payload import Payload
from robotrain.plan import Plan, document
from robotrain.workload import Role, Workload

NAME = "kit-probe"
ROLES: tuple[str, ...] = typing.get_args(RoleName)
DOCUMENT = "job.json"


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """Neither has anything to say."""


class Everything(Mapping[tuple[str, str], Support]):
    """Yes to every kind, also those that a platform has to mount."""

    def __getitem__(self, key: tuple[str, str]) -> Support:
        return YES

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Probe:
    """A platform whose plan is the document alone."""

    name = NAME
    summary = "shows what would reach the container"
    settings = Nothing
    capabilities = Capabilities(sources=Everything(), workloads={ANY: YES}, features={"several_datasets": YES})
    declined: Mapping[str, str] = {}

    def check(self, job: Job, settings: object) -> Iterable[Any]:
        """It has nothing against any job."""
        return ()

    def render(self, job: Job, settings: object, run: str, payload: Payload, halves: Mapping[str, str]) -> Plan:
        """The document."""
        placement = Placement(work="/probe/work", cache="/probe/cache")
        body = document(job, run=run, platform=NAME, halves=halves, placement=placement)
        files = {DOCUMENT: dump(body).encode()}
        return Plan(platform=NAME, run=run, job=job, spec=DOCUMENT, files=files, shown=(DOCUMENT,))


WORKLOAD = Workload(
    name=NAME,
    summary="is only rendered",
    parameters=Nothing,
    roles={role: Role(many=True) for role in ROLES},
    half="robotrain_runtime.half",
)


@hook
def robotrain_platforms() -> Iterable[Any]:
    """The platform of this module."""
    return (Probe(),)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """The workload of this module."""
    return (WORKLOAD,)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put it beside the installed plugins, for as long as a test lasts."""
    information = folder / "robotrain_kit_probe-0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: robotrain-kit-probe\nVersion: 0\n")
    claims = "".join(f"{family}.{NAME} = {__name__}\n" for family in ("platform", "workload"))
    (information / "entry_points.txt").write_text(f"[robotrain]\n{claims}")
    monkeypatch.syspath_prepend(folder)
