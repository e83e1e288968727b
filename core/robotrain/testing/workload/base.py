"""What the tests of a workload share: which one it is, and a job of it as the container would read it."""

import functools
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from robotrain_runtime import document
from robotrain_runtime.document import JobDocument, Source

from robotrain.claims import Claim
from robotrain.plugins import PluginError, Plugins
from robotrain.testing import command_line, probe
from robotrain.testing.promised import Promised, claimed
from robotrain.workload import Workload

FOLDER = "local_path"
"""The kind whose printed form is a folder of this machine."""


class OfWorkload(Promised):
    """workload: its name, installed under the claim `workload.NAME`. job: the words of a complete job of it, whose
    sources are folders that are here. data: a fixture with the folder of each source, where those are others.
    """

    yours: ClassVar[tuple[str, ...]] = ("workload", "job", "data")
    workload: ClassVar[str] = ""
    job: ClassVar[Sequence[str]] = ()

    @pytest.fixture(autouse=True)
    def kit_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The working folder, empty and the test's own."""
        return command_line.own_folders(tmp_path / "kit", monkeypatch)

    @pytest.fixture
    def kit_claim(self, kit_folders: Path) -> Claim:
        """The claim of the workload."""
        return claimed("workload", self.workload)

    @pytest.fixture
    def declared(self) -> Workload:
        """The declaration, as robotrain finds it."""
        return installed(self.workload)

    @pytest.fixture
    def half(self, declared: Workload) -> ModuleType:
        """Its half that acts in the container."""
        return importlib.import_module(declared.half)

    @pytest.fixture
    def probed(self, kit_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A platform that takes everything, beside what is installed."""
        probe.install(kit_folders.parent / "site", monkeypatch)

    @pytest.fixture
    def rendered(self, probed: None, tmp_path: Path) -> JobDocument:
        """The document of the job, in folders of the test's own."""
        found = document_of(self.workload, *self.job)
        return replace(found, placement=replace(found.placement, work=str(tmp_path / "work")))

    @pytest.fixture
    def data(self, rendered: JobDocument) -> Mapping[Source, Path]:
        """The folder of each source; yours to define where they are no folders of this machine."""
        return {source: Path(source.uri) for source in rendered.sources if source.kind == FOLDER}


@functools.lru_cache(64)
def _installed(name: str, path: tuple[str, ...]) -> Workload:
    """path: where plugins are looked for, as long as it is the same they are."""
    plugins = Plugins()
    try:
        return plugins.workload(name)
    except PluginError as error:
        pytest.fail(str(error))


def installed(name: str) -> Workload:
    """The workload of that name; a test that asks for one that is not there fails with what is."""
    return _installed(name, tuple(sys.path))


def refused(*words: str) -> tuple[command_line.Answer, list[Mapping[str, Any]]]:
    """What `render` says of a job on the kit's platform: the answer, and every problem that stops it."""
    answer = command_line.run("render", "--json", "--platform", probe.NAME, *words)
    problems = answer.json.get("problems", ()) if answer.exit_code else ()
    return answer, [problem for problem in problems if problem["severity"] == "error"]


def document_of(*words: str) -> JobDocument:
    """The document that a job is rendered to."""
    answer = command_line.run("render", "--json", "--platform", probe.NAME, *words)
    assert answer.exit_code == 0, f"`job` is no complete job: {answer}"
    return document.load(json.loads(answer.stdout)["files"][probe.DOCUMENT]["text"])
