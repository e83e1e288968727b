"""Remove from a hashed lock the wheels that its machines cannot install: `trim_hashes.py LOCK.in LOCK.txt PYLOCK.toml`.

The .in says which machines: `# for: CPython 3.12 on manylinux_2_28_x86_64`, and which packages without wheels are built
there: `# built: bddl`. Their hashes are those of their sources, and the lock begins with that line. PYLOCK.toml is uv's
list of the same packages, which names their wheels; a hash alone does not say whose it is.

A .in that extends another one, `-r eval.in`, has a lock that begins with `-r eval.txt` and leaves out what is there.
"""

import re
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

import tomllib
from packaging import tags
from packaging.utils import parse_wheel_filename

FOR = re.compile(r"^# for: CPython ([\d. ]+) on ([\w ]+)$", re.MULTILINE)
EXTENDED = re.compile(r"^-r (\w+)\.\w+$", re.MULTILINE)
BUILT = re.compile(r"^# built: ([\w -]+)$", re.MULTILINE)
PLATFORM = re.compile(r"(manylinux|macosx)_(\d+)_(\d+)_(\w+)")
PINNED = re.compile(r"(\S+)==(\S+)(?: ; .*)? \\")
HASH = "    --hash=sha256:"
LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""The older names of platforms by the minor version of glibc."""

Tags = frozenset[tags.Tag]
Wheels = Mapping[str, Tags]
"""The tags of each wheel of a package, by its hash."""


def main(source: Path, lock: Path, listed: Path) -> None:
    """Rewrite LOCK.txt. Raises SystemExit when a package would be left with nothing."""
    machines = list(_read_machines(source))
    text = source.read_text(encoding="utf-8")
    built, extended = BUILT.search(text), EXTENDED.search(text)
    packages = _read_packages(listed, built[1].split() if built else (), frozenset().union(*machines))
    head, *blocks = _split_packages(lock.read_text(encoding="utf-8"))
    trimmed = [_trim_package(block, packages, machines) for block in blocks]
    if extended:
        head += f"-r {extended[1]}.txt\n"
        present = set(map(_strip_comments, _list_extended(source)))
        trimmed = [block for block in trimmed if _strip_comments(block) not in present]
    lock.write_text("".join([*([f"{built[0]}\n"] if built else []), head, *trimmed]), encoding="utf-8")


def _list_extended(source: Path) -> Iterator[str]:
    """Yield the packages of all locks that a .in extends."""
    for name in EXTENDED.findall(source.read_text(encoding="utf-8")):
        yield from _split_packages(source.with_name(f"{name}.txt").read_text(encoding="utf-8"))
        yield from _list_extended(source.with_name(f"{name}.in"))


def _strip_comments(block: str) -> str:
    return re.sub(r"^\s*#.*\n?", "", block, flags=re.MULTILINE).strip()


def choose_hashes(wheels: Wheels, machines: list[Tags], had: set[str]) -> set[str]:
    """Return the hashes of the wheels that fit a machine: only those in the lock, if every machine has one of them.

    So a wheel that is added to an old version later does not make the lock stale; a machine added to the .in does.
    """
    for_each = [{digest for digest, fits in wheels.items() if fits & machine} for machine in machines]
    fitting = set().union(*for_each)
    enough = all(found & had for found in for_each if found)
    return fitting & had if enough else fitting


def _trim_package(block: str, packages: Mapping[tuple[str, str], Wheels], machines: list[Tags]) -> str:
    """Return a package of the lock, with its comments and without needless hashes; any other text unchanged."""
    found = PINNED.match(block)
    if not found:
        return block
    lines = block.splitlines(keepends=True)
    hashes = [line.strip(" \\\n").removeprefix(HASH.strip()) for line in lines if line.startswith(HASH)]
    name, version = found.groups()
    if (name, version) not in packages:
        raise SystemExit(f"{name}=={version} is in the lock, and not in uv's list of wheels")
    left = sorted(choose_hashes(packages[name, version], machines, set(hashes)))
    if not left:
        raise SystemExit(f"{name}=={version} has no wheel for the machines that the lock is for")
    rest = [line for line in lines[1:] if not line.startswith(HASH)]
    return "".join([lines[0], " \\\n".join(HASH + digest for digest in left), "\n", *rest])


def _split_packages(text: str) -> Iterator[str]:
    """Yield the parts of the lock, each beginning with a line that is neither indented nor a comment."""
    yield from re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE)


def _read_packages(listed: Path, built: Collection[str], machines: Tags) -> dict[tuple[str, str], Wheels]:
    found: dict[tuple[str, str], Wheels] = {}
    for package in tomllib.loads(listed.read_text(encoding="utf-8"))["packages"]:
        wheels = {_get_digest(wheel): parse_wheel_filename(_get_name(wheel))[3] for wheel in package.get("wheels", ())}
        if not wheels and package["name"] in built:
            wheels = {_get_digest(package["sdist"]): machines}  # a source fits all
        found[package["name"], package["version"]] = wheels
    return found


def _get_digest(wheel: Mapping[str, Mapping[str, str]]) -> str:
    return wheel["hashes"]["sha256"]


def _get_name(wheel: Mapping[str, str]) -> str:
    return wheel.get("name") or unquote((wheel.get("url") or wheel["path"]).rpartition("/")[2])


def _read_machines(source: Path) -> Iterator[Tags]:
    """Yield the tags of wheels that each machine can install: every Python on every platform."""
    found = FOR.search(source.read_text(encoding="utf-8"))
    assert found is not None
    for version in found[1].split():
        python = tuple(map(int, version.split(".")))
        for platform in found[2].split():
            platforms, interpreter = list(_list_platform_tags(platform)), "cp" + version.replace(".", "")
            yield frozenset(
                (*tags.cpython_tags(python, platforms=platforms), *tags.compatible_tags(python, interpreter, platforms))
            )


def _list_platform_tags(platform: str) -> Iterator[str]:
    """Yield the platform tags that a machine supports whose newest tag is this one."""
    found = PLATFORM.fullmatch(platform)
    assert found is not None
    kind, major, minor, machine = found[1], int(found[2]), int(found[3]), found[4]
    if kind == "macosx":
        yield from tags.mac_platforms((major, minor), machine)
        return
    for glibc in range(minor, 4, -1):
        yield f"manylinux_{major}_{glibc}_{machine}"
        if glibc in LEGACY:
            yield f"{LEGACY[glibc]}_{machine}"
    yield f"linux_{machine}"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
