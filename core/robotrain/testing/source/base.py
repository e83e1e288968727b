"""What the tests of a source kind share: which one it is, and texts to try."""

import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from robotrain.claims import Claim
from robotrain.plugins import Plugins
from robotrain.source import Source, SourceKind
from robotrain.testing import command_line, probe
from robotrain.testing.promised import Promised, claimed

BASE = Path("/work")
"""What relative names in the texts start from."""


class OfKind(Promised):
    """kind: its name, installed under the claim `source.NAME` or brought by a platform. good: by text, its printed
    form; relative names start from `/work`. bad: texts that are refused.
    """

    yours: ClassVar[tuple[str, ...]] = ("kind", "good", "bad")
    kind: ClassVar[str] = ""
    good: ClassVar[Mapping[str, str]] = {}
    bad: ClassVar[Sequence[str]] = ()

    @pytest.fixture(autouse=True)
    def kit_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The working folder, empty and the test's own."""
        return command_line.own_folders(tmp_path / "kit", monkeypatch)

    @pytest.fixture
    def kit_claim(self, kit_folders: Path) -> Claim:
        """The claim of the kind, where it is not one that a platform brings without."""
        return claimed("source", self.kind)

    @pytest.fixture
    def declared(self) -> SourceKind:
        """The declaration, as robotrain finds it."""
        return installed(self.kind)

    @pytest.fixture
    def probed(self, kit_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A platform and a workload that take everything, beside what is installed."""
        probe.install(kit_folders.parent / "site", monkeypatch)

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """A test for each text."""
        super().parametrize(metafunc)
        for name, texts in (("text", self.good), ("refused", self.bad)):
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, list(texts), ids=repr)


def installed(name: str) -> SourceKind:
    """The source kind of that name; a test that asks for one that is not there fails with what is."""
    return _installed(name, tuple(sys.path))


@functools.lru_cache(64)
def _installed(name: str, path: tuple[str, ...]) -> SourceKind:
    """path: where plugins are looked for, as long as it is the same they are."""
    plugins = Plugins()
    kinds = plugins.source_kinds()
    if name not in kinds:
        plugins.platforms()  # one of them may bring it without a claim of its own
        kinds = plugins.source_kinds()
    if name not in kinds:
        failed = "".join(f"\n{failure}" for failure in plugins.failures.values())
        pytest.fail(f"no source kind {name!r} is installed; installed: {', '.join(sorted(kinds))}{failed}")
    return kinds[name]


def reader(kind: SourceKind, source: Source) -> SourceKind:
    """The kind that reads what `kind` parsed: it may answer with a source of another."""
    return kind if source.kind == kind.name else installed(source.kind)
