"""What the service remembers: JSON files in one folder, safe for several processes at once."""

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HELD = threading.RLock()


class State:
    """The files below `folder`. Written whole or not at all; a change is made by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._depth = 0

    def read(self, name: str, default: Any = None) -> Any:
        """The value kept under a name."""
        try:
            return json.loads((self.folder / f"{name}.json").read_bytes())
        except FileNotFoundError:
            return default

    def write(self, name: str, value: Any) -> None:
        """Keep a value under a name, in place of what was there."""
        file = self.folder / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}")
        fresh.write_text(json.dumps(value, indent=1))
        os.replace(fresh, file)

    def change(self, name: str, change: Callable[[Any], Any], default: Any = None) -> Any:
        """Keep what `change` makes of the value under a name; it is returned."""
        with self.alone():
            made = change(self.read(name, default))
            self.write(name, made)
        return made

    def append(self, name: str, text: str) -> None:
        """Add to a file of text."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as end:
            end.write(text.encode())

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else changes anything meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with HELD:
            self._depth += 1
            try:
                if self._depth > 1:
                    yield
                    return
                with (self.folder / "lock").open("w") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    yield
            finally:
                self._depth -= 1
