"""The address of a login node, and which references and plans have one."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from robotrain.errors import Problem, Stage, make_problem
from robotrain.model.run import LOGIN_KEY

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import JobSource

FLAG = "--login"
ADDRESS = r"(?:[A-Za-z0-9_][A-Za-z0-9_.+-]*@)?[A-Za-z0-9][A-Za-z0-9_.:-]*"
"""A host, or a name in the user's configuration of ssh: no word that ssh reads as an option."""
PORT = r"(?:[^@]*@)?([^:]+):([0-9]+)"
"""An address with a port; one of IPv6 has more colons."""
SUBMISSION_FILE = "slurm.json"


def is_address(text: str) -> bool:
    """Return whether a text is the address of a login node."""
    return re.fullmatch(ADDRESS, text, re.ASCII) is not None


def check_login(login: str | None) -> Iterator[Problem]:
    """Check the setting `login`."""
    if login and not is_address(login):
        title, fix = f"the value of {FLAG} is not a login node", f"{FLAG} USER@HOST"
        why = "It is USER@HOST, HOST, or a name in your configuration of ssh, which has ports and other options."
        yield make_problem("slurm-login-invalid", title, FLAG, login, why, fix, stage=Stage.PARSE)
    elif login and (port := re.fullmatch(PORT, login)):
        title, fix = f"{FLAG} takes no port", f"{FLAG} NAME"
        why = f"Ports are in ~/.ssh/config: `Port {port[2]}` and `HostName {port[1]}` below a line `Host NAME`."
        yield make_problem("slurm-login-invalid", title, FLAG, login, why, fix, stage=Stage.PARSE)


def is_cluster_folder(source: JobSource) -> bool:
    """Return whether a source of a job for a login node is a folder there: only code comes from this machine."""
    return source.kind == "local_path" and source.role != "code"


def find_login(subject: Any) -> str:
    """Return the login node of a reference or a plan; empty if it is of this machine."""
    if isinstance(subject, Mapping):
        return str(subject.get(LOGIN_KEY, ""))
    try:
        return str(json.loads(subject.files[SUBMISSION_FILE]).get(LOGIN_KEY, ""))
    except (LookupError, ValueError, AttributeError):  # a damaged plan, of which a call says so
        return ""
