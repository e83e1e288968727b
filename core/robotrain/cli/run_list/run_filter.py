"""The filters of `robotrain runs`: names, states, times and values that runs have or plugins declare."""

import contextlib
import functools
import math
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple, TypeAlias

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.cli import arguments
from robotrain.cli.run_list.listed_runs import LISTED_STATES, RecordFilter
from robotrain.config.names import list_flag_keys
from robotrain.errors import (
    Problem,
    Rejected,
    Suggestion,
    collect_problems,
    raise_if_any,
)
from robotrain.messages import Messages
from robotrain.model.amounts import parse_past_time
from robotrain.model.run import RunRecord
from robotrain.nearest_name import find_nearest_name, suggest_name
from robotrain.plugins.discovery import read_claims
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.store import name_index, records, run_values, stored_job
from robotrain.store.latest_run import NEWEST_NAMES

make_problem = Messages(__file__)

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
ReadRecords: TypeAlias = "Callable[[], Sequence[RunRecord]]"
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
        if begin_time > end_time:
            ways = [Suggestion(shlex.join(["--since", self.until, "--until", self.since]))]
            problems.append(make_problem("options-conflict", *ways))
        required_pairs = list[tuple[str, str]]()
        for assignment in self.values:
            with collect_problems(problems):
                required_pairs.append(_parse_value(assignment))
        read_records = functools.cache(_read_records)  # at most once, and only for a name that no plugin has
        problems += find_unknown_names(plugins, self.platform, self.workload, read_records)
        names = _find_value_names(plugins, [key for key, _ in required_pairs], read_records, problems)
        raise_if_any(problems)
        required_values = [(key, names[key], wanted) for key, wanted in required_pairs]
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
                any(
                    run_values.has_value(record.run, record.values, name, wanted_value)
                    for name in (*names, *([key] if key in record.values else ()))  # a parameter of the user's own
                )
                or run_values.has_program_value(record.values, key, wanted_value)
                for key, names, wanted_value in required_values
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
        if self._replace(states=(), platform="") != RunFilter():
            return "\n".join([f"no run fits: {self}", *map("  {0[0]}   {0[1]}".format, self._list_meanings())])
        on = [f"on {self.platform}"] if self.platform else []
        return " ".join(["no run is", *([" or ".join(self.states)] if self.states else []), *on])

    def _list_meanings(self) -> Iterator[tuple[str, str]]:
        """Yield what else was perhaps meant, as commands with what they show."""
        if self.name and not self.word and not PATTERN_CHARACTERS.search(self.name):
            yield f"robotrain runs {self._replace(word=self.name, name='')}", "the runs whose name contains it"
        if state := find_state(self.word):
            yield f"robotrain runs --state {state}", "the runs in this state"
        if any((claim.family, claim.name) == ("platform", self.word) for claim in read_claims()):
            yield f"robotrain runs --platform {self.word}", "the runs on this platform"
        if self.word and self.word in NEWEST_NAMES:
            yield f"robotrain status {self.word}", "the newest run"
        count = len(list(records.iterate_runs(with_steps=False)))
        yield "robotrain runs --all", f"all {count} runs" if count > 1 else "the only run"


def _list_names(record: RunRecord) -> tuple[str, ...]:
    """Return what a run may be called; a step of a pipeline, or a trial of a sweep, by its own name too."""
    return record.name, record.run, record.step, name_index.name_step(record)


def _matches(name: str, pattern: str) -> bool:
    """Return whether a name is matched by a pattern with `*`, `?` or `[…]`; never for a text without these."""
    if not PATTERN_CHARACTERS.search(pattern):
        return False
    return fnmatchcase(name, pattern)


def find_state(word: str) -> str:
    """Return the state that a word is, or is a synonym of; empty for any other word."""
    return next(iter(_find_states(word.lower())), "")


def _find_states(word: str) -> list[str]:
    return [word] if word in LISTED_STATES else [state for state, words in STATE_WORDS.items() if word in words.split()]


def parse_states(text: str) -> tuple[str, ...]:
    """Return the states that a text such as `failed,cancelled` names. Raise Rejected with those that are meant."""
    states = [part for part in (part.strip().lower() for part in text.split(",")) if part]
    unknown_state = next((state for state in states if state not in LISTED_STATES), "")
    if not unknown_state:
        return tuple(dict.fromkeys(states))
    nearest_state = find_nearest_name(unknown_state, LISTED_STATES)
    meant_states = _find_states(unknown_state) or ([nearest_state] if nearest_state else [])
    corrected_states = [",".join(meant_states) if state == unknown_state else state for state in states]
    ways = [Suggestion(f"--state {','.join(corrected_states)}")] if meant_states else []
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
    return key.strip(), wanted_value


def _read_records() -> list[RunRecord]:
    """Return the records of all runs, without those that cannot be read."""
    run_records: list[RunRecord] = []
    for run in records.iterate_runs():
        with contextlib.suppress(Rejected):
            run_records.append(records.read_record(run))
    return run_records


def find_unknown_names(
    plugins: Plugins, platform: str, workload: str = "", read_records: ReadRecords = _read_records
) -> Iterator[Problem]:
    """Yield the problem of a platform or workload that is not installed and that no run has."""
    for family, name in (("platform", platform), ("workload", workload)):
        installed_names = plugins.list_names(family)
        if not name or name in installed_names:
            continue
        used_names = {getattr(record, family) for record in read_records()}
        if name not in used_names:
            all_names = sorted({*installed_names, *used_names})
            name_suggestions = suggest_name(name, all_names, prefix=f"--{family} ")
            yield make_problem(
                "plugin-not-loaded",
                *name_suggestions,
                where=f"--{family}",
                family=family,
                name=redact(name),
                every=", ".join(all_names),
            )


def _find_value_names(
    plugins: Plugins, keys: Sequence[str], read_records: ReadRecords, problems: list[Problem]
) -> dict[str, tuple[str, ...]]:
    """Return the names of values that each key of `--set` means; unknown keys are added to `problems`."""
    declared_names = _list_declared_names(plugins) if keys else {}
    names_by_key: dict[str, tuple[str, ...]] = {}
    recorded_names: set[str] | None = None
    for key in keys:
        name = key if key.startswith("-") else key.replace("-", "_")
        names_by_key[key] = tuple(declared_names.get(name) or declared_names.get(key) or (name,))
        option = _find_trainer_option(plugins, key)
        if name in declared_names or key in declared_names or option == key:
            continue
        if recorded_names is None:  # the names of all values that runs have, those of defaults included
            recorded_names = set()
            for record in read_records():
                recorded_names |= {
                    *record.values,
                    *run_values.list_program_values(record.values),
                    *(str(row["name"]) for row in stored_job.read_stored_values(record.run)),
                }
        if recorded_names.isdisjoint((name, key)):
            nearest_name = option or find_nearest_name(name, {*declared_names, *recorded_names})
            ways = [Suggestion(f"--set {nearest_name}=VALUE")] if nearest_name else []
            problems.append(make_problem("value-unknown", *ways, key=redact(key)))
    return names_by_key


def _list_declared_names(plugins: Plugins) -> dict[str, dict[str, None]]:
    """Return the names that plugins declare, and their flags with and without dashes, with what these mean."""
    workloads = plugins.workloads().values()
    platforms = plugins.platforms().values()
    meanings: dict[str, dict[str, None]] = {}
    for flag, key in list_flag_keys(workloads, platforms, plugins.source_kinds()):
        name = key.split(".")[1] if key.startswith("sources.") else key
        for spelling in (flag, flag.lstrip("-").replace("-", "_")):
            if len(spelling.lstrip("-")) > 1:
                meanings.setdefault(spelling, {})[name] = None
    tables = [*(workload.parameters for workload in workloads), *(platform.settings for platform in platforms)]
    parameter_names = [parameter.name for table in tables for parameter in get_parameters(table)]
    return meanings | {
        name: {name: None} for name in (*parameter_names, *(role for workload in workloads for role in workload.roles))
    }


def _find_trainer_option(plugins: Plugins, key: str) -> str:
    """Return the option of a workload's program that a key is, or is like; empty for none."""
    from robotrain.config.trainer_args import find_option_of_program  # costs start-up, and only a mistake asks

    flag = f"--{key.lstrip('-')}"
    for workload in plugins.workloads().values() if "." in key or key.startswith("-") else ():
        if option := find_option_of_program(workload, flag, "").partition("=")[0]:
            return option
    return ""
