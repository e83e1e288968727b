"""The files a run's folder gets beside those of its plan. Each is written whole or not at all."""

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

PAYLOAD = "payload.zip"
UNPACKED = "payload"
LOG = "log.txt"
SENT = "sent"  # the submit that began it came to its end
SUPERVISOR = "supervisor.json"  # which process watches over the run: made once, by that process, which keeps it locked
CANCEL = "cancel.json"  # somebody asked for its end
EXIT = "exit.json"  # it ended, and nothing of it is left running
BEGUN = (SUPERVISOR, CANCEL, EXIT)


def begun(folder: Path) -> bool:
    """Whether something happened to the run of `folder` already, so that its plan must not be started there."""
    return any((folder / name).exists() for name in BEGUN)


def read(path: Path) -> dict[str, Any] | None:
    """What `path` holds; None when it is not there, or when a power cut left it torn."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def put(path: Path, content: bytes) -> None:
    """Make `content` what `path` holds, in one step for every reader."""
    temporary = _temporary(path)
    temporary.write_bytes(content)
    os.replace(temporary, path)


def first(path: Path, data: dict[str, Any]) -> bool:
    """Put `data` into `path`, which nobody made before; False when somebody did, and then it stays as it is."""
    handle = claim(path, data)
    if handle is not None:
        os.close(handle)
    return handle is not None


def claim(path: Path, data: dict[str, Any]) -> int | None:
    """The same; the one who made it gets the file's handle, locked as long as it is open."""
    temporary, content = _temporary(path), (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()
    handle = _made(temporary, content)
    try:
        os.link(temporary, path)  # with its content and its lock: no reader finds it without
        return handle
    except FileExistsError:
        os.close(handle)
        return None
    except OSError:  # a file system without hard links
        os.close(handle)
        with contextlib.suppress(FileExistsError):
            return _made(path, content)
        return None
    finally:
        temporary.unlink(missing_ok=True)


def held(path: Path) -> bool | None:
    """Whether the process that claimed `path` still lives; None when the file system does not tell."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def end(folder: Path, code: int, reason: str = "") -> None:
    """Write down that the run of `folder` ended, and how, if nobody did before."""
    first(folder / EXIT, {"exit_code": code, "ended": time.time(), "reason": reason})


def _made(path: Path, content: bytes) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(handle, content)
    os.fsync(handle)
    return handle


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(6).hex()}")
