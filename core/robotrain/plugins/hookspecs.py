"""The plugin interface: the six hooks, and the API version."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

from robotrain.errors import Suggestion
from robotrain.plugins.failures import UnsuitablePlugin

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.health import HealthCheck
    from robotrain.model.job import Job
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunChange, RunRecord, Status
    from robotrain.model.source import SourceKind
    from robotrain.model.workload import Workload
    from robotrain.plugins.discovery import Claim

hook = pluggy.HookimplMarker("robotrain")
"""Marks a function of a plugin's module as the implementation of the hook of its name."""
spec = pluggy.HookspecMarker("robotrain")


@spec
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the plugin's source kinds, each claimed as `source.NAME`, or belonging to its platform."""
    return ()


@spec
def robotrain_workloads() -> Iterable[Workload]:
    """Return the plugin's workloads, each claimed as `workload.NAME`."""
    return ()


@spec
def robotrain_platforms() -> Iterable[Platform]:
    """Return the plugin's platforms, each claimed as `platform.NAME`."""
    return ()


@spec
def robotrain_health() -> Iterable[HealthCheck]:
    """Return what `robotrain doctor` checks for this plugin: what could stop a submit from this machine."""
    return ()


@spec
def robotrain_check(job: Job, platform: str) -> Iterable[Problem]:
    """Check a job against a site's own rules, before it is rendered and before a stored plan is sent.

    The hook runs in a thread of its own for at most 5 seconds (`ROBOTRAIN_HOOK_SECONDS`); problems yielded until then
    count. A plugin that raises, hangs or calls `sys.exit` is named in a warning; with `--strict-plugins` nothing is
    sent.

    :param job: the resolved job.
    :param platform: the platform's name.
    """
    return ()


@spec
def robotrain_run_changed(run: RunRecord, change: RunChange, status: Status | None) -> None:
    """Receive a change of a run. As in every hook, unused arguments may be left out.

    `sent`: the platform accepted the run, or turned out to have it after an interrupted submit; once for each run.
    `cancelled`: a user cancelled it with `robotrain cancel` or `Run.cancel`. `ended`: a command or program that
    followed the run (`wait`, `watch`, `--wait`, `--stream`, `Run.wait`) saw it end. Each follower calls the hook;
    without a follower it is not called. The time limit is that of `robotrain_check`; a plugin that fails is named in a
    warning (`Run.warnings` in a program).

    :param run: the record after the change.
    :param status: the status, with reason and exit code of an ended run; None if not queried.
    """


class HookManager(pluggy.PluginManager):
    """The hooks of the loaded modules."""

    def __init__(self) -> None:
        super().__init__("robotrain")
        self.add_hookspecs(sys.modules[__name__])

    def add(self, module: Any) -> None:
        """Register the hooks of a module, once. Raise an exception for a misspelled name or argument."""
        if self.is_registered(module):
            return
        try:
            self.register(module)
            self.check_pending()  # raises for a misspelled hook
        except Exception:
            if self.is_registered(module):  # pluggy itself leaves out one with wrong arguments
                self.unregister(module)
            raise

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        """Read a module's marked functions only: pluggy inspects every name, which costs each start 3 %."""
        if isinstance(plugin, types.ModuleType) and not hasattr(vars(plugin).get(name), "robotrain_impl"):
            return None
        return super().parse_hookimpl_opts(plugin, name)


API_VERSION = 1
"""The current version of the plugin API; a plugin's module declares its own: `ROBOTRAIN_API = 1`."""
OLDEST_API_VERSION = 1
"""The oldest version that this robotrain supports."""
API_VARIABLE = "ROBOTRAIN_API"
DEFAULT_API_VERSION = 1
"""The version of a plugin that declares none."""


def get_api_version(claim: Claim) -> Any:
    """Return the API version that a loaded plugin declares; built-in ones follow the current version."""
    if claim.built_in:
        return API_VERSION
    return getattr(sys.modules.get(claim.module), API_VARIABLE, DEFAULT_API_VERSION)


def require_supported_api(claim: Claim) -> None:
    """Raise UnsuitablePlugin if a plugin is written for a version that this robotrain does not support."""
    version = get_api_version(claim)
    if isinstance(version, int) and OLDEST_API_VERSION <= version <= API_VERSION:
        return
    if not isinstance(version, int):
        raise UnsuitablePlugin(f"{API_VARIABLE} is a whole number such as {API_VERSION}")
    from robotrain import __version__
    from robotrain.installation import format_install_command

    newer = "robotrain-core" if version > API_VERSION else claim.package
    why = f"it is written for version {version} of the plugin API, and robotrain {__version__} supports"
    way = Suggestion(format_install_command(newer, change="upgrade"), "a newer release may support it")
    raise UnsuitablePlugin(f"{why} {OLDEST_API_VERSION} to {API_VERSION}", way)
