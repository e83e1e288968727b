"""Isaac Lab 2.3: scripts in a folder, which `isaaclab.sh` runs below Isaac Sim."""

from collections.abc import Sequence
from pathlib import Path


def make_script_words(folder: Path | None, action: str, backend: str) -> tuple[str, ...]:
    """Return the words that name a script: `action` is `train` or `play`."""
    assert folder is not None
    return (str(folder / "scripts" / "reinforcement_learning" / backend / f"{action}.py"),)


def make_machine_arguments(backend: str, options: Sequence[str], *, headless: bool) -> tuple[str, ...]:
    """Return the arguments that say where a script runs. It finds its GPU by itself, and needs one."""
    return ("--headless",) if headless else ()
