"""What an author's fixtures return: `World`, a platform's engine, and `Served`, a source that can be fetched."""

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
    """The files of a zip archive, by their paths."""
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        return {one.filename: packed.read(one) for one in packed.infolist() if not one.is_dir()}


class World:
    """An engine on this machine, as the author's fixture `world` brings it up: the real one, or one that refuses what
    the real one refuses.

    options: what a command line needs there beside `--platform NAME`. job: words of a job that the engine takes as it
    is. texts: by source kind, a text to try in place of the kind's own example. needs: by source kind, options that a
    source of it needs there, in place of the same among `options`; by feature, those of all that requires it. natives:
    every word that the engine has for how a run is, and what it means. only_natives: it can never say another, as it
    has no version of its own.
    """

    options: Sequence[str] = ()
    job: Sequence[str] = ()
    texts: Mapping[str, str] = {}
    needs: Mapping[str, Sequence[str]] = {}
    native_states: Mapping[str, RunState] = {}
    only_native_states: bool = False

    def read_document(self, plan: Plan) -> JobDocument:
        """The document that the runtime is started with, after all that the engine does to a plan.

        As it is here: the plan's own `job.json`.
        """
        path = next((path for path in sorted(plan.files) if path.rpartition("/")[2] == "job.json"), "")
        assert path, f"no job.json among {', '.join(sorted(plan.files))}: say in `arrived` where the document is"
        return document.parse_document(plan.files[path].decode())

    def read_payload(self, plan: Plan) -> Mapping[str, bytes]:
        """The payload as it lies where the runtime is started: its files by their paths.

        As it is here: those of the plan's own zip archive.
        """
        found = next((content for path, content in sorted(plan.files.items()) if path.endswith(".zip")), b"")
        return read_zip(found) if found else {}

    def count_runs(self, run: str) -> int:
        """How many runs the engine was given under that name, those that ended among them."""
        raise NotImplementedError

    def set_native_state(self, reference: Reference, native_state: str) -> None:
        """Let the engine say `native` of a run, one of `natives` or a word that nobody has heard before."""
        raise NotImplementedError

    def write_log(self, reference: Reference, *lines: str) -> None:
        """Let a run print lines."""
        raise NotImplementedError

    def leave_checkpoint(self, reference: Reference, step: int) -> Mapping[str, bytes]:
        """Let a run leave a complete checkpoint of that step, and answer its files by their paths in it.

        As it is here: none, and nothing that a run left is tried.
        """
        return {}

    def interruptions(self) -> Iterator[AbstractContextManager[object]]:
        """Ways to cut a submit off: within each of these blocks one ends in the middle, by any exception, and the
        engine may have taken the run or not. Before and after the platform's own `submit` the kit cuts by itself.
        """
        return iter(())


@dataclass(frozen=True, kw_only=True)
class Served:
    """A source that can be fetched here and now, as the author's fixture `served` brings it up.

    text: what is typed. files: what is there, by path. role: what it is fetched for. missing: a text that names nothing
    there. cut: within this block the connection breaks in the middle. change: puts other content in its place. python:
    that of the environment the plugin declares. place: further fields of `ContainerContext`.
    """

    text: str
    files: Mapping[str, bytes]
    role: str = "dataset"
    missing: str = ""
    cut: Callable[[], AbstractContextManager[object]] | None = None
    change: Callable[[], object] | None = None
    python: Path | None = None
    place: Mapping[str, Any] = field(default_factory=dict)
