"""Report metrics, progress and checkpoints of your own training program to robotrain.

    from robotrain_runtime import report

    report.metrics(step, loss=0.1)
    report.metrics(step, {"val/accuracy": 0.9})
    report.progress(step, total)
    report.checkpoint("checkpoints/100", step=100)

Outside robotrain nothing happens. This file needs nothing but Python 3.8: you may copy it into your own code. A call
never raises and takes microseconds; any thread and any process of the program may call it.
"""

from __future__ import annotations

import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

VARIABLE = "ROBOTRAIN_REPORT"
"""The environment variable of the file that a line is added to for each call."""


def metrics(step: Any, values: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
    """Report values of metrics at a step: numbers, or what `float` takes, such as a tensor with one element.

    :param values: by name, for names that are no identifiers.
    """
    _report("metrics", lambda: {"step": _to_count(step), "values": _to_numbers({**(values or {}), **kwargs})})


def progress(step: Any, total: Any = None) -> None:
    """Report how many steps are done, and of how many."""
    _report("progress", lambda: {"step": _to_count(step), "total": None if total is None else _to_count(total)})


def checkpoint(path: str | os.PathLike[str], step: Any) -> None:
    """Report a checkpoint, a file or folder, that is complete."""
    _report("checkpoint", lambda: {"path": os.path.abspath(os.fspath(path)), "step": _to_count(step)})


def _to_count(number: Any) -> int:
    return int(float(number))


def _to_numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): float(metric_value) for name, metric_value in values.items()}


def _report(kind: str, make_fields: Callable[[], dict[str, Any]]) -> None:
    path = os.environ.get(VARIABLE)
    if not path:
        return
    try:
        event_line = json.dumps({"event": kind, "time": time.time(), **make_fields()}) + "\n"
        os.write(_file.open(path), event_line.encode())  # one write to a file opened to append: lines stay whole
    except Exception as error:
        if not _file.has_warned:
            _file.has_warned = True
            with suppress(Warning):  # the program may turn warnings into errors
                warnings.warn(f"this could not be reported to robotrain: {error}", RuntimeWarning, stacklevel=3)


class _ReportFile:
    """The file of this process, opened once."""

    def __init__(self) -> None:
        self.has_warned = False
        self._lock = threading.Lock()
        self._path = ""
        self._descriptor = -1

    def open(self, path: str) -> int:
        with self._lock:
            if path != self._path:
                self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._path = path
            return self._descriptor

    def renew_lock(self) -> None:
        self._lock = threading.Lock()  # another thread of the parent process may have held it


_file = _ReportFile()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_file.renew_lock)
