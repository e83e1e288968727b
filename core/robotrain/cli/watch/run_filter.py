"""The filters of `robotrain runs`: names, states, times and values of runs."""

from __future__ import annotations

import functools
import math
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from robotrain.cli import arguments
from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any, suggest_name, usage_problem

if TYPE_CHECKING:
    from robotrain.cli.watch.run_list import RecordFilter
    from robotrain.model.run import RunRecord
    from robotrain.plugins.manager import Plugins

T = TypeVar("T")
STATE_WORDS = {
    "succeeded": "done success successful complete completed ok passed finished ended",
    "failed": "error errored failure fail crashed finished ended",
    "running": "active started live in-progress training",
    "pending": "active queued waiting scheduled starting submitted",
    "cancelled": "canceled stopped killed aborted terminated",
    "lost": "missing preempted evicted disappeared",
    "interrupted": "unsent",
}
"""What people call the states of runs."""
PATTERN_CHARACTERS = re.compile(r"[*?[]")


class RunFilter(NamedTuple):
    """What `robotrain runs` is asked for; empty fields accept every run."""

    word: str = ""
    """A part of the name, or of the run itself."""
    state: str = ""
    platform: str = ""
    name: str = ""
    """The whole name, or a pattern of it."""
    workload: str = ""
    since: str = ""
    """A time as it was given."""
    until: str = ""
    values: Sequence[str] = ()
    """Texts KEY=VALUE."""

    def make_accept(self, plugins: Plugins) -> RecordFilter | None:
        """Return what accepts a record, whatever its state; None if every record is accepted.

        Raise Rejected with all problems: of invalid times and values, and of names that neither plugins nor runs have.
        """
        from robotrain.cli.watch import run_names
        from robotrain.store import run_values

        problems: list[Problem] = []
        begin = collect_problems(problems, lambda: parse_time(self.since, "--since")) or 0.0
        end = collect_problems(problems, lambda: parse_time(self.until, "--until", is_end=True)) or math.inf
        if begin > end:
            title, ways = (
                "--until is before --since",
                [Suggestion(shlex.join(["--since", self.until, "--until", self.since]))],
            )
            problems.append(usage_problem("options-conflict", title, "--until", suggestions=ways))
        parsed = (collect_problems(problems, functools.partial(_parse_value, text)) for text in self.values)
        given = [pair for pair in parsed if pair]
        problems += run_names.find_unknown_names(plugins, self.platform, self.workload)
        keys = run_names.ValueKeys(plugins, [key for key, _ in given])
        raise_if_any([*problems, *keys.problems])
        values = [(keys.names[key], wanted) for key, wanted in given]
        if not any(self._replace(state="")):
            return None

        def accept(record: RunRecord) -> bool:
            if self.platform not in ("", record.platform) or self.workload not in ("", record.workload):
                return False
            if not begin <= record.created <= end or not (
                self.name in ("", record.name) or _matches(record.name, self.name)
            ):
                return False
            if not any(self.word in name or _matches(name, self.word) for name in (record.name, record.run)):
                return False
            return all(
                any(run_values.has_value(record.run, record.values, name, wanted) for name in names)
                for names, wanted in values
            )

        return accept

    def __str__(self) -> str:
        """Return the words that ask for it on the command line."""
        return shlex.join(self._list_words())

    def _list_words(self) -> Iterator[str]:
        yield from [self.word] * bool(self.word)
        for flag in ("state", "platform", "name", "workload", "since", "until"):
            if value := getattr(self, flag):
                yield from (f"--{flag}", value)
        for text in self.values:
            yield from ("--set", text)

    def describe_no_match(self) -> str:
        """Return what to say if runs were submitted, but none fits."""
        if self._replace(state="", platform="") != RunFilter():
            return "\n".join([f"no run fits: {self}", *map("  {0[0]}   {0[1]}".format, self._list_meanings())])
        on = [f"on {self.platform}"] if self.platform else []
        return " ".join(["no run is", *([self.state] if self.state else []), *on])

    def _list_meanings(self) -> Iterator[tuple[str, str]]:
        """Yield what else was perhaps meant, as commands with what they show."""
        if self.name and not self.word and not PATTERN_CHARACTERS.search(self.name):
            yield f"robotrain runs {self._replace(word=self.name, name='')}", "the runs whose name contains it"
        yield from _list_meanings(self.word)


def _list_meanings(word: str) -> Iterator[tuple[str, str]]:
    """Yield what a word may mean that is no part of a name, as commands with what they show."""
    from robotrain.plugins.claims import read_claims
    from robotrain.store import records

    if state := find_state(word):
        yield f"robotrain runs --state {state}", "the runs in this state"
    if any((claim.family, claim.name) == ("platform", word) for claim in read_claims()):
        yield f"robotrain runs --platform {word}", "the runs on this platform"
    if word and word in records.NEWEST_NAMES:
        yield f"robotrain status {word}", "the newest run"


def _matches(name: str, wanted: str) -> bool:
    """Return whether a name is matched by a pattern with `*`, `?` or `[…]`; never for a text without these."""
    if not PATTERN_CHARACTERS.search(wanted):
        return False
    from fnmatch import fnmatchcase

    return fnmatchcase(name, wanted)


def find_state(word: str) -> str:
    """Return the state that a word is, or is a synonym of; empty for any other word."""
    from robotrain.cli.watch.run_list import LISTED_STATES

    word = word.lower()
    synonyms = (state for state, words in STATE_WORDS.items() if word and word in words.split())
    return word if word in LISTED_STATES else next(synonyms, "")


def parse_state(text: str) -> str:
    """Return a state that runs can be in. Raise Rejected with the states that are meant."""
    from robotrain.cli.watch.run_list import LISTED_STATES
    from robotrain.redaction import redact

    state = text.strip().lower()
    if state in ("", *LISTED_STATES):
        return state
    title, why = f"there is no state {redact(text)!r}", f"States: {', '.join(LISTED_STATES)}."
    meant = [known for known, words in STATE_WORDS.items() if state in words.split()]
    ways = [Suggestion(f"--state {known}") for known in meant]
    near = ways or suggest_name(state, LISTED_STATES, prefix="--state ")
    raise Rejected([usage_problem("state-unknown", title, "--state", why, suggestions=near)])


def parse_time(text: str, flag: str, is_end: bool = False) -> float | None:
    """Return when a time such as `7d`, `yesterday` or `2026-11-15` was; None for an empty text. Raise Rejected.

    :param is_end: whether of a whole day its last moment counts, not its first.
    """
    from robotrain.model.amounts import parse_past_time

    parse = functools.partial(parse_past_time, now=time.time(), is_end=is_end)
    return arguments.parse_amount(parse, text, flag, "7d")


def collect_problems(problems: list[Problem], parse: Callable[[], T]) -> T | None:
    """Return what was parsed; None, with its problems added, if it is invalid."""
    try:
        return parse()
    except Rejected as rejected:
        problems += rejected.problems
        return None


def _parse_value(text: str) -> tuple[str, str]:
    """Return a key and the value it must have. Raise Rejected for a text that is not KEY=VALUE."""
    from robotrain.redaction import redact

    if not re.fullmatch("[^=]+=.*", text):
        title, ways = "--set takes a key, `=` and a value", [Suggestion("--set KEY=VALUE")]
        raise Rejected([usage_problem("set-malformed", title, "--set", given=redact(text), suggestions=ways)])
    key, _, wanted = text.partition("=")
    return key.strip(), wanted
