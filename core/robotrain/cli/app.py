"""The root command: help, global options, and the console script."""

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from robotrain import __version__
from robotrain.cli.command_factory import (
    CompletionItem,
    UsageError,
    add_context,
    get_plugins,
    load_command,
    make_unknown_command_problem,
    split_at_dashes,
)
from robotrain.cli.help_page import HELP_ALL, HELP_OPTIONS, HelpInTwoSizes, format_help, write_names
from robotrain.cli.output import dump_problems, print_json, print_message, print_problems, reserve_results
from robotrain.command_table import ALIASES, COMMANDS, EXPERT, GROUPS
from robotrain.errors import EXIT_INTERRUPTED, Problem, Rejected, Stage, raise_if_any, select_errors
from robotrain.messages import Messages
from robotrain.plugins.failures import find_culprit
from robotrain.redaction import remember_secrets
from robotrain.slow_notice import print_slow_notices
from robotrain.store import files, ownership

if TYPE_CHECKING:
    from robotrain.plugins.discovery import Claim

make_problem = Messages(__file__)

ClickError: Any = UsageError.__base__
AS_JSON_KEY, TYPED_KEY = "robotrain.as-json", "robotrain.typed"
NO_PLUGINS_HELP = "Load no plugins but the built-in ones.  [env: ROBOTRAIN_PLUGINS=none]"
WITHOUT_HELP = (
    "Do not load this plugin: a distribution, or a claim (platform.NAME)  [repeatable]  [env: ROBOTRAIN_WITHOUT=A,B]"
)
PLUGINS_FROM_HELP = "Load robotrain_plugin.py of this folder as a plugin  [env: ROBOTRAIN_PLUGINS_FROM]"
HELP = """Describe a robot-learning job once; run it on {platforms}.

  robotrain init --example pusht-mini
  robotrain submit pusht-mini/job.yaml --platform PLATFORM --wait
"""
NO_PLATFORM = "any platform whose plugin supports it"


@contextlib.contextmanager
def handle_errors(as_json: bool) -> Iterator[None]:
    """Turn what a command raises into messages and an exit code; with as_json print the problems as JSON too."""
    try:
        yield
    except Rejected as rejected:
        _report_problems(rejected.problems, as_json)
        raise typer.Exit(rejected.exit_code) from None
    except OSError as error:
        file_note = f" ({error.filename})" if error.filename else ""
        problem = make_problem("io-failed", error=error.strerror or error, place=file_note)
        with contextlib.suppress(OSError):  # stdout itself may be what failed
            _report_problems([problem], as_json)
        raise typer.Exit(Stage.SUBMIT.exit_code) from None
    except KeyboardInterrupt as interrupt:
        print_message(f"interrupted {interrupt}".rstrip())
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _report_problems(problems: Sequence[Problem], as_json: bool) -> None:
    print_problems(problems)
    if (count := len(select_errors(problems))) > 1:
        print_message(f"{count} problems; nothing was done")
    if as_json:
        print_json({"problems": dump_problems(problems)})


class RootGroup(HelpInTwoSizes, TyperGroup):
    """The group of all commands; those of plugins are found by their claim `command.NAME`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return robotrain's own commands, in the order of a run's life."""
        return list(COMMANDS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command.

        While one of robotrain's own runs, only its results go to stdout. Help is printed by Click.
        """
        is_help = not HELP_OPTIONS.isdisjoint(split_at_dashes(args)[0])
        if ALIASES.get(args[0], args[0]) in COMMANDS and not is_help:
            ctx.with_resource(reserve_results())
            ctx.with_resource(print_slow_notices(print_message))
        if not ctx.resilient_parsing and args[0] != "doctor" and not is_help:  # doctor says it among others
            raise_if_any(ownership.find_ownership_problems(files.list_own_folders()))
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return one of robotrain's own commands, else a plugin's."""
        if (own_name := ALIASES.get(cmd_name, cmd_name)) in COMMANDS:
            return load_command(own_name)
        if cmd_name.startswith("-"):
            return None
        if ctx.resilient_parsing:
            with contextlib.suppress(Exception):  # whatever a plugin raises: then its command has no options
                if command := get_plugins(ctx).load_command(cmd_name):
                    return typer.main.get_command(command)
            return TyperCommand(cmd_name, add_help_option=False)
        command = get_plugins(ctx).load_command(cmd_name)
        if command is None:
            names = [*COMMANDS, *get_plugins(ctx).list_names("command")]
            raise Rejected([make_unknown_command_problem("robotrain", cmd_name, names)])
        return typer.main.get_command(command)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the commands that begin like this; before the first letter, those that help describes.

        Names of plugins' commands are read without importing them.
        """
        if incomplete.startswith("-"):
            return list(super().shell_complete(ctx, incomplete))
        command_groups = [group for title, group in GROUPS.items() if incomplete or title != EXPERT]
        summaries = {name: summary for group in command_groups for name, (_, summary) in group.items()}
        summaries |= list_plugin_commands(ctx) if incomplete else {}
        return [
            CompletionItem(name, help=help_text) for name, help_text in summaries.items() if name.startswith(incomplete)
        ]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what robotrain is, with the platforms that are installed, and how to begin."""
        *first_platforms, last_platform = [claim.name for claim in list_claims(ctx, "platform")] or [NO_PLATFORM]
        self.help = format_help(
            HELP.format(
                platforms=f"{', '.join(first_platforms)} or {last_platform}" if first_platforms else last_platform
            )
        )
        super().format_help_text(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the global options, only in full help, and the commands."""
        if ctx.meta[HELP_ALL]:
            super().format_options(ctx, formatter)
        else:
            self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by group, from the table: help imports no command."""
        of_plugins = list_plugin_commands(ctx)
        width = max(map(len, COMMANDS))
        for title, group in GROUPS.items():
            if ctx.meta[HELP_ALL] or title != EXPERT:
                with formatter.section(title):
                    formatter.write_dl([(name.ljust(width), summary) for name, (_, summary) in group.items()])
        if not ctx.meta[HELP_ALL]:
            formatter.write_paragraph()
            write_names(formatter, "More", [*GROUPS[EXPERT], *of_plugins])
            formatter.write_text("`robotrain --help-all` says what they do, and lists robotrain's own options.")
        elif of_plugins:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(
                    [(name.ljust(width), self._summarize_plugin_command(ctx, name)) for name in of_plugins]
                )

    def _summarize_plugin_command(self, ctx: Any, name: str) -> str:
        """Return what a command of a plugin does, which its module says; or from which package it is."""
        try:
            command = self.get_command(ctx, name)
        except Exception:  # a plugin that cannot be imported hides no other command
            command = None
        return (command and command.get_short_help_str(100)) or f"From {list_plugin_commands(ctx)[name]}."

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the global options; note whether problems are to be printed as JSON."""
        ctx.meta[AS_JSON_KEY] = "--json" in split_at_dashes(args)[0]
        ctx.meta[TYPED_KEY] = tuple(args)
        try:
            with add_context(ctx):
                return super().parse_args(ctx, args)
        except UsageError as error:
            with handle_errors(as_json=ctx.meta[AS_JSON_KEY]):
                self._raise_usage_problem(ctx, error)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; report whatever it raises in one way."""
        with handle_errors(as_json=ctx.meta[AS_JSON_KEY]):
            try:
                return super().invoke(ctx)
            except UsageError as error:
                self._raise_usage_problem(ctx, error)
            except (KeyboardInterrupt, Rejected, OSError, typer.Exit, typer.Abort, ClickError):
                raise
            except BaseException as cause:
                self._raise_plugin_failure(ctx, cause)
                raise

    def _raise_usage_problem(self, ctx: Any, error: Any) -> NoReturn:
        """Raise Rejected for an error of the parser."""
        from robotrain.cli.usage import explain

        remember_secrets(ctx.meta[TYPED_KEY])
        raise Rejected([explain(error, get_plugins(ctx))]) from None

    def _raise_plugin_failure(self, ctx: Any, cause: BaseException) -> None:
        """Raise Rejected for an exception of a plugin; its command may end by SystemExit."""
        failure = find_culprit(get_plugins(ctx).claims, cause)
        if failure and not (isinstance(cause, SystemExit) and failure.claim.family == "command"):
            raise Rejected([failure.make_problem()]) from cause


def _show_version(requested: bool) -> None:
    if requested:
        typer.echo(f"robotrain {__version__}")
        raise typer.Exit


app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(
    cls=RootGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
def root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
    no_plugins: Annotated[bool, typer.Option("--no-plugins", help=NO_PLUGINS_HELP, is_eager=True)] = False,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="NAME", show_default=False, help=WITHOUT_HELP, is_eager=True),
    ] = None,
    plugins_from: Annotated[
        str, typer.Option("--plugins-from", metavar="FOLDER", show_default=False, help=PLUGINS_FROM_HELP, is_eager=True)
    ] = "",
) -> None:
    """Print the help if no command is given. Each of these options works with every command."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def list_plugin_commands(ctx: Any) -> dict[str, str]:
    """Return the commands of plugins, each with its distribution, without importing them."""
    return {claim.name: claim.distribution for claim in list_claims(ctx, "command") if claim.name not in COMMANDS}


def list_claims(ctx: Any, family: str) -> "list[Claim]":
    """Return what plugins claim of a family; nothing if an option names no plugin, since help is shown all the same."""
    try:
        return get_plugins(ctx).list_claims(family)
    except Rejected:
        return []


def run_app() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the encoding may lack characters such as `│`
    try:
        app(prog_name="robotrain")
    except SystemExit as end:
        if network_deadline := sys.modules.get("robotrain.network_deadline"):
            network_deadline.exit_if_abandoned(end.code if isinstance(end.code, int) else bool(end.code))
        raise
