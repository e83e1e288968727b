"""Commands that take a job; their options depend on the chosen workload and platform.

Only public parts of Typer are used, so that versions with and without a vendored click both work: `make_context`,
`make_parser`, `parse_args`, `format_options`, and the classes of `typer.core`.
"""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from robotrain.cli.arguments import AFTER_DASHES_KEY, LABELS
from robotrain.cli.command_factory import (
    add_context,
    get_plugins,
    split_at_dashes,
)
from robotrain.cli.help_page import format_help
from robotrain.cli.job_completion import JobCompletion, complete_override
from robotrain.cli.job_help import PARAMETERS_PANEL, SETTINGS_PANEL, WORDS_METAVAR, JobHelp
from robotrain.cli.missing_plugins import load_named_plugin, make_platform_missing_problem
from robotrain.cli.options import (
    SET_NAME,
    ComposedOptions,
    add_declared,
    add_sources,
    fill_optional_values,
    make_completer,
    make_words_argument,
)
from robotrain.cli.output import print_message, print_platform
from robotrain.config.selection import (
    Choice,
    JobScan,
    load_or_none,
    parse_assignments,
)
from robotrain.config.values import DEFAULT_ORIGIN, FLAG_NAME, PARAM_FLAG, Value
from robotrain.errors import Problem, Rejected, collect_problems
from robotrain.plugins.failures import make_no_workload_error
from robotrain.plugins.manager import Plugins

if TYPE_CHECKING:
    from robotrain.config.request import Request
    from robotrain.model.platform import Platform
    from robotrain.model.workload import Workload
    from robotrain.pipelines.prepare import PreparedPipeline
    from robotrain.submission.prepare import PreparedJob

ORDER_KEY = "robotrain.order"
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


class JobCommand(JobHelp, JobCompletion):
    """A command that takes a job; its options depend on the workload and platform that the arguments choose.

    Subclasses add options, and act on the prepared job.
    """

    options: ComposedOptions
    choice: Choice
    saves_job = True
    """Whether it can write the job to a file."""
    sends = False
    """Whether it submits: its first line says the platform, and where that was chosen."""
    can_evaluate = False
    """Whether it takes a job whose checkpoints are scored, as a pipeline with its evaluation."""

    def add_own_options(self, options: ComposedOptions) -> None:
        """Add the options of the command itself."""

    def add_labels(self, options: ComposedOptions) -> None:
        """Add the options for what people call the run."""
        for flag, (help, metavar) in LABELS.items():
            options.add_own(flag, help=help, metavar=metavar, common=flag == "--name")

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
            params=[words, *(option.make_parameter() for option in options.options)],
            help=self.choose_help(choice, plugins),
            context_settings=CONTEXT_SETTINGS,
            rich_markup_mode=None,
        )
        command.options, command.choice, command.general_help = options, choice, self.general_help or str(self.help)
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run the command with the values of its options."""
        is_known = self.sends and self.choice.platform in get_plugins(ctx).list_names("platform")
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
        from robotrain.submission.prepare import prepare_job

        if choice.is_evaluated:
            from robotrain.cli import evaluated_training

            evaluated = evaluated_training.prepare_evaluated(ctx, choice, values, self.read_request, self.sends)
            self.run_pipeline(ctx, evaluated, values)
            return
        plugins = get_plugins(ctx)
        request, workload, platform, problems = self.read_request(ctx, choice, values)
        prepared = prepare_job(
            request,
            workload,
            platform,
            plugins,
            tuple(problems),
            assets_only=bool(values.get("assets_only")),
            is_sent=self.sends,
        )
        if workload.evaluated_with and dict(prepared.job.parameters)[workload.evaluated_with] is not None:
            from robotrain.cli import evaluated_training

            raise Rejected([evaluated_training.make_misplaced_evaluation(workload, prepared.values)])
        if values.get("save_as"):
            from robotrain.config import job_writer

            job_writer.save_job_file(prepared.resolution, platform.name, values["save_as"])
            print_message(f"wrote the job to {values['save_as']}")
            for flag in job_writer.list_unsaved_patches(prepared.resolution):
                print_message(f"  {flag} is not in it: a job file cannot hold one")
        self.run_prepared(ctx, prepared, values)

    def read_request(
        self, ctx: typer.Context, choice: Choice, values: dict[str, Any]
    ) -> "tuple[Request, Workload, Platform, list[Problem]]":
        """Return what the arguments ask for, the chosen workload and platform, and the problems so far."""
        from robotrain.cli import usage
        from robotrain.config.unknown_keys import find_unknown_tables

        plugins = get_plugins(ctx)
        swallowed_flags = list(usage.find_swallowed_flags(values, self.options))
        misread_names = {self.options.flags[problem.where] for problem in swallowed_flags}
        values = {name: value for name, value in values.items() if name not in misread_names}
        problems = [
            *usage.find_option_clashes(self.options, plugins),
            *swallowed_flags,
            *usage.find_repeated_options(ctx.meta.get(ORDER_KEY, []), self.options),
            *find_unknown_tables(choice.files, choice.project, plugins),
            *usage.check_save_path(values.get("save_as")),
        ]
        workload, platform = self._load_chosen(ctx, choice, problems, values)
        request, mistakes = self.make_request(ctx, choice, values, workload, platform, problems)
        return request, workload, platform, [*problems, *mistakes]

    def make_request(
        self,
        ctx: typer.Context,
        choice: Choice,
        values: dict[str, Any],
        workload: "Workload",
        platform: "Platform",
        problems: Sequence[Problem],
    ) -> "tuple[Request, Sequence[Problem]]":
        """Return what the arguments ask for, and the problems of `--set`."""
        from robotrain.cli import line_values, usage
        from robotrain.config.request import Request
        from robotrain.config.terraform import TerraformLayer
        from robotrain.config.trainer_args import read_after_dashes

        line_layer, mistakes = line_values.read_line(values, ctx.meta.get(ORDER_KEY, []), self.options)
        after_dashes = read_after_dashes(ctx.meta.get(AFTER_DASHES_KEY) or ())
        program = None
        if choice.program:
            from robotrain.config import program_file

            kinds = get_plugins(ctx).source_kinds()
            program = program_file.add_program(choice.program, after_dashes, line_layer, choice.files, workload, kinds)
            own_flags = self.compose_own(choice, get_plugins(ctx)).flags
            mistakes = [*mistakes, *program_file.find_own_flags(program, after_dashes, own_flags)]
            line_layer, after_dashes = program.line, program.command
        request = Request(
            line=line_layer,
            after_dashes=after_dashes,
            files=choice.files,
            surroundings=choice.surroundings,
            terraform=TerraformLayer(choice.surroundings),
            flags=frozenset(self.options.flags),
            name=Value(values["name"], FLAG_NAME) if values.get("name") else None,
            unread=usage.find_unread_inputs(problems, self.options, workload),
        )
        if sets := [
            assignment for assignment in values.get(SET_NAME) or () if not line_values.is_flag(assignment, self.options)
        ]:
            from robotrain.config import assignments

            kinds = get_plugins(ctx).source_kinds()
            request, set_problems = assignments.apply_assignments(request, sets, workload, platform, kinds)
            mistakes = [*mistakes, *set_problems]
        if program:
            request, notes = program_file.add_needs(program, request, workload, platform, kinds)
            mistakes = [*mistakes, *notes]
        return request, mistakes

    def _load_chosen(
        self, ctx: Any, choice: Choice, problems: list[Problem], values: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Return the workload and the platform, with the problems of the words added to `problems`.

        Raise Rejected with all problems when one is missing, or another workload is meant than the default.
        """
        from robotrain.cli import usage

        plugins = get_plugins(ctx)
        is_default = choice.origins[0] == DEFAULT_ORIGIN
        swallowing_flags = {problem.where for problem in problems if problem.code == "flag-without-value"}
        workload: Workload | None = None
        platform: Platform | None = None
        if choice.workload:
            with collect_problems(problems):
                workload = load_named_plugin(plugins, "workload", choice.workload, choice.origins[0])
            problems += plugins.default_problems() if is_default else ()
        else:
            problems += make_no_workload_error(plugins.list_names("workload")).problems
        if workload:  # without one, every option of a workload would seem unknown
            words = [] if swallowing_flags else values.get("words") or []
            problems += usage.find_unknown_words(words, choice, self.options, plugins)
            problems += usage.find_missing_program(choice, workload, values, self.options)
            problems += usage.find_program_of_file(choice, workload, plugins) if is_default else ()
            problems += usage.find_placeholders(values, workload, self.options)
        files = [*(choice.file.problems if choice.file else ()), *(choice.project.problems if choice.project else ())]
        is_platform_meant = any(
            way.text.startswith("--platform") for problem in problems for way in problem.suggestions
        )
        if not choice.platform:
            problems += [make_platform_missing_problem(plugins)] if not files and not is_platform_meant else []
        elif choice.origins[1].where not in swallowing_flags:
            with collect_problems(problems):
                platform = load_named_plugin(plugins, "platform", choice.platform, choice.origins[1])
        messages = {problem.message for problem in problems}
        is_other_meant = is_default and not messages.isdisjoint(usage.OTHER_MEANT)
        if workload is None or platform is None or is_other_meant:
            raise Rejected([*problems, *files])
        return workload, platform
