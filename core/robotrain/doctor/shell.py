"""Whether the shell completes `robotrain`'s commands, options and runs."""

import os
from collections.abc import Iterator
from pathlib import Path

from robotrain.health import Finding, ok

PLACES = {
    "bash": (".bash_completions/robotrain.sh", ".bashrc"),
    "zsh": (".zfunc/_robotrain", ".zshrc"),
    "fish": (".config/fish/completions/robotrain.fish",),
}
"""Where a shell learns it from, below the home folder."""
WORD = "_ROBOTRAIN_COMPLETE"


def completion() -> Iterator[Finding]:
    """No submit depends on it, so it is never more than a hint."""
    shell = Path(os.environ.get("SHELL", "")).name
    places = PLACES.get(shell, ())
    if any(_mentions(Path.home() / place) for place in places):
        yield ok(f"{shell} completes robotrain")
    elif places:
        yield ok(f"{shell} does not complete robotrain yet: `robotrain --install-completion` makes it")
    else:
        yield ok("bash, zsh and fish can complete robotrain: `robotrain --install-completion`")


def _mentions(path: Path) -> bool:
    try:
        return WORD in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
