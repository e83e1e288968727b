"""The carrier of `s3`: a program in their own environment surveys and then fetches all sources of the kind."""

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
    make_finding,
)

from robotrain_s3.container import ENVIRONMENT
from robotrain_s3.fetch_program import MARK
from robotrain_s3.process_env import make_process_env

__all__ = ["ENVIRONMENT", "deliver"]


def deliver(
    sources: Sequence[JobSource],
    plugins: Mapping[str, SourceContainerPlugin],
    place: ContainerContext,
    described: Mapping[str, Sequence[str]],
) -> "S3BatchFetch":
    """Return the fetch of `sources`."""
    return S3BatchFetch(sources, place, described)


class S3BatchFetch:
    """The fetch of several sources; one program runs at a time."""

    def __init__(
        self, sources: Sequence[JobSource], place: ContainerContext, described: Mapping[str, Sequence[str]]
    ) -> None:
        self._place = place
        self._sources = sources
        self._requested = [
            {"uri": one.uri, "pin": one.pin, "described": list(described.get(one.role, ()))} for one in sources
        ]
        self._scratch = tempfile.TemporaryDirectory(prefix="robotrain-s3-")
        self._process: subprocess.Popen[str] | None = None
        self._missing = 0

    def survey(self) -> Sequence[SurveyedSource]:
        """Return a survey of each source, in order. Raise JobFailed."""
        answers = self._ask("survey", "surveyed")
        surveys = [_read_survey(*pair) for pair in zip(self._sources, answers, strict=True)]
        self._missing = sum(one.missing for one in surveys)
        return surveys

    def fetch(self, progress: Callable[[Download], None]) -> Mapping[JobSource, Path]:
        """Return the folder of each source, complete and verified. Raise JobFailed."""

        def report(done: int, rate: float | None = None) -> None:
            if self._missing:
                progress(Download(done=done, total=self._missing, rate=rate))

        report(0)
        folders = self._ask("fetch", "fetched", lambda content: report(int(content[0]), content[1]))
        report(self._missing)
        return dict(zip(self._sources, map(Path, folders), strict=True))

    def close(self) -> None:
        """End the program; the next attempt keeps the files that are complete."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        self._scratch.cleanup()

    def _ask(self, do: str, wanted: str, progress: Callable[[Any], None] = lambda content: None) -> Any:
        request = {"do": do, "cache": str(self._place.cache), "scratch": self._scratch.name, "sources": self._requested}
        try:
            for name, content in self._run_program(json.dumps(request)):
                if name == wanted:
                    return content
                if name == "failed":
                    raise JobFailed(content["reason"], fault=content["fault"])
                progress(content)
        except BaseException:
            self.close()
            raise
        raise JobFailed(f"the program that reads S3 ended before it answered the request to {do}", fault="code")

    def _run_program(self, request: str) -> Iterator[tuple[str, Any]]:
        """Yield each marked line of its output; the others go to the log of the run."""
        if self._place.python is None:
            raise JobFailed("there is no Python environment to read S3 with")
        command = [str(self._place.python), "-m", "robotrain_s3.fetch_program"]
        with subprocess.Popen(
            command, env=make_process_env(self._place), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
        ) as self._process:  # fmt: skip
            stdin, stdout = self._process.stdin, self._process.stdout
            assert stdin is not None
            assert stdout is not None
            with suppress(OSError):  # it has ended: its output says why
                stdin.write(f"{request}\n")
                stdin.flush()
            for line in map(str.rstrip, stdout):
                if line.startswith(MARK):
                    yield from json.loads(line.removeprefix(MARK)).items()
                elif line:
                    self._place.log_line(line)


def _read_survey(source: JobSource, answer: Mapping[str, Any]) -> SurveyedSource:
    if "problem" in answer:
        return SurveyedSource(source=source, problems=(make_finding(*answer["problem"]),), fault=answer["fault"])
    folder = Path(answer["described"]) if answer["described"] else None
    sizes = {name: answer[name] for name in ("files", "size", "missing", "digest")}
    return SurveyedSource(source=source, description_folder=folder, **sizes)
