"""Make tiny random backbones and tokenizers: `python tiny_backbones.py OUT [OWNER/NAME ...]`, in LeRobot's environment.

Each repository is a folder OUT/OWNER/NAME with the files that LeRobot reads of the real one, below 1 MB, made offline.
`serve` puts such folders into a Hugging Face cache, so that names in options and names fixed in code find them.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

MAKERS: dict[str, Callable[[Path], None]] = {}
"""What writes the files of a repository into an empty folder, by OWNER/NAME."""


def repository(name: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Register what makes the repository of that name."""

    def register(make: Callable[[Path], None]) -> Callable[[Path], None]:
        MAKERS[name] = make
        return make

    return register


def make_repositories(out: Path, names: Iterable[str] = ()) -> list[Path]:
    """Make the repositories, all without names, and return their folders; those that are there stay."""
    folders = []
    for name in names or MAKERS:
        folder = out / name
        if not folder.is_dir():
            partial = folder.with_name(folder.name + ".partial")
            partial.mkdir(parents=True, exist_ok=True)
            MAKERS[name](partial)
            partial.rename(folder)
        folders.append(folder)
    return folders


def serve(out: Path, cache: Path) -> None:
    """Let a Hugging Face cache (HF_HUB_CACHE) hold every repository below `out`, at a made-up commit."""
    for folder in sorted(path for path in out.glob("*/*") if path.is_dir()):
        owner, name = folder.parts[-2:]
        commit = hashlib.sha1(f"{owner}/{name}".encode()).hexdigest()
        entry = cache / f"models--{owner}--{name}"
        (entry / "refs").mkdir(parents=True, exist_ok=True)
        (entry / "snapshots").mkdir(exist_ok=True)
        (entry / "refs" / "main").write_text(commit)
        snapshot = entry / "snapshots" / commit
        if not snapshot.is_symlink():
            snapshot.symlink_to(folder.resolve())


if __name__ == "__main__":
    for made in make_repositories(Path(sys.argv[1]), sys.argv[2:]):
        print(made, sum(file.stat().st_size for file in made.rglob("*") if file.is_file()))
