"""The kits' probe plugin: a platform that accepts every source, and a workload with every role."""

import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from robotrain_runtime.contract.document import Placement, RoleName, format_document

from robotrain.model.capabilities import ANY, YES, Capabilities, Support
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan, make_job_document
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Role, Workload
from robotrain.plugin import hook
from robotrain.testing import harness
from robotrain.testing.kit_base import KitBase

PROBE_NAME = "kit-probe"
ROLES: tuple[str, ...] = typing.get_args(RoleName)
DOCUMENT_NAME = "job.json"


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """No parameters and no settings."""


class ProbeCapabilities(Capabilities):
    """Support for every kind, also for those that a platform has to mount."""

    def source(self, role: str, kind: SourceKind) -> Support:
        """Return yes."""
        return YES


class ProbePlatform(Platform):
    """A platform whose plan is the document alone."""

    name = PROBE_NAME
    summary = "shows the job document"
    settings = NoOptions
    capabilities = ProbeCapabilities(workloads={ANY: YES}, features={"several_datasets": YES})

    def render(
        self, job: Job, settings: object, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        """Return a plan with the document alone."""
        placement = Placement(work="/probe/work", cache="/probe/cache")
        body = make_job_document(
            job, run=run, platform=PROBE_NAME, container_plugins=container_plugins, placement=placement
        )
        files = {DOCUMENT_NAME: format_document(body).encode()}
        return Plan(platform=PROBE_NAME, run=run, job=job, spec=DOCUMENT_NAME, files=files, shown=(DOCUMENT_NAME,))


@hook
def robotrain_platforms() -> Iterable[Any]:
    """Return the probe platform."""
    return (ProbePlatform(),)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the probe workload."""
    return (
        Workload(
            name=PROBE_NAME,
            summary="only rendered",
            parameters=NoOptions,
            roles={role: Role(many=True) for role in ROLES},
            container_plugin="robotrain_runtime.contract.container_plugin",
        ),
    )


class DeclarationTestBase(KitBase):
    """The base of the kits of source kinds and workloads: fixtures."""

    @pytest.fixture(autouse=True)
    def kit_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The working folder, empty and the test's own."""
        return harness.isolate_folders(tmp_path / "kit", monkeypatch)

    @pytest.fixture
    def probe_plugin(self, kit_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Install the probe plugin for the duration of a test."""
        site = kit_folders.parent / "site"
        claims = {f"{family}.{PROBE_NAME}": __name__ for family in ("platform", "workload")}
        harness.install_metadata(site, "robotrain-kit-probe", claims)
        monkeypatch.syspath_prepend(site)


def run_with_probe(command: str, *words: str) -> harness.CommandResult:
    """Run a command with `--json` on the probe platform."""
    return harness.run_command(command, "--json", "--platform", PROBE_NAME, *words)
