"""A plugin of the kits: a platform that takes every source, and a workload that takes every role. They only render."""

import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from robotrain_runtime.contract.document import Placement, RoleName, format_document

from robotrain.model.capabilities import ANY, YES, Capabilities, Support
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan, make_job_document
from robotrain.model.platform import Platform
from robotrain.model.workload import Role, Workload
from robotrain.plugin import hook

PROBE_NAME = "kit-probe"
ROLES: tuple[str, ...] = typing.get_args(RoleName)
DOCUMENT_NAME = "job.json"


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """Neither has anything to say."""


class EverySource(Mapping[tuple[str, str], Support]):
    """Yes to every kind, also those that a platform has to mount."""

    def __getitem__(self, key: tuple[str, str]) -> Support:
        return YES

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(())

    def __len__(self) -> int:
        return 0


class ProbePlatform(Platform):
    """A platform whose plan is the document alone."""

    name = PROBE_NAME
    summary = "shows what would reach the container"
    settings = NoOptions
    capabilities = Capabilities(sources=EverySource(), workloads={ANY: YES}, features={"several_datasets": YES})

    def render(
        self, job: Job, settings: object, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        """The document."""
        placement = Placement(work="/probe/work", cache="/probe/cache")
        body = make_job_document(
            job, run=run, platform=PROBE_NAME, container_plugins=container_plugins, placement=placement
        )
        files = {DOCUMENT_NAME: format_document(body).encode()}
        return Plan(platform=PROBE_NAME, run=run, job=job, spec=DOCUMENT_NAME, files=files, shown=(DOCUMENT_NAME,))


PROBE_WORKLOAD = Workload(
    name=PROBE_NAME,
    summary="is only rendered",
    parameters=NoOptions,
    roles={role: Role(many=True) for role in ROLES},
    container_plugin="robotrain_runtime.contract.container_plugin",
)


@hook
def robotrain_platforms() -> Iterable[Any]:
    """The platform of this module."""
    return (ProbePlatform(),)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """The workload of this module."""
    return (PROBE_WORKLOAD,)


def install_probe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put it beside the installed plugins, for as long as a test lasts."""
    information = folder / "robotrain_kit_probe-0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: robotrain-kit-probe\nVersion: 0\n")
    claims = "".join(f"{family}.{PROBE_NAME} = {__name__}\n" for family in ("platform", "workload"))
    (information / "entry_points.txt").write_text(f"[robotrain]\n{claims}")
    monkeypatch.syspath_prepend(folder)
