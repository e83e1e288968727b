"""The native spec `process.json`, and the other files of a run's folder: written atomically, locked."""

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robotrain.store import files
from robotrain_runtime.contract import claim
from robotrain_runtime.contract.address import TRACKING_VARIABLES
from robotrain_runtime.contract.document import DOCUMENT_FILE
from robotrain_runtime.contract.files import lock_file
from robotrain_runtime.contract.json_values import convert_fields

SPEC_FILE = "process.json"
SCHEMA = 1


class ProcessSpecError(ValueError):
    """A `process.json` that does not describe a process."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """A process, started in `folder` as `python -m module arguments…`."""

    run: str
    folder: str
    payload: str
    """SHA-256 digest of the payload archive."""
    module: str = "robotrain_runtime"
    arguments: tuple[str, ...] = ("run", DOCUMENT_FILE)
    environment: Mapping[str, str]
    """Variables added to the environment of the submit command."""
    without: tuple[str, ...] = TRACKING_VARIABLES
    """Variables removed from the environment of the submit command."""
    grace_seconds: float = 120
    """How long a cancelled run may take to save and to update tracking."""
    schema: int = SCHEMA


def dump_spec(spec: ProcessSpec) -> bytes:
    """Return the canonical JSON: equal specs give equal bytes."""
    return (json.dumps(dataclasses.asdict(spec), indent=1, sort_keys=True) + "\n").encode()


def parse_spec(spec_bytes: bytes) -> ProcessSpec:
    """Parse a spec. Raise ProcessSpecError if it is invalid."""
    try:
        spec_fields = json.loads(spec_bytes)
        if spec_fields["schema"] != SCHEMA:
            raise ProcessSpecError(
                f"{SPEC_FILE}: this robotrain reads schema {SCHEMA}, the file has {spec_fields['schema']!r}"
            )
        return ProcessSpec(
            **spec_fields | {"arguments": tuple(spec_fields["arguments"]), "without": tuple(spec_fields["without"])}
        )
    except (TypeError, KeyError, ValueError) as error:
        if isinstance(error, ProcessSpecError):
            raise
        raise ProcessSpecError(f"{SPEC_FILE} does not describe a process: {error}") from None


def read_spec(folder: Path) -> ProcessSpec:
    """Return the spec in a run's folder. Raise OSError, and ValueError if it is invalid."""
    return parse_spec(files.read_state_file(folder / SPEC_FILE))


PAYLOAD_FILE = "payload.zip"
SUBMITTED_FILE = "sent"  # the submit finished
SUPERVISOR_FILE = "supervisor.json"  # created once by the supervisor, which keeps it locked
CANCEL_FILE = claim.CANCELLED_FILE  # a cancel was requested
EXIT_FILE = "exit.json"  # the run has ended and no process of it is left
STARTED_FILES = (SUPERVISOR_FILE, CANCEL_FILE, EXIT_FILE)


def has_started(folder: Path) -> bool:
    """Return whether the run in `folder` was started, cancelled or ended, so that it must not be started."""
    return any((folder / name).exists() for name in STARTED_FILES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExitRecord:
    """How a run ended, as EXIT_FILE has it."""

    exit_code: int
    ended: float
    """In seconds since the epoch."""
    reason: str = ""


def parse_exit(exit_bytes: bytes) -> ExitRecord | None:
    """Return how a run ended; None if that is not recorded, or the record is damaged."""
    with contextlib.suppress(ValueError):
        return convert_fields(ExitRecord, parse_json(exit_bytes))
    return None


def parse_json(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a file; None for an empty or incomplete one."""
    try:
        json_object = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return json_object if isinstance(json_object, dict) else None


def create_json(path: Path, json_object: dict[str, Any]) -> bool:
    """Create `path` with `json_object`. Return False, leaving it unchanged, if it exists."""
    handle = create_locked_json(path, json_object)
    if handle is not None:
        os.close(handle)
    return handle is not None


def create_locked_json(path: Path, json_object: dict[str, Any]) -> int | None:
    """Create `path` like `create_json`. Return the open handle, which holds a lock, or None if it exists."""
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    json_bytes = (json.dumps(json_object, indent=1, sort_keys=True) + "\n").encode()
    handle = _create_locked_file(temporary, json_bytes)
    try:
        os.link(temporary, path)  # no reader sees the file without its content and its lock
        return handle
    except FileExistsError:
        os.close(handle)
        return None
    except OSError:  # a file system without hard links
        os.close(handle)
        with contextlib.suppress(FileExistsError):
            return _create_locked_file(path, json_bytes)
        return None
    finally:
        temporary.unlink(missing_ok=True)


def record_exit(folder: Path, exit_code: int, reason: str = "") -> None:
    """Record how the run in `folder` ended, unless that is recorded already."""
    record = ExitRecord(exit_code=exit_code, ended=time.time(), reason=reason)
    create_json(folder / EXIT_FILE, dataclasses.asdict(record))


def _create_locked_file(path: Path, file_bytes: bytes) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, files.PRIVATE_FILE)
    with contextlib.suppress(OSError):  # a file system without locks
        lock_file(handle)
    os.write(handle, file_bytes)
    os.fsync(handle)
    return handle
