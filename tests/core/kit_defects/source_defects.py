"""SourceKit on kinds that are wrong: run by itself, and many of these tests are to fail."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from robotrain.testing import Served, SourceKit

FILES = {"a": b"1" * 100, "b": b"2" * 100}
SITES = Path(os.environ["KIT_SITES"]) / "source"


class Shelves(SourceKit):
    good: Mapping[str, str] = {"shelf:///a/b/": "shelf:///a/b", "shelf:///episodes/pusht": "shelf:///episodes/pusht"}
    bad = ("", "shelf://", "/a/b", "shelf:///a?sig=x")

    @pytest.fixture(autouse=True)
    def site(self, monkeypatch) -> None:
        monkeypatch.syspath_prepend(SITES / "good_shelf")
        monkeypatch.syspath_prepend(SITES / self.kind)

    @pytest.fixture
    def served(self, tmp_path) -> Served:
        shelf, cut = tmp_path / "shelf", tmp_path / "cut"
        shelf.mkdir()
        for name, content in FILES.items():
            (shelf / name).write_bytes(content)

        @contextmanager
        def breaking() -> Iterator[None]:
            cut.touch()
            yield
            cut.unlink()

        text = f"shelf://{shelf}"
        change = (shelf / "b").write_bytes
        return Served(text=text, files=FILES, missing=f"{text}2", cut=breaking, change=lambda: change(b"3" * 100))


class Test_without_texts(SourceKit):
    kind = "good_shelf"

    site = Shelves.site


for folder in SITES.iterdir():
    globals()[f"Test_{folder.name}"] = type(f"Test_{folder.name}", (Shelves,), {"kind": folder.name})
