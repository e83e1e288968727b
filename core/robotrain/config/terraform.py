"""Terraform outputs as a layer of settings, read once and only if a value is missing."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.contract.parameter import Parameter

from robotrain.config.selection import Surroundings
from robotrain.config.values import Origin, Value, make_variable_name
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain.store.files import list_project_folders

make_problem = Messages(__file__)

TIME_LIMIT_SECONDS = 20.0
QUIET_ENVIRONMENT = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
"""No prompts and no check for a newer Terraform."""


class TerraformUnreadable(Exception):
    """The outputs could not be read; the message is a sentence without their values."""

    def __init__(self, reason: str, has_command: bool = True) -> None:
        super().__init__(reason)
        self.has_command = has_command


class TerraformOutputs(NamedTuple):
    """The outputs of a Terraform state."""

    values: dict[str, Any]
    """By name, with numbers as text."""
    hidden: frozenset[str]
    """The names of the sensitive outputs, whose values are dropped."""


def read_outputs(folder: Path) -> TerraformOutputs:
    """Return the outputs of the state in `folder`. Raise TerraformUnreadable."""
    from robotrain.external_command import CommandStartError, run_command

    command = shutil.which("terraform")
    if command is None:
        raise TerraformUnreadable("The command `terraform` is not installed.", has_command=False)
    options: dict[str, Any] = {"cwd": folder, "env": os.environ | QUIET_ENVIRONMENT}
    try:
        command_result = run_command(os.path.abspath(command), "output", "-json", seconds=TIME_LIMIT_SECONDS, **options)
    except CommandStartError as error:
        raise TerraformUnreadable(f"`terraform` could not be started. {error}") from None
    if command_result.timed_out:
        raise TerraformUnreadable(f"It did not answer within {TIME_LIMIT_SECONDS:g} s and was stopped.")
    if command_result.exit_code:
        plain_text = re.sub(r"\x1b\[[0-9;]*m|[│╷╵]", "", command_result.stderr)  # without the colors and the frame
        error_line = next((error_line.strip() for error_line in plain_text.splitlines() if error_line.strip()), "")
        reason = f": {redact(error_line).rstrip('.')}" if error_line else ""
        raise TerraformUnreadable(f"It ended with exit code {command_result.exit_code}{reason}.")
    try:
        body = json.loads(command_result.stdout, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise TerraformUnreadable("Its output is not valid JSON.")
    output_entries = {name: entry for name, entry in body.items() if isinstance(entry, dict)}
    hidden_names = frozenset(
        name for name, entry in output_entries.items() if entry.get("sensitive", False) is not False
    )
    return TerraformOutputs(
        {name: entry for name, entry in output_entries.items() if name not in hidden_names}, hidden_names
    )


TERRAFORM_VARIABLE = make_variable_name("terraform")
DISABLED = "none"
"""Given instead of a folder to disable Terraform."""
DEFAULT_FOLDERS = ("infrastructure/terraform", "deploy/001-iac")


def find_terraform_folder(surroundings: Surroundings, folder: Path) -> Path | None:
    """Return the folder of the Terraform state; None if there is none. Raise Rejected for a named one without state."""
    if folder_value := surroundings.find_variable(TERRAFORM_VARIABLE):
        return _resolve_named_folder(folder_value, folder)
    project = surroundings.project
    if project and project.terraform:
        return _resolve_named_folder(project.terraform, project.folder)
    top = next(
        (project_folder for project_folder in list_project_folders(folder) if (project_folder / ".git").exists()),
        folder,
    )
    candidate_folders = (base / name for base in dict.fromkeys((folder, top)) for name in DEFAULT_FOLDERS)
    return next(filter(_has_state, candidate_folders), None)


def format_folder(folder: Path) -> str:
    """Return a folder as messages show it."""
    return redact(os.path.relpath(folder))


def _resolve_named_folder(value: Value, base: Path) -> Path | None:
    folder_text = str(value.value)
    if folder_text == DISABLED:
        return None
    folder = Path(os.path.normpath(base / os.path.expanduser(folder_text)))
    if _has_state(folder):
        return folder
    value_place = value.origin.where
    if not folder.is_dir():
        raise Rejected(
            [make_problem("terraform-folder.missing", where=value_place, given=folder_text, path=redact(str(folder)))]
        )
    shown_folder = format_folder(folder)
    raise Rejected(
        [make_problem("terraform-folder.no-state", where=value_place, given=folder_text, folder=shown_folder)]
    )


def _has_state(folder: Path) -> bool:
    return (folder / "terraform.tfstate").is_file() or (folder / ".terraform").is_dir()


TERRAFORM_LAYER = "terraform"
_failed_reads: dict[Path, TerraformUnreadable] = {}
"""Failures of this process, which are not tried again: a timeout or a missing sign-in would repeat."""


class _TerraformState(NamedTuple):
    """The outputs of a folder, or why they could not be read."""

    place: str = ""
    """The folder, as messages show it."""
    outputs: TerraformOutputs = TerraformOutputs({}, frozenset())
    error: TerraformUnreadable | None = None
    problems: tuple[Problem, ...] = ()


class TerraformLayer:
    """The outputs for one request, read when a parameter first needs one."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings, self._folder = surroundings, Path.cwd()
        self._required: dict[str, Parameter] = {}  # by flag: the steps of a pipeline have this layer in common
        self._optional: dict[str, Parameter] = {}

    def find_value(self, parameter: Parameter, optional: bool) -> Value | None:
        """Return the output that a parameter names; None if it names none, or no text, number or boolean.

        :param optional: only if another parameter already needed the outputs.
        """
        output = parameter.param.terraform
        if output is None or (optional and not self._required):
            return None
        (self._optional if optional else self._required)[parameter.flag] = parameter
        output_value: Any = self._state.outputs.values
        for part in output.path.split("."):
            output_value = output_value.get(part) if isinstance(output_value, dict) else None
        output_text = {True: "true", False: "false"}[output_value] if isinstance(output_value, bool) else output_value
        is_text = isinstance(output_text, str) and output_text
        return Value(output_text, Origin(TERRAFORM_LAYER, f"{self._state.place} {output.path}")) if is_text else None

    def problems(self) -> Iterator[Problem]:
        """Yield why outputs were not read, for all parameters that need one."""
        if not self._required:
            return
        state = self._state
        yield from state.problems
        if state.error:
            yield _make_unreadable_problem(state.place, state.error, list(self._required.values()))
        for parameter in (self._required | self._optional).values():
            path = parameter.param.terraform.path if parameter.param.terraform else ""
            name = path.partition(".")[0]
            if name in state.outputs.hidden:
                output_place = f"{state.place} {path}"
                way = Suggestion(_format_flag(parameter))
                yield make_problem(
                    "terraform-sensitive", way, where=output_place, name=redact(name), flag=parameter.flag
                )

    @functools.cached_property
    def _state(self) -> _TerraformState:
        try:
            folder = find_terraform_folder(self._surroundings, self._folder)
        except Rejected as rejected:
            return _TerraformState(problems=rejected.problems)
        if folder is None:
            return _TerraformState()
        shown_folder = format_folder(folder)
        path = folder.absolute()
        if path in _failed_reads:
            return _TerraformState(shown_folder, error=_failed_reads[path])
        try:
            return _TerraformState(shown_folder, read_outputs(folder))
        except TerraformUnreadable as error:
            _failed_reads[path] = error
            return _TerraformState(shown_folder, error=error)


def _make_unreadable_problem(folder: str, error: TerraformUnreadable, parameters: Sequence[Parameter]) -> Problem:
    flags = ", ".join(parameter.flag for parameter in parameters)
    by_hand = Suggestion(f"terraform -chdir={shlex.quote(folder)} output", "shows the error")
    ways = (
        *([by_hand] if error.has_command else []),
        Suggestion(" ".join(map(_format_flag, parameters)), "without Terraform"),
        Suggestion(f"{TERRAFORM_VARIABLE}={DISABLED}", "disables Terraform"),
    )
    return make_problem("terraform-unread", *ways, where=folder, error=error, flags=flags)


def _format_flag(parameter: Parameter) -> str:
    return parameter.flag if parameter.is_switch else f"{parameter.flag} {parameter.metavar}"
