"""Terraform outputs as a layer of settings, read once and only if a value is missing."""

from __future__ import annotations

import functools
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
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


def read_outputs(folder: Path) -> dict[str, Any]:
    """Return the outputs of the state in `folder` that are not sensitive, by name, with numbers as text.

    Raise TerraformUnreadable.
    """
    from robotrain.external_command import CommandStartError, run_command

    command = shutil.which("terraform")
    if command is None:
        raise TerraformUnreadable("The command `terraform` is not installed.")
    options: dict[str, Any] = {"cwd": folder, "env": os.environ | QUIET_ENVIRONMENT}
    try:
        result = run_command(os.path.abspath(command), "output", "-json", seconds=TIME_LIMIT_SECONDS, **options)
    except CommandStartError as error:
        raise TerraformUnreadable(f"`terraform` could not be started. {error}") from None
    if result.timed_out:
        raise TerraformUnreadable(f"It did not answer within {TIME_LIMIT_SECONDS:g} s and was stopped.")
    try:
        body = None if result.exit_code else json.loads(result.stdout, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise TerraformUnreadable(f"It gave no JSON, and ended with exit code {result.exit_code}.")
    outputs = {name: output for name, output in body.items() if isinstance(output, dict)}
    return {name: output for name, output in outputs.items() if output.get("sensitive", False) is False}


TERRAFORM_VARIABLE = make_variable_name("terraform")
DISABLED = "none"
"""Given instead of a folder to disable Terraform."""
DEFAULT_FOLDERS = ("infrastructure/terraform", "deploy/001-iac")


def find_terraform_folder(surroundings: Surroundings, folder: Path) -> Path | None:
    """Return the folder of the Terraform state; None if there is none. Raise Rejected for a named one without state."""
    if folder_value := surroundings.find_variable(TERRAFORM_VARIABLE):
        return _resolve_named_folder(folder_value, folder)
    project = surroundings.project
    if project and (folder_value := project.find("terraform")):
        return _resolve_named_folder(folder_value, project.folder)
    parents = list_project_folders(folder)
    top = next((parent for parent in parents if (parent / ".git").exists()), folder)
    candidate_folders = (base / name for base in dict.fromkeys((folder, top)) for name in DEFAULT_FOLDERS)
    return next(filter(_has_state, candidate_folders), None)


def format_folder(folder: Path) -> str:
    """Return a folder as messages show it."""
    return redact(os.path.relpath(folder))


def _resolve_named_folder(value: Value, base: Path) -> Path | None:
    if value.value == DISABLED:
        return None
    folder = Path(os.path.normpath(base / os.path.expanduser(str(value.value))))
    if _has_state(folder):
        return folder
    exists = folder.is_dir()
    problem = make_problem(
        "terraform-folder",
        where=value.origin.where,
        given=str(value.value),
        lacks="contains no state" if exists else "does not exist",
        folder=format_folder(folder) if exists else None,
    )
    raise Rejected([problem])


def _has_state(folder: Path) -> bool:
    return (folder / "terraform.tfstate").is_file() or (folder / ".terraform").is_dir()


TERRAFORM_LAYER = "terraform"


class _TerraformState(NamedTuple):
    """The outputs of a folder, or why they could not be read."""

    place: str = ""
    """The folder, as messages show it."""
    outputs: Mapping[str, Any] = {}
    error: TerraformUnreadable | Rejected | None = None


class TerraformLayer:
    """The outputs for one request, read when a parameter first needs one."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings, self._folder = surroundings, Path.cwd()
        self._required: dict[str, Parameter] = {}  # by flag: the steps of a pipeline have this layer in common

    def find_value(self, parameter: Parameter, optional: bool) -> Value | None:
        """Return the output that a parameter names; None if it names none, or no text, number or boolean.

        :param optional: only if another parameter already needed the outputs.
        """
        output = parameter.param.terraform
        if output is None or (optional and not self._required):
            return None
        if not optional:
            self._required[parameter.flag] = parameter
        output_value: Any = self._state.outputs
        for part in output.path.split("."):
            output_value = output_value.get(part) if isinstance(output_value, dict) else None
        text = str(output_value).lower() if isinstance(output_value, bool) else output_value
        is_text = isinstance(text, str) and text
        return Value(text, Origin(TERRAFORM_LAYER, f"{self._state.place} {output.path}")) if is_text else None

    def problems(self) -> Iterator[Problem]:
        """Yield why outputs were not read, for all parameters that need one."""
        place, _, error = self._state if self._required else _TerraformState()
        if isinstance(error, Rejected):
            yield from error.problems
        elif error:
            options = " ".join(
                parameter.flag if parameter.is_switch else f"{parameter.flag} {parameter.metavar}"
                for parameter in self._required.values()
            )
            ways = [
                Suggestion(f"terraform -chdir={shlex.quote(place)} output", "shows the error"),
                Suggestion(options, "without Terraform"),
                Suggestion(f"{TERRAFORM_VARIABLE}={DISABLED}", "disables Terraform"),
            ]
            yield make_problem("terraform-unread", *ways, where=place, error=error, flags=", ".join(self._required))

    @functools.cached_property
    def _state(self) -> _TerraformState:
        place = ""
        try:
            folder = find_terraform_folder(self._surroundings, self._folder)
            place = format_folder(folder) if folder else ""
            return _TerraformState(place, read_outputs(folder) if folder else {})
        except (Rejected, TerraformUnreadable) as error:
            return _TerraformState(place, error=error)
