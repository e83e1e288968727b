"""The plugin interface: the six hooks."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.health import Check
    from robotrain.model.job import Job
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunChange, RunRecord, Status
    from robotrain.model.source import SourceKind
    from robotrain.model.workload import Workload

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
def robotrain_health() -> Iterable[Check]:
    """Return what `robotrain doctor` checks for this plugin: what could stop a submit from this machine."""
    return ()


@spec
def robotrain_check(job: Job, platform: str) -> Iterable[Problem]:
    """Check a job against a site's own rules, before it is rendered and before a stored plan is sent.

    A plugin that raises ends the command, which names it: a rule that cannot be asked is not met.

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
    without a follower it is not called. The command waits for it. A plugin that fails is named in a warning
    (`Run.warnings` in a program).

    :param run: the record after the change.
    :param status: the status, with reason and exit code of an ended run; None if not queried.
    """


class HookManager(pluggy.PluginManager):
    """The hooks of the loaded modules."""

    def __init__(self) -> None:
        super().__init__("robotrain")
        self.add_hookspecs(sys.modules[__name__])

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> pluggy.HookimplOpts | None:
        """Return the options of a hook's implementation; of a module, only its functions are looked at."""
        if isinstance(plugin, ModuleType) and not isinstance(vars(plugin).get(name), FunctionType):
            return None
        return super().parse_hookimpl_opts(plugin, name)

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
