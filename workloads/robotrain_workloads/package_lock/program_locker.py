"""The lock of a program's packages: what the job installs for it, by hash, decided before it is sent.

It is stored on this machine by the content of what it was made from: the same files give the same packages, without
asking anybody, until they change.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.locked_program import LockedProgram

from robotrain_workloads.command_lock import lock_inputs, lock_store, lock_target, uv_resolution
from robotrain_workloads.command_lock.lock_inputs import LockInput
from robotrain_workloads.command_lock.lock_target import PythonChoice, Target
from robotrain_workloads.command_lock.uv_resolution import ResolvedPackage, Say

make_problem = Messages(__file__)

PARAMETERS = ("requirements", "install", "python_version", "allow_builds", "shipped_environment")
"""The parameters that decide what is locked, beside the code."""
FORMAT = 1
"""Changes with what is made of equal inputs."""
SILENT_SECONDS = 2.0
WHEELS_ONLY = "--only-binary :all:"


def lock_program(job: Job, say: Say) -> LockedProgram | None:
    """Return the locked packages of a job's program; None if nothing is installed for it. Raise Rejected.

    :param say: shows a line of progress.
    """
    question = _find_question(job)
    if question is None:
        return _find_shipped(job)
    given, choice = question
    notes = tuple(_find_notes(job, given, choice))
    raise_if_any(given.problems)
    stored = lock_store.read_stored(_make_key(job, given, choice))
    if stored is None:
        with report_progress(say, given.origin):
            stored = _make_lock(given, Target(choice.version), allow_builds=bool(job["allow_builds"]))
        lock_store.store_lock(_make_key(job, given, choice), stored)
    return _with_notes(stored, notes)


def find_locked(job: Job) -> LockedProgram | None:
    """Return what was locked for equal inputs before; None if there is nothing. Raise Rejected."""
    question = _find_question(job)
    return lock_store.read_stored(_make_key(job, *question)) if question else _find_shipped(job)


def _find_shipped(job: Job) -> LockedProgram | None:
    """Return the lock of the workload whose environment the program runs in, as it is, so that they share it."""
    name = job["shipped_environment"]
    if name is None or not job["install"]:
        return None
    from robotrain.plugins.manager import get_plugins
    from robotrain_runtime.contract.container_plugin import WorkloadContainerPlugin
    from robotrain_runtime.contract.plugin_loader import load_container_plugin

    plugin = load_container_plugin(get_plugins().workload(str(name)).container_plugin, WorkloadContainerPlugin)
    lock = plugin.ENVIRONMENT.lock.read_text(encoding="utf-8")
    count = sum(line[:1].isalnum() for line in lock.splitlines())
    summary = f"{count} packages, Python {plugin.ENVIRONMENT.python}"
    return LockedProgram(lock=lock, python=plugin.ENVIRONMENT.python, origin=str(name), summary=summary)


def _find_question(job: Job) -> tuple[LockInput, PythonChoice] | None:
    """Return what is to be locked, and for which Python; None for nothing. Raise Rejected."""
    values = dict(job.parameters)
    if not values["install"] or values["shipped_environment"]:
        return None
    folder = _find_code_folder(job)
    if values["requirements"]:
        given = lock_inputs.read_requirements_file(Path(str(values["requirements"])).expanduser())
    elif folder is None or (found := lock_inputs.read_project(folder)) is None:
        return None
    else:
        given = found
    version = lock_inputs.read_version_file(folder) if folder else ""
    return given, lock_target.choose_python(values["python_version"], version, given.requires_python, given.origin)


def _find_code_folder(job: Job) -> Path | None:
    paths = (Path(source.uri) for source in job.sources if source.role == "code")
    return next((path for path in paths if path.is_absolute() and path.is_dir()), None)


def _find_notes(job: Job, given: LockInput, choice: PythonChoice) -> Iterator[Problem]:
    if choice.origin == "default" and not given.uv_lock:
        yield make_problem("python-assumed", version=choice.version, python_flag=lock_target.PYTHON_FLAG)
    folder = _find_code_folder(job)
    paths = lock_inputs.list_import_folders(given, folder) if folder else []
    if paths and paths != ["."] and "PYTHONPATH" not in str(dict(job.parameters).get("environ")):
        yield make_problem("project-not-installed", paths=os.pathsep.join(paths))


@contextmanager
def report_progress(say: Say, origin: str) -> Iterator[None]:
    """Say what takes long, if it does."""
    timer = threading.Timer(SILENT_SECONDS, say, (f"locking the packages of {origin}: asking the package index",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _make_lock(given: LockInput, target: Target, *, allow_builds: bool) -> LockedProgram:
    """Return the locked packages. Raise Rejected with everything that cannot be locked."""
    if allow_builds and given.requirements and all(one.is_locked for one in given.requirements):
        entries = [_format_locked(one) for one in given.requirements if _applies(one, target)]
        return _make_program(given, target, entries, 0, allow_builds=True)
    packages, problems = uv_resolution.resolve_packages(given, target)
    entries, size = [], 0
    for package in sorted(packages, key=lambda one: one.name):
        if package.place == "directory" and package.name in given.local_folders:
            continue  # it is part of the code
        found = choose_files(package, given, target, allow_builds)
        if isinstance(found, Problem):
            problems.append(found)
            continue
        entry = format_entry(package, found, is_by_address(package, given))
        if isinstance(entry, Problem):
            problems.append(entry)
            continue
        entries.append(entry)
        size += max(int(one.get("size", 0)) for one in found)
    if problems:
        raise Rejected(problems)
    return _make_program(given, target, entries, size, allow_builds=allow_builds)


def _make_program(
    given: LockInput, target: Target, entries: Sequence[str], size: int, *, allow_builds: bool
) -> LockedProgram:
    packages = f"{len(entries)} package{'s' * (len(entries) != 1)}"
    head = [f"# {packages} of {given.origin} for {target.description}: {size} bytes"]
    lock = "\n".join([*head, *([] if allow_builds else [WHEELS_ONLY]), *entries]) + "\n"
    summary = f"{packages}, Python {target.python}"
    return LockedProgram(lock=lock, python=target.python, origin=given.origin, summary=summary)


def _applies(given: lock_inputs.GivenRequirement, target: Target) -> bool:
    marker = given.requirement.marker
    return marker is None or marker.evaluate(dict(target.markers))


def _format_locked(given: lock_inputs.GivenRequirement) -> str:
    pin = f"{given.requirement.name}{given.requirement.specifier}"
    return " \\\n    ".join([pin, *(f"--hash={one}" for one in given.hashes)])


def is_by_address(package: ResolvedPackage, given: LockInput) -> bool:
    """Return whether a package is installed from an address: the job asks its own index for all others by name."""
    has_own_index = package.index.rstrip("/") in given.own_indexes or "+" in package.version
    return bool(package.archive) or has_own_index


def choose_files(
    package: ResolvedPackage, given: LockInput, target: Target, allow_builds: bool
) -> list[Mapping[str, Any]] | Problem:
    """Return the files of a package that fit the target, or why there is none."""
    if package.place:
        kind = {"directory": "a folder", "vcs": "a repository"}.get(package.place, "a file of this machine")
        way = Suggestion("--code FOLDER", "its code beside the program; then leave it out of the dependencies")
        return make_problem(
            "not-lockable.other-source",
            way,
            lock_inputs.IMAGE_WAY,
            where=given.origin,
            given=package.name,
            name=package.name,
            kind=kind,
        )
    if names := target.choose_wheels(package.wheels):
        return [package.wheels[name] for name in names]
    if allow_builds and package.sdist:
        return [package.sdist]
    return uv_resolution.make_wheel_problem(package.name, given, target)


def format_entry(package: ResolvedPackage, found: Sequence[Mapping[str, Any]], is_by_address: bool) -> str | Problem:
    """Return the lines of a package: by name, or by the address of its file if its index is not that of the others."""
    hashes = [str(one.get("hashes", {}).get("sha256", "")) for one in found]
    pin = f"{package.name}=={package.version}"
    if is_by_address and (url := str(found[0].get("url", ""))):
        parts = urlsplit(url)
        if parts.scheme != "https" or "@" in parts.netloc or parts.query:
            return make_problem("not-lockable.job-address", given=url, name=package.name)
        pin, hashes = f"{package.name} @ {url.partition('#')[0]}", hashes[:1]
    if not all(hashes):
        return make_problem("not-lockable.has-no-hash", given=package.name, name=package.name, version=package.version)
    lines = [" \\\n    ".join([pin, *(f"--hash=sha256:{one}" for one in hashes)])]
    return "\n".join([*lines, *(f"    # via {name}" for name in package.dependents)])


def _make_key(job: Job, given: LockInput, choice: PythonChoice) -> str:
    """Return what identifies a lock: its inputs, its target, and the index that the user's own settings name."""
    lists = [[[str(one.requirement), *one.hashes] for one in part] for part in (given.requirements, given.constraints)]
    project = [sorted(given.own_indexes), sorted(given.local_folders)]
    wanted = [given.origin, *lists, *project, choice.version, bool(job["allow_builds"])]
    return lock_store.make_key(given.uv_lock, [FORMAT, *wanted])


def _with_notes(locked: LockedProgram, notes: tuple[Problem, ...]) -> LockedProgram:
    return LockedProgram(**{**asdict(locked), "notes": notes})
