"""The plugin interface: the six hooks, and the API version."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.health import HealthCheck
    from robotrain.model.job import Job
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunChange, RunRecord, Status
    from robotrain.model.source import SourceKind
    from robotrain.model.workload import Workload
    from robotrain.plugins.claims import Claim

hook = pluggy.HookimplMarker("robotrain")
spec = pluggy.HookspecMarker("robotrain")


@spec
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Source kinds this plugin brings, claimed as `source.NAME`, or a platform's own beside it."""
    return ()


@spec
def robotrain_workloads() -> Iterable[Workload]:
    """Workloads this plugin brings, each claimed as `workload.NAME`."""
    return ()


@spec
def robotrain_platforms() -> Iterable[Platform]:
    """Platforms this plugin brings, each claimed as `platform.NAME`."""
    return ()


@spec
def robotrain_health() -> Iterable[HealthCheck]:
    """What `robotrain doctor` looks at for this plugin: its part of what could stop a submit here."""
    return ()


@spec
def robotrain_check(job: Job, platform: str) -> Iterable[Problem]:
    """A site's own rules, asked before anything is rendered, and before a plan that was rendered earlier is sent.

    It has 5 seconds (`ROBOTRAIN_HOOK_SECONDS`), in a thread of its own; what it found until then counts. A plugin that
    raises, hangs or calls `sys.exit` is named in a warning that says its rule was not enforced; with `--strict-plugins`
    nothing is sent then.

    :param job: the resolved job, before anything is rendered.
    :param platform: the name of the platform it is meant for.
    """
    return ()


@spec
def robotrain_run_changed(run: RunRecord, change: RunChange, status: Status | None) -> None:
    """Something happened to a run. As with every hook, arguments that are not used may be left out.

    `sent`: its platform took it, once for each run; so is one that was found there after its submit was cut off.
    `cancelled`: `robotrain cancel` or `Run.cancel` asked for its end. `ended`: who followed it (`wait`, `watch`,
    `--wait`, `--stream`; `Run.wait` of a program) saw it end; each of them tells, and nobody does when nobody followed
    it. The time limit is that of `robotrain_check`; a plugin that fails is named in a warning, of a program in
    `Run.warnings`, and the run is not touched.

    :param run: its record after the change.
    :param change: what happened.
    :param status: how the run is by now, with the reason and the exit code of one that ended; None when not asked.
    """


API_VERSION = 1
"""The version a plugin is written for: `ROBOTRAIN_API = 1` in the module that its entry point names."""
OLDEST_API_VERSION = 1
"""The oldest one that this robotrain still takes."""

API_VARIABLE = "ROBOTRAIN_API"


DEFAULT_API_VERSION = 1
"""That of a plugin which says none."""


def get_api_version(claim: Claim) -> Any:
    """The version that a loaded plugin was written for, as its module says it."""
    return getattr(sys.modules.get(claim.point.value.partition(":")[0].strip()), API_VARIABLE, DEFAULT_API_VERSION)


def require_supported_api(claim: Claim) -> None:
    """Raises Unsuitable for a plugin whose module says a version that this robotrain does not take."""
    from robotrain import __version__
    from robotrain.errors import Suggestion
    from robotrain.plugins.errors import UnsuitablePlugin

    said = get_api_version(claim)
    if not isinstance(said, int) or isinstance(said, bool):
        raise UnsuitablePlugin(f"{API_VARIABLE} is a whole number such as {API_VERSION}")
    written = f"it is written for version {said} of the plugin API, and robotrain {__version__}"
    if said > API_VERSION:
        way = Suggestion("uv pip install --upgrade robotrain-core", "a newer robotrain has it")
        raise UnsuitablePlugin(f"{written} has version {API_VERSION}", way)
    if said < OLDEST_API_VERSION:
        takes = f"{OLDEST_API_VERSION} to {API_VERSION}" if OLDEST_API_VERSION < API_VERSION else str(API_VERSION)
        way = Suggestion(f"uv pip install --upgrade {claim.point.distribution}", "a newer release may suit")
        raise UnsuitablePlugin(f"{written} takes version {takes}", *([way] if claim.point.version else []))


def describe_outdated_api(claim: Claim) -> str:
    """That a plugin which works was written for an older version, as a note; empty where it was not."""
    said = get_api_version(claim)
    if claim.built_in or said >= API_VERSION:
        return ""
    return f"it is written for version {said} of the plugin API, and the newest is {API_VERSION}: it works all the same"
