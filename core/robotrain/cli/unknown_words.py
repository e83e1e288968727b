"""Words of a job command that are no workload and no job file, each with what to type instead."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.cli.options import Choice, load_or_none
from robotrain.errors import Problem, Suggestion, suggest_name, usage_problem
from robotrain.redaction import holds_secret, redact

if TYPE_CHECKING:
    from robotrain.plugins.manager import Plugins

JOB_FILE = "job.yaml"
"""The job file that `robotrain init` writes."""


def explain_unknown_word(word: str, choice: Choice, plugins: "Plugins") -> Problem:
    """Return the problem of a word that is neither a workload nor a job file."""
    workloads = plugins.list_names("workload")
    of_kind = [name for name in workloads if name.endswith(f"-{word}")]
    sources = tuple(_suggest_source(word, choice, plugins)) if "/" in word and not holds_secret(word) else ()
    near = () if sources else tuple(map(Suggestion, of_kind)) or suggest_name(word, workloads)
    ways = near or tuple(_suggest_meanings(word, choice, plugins)) or sources
    title = f"{redact(word)!r} is neither a workload nor a job file"
    why = f"Workloads: {', '.join(workloads)}; a job file ends in .yaml."
    return usage_problem("workload-misspelt" if near else "word-unknown", title, why=why, suggestions=ways)


def _suggest_meanings(word: str, choice: Choice, plugins: "Plugins") -> Iterator[Suggestion]:
    """Yield what a word may stand for: a platform, a folder, or a value; secrets are not repeated."""
    folder = Path(word)
    if word in plugins.list_names("platform"):
        yield Suggestion(f"--platform {word}")
    elif "=" in word and not holds_secret(word):
        yield from _suggest_value(word, choice, plugins)
    elif (folder / JOB_FILE).is_file():
        yield Suggestion(shlex.quote(str(folder / JOB_FILE)), "the job file in this folder")
    elif folder.is_dir():
        yield from _suggest_source(word, choice, plugins)


def _suggest_source(word: str, choice: Choice, plugins: "Plugins") -> Iterator[Suggestion]:
    """Yield the flags of the workload that take a folder or an address."""
    workload = load_or_none(plugins.workload, choice.workload)
    address = os.path.abspath(word) if Path(word).is_dir() else word
    for role in workload.roles if workload else ():
        for kind in plugins.source_kinds().values():
            if role in kind.roles and kind.recognizes(address):
                yield Suggestion(f"{kind.roles[role].flag} {shlex.quote(word)}")


def _suggest_value(word: str, choice: Choice, plugins: "Plugins") -> Iterator[Suggestion]:
    """Yield how a `NAME=VALUE` is given: by its name in a job file, or as an option of the program."""
    from robotrain.config import overrides
    from robotrain.config.trainer_args import find_option_of_program

    workload = load_or_none(plugins.workload, choice.workload)
    platform = load_or_none(plugins.platform, choice.platform)
    name, _, value = word.partition("=")
    if name in overrides.list_override_keys(workload, platform, plugins.source_kinds()):
        yield Suggestion(f"--set {shlex.quote(word)}")
    elif workload and workload.get_option_name(word):
        yield Suggestion(f"-- {shlex.quote(word)}")
    elif workload and (option := find_option_of_program(workload.option_finder, f"--{name}", value)):
        yield Suggestion(f"-- {shlex.quote(option)}")


def explain_file_option(flag: str, file: str) -> Problem:
    """Return the problem of a job file that was given for an option that does not exist."""
    way = Suggestion(f"robotrain submit {shlex.quote(file)} …")
    return usage_problem("option-unknown", f"the job file is a word, not the value of {flag}", flag, suggestions=[way])
