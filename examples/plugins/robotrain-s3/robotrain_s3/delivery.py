"""The carrier of `s3`: all sources of the kind, looked at and then fetched by a program in their own environment."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.plugin import (
    ContainerContext,
    Download,
    JobFailed,
    JobSource,
    SourceContainerPlugin,
    SurveyedSource,
)

from robotrain_s3 import surroundings
from robotrain_s3.container import ENVIRONMENT
from robotrain_s3.program import MARK

__all__ = ["ENVIRONMENT", "deliver"]


def deliver(
    sources: Sequence[JobSource],
    halves: Mapping[str, SourceContainerPlugin],
    place: ContainerContext,
    described: Mapping[str, Sequence[str]],
) -> "Transfer":
    """Bring `sources`."""
    return Transfer(sources, place, described)


class Transfer:
    """Sources on their way; a program at a time."""

    def __init__(
        self, sources: Sequence[JobSource], place: ContainerContext, described: Mapping[str, Sequence[str]]
    ) -> None:
        self._place = place
        self._sources = sources
        self._asked = [
            {"uri": one.uri, "pin": one.pin, "described": list(described.get(one.role, ()))} for one in sources
        ]
        self._scratch = tempfile.TemporaryDirectory(prefix="robotrain-s3-")
        self._process: subprocess.Popen[str] | None = None
        self._missing = 0

    def survey(self) -> Sequence[SurveyedSource]:
        """What each source is, in their order. Raises Failed."""
        told = self._ask("survey", "surveyed")
        found = [_found(*pair) for pair in zip(self._sources, told, strict=True)]
        self._missing = sum(one.missing for one in found)
        return found

    def fetch(self, progress: Callable[[Download], None]) -> Mapping[JobSource, Path]:
        """The folder of each source, complete and verified. Raises Failed."""

        def came(far: Sequence[float]) -> None:
            progress(Download(done=int(far[0]), total=self._missing, rate=far[1]))

        if self._missing:
            progress(Download(done=0, total=self._missing))
        folders = self._ask("fetch", "fetched", came)
        if self._missing:
            progress(Download(done=self._missing, total=self._missing))
        return dict(zip(self._sources, map(Path, folders), strict=True))

    def close(self) -> None:
        """End the program; the files that came whole stay for the next try."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        self._scratch.cleanup()

    def _ask(self, do: str, wanted: str, progress: Callable[[Any], None] = lambda far: None) -> Any:
        request = {"do": do, "cache": str(self._place.cache), "scratch": self._scratch.name, "sources": self._asked}
        try:
            for name, content in self._answers(json.dumps(request)):
                if name == wanted:
                    return content
                if name == "failed":
                    raise JobFailed(content["reason"].replace("\n", ": "), fault=content["fault"])
                progress(content)
        except BaseException:
            self.close()
            raise
        raise JobFailed(f"the program that asks S3 ended before it answered, while asked to {do}", fault="code")

    def _answers(self, request: str) -> Iterator[tuple[str, Any]]:
        """Each marked line; the others are the run's."""
        if self._place.python is None:
            raise JobFailed("there is no environment to ask S3 in")
        command = [str(self._place.python), "-m", "robotrain_s3.program"]
        with subprocess.Popen(
            command, env=surroundings.of(self._place), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
        ) as self._process:  # fmt: skip
            stdin, stdout = self._process.stdin, self._process.stdout
            assert stdin is not None
            assert stdout is not None
            with suppress(OSError):  # it has ended: its output tells why
                stdin.write(f"{request}\n")
                stdin.flush()
            for line in map(str.rstrip, stdout):
                if line.startswith(MARK):
                    yield from json.loads(line.removeprefix(MARK)).items()
                elif line:
                    self._place.log_line(line)


def _found(source: JobSource, told: Mapping[str, Any]) -> SurveyedSource:
    if "problem" in told:
        return SurveyedSource(source=source, problems=(told["problem"],), fault=told["fault"])
    folder = Path(told["described"]) if told["described"] else None
    sizes = {name: told[name] for name in ("files", "size", "missing", "digest")}
    return SurveyedSource(source=source, description_folder=folder, **sizes)
