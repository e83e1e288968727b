"""The root command: help, global options, and the factory of command apps."""

import contextlib
import functools
import inspect
import io
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from robotrain import __version__
from robotrain.cli.output import handle_errors
from robotrain.command_table import ALIASES, COMMANDS, EVALUATION_WORDS, OTHER_WORDS, REMOVAL_LINES
from robotrain.errors import Problem, Rejected, Suggestion, suggest_name, usage_problem

if TYPE_CHECKING:
    from robotrain.plugins.manager import Plugins

NO_REWRAP = "\b"
"""Click's mark before a paragraph of help whose lines must not be rewrapped."""


MAX_EXAMPLE, CONTINUATION = 74, 6
"""The longest line of an example, and the indentation of what follows it."""


UsageError: Any = typer.BadParameter.__base__
"""Click's usage error, of which Typer exports only subclasses."""


class OwnCommand(TyperCommand):
    """A command of robotrain: each of its usage errors has the context, from which it is explained."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments."""
        with add_context(ctx):
            return super().parse_args(ctx, args)

    def suggest_changes(self, flag: str, near: "tuple[Suggestion, ...]", ctx: Any) -> "tuple[Suggestion, ...]":
        """Return what to type instead of an option that the command does not have.

        :param near: the options of this command that are similar to `flag`.
        """
        return near


@contextlib.contextmanager
def add_context(ctx: Any) -> Iterator[None]:
    """Add a context to usage errors without one."""
    try:
        yield
    except UsageError as error:
        error.ctx = error.ctx or ctx
        raise


def make_app(*commands: Callable[..., None], cls: type[TyperCommand] = OwnCommand) -> typer.Typer:
    """Return the app of a module's commands, of one class; their docstrings are their help."""
    app = make_plain_app()
    for command in commands:
        app.command(cls=cls, help=format_help(inspect.getdoc(command) or ""))(command)
    return app


def format_help(text: str) -> str:
    """Return the help text with the lines of its examples kept: paragraphs that begin with `robotrain`."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(
        f"{NO_REWRAP}\n{_break_example(paragraph)}" if paragraph.lstrip().startswith("robotrain ") else paragraph
        for paragraph in paragraphs
    )


def _break_example(line: str) -> str:
    """Return a command line that is too long for help on several lines, which can be pasted."""
    at = line.rfind(" --", CONTINUATION, MAX_EXAMPLE) if len(line) > MAX_EXAMPLE and "\n" not in line else -1
    return line if at < 0 else f"{line[:at]} \\\n{_break_example(' ' * CONTINUATION + line[at + 1 :])}"


def make_plain_app() -> typer.Typer:
    """Return an app without commands, completion and rich."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


ClickError: Any = UsageError.__base__
CompletionItem: Any = vars(typer.core)["CompletionItem"]
PLUGINS_KEY = "robotrain.plugins"
AS_JSON_KEY = "robotrain.as-json"
ARGUMENTS_KEY = "robotrain.arguments"
RUN_WORD = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")
"""What may be a run, a name of one, or the beginning of either."""
FOREIGN_OPTION = re.compile(r"--?[\w-]*[._]")
"""Options of robotrain have neither dots nor underscores."""

WITHOUT_HELP = (
    "Do not load this plugin: a distribution, or a claim (platform.NAME)  [repeatable]  [env: ROBOTRAIN_WITHOUT=A,B]"
)
PLUGINS_FROM_HELP = "Load robotrain_plugin.py of this folder as a plugin  [env: ROBOTRAIN_PLUGINS_FROM]"
PLUGIN_MODES = {"no_plugins": "none", "strict_plugins": "strict"}

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
        """Find the command; note its arguments, which may be those of another program."""
        ctx.meta[ARGUMENTS_KEY] = tuple(args[1:])
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return one of robotrain's own commands, else a plugin's."""
        if (own_name := ALIASES.get(cmd_name, cmd_name)) in COMMANDS:
            return load_command(own_name)
        if cmd_name.startswith("-"):
            return None
        if ctx.resilient_parsing:
            return _load_command_for_completion(ctx, cmd_name)
        found = get_plugins(ctx).load_command(cmd_name)
        if found is None:
            raise Rejected([_unknown_command_problem(cmd_name, ctx.meta.get(ARGUMENTS_KEY, ()), get_plugins(ctx))])
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
        try:
            with add_context(ctx):
                return super().parse_args(ctx, args)
        except UsageError as error:
            from robotrain.cli.parse_errors import explain_parse_error

            with handle_errors(as_json=ctx.meta[AS_JSON_KEY]):
                raise Rejected([_option_before_command_problem(args, error) or explain_parse_error(error)]) from None

    def invoke(self, ctx: Any) -> Any:
        """Run the command; report whatever it raises in one way."""
        with handle_errors(as_json=ctx.meta[AS_JSON_KEY]):
            try:
                return super().invoke(ctx)
            except UsageError as error:
                from robotrain.cli.parse_errors import explain_parse_error

                raise Rejected([explain_parse_error(error)]) from None
            except Exception as cause:
                self._raise_plugin_failure(ctx, cause)
                raise

    def _raise_plugin_failure(self, ctx: Any, cause: Exception) -> None:
        """Raise Rejected for an exception that a plugin's command should not raise."""
        name = ctx.invoked_subcommand
        if name in COMMANDS or isinstance(cause, (Rejected, OSError, typer.Exit, typer.Abort, ClickError)):
            return
        plugins = get_plugins(ctx)
        if claim := next((claim for claim in plugins.list_claims("command", name) if claim in plugins.loaded), None):
            from robotrain.plugins.failures import make_failure

            raise Rejected([make_failure(claim, cause, f"`robotrain {name}`").make_problem()]) from cause


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
    strict_plugins: Annotated[
        bool,
        typer.Option("--strict-plugins", help="Stop when a plugin fails to load.  [env: ROBOTRAIN_PLUGINS=strict]"),
    ] = False,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="NAME", show_default=False, help=WITHOUT_HELP)
    ] = None,
    plugins_from: Annotated[
        str, typer.Option("--plugins-from", metavar="FOLDER", show_default=False, help=PLUGINS_FROM_HELP)
    ] = "",
) -> None:
    """Print the list of commands when none is given; the options are of every command."""
    if ctx.invoked_subcommand is None:
        typer.echo(_format_overview(list_plugin_commands(ctx)))


def _format_overview(of_plugins: Collection[str]) -> str:
    """Return what `robotrain` alone prints; the commands of plugins share a line."""
    names = f"Commands of plugins: {', '.join(of_plugins)}"
    line = f"\n{names if len(names) <= OVERVIEW_WIDTH else f'{names[: OVERVIEW_WIDTH - 1]}…'}\n"
    commands = "\n".join(f"  {name:<11}{summary}" for name, (_, summary) in COMMANDS.items())
    return OVERVIEW.format(commands=commands, of_plugins=line if of_plugins else "")


def list_plugin_commands(ctx: Any) -> dict[str, str]:
    """Return the commands of plugins, each with its distribution, without importing them."""
    try:
        claims = get_plugins(ctx).list_claims("command")
    except Rejected:  # an option names no plugin: help is shown all the same
        return {}
    return {claim.name: claim.distribution for claim in claims if claim.name not in COMMANDS}


def get_plugins(ctx: Any) -> "Plugins":
    """Return the plugins of this invocation, found once; calls of the Python API within it use the same.

    Raise Rejected when the options name plugins that do not exist.
    """
    from robotrain.plugins import manager

    top = ctx.find_root()
    if PLUGINS_KEY not in top.meta:
        mode = next((mode for name, mode in PLUGIN_MODES.items() if top.params.get(name)), "")
        names = (top.params.get("without") or (), top.params.get("plugins_from") or "")
        choose = manager.choose_plugins_or_default if ctx.resilient_parsing else manager.choose_plugins
        top.meta[PLUGINS_KEY] = plugins = choose(mode, *names)
        if not ctx.resilient_parsing:  # completion closes the context before it asks for candidates
            top.with_resource(manager.use_plugins(plugins))
    return cast("Plugins", top.meta[PLUGINS_KEY])


def _option_before_command_problem(args: list[str], error: Any) -> Problem | None:
    """Return the problem of an option before the command that is not a global option."""
    from robotrain.redaction import redact

    flag = str(getattr(error, "option_name", ""))
    command = next((word for word in args if word in COMMANDS), "")
    if not flag or not command:
        return None
    flag = redact(flag)
    title, ways = f"{flag} is not a global option: put it after the command", [f"robotrain {command} … {flag}"]
    return usage_problem("option-elsewhere", title, flag, suggestions=map(Suggestion, ways))


def _unknown_command_problem(name: str, arguments: Sequence[str], plugins: "Plugins") -> Problem:
    from robotrain.redaction import redact

    known = [*COMMANDS, *plugins.list_names("command")]
    workloads = [known for known in plugins.list_names("workload") if known == name or known.endswith(f"-{name}")]
    ways = list[Suggestion]()
    if line := OTHER_WORDS.get(name):
        title, why = f"robotrain has no command {name!r}", ""
        ways.append(Suggestion(f"robotrain {_fill_in_runs(line, arguments)}", REMOVAL_LINES.get(line, "")))
        if "--prune" in line:
            ways += [Suggestion(f"robotrain {way}", remark) for way, remark in REMOVAL_LINES.items() if way != line]
    elif name in EVALUATION_WORDS and (evaluation := _make_evaluation_command(arguments)):
        title, why = f"robotrain has no command {name!r}", ""
        ways.append(Suggestion(evaluation))
    else:
        title = f"there is no command {redact(name)!r}"
        why = "" if workloads else f"Commands: {', '.join(known)}."
        ways += [Suggestion(f"robotrain submit {workload} …", "runs this workload") for workload in workloads]
        ways = ways or [*suggest_name(name, known, prefix="robotrain ")]
    translations = list(_suggest_translations(workloads, arguments, plugins))
    ways = [*translations, *ways] if any(map(FOREIGN_OPTION.match, arguments)) else [*ways, *translations]
    return usage_problem("command-unknown", title, why=why, suggestions=ways)


def _make_evaluation_command(arguments: Sequence[str]) -> str:
    """Return the line that evaluates the first run that was typed; empty if there is none."""
    from robotrain.cli.evaluation_command import make_evaluation_command
    from robotrain.store import records

    try:
        typed = next((word for word in arguments if RUN_WORD.fullmatch(word)), "")
        return make_evaluation_command(records.read_record(records.find_run(typed))) if typed else ""
    except Rejected:
        return ""


def _fill_in_runs(line: str, arguments: Sequence[str]) -> str:
    """Return a command line with the typed runs in place of its RUNs, as far as there are any."""
    from robotrain.redaction import holds_secret

    typed = [word for word in arguments if RUN_WORD.fullmatch(word) and not holds_secret(word)]
    words = line.split(" ")
    places = [place for place, word in enumerate(words) if word == "RUN"]
    for place, word in zip(places, typed, strict=False):
        words[place] = word
    return " ".join(words)


def _suggest_translations(
    workloads: Sequence[str], arguments: Sequence[str], plugins: "Plugins"
) -> Iterator[Suggestion]:
    """Yield the commands that translate a pasted line of a workload's own program, whose options are not ours."""
    if not any(word.startswith("-") for word in arguments):
        return
    import shlex

    from robotrain.cli.options import load_or_none
    from robotrain.redaction import hide_secret_arguments, redact

    for workload in filter(None, (load_or_none(plugins.workload, name) for name in workloads)):
        if workload.translator:
            words = shlex.join(map(redact, hide_secret_arguments(arguments)))
            line = f"robotrain {workload.translator} -- {workload.name} {words}"
            yield Suggestion(line, "prints robotrain's line for it")


def _load_command_for_completion(ctx: Any, name: str) -> Any:
    """Return a plugin's command for completion; one without options when it fails to load."""
    with contextlib.suppress(Exception):  # whatever a plugin raises
        if found := get_plugins(ctx).load_command(name):
            return typer.main.get_command(found)
    return TyperCommand(name, add_help_option=False)


@functools.cache
def load_command(name: str) -> Any:
    """Import one of robotrain's own commands; its module's Typer app has only it, or several by name."""
    import importlib

    module = importlib.import_module(f"robotrain.cli.commands.{COMMANDS[name][0]}")
    command = module.app if isinstance(module.app, TyperCommand) else typer.main.get_command(module.app)
    return command.commands[name] if isinstance(command, TyperGroup) else command


def run_app() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the encoding may lack characters such as `│`
    try:
        app(prog_name="robotrain")
    except SystemExit as end:
        calls = sys.modules.get("robotrain.plugins.calls")
        if calls is not None and calls.has_abandoned_calls():  # a plugin that hangs must not delay the exit
            calls.exit_process(end.code if isinstance(end.code, int) else bool(end.code))
        raise


def split_at_dashes(args: list[str]) -> tuple[list[str], list[str] | None]:
    """Return the arguments before the first `--` and those after it, None when there is no `--`."""
    if "--" not in args:
        return args, None
    at = args.index("--")
    return args[:at], args[at + 1 :]
