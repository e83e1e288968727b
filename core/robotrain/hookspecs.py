"""The whole extension surface: five hooks. A plugin implements those it needs, marked with `hook` of this module."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from robotrain.job import Job
    from robotrain.platforms import Platform
    from robotrain.problem import Problem
    from robotrain.run import RunRecord
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
def robotrain_check(job: Job, platform: str) -> Iterable[Problem]:
    """A site's own rules.

    :param job: the resolved job, before anything is rendered.
    :param platform: the name of the platform it is meant for.
    """
    return ()


@spec
def robotrain_run_changed(run: RunRecord) -> None:
    """Something happened to a run.

    :param run: its record after the change.
    """
