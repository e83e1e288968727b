"""Claims of installed distributions, read from their entry points, without those that --without excludes.

A claim is the name of an entry point in the group `robotrain`: `platform.NAME`, `source.NAME`, `workload.NAME`,
`command.NAME`; a name without a dot is a site plugin. Metadata folders are read directly, since importlib.metadata
imports the email package: a sixth of the time of `submit --help`. It is only used for zip files on the path.
https://packaging.python.org/en/latest/specifications/entry-points/
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.errors import Problem, Rejected, Stage, Suggestion, find_nearest_name
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.plugins.failures import PluginError

METADATA_FILES = ("METADATA", "PKG-INFO")
ENTRY_POINTS_FILE = "entry_points.txt"
METADATA_FOLDERS = (".dist-info", ".egg-info")


class EntryPoint(NamedTuple):
    """An entry point of a distribution; `value` is `module` or `module:attribute`."""

    name: str
    value: str
    distribution: str
    version: str

    def load(self) -> Any:
        """Import and return what it names. Raise what the import raises."""
        module, _, attribute = self.value.partition("[")[0].strip().partition(":")
        found: Any = importlib.import_module(module.strip())
        for part in filter(None, attribute.strip().split(".")):
            found = getattr(found, part)
        return found


def read_entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of a group; of two distributions with the same name the first on the path counts."""
    found: list[EntryPoint] = []
    for project, read in _find_distributions():
        if declared := _parse_section(read(ENTRY_POINTS_FILE) or "", group):
            fields = dict(reversed(_read_fields(read)))
            name, version = fields.get("Name") or project, fields.get("Version", "")
            found += [EntryPoint(point, value, name, version) for point, value in declared]
    return found


def read_requirements(project: str) -> list[str]:
    """Return the requirements of the first distribution of that name on the path; none if it is not installed."""
    read = next((read for name, read in _find_distributions() if name == project), None)
    return [value for name, value in _read_fields(read) if name == "Requires-Dist"] if read else []


def _find_distributions() -> Iterator[tuple[str, Callable[[str], str | None]]]:
    """Yield the normalized name of each distribution on the path, and what reads a file of its metadata."""
    seen = set[str]()
    for place in dict.fromkeys(place or "." for place in sys.path):
        for project, read in _list_place(place):
            if project not in seen:
                seen.add(project)
                yield project, read


def _list_place(place: str) -> Iterator[tuple[str, Callable[[str], str | None]]]:
    if os.path.isdir(place):
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(place)):
                if name.endswith(METADATA_FOLDERS):
                    project = normalize_name(name.rpartition(".")[0].partition("-")[0])
                    yield project, functools.partial(_read_text, os.path.join(place, name))
    elif os.path.exists(place):  # such as a zip file
        from importlib.metadata import distributions

        yield from ((normalize_name(found.name or ""), found.read_text) for found in distributions(path=[place]))


def _parse_section(text: str, group: str) -> list[tuple[str, str]]:
    """Return the names and values of one section."""
    if group not in text:
        return []
    found, inside = [], False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            inside = line == f"[{group}]"
        elif inside and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            found.append((name.strip(), value.strip()))
    return found


def _read_fields(read: Callable[[str], str | None]) -> list[tuple[str, str]]:
    """Return the header fields of a distribution's metadata."""
    header = next(filter(None, map(read, METADATA_FILES)), "").partition("\n\n")[0]
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in header.splitlines())]


def _read_text(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


GROUP = "robotrain"
FAMILIES = ("platform", "workload", "source", "command")


class Claim(NamedTuple):
    """A name that an installed distribution claims; `family` is empty for a site plugin."""

    family: str
    name: str
    point: EntryPoint

    @property
    def project(self) -> str:
        """Return the distribution's normalized name."""
        return normalize_name(self.point.distribution)

    @property
    def distribution(self) -> str:
        """Return name and version of its distribution; the path of a plugin file."""
        return f"{self.point.distribution} {self.point.version}".rstrip()

    @property
    def dotted(self) -> str:
        """Return the entry point's name, such as `platform.slurm`."""
        return ".".join(part for part in (self.family, self.name) if part)

    @property
    def built_in(self) -> bool:
        """Return whether it is part of robotrain."""
        return self.project in list_built_in_distributions()

    def __str__(self) -> str:
        return " ".join(part for part in (self.family, self.name) if part)


def read_claims() -> tuple[Claim, ...]:
    """Return every claim, sorted by family and name, broken plugins included."""
    found = [Claim(*_split_claim(point.name), point) for point in read_entry_points(GROUP)]
    return tuple(sorted(found, key=lambda claim: (claim.family, claim.name, claim.distribution)))


def _split_claim(point_name: str) -> tuple[str, str]:
    family, dot, name = point_name.partition(".")
    return (family, name) if dot and family in FAMILIES else ("", point_name)


@functools.cache
def list_built_in_distributions() -> set[str]:
    """Return the normalized names of what the distribution `robotrain` requires, extras included."""
    return {parse_requirement_name(need) for need in read_requirements("robotrain")}


def parse_requirement_name(requirement: str) -> str:
    """Return the normalized name of the distribution that a requirement is for."""
    found = re.match(r"[\w.-]+", requirement)
    return normalize_name(found[0]) if found else ""


def normalize_name(distribution: str) -> str:
    """Return the normalized name of a distribution."""
    return "-".join(filter(None, distribution.lower().replace("_", "-").replace(".", "-").split("-")))


def exclude_claims(claims: Sequence[Claim], without: Iterable[str]) -> tuple[Claim, ...]:
    """Return the claims that are not excluded. Raise Rejected for names that exclude nothing."""
    names = list(dict.fromkeys(without))
    if idle := [name for name in names if not any(_matches_name(claim, name) for claim in claims)]:
        raise Rejected(_make_unmatched_problem(name, claims) for name in idle)
    return tuple(claim for claim in claims if not any(_matches_name(claim, name) for name in names))


def make_unknown_name_error(family: str, name: str, installed: Sequence[str], without: Sequence[str]) -> PluginError:
    """Return the error for a name that is not installed or is excluded."""
    from robotrain.plugins.failures import PluginNotInstalled

    others = f"installed: {', '.join(installed) or 'none'}"
    if off := next((one for one in without if name in _list_excluded_names(family, one)), ""):
        return PluginNotInstalled(f"{family} {name!r} is switched off by --without {off}; {others}", misspelled=False)
    file = Suggestion("robotrain --plugins-from FOLDER …", "when it comes from a plugin file")
    return PluginNotInstalled(f"no {family} {redact(name)!r} is installed; {others}", *_suggest_whole(), file)


def describe_excluded_kinds(without: Sequence[str]) -> str:
    """Return a sentence about excluded source kinds, whose options are missing; empty without any."""
    off = {
        claim.dotted: name
        for claim in (read_claims() if without else ())
        for name in without
        if claim.family == "source" and _matches_name(claim, name)
    }
    words = " ".join(f"--without {name}" for name in dict.fromkeys(off.values()))
    return f"The options of {', '.join(off)} are switched off by {words}." if off else ""


def make_no_workload_error(installed: Sequence[str]) -> Rejected:
    """Return the error for a job without a workload, where none is the default."""
    ways = (*(Suggestion(name) for name in installed), *_suggest_whole())
    title = "no workload was chosen, and no installed one is the default"
    return Rejected([Problem(code="workload-missing", stage=Stage.USAGE, title=title, suggestions=ways)])


def _suggest_whole() -> list[Suggestion]:
    """Suggest to install robotrain with all its plugins, where only robotrain-core is."""
    whole = Suggestion("uv pip install robotrain", "installs the standard plugins")
    return [] if list_built_in_distributions() else [whole]


def make_several_defaults_problem(names: Sequence[str]) -> Problem:
    """Return the warning that more than one workload declares that it is the default."""
    return Problem(
        code="workload-defaults",
        stage=Stage.USAGE,
        title=f"{len(names)} workloads declare that they are the default: {', '.join(names)}; {names[0]} is used",
        why="A job that names no workload means the first of them by name.",
        suggestions=tuple(Suggestion(name, "names it") for name in names),
        severity="warning",
    )


def _list_excluded_names(family: str, without: str) -> set[str]:
    """Return the names of a family that a value of --without excludes."""
    return {claim.name for claim in read_claims() if claim.family == family and _matches_name(claim, without)}


def _matches_name(claim: Claim, name: str) -> bool:
    return claim.dotted == name or claim.project == normalize_name(name)


def _make_unmatched_problem(name: str, claims: Sequence[Claim]) -> Problem:
    full = dict.fromkeys(text for claim in claims for text in (claim.point.distribution, claim.dotted))
    bare = {claim.name: claim.dotted for claim in claims}
    meant = find_nearest_name(name, full) or bare.get(find_nearest_name(name, bare) or "")
    list_them = Suggestion("robotrain plugins", "lists what is installed")
    return Problem(
        code="plugin-unknown",
        stage=Stage.USAGE,
        title=f"--without {redact(name)} switches nothing off: nothing installed has that name",
        where="--without",
        given=redact(name),
        suggestions=(Suggestion(f"--without {meant}") if meant else list_them,),
    )
