"""What the help pages of all commands share: examples, usage lines, and one form of default values."""

import re
from typing import Any, cast

from robotrain.line_edits import DASHES

NO_REWRAP = "\b"
"""Click's mark before a paragraph of help whose lines must not be rewrapped."""
EXAMPLE_START = "robotrain "
MAX_EXAMPLE, INDENTATION, CONTINUATION = 74, 2, 6
"""The longest line of an example, its indentation in the text, and that of what follows it."""
FULL_HELP_MARK = "\f"
"""Stands in the text of a command before what only `--help-all` says."""
NOTES_START = "  ["
"""What stands before the notes at the end of an option's help."""
DEFAULT_NOTE = "default: "
HELP_ALL = "--help-all"


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


def format_examples(lines: Any) -> str:
    """Return a paragraph of lines to type."""
    return "\n".join([NO_REWRAP, *(_break_example(" " * INDENTATION + line) for line in lines)])


def _break_example(command_line: str) -> str:
    """Return a command line that is too long for help on several lines, which can be pasted."""
    position = command_line.rfind(" --", CONTINUATION, MAX_EXAMPLE) if len(command_line) > MAX_EXAMPLE else -1
    if position < 0:
        return command_line
    if command_line[:position].endswith(f" {DASHES}"):  # which begins the next line
        position -= len(DASHES) + 1
    rest = " " * CONTINUATION + command_line[position + 1 :]
    return f"{command_line[:position]} \\\n{_break_example(rest)}"


def format_option_record(record: tuple[str, str]) -> tuple[str, str]:
    """Return the spellings of an option and what help says of it, with its default at the end of the first sentence:
    `How many runs to list (default: 50).`
    """
    spellings, help_text = record
    text, *note_groups = help_text.split(NOTES_START)
    notes = [note for group in note_groups for note in group.rstrip("]").split("; ")]
    default_notes = [note for note in notes if note.startswith(DEFAULT_NOTE)]
    if default_notes and f"({DEFAULT_NOTE}" not in text:
        sentence, stop, more_text = text.partition(". ")
        text = f"{sentence.rstrip('.')} ({default_notes[0]}).{stop[1:]}{more_text}"
    other_notes = [note for note in notes if note not in default_notes]
    spellings = re.sub(r"<([^<>]*\|[^<>]*)>", r"\1", spellings)
    return spellings, text + (f"{NOTES_START}{'; '.join(other_notes)}]" if other_notes else "")


class HelpPage:
    """The part of a command that writes its help page."""

    has_commands = False
    """Whether other commands are below it, so that only its first word is its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; the whole help of a command whose help has one size is its help."""
        before_dashes = args[: args.index(DASHES)] if DASHES in args else args
        last_words = () if self.has_commands else before_dashes[-1:]
        is_whole_help = HELP_ALL in (*before_dashes[:1], *last_words)
        return cast("list[str]", cast("Any", super()).parse_args(ctx, ["--help"] if is_whole_help else args))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the pieces of the usage line: what is required stands there bare, the rest in brackets."""
        pieces = cast("list[str]", cast("Any", super()).collect_usage_pieces(ctx))
        return [re.sub(r"^\{(.*)\}$", r"\1", piece) for piece in pieces]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options."""
        records: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for parameter in cast("Any", self).get_params(ctx):
            if record := parameter.get_help_record(ctx):
                records[parameter.param_type_name].append(format_option_record(record))
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            if records[kind]:
                with formatter.section(title):
                    formatter.write_dl(records[kind])
