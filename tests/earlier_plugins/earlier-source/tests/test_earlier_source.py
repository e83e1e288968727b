"""robotrain's own tests of a source kind, on this one: `python -m pytest -v` lists what they try."""

from pathlib import Path

import pytest
from robotrain.testing import Served, SourceKit

from robotrain_earlier_source import container
from robotrain_earlier_source.kind import SCHEME


class TestEarlierSource(SourceKit):
    kind = "earlier_source"
    # What users type, with its printed form; and what they type by mistake.
    good = {f"{SCHEME}pusht": f"{SCHEME}pusht", f"{SCHEME}pusht-2/": f"{SCHEME}pusht-2"}
    bad = (SCHEME, f"{SCHEME}two words", "pusht")

    @pytest.fixture
    def served(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
        """A source on this machine, which the kit fetches as a job would."""
        monkeypatch.setattr(container, "ROOT", tmp_path)
        (tmp_path / "pusht").mkdir()
        (tmp_path / "pusht/data.txt").write_bytes(b"an episode")
        files = {"data.txt": b"an episode"}
        return Served(text=f"{SCHEME}pusht", files=files, missing=f"{SCHEME}nothing")
