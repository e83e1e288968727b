"""The packages of a program as uv resolves them: for one machine, from wheels alone, without running anything of them.

uv starts in a neutral folder, so that no file of a project is its configuration, and may not build a package to learn
what it needs: that would run its code on this machine.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomllib
from packaging.markers import Marker
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain.store import files
from robotrain_runtime.contract.child_python import NEUTRAL_FOLDER
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.environments import uv_program
from robotrain_runtime.process.stop import StopSignal

from robotrain_workloads.command_lock.lock_inputs import LOCK_FILE, PROJECT_FILE, LockInput
from robotrain_workloads.command_lock.lock_target import UV_PLATFORM, Target

make_problem = Messages(__file__)

UV_SECONDS = 600
MAX_REASON = 900
"""Characters of uv's explanation that a problem repeats."""
MAX_EXCLUDED = 30
"""How many packages without a wheel are named at once."""
UNUSABLE = re.compile(
    r"Wheels are required for `([^`]+)`|Because (?:all versions of )?([\w.-]+)\S* has no usable wheels"
)
NO_CONFIG = {"NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
NO_PROJECT = "[tool.uv.workspace]\nmembers = []\n"
"""The pyproject.toml of a workspace whose root is no project: uv then takes all members of its lock."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPackage:
    """A package of a resolution, as a pylock.toml has it."""

    name: str
    version: str
    index: str
    """The address of its index, which may have a password; empty if nobody knows it."""
    wheels: Mapping[str, Mapping[str, Any]]
    """The entries of its wheels, by file name."""
    sdist: Mapping[str, Any] | None
    archive: str = ""
    """The address that the project names for it; empty for a package of an index."""
    place: str = ""
    """What it is in place of a package of an index: a folder or a repository; empty for one of an index."""
    dependents: tuple[str, ...] = ()
    """The packages that need it."""


def resolve_packages(given: LockInput, target: Target) -> tuple[list[ResolvedPackage], list[Problem]]:
    """Return the packages that the job installs, and what cannot be locked. Raise Rejected if nothing can be told."""
    with tempfile.TemporaryDirectory(prefix="robotrain-") as place:
        if given.uv_lock:
            return _export_lock(given, target, Path(place)), []
        return _compile_requirements(given, target, Path(place))


def _export_lock(given: LockInput, target: Target, place: Path) -> list[ResolvedPackage]:
    """Return the packages of a uv.lock, which uv reads beside a project of the same name that has no settings."""
    (place / LOCK_FILE).write_bytes(given.uv_lock)
    named = f'[project]\nname = "{given.project}"\nversion = "0"\n'
    (place / PROJECT_FILE).write_text(named if given.project else NO_PROJECT, encoding="utf-8")
    command = ("export", "--project", str(place), "--frozen", "--no-dev", "--no-emit-workspace", "--no-header", "-q")
    texts = []
    for form in ("pylock.toml", "requirements.txt"):
        more = ("--no-hashes",) if form == "requirements.txt" else ()
        code, output, errors = run_uv((*command, "--format", form, *more))
        if code:
            raise Rejected([_make_failure(f"{given.origin} cannot be read by uv", errors, given)])
        texts.append(output)
    return list(_parse_packages(texts[0], _parse_dependents(texts[1]), target))


def _compile_requirements(given: LockInput, target: Target, place: Path) -> tuple[list[ResolvedPackage], list[Problem]]:
    """Return the packages that fit requirements, and each that has no wheel."""
    sources, constraints, excludes = place / "requirements.in", place / "constraints.txt", place / "excludes.txt"
    sources.write_text("".join(f"{one.requirement}\n" for one in given.requirements), encoding="utf-8")
    constraints.write_text("".join(f"{one.requirement}\n" for one in given.constraints), encoding="utf-8")
    machine = ("--python", sys.executable, "--python-version", target.python, "--python-platform", UV_PLATFORM)
    options = (*machine, "--no-build", "--no-header", "--no-sources", "-q")
    problems: list[Problem] = []
    excluded: dict[str, None] = {}
    while True:
        excludes.write_text("".join(f"{name}\n" for name in excluded), encoding="utf-8")
        more = ("--constraints", str(constraints), *(("--excludes", str(excludes)) if excluded else ()))
        code, output, errors = run_uv(("pip", "compile", str(sources), *options, *more))
        if not code:
            break
        if excluded and "--excludes" in errors:  # an older uv: the others will be named next time
            break
        unusable = {one or other for one, other in UNUSABLE.findall(errors)} - {*excluded}
        if not unusable or len(excluded) >= MAX_EXCLUDED:
            problems.append(_make_failure(f"the packages of {given.origin} cannot be resolved", errors, given))
            break
        excluded |= dict.fromkeys(sorted(unusable))
        problems += [make_wheel_problem(name, given, target) for name in sorted(unusable)]
    if problems:
        return [], problems
    locked = place / "requirements.txt"
    locked.write_text(output, encoding="utf-8")
    code, pylock, errors = run_uv(("pip", "compile", str(locked), "--no-deps", "--format", "pylock.toml", *options))
    if code:
        raise Rejected([_make_failure(f"the packages of {given.origin} cannot be resolved", errors, given)])
    return list(_parse_packages(pylock, _parse_dependents(output), target)), []


def _parse_packages(
    pylock: str, dependents: Mapping[str, tuple[str, ...]], target: Target
) -> Iterator[ResolvedPackage]:
    """Yield the packages of a pylock.toml that the target installs."""
    for entry in tomllib.loads(pylock).get("packages", ()):
        if "marker" in entry and not Marker(entry["marker"]).evaluate(dict(target.markers)):
            continue
        wheels = {get_file_name(one): one for one in entry.get("wheels", ())}
        archive, place = entry.get("archive", {}), next((kind for kind in ("directory", "vcs") if kind in entry), "")
        sdist = entry.get("sdist")
        if url := str(archive.get("url", "")):
            file = get_file_name(archive)
            wheels, sdist = ({file: archive}, None) if file.endswith(".whl") else ({}, archive)
        yield ResolvedPackage(
            name=entry["name"],
            version=str(entry.get("version", "")),
            index=str(entry.get("index", "")),
            wheels=wheels,
            sdist=sdist,
            archive=url,
            place=place or ("file" if archive.get("path") else ""),
            dependents=dependents.get(entry["name"], ()),
        )


def get_file_name(entry: Mapping[str, Any]) -> str:
    """Return the name of a file of a package."""
    from urllib.parse import unquote

    address = str(entry.get("name") or entry.get("url") or entry.get("path") or "")
    return unquote(address.partition("#")[0].partition("?")[0].rpartition("/")[2])


def _parse_dependents(requirements: str) -> dict[str, tuple[str, ...]]:
    """Return the packages that need each package, by the comments of uv's requirements."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in requirements.splitlines():
        if match := re.match(r"([A-Za-z0-9][\w.-]*)(?:\[.*?\])?\s*(?:==|@)", line):
            name = match[1]
        elif (match := re.match(r"\s+#\s+(?:via\s+)?([A-Za-z0-9][\w.-]*)$", line)) and match[1] != "via":
            found.setdefault(name, []).append(match[1])
    return {name: tuple(dict.fromkeys(found[name])) for name in found}


def make_wheel_problem(name: str, given: LockInput, target: Target) -> Problem:
    """Return the problem of a package that has no wheel for the target."""
    if given.uv_lock:
        way = Suggestion("--allow-builds", "builds it in the job, where a compiler must be")
    else:
        way = Suggestion("uv lock   and --allow-builds", "with a pyproject.toml: uv.lock says what it needs")
    return make_problem(
        "not-lockable.no-wheel", way, where=given.origin, given=name, name=name, description=target.description
    )


def _make_failure(title: str, errors: str, given: LockInput) -> Problem:
    """Return the problem that uv explains."""
    if re.search(r"unexpected argument|invalid value '(?:pylock|x86_64)", errors):
        title = f"{title}: this uv is too old"
        return make_problem("lock-failed.uv-too-old", where=given.origin, title=title)
    lines = [line.strip() for line in errors.splitlines()]
    text = " ".join(re.sub(r"^(?:error|cause):\s*", "", line) for line in lines if line)
    why, is_transient = redact(text, max_length=MAX_REASON), uv_program.classify_uv_error(errors) == "network"
    install = Suggestion("--no-install", "installs nothing: the image has the packages")
    way = Suggestion("robotrain doctor", "checks what this machine can reach") if is_transient else install
    problem = make_problem("lock-failed.uv", way, where=given.origin, title=title, why=why)
    return replace(problem, transient=is_transient)


def run_uv(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Run uv outside of any project; return its exit code, output and errors. Raise Rejected if there is no uv."""
    cache = files.get_cache_folder()
    try:
        uv = uv_program.find_uv(cache) or uv_program.fetch_uv(cache, StopSignal())
        environ = {**uv_program.make_uv_environ(), **NO_CONFIG}
        done = subprocess.run(
            [str(uv), *arguments],
            cwd=NEUTRAL_FOLDER,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=UV_SECONDS,
        )
    except (OSError, JobFailed, subprocess.TimeoutExpired) as error:
        problem = make_problem("lock-failed.no-uv", why=redact(f"{error}."))
        raise Rejected([problem]) from error
    return done.returncode, done.stdout, done.stderr
