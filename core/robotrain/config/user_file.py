"""The user's own configuration: `robotrain/config.toml` in their configuration folder. No project has one."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import tomllib

from robotrain.config.values import Origin, Value, read_limited
from robotrain.errors import Problem, Stage, Suggestion, make_problem
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact
from robotrain.store import files

FILE = "config.toml"
KEYS = ("checker",)
USER_LAYER = "user configuration"


class UserFile(NamedTuple):
    """The values of the file, each with its line's file, and what is wrong with it."""

    values: dict[str, Value]
    problems: tuple[Problem, ...] = ()


def get_user_file() -> Path:
    """Return the path of the file, which may not exist."""
    return files.get_configuration_folder() / FILE


def read_user_file() -> UserFile:
    """Return the file's values; none without a file. What is wrong with it is a warning: it belongs to all jobs."""
    path = get_user_file()
    try:
        body: dict[str, Any] = tomllib.loads(read_limited(path))
    except FileNotFoundError:
        return UserFile({})
    except OSError as error:
        return UserFile({}, (_make_problem("file-unreadable", f"{path} cannot be read", why=f"{error.strerror}."),))
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f"{path}:{line[1]}" if line else str(path)
        return UserFile({}, (_make_problem("file-malformed", f"{FILE} is not TOML", where, redact(f"{error}.")),))
    except (ValueError, RecursionError) as error:
        return UserFile({}, (_make_problem("file-unreadable", f"{path} cannot be read", why=redact(str(error))),))
    values, problems = {}, []
    for name, value in body.items():
        if name not in KEYS:
            title, why = f"{FILE} has no key {redact(name)!r}", f"Known: {', '.join(KEYS)}."
            problems.append(_make_problem("file-unknown-key", title, str(path), why, *suggest_name(name, KEYS)))
        elif not isinstance(value, str) or not value:
            problems.append(_make_problem("file-malformed", f"{name} must be a text in quotes", str(path)))
        else:
            values[name] = Value(value, Origin(USER_LAYER, str(path)))
    return UserFile(values, tuple(problems))


def _make_problem(code: str, title: str, where: str = "", why: str = "", *ways: Suggestion) -> Problem:
    return make_problem(code, title, where, "", why, *ways, stage=Stage.PARSE, severity="warning")
