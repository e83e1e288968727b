"""The commands of the example's PBS, for quick_command.py."""

import importlib
import sys
from pathlib import Path

STAND_IN = Path(__file__).parents[2] / "examples/plugins/robotrain-pbs/tests"


def prepare() -> None:
    sys.path.insert(0, str(STAND_IN))
    importlib.import_module("pbs_stand_in")


def main(folder: Path, words: list[str]) -> int:
    """Answer `COMMAND WORDS…`, for the server in a folder."""
    sys.argv[1:] = [str(folder), *words]
    return importlib.import_module("pbs_stand_in").main() or 0
