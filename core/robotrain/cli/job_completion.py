"""What TAB completes of a command that takes a job: its options, its words, and keys after `--set`."""

from typing import Any

from typer.core import TyperCommand

from robotrain.cli.help_page import HELP_OPTIONS
from robotrain.cli.options import ComposedOptions
from robotrain.config.selection import Choice, load_or_none, read_given_parameters
from robotrain.plugins.manager import Plugins


class JobCompletion(TyperCommand):
    """The part of a command that completes its line."""

    options: ComposedOptions
    choice: Choice
    is_after_dashes = False
    """Whether the arguments end with those of the program, which TAB completes."""

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the options that begin like this; before the first letter, those that help shows."""
        completions = list(super().shell_complete(ctx, incomplete))
        if incomplete.strip("-"):
            return completions
        common = {option.flags[0].partition("/")[0] for option in self.options.options if option.common}
        return [completion for completion in completions if completion.value in common | HELP_OPTIONS]

    def complete_word(self, incomplete: str, plugins: Plugins) -> list[str]:
        """Return completions of a word: a workload, or after `--` an option of its program."""
        if not self.is_after_dashes:
            return [name for name in plugins.list_names("workload") if name.startswith(incomplete)]
        from robotrain.config import trainer_args

        workload = load_or_none(plugins.workload, self.choice.workload)
        parameters = read_given_parameters(self.options.given, self.choice.file)
        return trainer_args.complete_program_options(workload, parameters, incomplete) if workload else []


def complete_override(choice: Choice, plugins: Plugins, incomplete: str) -> list[str]:
    """Return completions of `--set`: keys, and the choices of a key that has some."""
    from robotrain.config.names import Names

    workload = load_or_none(plugins.workload, choice.workload or plugins.default_workload())
    platform = load_or_none(plugins.platform, choice.platform)
    key, equals, value_start = incomplete.partition("=")
    if equals:
        choices = Names(workload, platform).list_choices(key)
        return [f"{key}={choice}" for choice in choices if choice.startswith(value_start)]
    if workload and choice.file and (params := choice.file.select("params")):
        from robotrain.config.own_parameters import extend_workload

        workload = extend_workload(workload, params, platform)
    key_names = Names(workload, platform, plugins.source_kinds())
    return [f"{key}=" for key in key_names.list_keys() if key.startswith(incomplete)]
