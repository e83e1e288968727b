"""`prune --cache`: what would go is shown first, what is confirmed goes, and what a run uses stays."""

import fcntl
import os
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from robotrain.cli import arguments
from robotrain.model import amounts

DAY = 24 * 3600

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def prune(robotrain):
    """`prune --cache …`."""
    return lambda *words: robotrain("prune", "--cache", *words)


@contextmanager
def lock_shared(folder: Path):
    """As a run does that works with what lies there."""
    with Path(f"{folder}.lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield


ENTRIES = {"environments/old": 40, "sources/s3/older": 50, "environments/used": 400, "environments/new": 2}
"""Entries of a megabyte and the days since their last use; a run uses one of them now."""


@pytest.mark.parametrize(
    ("words", "going"),
    [
        ((), {"environments/old", "sources/s3/older", "environments/new"}),
        (("--unused", "0d"), {"environments/old", "sources/s3/older", "environments/new"}),
        (("--unused", "30d"), {"environments/old", "sources/s3/older"}),
        (("--unused", "60d"), set()),
        (("--limit", "3.1MB"), {"sources/s3/older"}),
        (("--limit", "0"), {"environments/old", "sources/s3/older", "environments/new"}),
        (("--unused", "45d", "--limit", "2.1MB"), {"environments/old", "sources/s3/older"}),
    ],
)
def test_entries_are_chosen_shown_and_removed_when_that_is_confirmed(prune, make_cache_entry, words, going):
    folders = {name: make_cache_entry(name, days=days) for name, days in ENTRIES.items()}
    with lock_shared(folders["environments/used"]):
        for preview in (prune(*words), prune(*words, "--dry-run", "--yes")):
            assert preview.exit_code == 0
            rows = [line.split() for line in preview.stdout.splitlines()]
            assert {row[0] for row in rows[1:]} == going
            assert "environments/used stays" in preview.stderr
        assert all(folder.exists() for folder in folders.values())
        assert prune(*words, "--yes").exit_code == 0
    assert {name for name, folder in folders.items() if not folder.exists()} == going
    assert Path(f"{folders['environments/old']}.lock").exists(), "others may be waiting for the lock"


def test_empty_cache(prune):
    answer = prune("--yes")
    assert (answer.exit_code, answer.stdout) == (0, "")


def test_entry_that_a_run_begins_to_use_before_the_confirmation_stays(prune, make_cache_entry, monkeypatch):
    folder = make_cache_entry("environments/aa", days=40)

    def confirm_after_a_run(subject: str, yes: bool) -> bool:
        os.utime(f"{folder}.lock")
        return True

    monkeypatch.setattr(arguments, "confirm_removal", confirm_after_a_run)
    prune("--unused", "30d").check(1, "environments/aa")
    assert folder.exists()


def test_incomplete_entries_are_removed_unless_they_are_being_filled(prune, make_cache_entry, cache):
    scratch = make_cache_entry("sources/s3/bucket.part")
    Path(f"{scratch}.lock").rename(cache / "sources/s3/bucket.lock")
    torn = make_cache_entry("environments/aa", complete=False)
    building = torn.with_name(".aa.0f1e2d3c")
    building.mkdir()
    with (cache / "sources/s3/bucket.lock").open("r+") as filling:
        fcntl.flock(filling, fcntl.LOCK_EX)
        prune("--unused", "30d", "--yes")
        assert (scratch.exists(), torn.exists(), building.exists()) == (True, False, False)
    prune("--unused", "30d", "--yes")
    assert not scratch.exists()


def test_folder_without_a_lock_is_left_alone(prune, cache):
    (cache / "uv" / "0.9.0" / "bin").mkdir(parents=True)
    prune("--yes")
    assert (cache / "uv" / "0.9.0" / "bin").exists()


def test_files_that_other_folders_share_are_counted_apart(prune, make_cache_entry, tmp_path):
    folder = make_cache_entry("environments/aa", days=40, megabytes=3)
    os.link(folder / "content", tmp_path / "uv")
    assert "3.0 MB more are shared" in prune().stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--unused", "30d"), "usage"),
        (("--limit", "50GB"), "usage"),
        (("--unused", "30d", "--yes"), "usage"),
        (("--keep", "3", "--limit", "50GB", "--yes"), "usage"),
        (("--cache", "--keep", "3", "--yes"), "usage"),
        (("--cache", "--older-than", "3d", "--yes"), "usage"),
        (("--cache", "--state", "failed", "--yes"), "usage"),
        (("--cache", "pick", "--yes"), "usage"),
        (("--cache", "--unused", "-3d", "--yes"), "value-invalid --unused -3d"),
        (("--cache", "--limit", "lots", "--yes"), "value-invalid --limit lots"),
    ],
)
def test_wrong_options_are_refused_and_nothing_is_removed(robotrain, make_cache_entry, words, problem):
    folder = make_cache_entry("environments/aa", days=400)
    robotrain("prune", *words).check_problems(2, problem)
    assert folder.exists()


def test_json_of_a_removal(prune, make_cache_entry, cache):
    make_cache_entry("environments/aa", days=40)
    answer = prune("--unused", "30d", "--yes", "--json").json
    (entry,) = answer.pop("entries")
    assert answer == {"folder": str(cache)}
    assert time.time() - entry.pop("used") > 39 * DAY
    assert 1_000_000 <= entry.pop("bytes") == entry.pop("freed_bytes") < 1_020_000
    assert entry == {
        "name": "environments/aa",
        "path": str(cache / "environments/aa"),
        "in_use": False,
        "complete": True,
        "would_go": True,
        "removed": True,
    }


def test_names_of_the_runtime_and_the_sources_are_those_of_the_cache(prune, cache, tmp_path):
    """The names that both sides write down for themselves: neither imports the other."""
    from robotrain_runtime.environments import environment
    from robotrain_runtime.machine import disk_cache as core
    from robotrain_sources.mlflow import fetch_program

    lock = tmp_path / "lock.txt"
    lock.write_text("")
    assert environment.MARKER == core.COMPLETE
    assert environment.get_environment_folder(lock, cache).parent == cache / core.ENVIRONMENTS
    fetch_program.fill_cache_folder(
        cache / "sources" / "hub" / "abc", lambda folder: (folder / "file").write_text("x") and None
    )
    (entry,) = prune("--json").json["entries"]
    assert (entry["name"], entry["complete"], entry["in_use"]) == ("sources/hub/abc", True, False)


@pytest.mark.parametrize(("text", "bytes"), [("50GB", 50e9), ("7.5 GiB", 7.5 * 2**30), ("500m", 5e8), ("12", 12)])
def test_sizes_are_parsed(text, bytes):
    assert amounts.parse_size(text) == bytes


@pytest.mark.parametrize(("text", "seconds"), [("30d", 30 * DAY), ("12h", 43200), ("2w", 14 * DAY), ("1.5 min", 90)])
def test_durations_are_parsed(text, seconds):
    assert amounts.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "-1d", "30 years", "9" * 400 + "d"])
def test_invalid_duration_is_refused(text):
    with pytest.raises(ValueError):
        amounts.parse_duration(text)
