"""The filters of `robotrain runs`: names, states, times and values that runs have or plugins declare."""

import functools
import math
import re
import shlex
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from robotrain.cli import arguments
from robotrain.cli.run_list.listed_runs import LISTED_STATES, RecordFilter
from robotrain.errors import (
    Problem,
    Rejected,
    collect_problems,
    raise_if_any,
)
from robotrain.messages import Messages
from robotrain.model.amounts import parse_past_time
from robotrain.model.run import RunRecord
from robotrain.nearest_name import suggest_name
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.store import name_index, records, run_values

make_problem = Messages(__file__)

PATTERN_CHARACTERS = re.compile(r"[*?[]")


class RunFilter(NamedTuple):
    """What `robotrain runs` is asked for; empty fields accept every run."""

    word: str = ""
    """A part of the name, or of the run itself."""
    states: Sequence[str] = ()
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
        problems: list[Problem] = []
        begin_time, end_time = 0.0, math.inf
        with collect_problems(problems):
            begin_time = _parse_time(self.since, "--since") or begin_time
        with collect_problems(problems):
            end_time = _parse_time(self.until, "--until", is_end=True) or end_time
        required_pairs = list[tuple[str, str]]()
        for assignment in self.values:
            with collect_problems(problems):
                required_pairs.append(_parse_value(assignment))
        raise_if_any(problems)
        if not any(self._replace(states=())):
            return None

        def accept(record: RunRecord) -> bool:
            if self.platform not in ("", record.platform) or self.workload not in ("", record.workload):
                return False
            if not begin_time <= record.created <= end_time or not (
                self.name in ("", record.name) or _matches(record.name, self.name)
            ):
                return False
            if not any(self.word in name or _matches(name, self.word) for name in _list_names(record)):
                return False
            return all(
                run_values.has_value(record.run, record.values, key, wanted_value)
                or run_values.has_program_value(record.values, key, wanted_value)
                for key, wanted_value in required_pairs
            )

        return accept

    def find_begin(self) -> float:
        """Return when the oldest run that fits may have been created; 0 without a limit. Raise Rejected."""
        return _parse_time(self.since, "--since") or 0.0

    def __str__(self) -> str:
        """Return the words that ask for it on the command line."""
        words = [self.word] * bool(self.word)
        words += ["--state", ",".join(self.states)] if self.states else []
        for flag in ("platform", "name", "workload", "since", "until"):
            words += [f"--{flag}", value] if (value := getattr(self, flag)) else []
        for assignment in self.values:
            words += ["--set", assignment]
        return shlex.join(words)

    def describe_no_match(self) -> str:
        """Return what to say if no run fits."""
        if next(records.iterate_runs(), None) is None:
            return "no run has been submitted from this machine"
        return f"no run fits: {self}"


def _list_names(record: RunRecord) -> tuple[str, ...]:
    """Return what a run may be called; a step of a pipeline, or a trial of a sweep, by its own name too."""
    return record.name, record.run, record.step, name_index.name_step(record)


def _matches(name: str, pattern: str) -> bool:
    """Return whether a name is matched by a pattern with `*`, `?` or `[…]`; never for a text without these."""
    if not PATTERN_CHARACTERS.search(pattern):
        return False
    return fnmatchcase(name, pattern)


def complete_states(incomplete: str) -> list[str]:
    """Return the states that complete the last of several."""
    earlier_states, comma, last_state = incomplete.rpartition(",")
    return [f"{earlier_states}{comma}{state}" for state in LISTED_STATES if state.startswith(last_state)]


def parse_states(text: str) -> tuple[str, ...]:
    """Return the states that a text such as `failed,cancelled` names. Raise Rejected with those that are meant."""
    states = [part for part in (part.strip().lower() for part in text.split(",")) if part]
    unknown_state = next((state for state in states if state not in LISTED_STATES), "")
    if not unknown_state:
        return tuple(dict.fromkeys(states))
    ways = suggest_name(unknown_state, LISTED_STATES, prefix="--state ")
    every = ", ".join(LISTED_STATES)
    raise Rejected([make_problem("value-invalid.state", *ways, name=redact(unknown_state), states=every)])


def _parse_time(text: str, flag: str, is_end: bool = False) -> float | None:
    """Return when a time such as `7d`, `yesterday` or `2026-11-15` was; None for an empty text. Raise Rejected.

    :param is_end: whether of a whole day its last moment counts, not its first.
    """
    parse = functools.partial(parse_past_time, now=time.time(), is_end=is_end)
    return arguments.parse_amount(parse, text, flag, "7d")


def _parse_value(text: str) -> tuple[str, str]:
    """Return a key and the value it must have. Raise Rejected for a text that is not KEY=VALUE."""
    if not re.fullmatch("[^=]+=.*", text):
        raise Rejected([make_problem("value-invalid.set", given=text)])
    key, _, wanted_value = text.partition("=")
    name = key.strip()
    return name if name.startswith("-") else name.replace("-", "_"), wanted_value
