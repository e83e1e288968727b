"""Outlines: a folder of this machine with what a run folder of another machine has, from which its outputs follow."""

import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract.document_limits import MAX_MANIFEST_BYTES
from robotrain_runtime.contract.event import Checkpoint, Evaluated

from robotrain.run_folder import file_names
from robotrain.run_folder.transport import Entry, Transport

PATH_FIELDS: Mapping[type, tuple[str, ...]] = {Checkpoint: ("path",), Evaluated: ("results", "policy")}
"""The fields of events that are paths of the machine of the run."""
OUTPUT_EVENTS = '"(checkpoint|published|withdrawn|registered|evaluated)"'
"""What events begin with that outputs follow from."""


@contextmanager
def open_outline(transport: Transport, folder: str) -> Iterator[Path]:
    """Yield a folder with all files of a run folder, of their size, and the content of those that describe outputs."""
    with tempfile.TemporaryDirectory(prefix="robotrain-") as temporary:
        top = Path(temporary, os.path.basename(folder))
        top.mkdir()
        for entry in transport.list(folder):
            if not checkpoint.is_inside(entry.path):
                raise ValueError(f"{entry.path!r} leads out of the run folder")
            try:
                _make_entry(top / entry.path, entry)
            except OSError as error:
                raise ValueError(f"{entry.path!r} with {entry.size} bytes: {error.strerror}") from None
        manifests = {os.path.join(folder, path.relative_to(top)): path for path in top.rglob(checkpoint.MANIFEST)}
        for name, state in transport.read(dict.fromkeys(manifests, 0)).items() if manifests else ():
            file_bytes = state.content if state else b""
            if state and len(file_bytes) < state.size <= MAX_MANIFEST_BYTES:
                file_bytes = transport.read_whole(name, MAX_MANIFEST_BYTES) or b""
            manifests[name].write_bytes(file_bytes)
        if (top / file_names.EVENTS_FILE).exists():
            events = shlex.quote(os.path.join(folder, file_names.EVENTS_FILE))
            matches = transport.query(f"grep -aE '{OUTPUT_EVENTS}' -- {events} || [ $? = 1 ]").stdout
            lines = [_move_event(line, Path(folder), top) for line in matches.decode(errors="replace").split("\n")]
            _write_sized(top / file_names.EVENTS_FILE, "".join(f"{line}\n" for line in lines if line).encode())
        yield top


def _make_entry(path: Path, entry: Entry) -> None:
    """Create what an entry of a list says, without its content. Raise OSError if no folder can have it."""
    if entry.kind == "d":
        path.mkdir(parents=True, exist_ok=True)
    elif entry.kind == "f":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, entry.size)


def _move_event(line: str, run_folder: Path, outline_folder: Path) -> str:
    """Return the line of an event with the paths that it has in an outline; empty if it is of another folder."""
    record = event.parse_event(line)
    if record is None:
        return ""
    moved_paths: dict[str, Any] = {}
    for name in PATH_FIELDS.get(type(record.event), ()):
        path = Path(getattr(record.event, name))
        if path.parts and (not path.is_relative_to(run_folder) or ".." in path.parts):
            return ""
        moved_paths[name] = str(outline_folder / path.relative_to(run_folder)) if path.parts else ""
    moved_event: Any = record.event
    return event.format_event(replace(moved_event, **moved_paths), record.time)


def _write_sized(path: Path, file_bytes: bytes) -> None:
    """Write the beginning of a file, which keeps its size."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        file.write(file_bytes)
        file.truncate(max(size, len(file_bytes)))
