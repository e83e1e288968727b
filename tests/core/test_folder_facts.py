"""The facts of a run folder: what is read of it at once."""

import os

import pytest
from robotrain.run_folder.facts import FactFile, FolderFacts, read_facts


def test_facts_are_the_ends_of_files_and_who_has_the_folder(tmp_path):
    (tmp_path / "outcome.json").write_text('{"state": "failed", "exit_code": 3, "reason": "it broke"}')
    (tmp_path / "log").write_text("first\nlast")
    os.utime(tmp_path / "log", (5, 5))
    (tmp_path / "taken").symlink_to("8:1:token:4711")
    facts = read_facts(tmp_path, {"outcome.json": 1 << 10, "log": 4, "cancelled": 0})
    assert facts.files["log"] == FactFile(b"last", 5.0)
    assert (facts.user, facts.owner.name, facts.outcome.exit_code) == (os.getuid(), "8:1", 3)
    assert not facts.is_cancelled
    (tmp_path / "cancelled").touch()
    assert read_facts(tmp_path).is_cancelled
    with pytest.raises(OSError):
        read_facts(tmp_path / "missing")


def test_what_cannot_be_read_counts_as_missing(tmp_path):
    os.mkfifo(tmp_path / "outcome.json")
    (tmp_path / "taken").write_text("no link")
    facts = read_facts(tmp_path)
    assert (facts.outcome, facts.owner) == (None, None)
    wrong_types = (b'{"state": "failed", "exit_code": 1, "reason": null}', b'{"state": 7, "exit_code": 1}')
    for torn in (b"", b'{"state": "fail', b"[]", b'{"colour": "red"}', b"[" * 100_000, *wrong_types):
        files = {"outcome.json": FactFile(torn, 1.0)}
        assert FolderFacts(folder=tmp_path, user=1, files=files).outcome is None
