"""Commands that take a job; their options depend on the chosen workload and platform.

Only public parts of Typer are used, so that versions with and without a vendored click both work: `make_context`,
`make_parser`, `parse_args`, `format_options`, and the classes of `typer.core`.
"""

import functools
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from robotrain.cli.arguments import AFTER_DASHES_KEY, COMMON_SENDING, SENDING
from robotrain.cli.command_factory import (
    add_context,
    get_plugins,
    split_at_dashes,
)
from robotrain.cli.help_page import (
    FULL_HELP_MARK,
    HELP_ALL,
    HELP_OPTIONS,
    NO_REWRAP,
    HelpInTwoSizes,
    format_examples,
    format_help,
    write_names,
    write_sections,
)
from robotrain.cli.options import (
    ORDER_KEY,
    SET_NAME,
    ComposedOptions,
    add_declared,
    add_sources,
    fill_optional_values,
    make_completer,
    make_words_argument,
)
from robotrain.cli.output import print_platform
from robotrain.config.selection import (
    ARGUMENT_LAYER,
    Choice,
    JobScan,
    load_or_none,
    parse_assignments,
    read_given_parameters,
)
from robotrain.config.values import DEFAULT_ORIGIN, PARAM_FLAG
from robotrain.plugins.manager import Plugins

if TYPE_CHECKING:
    from robotrain.cli.job_request import TypedJob
    from robotrain.pipelines.prepare import PreparedPipeline
    from robotrain.submission.prepare import PreparedJob, Purpose

PARAMETERS_PANEL, SETTINGS_PANEL = "Parameters of {}", "Settings of platform {}"
WORDS_METAVAR = "[WORKLOAD | JOB.yaml | PROGRAM]"
PLATFORM_PLACEHOLDER = "--platform PLATFORM"
SET_HELP = (
    "set a value by its name in a job file: batch_size=8. Keys of platforms and inputs are platforms.NAME.KEY and"
    " sources.ROLE.KIND  [repeatable]"
)
PARAM_HELP = "a parameter of your own: {NAME} in the command, NAME in --set, sweeps, explain and diff  [repeatable]"
CONFIG_HELP = "a configuration file of {}, in its own form; flags and the job file win"
CONTEXT_SETTINGS = {
    "ignore_unknown_options": True,  # collected, so that all are reported at once
    "allow_extra_args": True,
    "help_option_names": ["-h", "--help"],
}


def make_job_command(name: str, cls: type["JobCommand"], help: str) -> "JobCommand":
    """Return a command that takes a job, whose options are composed later."""
    return cls(name, help=format_help(help), context_settings=CONTEXT_SETTINGS, rich_markup_mode=None)


class JobCommand(HelpInTwoSizes, TyperCommand):
    """A command that takes a job; its options depend on the workload and platform that the arguments choose.

    Subclasses add options, and act on the prepared job.
    """

    options: ComposedOptions
    choice: Choice
    is_after_dashes = False
    """Whether the arguments end with those of the program, which TAB completes."""
    general_help = ""
    """The text of the command before a job chose its options; empty for the command itself."""
    shows_jobs_of_workload = False
    """Whether the jobs that a workload declares are examples of it."""
    saves_job = True
    """Whether it can write the job to a file."""
    purpose: "Purpose" = "explain"
    """What it prepares the job for: to submit, its first line says the platform, and where that was chosen."""
    can_evaluate = False
    """Whether it takes a job whose checkpoints are scored, as a pipeline with its evaluation."""

    def add_own_options(self, options: ComposedOptions) -> None:
        """Add the options of the command itself."""

    def add_sending(self, options: ComposedOptions, *left_out: str) -> None:
        """Add the options of commands that send a job."""
        for flag, (help, metavar) in SENDING.items():
            if flag not in left_out:
                options.add_own(flag, help=help, metavar=metavar, common=flag in COMMON_SENDING)

    def run_prepared(self, ctx: typer.Context, prepared: "PreparedJob", values: dict[str, Any]) -> None:
        """Act on a job that its platform can run."""
        raise NotImplementedError

    def run_pipeline(self, ctx: typer.Context, prepared: "PreparedPipeline", values: dict[str, Any]) -> None:
        """Act on the pipeline of a job and the evaluation of its checkpoints."""
        raise NotImplementedError

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Compose the options of the job that the words choose, and parse them."""
        head, after_dashes = split_at_dashes(args)
        scan = JobScan(head, get_plugins(parent), self.can_evaluate)
        command = self

        def takes_value(flag: str, choice: Choice) -> bool | None:
            nonlocal command
            command = self.build_for(choice, parent)
            return command.options.takes_value(flag)

        choice = scan.find_choice(takes_value)
        if command is self or command.choice != choice:
            command = self.build_for(choice, parent)
        filled_args = fill_optional_values(head, command.options, scan.is_word)
        context: Any = TyperCommand.make_context(command, info_name, filled_args, parent, **extra)
        context.meta[AFTER_DASHES_KEY] = after_dashes
        command.is_after_dashes = after_dashes is not None
        return context

    def build_for(self, choice: Choice, parent: Any) -> "JobCommand":
        """Return this command with the options of a choice."""
        plugins = get_plugins(parent)
        options = self.compose_own(choice, plugins)
        self.add_plugin_options(options, choice, plugins)
        words = make_words_argument(WORDS_METAVAR, lambda incomplete: command.complete_word(incomplete, plugins))
        command = type(self)(
            self.name,
            params=[words, *options.make_parameters()],
            help=self.choose_help(choice, plugins),
            context_settings=CONTEXT_SETTINGS,
            rich_markup_mode=None,
        )
        command.options, command.choice, command.general_help = options, choice, self.general_help or str(self.help)
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run the command with the values of its options."""
        is_known = self.purpose == "submit" and self.choice.platform in get_plugins(ctx).list_names("platform")
        if is_known and ctx.params.get("plan") is None:
            print_platform(self.choice.platform, str(self.choice.origins[1]))
        return self.execute(ctx, self.choice, dict(ctx.params))

    def make_parser(self, ctx: Any) -> Any:
        """Return the parser for a context. It notes the order of the options, and the parameters that are given."""
        parser = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            with add_context(ctx):
                values, remaining_words, order = parse(args)
            ctx.meta[ORDER_KEY] = [parameter.name for parameter in order]
            assignments = parse_assignments(values.get(SET_NAME) or ())
            typed_values = ((parameter, values.get(name)) for name, parameter in self.options.declared.items())
            self.options.given = assignments | {
                parameter.name: str(typed_text) for parameter, typed_text in typed_values if typed_text
            }
            return values, remaining_words, order

        parser.parse_args = parse_args  # type: ignore[method-assign] # what click itself calls
        return parser

    def compose_own(self, choice: Choice, plugins: Plugins) -> ComposedOptions:
        """Return the options that every choice has."""
        options = ComposedOptions()
        installed = plugins.list_names("platform")
        help = f"the platform to run on: {', '.join(installed)}  [env: ROBOTRAIN_PLATFORM]"
        options.add_own(
            "--platform", help=help, metavar="NAME", complete=make_completer(lambda: installed), common=True
        )
        profiles = make_completer(lambda: choice.project.profiles if choice.project else ())
        help = "the profile of robotrain.toml to use  [env: ROBOTRAIN_PROFILE]"
        options.add_own("--profile", help=help, metavar="NAME", complete=profiles)
        self.add_own_options(options)
        if self.saves_job:
            options.add_own("--save-as", help="also write the job to a new job file", metavar="FILE.yaml")
        keys = functools.partial(complete_override, choice, plugins)
        options.add_own(
            f"--{SET_NAME}", help=SET_HELP, metavar="KEY=VALUE", complete=keys, repeatable=True, common=True
        )
        return options

    def add_plugin_options(self, options: ComposedOptions, choice: Choice, plugins: Plugins) -> None:
        """Add the options of the chosen workload and platform; a plugin that fails to load has none."""
        workload = load_or_none(plugins.workload, choice.workload)
        platform = load_or_none(plugins.platform, choice.platform)
        if workload:
            name, owner = workload.name, f"workload {workload.name}"
            add_sources(options, [*workload.roles], plugins.source_kinds())
            add_declared(options, workload.parameters, "parameters", PARAMETERS_PANEL.format(name), owner)
            if workload.own_command:
                options.add_own(PARAM_FLAG, help=PARAM_HELP, metavar="NAME=VALUE", repeatable=True)
            if workload.read_config:
                options.add_own("--config", help=CONFIG_HELP.format(name), metavar="FILE")
        if platform:
            owner, panel = f"platform {platform.name}", SETTINGS_PANEL.format(platform.name)
            add_declared(options, platform.settings, f"platforms.{platform.name}", panel, owner)
        if choice.is_evaluated:
            from robotrain.cli import evaluated_training

            evaluated_training.add_evaluation_options(options, choice, plugins)

    def execute(self, ctx: typer.Context, choice: Choice, values: dict[str, Any]) -> None:
        """Prepare the job and run the command on it; all problems are reported at once."""
        from robotrain.cli import job_request  # costs start-up of help

        line = self.describe_line(ctx, values)
        if choice.is_evaluated:
            self.run_pipeline(ctx, job_request.prepare_evaluated(line, self.purpose), values)
        else:
            self.run_prepared(ctx, job_request.prepare_job(line, self.purpose), values)

    def describe_line(self, ctx: typer.Context, values: dict[str, Any]) -> "TypedJob":
        """Return what was typed."""
        from robotrain.cli.job_request import TypedJob  # costs start-up of help

        return TypedJob(ctx, self.choice, self.options, values)

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
        return [*super().collect_usage_pieces(ctx), "[-- ARGS]"]

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
