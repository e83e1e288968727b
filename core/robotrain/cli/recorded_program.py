"""The options of the user's own program that a recorded run ran, for lines that change them after `--`."""

from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.command_options import find_named_option, split_options
from robotrain.config.selection import find_starter
from robotrain.config.trainer_args import read_after_dashes
from robotrain.config.values import Value
from robotrain.errors import Rejected
from robotrain.model.workload import Workload
from robotrain.plugins import manager
from robotrain.plugins.failures import PluginError
from robotrain.redaction import redact
from robotrain.store import code_changes, name_index, plans

COUNTING = ("steps", "iterations", "epochs")
"""What the names of options and parameters have that say how long a program trains."""


class RecordedProgram(NamedTuple):
    """The command of a run, and what its program takes."""

    command: tuple[Value, ...]
    options: tuple[str, ...]
    """Those of its program, as far as they are known."""
    workload: Workload
    params: tuple[str, ...]
    """The names of the job's own parameters."""

    @property
    def name(self) -> str:
        """The program file, or what the command begins with."""
        words = [str(word.value) for word in self.command]
        file = next((word for word in words if self.workload.own_command and find_starter(self.workload, word)), "")
        return redact(file or words[0])

    def find_option(self, name: str, *, exact: bool = False) -> str:
        """Return the option that a name means; empty for none."""
        return find_named_option(name, self.command, self.options, exact=exact)

    def list_counting_options(self) -> list[str]:
        """Return the options that say how long it trains."""
        typed_options = [option.name for option in split_options(self.command[1:])]
        all_options = dict.fromkeys((*typed_options, *self.options))
        return [option for option in all_options if any(word in option for word in COUNTING)]


def find_program(run_text: str) -> RecordedProgram | None:
    """Return the program of the run that a text names; None if it has none of its user's own, or is not known."""
    try:
        stored_plan: Any = plans.find_stored_plan(name_index.find_run(run_text))
        job = stored_plan.plan.job if stored_plan else None
        workload = manager.get_plugins().workload(job.workload) if job else None
    except (Rejected, PluginError):
        return None
    if job is None or workload is None or workload.own_command is None or not job.trainer_args:
        return None
    folder: Path | None = code_changes.find_folder(job.sources)
    options = workload.own_command.list_options(folder, job.trainer_args) if folder and folder.is_dir() else None
    declared_names = {parameter.name for parameter in get_parameters(workload.parameters)}
    params = tuple(name for name, _ in job.parameters if name not in declared_names)
    return RecordedProgram(read_after_dashes(job.trainer_args), tuple(options or ()), workload, params)
