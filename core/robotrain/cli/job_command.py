"""Commands that take a job: options composed from what the arguments choose, then a prepared job.

Only public seams of Typer are used, so that its versions with and without a vendored click work alike:
`make_context`, `make_parser`, `parse_args`, `format_options`, and functions with a made signature.
"""

import inspect
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from robotrain.cli.app import get_plugins, split_at_dashes
from robotrain.cli.options import (
    PARAMETER_PREFIX,
    SET_NAME,
    SETTING_PREFIX,
    Choice,
    ComposedOptions,
    add_parameters,
    add_set,
    add_settings,
    add_sources,
    fill_optional_values,
    is_job_file,
    load_or_none,
    make_text_option,
    make_words_argument,
    read_name_layers,
    resolve_choice,
)
from robotrain.cli.output import print_message
from robotrain.config.request import DEFAULT_ORIGIN

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.platform import Platform
    from robotrain.plugins.manager import Plugins
    from robotrain.submission.prepare import PreparedJob

AFTER_DASHES_KEY = "robotrain.after-dashes"
ORDER_KEY = "robotrain.order"


CONTEXT_SETTINGS = {
    "ignore_unknown_options": True,  # they are collected, so that all are reported at once
    "allow_extra_args": True,
    "help_option_names": ["-h", "--help"],
}


def guess_choice(args: list[str]) -> tuple[dict[str, str], list[str]]:
    """What arguments choose, as far as that is seen without knowing the options: what follows `--platform` and
    `--profile`, and a word that they begin with.
    """
    after = dict(itertools.pairwise(args))
    values = {name: after[f"--{name}"] for name in ("platform", "profile") if f"--{name}" in after}
    return values, [word for word in args[:1] if not word.startswith("-")]


class ComposedCommand(TyperCommand):
    """Subclasses say which options a choice composes to, and act on what was given."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Compose until the options agree with the choice they parse to: an option's arity depends on the choice. One
        that takes the flag behind it as its value may undo the very choice that it belongs to; `act` tells of that.
        """
        head, tail = split_at_dashes(args)
        chosen = self.make_choice(*guess_choice(head), parent)  # right at once for most command lines
        built, tried = self.build_for(chosen, parent), [chosen]
        while (found := self.parse_choice(built, self.fill_optional_values(head, parent), parent)) != chosen:
            chosen, built = found, self.build_for(found, parent)
            if found in tried:
                break
            tried.append(found)
        context = TyperCommand.make_context(built, info_name, self.fill_optional_values(head, parent), parent, **extra)
        context.meta[AFTER_DASHES_KEY] = tail
        return context

    def build_for(self, choice: Any, parent: Any) -> "ComposedCommand":
        """This command with the options of a choice."""
        parameters = self.compose_parameters(choice, parent)

        def run(ctx: typer.Context, **given: Any) -> Any:
            return self.execute(ctx, choice, given)

        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        run.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
        run.__annotations__ = {"ctx": typer.Context, **{one.name: one.annotation for one in parameters}}
        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        app.command(self.name, cls=type(self), epilog=self.epilog, help=self.help, context_settings=CONTEXT_SETTINGS)(
            run
        )
        built = get_command(app)
        assert isinstance(built, ComposedCommand)
        return built

    def parse_choice(self, built: "ComposedCommand", args: list[str], parent: Any) -> Any:
        """What `args` choose, as the options of `built` read them."""
        probe = built.context_class(built, resilient_parsing=True, **built.context_settings)
        values, rest, _ = built.make_parser(probe).parse_args(list(args))
        words = values.get("words")
        return self.make_choice(values, [*(words if isinstance(words, (list, tuple)) else ()), *rest], parent)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the order of the options across their names, which only the parser knows."""
        if not ctx.resilient_parsing and not {"-h", "--help"} & set(args):
            _, _, order = self.make_parser(ctx).parse_args(list(args))
            ctx.meta[ORDER_KEY] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Help by group: Typer draws its panels only through rich, which is not wanted at start-up."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                panels.setdefault(getattr(parameter, "rich_help_panel", None) or "Options", []).append(record)
        for title, records in panels.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def fill_optional_values(self, args: list[str], parent: Any) -> list[str]:
        """`args` as the options composed last read them: with the values of those that may stand without one."""
        return args

    def make_choice(self, values: dict[str, Any], words: list[str], parent: Any) -> Any:
        """The choice that parsed values stand for; compared with ==."""
        raise NotImplementedError

    def compose_parameters(self, choice: Any, parent: Any) -> list[inspect.Parameter]:
        """The arguments and options of a choice."""
        raise NotImplementedError

    def execute(self, ctx: typer.Context, choice: Any, values: dict[str, Any]) -> Any:
        """Do it."""
        raise NotImplementedError


class JobCommand(ComposedCommand):
    """A command over a job; subclasses add their own options and act on the prepared job."""

    options: ComposedOptions
    choice: Choice

    def add_own_options(self, options: ComposedOptions) -> None:
        """Options of the command itself."""

    def run_prepared(self, ctx: typer.Context, prepared: "PreparedJob", values: dict[str, Any]) -> None:
        """Act on a job its platform can run."""
        raise NotImplementedError

    def make_choice(self, values: dict[str, Any], words: list[str], parent: Any) -> Choice:
        """What the arguments choose."""
        return resolve_choice(values, words, parent)

    def fill_optional_values(self, args: list[str], parent: Any) -> list[str]:
        """Options that stand alone have the value that it stands for; a workload or a job file after one is none."""
        known = get_plugins(parent)
        return fill_optional_values(
            args, self.options, lambda word: is_job_file(word) or word in known.list_names("workload")
        )

    def compose_parameters(self, choice: Any, parent: Any) -> list[inspect.Parameter]:
        """The options of the chosen workload and platform. A plugin that fails leaves its options out."""
        plugins = get_plugins(parent)
        self.options = options = ComposedOptions()
        options.add(make_words_argument("[WORKLOAD | JOB.yaml]", lambda: plugins.list_names("workload")), ())
        installed = tuple(plugins.list_names("platform"))
        help = f"where it runs: {', '.join(installed)}  [env: ROBOTRAIN_PLATFORM]"
        options.add(make_text_option("platform", ("--platform",), help, "Options", "NAME", installed), ("--platform",))
        profiles = choice.project.profiles if choice.project else ()
        help = "the profile of robotrain.toml to use  [env: ROBOTRAIN_PROFILE]"
        options.add(make_text_option("profile", ("--profile",), help, "Options", "NAME", profiles), ("--profile",))
        self.add_own_options(options)
        help = "write the job to a new job file, for next time"
        options.add(make_text_option("save_as", ("--save-as",), help, "Options", "FILE.yaml"), ("--save-as",))
        workload, platform = (
            load_or_none(plugins.workload, choice.workload),
            load_or_none(plugins.platform, choice.platform),
        )
        add_set(options, lambda incomplete: _complete_set(incomplete, workload, platform, plugins))
        if workload:
            add_sources(options, workload, plugins.source_kinds())
            add_parameters(options, workload)
        if platform:
            add_settings(options, platform)
        return options.signature

    def execute(self, ctx: typer.Context, choice: Any, values: dict[str, Any]) -> None:
        """From what was typed to a prepared job; everything that is wrong is reported at once."""
        from robotrain.cli import usage
        from robotrain.config.request import Request
        from robotrain.config.terraform import TerraformLayer
        from robotrain.submission.prepare import prepare_job

        plugins, order = get_plugins(ctx), ctx.meta.get(ORDER_KEY, [])
        found = [
            *usage.find_option_clashes(self.options, plugins),
            *usage.find_swallowed_flags(values, self.options),
            *usage.find_repeated_options(order, self.options),
            *usage.find_unknown_tables(choice, plugins),
            *usage.check_save_path(values.get("save_as")),
        ]
        workload, platform = self._load_chosen(choice, plugins, found, values)
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
            unread=usage.find_unread_inputs(found, self.options),
        )
        if sets := [text for text in values.get(SET_NAME) or () if not usage.is_flag(text, self.options)]:
            from robotrain.config import overrides

            request, wrong = overrides.apply_overrides(request, sets, workload, platform, plugins.source_kinds())
            found += wrong
        prepared = prepare_job(
            request, workload, platform, plugins, tuple(found), assets_only=bool(values.get("assets_only"))
        )
        if values.get("save_as"):
            from robotrain.config import job_writer

            job_writer.save_job_file(prepared.resolution, platform.name, values["save_as"])
            print_message(f"wrote the job to {values['save_as']}")
            if values.get("save_spec", "") is None:
                print_message(
                    f"  it is a job file of robotrain; --save-spec FILE writes the job as {platform.name} has it"
                )
        self.choice = choice
        self.run_prepared(ctx, prepared, values)

    def _load_chosen(
        self, choice: Choice, plugins: "Plugins", problems: "list[Problem]", values: dict[str, Any]
    ) -> tuple[Any, Any]:
        """The workload and the platform. Raises Rejected when one is missing, with all that was found."""
        from robotrain.cli import usage
        from robotrain.errors import Rejected
        from robotrain.plugins.errors import PluginError

        parts: dict[str, Any] = {}
        named = (("workload", choice.workload), ("platform", choice.platform))
        for (family, name), origin in zip(named, choice.origins, strict=True):
            try:
                parts[family] = getattr(plugins, family)(name) if name else None
            except PluginError as error:
                unknown = family == "platform" and name not in plugins.list_names(family)
                meant = usage.suggest_platform_settings("--platform", name, plugins) if unknown else ()
                problems.append(usage.not_loaded_problem(family, name, error, plugins, origin, meant))
        if not choice.workload:
            from robotrain.plugins.claims import no_workload

            problems += no_workload(plugins.list_names("workload")).problems
        elif choice.origins[0] == DEFAULT_ORIGIN:
            problems += plugins.default_problems()
        files = [*(choice.file.problems if choice.file else ()), *(choice.project.problems if choice.project else ())]
        if not choice.platform and not files:
            problems.append(usage.platform_missing_problem(plugins))
        if parts.get("workload"):  # without one every option of a workload would seem unknown
            words = (
                [] if any(problem.code == "flag-without-value" for problem in problems) else values.get("words") or []
            )
            problems += usage.find_unknown_words(words, choice, self.options, plugins)
        if usage.is_other_workload_meant(problems, choice) or not all(
            parts.get(family) for family in ("workload", "platform")
        ):
            raise Rejected([*problems, *files])
        return parts["workload"], parts["platform"]


def _complete_set(incomplete: str, workload: Any, platform: "Platform", plugins: "Plugins") -> list[str]:
    """What `--set` may go on to: keys, and the values of one that has a choice of them."""
    from robotrain.config import overrides

    key, equals, value = incomplete.partition("=")
    if equals:
        return [
            f"{key}={one}" for one in overrides.list_override_choices(key, workload, platform) if one.startswith(value)
        ]
    known = overrides.list_override_keys(workload, platform, plugins.source_kinds())
    return [f"{one}=" for one in known if one.startswith(incomplete)]
