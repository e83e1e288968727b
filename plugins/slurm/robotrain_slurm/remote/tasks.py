"""What another machine asks for beside the platform's own functions. These run on the login node."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.run import Output, Reference
from robotrain_runtime.contract.files import open_regular_file

from robotrain_slurm.observe.runs import RUNS
from robotrain_slurm.remote.events_mirror import PROBE_BYTES

make_problem = Messages(__file__)

CHUNK_BYTES = MAX_EVENT_BYTES = 1 << 19
"""Of a file in one frame, for which a slow line has `SILENCE_SECONDS`."""


def query_status(reference: Reference, known: Sequence[Any] | None) -> Mapping[str, Any]:
    """Return the status and new events. Raise as `query_status`.

    :param known: of the events, as for `read_events`; None if they are not followed.
    """
    status = RUNS.status(reference)
    events = read_events(reference, *known) if known is not None else None  # afterwards: the last ones are there
    return {"status": status, "events": events}


def read_events(reference: Reference, offset: int, probe: str) -> Sequence[Any] | None:
    """Return where new events begin, those, and whether there are more; None if there is no file of events.

    :param probe: the digest of what stands before `offset`, as far as it is known.
    """
    if (path := RUNS.events_file(reference)) is None:
        return None
    with open_regular_file(path) as file:
        start = max(0, offset - PROBE_BYTES)
        file.seek(start)
        if hashlib.sha256(file.read(offset - start)).hexdigest() != probe:
            offset = 0
        file.seek(offset)
        content = file.read(MAX_EVENT_BYTES)
        return [offset, content, len(content) == MAX_EVENT_BYTES]


def list_outputs(reference: Reference) -> list[Output]:
    """Return the outputs of a run. Raise RunGone, Rejected."""
    return [*RUNS.outputs(reference)]


def send_output(reference: Reference, output: Output) -> Iterator[Mapping[str, Any]]:
    """Yield the files of an output: the path and mode of each, then its content in parts. Raise Rejected, OSError.

    Links are followed, each folder once. What is no file, such as a pipe or a link to nothing, is left out.
    """
    source = Path(output.uri)
    if not source.exists():
        raise Rejected([make_problem("output-gone", given=output.uri, name=output.name)])
    if source.is_file():
        yield from _send_file(source, "")
        return
    yield {"path": "", "mode": 0, "folder": True}
    seen = set[tuple[int, int]]()
    for place, folders, names in os.walk(source, followlinks=True):
        found = os.stat(place)
        if (found.st_dev, found.st_ino) in seen:
            folders.clear()
            continue
        seen.add((found.st_dev, found.st_ino))
        inside = os.path.relpath(place, source)
        for name in folders:
            yield {"path": os.path.normpath(os.path.join(inside, name)), "mode": 0, "folder": True}
        for name in filter(lambda name: Path(place, name).is_file(), names):
            yield from _send_file(Path(place, name), os.path.normpath(os.path.join(inside, name)))


def _send_file(file: Path, path: str) -> Iterator[Mapping[str, Any]]:
    with file.open("rb") as opened:
        yield {"path": path, "mode": os.fstat(opened.fileno()).st_mode & 0o777, "folder": False}
        while content := opened.read(CHUNK_BYTES):
            yield {"content": content}
