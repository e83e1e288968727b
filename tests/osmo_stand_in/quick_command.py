"""OSMO's command, which the tests start hundreds of times: see the other `quick_command`."""

from pathlib import Path

import quick_command

from osmo_stand_in import command, config


def script(folder: Path) -> str:
    """The text of the executable. folder: of the stand-in."""
    return quick_command.make_executable(__name__, Path(__file__).parents[1], folder)


def prepare() -> None:
    """Make the usual parser once."""
    command.make_parser(config.numbers(config.DEFAULT["client"]))


main = command.main
