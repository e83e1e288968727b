"""What several looks ask side by side, asked once."""

import threading
from collections.abc import Callable
from typing import Any


class Once:
    """Each answer by its name. Who asks while another does waits for the same one, and hears the same refusal."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}
        self._found: dict[str, tuple[Any, OSError | None]] = {}

    def ask(self, name: str, ask: Callable[[], Any]) -> Any:
        """What `ask` answers, or did. Raises the OSError that it raises."""
        with self._lock:
            asking = self._asking.setdefault(name, threading.Lock())
        with asking:
            if name not in self._found:
                self._found[name] = _asked(ask)
        found, error = self._found[name]
        if error is not None:
            raise error
        return found


def _asked(ask: Callable[[], Any]) -> tuple[Any, OSError | None]:
    try:
        return ask(), None
    except OSError as error:
        return None, error
