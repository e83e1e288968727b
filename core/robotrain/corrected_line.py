"""The line that a suggestion makes of a refused one: the one rule for people, programs and tests.

The text of a suggestion is one of

- `robotrain COMMAND …`: the whole line;
- options, `--flag value -- --trainer.option=value`: each takes the place of the option of its name, else it is added.
  For a problem of the arguments after `--`, options in the trainer's form (`--a.b=1`, `a.b=1`) stand after `--` too;
- a word, which takes the place of the word that the problem names as given;
- `leave out --flag`: nothing is added.

What the suggestion `replaces` is left out, with its values.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from robotrain.errors import LEAVE_OUT, Problem, Suggestion

PROGRAM = "robotrain"
DASHES = "--"
AFTER_DASHES = (DASHES, "after --")
"""Where problems of the arguments after `--` are."""
KEYED_FLAGS = ("--set", "--over")
"""Options that may be repeated, each time with another `KEY=VALUE`: their names have the key, as in `--set=seed`."""
ELLIPSIS = re.compile(r"…|\.\.\.")
CAPITALS = re.compile(r"(?<![\w\"-])[A-Z][A-Z_-]*(?![\w-])")
"""A word in capitals without digits: `OWNER/NAME`, `N`, but not `T4`, `Isaac-UR10-v0` or, in JSON, `"MEAN_STD"`."""
TRAINER_OPTION = re.compile(r"--[\w-]*[._=].*|[A-Za-z_+~][\w.@/+~-]*=.*", re.DOTALL)


class LineOptions(NamedTuple):
    """What is known about the options of a command."""

    names: Mapping[str, str] = {}
    """The name of each option by its spellings, of which it may have several; one that is absent is its own name."""
    switches: frozenset[str] = frozenset()
    """The spellings of options that take no value."""


UNKNOWN_OPTIONS = LineOptions()


def correct_line(
    words: Sequence[str], problem: Problem, suggestion: Suggestion, options: LineOptions = UNKNOWN_OPTIONS
) -> list[str] | None:
    """Return a refused line with a suggestion applied; None if something in that is still to be chosen, or if it is
    about something else than the line: a file, a variable, another program.

    :param words: the line after `robotrain`.
    :param problem: the problem whose suggestion it is.
    """
    text = suggestion.text
    if find_placeholders(text, words):
        return None
    try:
        typed = shlex.split(text)
    except ValueError:
        return None
    if typed[:1] == [PROGRAM]:
        return typed[1:]
    is_about_trainer = problem.where.rpartition(": ")[2] in AFTER_DASHES  # `step train: --`, `seed=1: --`
    line = _Line(words, options, is_about_trainer)
    if text.startswith(LEAVE_OUT):
        return line.join() if suggestion.replaces and line.remove(suggestion.replaces.split()) else None
    if len(typed) == 1 and not typed[0].startswith("-") and not TRAINER_OPTION.fullmatch(typed[0]):
        return _replace_word(words, problem.given, typed[0])
    own, after = _split_text(typed, is_about_trainer, options)
    if not all(option.name for option in (*own, *after)):
        return None
    replaced = suggestion.replaces.split()
    to_own = [one.words[0].partition("=")[0] for one in own if line.is_about_trainer]
    to_trainer = [] if line.is_about_trainer else [one.name for one in after]
    moved = all(line.after.remove(name) for name in to_own if name in replaced)
    moved = moved and all(line.own.remove(name) for name in to_trainer if name in replaced)
    parts = ((line.own, own), (line.after, after))
    clear = all([part.replace(one, problem.given, replaced) for part, new in parts for one in new])
    names = {option.name for option in (*own, *after)}
    others = [one for one in replaced if one not in names]
    are_switches = bool(own) and all(len(one.words) == 1 and "=" not in one.words[0] for one in own)
    return line.join() if moved and clear and line.remove(others, are_switches) else None


def find_placeholders(text: str, words: Iterable[str] = ()) -> list[str]:
    """Return what stands in a suggestion for something that is to be chosen: words in capitals that the line itself
    does not have, also in small letters, and `…`.
    """
    typed = {
        found for word in words for found in (*CAPITALS.findall(word), word.upper(), word.partition("=")[2].upper())
    }
    return [*ELLIPSIS.findall(text), *(found for found in CAPITALS.findall(text) if found not in typed)]


class _Option(NamedTuple):
    """An option as it was typed, or a word that is none, which has no name."""

    name: str
    words: tuple[str, ...]

    @property
    def value(self) -> str:
        """The value, of a keyed option with its key; empty if there is none."""
        _, equals, value = self.words[0].partition("=")
        return value if equals else " ".join(self.words[1:])


class _Part:
    """The options before or after `--`."""

    def __init__(self, options: Iterable[_Option]) -> None:
        self.options = list(options)

    def replace(self, option: _Option, given: str, replaced: Sequence[str]) -> bool:
        """Put an option in the place of those of its name, else before one that it replaces, else at the end; return
        whether it is clear which is meant.

        :param given: of several ones that with this value or text is meant; empty if all are.
        :param replaced: the names of the options that it replaces.
        """
        places = [place for place, one in enumerate(self.options) if one.name == option.name]
        if len(places) > 1 and given:
            meant = [place for place in places if given in (self.options[place].value, *self.options[place].words)]
            if len(meant) != 1:
                return False
            places = meant
        if places:
            self.options[places[0]] = option
            self.options = [one for place, one in enumerate(self.options) if place not in places[1:]]
        else:
            found = [place for place, one in enumerate(self.options) if {one.name, *one.words[:1]} & {*replaced}]
            self.options.insert(found[0] if found else len(self.options), option)
        return True

    def remove(self, name: str, keeps_values: bool = False) -> bool:
        """Remove the options of a name, or the word; return whether there was one."""
        before, self.options = self.options, []
        found = False
        for one in before:
            if one.name != name and (one.name or one.words != (name,)):
                self.options.append(one)
            else:
                found = True
                self.options += [_Option("", (word,)) for word in one.words[1:] if keeps_values]
        return found

    def list_words(self) -> list[str]:
        return [word for option in self.options for word in option.words]


class _Line:
    """A line in its two parts."""

    def __init__(self, words: Sequence[str], options: LineOptions, is_about_trainer: bool) -> None:
        end = list(words).index(DASHES) if DASHES in words else len(words)
        self.names = options.names
        self.own = _Part(_split_own(words[:end], options))
        self.after = _Part(_split_trainer_options(words[end + 1 :]))
        self.is_about_trainer = is_about_trainer

    def remove(self, names: Sequence[str], keeps_values: bool = False) -> bool:
        """Remove options, each from the part that the problem is about if it is there; return whether the line had
        them all.

        :param keeps_values: what looks like the value of one is a word after a switch.
        """

        def remove_own(name: str) -> bool:
            return self.own.remove(self.names.get(name, name), keeps_values)

        parts = [remove_own, self.after.remove]
        if self.is_about_trainer:
            parts.reverse()
        return all(any(remove_from(name) for remove_from in parts) for name in names)

    def join(self) -> list[str]:
        after = self.after.list_words()
        return [*self.own.list_words(), *([DASHES, *after] if after else [])]


def _split_text(typed: Sequence[str], is_after: bool, options: LineOptions) -> tuple[list[_Option], list[_Option]]:
    """Return the options of a suggestion before and after `--`.

    :param is_after: whether options in the form of the trainer's stand after `--`.
    """
    end = typed.index(DASHES) if DASHES in typed else len(typed)
    head, tail = list(typed[:end]), list(typed[end + 1 :])
    own, after = list(_split_own(head, options)), list(_split_trainer_options(tail))
    if is_after and end == len(typed):
        after = [
            new for one in own if TRAINER_OPTION.fullmatch(one.words[0]) for new in _split_trainer_options(one.words)
        ]
        own = [one for one in own if not TRAINER_OPTION.fullmatch(one.words[0])]
    return own, after


def _split_own(words: Sequence[str], options: LineOptions) -> Iterator[_Option]:
    """Yield robotrain's own options and the words between them."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if not re.match("--?[A-Za-z]", word):
            yield _Option("", (word,))
            continue
        takes_value = not (equals or flag in options.switches or flag.startswith("--no-"))
        values = [rest.pop(0)] if takes_value and rest and not re.match("--?[A-Za-z]", rest[0]) else []
        name = options.names.get(flag, flag)
        if flag in KEYED_FLAGS:
            name += "=" + (value if equals else "".join(values)).partition("=")[0]
        yield _Option(name, (word, *values))


def _split_trainer_options(words: Sequence[str]) -> Iterator[_Option]:
    """Yield the options after `--`: `--a.b=1`, `--a.b 1`, `a.b=1`."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        is_option = word.startswith("--")
        values = [rest.pop(0)] if is_option and not equals and rest and _is_value(rest[0]) else []
        yield _Option(name if is_option or equals else "", (word, *values))


def _is_value(word: str) -> bool:
    return not word.startswith("--")


def _replace_word(words: Sequence[str], given: str, word: str) -> list[str] | None:
    """Return the line with a word in the place of that which was given; None if it is not there, or twice."""
    if not given or list(words).count(given) != 1:
        return None
    return [word if one == given else one for one in words]
