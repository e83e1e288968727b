"""Which plugins a command or a program has: by its switches, else by the environment of the process.

`.env`, job files and robotrain.toml have no say in it: what a repository holds must not make code run.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import cast, get_args

from robotrain.plugins import Mode, Plugins
from robotrain.problem import Problem, Rejected, Stage

MODE, WITHOUT, FROM = "ROBOTRAIN_PLUGINS", "ROBOTRAIN_WITHOUT", "ROBOTRAIN_PLUGINS_FROM"

_commands: list[Plugins] = []


def plugins() -> Plugins:
    """For a call from Python: those of the command it is made in, as by a plugin's; else those of the environment."""
    return _commands[-1].anew() if _commands else chosen()


@contextlib.contextmanager
def of_command(found: Plugins) -> Iterator[None]:
    """Calls from Python that are made in a command have its plugins, in whatever thread they are made."""
    _commands.append(found)
    try:
        yield
    finally:
        _commands.remove(found)


def chosen(mode: str = "", without: Sequence[str] = (), file: str = "") -> Plugins:
    """The plugins, found once. Raises Rejected for a choice that cannot be had, before anything is done."""
    mode = mode or os.environ.get(MODE) or "all"
    if mode not in get_args(Mode):
        title = f"{MODE} is one of {', '.join(get_args(Mode))}"
        raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title)])
    named = [name.strip() for name in os.environ.get(WITHOUT, "").split(",")]
    left_out = tuple(filter(None, (*without, *named)))
    found = Plugins(cast(Mode, mode), left_out, file or os.environ.get(FROM, ""))
    if left_out:
        _ = found.claims  # a name that switches nothing off is told at once
    return found


def leniently(mode: str = "", without: Sequence[str] = (), file: str = "") -> Plugins:
    """The same for a completion, which has nobody to tell: what is installed where the choice cannot be had."""
    try:
        found = chosen(mode, without, file)
        _ = found.claims
    except Rejected:
        return Plugins()
    return found
