"""Entry points of installed distributions, read from their metadata as the packaging specification lays it out.

importlib.metadata does the same and brings the email package with it: a sixth of the time that `submit --help` takes.
It is still asked about what is no folder on the path, such as a zip file.
https://packaging.python.org/en/latest/specifications/entry-points/
"""

import importlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

METADATA = ("METADATA", "PKG-INFO")
FILE = "entry_points.txt"
KINDS = (".dist-info", ".egg-info")


class EntryPoint(NamedTuple):
    """A name that a distribution gives to something importable. value: `module` or `module:attribute`."""

    name: str
    value: str
    distribution: str
    version: str

    def load(self) -> Any:
        """What it names, imported. Raises what the import raises."""
        module, _, attribute = self.value.partition("[")[0].strip().partition(":")
        found: Any = importlib.import_module(module.strip())
        for part in filter(None, attribute.strip().split(".")):
            found = getattr(found, part)
        return found


def of_group(group: str) -> list[EntryPoint]:
    """Those of every distribution on the path; of two with the same name the first counts, as in an import."""
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for place in dict.fromkeys(place or "." for place in sys.path):
        if os.path.isdir(place):
            for folder in _distributions(place, seen):
                found += _of(folder, group)
        else:
            found += _elsewhere(place, group)
    return found


def requirements(project: str) -> list[str]:
    """What the first distribution of that name on the path says that it requires; nothing when it is not there."""
    first = project.partition("-")[0]  # told apart at a glance: there are many, and most are something else
    for place in dict.fromkeys(place or "." for place in sys.path):
        for name in _listed(place):
            if name.lower().startswith(first) and name.endswith(KINDS) and _project(name) == project:
                return re.findall(r"^Requires-Dist: *(.*?)\s*$", _head(Path(place, name)), re.MULTILINE)
        for distribution in [] if os.path.isdir(place) else _in_archive(place):
            if _project(f"{distribution.name}.") == project:
                return list(distribution.requires or ())
    return []


def _distributions(place: str, seen: set[str]) -> Iterator[Path]:
    """The metadata folders in `place` of distributions that are not among the `seen`, which they join."""
    for name in _listed(place):
        if name.endswith(KINDS) and (project := _project(name)) not in seen:
            seen.add(project)
            yield Path(place, name)


def _of(folder: Path, group: str) -> Iterator[EntryPoint]:
    if declared := _group(_read(folder / FILE), group):
        distribution, version = _named(folder)
        yield from (EntryPoint(name, value, distribution, version) for name, value in declared)


def _elsewhere(place: str, group: str) -> Iterator[EntryPoint]:
    for distribution in _in_archive(place):
        for point in distribution.entry_points.select(group=group):
            yield EntryPoint(point.name, point.value, distribution.name, distribution.version)


def _in_archive(place: str) -> Iterator[Any]:
    """The distributions in what is no folder; none of what is not there."""
    if os.path.exists(place):
        from importlib.metadata import distributions

        yield from distributions(path=[place])


def _group(text: str, group: str) -> list[tuple[str, str]]:
    """The names and values of one section."""
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


def _named(folder: Path) -> tuple[str, str]:
    """Name and version of a distribution, from the head of its metadata."""
    fields = dict(re.findall(r"^(Name|Version): *(.*?)\s*$", _head(folder), re.MULTILINE))
    return fields.get("Name") or folder.name.partition("-")[0], fields.get("Version", "")


def _head(folder: Path) -> str:
    """The fields of its metadata, without the long text below them."""
    return next(filter(None, (_read(folder / name) for name in METADATA)), "").partition("\n\n")[0]


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _project(folder: str) -> str:
    """The distribution that a metadata folder is of, in one spelling."""
    return re.sub(r"[-_.]+", "-", folder.rpartition(".")[0].partition("-")[0]).lower()
