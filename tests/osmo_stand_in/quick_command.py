"""OSMO's command, which the tests start hundreds of times: see the other `quick_command`."""

import functools
import importlib
from pathlib import Path

import quick_command

from osmo_stand_in import config

IMPORTED = (
    *("jinja2.sandbox", "yaml", "osmo_stand_in.service.routes", "osmo_stand_in.service.spec"),
    *(f"osmo_stand_in.cli.{name}" for name in ("account", "main", "observe", "submit")),
)
"""What most calls need."""


def script(folder: Path) -> str:
    """The text of the executable. folder: of the stand-in."""
    return quick_command.make_executable(__name__, Path(__file__).parents[1], folder)


def prepare() -> None:
    """Import what most calls need, and make the usual parser once."""
    from osmo_stand_in.cli import grammar

    for name in IMPORTED:
        importlib.import_module(name)
    grammar.parser = functools.cache(grammar.parser)
    grammar.parser(config.numbers(config.DEFAULT["client"]))


def main(folder: Path, words: list[str]) -> int:
    """Run the command."""
    from osmo_stand_in.cli.main import main

    return main(folder, words)
