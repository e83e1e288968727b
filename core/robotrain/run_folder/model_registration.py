"""Registration of a run's model as a version in a registry, by the runtime that was sent with the run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from robotrain_runtime.contract import child_python, failure
from robotrain_runtime.contract.address import TRACKING_VARIABLES
from robotrain_runtime.contract.document import DOCUMENT_FILE
from robotrain_runtime.contract.event import Registered
from robotrain_runtime.contract.json_values import parse_fields

from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain.run_folder import log
from robotrain.store import ownership

make_problem = Messages(__file__)

REGISTER_COMMAND = "register"


RunRuntime = Callable[[Path, list[str], Path], subprocess.CompletedProcess[str]]
"""Run the runtime in a folder with arguments, and a payload."""


def _run_runtime(folder: Path, arguments: list[str], payload: Path) -> subprocess.CompletedProcess[str]:
    """Run the runtime that was sent with the run, in `payload`."""
    environ = {name: value for name, value in os.environ.items() if name not in TRACKING_VARIABLES}
    return subprocess.run(
        child_python.make_module_command("robotrain_runtime", *arguments),
        cwd=folder,
        env=environ | {"PYTHONPATH": str(payload)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def register_model(
    folder: Path,
    name: str,
    step: int | None,
    payload: Path,
    run: RunRuntime = _run_runtime,
    find_other_writer: Callable[[Path], str] = ownership.find_other_writer,
) -> Registered:
    """Register the checkpoint of `step`, the last one, or the evaluated policy as a version of the model `name`.

    Raise Rejected if the registration fails, or others may have written what it runs.

    :param payload: the folder of the run's payload.
    :param run: runs the runtime; of a run on another machine, there.
    :param find_other_writer: as that of `ownership`; of a run on another machine, there.
    """
    for path in dict.fromkeys((folder, payload.parent, payload)):
        if reason := find_other_writer(path):
            raise Rejected([_make_open_folder_problem(folder, name, path, reason)])
    arguments = [REGISTER_COMMAND, DOCUMENT_FILE, name, *(() if step is None else ("--step", str(step)))]
    process_result = run(folder, arguments, payload)  # the runtime that fits the run's plugins and lock
    if process_result.returncode:
        _, separator, message = f"\n{process_result.stderr}".rpartition("\nerror: ")
        reason = message.strip() if separator else failure.explain_output(process_result.stderr.splitlines())
        reason = reason or f"It ended with exit code {process_result.returncode}."
        raise Rejected([_make_registration_problem(folder, name, step, reason)])
    try:
        return parse_fields(Registered, process_result.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        reason = "The runtime did not report the version."
        raise Rejected([_make_registration_problem(folder, name, step, reason)]) from None


def _make_open_folder_problem(folder: Path, name: str, path: Path, reason: str) -> Problem:
    copying = Suggestion(f"robotrain outputs {folder.name} --to FOLDER", "copies what the run left")
    ways = [*ownership.suggest_closing(folder, reason), copying]
    return make_problem("not-registered.open-to-others", *ways, given=folder.name, name=name, place=path, why=reason)


def _make_registration_problem(folder: Path, name: str, step: int | None, message: str) -> Problem:
    evaluated = log.read_evaluation(folder)
    default_policy = "the policy that it evaluated" if evaluated else "its last checkpoint"
    policy_text = default_policy if step is None or evaluated else f"the checkpoint of step {step}"
    reason = "\n".join(redact(line, max_length=MAX_SENTENCE) for line in message.splitlines())
    return make_problem("not-registered", given=folder.name, which=policy_text, name=name, why=reason)
