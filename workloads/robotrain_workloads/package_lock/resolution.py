"""The packages that a job installs as uv resolves them: for one machine, from wheels alone, running nothing of them.

uv starts in a neutral folder, so that no file of a project is its configuration, and may not build a package to learn
what it needs: that would run its code on this machine.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
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
from robotrain_runtime.contract.redaction import truncate
from robotrain_runtime.environments import uv_program
from robotrain_runtime.process.stop import StopSignal

from robotrain_workloads.package_lock.lock_inputs import LOCK_FILE, PROJECT_FILE, LockInput
from robotrain_workloads.package_lock.lock_target import UV_PLATFORM, Target

make_problem = Messages(__file__)

UV_SECONDS = 600
MAX_REASON = 900
"""Characters of uv's explanation that a problem repeats."""
SOURCES = "requirements"
SETTINGS = {"NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
OWN_WORKSPACE = "[tool.uv.workspace]\nmembers = []\n"
"""Else uv looks for a workspace in the folders above, which others may write, and takes its lock.

Without a project in it, uv takes all members of the lock.
"""


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
