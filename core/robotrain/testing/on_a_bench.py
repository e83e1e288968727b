"""What all tests of a platform stand on: folders of their own, the kit's stranger, and the platform on its bench."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from robotrain.claims import Claim
from robotrain.testing import command_line, strangers
from robotrain.testing.bench import Bench
from robotrain.testing.elsewhere import Afar
from robotrain.testing.promised import Promised
from robotrain.testing.world import World


class OnABench(Promised):
    """The base of every theme of PlatformKit. platform: its name."""

    yours: ClassVar[tuple[str, ...]] = ("platform", "world")
    platform: ClassVar[str]
    public_only: ClassVar[bool | None] = True

    @pytest.fixture(autouse=True)
    def kit_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Nobody's state, settings or `.env` are seen, and nothing is left in them."""
        folder = tmp_path / "kit"
        command_line.own_folders(folder, monkeypatch)
        monkeypatch.setenv("ROBOTRAIN_CACHE", str(folder / "cache"))
        monkeypatch.setenv("ROBOTRAIN_PLUGIN_SECONDS", "30")  # a preflight that hangs, hangs in every test that submits
        return folder

    @pytest.fixture(scope="class")
    @classmethod
    def kit_site(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        """The folder that the kit's own source kind and workload are installed in."""
        site = tmp_path_factory.mktemp("kit-site")
        strangers.install(site)
        yield site
        for name in [name for name in sys.modules if name.partition(".")[0] == strangers.PACKAGE]:
            del sys.modules[name]

    @pytest.fixture(autouse=True)
    def kit_stranger(self, kit_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are on the path."""
        monkeypatch.syspath_prepend(kit_site)

    @pytest.fixture(scope="class")
    @classmethod
    def kit_afar(cls, tmp_path_factory: pytest.TempPathFactory) -> Afar:
        """The platform in two other processes."""
        return Afar(tmp_path_factory.mktemp("kit-afar"))

    @pytest.fixture
    def bench(self, kit_folders: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Bench:
        """The platform in its world."""
        bench = Bench(type(self).platform, world)
        bench.watch(monkeypatch)
        return bench

    @pytest.fixture
    def kit_claim(self, bench: Bench) -> Claim:
        """The claim of the platform."""
        return bench.claim
