"""Commands that take a job; their options depend on the chosen workload and platform.

Only public parts of Typer are used, so that versions with and without a vendored click both work: `make_context`,
`make_parser`, `parse_args`, `format_options`, and functions with a generated signature.
"""

import functools
import inspect
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from robotrain.cli.app import format_help, get_plugins, make_plain_app, split_at_dashes
from robotrain.cli.options import (
    PARAMETER_PREFIX,
    SET_NAME,
    SETTING_PREFIX,
    Choice,
    ComposedOptions,
    add_declared,
    add_sources,
    fill_optional_values,
    is_job_file,
    load_or_none,
    make_completer,
    make_words_argument,
    read_name_layers,
    resolve_choice,
)
from robotrain.cli.output import print_message
from robotrain.config.provenance import DEFAULT_ORIGIN

if TYPE_CHECKING:
    from robotrain.config.request import Request
    from robotrain.errors import Problem
    from robotrain.model.platform import Platform
    from robotrain.model.workload import Workload
    from robotrain.plugins.manager import Plugins
    from robotrain.submission.prepare import PreparedJob

AFTER_DASHES_KEY, ORDER_KEY = "robotrain.after-dashes", "robotrain.order"
SET_HELP = "set a value by its name in a job file (batch_size, platforms.NAME.KEY, sources.ROLE.KIND)  [repeatable]"
CONTEXT_SETTINGS = {
    "ignore_unknown_options": True,  # collected, so that all are reported at once
    "allow_extra_args": True,
    "help_option_names": ["-h", "--help"],
}


def make_job_app(name: str, cls: Any, help: str) -> typer.Typer:
    """Return the app of one command that takes a job, whose options are composed later."""
    app = make_plain_app()
    app.command(name, cls=cls, help=format_help(help), context_settings=CONTEXT_SETTINGS)(lambda: None)
    return app


class JobCommand(TyperCommand):
    """A command that takes a job; its options depend on the workload and platform that the arguments choose.

    Subclasses add options, and act on the prepared job.
    """

    options: ComposedOptions
    choice: Choice
    saves_job = True
    """Whether it can write the job to a file."""

    def add_own_options(self, options: ComposedOptions) -> None:
        """Add the options of the command itself."""

    def run_prepared(self, ctx: typer.Context, prepared: "PreparedJob", values: dict[str, Any]) -> None:
        """Act on a job that its platform can run."""
        raise NotImplementedError

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Compose options until they parse to the choice that they were composed for.

        Whether an option takes a value depends on the choice. An option that swallows the next flag may undo the choice
        it belongs to: then the loop ends, and `execute` reports the swallowed flag.
        """
        head, tail = split_at_dashes(args)
        next_words = dict(itertools.pairwise(head))
        values = {name: next_words[f"--{name}"] for name in ("platform", "profile") if f"--{name}" in next_words}
        choice = resolve_choice(values, [word for word in head[:1] if not word.startswith("-")], parent)  # a guess
        workloads = get_plugins(parent).list_names("workload")
        fill = functools.partial(fill_optional_values, is_word=lambda word: is_job_file(word) or word in workloads)
        command, tried = self.build_for(choice, parent), [choice]
        while (parsed := self.parse_choice(command, fill(head, self.options), parent)) != choice:
            choice, command = parsed, self.build_for(parsed, parent)
            if parsed in tried:
                break
            tried.append(parsed)
        context = TyperCommand.make_context(command, info_name, fill(head, self.options), parent, **extra)
        context.meta[AFTER_DASHES_KEY] = tail
        return context

    def build_for(self, choice: Choice, parent: Any) -> "JobCommand":
        """Return this command with the options of a choice."""
        parameters = self.compose_parameters(choice, parent)

        def run(ctx: typer.Context, **values: Any) -> Any:
            return self.execute(ctx, choice, values)

        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        run.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (context, *parameters)}
        app = make_plain_app()
        app.command(self.name, cls=type(self), help=self.help, context_settings=CONTEXT_SETTINGS)(run)
        command = get_command(app)
        assert isinstance(command, JobCommand)
        return command

    def parse_choice(self, command: "JobCommand", args: list[str], parent: Any) -> Choice:
        """Return the choice that `args` make, parsed with the options of `command`."""
        probe = command.context_class(command, resilient_parsing=True, **command.context_settings)
        values, rest, _ = command.make_parser(probe).parse_args(list(args))
        words = values.get("words")
        return resolve_choice(values, [*(words if isinstance(words, (list, tuple)) else ()), *rest], parent)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, and keep the order of the options, which only the parser knows."""
        if not ctx.resilient_parsing and not {"-h", "--help"} & set(args):
            _, _, order = self.make_parser(ctx).parse_args(list(args))
            ctx.meta[ORDER_KEY] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options by group; Typer's own panels would import rich."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                panels.setdefault(getattr(parameter, "rich_help_panel", None) or "Options", []).append(record)
        for title, records in panels.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def compose_parameters(self, choice: Choice, parent: Any) -> list[inspect.Parameter]:
        """Return the options of the chosen workload and platform; a plugin that fails to load has none."""
        plugins = get_plugins(parent)
        self.options = options = ComposedOptions()
        words = make_completer(lambda: plugins.list_names("workload"))
        options.add(make_words_argument("[WORKLOAD | JOB.yaml]", words), ())
        installed = plugins.list_names("platform")
        help = f"the platform to run on: {', '.join(installed)}  [env: ROBOTRAIN_PLATFORM]"
        options.add_own("--platform", help=help, metavar="NAME", complete=make_completer(lambda: installed))
        profiles = make_completer(lambda: choice.project.profiles if choice.project else ())
        help = "the profile of robotrain.toml to use  [env: ROBOTRAIN_PROFILE]"
        options.add_own("--profile", help=help, metavar="NAME", complete=profiles)
        self.add_own_options(options)
        if self.saves_job:
            options.add_own("--save-as", help="also write the job to a new job file", metavar="FILE.yaml")
        workload = load_or_none(plugins.workload, choice.workload)
        platform = load_or_none(plugins.platform, choice.platform)
        keys = functools.partial(_complete_set, workload, platform, plugins)
        options.add_own("--set", help=SET_HELP, metavar="KEY=VALUE", complete=keys, kind=list[str] | None)
        if workload:
            name, owner = workload.name, f"workload {workload.name}"
            add_sources(options, workload, plugins.source_kinds())
            add_declared(options, workload.parameters, PARAMETER_PREFIX, f"Parameters of {name}", owner)
        if platform:
            owner = f"platform {platform.name}"
            add_declared(options, platform.settings, SETTING_PREFIX, f"Settings of {owner}", owner)
        return options.signature

    def execute(self, ctx: typer.Context, choice: Choice, values: dict[str, Any]) -> None:
        """Prepare the job and run the command on it; all problems are reported at once."""
        from robotrain.submission.prepare import prepare_job

        plugins = get_plugins(ctx)
        request, workload, platform, problems = self.read_request(ctx, choice, values)
        prepared = prepare_job(
            request, workload, platform, plugins, tuple(problems), assets_only=bool(values.get("assets_only"))
        )
        if values.get("save_as"):
            from robotrain.config import job_writer

            job_writer.save_job_file(prepared.resolution, platform.name, values["save_as"])
            print_message(f"wrote the job to {values['save_as']}")
            if values.get("save_spec", "") is None:
                print_message(f"  for the spec that {platform.name} holds, use --save-spec FILE")
        self.choice = choice
        self.run_prepared(ctx, prepared, values)

    def read_request(
        self, ctx: typer.Context, choice: Choice, values: dict[str, Any]
    ) -> "tuple[Request, Workload, Platform, list[Problem]]":
        """Return what the arguments ask for, the chosen workload and platform, and the problems so far."""
        from robotrain.cli import usage
        from robotrain.config.request import Request
        from robotrain.config.terraform import TerraformLayer

        plugins, order = get_plugins(ctx), ctx.meta.get(ORDER_KEY, [])
        problems = [
            *usage.find_option_clashes(self.options, plugins),
            *usage.find_swallowed_flags(values, self.options),
            *usage.find_repeated_options(order, self.options),
            *usage.find_unknown_tables(choice, plugins),
            *usage.check_save_path(values.get("save_as")),
        ]
        workload, platform = self._load_chosen(choice, plugins, problems, values)
        request = Request(
            parameters=usage.collect_values(values, self.options, PARAMETER_PREFIX),
            settings=usage.collect_values(values, self.options, SETTING_PREFIX),
            sources=tuple(usage.collect_sources(values, order, self.options)),
            trainer_args=tuple(tail) if (tail := ctx.meta.get(AFTER_DASHES_KEY)) is not None else None,
            file=choice.file,
            variables=read_name_layers(ctx),
            project=choice.project,
            terraform=TerraformLayer(read_name_layers(ctx), choice.project, Path.cwd()),
            flags=frozenset(self.options.flags),
            unread=usage.find_unread_inputs(problems, self.options),
        )
        if sets := [text for text in values.get(SET_NAME) or () if not usage.is_flag(text, self.options)]:
            from robotrain.config import overrides

            request, mistakes = overrides.apply_overrides(request, sets, workload, platform, plugins.source_kinds())
            problems += mistakes
        return request, workload, platform, problems

    def _load_chosen(
        self, choice: Choice, plugins: "Plugins", problems: "list[Problem]", values: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Return the workload and the platform; raise Rejected with all problems when one is missing."""
        from robotrain.cli import usage
        from robotrain.errors import Rejected
        from robotrain.plugins.failures import PluginError

        parts: dict[str, Any] = {}
        names = (("workload", choice.workload), ("platform", choice.platform))
        for (family, name), origin in zip(names, choice.origins, strict=True):
            try:
                parts[family] = getattr(plugins, family)(name) if name else None
            except PluginError as error:
                unknown = family == "platform" and name not in plugins.list_names(family)
                settings = usage.suggest_platform_settings("--platform", name, plugins) if unknown else ()
                problems.append(usage.not_loaded_problem(family, name, error, plugins, origin, settings))
        if not choice.workload:
            from robotrain.plugins.failures import make_no_workload_error

            problems += make_no_workload_error(plugins.list_names("workload")).problems
        elif choice.origins[0] == DEFAULT_ORIGIN:
            problems += plugins.default_problems()
        files = [*(choice.file.problems if choice.file else ()), *(choice.project.problems if choice.project else ())]
        if not choice.platform and not files:
            problems.append(usage.platform_missing_problem(plugins))
        if parts.get("workload"):  # without one, every option of a workload would seem unknown
            swallowed = any(problem.code == "flag-without-value" for problem in problems)
            words = [] if swallowed else values.get("words") or []
            problems += usage.find_unknown_words(words, choice, self.options, plugins)
        if usage.is_other_workload_meant(problems, choice) or not (parts.get("workload") and parts.get("platform")):
            raise Rejected([*problems, *files])
        return parts["workload"], parts["platform"]


def _complete_set(workload: Any, platform: Any, plugins: "Plugins", incomplete: str) -> list[str]:
    """Return completions of `--set`: keys, and the choices of a key that has some."""
    from robotrain.config import overrides

    key, equals, value = incomplete.partition("=")
    if equals:
        choices = overrides.list_override_choices(key, workload, platform)
        return [f"{key}={choice}" for choice in choices if choice.startswith(value)]
    keys = overrides.list_override_keys(workload, platform, plugins.source_kinds())
    return [f"{known}=" for known in keys if known.startswith(incomplete)]
