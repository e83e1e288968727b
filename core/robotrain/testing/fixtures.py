"""What an author's fixtures return: `World`, the engine of a platform, and `Served`, a source that can be fetched."""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument

from robotrain.model.plan import Plan
from robotrain.model.run import Reference, RunState


def read_zip(archive: bytes) -> Mapping[str, bytes]:
    """Return the files of a zip archive, by their paths."""
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        return {one.filename: packed.read(one) for one in packed.infolist() if not one.is_dir()}


class World:
    """An engine on this machine, which the author's fixture `world` returns: the real one, or a stand-in that rejects
    what the real one rejects.
    """

    options: Sequence[str] = ()
    """The options that a command line needs beside `--platform NAME`."""
    job: Sequence[str] = ()
    """The words of a job that the engine accepts; by default the kit's own."""
    texts: Mapping[str, str] = {}
    """By source kind, a text to try instead of the kind's example."""
    needs: Mapping[str, Sequence[str]] = {}
    """By source kind or feature, the options that it needs; they replace the same among `options`."""
    native_states: Mapping[str, RunState] = {}
    """Every native state of the engine, and what it means."""
    only_native_states: bool = False
    """Whether the engine has no other state in any version."""

    def read_document(self, plan: Plan) -> JobDocument:
        """Return the document that the runtime starts with, after all that the engine does to a plan: by default the
        plan's `job.json`.
        """
        path = next((path for path in sorted(plan.files) if path.rpartition("/")[2] == "job.json"), "")
        assert path, f"no job.json among {', '.join(sorted(plan.files))}: override World.read_document"
        return document.parse_document(plan.files[path].decode())

    def read_payload(self, plan: Plan) -> Mapping[str, bytes]:
        """Return the files of the payload where the runtime starts: by default those of the plan's zip."""
        found = next((content for path, content in sorted(plan.files.items()) if path.endswith(".zip")), b"")
        return read_zip(found) if found else {}

    def count_runs(self, run: str) -> int:
        """Return how many runs of that name the engine was given, ended ones included."""
        raise NotImplementedError

    def set_native_state(self, reference: Reference, native_state: str) -> None:
        """Make the engine report a native state of a run: one of `native_states`, or an unknown one."""
        raise NotImplementedError

    def write_log(self, reference: Reference, *lines: str) -> None:
        """Make a run print lines."""
        raise NotImplementedError

    def leave_checkpoint(self, reference: Reference, step: int) -> Mapping[str, bytes]:
        """Make a run leave a complete checkpoint, and return its files by their paths; by default none is tested."""
        return {}

    def interruptions(self) -> Iterator[AbstractContextManager[object]]:
        """Yield blocks in each of which a submit ends in the middle, by any exception. The kit itself interrupts before
        and after the platform's `submit`.
        """
        return iter(())


@dataclass(frozen=True, kw_only=True)
class Served:
    """A source that can be fetched on this machine, which the author's fixture `served` returns."""

    text: str
    """What a user types."""
    files: Mapping[str, bytes]
    """Its files, by path."""
    role: str = "dataset"
    missing: str = ""
    """A text that names nothing there."""
    cut: Callable[[], AbstractContextManager[object]] | None = None
    """A block in which the connection breaks in the middle."""
    change: Callable[[], object] | None = None
    """Replaces the content."""
    python: Path | None = None
    """The Python of the environment that the plugin declares."""
    place: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of `ContainerContext`."""
