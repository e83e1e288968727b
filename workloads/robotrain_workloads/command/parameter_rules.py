"""Rules about the sources and the user's own parameters that a command does not use."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.source import LOCAL_KIND
from robotrain.nearest_name import find_nearest_name
from robotrain.redaction import redact
from robotrain.store.written_files import JOB_SCHEMA_FILE, PIPELINE_SCHEMA_FILE
from robotrain_runtime.contract.files import read_limited_file

from robotrain_workloads import code_rules
from robotrain_workloads.command import option_rules, parameters, placeholders, program_files
from robotrain_workloads.command.rules import USED_BY, find_program_file, list_resume_args, suggest_param

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)

MAX_NAMES = 5
MAX_LISTED = 5000
"""Files of the code that are looked at for configurations."""
CONFIGURATION_SUFFIXES = (".yaml", ".yml", ".toml", ".json", ".ini", ".cfg", ".sh")
OWN_SCHEMA_FILES = (JOB_SCHEMA_FILE, PIPELINE_SCHEMA_FILE)
"""What `robotrain init` writes for editors; no program reads them."""
VARIABLE_START = b"ROBOTRAIN_"
"""What the text of a program has that reads values of the job from its environment."""


def check_unused(job: "Job") -> Iterator[Problem]:
    """Refuse a parameter that nothing reads, and warn of what only the program's environment has."""
    if job["shell"] or not job.trainer_args:
        return
    own_names = parameters.list_own(name for name, _ in job.parameters)
    used_names = placeholders.list_names((*job.trainer_args, *list_resume_args(job)))
    unknown_names = [name for name in used_names if name not in placeholders.NAMES and name not in own_names]
    misspelt_names = [name for name in own_names if find_nearest_name(name, unknown_names)]  # that is reported
    unread_names = [name for name in list_unread(job) if name not in misspelt_names]
    for name in unread_names:
        is_seed = name == placeholders.SEED
        yield _make_unread_seed_problem(job) if is_seed else _make_unread_problem(name, job, used_names)
    unused_parameters = [name for name in own_names if name not in (*used_names, *unread_names, *misspelt_names)]
    roles = {source.role for source in job.sources}
    unused_names: list[str] = [
        role for role, names in USED_BY.items() if role in roles and not {*names} & {*used_names}
    ]
    unused_names += unused_parameters
    if not unused_names:
        return
    omitted_count, unused_names = len(unused_names) - MAX_NAMES, unused_names[:MAX_NAMES]
    nouns = [f"parameter {name}" if name in own_names else name for name in unused_names]
    more_note = f" and {omitted_count} more" if omitted_count > 0 else ""
    variables = [
        *placeholders.make_variables(dict.fromkeys(unused_names, ""), own_names),
        *(["…"] if omitted_count > 0 else []),
    ]
    yield make_problem(
        "placeholder-unused",
        *(Suggestion(f"-- … {{{name}}}") for name in unused_names),
        title=f"the command does not use {' and '.join(nouns)}{more_note} of the job",
        variables=", ".join(variables),
    )


def list_unread(job: "Job") -> list[str]:
    """Return those of the job's own parameters, and its seed, that its command and program certainly do not read."""
    if job["shell"] or not job.trainer_args:
        return []
    given_names = parameters.list_own(name for name, _ in job.parameters)
    given_names += [placeholders.SEED] if job["seed"] is not None else []
    used_names = placeholders.list_names((*job.trainer_args, *list_resume_args(job)))
    unused_names = [name for name in given_names if name not in used_names]
    return unused_names if unused_names and _reads_no_variables(job) else []


def _reads_no_variables(job: "Job") -> bool:
    """Return whether the text of the program is here, and names no variable of the job."""
    name = find_program_file(job)
    code = code_rules.find_code(job)
    if not name.endswith(".py") or code is None or code.kind != LOCAL_KIND:
        return False
    files = program_files.read_program(Path(code.uri), name)
    if not files or any(VARIABLE_START in file.source for file in files):
        return False
    return not any(VARIABLE_START in text for text in _read_configurations(Path(code.uri)))


def _read_configurations(folder: Path) -> Iterator[bytes]:
    """Yield the texts of the configuration files of a folder, which may name variables too: `${oc.env:NAME}`."""
    names = (Path(parent, name) for parent, _, file_names in os.walk(folder) for name in file_names)
    for path in itertools.islice(names, MAX_LISTED):
        if path.suffix in CONFIGURATION_SUFFIXES and path.name not in OWN_SCHEMA_FILES:
            with contextlib.suppress(OSError, ValueError):
                yield read_limited_file(path, program_files.MAX_BYTES)


def _make_unread_problem(name: str, job: "Job", used_names: list[str]) -> Problem:
    """Return the problem of a parameter that nothing reads: it is misspelt, or its placeholder is missing."""
    other_names = [used_name for used_name in used_names if used_name not in placeholders.NAMES]
    option = option_rules.find_option(job, name)
    nearest_name = find_nearest_name(name, other_names)
    if nearest_name:
        way = suggest_param(nearest_name, name, job)
    else:
        way = Suggestion(f"-- {option} '{{{name}}}'" if option else f"-- … {{{name}}}", "gives the program its value")
    shown_names = ", ".join(f"{{{used_name}}}" for used_name in used_names) or "none"
    return make_problem(
        "parameter-unread",
        way,
        where=f"--param {name}",
        name=redact(name),
        program=find_program_file(job),
        known=shown_names,
    )


def _make_unread_seed_problem(job: "Job") -> Problem:
    """Return the problem of a seed that nothing reads: runs of several seeds would all be the same."""
    option = option_rules.find_option(job, placeholders.SEED)
    placeholder = f"'{{{placeholders.SEED}}}'"
    way = (
        Suggestion(f"-- {option} {placeholder}", "gives the program its seed")
        if option
        else suggest_leaving_out("--seed")
    )
    return make_problem("seed-unread", way, where="--seed", program=find_program_file(job))
