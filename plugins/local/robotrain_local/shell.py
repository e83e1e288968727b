"""A shell in the folder of a run, with the Python and the variables that its program has."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from robotrain.model.reference import ADOPTED_KEY, Reference
from robotrain.model.terminal import TerminalCommand
from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.document import DOCUMENT_FILE, JobDocument, parse_document
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.environments import environment, program_environment, run_environment
from robotrain_runtime.environments.work_secrets import WorkSecrets

from robotrain_local import spec
from robotrain_local.observe import find_run_folder

UNKNOWN = "what the run was sent with cannot be read: this shell has your own variables and Python"
ADOPTED = "another machine submitted the run: this shell has your own variables and Python"
UNTRUSTED = "{why}: this shell has your own variables and Python"
NOT_BUILT = "the Python environment of the run is not built: `python` is your own"
DEFAULT_SHELL = "/bin/sh"


def make_shell(reference: Reference, words: Sequence[str], other_writer: str) -> TerminalCommand:
    """Return the command that runs words, or a shell, as the program of a run is started. Raise RunGone.

    :param other_writer: how somebody else may have written the run folder; empty if nobody may.
    """
    folder = find_run_folder(reference)
    words = words or [os.environ.get("SHELL") or DEFAULT_SHELL]
    if ADOPTED_KEY in reference:
        return TerminalCommand(words, str(folder), note=ADOPTED)
    if other_writer:  # what lies there could start any program
        return TerminalCommand(words, str(folder), note=UNTRUSTED.format(why=other_writer))
    try:
        process = spec.read_spec(folder)
        document = parse_document((folder / DOCUMENT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return TerminalCommand(words, str(folder), note=UNKNOWN)
    for name in process.without:  # as for its supervisor
        os.environ.pop(name, None)
    (secrets := WorkSecrets(document)).read_here()
    environ = {**run_environment.make_program_environ(document, secrets.values), **process.environment}
    python = _find_python(document)
    if python:
        environ["PATH"] = os.pathsep.join((str(python.parent), environ.get("PATH", os.defpath)))
    return TerminalCommand(words, str(folder), environ, note="" if python else NOT_BUILT)


def _find_python(document: JobDocument) -> Path | None:
    """Return the interpreter of the program of a run; None if its environment is not built."""
    with suppress(JobFailed), program_environment.temporary_lock(document) as own_environment:
        if python := plugin_loader.get_program_python(document):
            return python
        python_environment = own_environment or plugin_loader.get_job_environment(document)
        placement = document.placement
        environment_folder = placement.environment or environment.find_environment(
            python_environment.lock, python_environment.python, Path(placement.cache), placement.torch_backend
        )
        return environment.get_python(Path(environment_folder)) if environment_folder else None
    return None
