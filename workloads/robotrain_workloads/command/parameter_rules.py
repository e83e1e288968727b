"""Rules about the values that a command gets: sources, the user's own parameters, variables."""

import contextlib
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.redaction import redact, value_holds_secret
from robotrain.store.written_files import JOB_SCHEMA_FILE, PIPELINE_SCHEMA_FILE
from robotrain_runtime.contract.files import read_limited_file
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.secret_rules import is_secret_value

from robotrain_workloads.command import parameters, placeholders, program_files
from robotrain_workloads.command.rules import USED_BY, find_script, list_resume_args

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)

MAX_LISTED = 5000
"""Files of the code that are looked at."""
TEXT_SUFFIXES = (".py", ".yaml", ".yml", ".toml", ".json", ".ini", ".cfg", ".sh")
OWN_SCHEMA_FILES = (JOB_SCHEMA_FILE, PIPELINE_SCHEMA_FILE)
"""What `robotrain init` writes for editors; no program reads them."""
VARIABLE_START = b"ROBOTRAIN_"
"""What the text of a program has that reads values of the job from its environment."""
FLAG = "--set-env"
VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
OWN_PREFIX = "ROBOTRAIN_"
OWN_VARIABLES = {
    "PATH": "name the program by its path: -- /opt/venv/bin/python …",
    "VIRTUAL_ENV": "the environment is that of --requirements, of --code or of --image",
    "PYTHONUNBUFFERED": "the program's output is never buffered",
    "MLFLOW_TRACKING_URI": "use --tracking-uri URI",
    "MLFLOW_EXPERIMENT_NAME": "use --experiment-name NAME",
    "MLFLOW_EXPERIMENT_ID": "use --experiment-name NAME",
    "MLFLOW_RUN_ID": "the program logs to the run that robotrain tracks",
}
"""Variables that robotrain sets for the program, each with what to use instead."""


def check_unused(job: "Job") -> Iterator[Problem]:
    """Refuse a parameter that nothing reads, and warn of what only the program's environment has."""
    if job["shell"] or not job.trainer_args:
        return
    own_names = parameters.list_own(name for name, _ in job.parameters)
    used_names = placeholders.list_names((*job.trainer_args, *list_resume_args(job)))
    unused_names = [name for name in own_names if name not in used_names]
    seeds = [placeholders.SEED] if job["seed"] is not None and placeholders.SEED not in used_names else []
    if (unused_names or seeds) and _reads_no_variables(job):
        for name in (*unused_names, *seeds):
            where = "--seed" if name == placeholders.SEED else f"--param {name}"
            way = Suggestion(f"-- … {{{name}}}", "gives the program its value")
            yield make_problem("parameter-unread", way, where=where, name=redact(name))
        unused_names = []
    roles = {source.role for source in job.sources}
    unused_names += [role for role, names in USED_BY.items() if role in roles and not {*names} & {*used_names}]
    for name in unused_names:
        noun = f"the parameter {name}" if name in own_names else f"the {name}"
        (variable,) = placeholders.make_variables({name: ""}, own_names)
        yield make_problem("placeholder-unused", Suggestion(f"-- … {{{name}}}"), what=noun, variable=variable)


def _reads_no_variables(job: "Job") -> bool:
    """Return whether the code is here, and none of its files names a variable of the job: `${oc.env:NAME}`."""
    script = find_script(job)
    return script is not None and not any(VARIABLE_START in text for text in _read_texts(script[0]))


def _read_texts(folder: Path) -> Iterator[bytes]:
    """Yield the texts of a folder's programs and configurations."""
    paths = (Path(parent, name) for parent, _, file_names in os.walk(folder) for name in file_names)
    for path in itertools.islice(paths, MAX_LISTED):
        if path.suffix in TEXT_SUFFIXES and path.name not in OWN_SCHEMA_FILES:
            with contextlib.suppress(OSError, ValueError):
                yield read_limited_file(path, program_files.MAX_BYTES)


def check_environ(job: "Job") -> Iterator[Problem]:
    """Require variables that a process can have, that hold no secret, and that robotrain does not set itself."""
    try:
        variables = load_pairs(job["environ"])
    except ValueError as error:
        yield make_problem("value-invalid.set-env", error=error)
        return
    for name, value in variables.items():
        shown_name = redact(name)
        if is_secret_value(name, value) or value_holds_secret(f"{name}={value}") or value_holds_secret(value):
            yield make_problem("secret-in-job", shown=shown_name)
        elif not VARIABLE.fullmatch(name) or "\0" in value:
            yield make_problem("variable-invalid.name", shown=shown_name)
        elif name in OWN_VARIABLES or name.upper().startswith(OWN_PREFIX):
            reason = OWN_VARIABLES.get(name, "give a parameter of your own: --param NAME=VALUE")
            ways = (suggest_leaving_out(f"{FLAG} {shown_name}"),)
            yield make_problem("variable-invalid.own", *ways, shown=shown_name, why=reason)
