"""What a suggestion does to a line: its text is read here, for people, programs, trials and tests alike.

The text of a suggestion is one of

- `robotrain COMMAND …`: the whole line;
- options, `--flag value -- --trainer.option=value`: each takes the place of the option of its name, else it is added.
  For a problem of the arguments after `--`, options in the trainer's form (`--a.b=1`, `a.b=1`) stand after `--` too;
- `-- PROGRAM ARGUMENTS`, for a problem of what stands before `--`, or behind options: the whole command after it;
- a word, which takes the place of the word that the problem names as given;
- `leave out --flag`: nothing is added.

What the suggestion `replaces` is left out, with its values.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from robotrain.errors import LEAVE_OUT, Problem, Suggestion
from robotrain.redaction import can_repeat

PROGRAM = "robotrain"
DASHES = "--"
AFTER_DASHES = (DASHES, "after --")
"""Where problems of the arguments after `--` are."""
KEYED_FLAGS = ("--set", "--over", "--param")
"""Options that may be repeated, each time with another `KEY=VALUE`: their names have the key, as in `--set=seed`."""
ELLIPSIS = re.compile(r"…|\.\.\.")
CAPITALS = re.compile(r"(?<![\w\"-])[A-Z][A-Z_-]*(?![\w-])")
"""A word in capitals without digits: `OWNER/NAME`, `N`, but not `T4`, `Isaac-UR10-v0` or, in JSON, `"MEAN_STD"`."""
OPTION = re.compile(r"--?[A-Za-z][^\s=]*(?:=|\Z)")
"""How an option of robotrain begins; a negative number is a value, and so is a quoted text of several words."""
TRAINER_OPTION = re.compile(r"--[\w-]*[._=].*|[A-Za-z_+~][\w.@/+~-]*=.*", re.DOTALL)


def suggest_line(words: Iterable[str], after: Sequence[str] = (), remark: str = "") -> list[Suggestion]:
    """Return a whole line of robotrain; none if it may hold a secret.

    :param after: what stands after `--`.
    """
    text = shlex.join([PROGRAM, *words, *([DASHES, *after] if after else [])])
    return [Suggestion(text, remark)] if can_repeat(text) else []


class LineOptions(NamedTuple):
    """What is known about the options of a command."""

    names: Mapping[str, str] = {}
    """The name of each option by its spellings, of which it may have several; one that is absent is its own name."""
    switches: frozenset[str] = frozenset()
    """The spellings of options that take no value."""


UNKNOWN_OPTIONS = LineOptions()


class TypedOption(NamedTuple):
    """An option as it was typed, or a word that is none, which has no name."""

    name: str
    words: tuple[str, ...]
    is_after: bool = False
    """Whether it stands after `--`."""

    @property
    def value(self) -> str:
        """The value, of a keyed option with its key; empty if there is none."""
        _, equals, value = self.words[0].partition("=")
        return value if equals else " ".join(self.words[1:])


class Edit(NamedTuple):
    """What a suggestion changes in a line; nothing if its text is about something else."""

    line: tuple[str, ...] = ()
    """The whole line, after `robotrain`."""
    options: tuple[TypedOption, ...] = ()
    """Those that are set, or the word that takes the place of another."""
    left_out: tuple[str, ...] = ()
    """The names of those that go."""

    @property
    def is_removal(self) -> bool:
        """Whether something goes, and nothing comes."""
        return bool(self.left_out) and not self.options

    @property
    def flags(self) -> list[str]:
        """The options before `--` that are set, as they are spelt."""
        return [option.words[0].partition("=")[0] for option in self.options if option.name and not option.is_after]


def read_edit(way: Suggestion, options: LineOptions = UNKNOWN_OPTIONS) -> Edit:
    """Return what a suggestion does."""
    omitted_options = tuple(way.replaces.split())
    if way.text.startswith(LEAVE_OUT):
        return Edit(left_out=omitted_options)
    try:
        typed_words = shlex.split(way.text)
    except ValueError:
        return Edit()
    if typed_words[:1] == [PROGRAM]:
        return Edit(line=tuple(typed_words[1:]))
    return Edit(options=tuple(split_line(typed_words, options)), left_out=omitted_options)


def edit_line(
    words: Sequence[str], problem: Problem, way: Suggestion, options: LineOptions = UNKNOWN_OPTIONS
) -> list[str] | None:
    """Return a refused line with a suggestion applied; None if something in that is still to be chosen, or if it is
    about something else than the line: a file, a variable, another program.

    :param words: the line after `robotrain`.
    :param problem: the problem whose suggestion it is.
    """
    edit = read_edit(way, options)
    if find_placeholders(way.text, words) or edit == Edit():
        return None
    if edit.line:
        return [*edit.line]
    is_after = is_about_trainer(problem)
    new_options = [*edit.options]
    if is_after and not any(option.is_after for option in new_options):
        new_options = [moved_option for option in new_options for moved_option in _move_after(option)]
    if len(new_options) == 1 and not new_options[0].name and not TRAINER_OPTION.fullmatch(new_options[0].words[0]):
        return _replace_word(words, problem.given, new_options[0].words[0])
    typed_line = _Line(words, options, is_after)
    command = [option for option in new_options if option.is_after]
    is_command = bool(command) and not command[0].name and (not is_after or len(command) < len(new_options))
    if is_command:
        typed_line.set_command(command)
        new_options = [option for option in new_options if not option.is_after]
    options_by_key: dict[tuple[str, bool], list[TypedOption]] = {}
    for option in new_options:
        options_by_key.setdefault((option.name, option.is_after), []).append(option)
    is_clear = all(option.name for option in new_options)
    is_clear = is_clear and all(
        [typed_line.set_option(group, problem.given, edit.left_out) for group in options_by_key.values()]
    )
    return (
        typed_line.join()
        if is_clear and all([typed_line.remove(name, new_options) for name in edit.left_out])
        else None
    )


def repeat_after_dashes(way: Suggestion, after_words: Sequence[str]) -> Suggestion:
    """Return a suggestion of options after `--` with all that the line has there; any other as it is."""
    edit = read_edit(way)
    is_addition = bool(edit.options) and all(option.is_after and option.name for option in edit.options)
    if not after_words or not is_addition or ELLIPSIS.search(way.text):
        return way
    typed_line = _Line([DASHES, *after_words], UNKNOWN_OPTIONS, is_after=True)
    names = {option.name for option in typed_line.options}
    left_out = [name for name in edit.left_out if name in names]
    if names <= {option.name for option in edit.options}:
        return way
    if not all([typed_line.set_option([option], "", left_out) for option in edit.options]):
        return way
    if not all([typed_line.remove(name, edit.options) for name in left_out]):
        return way
    text = shlex.join(typed_line.join())
    return way._replace(text=text) if can_repeat(text) else way


def complete_suggestions(problems: Sequence[Problem], after_words: Sequence[str]) -> list[Problem]:
    """Return problems whose suggestions of options after `--` have all that the line has there; unchanged if several
    have some, because each would repeat what the others are about.
    """
    completed = [
        replace(problem, suggestions=tuple(repeat_after_dashes(way, after_words) for way in problem.suggestions))
        for problem in problems
    ]
    changed = [problem for problem, original in zip(completed, problems, strict=True) if problem != original]
    return completed if len(changed) < 2 else [*problems]


def is_about_trainer(problem: Problem) -> bool:
    """Return whether a problem is about the arguments after `--`."""
    return problem.where.rpartition(": ")[2] in AFTER_DASHES  # `step train: --`, `seed=1: --`


def find_placeholders(text: str, words: Iterable[str] = ()) -> list[str]:
    """Return what stands in a suggestion for something that is to be chosen: words in capitals that the line itself
    does not have, also in small letters, and `…`.
    """
    typed_placeholders = {
        placeholder
        for word in words
        for placeholder in (*CAPITALS.findall(word), word.upper(), word.partition("=")[2].upper())
    }
    return [
        *ELLIPSIS.findall(text),
        *(placeholder for placeholder in CAPITALS.findall(text) if placeholder not in typed_placeholders),
    ]


class _Line:
    """A line, whose options are changed."""

    def __init__(self, words: Sequence[str], options: LineOptions, is_after: bool) -> None:
        self.names, self.is_after = options.names, is_after
        self.options = [*split_line(words, options)]

    def set_command(self, new_words: Sequence[TypedOption]) -> None:
        """Put a command in the place of what stands after `--`."""
        self.options = [*(option for option in self.options if not option.is_after), *new_words]

    def set_option(self, new_options: Sequence[TypedOption], old_word: str, omitted_options: Sequence[str]) -> bool:
        """Put an option in the place of those of its name, else before one that is left out, else at the end; return
        whether it is clear which is meant.

        :param new_options: the option, several times if it is given so.
        :param old_word: of several ones that with this value or text is meant; empty if all are.
        """
        option = new_options[0]
        part = [
            (position, other_option)
            for position, other_option in enumerate(self.options)
            if other_option.is_after == option.is_after
        ]
        places = [position for position, other_option in part if other_option.name == option.name]
        if len(places) > 1 and old_word:
            places = [
                position
                for position in places
                if old_word in (self.options[position].value, *self.options[position].words)
            ]
            if len(places) != 1:
                return False
        if places:
            other_options = [
                other_option for position, other_option in enumerate(self.options) if position not in places
            ]
            self.options = [*other_options[: places[0]], *new_options, *other_options[places[0] :]]
        else:
            omitted_positions = [
                position
                for position, other_option in part
                if {other_option.name, *other_option.words[:1]} & {*omitted_options}
            ]
            end_index = (
                len(self.options)
                if option.is_after
                else sum(not other_option.is_after for other_option in self.options)
            )
            index = omitted_positions[0] if omitted_positions else end_index
            self.options[index:index] = new_options
        return True

    def remove(self, name: str, new: Sequence[TypedOption]) -> bool:
        """Remove an option or word, from the part that the problem is about if it is there; return whether there was
        one. One of `new` stays where it was put.
        """
        own_options = [option for option in new if not option.is_after]
        are_switches = bool(own_options) and all(
            len(option.words) == 1 and "=" not in option.words[0] for option in own_options
        )
        for is_after in (self.is_after, not self.is_after):
            key = (name if is_after else self.names.get(name, name), is_after)
            if any((option.name, option.is_after) == key for option in new):
                return is_after == self.is_after
            matches = [option for option in self.options if (option.name or option.words[0], option.is_after) == key]
            for option in matches:
                index = self.options.index(option)  # what looks like its value is a word after a switch
                self.options[index : index + 1] = [
                    TypedOption("", (word,)) for word in option.words[1:] if are_switches
                ]
            if matches:
                return True
        return False

    def join(self) -> list[str]:
        before_dashes, after_dashes = (
            [word for option in self.options if option.is_after == is_after for word in option.words]
            for is_after in (0, 1)
        )
        return [*before_dashes, *([DASHES, *after_dashes] if after_dashes else [])]


def split_line(words: Sequence[str], options: LineOptions = UNKNOWN_OPTIONS) -> Iterator[TypedOption]:
    """Yield the options of a line, and the words between them."""
    dashes_index = list(words).index(DASHES) if DASHES in words else len(words)
    remaining_words = list(words[:dashes_index])
    while remaining_words:
        word = remaining_words.pop(0)
        flag, equals, value = word.partition("=")
        if not OPTION.match(word):
            yield TypedOption("", (word,))
            continue
        takes_value = not (equals or flag in options.switches or flag.startswith("--no-"))
        value_words = (
            [remaining_words.pop(0)] if takes_value and remaining_words and not OPTION.match(remaining_words[0]) else []
        )
        name = options.names.get(flag, flag)
        if flag in KEYED_FLAGS:
            name += "=" + (value if equals else "".join(value_words)).partition("=")[0]
        yield TypedOption(name, (word, *value_words))
    yield from _split_trainer_options(words[dashes_index + 1 :])


def _split_trainer_options(words: Sequence[str]) -> Iterator[TypedOption]:
    """Yield the options after `--`: `--a.b=1`, `--a.b 1`, `a.b=1`."""
    remaining_words = list(words)
    while remaining_words:
        word = remaining_words.pop(0)
        name, equals, _ = word.partition("=")
        is_option = OPTION.match(word)
        value_words = (
            [remaining_words.pop(0)]
            if is_option and not equals and remaining_words and not OPTION.match(remaining_words[0])
            else []
        )
        yield TypedOption(name if is_option or equals else "", (word, *value_words), is_after=True)


def _move_after(option: TypedOption) -> Iterator[TypedOption]:
    """Yield an option, after `--` if it has the form of the trainer's."""
    if TRAINER_OPTION.fullmatch(option.words[0]):
        yield from _split_trainer_options(option.words)
    else:
        yield option


def _replace_word(words: Sequence[str], old_word: str, word: str) -> list[str] | None:
    """Return the line with a word in the place of that which was given; None if it is not there, or twice."""
    if not old_word or list(words).count(old_word) != 1:
        return None
    return [word if line_word == old_word else line_word for line_word in words]
