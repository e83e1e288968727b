"""The root command: what `robotrain` offers, and the switches that hold for every command."""

import functools
import io
import os
import sys
from typing import Annotated, Any, cast, get_args

import typer
from typer.core import TyperGroup

from robotrain import __version__
from robotrain.cli.job.compose import partition
from robotrain.cli.made import with_examples
from robotrain.cli.output import guarded
from robotrain.problem import Problem, Rejected, Stage

UsageError: Any = typer.BadParameter.__base__
"""What the parser raises: typer names its children only."""

PLUGINS = "robotrain.plugins"
AS_JSON = "robotrain.as-json"
COMMANDS = {
    "submit": ("submit", "Check a job, render its plan, and send it to a platform."),
    "render": ("render", "Render the plan: exactly what `submit` would send."),
    "explain": ("explain", "Show each value of a job, where it came from, and what it overrode."),
    "runs": ("runs", "The runs that were submitted from here, newest first, and how they are."),
    "status": ("status", "How a run is, why it waits or stopped, what it left, and what to type next."),
    "logs": ("logs", "The log of a run; without -f what there is by now, at once."),
    "watch": ("watch", "Runs as they go on: how far, their loss, what they leave."),
    "wait": ("wait", "Follow runs to their end; the exit code says how they ended."),
    "cancel": ("cancel", "Stop runs, and say what they leave. One that ended already is left as it is."),
    "outputs": ("outputs", "What a run left: its checkpoints and other files; with --to, brought here."),
    "report": ("report", "Write a page about a run: its loss, settings, lineage and checkpoints."),
    "resubmit": ("again", "Send a run's very plan once more, as its next attempt; with --set a changed one."),
    "resume": ("again", "Go on from a run's last complete checkpoint, as a run of its own."),
    "register": ("register", "Make a checkpoint of a run a version of a model in the platform's registry."),
    "platforms": ("catalog", "What each platform takes and can do, as it declares it."),
    "image": ("image", "The Dockerfile of an image that holds what a workload's jobs run in."),
    "schema": ("schema", "The JSON Schema of job.yaml for what is installed; editors complete and check it."),
    "plugins": ("catalog", "What is installed, what it brings, what failed and why."),
    "doctor": ("doctor", "What would stop a submit here, and how to mend it."),
    "cache": ("cache", "What is kept for further runs, when it was last used, and removing what is not."),
}
"""Each command with its module in this package and its line of help; a module is imported when its command is used."""

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
        if ctx.resilient_parsing or cmd_name.startswith("-"):
            return None
        found = plugins_of(ctx).command(cmd_name)
        if found is None:
            raise Rejected([_unknown_command(cmd_name, plugins_of(ctx).names("command"))])
        return typer.main.get_command(found)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list in help, from the table: help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep what was typed, to know whether problems are wanted as data."""
        ctx.meta[AS_JSON] = "--json" in partition(args)[0]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Every command reports what it raises in the same way."""
        with guarded(as_json=ctx.meta[AS_JSON]):
            try:
                return super().invoke(ctx)
            except UsageError as error:
                problem = Problem(code="usage", stage=Stage.USAGE, title=error.format_message().rstrip("."))
                raise Rejected([problem]) from None


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
) -> None:
    """Switches of every command."""


def plugins_of(ctx: Any) -> Any:
    """The plugins of this invocation, found once. Raises PluginError for a mode that does not exist."""
    from robotrain.plugins import Mode, PluginError, Plugins

    top = ctx.find_root()
    if PLUGINS not in top.meta:
        said = [mode for name, mode in MODES.items() if top.params.get(name)]
        mode = said[0] if said else os.environ.get("ROBOTRAIN_PLUGINS") or "all"
        if mode not in get_args(Mode) and ctx.resilient_parsing:
            mode = "all"  # a completion has nobody to tell
        if mode not in get_args(Mode):
            raise PluginError(f"ROBOTRAIN_PLUGINS is one of {', '.join(get_args(Mode))}")
        top.meta[PLUGINS] = Plugins(cast(Mode, mode))
    return top.meta[PLUGINS]


def _unknown_command(name: str, of_plugins: list[str]) -> Problem:
    from robotrain.nearest import offer
    from robotrain.redaction import redact

    known = [*COMMANDS, *of_plugins]
    return Problem(
        code="command-unknown",
        stage=Stage.USAGE,
        title=f"there is no command {redact(name)!r}",
        why=f"Commands: {', '.join(known)}.",
        instead=offer(name, known, before="robotrain "),
    )


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
