"""Putting a file elsewhere: linked where nobody will ever change it, else copied. Standard library only."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Linking:
    """kept: folders in which files stay as they are: those of a person may be written to later, so they are copied."""

    kept: Sequence[Path]

    def copy(self, source: str | Path, target: str | Path) -> None:
        """Has the signature of `shutil.copy`. Raises OSError."""
        real = Path(source).resolve()
        if any(folder in real.parents for folder in self.kept):
            with suppress(OSError):  # another disk, or one without links
                os.link(real, target)
                return
        shutil.copyfile(real, target)

    def tree(self, source: Path, target: Path) -> None:
        """Every file below a folder, which may hold links to folders. Raises OSError."""
        for path in sorted(source.iterdir()):
            if path.is_dir():
                (target / path.name).mkdir(parents=True, exist_ok=True)
                self.tree(path, target / path.name)
            else:
                target.mkdir(parents=True, exist_ok=True)
                self.copy(path, target / path.name)
