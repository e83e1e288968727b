"""Building blocks of every command."""

import contextlib
import functools
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from robotrain.cli.help_page import NOTES_START, HelpPage, format_help
from robotrain.command_table import COMMANDS
from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages
from robotrain.plugins import manager
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact

make_problem = Messages(__file__)

PLAIN_WORD = re.compile(r"[a-z]+[ ,]")
"""The first word of a sentence, where it is not a name that is written small: `rw_mount:`, `params/agent.yaml`."""
UsageError: Any = typer.BadParameter.__base__
"""Click's usage error, of which Typer exports only subclasses."""
CompletionItem: Any = vars(typer.core)["CompletionItem"]
PLUGINS_KEY = "robotrain.plugins"
AFTER_DASHES_KEY = "robotrain.after-dashes"


class OwnCommand(HelpPage, TyperCommand):
    """A command of robotrain: each of its usage errors has the context, from which it is explained."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments."""
        with add_context(ctx):
            return super().parse_args(ctx, args)


class TrainerArgsCommand(OwnCommand):
    """A command that takes words after `--`, options for the trainer, which it finds under AFTER_DASHES_KEY."""

    after_dashes = "[-- OPTIONS...]"
    """What the usage line has for them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before the `--`."""
        args, ctx.meta[AFTER_DASHES_KEY] = split_at_dashes(args)
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return [*super().collect_usage_pieces(ctx), self.after_dashes]


class CommandGroup(HelpPage, TyperGroup):
    """A command of commands, whose help says in a whole sentence what each of them does."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; raise Rejected for an unknown one."""
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            path = " ".join(["robotrain", *ctx.command_path.split()[1:]])
            raise Rejected([make_unknown_command_problem(path, args[0], self.list_commands(ctx))])
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options and the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands with the first sentence of their help."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(MAX_SUMMARY)) for name, command in commands if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def make_unknown_command_problem(path: str, name: str, commands: Iterable[str]) -> Problem:
    """Return the problem of a word that is no command.

    :param path: what stands before it: `robotrain`, `robotrain pipeline`.
    """
    from robotrain.nearest_name import suggest_name  # costs start-up

    names = list(commands)
    ways = suggest_name(name, names, prefix=f"{path} ")
    reason = "" if ways else f"Commands: {', '.join(names)}."
    return make_problem("command-unknown", *ways, path=path, name=redact(name), why=reason)


MAX_SUMMARY = 300
"""Characters of the first sentence of a help text, which is shown whole."""


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


def make_plain_app() -> typer.Typer:
    """Return an app without commands, completion and rich."""
    return typer.Typer(cls=CommandGroup, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def format_sentence(text: str) -> str:
    """Return what help says of an option as a sentence: a capital letter first, and a full stop before its notes."""
    sentence, bracket, notes = text.partition(NOTES_START)
    if not sentence:
        return text
    if PLAIN_WORD.match(sentence):
        sentence = f"{sentence[0].upper()}{sentence[1:]}"
    return f"{sentence.rstrip('.')}.{bracket}{notes}"


def get_plugins(ctx: Any) -> "Plugins":
    """Return the plugins of this invocation, found once; calls of the Python API within it use the same.

    Raise Rejected when the options name plugins that do not exist.
    """
    top = ctx.find_root()
    if PLUGINS_KEY not in top.meta:
        mode = "none" if top.params.get("no_plugins") else ""
        plugin_options = (top.params.get("without") or (), top.params.get("plugins_from") or "")
        choose = manager.choose_plugins_or_default if ctx.resilient_parsing else manager.choose_plugins
        top.meta[PLUGINS_KEY] = plugins = choose(mode, *plugin_options)
        if not ctx.resilient_parsing:  # completion closes the context before it asks for candidates
            top.with_resource(manager.use_plugins(plugins))
    return cast("Plugins", top.meta[PLUGINS_KEY])


@functools.cache
def load_command(name: str) -> Any:
    """Import one of robotrain's own commands; its module's Typer app has only it, or several by name."""
    module = importlib.import_module(f"robotrain.cli.commands.{COMMANDS[name][0]}")
    command = module.app if isinstance(module.app, TyperCommand) else typer.main.get_command(module.app)
    return command.commands[name] if isinstance(command, TyperGroup) else command


def split_at_dashes(args: list[str]) -> tuple[list[str], list[str] | None]:
    """Return the arguments before the first `--` and those after it, None when there is no `--`."""
    if "--" not in args:
        return args, None
    separator = args.index("--")
    return args[:separator], args[separator + 1 :]
