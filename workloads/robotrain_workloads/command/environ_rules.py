"""Rules for the variables that a job of `command` gives its program, on the submit side."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.redaction import redact, value_holds_secret
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.secret_rules import is_secret_value

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)

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
