"""The name of a run, which by default is made from its job and need not be unique, and its note."""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from robotrain.config.values import DEFAULT_LAYERS, Value
from robotrain.errors import Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import NAME_PARAMETER, Job
from robotrain.model.run import list_run_parts
from robotrain.model.workload import Workload
from robotrain.redaction import can_repeat, value_holds_secret
from robotrain.store import records
from robotrain.store.latest_run import NEWEST_NAMES
from robotrain.store.run_differences import SCRIPT_SUFFIXES

make_problem = Messages(__file__)

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
MAX_NOTE = 1000
"""Characters of a note."""


class RunLabels(NamedTuple):
    """The name and the note of a run, the run that it repeats or continues, and the folder of its job file."""

    name: str = ""
    note: str = ""
    parent: str = ""
    job_folder: str = ""


NO_LABELS = RunLabels()


def make_labels(name: str, note: str, name_line: str = "--name") -> RunLabels:
    """Return the name and the note that a user gives a run. Raise Rejected if one of them is invalid.

    :param name_line: the words before the name, in a line to type.
    """
    problems = []
    name_flag = name_line if name_line.startswith("-") else "NAME"
    for flag, text in ((name_flag, name), ("--note", note)):
        if value_holds_secret(text):
            problems.append(make_problem("secret-in-job", where=flag, given=text))
    if name and not is_valid_name(name) and not value_holds_secret(name):
        reason = "A name is up to 80 letters, digits, `.`, `_` and `-`, and begins with a letter or digit."
        if name in NEWEST_NAMES:
            reason = f"`{name}` means the newest run."
        cleaned_name = clean_name(name) if can_repeat(name) else ""
        ways = [Suggestion(f"{name_line} {cleaned_name}")] if is_valid_name(cleaned_name) else []
        problems.append(make_problem("value-invalid.run-name", *ways, where=name_flag, given=name, why=reason))
    if len(note) > MAX_NOTE:
        problems.append(make_problem("value-invalid.note", most=MAX_NOTE))
    raise_if_any(problems)
    return RunLabels(name, note)


def clean_name(text: str) -> str:
    """Return a text as a name that `NAME_PATTERN` allows; empty if nothing of it can be part of one."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-._")[:80]


def is_valid_name(name: str) -> bool:
    """Return whether a text is a valid name of a run."""
    return NAME_PATTERN.fullmatch(name) is not None and name not in NEWEST_NAMES


GENERAL_PART = re.compile(
    r"v?[0-9.]+|data|datasets?|episodes|outputs?|train|training|eval|results|checkpoints?|pretrained_model|last|latest"
    r"|versions",
    re.IGNORECASE,
)
"""Parts of an address that say nothing about it: the part before them does."""
GENERAL_PROGRAM = re.compile("(main|run|start|__main__|train|training|trainer|)", re.IGNORECASE)
"""Names of programs that say nothing beside the folder of their code."""
REPOSITORY_REVISION = re.compile(r"^([\w.-]+/[\w.-]+)@.*")
"""A repository at a revision, which may contain `/`; elsewhere, an `@` may be part of a folder's name."""
UNNAMED_ROLES = ("scenes",)
"""Those whose sources say nothing about a run: many have the same."""


def make_default_name(job: Job, workload: Workload, chosen_values: Mapping[str, Value]) -> str:
    """Return the default name of a run: the name in its job, or else one made from its data or policy.

    `pusht-mini-act` for a training of ACT on the dataset `lerobot/pusht-mini`, `eval-of-pick-v3-aloha` for an
    evaluation in `aloha` of the policy that the run `pick-v3` trained.

    :param chosen_values: the raw values of the job's parameters.
    """
    chosen_name = chosen_values.get(NAME_PARAMETER)
    if chosen_name and chosen_name.value and chosen_name.origin.layer not in DEFAULT_LAYERS:
        name = clean_name(str(chosen_name.value))
        if is_valid_name(name):
            return name
    return clean_name("-".join(_list_words(job, workload))) or job.workload


def _list_words(job: Job, workload: Workload) -> Iterator[str]:
    """Yield the parts of a name: what runs, unless it is a training, its first source, and the values that name it.

    A program of the user's own is named by the folder of its code, and by its file, if that says something.
    """
    sources = [source for source in job.sources if source.role not in UNNAMED_ROLES]
    code = [source for source in sources if source.role in workload.roles and workload.roles[source.role].is_program]
    source = next(iter([*code, *sources]), None)
    role = workload.roles.get(source.role) if source else None
    if workload.evaluates and role and role.takes:
        yield "eval-of"
    elif job.profile.outputs.noun != "training":
        yield job.workload
    if source:
        yield _find_run_name(source.uri) or _find_short_name(source.uri)
    yield from (str(job[name]) for name in workload.named_by if job[name] is not None)
    if code and workload.own_command:
        words = workload.own_command.list_words(job)
        program = next((PurePosixPath(word).stem for word in words if word.endswith(SCRIPT_SUFFIXES)), "")
        yield from () if GENERAL_PROGRAM.fullmatch(program) else (program,)


def _find_run_name(address: str) -> str:
    """Return the name of the recorded run whose outputs an address is in; empty for any other address."""
    if not list_run_parts(address):
        return ""
    record = records.find_record_of_outputs(address)
    return record.name or record.run if record else ""


def _find_short_name(address: str) -> str:
    """Return the last part of an address that says something about it: `pusht` of `lerobot/pusht@main`."""
    address = re.sub(r"^\w+://|[?#].*", "", REPOSITORY_REVISION.sub(r"\1", address))
    address = re.sub(r"@[^/]*$", "", address)
    parts = [part for part in reversed(re.split("[/:]", address)) if part]
    return next((part for part in parts if not GENERAL_PART.fullmatch(part)), parts[0] if parts else "")
