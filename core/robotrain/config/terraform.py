"""Terraform outputs as a layer of settings: read once, and only when a value is still missing."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.config.request import Origin, Value, make_variable_name
from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.redaction import redact
from robotrain.store.files import PROJECT_FILE, list_project_folders

if TYPE_CHECKING:
    import subprocess

    from robotrain_runtime.contract.parameter import Parameter

    from robotrain.config.layers import VariableLayer
    from robotrain.config.project_file import Project

TIME_LIMIT_SECONDS = 20.0
QUIET_ENVIRONMENT = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
"""Nothing is asked of a person, and nobody is asked whether there is a newer Terraform."""


class TerraformUnreadable(Exception):
    """Why the outputs could not be read: a sentence that repeats none of them. there: whether there is a command."""

    def __init__(self, why: str, has_command: bool = True) -> None:
        super().__init__(why)
        self.has_command = has_command


class TerraformOutputs(NamedTuple):
    """values: by name, numbers as the texts they were. hidden: the names of sensitive ones, which are dropped."""

    values: dict[str, Any]
    hidden: frozenset[str]


def read_outputs(folder: Path) -> TerraformOutputs:
    """The outputs of the state in `folder`. Raises Unread."""
    import json

    try:
        body = json.loads(_run_terraform(folder), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise TerraformUnreadable("What it printed is not its outputs as JSON.")
    entries = {name: entry for name, entry in body.items() if isinstance(entry, dict)}
    hidden = frozenset(name for name, entry in entries.items() if entry.get("sensitive", False) is not False)
    return TerraformOutputs({name: entry for name, entry in entries.items() if name not in hidden}, hidden)


def _run_terraform(folder: Path) -> bytes:
    """What the command wrote to stdout. Raises Unread."""
    import shutil
    import subprocess

    command = shutil.which("terraform")
    if command is None:
        raise TerraformUnreadable("There is no `terraform` command here.", has_command=False)
    try:
        process = subprocess.Popen(
            [os.path.abspath(command), "output", "-json"],
            cwd=folder,
            env=os.environ | QUIET_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise TerraformUnreadable(f"`terraform` could not be started: {error.strerror}.") from None
    with process:
        try:
            printed, said = process.communicate(timeout=TIME_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            _kill_process(process)
            raise TerraformUnreadable(f"It gave no answer in {TIME_LIMIT_SECONDS:g} s, and was stopped.") from None
        except BaseException:  # Ctrl-C reaches us alone: it runs in a session of its own
            _kill_process(process)
            raise
    if process.returncode:
        raise TerraformUnreadable(f"It ended with exit code {process.returncode}{_read_first_line(said)}.")
    return bytes(printed)


def _kill_process(process: subprocess.Popen[bytes]) -> None:
    """Stop it and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _read_first_line(said: bytes) -> str:
    """The first line that says something, without the frame and the colours that Terraform draws."""
    plain = re.sub(r"\x1b\[[0-9;]*m|[│╷╵]", "", said.decode(errors="replace"))
    line = next((line.strip() for line in plain.splitlines() if line.strip()), "")
    return f": {redact(line).rstrip('.')}" if line else ""


TERRAFORM_VARIABLE = make_variable_name("terraform")
DISABLED = "none"
"""Said in place of a folder: Terraform is not asked."""
DEFAULT_FOLDERS = ("infrastructure/terraform", "deploy/001-iac")


def find_terraform_folder(names: Sequence[VariableLayer], project: Project | None, folder: Path) -> Path | None:
    """The folder to read outputs in, None where there is none. Raises Rejected for a named one without state."""
    said = next((value for layer in names if (value := layer.find_first((TERRAFORM_VARIABLE,)))), None)
    if said:
        return _resolve_named_folder(said, folder)
    if project and project.terraform:
        return _resolve_named_folder(project.terraform, project.folder)
    return next((place for place in _list_default_folders(folder) if _has_state(place)), None)


def format_folder(folder: Path) -> str:
    """A folder as messages name it."""
    return redact(os.path.relpath(folder))


def _list_default_folders(folder: Path) -> Iterator[Path]:
    """Below the working folder, then below the top of its git checkout."""
    top = next((place for place in list_project_folders(folder) if (place / ".git").exists()), folder)
    yield from (base / name for base in dict.fromkeys((folder, top)) for name in DEFAULT_FOLDERS)


def _resolve_named_folder(said: Value, base: Path) -> Path | None:
    text = str(said.value)
    if text == DISABLED:
        return None
    folder = Path(os.path.normpath(base / os.path.expanduser(text)))
    if not _has_state(folder):
        raise Rejected([_make_no_state_problem(said, folder)])
    return folder


def _has_state(folder: Path) -> bool:
    return (folder / "terraform.tfstate").is_file() or (folder / ".terraform").is_dir()


def _make_no_state_problem(said: Value, folder: Path) -> Problem:
    there = folder.is_dir()
    return Problem(
        code="terraform-folder",
        stage=Stage.RESOLVE,
        title=f"the folder for Terraform {'holds no state' if there else 'is not there'}",
        where=said.origin.where,
        given=redact(str(said.value)),
        why="State is a file terraform.tfstate there, or a folder .terraform."
        if there
        else f"Looked for: {redact(str(folder))}",
        suggestions=(
            *(
                [Suggestion(f"terraform -chdir={shlex.quote(format_folder(folder))} init", "finds its state again")]
                if there
                else []
            ),
            Suggestion(
                f"{TERRAFORM_VARIABLE}=FOLDER",
                f'or terraform = "FOLDER" in {PROJECT_FILE}; {DISABLED}: Terraform is not asked',
            ),
        ),
    )


TERRAFORM_LAYER = "terraform"
_failed_reads: dict[Path, TerraformUnreadable] = {}
"""What was not read, of this process: what took its whole time limit, or asks for a sign-in, would do so again."""


class _TerraformState(NamedTuple):
    """What reading came to. place: the folder as it is shown. unread: what kept it from being read."""

    place: str = ""
    outputs: TerraformOutputs = TerraformOutputs({}, frozenset())
    unread: TerraformUnreadable | None = None
    wrong: tuple[Problem, ...] = ()


class TerraformLayer:
    """The outputs that count for one request; nothing is looked for before a setting asks for one."""

    def __init__(self, names: Sequence[VariableLayer], project: Project | None, folder: Path) -> None:
        self._names = names
        self._project = project
        self._folder = folder
        self._asked: list[Parameter] = []
        self._beside: list[Parameter] = []

    def __call__(self, parameter: Parameter) -> Value | None:
        """The value of the output that a parameter names; None for one that is no text, number or switch."""
        if not parameter.param.terraform:
            return None
        self._asked.append(parameter)
        return self._find_value(parameter.param.terraform)

    def find_if_read(self, parameter: Parameter) -> Value | None:
        """The same for one that is no reason to read the outputs: None when nothing else asked for them."""
        if not parameter.param.terraform or not self._asked:
            return None
        self._beside.append(parameter)
        return self._find_value(parameter.param.terraform)

    def problems(self) -> Iterator[Problem]:
        """What kept it from answering, for all the settings that asked."""
        if not self._asked:
            return
        found = self._state
        yield from found.wrong
        if found.unread:
            yield _make_unreadable_problem(found.place, found.unread, self._asked)
        for parameter in (*self._asked, *self._beside):
            name = parameter.param.terraform.partition(".")[0]
            if name in found.outputs.hidden:
                yield _make_sensitive_problem(found.place, name, parameter)

    @functools.cached_property
    def _state(self) -> _TerraformState:
        try:
            folder = find_terraform_folder(self._names, self._project, self._folder)
        except Rejected as rejected:
            return _TerraformState(wrong=rejected.problems)
        if folder is None:
            return _TerraformState()
        try:
            return _TerraformState(format_folder(folder), _read_once(folder))
        except TerraformUnreadable as unread:
            return _TerraformState(format_folder(folder), unread=unread)

    def _find_value(self, path: str) -> Value | None:
        text = _get_text(self._state.outputs.values, path)
        return Value(text, Origin(TERRAFORM_LAYER, f"{self._state.place} {path}")) if text else None


def _read_once(folder: Path) -> TerraformOutputs:
    """The outputs of a folder; where that failed before, the same answer at once. Raises Unread."""
    place = folder.absolute()
    if place in _failed_reads:
        raise _failed_reads[place].with_traceback(None)
    try:
        return read_outputs(folder)
    except TerraformUnreadable as unread:
        _failed_reads[place] = unread
        raise


def _get_text(values: Any, path: str) -> str:
    """The scalar at a path as text; empty where there is none."""
    for part in path.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    if isinstance(values, bool):
        return "true" if values else "false"
    return values if isinstance(values, str) else ""


def _make_unreadable_problem(place: str, unread: TerraformUnreadable, asked: Sequence[Parameter]) -> Problem:
    flags = ", ".join(parameter.flag for parameter in asked)
    by_hand = Suggestion(f"terraform -chdir={shlex.quote(place)} output", "says what is wrong there")
    return Problem(
        code="terraform-unread",
        stage=Stage.RESOLVE,
        severity="warning",
        title="the outputs of Terraform were not read",
        where=place,
        why=f"{unread}\nThey may hold what nobody said: {flags}.",
        suggestions=(
            *([by_hand] if unread.has_command else []),
            Suggestion(" ".join(map(_format_flag, asked)), "needs no Terraform"),
            Suggestion(f"{TERRAFORM_VARIABLE}={DISABLED}", "Terraform is not asked"),
        ),
    )


def _make_sensitive_problem(place: str, name: str, parameter: Parameter) -> Problem:
    return Problem(
        code="terraform-sensitive",
        stage=Stage.RESOLVE,
        severity="warning",
        title=f"the output {redact(name)} of Terraform is sensitive, and is not read",
        where=f"{place} {parameter.param.terraform}",
        why=f"{parameter.flag} would have been read from it; a job is written into plans and records in the clear.",
        suggestions=(Suggestion(_format_flag(parameter)),),
    )


def _format_flag(parameter: Parameter) -> str:
    return parameter.flag if parameter.is_switch else f"{parameter.flag} {parameter.metavar}"
