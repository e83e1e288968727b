"""robotrain.toml: what a project says for all its jobs, at its top and in profiles; stronger than defaults only."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from robotrain.project_place import NAME, find

if TYPE_CHECKING:
    from robotrain.plugins import Plugins
    from robotrain.problem import Problem
    from robotrain.project_file import Level
    from robotrain.provenance import Value


class Project(NamedTuple):
    """The file as one profile reads it. folder: what relative names start from. levels: the profile's, then the top."""

    folder: Path
    levels: tuple[Level, ...] = ()
    profiles: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def platform(self) -> Value | None:
        """The platform it chooses."""
        return next((level.platform for level in self.levels if level.platform), None)

    @property
    def workload(self) -> Value | None:
        """The workload it chooses."""
        return next((level.workload for level in self.levels if level.workload), None)

    @property
    def terraform(self) -> Value | None:
        """The folder of Terraform's state that it names."""
        return next((level.terraform for level in self.levels if level.terraform), None)

    def parameters(self, workload: str) -> list[Mapping[str, Value]]:
        """Values for a workload's parameters, the strongest table first."""
        return [table for level in self.levels for table in (level.workloads.get(workload, {}), level.parameters)]

    def settings(self, platform: str) -> list[Mapping[str, Value]]:
        """Values for a platform's settings, the strongest table first."""
        return [level.platforms.get(platform, {}) for level in self.levels]


def chosen(folder: Path, profile: Value | None = None) -> Project | None:
    """What counts for a working folder, with the profile that `profile` names; None where nothing was said at all."""
    path = find(folder)
    if path is not None:
        return _read(path, profile)
    if profile is None:
        return None
    return Project(folder=folder, problems=(_unknown_profile(profile, f"There is no {NAME} here, nor above."),))


def _read(path: Path, profile: Value | None) -> Project:
    """The file with a profile; a file that cannot be read says nothing, and is not said to lack the profile."""
    from robotrain import project_file
    from robotrain.redaction import redact

    top, profiles, problems = project_file.read(path)
    levels = [top]
    if profile and profiles is not None:
        if profile.value in profiles:
            levels.insert(0, profiles[profile.value])
        else:
            why = f"Profiles of {NAME}: {', '.join(map(redact, profiles)) or 'none'}."
            problems.append(_unknown_profile(profile, why, profiles))
    return Project(folder=path.parent, levels=tuple(levels), profiles=tuple(profiles or ()), problems=tuple(problems))


def strange(project: Project, plugins: Plugins) -> Iterator[Problem]:
    """Parameters that no installed workload has, and tables for what is not installed, which may be misspelt."""
    from robotrain_runtime.parameter import parameters_of

    said = {name: value for level in project.levels for name, value in level.parameters.items()}
    if said:
        known = [one.name for workload in plugins.workloads().values() for one in parameters_of(workload.parameters)]
        yield from (_unknown_parameter(name, value, known) for name, value in said.items() if name not in known)
    for level in project.levels:
        for family, tables in (("workload", level.workloads), ("platform", level.platforms)):
            installed = plugins.names(family)
            strangers = {name: table for name, table in tables.items() if name not in installed}
            yield from (_strange_table(family, name, table, installed) for name, table in strangers.items())


def _unknown_parameter(name: str, value: Value, known: Iterable[str]) -> Problem:
    from robotrain.nearest import offer
    from robotrain.problem import Problem, Stage
    from robotrain.redaction import redact

    return Problem(
        code="project-file-unknown-key",
        stage=Stage.PARSE,
        title=f"no workload has a parameter {redact(name)!r}",
        where=value.origin.where,
        instead=offer(name, known),
    )


def _strange_table(family: str, name: str, table: Mapping[str, Value], installed: Iterable[str]) -> Problem:
    from robotrain.nearest import offer
    from robotrain.problem import Problem, Stage
    from robotrain.redaction import redact

    return Problem(
        code="project-file-strange-table",
        stage=Stage.PARSE,
        severity="warning",
        title=f"{NAME} has a table for {family} {redact(name)!r}, and none of that name is installed",
        where=next((value.origin.where for value in table.values()), ""),
        instead=offer(name, installed),
    )


def _unknown_profile(profile: Value, why: str, known: Iterable[str] = ()) -> Problem:
    from robotrain.nearest import offer
    from robotrain.problem import Problem, Stage
    from robotrain.redaction import redact

    return Problem(
        code="profile-unknown",
        stage=Stage.USAGE,
        title=f"there is no profile {redact(str(profile.value))!r}",
        where=profile.origin.where,
        why=why,
        instead=offer(str(profile.value), known, before="--profile "),
    )
