"""The root command: help, global options, and the console script."""

import contextlib
import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from robotrain import __version__
from robotrain.cli.command_factory import (
    ARGUMENTS_KEY,
    CompletionItem,
    UsageError,
    add_context,
    format_help,
    get_plugins,
    load_command,
    split_at_dashes,
)
from robotrain.cli.errors_and_interrupts import handle_errors
from robotrain.cli.output import reserve_results
from robotrain.command_table import ALIASES, COMMANDS
from robotrain.errors import Rejected, raise_if_any
from robotrain.store import files, ownership

ClickError: Any = UsageError.__base__
AS_JSON_KEY = "robotrain.as-json"
WITHOUT_HELP = (
    "Do not load this plugin: a distribution, or a claim (platform.NAME)  [repeatable]  [env: ROBOTRAIN_WITHOUT=A,B]"
)
PLUGINS_FROM_HELP = "Load robotrain_plugin.py of this folder as a plugin  [env: ROBOTRAIN_PLUGINS_FROM]"
HELP = """Describe a robot-learning job once; run it on any platform whose plugin supports it.

  robotrain init --example pusht-mini

  robotrain submit pusht-mini/job.yaml --platform PLATFORM --wait

  robotrain submit --platform PLATFORM --dataset-path ./my-dataset --training-steps 2000

  robotrain status            the state of the newest run
"""
OVERVIEW = """Usage: robotrain COMMAND [OPTIONS]

Commands:
{commands}
{of_plugins}
Begin with:
  robotrain init --example pusht-mini
  robotrain submit pusht-mini/job.yaml --platform PLATFORM --wait

`robotrain COMMAND --help` shows a command's options, `robotrain --help` those
of all commands."""
"""What `robotrain` alone prints: one line a command, of at most 80 columns."""
OVERVIEW_WIDTH = 80


class RootGroup(TyperGroup):
    """The group of all commands; those of plugins are found by their claim `command.NAME`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return robotrain's own commands, in the order of a run's life."""
        return list(COMMANDS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; note its arguments, which may be those of another program.

        While one of robotrain's own runs, only its results go to stdout. Help is printed by Click.
        """
        ctx.meta[ARGUMENTS_KEY] = tuple(args[1:])
        if ALIASES.get(args[0], args[0]) in COMMANDS and not {"-h", "--help"} & {*split_at_dashes(args)[0]}:
            ctx.with_resource(reserve_results())
        if not ctx.resilient_parsing and args[0] != "doctor" and "--help" not in args:  # doctor says it among others
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
                if found := get_plugins(ctx).load_command(cmd_name):
                    return typer.main.get_command(found)
            return TyperCommand(cmd_name, add_help_option=False)
        found = get_plugins(ctx).load_command(cmd_name)
        if found is None:
            from robotrain.cli.parse_errors import explain_unknown_command

            raise Rejected([explain_unknown_command(cmd_name, ctx.meta.get(ARGUMENTS_KEY, ()), get_plugins(ctx))])
        return typer.main.get_command(found)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the commands that begin like this; names of plugins' commands are read without importing them."""
        by_name = list_plugin_commands(ctx)
        from_plugins = [CompletionItem(name, help=by) for name, by in by_name.items() if name.startswith(incomplete)]
        return [*super().shell_complete(ctx, incomplete), *from_plugins]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands from the table: help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        if of_plugins := list_plugin_commands(ctx):
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, f"From {distribution}.") for name, distribution in of_plugins.items()])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the global options; note whether problems are to be printed as JSON."""
        ctx.meta[AS_JSON_KEY] = "--json" in split_at_dashes(args)[0]
        typed = list(args)
        try:
            with add_context(ctx):
                return super().parse_args(ctx, args)
        except UsageError as error:
            from robotrain.cli.parse_errors import explain_early_option, explain_parse_error

            with handle_errors(as_json=ctx.meta[AS_JSON_KEY]):
                raise Rejected([explain_early_option(typed, error) or explain_parse_error(error)]) from None

    def invoke(self, ctx: Any) -> Any:
        """Run the command; report whatever it raises in one way."""
        with handle_errors(as_json=ctx.meta[AS_JSON_KEY]):
            try:
                return super().invoke(ctx)
            except UsageError as error:
                from robotrain.cli.parse_errors import explain_parse_error

                raise Rejected([explain_parse_error(error)]) from None
            except (KeyboardInterrupt, Rejected, OSError, typer.Exit, typer.Abort, ClickError):
                raise
            except BaseException as cause:
                self._raise_plugin_failure(ctx, cause)
                raise

    def _raise_plugin_failure(self, ctx: Any, cause: BaseException) -> None:
        """Raise Rejected for an exception of a plugin; its command may end by SystemExit."""
        from robotrain.plugins.failures import find_culprit

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
    help=format_help(HELP),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
def root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
    no_plugins: Annotated[
        bool, typer.Option("--no-plugins", help="Load no plugins but the built-in ones.  [env: ROBOTRAIN_PLUGINS=none]")
    ] = False,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="NAME", show_default=False, help=WITHOUT_HELP)
    ] = None,
    plugins_from: Annotated[
        str, typer.Option("--plugins-from", metavar="FOLDER", show_default=False, help=PLUGINS_FROM_HELP)
    ] = "",
) -> None:
    """Print the list of commands if no command is given. Each of these options works with every command."""
    if ctx.invoked_subcommand is None:
        of_plugins = list_plugin_commands(ctx)
        names = f"Commands of plugins: {', '.join(of_plugins)}"
        line = f"\n{names if len(names) <= OVERVIEW_WIDTH else f'{names[: OVERVIEW_WIDTH - 1]}…'}\n"
        commands = "\n".join(f"  {name:<11}{summary}" for name, (_, summary) in COMMANDS.items())
        typer.echo(OVERVIEW.format(commands=commands, of_plugins=line if of_plugins else ""))


def list_plugin_commands(ctx: Any) -> dict[str, str]:
    """Return the commands of plugins, each with its distribution, without importing them."""
    try:
        claims = get_plugins(ctx).list_claims("command")
    except Rejected:  # an option names no plugin: help is shown all the same
        return {}
    return {claim.name: claim.distribution for claim in claims if claim.name not in COMMANDS}


def run_app() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the encoding may lack characters such as `│`
    try:
        app(prog_name="robotrain")
    except SystemExit as end:
        if asked := sys.modules.get("robotrain.network_deadline"):
            asked.exit_if_abandoned(end.code if isinstance(end.code, int) else bool(end.code))
        raise
