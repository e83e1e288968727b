"""What gets a user into a run: a command of this machine that takes over the terminal."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class TerminalCommand(NamedTuple):
    """A command of this machine that takes the place of robotrain: its streams are those of the user."""

    words: Sequence[str]
    folder: str = ""
    """Where it starts; empty for where the user is."""
    environ: Mapping[str, str] | None = None
    """Its environment variables; None for those of the user."""
    note: str = ""
    """What the user must know beforehand."""
