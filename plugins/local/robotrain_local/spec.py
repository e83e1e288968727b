"""The native spec `process.json`, and the other files of a run's folder: written atomically, locked."""

import contextlib
import dataclasses
import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import event, failure

SPEC_FILE = "process.json"
SCHEMA = 1

EXCLUDED_VARIABLES = ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI")
"""Names that would send the run's tracking where another project's goes."""


class ProcessSpecError(ValueError):
    """A `process.json` that says no process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """The process: `python -m module arguments…`, in `folder`.

    environment: added to the environment of whoever submits; without: taken from it. payload: the digest of what is
    unpacked. grace_seconds: how long a cancelled run has to save what it can and to tell tracking.
    """

    run: str
    folder: str
    payload: str
    module: str = "robotrain_runtime"
    arguments: tuple[str, ...] = ("run", "job.json")
    environment: Mapping[str, str]
    without: tuple[str, ...] = EXCLUDED_VARIABLES
    grace_seconds: float = 120
    schema: int = SCHEMA


def dump_spec(spec: ProcessSpec) -> bytes:
    """The one form: equal specs are equal bytes."""
    return (json.dumps(dataclasses.asdict(spec), indent=1, sort_keys=True) + "\n").encode()


def parse_spec(content: bytes) -> ProcessSpec:
    """Read a spec. Raises SpecError."""
    try:
        data = json.loads(content)
        if data["schema"] != SCHEMA:
            raise ProcessSpecError(
                f"{SPEC_FILE}: this robotrain reads schema {SCHEMA}, the file has {data['schema']!r}"
            )
        return ProcessSpec(**data | {"arguments": tuple(data["arguments"]), "without": tuple(data["without"])})
    except (TypeError, KeyError, ValueError) as error:
        if isinstance(error, ProcessSpecError):
            raise
        raise ProcessSpecError(f"{SPEC_FILE} does not describe a process: {error}") from None


PAYLOAD_FILE = "payload.zip"
PAYLOAD_FOLDER = "payload"
LOG_FILE = "log.txt"
SUBMITTED_FILE = "sent"  # the submit that began it came to its end
SUPERVISOR_FILE = (
    "supervisor.json"  # which process watches over the run: made once, by that process, which keeps it locked
)
CANCEL_FILE = "cancel.json"  # somebody asked for its end
EXIT_FILE = "exit.json"  # it ended, and nothing of it is left running
STARTED_FILES = (SUPERVISOR_FILE, CANCEL_FILE, EXIT_FILE)


def has_started(folder: Path) -> bool:
    """Whether something happened to the run of `folder` already, so that its plan must not be started there."""
    return any((folder / name).exists() for name in STARTED_FILES)


def read_json(path: Path) -> dict[str, Any] | None:
    """What `path` holds; None when it is not there, or when a power cut left it torn."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def write_atomically(path: Path, content: bytes) -> None:
    """Make `content` what `path` holds, in one step for every reader."""
    temporary = _make_temporary_path(path)
    temporary.write_bytes(content)
    os.replace(temporary, path)


def create_json(path: Path, data: dict[str, Any]) -> bool:
    """Put `data` into `path`, which nobody made before; False when somebody did, and then it stays as it is."""
    handle = create_locked_json(path, data)
    if handle is not None:
        os.close(handle)
    return handle is not None


def create_locked_json(path: Path, data: dict[str, Any]) -> int | None:
    """The same; the one who made it gets the file's handle, locked as long as it is open."""
    temporary, content = _make_temporary_path(path), (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()
    handle = _create_locked_file(temporary, content)
    try:
        os.link(temporary, path)  # with its content and its lock: no reader finds it without
        return handle
    except FileExistsError:
        os.close(handle)
        return None
    except OSError:  # a file system without hard links
        os.close(handle)
        with contextlib.suppress(FileExistsError):
            return _create_locked_file(path, content)
        return None
    finally:
        temporary.unlink(missing_ok=True)


def is_locked(path: Path) -> bool | None:
    """Whether the process that claimed `path` still lives; None when the file system does not tell."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def record_exit(folder: Path, exit_code: int, reason: str = "") -> None:
    """Write down that the run of `folder` ended, and how, if nobody did before."""
    create_json(folder / EXIT_FILE, {"exit_code": exit_code, "ended": time.time(), "reason": reason})


def _create_locked_file(path: Path, content: bytes) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(handle, content)
    os.fsync(handle)
    return handle


def _make_temporary_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(6).hex()}")


TAIL_BYTES = 1 << 14


def read_failure_reason(folder: Path) -> str:
    """What the end of the log gives as the reason; empty when it says nothing."""
    try:
        with (folder / LOG_FILE).open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return failure.explain_output([line for line in lines if not line.startswith(event.PREFIX)])
