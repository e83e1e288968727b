"""The tests' stand-in of OSMO: the command `osmo`; with `--do CODE`, what happens there, in the words of its class."""

from collections.abc import Sequence
from pathlib import Path

from osmo_stand_in import OsmoStandIn, command, quick_command

prepare = quick_command.prepare


def main(folder: Path, argv: Sequence[str]) -> int:
    """Return the exit status of a call. folder: of the stand-in. `run` in the code is the first workflow."""
    if argv[0] != "--do":
        return command.main(folder, argv)
    quick_command.script = lambda _: (folder / "bin/osmo").read_text()
    osmo = OsmoStandIn(folder)
    exec(argv[1], {"osmo": osmo, "run": next(iter(osmo.workflows), "")})
    return 0
