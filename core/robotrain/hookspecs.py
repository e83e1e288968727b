"""The whole extension surface: six hooks. A plugin implements those it needs, marked with `hook` of this module."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from robotrain.health import HealthCheck
    from robotrain.job import Job
    from robotrain.platforms import Platform
    from robotrain.problem import Problem
    from robotrain.run import Change, RunRecord, Status
    from robotrain.source import SourceKind
    from robotrain.workload import Workload

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
def robotrain_run_changed(run: RunRecord, change: Change, status: Status | None) -> None:
    """Something happened to a run. As with every hook, arguments that are not used may be left out.

    `sent`: its platform took it, once for each run; so is one that was found there after its submit was cut off.
    `cancelled`: `robotrain cancel` or `Run.cancel` asked for its end. `ended`: who followed it (`wait`, `watch`,
    `--wait`, `--stream`; `Run.wait` of a program) saw it end; each of them tells, and nobody does when nobody followed
    it. The time limit is that of `robotrain_check`; a plugin that fails is named in a warning, of a program in
    `Run.remarks`, and the run is not touched.

    :param run: its record after the change.
    :param change: what happened.
    :param status: how the run is by now, with the reason and the exit code of one that ended; None when not asked.
    """
