"""The lock of a program's packages: what the job installs for it, decided before it is sent."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.locked_program import LockedProgram
from robotrain.plugins.manager import get_plugins
from robotrain_runtime.contract.container_plugin import WorkloadContainerPlugin, read_lock
from robotrain_runtime.contract.files import read_limited_file
from robotrain_runtime.contract.plugin_loader import load_container_plugin

from robotrain_workloads.package_lock import lock_inputs, lock_target, locking
from robotrain_workloads.package_lock.lock_inputs import LockInput

make_problem = Messages(__file__)

PARAMETERS = ("requirements", "install", "python_version", "allow_builds", "shipped_environment")
"""The parameters that decide what is locked, beside the code."""


def lock_program(job: Job, say: Callable[[str], None]) -> LockedProgram | None:
    """Return the locked packages of a job's program; None if nothing is installed for it. Raise Rejected.

    :param say: shows a line of progress.
    """
    if (program_input := _find_input(job)) is None:
        return _find_shipped(job)
    inputs, is_assumed = program_input
    notes = tuple(_find_notes(job, inputs, is_assumed))
    return dataclasses.replace(locking.lock_packages(inputs, say), notes=notes)


def find_locked(job: Job) -> LockedProgram | None:
    """Return what was locked for equal inputs before; None if there is nothing. Raise Rejected."""
    program_input = _find_input(job)
    return locking.find_locked(program_input[0]) if program_input else _find_shipped(job)


def _find_shipped(job: Job) -> LockedProgram | None:
    """Return the lock of the workload whose environment the program runs in, as it is, so that they share it."""
    name = job["shipped_environment"]
    if name is None or not job["install"]:
        return None

    plugin = load_container_plugin(get_plugins().workload(str(name)).container_plugin, WorkloadContainerPlugin)
    lock = read_lock(plugin.ENVIRONMENT.lock)
    count = sum(line[:1].isalnum() for line in lock.splitlines())
    summary = f"{count} packages, Python {plugin.ENVIRONMENT.python}"
    return LockedProgram(lock=lock, python=plugin.ENVIRONMENT.python, origin=str(name), summary=summary)


def _find_input(job: Job) -> tuple[LockInput, bool] | None:
    """Return what is to be locked, and whether its Python is assumed; None for nothing. Raise Rejected."""
    parameters = dict(job.parameters)
    if not parameters["install"] or parameters["shipped_environment"]:
        return None
    folder, inputs, pinned_text = _find_code_folder(job), None, ""
    if parameters["requirements"]:
        inputs = lock_inputs.read_requirements_file(Path(str(parameters["requirements"])).expanduser())
    elif folder:
        inputs = lock_inputs.read_project(folder)
    if inputs is None:
        return None
    with suppress(OSError, ValueError):
        pinned_text = read_limited_file(folder / ".python-version", 1 << 16).decode(errors="replace") if folder else ""
    python = lock_target.choose_python(parameters["python_version"], pinned_text, inputs.requires_python, inputs.origin)
    inputs.python, inputs.allow_builds = python[0], bool(parameters["allow_builds"])
    return inputs, python[1] and inputs.uv_lock is None


def _find_code_folder(job: Job) -> Path | None:
    paths = (Path(source.uri) for source in job.sources if source.role == "code")
    return next((path for path in paths if path.is_absolute() and path.is_dir()), None)


def _find_notes(job: Job, inputs: LockInput, is_assumed: bool) -> Iterator[Problem]:
    if is_assumed:
        yield make_problem("python-assumed", version=inputs.python, python_flag=lock_target.PYTHON_FLAG)
    folder = _find_code_folder(job)
    paths = lock_inputs.list_import_folders(inputs, folder) if folder else []
    if paths and paths != ["."] and "PYTHONPATH" not in str(dict(job.parameters).get("environ")):
        yield make_problem("project-not-installed", paths=os.pathsep.join(paths))
