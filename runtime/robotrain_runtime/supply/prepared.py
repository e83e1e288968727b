"""Data made of the data of several sources: once for each key, complete or not there at all, shared by runs."""

import contextlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from robotrain_runtime import child, faults, locking, oom, reason, surroundings
from robotrain_runtime.document import JobDocument
from robotrain_runtime.event import Record
from robotrain_runtime.failure import Failed
from robotrain_runtime.half import Preparation
from robotrain_runtime.stop import Stop

FILES = "files"
MANIFEST = "prepared.json"
REMEMBERED_LINES = 200

Make = Callable[[Path], None]


def folder(document: JobDocument, preparation: Preparation) -> Path:
    """Where it lies, made or not: in the cache; in the run's own folder when nobody can tell what it is made of."""
    if not preparation.key:
        return Path(document.placement.work) / "prepared"
    return Path(document.placement.cache) / "prepared" / document.workload / preparation.key


def find(place: Path) -> Path | None:
    """The data at `place`; None while it is not there, or when a file of it is not what was made."""
    try:
        expected = json.loads((place / MANIFEST).read_text(encoding="utf-8"))["files"]
        whole = all((place / FILES / name).stat().st_size == size for name, size in expected.items())
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return place / FILES if whole else None


def land(place: Path, make: Make, stop: Stop, say: Callable[[str], None], again: bool = False) -> Path:
    """The data at `place`, where `make` brings it when it is not there. Raises Failed, Stopped, OSError.

    make: given a folder to make, fills it. again: also when it is there. Two processes may ask for the same: one makes
    it, the other waits. What an interrupted one left is thrown away.
    """
    if not again and (found := find(place)):  # whoever uses it holds the lock, perhaps for days
        return found
    lock = place.with_name(place.name + ".lock")
    with locking.held(lock, stop, lambda: say(f"another run is making {place}: waiting")):
        if not again and (found := find(place)):
            return found
        with _scratch(place) as scratch:
            make(scratch / FILES)
            _seal(scratch)
            os.sync()  # a power cut must not leave files of the right length with something else in them
            if place.exists():
                shutil.rmtree(place)
            os.rename(scratch, place)
    return place / FILES


def program(
    document: JobDocument,
    preparation: Preparation,
    python: Path,
    stop: Stop,
    on_line: Callable[[str], None],
    on_event: Callable[[Record], None],
) -> Make:
    """The preparation's program, as what makes the data."""

    def make(to: Path) -> None:
        told: deque[str] = deque(maxlen=REMEMBERED_LINES)

        def heard(line: str) -> None:
            told.append(line)
            on_line(line)

        kills = oom.kills()
        command = [str(python), *preparation.arguments, str(to)]
        environ = surroundings.environ(document, preparation.environ)
        code = child.run(command, environ=environ, stop=stop, on_line=heard, on_event=on_event)
        if code:
            why = reason.of_exit(code, told)
            raise Failed(why, fault=faults.of_program(code, why, told, oom.kills() > kills))
        if not to.is_dir():
            raise Failed("the data was to be prepared, and nothing was made")

    return make


@contextlib.contextmanager
def _scratch(place: Path) -> Iterator[Path]:
    """A new folder beside `place`, which is gone in the end unless it was renamed."""
    scratch = place.with_name(place.name + ".part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _seal(made: Path) -> None:
    files = made / FILES
    sizes = {
        path.relative_to(files).as_posix(): path.stat().st_size for path in sorted(files.rglob("*")) if path.is_file()
    }
    (made / MANIFEST).write_text(json.dumps({"files": sizes}, indent=1) + "\n", encoding="utf-8")
