"""Building blocks of every command."""

import contextlib
import functools
import importlib
import inspect
import re
import shlex
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from robotrain.cli.help_page import HELP_ALL, NOTES_START, HelpPage, format_help
from robotrain.command_table import COMMANDS
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.plugins import manager
from robotrain.plugins.manager import Plugins

PLAIN_WORD = re.compile(r"[a-z]+[ ,]")
"""The first word of a sentence, where it is not a name that is written small: `rw_mount:`, `params/agent.yaml`."""
UsageError: Any = typer.BadParameter.__base__
"""Click's usage error, of which Typer exports only subclasses."""
CompletionItem: Any = vars(typer.core)["CompletionItem"]
PLUGINS_KEY = "robotrain.plugins"
HELP_OPTIONS = frozenset(("-h", "--help", HELP_ALL))
ARGUMENTS_KEY = "robotrain.arguments"
"""Where the root context has the arguments of the command as they were typed."""


class OwnCommand(HelpPage, TyperCommand):
    """A command of robotrain: each of its usage errors has the context, from which it is explained."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments."""
        with add_context(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; the nearest run in place of one that is unknown becomes a line to type."""
        check_typography(ctx)
        with spelling_out_runs(ctx):
            return super().invoke(ctx)

    def suggest_changes(self, flag: str, near: tuple[Suggestion, ...], ctx: Any) -> tuple[Suggestion, ...]:
        """Return what to type instead of an option that the command does not have.

        :param near: the options of this command that are similar to `flag`.
        """
        return near

    def describe_other_options(self, flag: str, ctx: Any) -> str:
        """Return a sentence with options that a user may mean by one that nothing is near to; empty for none."""
        return ""


def check_typography(ctx: Any) -> None:
    """Raise Rejected for a word that begins with the dash of a text, as no run does: `status –json`."""
    typed_words = read_typed_line(ctx)
    pairs = pairwise(typed_words)
    if any(word[:1] in TEXT_DASHES and not previous_word.startswith("-") for previous_word, word in pairs):
        from robotrain.cli import typographic_words  # costs start-up

        if problem := typographic_words.make_typography_problem(typed_words):
            raise Rejected([problem])


TEXT_DASHES = ("\u2013", "\u2014")


@contextlib.contextmanager
def spelling_out_runs(ctx: Any) -> Iterator[None]:
    """Make the nearest run in place of one that is unknown a line to type."""
    try:
        yield
    except Rejected as rejected:
        rejected.problems = tuple(_spell_out(problem, ctx) for problem in rejected.problems)
        raise


def _spell_out(problem: Problem, ctx: Any) -> Problem:
    """Return the problem of an unknown run with the whole line in each of its suggestions of a single word."""
    if problem.code != "run-unknown" or not problem.given:
        return problem
    typed_words = read_typed_line(ctx)
    switches = [spelling for param in ctx.command.params for spelling in param.opts]
    if (switch := f"--{problem.given}") in switches:  # `report all`
        words = [switch if word == problem.given else word for word in typed_words]
        return replace(problem, suggestions=(Suggestion(shlex.join(["robotrain", *words])),))
    corrected_lines = [
        [way.text if word == problem.given else word for word in typed_words] for way in problem.suggestions
    ]
    ways = tuple(
        way._replace(text=shlex.join(["robotrain", *corrected_words]))
        if corrected_words != typed_words and " " not in way.text
        else way
        for way, corrected_words in zip(problem.suggestions, corrected_lines, strict=True)
    )
    return replace(problem, suggestions=ways)


class HelpInTwoSizes:
    """The part of a command whose `--help` shows what is common, and whose `--help-all` shows everything."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note which help is asked for, and parse the arguments."""
        ctx.meta[HELP_ALL] = HELP_ALL in split_at_dashes(args)[0]
        return cast("list[str]", cast("Any", super()).parse_args(ctx, args))

    def get_help_option_names(self, ctx: Any) -> list[str]:
        """Return the spellings of the option, in the order that help shows."""
        return [*ctx.help_option_names, HELP_ALL]

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option that shows either help."""
        option = cast("Any", super()).get_help_option(ctx)
        option.help = "Show help; with --help-all, all of it."
        return option


class CommandGroup(HelpPage, TyperGroup):
    """A command of commands, whose help says in a whole sentence what each of them does."""

    has_commands = True

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


MAX_SUMMARY = 300
"""Characters of the first sentence of a help text, which is shown whole."""


def write_names(formatter: Any, title: str, names: Iterable[str]) -> None:
    """Write a line of names, which are not broken."""
    formatter.write(textwrap.fill(f"{title}: {', '.join(names)}", formatter.width, break_on_hyphens=False) + "\n")


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


def read_typed_line(ctx: Any) -> list[str]:
    """Return the line of a command after `robotrain`, as it was typed."""
    head = ctx.command_path.split()[1:]
    return [*head, *ctx.find_root().meta.get(ARGUMENTS_KEY, ())[len(head) - 1 :]]


def split_at_dashes(args: list[str]) -> tuple[list[str], list[str] | None]:
    """Return the arguments before the first `--` and those after it, None when there is no `--`."""
    if "--" not in args:
        return args, None
    separator = args.index("--")
    return args[:separator], args[separator + 1 :]
