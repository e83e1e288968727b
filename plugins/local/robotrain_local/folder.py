"""The files a run's folder gets beside those of its plan. Each is written whole or not at all."""

import json
import os
import time
from pathlib import Path
from typing import Any

PAYLOAD = "payload.zip"
UNPACKED = "payload"
LOG = "log.txt"
SUPERVISOR = "supervisor.json"  # which process watches over the run
CANCEL = "cancel.json"  # somebody asked for its end
EXIT = "exit.json"  # it ended, and nothing of it is left running


def write(path: Path, data: dict[str, Any]) -> None:
    """Put `data` into `path`, in one step for every reader."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def read(path: Path) -> dict[str, Any] | None:
    """What `path` holds; None when it is not there, or when a power cut left it torn."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def end(folder: Path, code: int, reason: str = "") -> None:
    """Write down that the run of `folder` ended, and how, if nobody did before."""
    if not (folder / EXIT).exists():
        write(folder / EXIT, {"exit_code": code, "ended": time.time(), "reason": reason})
