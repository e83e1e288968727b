"""The address of a login node, and which references and plans have one."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.reference import LOGIN_KEY

make_problem = Messages(__file__)

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
        yield make_problem("slurm-login-invalid.value", given=login)
    elif login and (port := re.fullmatch(PORT, login)):
        yield make_problem("slurm-login-invalid.port", given=login, port=port[2], host=port[1])


def find_login(subject: Any) -> str:
    """Return the login node of a reference or a plan; empty if it is of this machine."""
    if isinstance(subject, Mapping):
        return str(subject.get(LOGIN_KEY, ""))
    try:
        return str(json.loads(subject.files[SUBMISSION_FILE]).get(LOGIN_KEY, ""))
    except (LookupError, ValueError, AttributeError):  # a damaged plan, of which a call says so
        return ""
