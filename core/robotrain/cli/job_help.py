"""The help page of a command that takes a job: in short what people set, and with `--help-all` every option."""

from typing import Any

from typer.core import TyperCommand

from robotrain.cli.command_factory import get_plugins
from robotrain.cli.help_page import (
    FULL_HELP_MARK,
    HELP_ALL,
    NO_REWRAP,
    HelpInTwoSizes,
    format_examples,
    write_names,
    write_sections,
)
from robotrain.cli.options import ComposedOptions
from robotrain.config.selection import ARGUMENT_LAYER, Choice, load_or_none
from robotrain.config.values import DEFAULT_ORIGIN
from robotrain.plugins.manager import Plugins

PARAMETERS_PANEL, SETTINGS_PANEL = "Parameters of {}", "Settings of platform {}"
WORDS_METAVAR = "[WORKLOAD | JOB.yaml | PROGRAM]"
PLATFORM_PLACEHOLDER = "--platform PLATFORM"


class JobHelp(HelpInTwoSizes, TyperCommand):
    """The part of a command that writes its help page."""

    options: ComposedOptions
    choice: Choice
    general_help = ""
    """The text of the command before a job chose its options; empty for the command itself."""
    shows_jobs_of_workload = False
    """Whether the jobs that a workload declares are examples of it."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the text, in short help the part of it before FULL_HELP_MARK."""
        text = self.help or ""
        if self.choice.platform:
            text = text.replace(PLATFORM_PLACEHOLDER, f"--platform {self.choice.platform}")
        short_text, _, more_text = text.partition(FULL_HELP_MARK)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(short_text + more_text if ctx.meta[HELP_ALL] else short_text)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options by group; Typer's own panels would import rich."""
        is_short = not ctx.meta[HELP_ALL]
        common = {option.name for option in self.options.options if option.common}
        parameters = [parameter for parameter in self.get_params(ctx) if parameter.name in common or not is_short]
        write_sections(formatter, parameters, ctx, is_short=is_short)
        formatter.write_paragraph()
        if is_short:
            if self.choice.origins[0] == DEFAULT_ORIGIN:
                write_names(formatter, "Workloads", get_plugins(ctx).list_names("workload"))
                formatter.write_text(f"`{ctx.command_path} WORKLOAD --help` shows the options of another workload.")
            formatter.write_text(f"{HELP_ALL} shows all {len(self.options.options)} options, in groups.")
        if not self.choice.platform:
            formatter.write_text("With --platform NAME, the options of that platform are shown too.")

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the pieces of the usage line, with what stands after `--`."""
        pieces = super().collect_usage_pieces(ctx)
        workload = load_or_none(get_plugins(ctx).workload, self.choice.workload)
        if workload is None:
            return pieces
        if self.choice.origins[0].layer == ARGUMENT_LAYER and not self.choice.file:
            named_word = self.choice.program or workload.name
            pieces = [named_word if piece == WORDS_METAVAR else piece for piece in pieces]
            if workload.own_command and not self.choice.program:
                return [*pieces, "--", "PROGRAM", "ARGS..."]
        return [*pieces, "[-- ARGS]"] if workload.program else pieces

    def choose_help(self, choice: Choice, plugins: Plugins) -> str:
        """Return the text of its help for a choice: with what a workload does that was named, and its jobs."""
        text = self.general_help or str(self.help)
        workload = load_or_none(plugins.workload, choice.workload)
        if workload is None or choice.origins[0].layer != ARGUMENT_LAYER or not self.shows_jobs_of_workload:
            return text
        first_paragraph, *paragraphs = text.split("\n\n")
        more_paragraphs = [paragraph for paragraph in paragraphs if not paragraph.startswith(NO_REWRAP)]
        short_paragraphs = [first_paragraph, f"{workload.name}: {workload.summary}."]
        if workload.example_lines:
            short_paragraphs.append(format_examples(f"robotrain {self.name} {line}" for line in workload.example_lines))
        return "\n\n".join(short_paragraphs) + "\n\n".join([FULL_HELP_MARK, *more_paragraphs])
