"""The user's own configuration: `robotrain/config.toml` in their configuration folder. No project has one."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from robotrain.config.project_file import load_toml
from robotrain.config.values import Origin, Value
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact
from robotrain.store import files

make_problem = Messages(__file__)

FILE = "config.toml"
KEYS, WEBHOOK = ("checker", "notify"), "notify"
ADDRESS_FILE = "file"
"""Of the webhook: the file with its address. Any other key is the name of a platform."""
USER_LAYER = "user configuration"


class UserFile(NamedTuple):
    """The values of the file, each with its line's file, and what is wrong with it."""

    values: dict[str, Value]
    problems: tuple[Problem, ...] = ()
    webhook: Mapping[str, str] = MappingProxyType({})
    """Where the address of the webhook is: the file of this machine, and the secret of each platform."""


def get_user_file() -> Path:
    """Return the path of the file, which may not exist."""
    return files.get_configuration_folder() / FILE


def read_user_file() -> UserFile:
    """Return the file's values; none without a file. What is wrong with it is a warning: it belongs to all jobs."""
    path = get_user_file()
    body = load_toml(path, str(path), severity="warning") if path.exists() else {}
    if isinstance(body, Problem):
        return UserFile({}, (body,))
    values, problems, webhook = {}, [], dict[str, str]()
    for name, value in body.items():
        facts: dict[str, Any] = {"where": str(path), "name": redact(name), "severity": "warning"}
        if name not in KEYS:
            ways = suggest_name(name, KEYS)
            problems.append(make_problem("file-unknown-key", *ways, what=FILE, known=", ".join(KEYS), **facts))
        elif name == WEBHOOK:
            if isinstance(value, dict) and all(isinstance(place, str) and place for place in value.values()):
                webhook = value
            else:
                problems.append(make_problem("file-malformed.user-webhook", where=str(path)))
        elif not isinstance(value, str) or not value:
            problems.append(make_problem("file-malformed.user-value", **facts))
        else:
            values[name] = Value(value, Origin(USER_LAYER, str(path)))
    return UserFile(values, tuple(problems), webhook)
