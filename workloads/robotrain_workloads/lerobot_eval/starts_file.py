"""Starts that are too long for a command line lie in a file of the run's own folder. Standard library only."""

from pathlib import Path

NAME = "starts.json"
LONGEST = 10_000
"""Characters on a command line; a system takes no argument above 128 KiB."""


def option(text: str, work: Path) -> str:
    """What the launcher is told: the starts themselves, or the file that they are written to. Raises OSError."""
    if len(text) <= LONGEST:
        return f"--starts={text}"
    work.mkdir(parents=True, exist_ok=True)
    (work / NAME).write_text(text, encoding="utf-8")
    return f"--starts-file={work / NAME}"
