"""Claims of installed distributions, read from their entry points, without those that --without excludes.

A claim is the name of an entry point in the group `robotrain`: `platform.NAME`, `source.NAME`, `workload.NAME`,
`command.NAME`; a name without a dot is a site plugin. Metadata folders are read directly, since importlib.metadata
imports the email package: a sixth of the time of `submit --help`. It is only used for zip files on the path.
https://packaging.python.org/en/latest/specifications/entry-points/
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.errors import Problem, Rejected, Stage, Suggestion, find_nearest_name
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.plugins.errors import PluginError

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
    seen: set[str] = set()
    for place in dict.fromkeys(place or "." for place in sys.path):
        if os.path.isdir(place):
            for folder in _find_metadata_folders(place, seen):
                found += _read_folder(folder, group)
        else:
            found += _read_archive(place, group)
    return found


def read_requirements(project: str) -> list[str]:
    """Return the requirements of the first distribution of that name on the path; none if it is not installed."""
    first = project.partition("-")[0]  # a cheap test first: most folders are others
    for place in dict.fromkeys(place or "." for place in sys.path):
        for name in _list_folder(place):
            if name.lower().startswith(first) and name.endswith(METADATA_FOLDERS) and _parse_project(name) == project:
                return re.findall(r"^Requires-Dist: *(.*?)\s*$", _read_fields(Path(place, name)), re.MULTILINE)
        for distribution in [] if os.path.isdir(place) else _find_archived(place):
            if _parse_project(f"{distribution.name}.") == project:
                return list(distribution.requires or ())
    return []


def _find_metadata_folders(place: str, seen: set[str]) -> Iterator[Path]:
    """Yield the metadata folders in `place` of distributions that are not in `seen`, and add them to it."""
    for name in _list_folder(place):
        if name.endswith(METADATA_FOLDERS) and (project := _parse_project(name)) not in seen:
            seen.add(project)
            yield Path(place, name)


def _read_folder(folder: Path, group: str) -> Iterator[EntryPoint]:
    if declared := _parse_section(_read_text(folder / ENTRY_POINTS_FILE), group):
        distribution, version = _read_name_and_version(folder)
        yield from (EntryPoint(name, value, distribution, version) for name, value in declared)


def _read_archive(place: str, group: str) -> Iterator[EntryPoint]:
    for distribution in _find_archived(place):
        for point in distribution.entry_points.select(group=group):
            yield EntryPoint(point.name, point.value, distribution.name, distribution.version)


def _find_archived(place: str) -> Iterator[Any]:
    """Yield the distributions in a file on the path, such as a zip file."""
    if os.path.exists(place):
        from importlib.metadata import distributions

        yield from distributions(path=[place])


def _parse_section(text: str, group: str) -> list[tuple[str, str]]:
    """Return the names and values of one section."""
    if group not in text:
        return []
    lines = (line.strip() for line in text.splitlines())
    found, inside = [], False
    for line in lines:
        if line.startswith("["):
            inside = line == f"[{group}]"
        elif inside and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            found.append((name.strip(), value.strip()))
    return found


def _read_name_and_version(folder: Path) -> tuple[str, str]:
    """Return name and version of a distribution."""
    fields = dict(re.findall(r"^(Name|Version): *(.*?)\s*$", _read_fields(folder), re.MULTILINE))
    return fields.get("Name") or folder.name.partition("-")[0], fields.get("Version", "")


def _read_fields(folder: Path) -> str:
    """Return the header fields of its metadata."""
    return next(filter(None, (_read_text(folder / name) for name in METADATA_FILES)), "").partition("\n\n")[0]


def _list_folder(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _parse_project(folder: str) -> str:
    """Return the normalized name of the distribution of a metadata folder."""
    return re.sub(r"[-_.]+", "-", folder.rpartition(".")[0].partition("-")[0]).lower()


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
    return {
        normalize_name(re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0]) for need in read_requirements("robotrain")
    }


def normalize_name(distribution: str) -> str:
    """Return the normalized name of a distribution."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def exclude_claims(claims: Sequence[Claim], without: Iterable[str]) -> tuple[Claim, ...]:
    """Return the claims that are not excluded. Raise Rejected for names that exclude nothing."""
    names = list(dict.fromkeys(without))
    if idle := [name for name in names if not any(_matches_name(claim, name) for claim in claims)]:
        raise Rejected(_make_unmatched_problem(name, claims) for name in idle)
    return tuple(claim for claim in claims if not any(_matches_name(claim, name) for name in names))


def make_unknown_name_error(family: str, name: str, installed: Sequence[str], without: Sequence[str]) -> PluginError:
    """Return the error for a name that is not installed or is excluded."""
    from robotrain.plugins.errors import PluginNotInstalled

    others = f"installed: {', '.join(installed) or 'none'}"
    if off := next((one for one in without if name in _list_excluded_names(family, one)), ""):
        return PluginNotInstalled(f"{family} {name!r} is switched off by --without {off}; {others}", misspelled=False)
    whole = (
        []
        if list_built_in_distributions()
        else [Suggestion("uv pip install robotrain", "brings all that robotrain comes with")]
    )
    file = Suggestion("robotrain --plugins-from FOLDER …", "when it comes from a plugin file")
    return PluginNotInstalled(f"no {family} {redact(name)!r} is installed; {others}", *whole, file)


def describe_excluded_kinds(without: Sequence[str]) -> str:
    """Return a sentence about excluded source kinds, whose options are missing; empty without any."""
    off = {
        claim.dotted: name
        for claim in read_claims()
        for name in without
        if claim.family == "source" and _matches_name(claim, name)
    }
    words = " ".join(f"--without {name}" for name in dict.fromkeys(off.values()))
    return f"The options of {', '.join(off)} are switched off by {words}." if off else ""


def no_workload(installed: Sequence[str]) -> Rejected:
    """Return the error for a job without a workload, where none is the default."""
    whole = (
        ()
        if list_built_in_distributions()
        else (Suggestion("uv pip install robotrain", "brings all that robotrain comes with"),)
    )
    ways = (*(Suggestion(name) for name in installed), *whole)
    title = "no workload was chosen, and no installed one is the default"
    return Rejected([Problem(code="workload-missing", stage=Stage.USAGE, title=title, suggestions=ways)])


def several_defaults(names: Sequence[str]) -> Problem:
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
