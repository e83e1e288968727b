"""A Typer command whose options are composed from what its arguments choose.

Only public seams of Typer are used, so that its versions with and without a vendored click work alike:
`make_context`, `make_parser`, `parse_args`, `format_options`, and functions with a made signature.
"""

import inspect
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

AFTER_DASHES = "robotrain.after-dashes"
ORDER = "robotrain.order"
Known = Callable[[str], Sequence[str]]
"""What the beginning of a text may go on to."""

SETTINGS = {
    "ignore_unknown_options": True,  # they are collected, so that all are reported at once
    "allow_extra_args": True,
    "help_option_names": ["-h", "--help"],
}


def text_option(
    name: str, flags: tuple[str, ...], help: str, panel: str, metavar: str = "TEXT", choices: tuple[str, ...] = ()
) -> inspect.Parameter:
    """An option that takes text; every value stays text until it is resolved."""

    def known(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return _option(name, str | None, flags, help, panel, metavar, known if choices else None)


def list_option(
    name: str, flags: tuple[str, ...], help: str, panel: str, metavar: str = "TEXT", known: Known | None = None
) -> inspect.Parameter:
    """An option that may be repeated. known: what the TAB key offers."""
    return _option(name, list[str] | None, flags, help, panel, metavar, known)


def switch(name: str, flags: tuple[str, ...], help: str, panel: str) -> inspect.Parameter:
    """An option without a value; None when it is not given."""
    return _option(name, bool | None, flags, help, panel, None, None)


def words_argument(metavar: str, known: Callable[[], Iterable[str]] = tuple) -> inspect.Parameter:
    """The arguments that are no options, and the unknown options among them. known: what the TAB key offers."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in known() if word.startswith(incomplete)]

    return inspect.Parameter(
        "words",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=Annotated[
            list[str] | None, typer.Argument(metavar=metavar, show_default=False, autocompletion=complete)
        ],
    )


def _option(
    name: str,
    kind: Any,
    flags: tuple[str, ...],
    help: str,
    panel: str,
    metavar: str | None,
    known: Known | None,
) -> inspect.Parameter:
    def complete(incomplete: str) -> list[str]:
        return list(known(incomplete)) if known else []

    option = typer.Option(
        *flags,
        help=help,
        rich_help_panel=panel,
        metavar=metavar,
        show_default=False,
        autocompletion=complete if known else None,
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option])


def guessed(args: list[str]) -> tuple[dict[str, str], list[str]]:
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
        head, tail = partition(args)
        chosen = self.choose(*guessed(head), parent)  # right at once for most command lines
        built, tried = self.built_for(chosen, parent), [chosen]
        while (found := self.choice(built, self.filled(head, parent), parent)) != chosen:
            chosen, built = found, self.built_for(found, parent)
            if found in tried:
                break
            tried.append(found)
        context = TyperCommand.make_context(built, info_name, self.filled(head, parent), parent, **extra)
        context.meta[AFTER_DASHES] = tail
        return context

    def built_for(self, chosen: Any, parent: Any) -> "ComposedCommand":
        """This command with the options of a choice."""
        parameters = self.compose(chosen, parent)

        def run(ctx: typer.Context, **given: Any) -> Any:
            return self.act(ctx, chosen, given)

        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        run.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
        run.__annotations__ = {"ctx": typer.Context, **{one.name: one.annotation for one in parameters}}
        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        app.command(self.name, cls=type(self), epilog=self.epilog, help=self.help, context_settings=SETTINGS)(run)
        built = get_command(app)
        assert isinstance(built, ComposedCommand)
        return built

    def choice(self, built: "ComposedCommand", args: list[str], parent: Any) -> Any:
        """What `args` choose, as the options of `built` read them."""
        probe = built.context_class(built, resilient_parsing=True, **built.context_settings)
        values, rest, _ = built.make_parser(probe).parse_args(list(args))
        words = values.get("words")
        return self.choose(values, [*(words if isinstance(words, (list, tuple)) else ()), *rest], parent)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the order of the options across their names, which only the parser knows."""
        if not ctx.resilient_parsing and not {"-h", "--help"} & set(args):
            _, _, order = self.make_parser(ctx).parse_args(list(args))
            ctx.meta[ORDER] = [parameter.name for parameter in order]
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

    def filled(self, args: list[str], parent: Any) -> list[str]:
        """`args` as the options composed last read them: with the values of those that may stand without one."""
        return args

    def choose(self, values: dict[str, Any], words: list[str], parent: Any) -> Any:
        """The choice that parsed values stand for; compared with ==."""
        raise NotImplementedError

    def compose(self, chosen: Any, parent: Any) -> list[inspect.Parameter]:
        """The arguments and options of a choice."""
        raise NotImplementedError

    def act(self, ctx: typer.Context, chosen: Any, given: dict[str, Any]) -> Any:
        """Do it."""
        raise NotImplementedError


def partition(args: list[str]) -> tuple[list[str], list[str] | None]:
    """What stands before the first `--`, and what after it; None when there is none."""
    if "--" not in args:
        return args, None
    at = args.index("--")
    return args[:at], args[at + 1 :]
