"""Fixtures of transfers: a server of shelves, and deliveries from it that end with their test."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from file_server import Shelves
from robotrain_runtime.contract.container_plugin import BatchFetch, ContainerContext, SurveyedSource
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Download
from robotrain_sources.transfer import container
from robotrain_sources.transfer.origin import Patience

PLUGIN_FOLDER = Path(__file__).parent / "transfer_plugins"
QUICK = Patience(stall=1.0, attempts=6, first=0.01, longest=0.1)


@dataclass
class Delivery:
    """A delivery, and its log and progress."""

    made: BatchFetch
    sources: Sequence[JobSource]
    lines: list[str]
    progress: list[Download] = field(default_factory=list)

    def survey(self) -> list[SurveyedSource]:
        return list(self.made.survey())

    def fetch(self) -> list[Path]:
        folders = self.made.fetch(self.progress.append)
        return [folders[source] for source in self.sources]

    def folders(self) -> list[Path]:
        """Of all sources, fetched."""
        assert [survey.problems for survey in self.survey()] == [()] * len(self.sources)
        try:
            return self.fetch()
        finally:
            self.made.close()


@pytest.fixture
def shelves(monkeypatch) -> Iterator[Shelves]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Shelves() as server:
        yield server


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def deliver(cache, monkeypatch) -> Iterator[Callable[..., Delivery]]:
    """`deliver(ADDRESS, …)` begins nothing yet; described: what every source is described by."""
    monkeypatch.setattr(container, "PATIENCE", QUICK)
    monkeypatch.syspath_prepend(PLUGIN_FOLDER)
    begun: list[BatchFetch] = []

    def deliver(*uris: str, described: Sequence[str] = (), pin: str = "", **more: object) -> Delivery:
        messages: list[str] = []
        sources = [JobSource(role="dataset", kind="shelf", uri=uri, pin=pin) for uri in uris]
        place = ContainerContext(cache=cache, log_line=messages.append, **more)
        container_plugins = {"shelf": importlib.import_module("shelf_half")}
        begun.append(container.deliver(sources, container_plugins, place, {"dataset": described}))
        return Delivery(begun[-1], sources, messages)

    yield deliver
    for fetch in begun:
        fetch.close()
    sys.modules.pop("shelf_half", None)


PROCESS = """
import importlib, os, pathlib, sys
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_sources.transfer import container, origin
cache, mib, *uris = sys.argv[1:]
container.PATIENCE = origin.Patience(stall=2, attempts=6, first=0.01, longest=0.1)
sources = [JobSource(role="dataset", kind="shelf", uri=uri) for uri in uris]
log_line = lambda line: print(line, flush=True)
place = ContainerContext(cache=pathlib.Path(cache), log_line=log_line, download_mib=int(mib))
made = container.deliver(sources, {"shelf": importlib.import_module("shelf_half")}, place, {})
for found in made.survey():
    assert not found.problems, found.problems
print("going", os.getpid(), flush=True)
for folder in made.fetch(lambda far: print("came", far.done, flush=True)).values():
    print("folder", folder, flush=True)
sys.stdin.read()
made.close()
"""


@pytest.fixture
def process(cache):
    """Start a process that delivers, and holds what it delivered until its input ends."""
    started: list[subprocess.Popen[str]] = []

    def start(*uris: str, mib: int = 128) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", PROCESS, cache, str(mib), *uris]
        environ = {**os.environ, "PYTHONPATH": str(PLUGIN_FOLDER)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        started.append(subprocess.Popen(command, env=environ, text=True, **pipes))
        return started[-1]

    yield start
    for program in started:
        program.kill()
        program.communicate()


def read_line(process: "subprocess.Popen[str]", word: str) -> str:
    """The rest of the next line that begins with `word`."""
    for line in process.stdout:
        if line.startswith(word):
            return line.removeprefix(word).strip()
    raise AssertionError(f"it never said {word!r}")


def read_tree(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
