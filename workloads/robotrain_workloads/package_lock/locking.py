"""The lock of what is given: by hash, for one machine, stored on this machine by everything that it is made from.

The same files give the same packages, without asking anybody, until they change.
"""

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import tomllib
from packaging.markers import Marker
from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model.locked_program import LockedProgram
from robotrain.redaction import redact
from robotrain.store import files
from robotrain_runtime.contract.added_packages import FILES_PLACE, WHEELS_ONLY, decode_file, list_packages
from robotrain_runtime.contract.child_python import NEUTRAL_FOLDER
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.redaction import truncate
from robotrain_runtime.environments import uv_program
from robotrain_runtime.process.stop import StopSignal

from robotrain_workloads.package_lock.lock_inputs import LOCK_FILE, PROJECT_FILE, LockInput
from robotrain_workloads.package_lock.lock_target import UV_PLATFORM, Target

UV_SECONDS = 600
MAX_REASON = 900
"""Characters of uv's explanation that a problem repeats."""
SOURCES = "requirements"
SETTINGS = {"NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
OWN_WORKSPACE = "[tool.uv.workspace]\nmembers = []\n"
"""Else uv looks for a workspace in the folders above, which others may write, and takes its lock.

Without a project in it, uv takes all members of the lock.
"""
make_problem = Messages(__file__)

FORMAT = 2
"""Changes with what is made of equal inputs."""
FOLDER, MAX_KEPT = "program-locks", 200
SILENT_SECONDS = 2.0
JOINED = " \\\n    "
ELSEWHERE = {"directory": "a folder", "vcs": "a repository", "path": "a file of this machine"}
"""What a package is that comes from no index, by the field of its entry or archive in a pylock.toml."""


def lock_packages(inputs: LockInput, say: Callable[[str], None]) -> LockedProgram:
    """Return the locked packages. Raise Rejected with everything that cannot be locked.

    :param say: shows a line of progress if it takes long.
    """
    raise_if_any(inputs.problems)
    progress_line = f"locking the packages of {inputs.origin}: asking the package index"
    timer = threading.Timer(SILENT_SECONDS, say, (progress_line,))
    timer.daemon = True
    timer.start()
    try:
        return _load(files.load_or_compute(_make_key(inputs), lambda: _make_lock(inputs), FOLDER, MAX_KEPT))
    finally:
        timer.cancel()


def find_locked(inputs: LockInput) -> LockedProgram | None:
    """Return what was locked for equal inputs before; None if there is nothing."""
    stored_lock = None if inputs.problems else files.load_computed(_make_key(inputs), FOLDER)
    return _load(stored_lock) if stored_lock else None


def _load(content: bytes) -> LockedProgram:
    lock_fields = json.loads(content)
    return LockedProgram(
        **{**lock_fields, "files": tuple((name, file_text) for name, file_text in lock_fields["files"])}
    )


def _make_key(inputs: LockInput) -> str:
    """Return what identifies a lock: its inputs, and the index that the user's own settings name."""
    settings = {name: value for name, value in uv_program.make_uv_environ().items() if name.startswith("UV_")}
    folders = (Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "uv"), Path("/etc/uv"))
    facts = {**dataclasses.asdict(inputs), "problems": [FORMAT, settings]}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for path in (Path(settings.get("UV_CONFIG_FILE", "")), *(folder / "uv.toml" for folder in folders)):
        with suppress(OSError):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _make_lock(inputs: LockInput) -> bytes:
    target = Target(inputs.python)
    lock_entries, problems, size = [], list[Problem](), 0
    for package, dependents in resolve_packages(inputs, target):
        if package["name"] in {*inputs.present, *inputs.files}:
            continue
        locked_package = _lock_package(package, inputs, target)
        if isinstance(locked_package, Problem):
            problems.append(locked_package)
            continue
        lock_entries.append("\n".join([JOINED.join(locked_package[0]), *(f"    # via {name}" for name in dependents)]))
        size += locked_package[1]
    raise_if_any(problems)
    for name, (file, file_text) in inputs.files.items():
        file_bytes = decode_file(file_text)
        words = f"{name} @ {FILES_PLACE}/{file}", f"--hash=sha256:{hashlib.sha256(file_bytes).hexdigest()}"
        lock_entries.append(JOINED.join(words))
        size += len(file_bytes)
    count = f"{len(lock_entries)} package{'s' * (len(lock_entries) != 1)}"
    head_lines = [f"# {count} of {inputs.origin} for {target.description}: {size} bytes"]
    lock = "\n".join([*head_lines, *([] if inputs.allow_builds else [WHEELS_ONLY]), *lock_entries]) + "\n"
    summary = f"{_name_some(inputs.named, list_packages(lock)) if inputs.owner else count}, Python {inputs.python}"
    carried_files = tuple(inputs.files.values())
    locked = LockedProgram(lock=lock, python=inputs.python, origin=inputs.origin, summary=summary, files=carried_files)
    return json.dumps(dataclasses.asdict(locked)).encode()


def _name_some(package_names: Sequence[str], locked: Mapping[str, str]) -> str:
    name_versions = [f"{name} {version}".strip() for name, version in locked.items() if name in package_names]
    more_text = f" and {len(locked) - len(name_versions)} more" if len(locked) > len(name_versions) else ""
    return f"{', '.join(name_versions) or 'nothing that the environment lacks'}{more_text}"


def _lock_package(package: Mapping[str, Any], inputs: LockInput, target: Target) -> tuple[list[str], int] | Problem:
    """Return the words of a package in the lock, and the size of its file; or why it cannot be installed by hash."""
    name = package["name"]
    version = package.get("version", "")
    archive = package.get("archive", {})
    input_origin = inputs.origin
    if origin := next((kind for field, kind in ELSEWHERE.items() if field in package or field in archive), ""):
        return make_problem("not-lockable.other-source", where=input_origin, given=name, name=name, place=origin)
    files = {_get_file_name(file): file for file in ((archive,) if archive else package.get("wheels", ()))}
    source = package.get("sdist") or (None if any(file_name.endswith(".whl") for file_name in files) else archive)
    chosen_files = [files[wheel] for wheel in target.choose_wheels(files)] or (
        [source] if source and inputs.allow_builds else []
    )
    if not chosen_files:
        machine = target.description
        return make_problem("not-lockable.no-wheel", where=input_origin, given=name, name=name, machine=machine)
    hashes = [file.get("hashes", {}).get("sha256") for file in chosen_files]
    pin = f"{name}=={version}"
    is_elsewhere = archive or "+" in version or package.get("index", "").rstrip("/") in inputs.own_indexes
    if is_elsewhere and (url := chosen_files[0].get("url")):  # the job asks its own index for all others by name
        url_parts = urlsplit(url)
        if url_parts.scheme != "https" or "@" in url_parts.netloc or url_parts.query:
            return make_problem("not-lockable.job-address", where=input_origin, given=url, name=name)
        hashes, pin = hashes[:1], f"{name} @ {url.partition('#')[0]}"
    if not all(hashes):
        return make_problem("not-lockable.has-no-hash", where=input_origin, given=name, name=name, version=version)
    return [pin, *(f"--hash=sha256:{digest}" for digest in hashes)], max(
        int(file.get("size", 0)) for file in chosen_files
    )


def _get_file_name(file_fields: Mapping[str, Any]) -> str:
    address = next((str(file_fields[field]) for field in ("name", "url", "path") if field in file_fields), "")
    return unquote(urlsplit(address).path.rpartition("/")[2])


def resolve_packages(inputs: LockInput, target: Target) -> Iterator[tuple[Mapping[str, Any], Sequence[str]]]:
    """Yield the packages of a job as a pylock.toml has them, each with those that need it. Raise Rejected."""
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        resolve = _compile_requirements if inputs.uv_lock is None else _export_lock
        pylock, requirements = resolve(inputs, target, Path(folder))
    dependents = _parse_dependents(requirements)
    for locked_entry in sorted(tomllib.loads(pylock).get("packages", ()), key=lambda package: str(package["name"])):
        if "marker" not in locked_entry or Marker(locked_entry["marker"]).evaluate(dict(target.markers)):
            yield locked_entry, dependents.get(locked_entry["name"], ())


def _export_lock(inputs: LockInput, _target: Target, folder: Path) -> tuple[str, str]:
    """Return the packages of a uv.lock, which uv reads beside a project of the same name, and nothing else."""
    (folder / LOCK_FILE).write_text(inputs.uv_lock or "", encoding="utf-8")
    project_text = f'[project]\nname = {json.dumps(inputs.project)}\nversion = "0"\n' if inputs.project else ""
    (folder / PROJECT_FILE).write_text(project_text + OWN_WORKSPACE, encoding="utf-8")
    options = ("--no-config", "--frozen", "--offline", "--no-dev", "--no-emit-workspace", "--no-header", "-q")
    command = ("export", "--project", str(folder), *options, "--format")
    forms = ("pylock.toml",), ("requirements.txt", "--no-hashes")
    return _run_uv(inputs, folder, *command, *forms[0]), _run_uv(inputs, folder, *command, *forms[1])


def _compile_requirements(inputs: LockInput, target: Target, folder: Path) -> tuple[str, str]:
    """Return the packages that fit requirements; uv tells in one form what needs them, and in the other their files."""
    paths = sources, constraints, locked = [str(folder / name) for name in (SOURCES, "constraints", "locked")]
    machine = ("--python", sys.executable, "--python-version", target.python, "--python-platform", UV_PLATFORM)
    options = (*machine, "--no-build", "--no-sources", "--no-header", "-q")
    for name, requirement_lines in zip(paths, (inputs.requirements, inputs.constraints), strict=False):
        Path(name).write_text("".join(f"{requirement}\n" for requirement in requirement_lines), encoding="utf-8")
    requirements = _run_uv(inputs, folder, "pip", "compile", sources, "--constraints", constraints, *options)
    Path(locked).write_text(requirements, encoding="utf-8")
    return _run_uv(
        inputs, folder, "pip", "compile", locked, "--no-deps", "--format", "pylock.toml", *options
    ), requirements


def _parse_dependents(requirements: str) -> dict[str, list[str]]:
    """Return the packages that need each package, by the comments of uv's requirements."""
    dependents: dict[str, list[str]] = {}
    name = ""
    for line in requirements.splitlines():
        if match := re.match(r"([A-Za-z0-9][\w.-]*)(?:\[.*?\])?\s*(?:==|@)", line):
            name = match[1]
        elif (match := re.match(r"\s+#\s+(?:via\s+)?([A-Za-z0-9][\w.-]*)$", line)) and match[1] != "via":
            dependents.setdefault(name, []).append(match[1])
    return dependents


def _run_uv(inputs: LockInput, folder: Path, *words: str) -> str:
    code, output, errors = run_uv(words)
    if code:
        raise Rejected([_make_failure(inputs, errors.replace(str(folder / SOURCES), inputs.origin))])
    return output


def _make_failure(inputs: LockInput, errors: str) -> Problem:
    """Return the problem that uv explains."""
    if re.search(r"unexpected argument|invalid value '(?:pylock|x86_64)", errors):
        return make_problem("lock-failed.uv-too-old", where=inputs.origin)
    error_text = re.sub(r"\n\s*cause:", ".", re.sub(r"^\s*error:|\n\s*\^+\s*$", "", errors))
    error_parts = re.split(
        r"(?<=\w) @ (?=file:)", " ".join(error_text.split()).removesuffix(".")
    )  # the `@` ends no password
    reason = truncate(" @ ".join(redact(part, max_length=MAX_REASON) for part in error_parts), MAX_REASON)
    is_transient = uv_program.classify_uv_error(errors) == "network"
    network = (Suggestion("robotrain doctor --online", "checks what this machine can reach"),) if is_transient else ()
    message = "lock-failed.added" if inputs.owner else "lock-failed.program"
    problem = make_problem(message, *network, where=inputs.origin, owner=inputs.owner, why=reason)
    return replace(problem, transient=is_transient)


def run_uv(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Run uv outside of any project; return its exit code, output and errors. Raise Rejected if there is no uv."""
    cache = files.get_cache_folder()
    try:
        uv = uv_program.find_uv(cache) or uv_program.fetch_uv(cache, StopSignal())
        environ = {**uv_program.make_uv_environ(), **SETTINGS}
        completed_process = subprocess.run(
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
        raise Rejected([make_problem("lock-failed.no-uv", why=redact(f"{error}."))]) from error
    return completed_process.returncode, completed_process.stdout, completed_process.stderr
