"""What the distribution of a plugin requires, and which modules that brings; read from the installed metadata."""

import re
from collections.abc import Iterator
from importlib import metadata

CORE = "robotrain-core"


def modules_required(distribution: str) -> set[str]:
    """The modules at the top of all that it requires, directly or not, and that core does without."""
    needed = {*_closure(distribution)} - {*_closure(CORE)} - {distribution}
    foreign = {name for name in needed if not _is_ours(name)}
    return {module for name in foreign for module in modules(name)} - {
        module for name in _closure(CORE) for module in modules(name)
    }


def modules_declared(distribution: str) -> set[str]:
    """The modules at the top of what it declares that it requires."""
    return {module for name in required(distribution) for module in modules(name)}


def required(distribution: str) -> list[str]:
    """The names of the distributions that it requires, without those of extras."""
    try:
        needs = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
    wanted = [need for need in needs if not re.search(r";.*\bextra\b", need)]
    return [_normal(re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0]) for need in wanted]


def modules(distribution: str) -> set[str]:
    """The modules at the top of an installed distribution; of one that is installed in place those of its wheel."""
    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return {distribution.replace("-", "_")}
    listed = {path.parts[0].partition(".")[0] for path in found.files or () if path.suffix == ".py"}
    return {name for name in listed if name.isidentifier()} or {distribution.replace("-", "_")}


def _closure(distribution: str) -> Iterator[str]:
    seen, waiting = {distribution}, [distribution]
    while waiting:
        name = waiting.pop()
        yield name
        new = [need for need in required(name) if need not in seen]
        seen.update(new)
        waiting += new


def _is_ours(distribution: str) -> bool:
    return distribution.startswith("robotrain")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
