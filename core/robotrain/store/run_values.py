"""The values of a run's job that are not defaults, as texts."""

import contextlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.redaction import truncate

from robotrain.model.job import TRAINER_ARGS
from robotrain.model.run import RunRecord
from robotrain.model.workload import get_option_name
from robotrain.redaction import can_repeat, redact

LARGE = 1e7
"""From which size on a number with a decimal point is written with an exponent."""
MAX_DIGITS = 17
"""How many digits tell each floating-point number from all others."""
MAX_TEXT = 200
"""Characters of a value that are recorded."""
DEFAULT_ORIGINS = ("default", "platform", "implied")
"""The first words of the origins of values that nobody chose."""
IDENTITIES = ("workload", "platform", "job_name")
"""Rows of a plan that say nothing about the training."""
RESUME_ROLE = "resume"
"""The role of the checkpoint from which a run continues."""
PIN = re.compile(r" @ \S{1,12}(?=, |$)")
"""The pin of a source, behind its address."""


def collect_chosen(rows: Iterable[Mapping[str, Any]], sources: Iterable[JobSource]) -> dict[str, tuple[str, ...]]:
    """Return each parameter and setting that is not its default, with that default, as texts."""
    omitted_names = {TRAINER_ARGS, *IDENTITIES, *(source.role for source in sources if not source.implied)}
    texts_by_name: dict[str, tuple[str, ...]] = {}
    for row in rows:
        if row["name"] not in (*omitted_names, *texts_by_name) and is_chosen_row(row):
            value_texts = (format_value(row["value"]), format_default(row))
            texts_by_name |= {row["name"]: value_texts} if value_texts[0] != value_texts[1] else {}
    return texts_by_name


def is_chosen_row(row: Mapping[str, Any]) -> bool:
    """Return whether somebody chose a value of a plan."""
    return row["origin"].split()[0] not in DEFAULT_ORIGINS


def format_default(row: Mapping[str, Any]) -> str:
    """Return the default that a chosen value of a plan overrode, as text; empty for none."""
    return format_value(
        next(
            (
                overridden_value["value"]
                for overridden_value in row["overrode"]
                if overridden_value["origin"] == "default"
            ),
            None,
        )
    )


def join_trainer_args(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the values of the trainer's options by their names; an argument of no option is a name of its own. Of a
    program with its command line, the options behind it have names too.

    :param rows: of a plan; the first argument of an option has its name.
    """
    argument_by_name: dict[str, str] = {}
    name, is_command = TRAINER_ARGS, False
    for row in rows:
        if row["name"] != TRAINER_ARGS:
            continue
        argument = format_value(row["value"])
        if "option" in row:
            option_word, _, argument = argument.partition("=")
            name, is_command = row["option"] or option_word, not row["option"]
            argument_by_name[name] = argument
            continue
        if is_command and get_option_name(argument):
            name, _, argument = argument.partition("=")
        argument_by_name[name] = f"{argument_by_name.get(name, '')} {argument}".strip()
    return argument_by_name


def merge_option_rows(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a plan: an option of the trainer and its value in several words are one row, and so is the
    command line of a program.
    """
    merged_values: dict[str, Any] = {}
    for row in rows:
        is_value = row["name"].rpartition(".")[2] == TRAINER_ARGS and "option" not in row
        if is_value and "option" in merged_values and merged_values["name"] == row["name"]:
            merged_values["value"] = f"{merged_values['value']} {row['value']}"
            if row["origin"] not in merged_values["origin"]:
                merged_values["origin"] += f", {row['origin']}"
            continue
        if merged_values:
            yield merged_values
        merged_values = dict(row)
    if merged_values:
        yield merged_values


def format_value(value: Any) -> str:
    """Return a value as a job file has it, without secrets and cut; empty for none."""
    text = format_setting(value)
    if not can_repeat(text) and (
        value_by_key := _read_pairs(text)
    ):  # what is hidden in JSON would take the rest with it
        return truncate(",".join(redact(f"{name}={pair_value}") for name, pair_value in value_by_key.items()), MAX_TEXT)
    return redact(text, max_length=MAX_TEXT)


def format_setting(value: Any) -> str:
    """Return a value as a job file has it, with its secrets; empty for none. A large number has an exponent: `1e15`."""
    if isinstance(value, float) and LARGE <= abs(value) < math.inf:
        texts = (f"{value:.{digits}e}" for digits in range(MAX_DIGITS))
        shortest_text = next((text for text in texts if float(text) == value), repr(value))
        return re.sub(r"e\+0*", "e", shortest_text)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _read_pairs(text: str) -> Mapping[str, Any]:
    """Return the entries of a table, which is JSON as a value; none for another text."""
    with contextlib.suppress(ValueError, RecursionError):
        table = json.loads(text) if text.startswith("{") else None
        return table if isinstance(table, dict) else {}
    return {}


def find_resumed_run(record: RunRecord) -> str:
    """Return the run whose checkpoint a run continues from; empty if it is none, or unknown.

    `resume` names that run; the address of a checkpoint that a user gave may be below its outputs.
    """
    if RESUME_ROLE not in record.values:
        return ""
    from robotrain.store import records, stored_job  # costs start-up

    row = next((row for row in stored_job.read_stored_values(record.run) if row["name"] == RESUME_ROLE), {})
    if (origin := str(row.get("origin"))).startswith("run "):
        return origin.removeprefix("run ")
    resumed_record = records.find_record_of_outputs(str(row.get("value", "")))
    return resumed_record.run if resumed_record and resumed_record.run != record.run else ""


def shorten_texts(source_texts: list[str]) -> list[str]:
    """Return sources without pins and without the folders above them, as far as that still tells them apart."""
    for shorten in (lambda text: PIN.sub("", text), lambda text: text.rstrip("/").rpartition("/")[2]):
        shorter_texts = [*map(shorten, source_texts)]
        source_texts = shorter_texts if len({*shorter_texts}) == len({*source_texts}) else source_texts
    return source_texts


def has_value(run: str, recorded: Mapping[str, Sequence[str]], name: str, wanted: str) -> bool:
    """Return whether a value of a run is a text or the same number; `*` stands for any letters."""
    from robotrain.store import stored_job  # costs start-up

    name = name if name.startswith("-") else name.replace("-", "_")
    if name in recorded:
        value_text = PIN.sub("", recorded[name][0])
    else:  # a default, which only the plan has
        rows = stored_job.read_stored_values(run)
        value_text = next((format_value(row["value"]) for row in rows if row["name"] == name), "")
    return _is_value(value_text, wanted)


def has_program_value(recorded: Mapping[str, Sequence[str]], key: str, wanted: str) -> bool:
    """Return whether the program of a run got a value: `--KEY VALUE`, `--KEY=VALUE` or `KEY=VALUE`."""
    value_texts = list_program_values(recorded).get(_normalize_key(key), ())
    return any(_is_value(value_text, wanted) for value_text in value_texts)


def list_program_values(recorded: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the values of the options of a run's program, and of each step's, by their names without dashes."""
    texts_by_key: dict[str, list[str]] = {}
    for name, (value_text, *_) in recorded.items():
        option = name.rpartition(" ")[2]  # of a step: `STEP --lr`
        if option.startswith("-"):
            texts_by_key.setdefault(_normalize_key(option), []).append(value_text or "true")
        for word in value_text.split():
            key, separator, word_value = word.partition("=")
            if separator and key.isidentifier():
                texts_by_key.setdefault(_normalize_key(key), []).append(word_value)
    return texts_by_key


def _normalize_key(key: str) -> str:
    return key.lstrip("-").replace("-", "_")


def _is_value(value_text: str, wanted: str) -> bool:
    """Return whether a value, or one of several, is a text or the same number; `*` stands for any letters."""
    for part in (value_text, *value_text.split(", ")):
        if fnmatchcase(part, wanted):
            return True
        with contextlib.suppress(ValueError):
            if float(part) == float(wanted):
                return True
    return False
