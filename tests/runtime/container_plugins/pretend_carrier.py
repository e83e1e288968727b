"""A carrier as a third party may write it, which does as its sources say.

`a` is data named a; `wrong network It is far away.` cannot be reached, for the reason and with the sentence given;
`breaks network` fails when it is fetched; `meets ONE TWO` makes the file ONE, and goes on once there is a file TWO.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pretend_work
from robotrain_runtime.contract.container_plugin import (
    BatchFetch,
    ContainerContext,
    PythonEnvironment,
    SourceContainerPlugin,
    SurveyedSource,
)
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Download
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.problem import make_data_problem

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("carrying.txt"), python=pretend_work.VERSION, gib=0.01)
SIZE = 1000


def deliver(
    sources: Sequence[JobSource],
    container_plugins: Mapping[str, SourceContainerPlugin],
    place: ContainerContext,
    described: Mapping[str, Sequence[str]],
) -> BatchFetch:
    return Words(sources, place)


class Words:
    def __init__(self, sources: Sequence[JobSource], place: ContainerContext) -> None:
        assert place.python is not None
        assert place.python.exists()
        self._sources = sources
        self._place = place
        self._scratch = tempfile.TemporaryDirectory()

    def survey(self) -> Sequence[SurveyedSource]:
        return list(map(self._found, self._sources))

    def fetch(self, progress: Callable[[Download], None]) -> Mapping[JobSource, Path]:
        total = SIZE * len(self._sources)
        data = {}
        for number, source in enumerate(self._sources, 1):
            data[source] = self._fetched(source.uri)
            progress(Download(done=SIZE * number, total=total, rate=1e6))
        return data

    def close(self) -> None:
        self._scratch.cleanup()

    def _found(self, source: JobSource) -> SurveyedSource:
        word, *rest = source.uri.split(" ", 2)
        if word == "wrong":
            return SurveyedSource(source=source, fault=rest[0], problems=(make_data_problem(*rest[1].split("\n")),))
        described = Path(self._scratch.name, word)
        described.mkdir()
        (described / "numbers.txt").write_text(word)
        missing = 2**60 if word == "huge" else SIZE
        return SurveyedSource(
            source=source, size=SIZE, missing=missing, digest=f"digest-of-{word}", description_folder=described
        )

    def _fetched(self, uri: str) -> Path:
        word, *rest = uri.split()
        if word == "breaks":
            raise JobFailed("the line was cut", fault=rest[0])
        if word == "meets":
            Path(rest[0]).touch()
            while not Path(rest[1]).exists():
                time.sleep(0.01)
        folder = self._place.cache / "data" / word
        folder.mkdir(parents=True, exist_ok=True)
        folder.with_name(word + ".lock").touch()
        (folder / "numbers.txt").write_text(word)
        return folder
