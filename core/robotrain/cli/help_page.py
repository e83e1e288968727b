"""What the help pages of all commands share: examples, usage lines, and help in two sizes."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, cast

from robotrain.config.values import DASHES

NO_REWRAP = "\b"
"""Click's mark before a paragraph of help whose lines must not be rewrapped."""
EXAMPLE_START = "robotrain "
MAX_EXAMPLE = 74
FULL_HELP_MARK = "\f"
"""Stands in the text of a command before what only `--help-all` says."""
NOTES_START = "  ["
"""What stands before the notes at the end of an option's help."""
DEFAULT_NOTE = "default: "
HELP_ALL = "--help-all"
HELP_OPTIONS = frozenset(("-h", "--help", HELP_ALL))


def format_help(text: str) -> str:
    """Return the help text of a command with its examples, paragraphs that begin with `robotrain`, in one paragraph
    whose lines are kept.
    """
    paragraphs = list[str]()
    for paragraph in text.strip(" \n").split("\n\n"):
        if not paragraph.lstrip().startswith(EXAMPLE_START):
            paragraphs.append(paragraph)
            continue
        examples = format_examples(line.strip(" ") for line in paragraph.split("\n"))
        if paragraphs and paragraphs[-1].startswith(NO_REWRAP):
            paragraphs[-1] += examples.removeprefix(NO_REWRAP)
        else:
            paragraphs.append(examples)
    return "\n\n".join(paragraphs)


def format_examples(lines: Iterable[str]) -> str:
    """Return a paragraph of lines to type; a long one is broken before an option, so that it can be pasted."""
    return "\n".join([NO_REWRAP, *(_break_example(f"  {line}") for line in lines)])


def _break_example(line: str) -> str:
    position = line.rfind(" --", 6, MAX_EXAMPLE) if len(line) > MAX_EXAMPLE else -1
    return line if position < 0 else f"{line[:position]} \\\n{_break_example(' ' * 6 + line[position + 1 :])}"


def format_record(record: tuple[str, str], *, is_short: bool = False) -> tuple[str, str]:
    """Return the spellings of an option and what help says of it, with its default at the end of the first sentence:
    `How many runs to list (default: 50).` In short, one long spelling, the first sentence, and whether it is required.
    """
    spellings, help_text = record
    text, *note_groups = help_text.split(NOTES_START)
    notes = [note for group in note_groups for note in group.rstrip("]").split("; ")]
    sentence, _, more_text = text.partition(". ")
    sentence = sentence.rstrip(".")
    for note in [note for note in notes if note.startswith(DEFAULT_NOTE)]:
        notes.remove(note)
        sentence += "" if f"({DEFAULT_NOTE}" in text else f" ({note})"
    if is_short:
        spellings = re.sub(r"(--[\w-]+)(, --[\w-]+)+", r"\1", spellings)
        more_text, notes = "", [note for note in notes if note == "required"]
    text = " ".join(filter(None, (f"{sentence}.", more_text)))
    return spellings, text + (f"{NOTES_START}{'; '.join(notes)}]" if notes else "")


def write_sections(formatter: Any, parameters: Sequence[Any], ctx: Any, *, is_short: bool = False) -> None:
    """Write what help says of parameters, by the panel of each."""
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in parameters:
        if record := parameter.get_help_record(ctx):
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panel = getattr(parameter, "rich_help_panel", None) or kind
            spellings, text = format_record(record, is_short=is_short)
            panels.setdefault(panel, []).append((re.sub(r"<([^<>]*\|[^<>]*)>", r"\1", spellings), text))
    for title, records in panels.items():
        with formatter.section(title):
            formatter.write_dl(records, col_max=24 if is_short else 30)


def write_names(formatter: Any, title: str, names: Iterable[str]) -> None:
    """Write a line of names, which are not broken."""
    formatter.write(textwrap.fill(f"{title}: {', '.join(names)}", formatter.width, break_on_hyphens=False) + "\n")


class WholeHelp:
    """The part of a command that takes `--help-all`, too; of one whose help has one size, that is its help."""

    def get_help_option_names(self, ctx: Any) -> list[str]:
        """Return the spellings of the option, in the order that help shows."""
        return [*ctx.help_option_names, HELP_ALL]


class HelpPage(WholeHelp):
    """The part of a command that writes its help page."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the pieces of the usage line: what is required stands there bare, the rest in brackets."""
        pieces = cast("list[str]", cast("Any", super()).collect_usage_pieces(ctx))
        return [re.sub(r"^\{(.*)\}$", r"\1", piece) for piece in pieces]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options."""
        write_sections(formatter, cast("Any", self).get_params(ctx), ctx)


class HelpInTwoSizes(WholeHelp):
    """The part of a command whose `--help` shows what is common, and whose `--help-all` shows everything."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note which help is asked for, and parse the arguments."""
        ctx.meta[HELP_ALL] = HELP_ALL in (args[: args.index(DASHES)] if DASHES in args else args)
        return cast("list[str]", cast("Any", super()).parse_args(ctx, args))

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option that shows either help."""
        option = cast("Any", super()).get_help_option(ctx)
        option.help = "Show help; with --help-all, all of it."
        return option
