"""What gets a user into a run: a command of this machine that takes over the terminal, and how a port is reached."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


class TerminalCommand(NamedTuple):
    """A command of this machine that works on the streams of the user."""

    words: Sequence[str]
    folder: str = ""
    """Where it starts; empty for where the user is."""
    environ: Mapping[str, str] | None = None
    """Its environment variables; None for those of the user."""
    begin_mark: str = ""
    """What it prints, once, before the output of what it ran elsewhere."""
    exit_mark: str = ""
    """What it prints, once, before the exit code of what it ran elsewhere and `;`, where its own does not tell it.

    It then gets a terminal even where the user has none.
    """
    explain_failure: Callable[[int, str], Exception] | None = None
    """Return the error for its exit code and what it printed before it did what it is for.

    The user sees that error in place of what it printed.
    """
    note: str = ""
    """What the user must know beforehand."""


class Forwarding(NamedTuple):
    """How a port of a run is reached from this machine."""

    address: str
    """The host and the port to open."""
    command: TerminalCommand | None = None
    """What must run meanwhile; None where nothing need."""
