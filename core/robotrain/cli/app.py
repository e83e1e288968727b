"""The root command: what `robotrain` offers, and the switches that hold for every command."""

import functools
import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from robotrain import __version__
from robotrain.cli.commands import COMMANDS
from robotrain.cli.job.compose import partition
from robotrain.cli.made import with_examples
from robotrain.cli.output import guarded
from robotrain.problem import Instead, Problem, Rejected, Stage

UsageError: Any = typer.BadParameter.__base__
"""What the parser raises: typer names its children only."""

ClickError: Any = UsageError.__base__
CompletionItem: Any = vars(typer.core)["CompletionItem"]
PLUGINS = "robotrain.plugins"
AS_JSON = "robotrain.as-json"

MODES = {"no_plugins": "none", "strict_plugins": "strict"}

HELP = """Describe a robot-learning job once; run it on any platform that declares it can.

  robotrain submit examples/pusht-mini/job.yaml --platform PLATFORM --wait

  robotrain submit --platform PLATFORM --dataset-path ./my-dataset --training-steps 2000

  robotrain status            how the newest run is

Plugins may bring further commands: `robotrain plugins` lists them.
"""


class Root(TyperGroup):
    """The group; commands of plugins are found by their claim `command.NAME`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Our own, in the order of a run's life."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One of our own, imported now; else a plugin's."""
        if cmd_name in COMMANDS:
            return _own(cmd_name)
        if cmd_name.startswith("-"):
            return None
        if ctx.resilient_parsing:
            return _to_complete(ctx, cmd_name)
        found = plugins_of(ctx).command(cmd_name)
        if found is None:
            raise Rejected([_unknown_command(cmd_name, plugins_of(ctx))])
        return typer.main.get_command(found)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """What may follow: of plugins the names they claim, for which none is imported."""
        claims = [claim for claim in plugins_of(ctx).claims if claim.family == "command"]
        brought = {claim.name: claim.distribution for claim in claims if claim.name not in COMMANDS}
        theirs = [CompletionItem(name, help=by) for name, by in brought.items() if name.startswith(incomplete)]
        return [*super().shell_complete(ctx, incomplete), *theirs]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list in help, from the table: help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep what was typed, to know whether problems are wanted as data."""
        ctx.meta[AS_JSON] = "--json" in partition(args)[0]
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            if (found := _before_the_command(args, error)) is None:
                raise
            with guarded(as_json=ctx.meta[AS_JSON]):
                raise Rejected([found]) from None

    def invoke(self, ctx: Any) -> Any:
        """Every command reports what it raises in the same way."""
        with guarded(as_json=ctx.meta[AS_JSON]):
            try:
                return super().invoke(ctx)
            except UsageError as error:
                problem = Problem(code="usage", stage=Stage.USAGE, title=error.format_message().rstrip("."))
                raise Rejected([problem]) from None
            except Exception as cause:
                self._told(ctx, cause)
                raise

    def _told(self, ctx: Any, cause: Exception) -> None:
        """Raises Rejected for what a plugin's command should not raise."""
        name = ctx.invoked_subcommand
        if name in COMMANDS or isinstance(cause, (Rejected, OSError, typer.Exit, typer.Abort, ClickError)):
            return
        if claim := plugins_of(ctx).command_claim(name):
            from robotrain.loading.failure import Broken, failed

            raise Broken(failed(claim, cause, f"`robotrain {name}`")) from cause


app = typer.Typer(
    cls=Root,
    help=with_examples(HELP),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"robotrain {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
    no_plugins: Annotated[
        bool, typer.Option("--no-plugins", help="Only what robotrain comes with.  [env: ROBOTRAIN_PLUGINS=none]")
    ] = False,
    strict_plugins: Annotated[
        bool,
        typer.Option("--strict-plugins", help="Stop when a plugin fails to load.  [env: ROBOTRAIN_PLUGINS=strict]"),
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Leave a plugin out: a distribution, or a claim (platform.NAME)  [repeatable]"
            "  [env: ROBOTRAIN_WITHOUT=A,B]",
        ),
    ] = None,
    plugins_from: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            show_default=False,
            help="Load robotrain_plugin.py of this folder, as a plugin  [env: ROBOTRAIN_PLUGINS_FROM]",
        ),
    ] = "",
) -> None:
    """Switches of every command."""


def plugins_of(ctx: Any) -> Any:
    """The plugins of this invocation, found once, and those of every call from Python that it comes to. Raises Rejected
    for a choice of them that cannot be had.
    """
    from robotrain.loading import choice

    top = ctx.find_root()
    if PLUGINS not in top.meta:
        said = next((mode for name, mode in MODES.items() if top.params.get(name)), "")
        named = (top.params.get("without") or (), top.params.get("plugins_from") or "")
        choose = choice.leniently if ctx.resilient_parsing else choice.chosen
        top.meta[PLUGINS] = found = choose(said, *named)
        if not ctx.resilient_parsing:  # which closes the context before it asks
            top.with_resource(choice.of_command(found))
    return top.meta[PLUGINS]


def _before_the_command(args: list[str], error: Any) -> Problem | None:
    """An option that stands before the command, and is none of `robotrain` itself."""
    from robotrain.redaction import redact

    flag = str(getattr(error, "option_name", ""))
    command = next((word for word in args if word in COMMANDS), "")
    if not flag or not command:
        return None
    flag = redact(flag)
    title = f"{flag} stands before the command, and is no option of robotrain itself"
    ways = (Instead(f"robotrain {command} … {flag}"),)
    return Problem(code="option-elsewhere", stage=Stage.USAGE, title=title, where=flag, instead=ways)


def _unknown_command(name: str, plugins: Any) -> Problem:
    from robotrain.nearest import offer
    from robotrain.redaction import redact

    known = [*COMMANDS, *plugins.names("command")]
    workloads = [one for one in plugins.names("workload") if one == name or one.endswith(f"-{name}")]
    runs = tuple(Instead(f"robotrain submit {one} …", "a workload, which is submitted") for one in workloads)
    return Problem(
        code="command-unknown",
        stage=Stage.USAGE,
        title=f"there is no command {redact(name)!r}",
        why=f"Commands: {', '.join(known)}.",
        instead=runs or offer(name, known, before="robotrain "),
    )


def _to_complete(ctx: Any, name: str) -> Any:
    """A plugin's command for the TAB key, which has nobody to tell what is wrong with it; one without options then."""
    try:
        if found := plugins_of(ctx).command(name):
            return typer.main.get_command(found)
    except Exception:  # whatever a plugin raises
        pass
    return TyperCommand(name, add_help_option=False)


@functools.cache
def _own(name: str) -> Any:
    """A command of ours. Its module has a Typer app of that one command, or of several with their names."""
    import importlib

    module = importlib.import_module(f"robotrain.cli.{COMMANDS[name][0]}")
    built = typer.main.get_command(module.app)
    return built.commands[name] if isinstance(built, TyperGroup) else built


def run() -> None:
    """The console script, past its fast path."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no `│` is told all the same
    try:
        app(prog_name="robotrain")
    except SystemExit as ended:
        limited = sys.modules.get("robotrain.limited")
        if limited is not None and limited.left_behind():  # a plugin that hangs does not hold the command's end
            limited.end(ended.code if isinstance(ended.code, int) else bool(ended.code))
        raise
