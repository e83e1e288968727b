"""`robotrain cache`: what is kept is shown, what nobody needs is removed, and never what a run uses."""

import fcntl
import os
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from problem_assertions import check_shown
from robotrain.cli import arguments
from robotrain.model import amounts

DAY = 24 * 3600


pytestmark = pytest.mark.usefixtures("cache")


@contextmanager
def lock_shared(folder: Path):
    """As a run does that works with what lies there."""
    with Path(f"{folder}.lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield


def test_empty_cache(robotrain, cache):
    answer = robotrain("cache")
    assert (answer.exit_code, str(cache) in answer.stdout) == (0, True)
    check_shown(answer.stdout)


def test_entries_are_listed_the_longest_unused_first(robotrain, make_cache_entry):
    make_cache_entry("environments/aa", days=1)
    make_cache_entry("sources/huggingface/datasets/lerobot--pusht/0a1b", days=40, megabytes=2)
    with lock_shared(make_cache_entry("environments/bb")):
        rows = [line.split() for line in robotrain("cache").stdout.splitlines()]
    assert [row[0] for row in rows] == [
        "NAME",
        "sources/huggingface/datasets/lerobot--pusht/0a1b",
        "environments/aa",
        "environments/bb",
    ]
    assert rows[1][1:] == ["2.0", "MB", "40", "days", "ago"]
    assert rows[3][3:] == ["just", "now", "in", "use"]


def test_unused_entries_are_shown_and_removed_when_that_is_confirmed(robotrain, make_cache_entry):
    old, new = make_cache_entry("environments/aa", days=40), make_cache_entry("environments/bb", days=2)
    for command in (("cache", "--unused", "30d"), ("cache", "--prune", "--unused", "30d")):
        answer = robotrain(*command)
        assert answer.exit_code == 0
        check_shown(answer.stdout)
        check_shown(answer.stderr)
    assert old.exists()
    assert new.exists()
    robotrain("cache", "--prune", "--unused", "30d", "--yes").check(0, "environments/aa")
    assert (old.exists(), new.exists()) == (False, True)
    assert sorted(os.listdir(old.parent)) == ["aa.lock", "bb", "bb.lock"]  # others may be waiting for the lock


def test_dry_run_removes_nothing_even_with_yes(robotrain, make_cache_entry):
    folder = make_cache_entry("environments/aa", days=40)
    answer = robotrain("cache", "--prune", "--unused", "30d", "--dry-run", "--yes")
    assert (answer.exit_code, folder.exists()) == (0, True)
    check_shown(answer.stderr)
    for flag in ("--dry-run", "--yes"):
        robotrain("cache", "--unused", "30d", flag).check_problems(2, "usage")


def test_limit_removes_the_longest_unused_until_the_rest_fits(robotrain, make_cache_entry):
    folders = [make_cache_entry(f"sources/s3/{days:02}", days=days) for days in (50, 40, 30, 20)]
    robotrain("cache", "--prune", "--limit", "2.1MB", "--yes")
    assert [folder.exists() for folder in folders] == [False, False, True, True]


def test_entry_that_a_run_uses_stays_whatever_the_limit(robotrain, make_cache_entry):
    folder = make_cache_entry("environments/aa", days=400)
    with lock_shared(folder):
        answer = robotrain("cache", "--prune", "--limit", "0", "--yes")
    assert folder.exists()
    check_shown(answer.stderr)
    robotrain("cache", "--prune", "--limit", "0", "--yes")
    assert not folder.exists()


def test_entry_that_a_run_begins_to_use_before_the_confirmation_stays(robotrain, make_cache_entry, monkeypatch):
    folder = make_cache_entry("environments/aa", days=40)

    def meanwhile(what: str, yes: bool) -> bool:
        os.utime(f"{folder}.lock")  # a run came and went
        return True

    monkeypatch.setattr(arguments, "confirm_removal", meanwhile)
    answer = robotrain("cache", "--prune", "--unused", "30d")
    assert folder.exists()
    check_shown(answer.stderr)


def test_incomplete_entries_are_removed_unless_they_are_being_filled(robotrain, make_cache_entry, cache):
    scratch = make_cache_entry("sources/s3/bucket.part")
    Path(f"{scratch}.lock").rename(cache / "sources/s3/bucket.lock")
    torn = make_cache_entry("environments/aa", complete=False)
    building = torn.with_name(".aa.0f1e2d3c")
    building.mkdir()
    with (cache / "sources/s3/bucket.lock").open("r+") as filling:
        fcntl.flock(filling, fcntl.LOCK_EX)
        robotrain("cache", "--prune", "--unused", "30d", "--yes")
        assert (scratch.exists(), torn.exists(), building.exists()) == (True, False, False)
    robotrain("cache", "--prune", "--unused", "30d", "--yes")
    assert not scratch.exists()


def test_folder_without_a_lock_is_left_alone(robotrain, cache):
    (cache / "uv" / "0.9.0" / "bin").mkdir(parents=True)
    robotrain("cache", "--prune", "--limit", "0", "--yes")
    assert (cache / "uv" / "0.9.0" / "bin").exists()


def test_files_that_other_folders_share_are_counted_apart(robotrain, make_cache_entry, tmp_path):
    folder = make_cache_entry("environments/aa", days=40, megabytes=3)
    os.link(folder / "content", tmp_path / "uv")
    answer = robotrain("cache", "--unused", "30d")
    check_shown(answer.stderr)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--prune",), "usage"),
        (("--unused", "-3d"), "value-invalid --unused -3d"),
        (("--limit", "lots"), "value-invalid --limit lots"),
    ],
)
def test_wrong_options_are_refused_with_an_example(robotrain, make_cache_entry, words, problem):
    folder = make_cache_entry("environments/aa", days=400)
    robotrain("cache", *words, "--yes").check_problems(2, problem)
    assert folder.exists()


def test_json_of_the_cache(robotrain, make_cache_entry, cache):
    make_cache_entry("environments/aa", days=40)
    answer = robotrain("cache", "--prune", "--unused", "30d", "--yes", "--json").json
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


def test_names_of_the_runtime_and_the_sources_are_those_of_the_cache(robotrain, cache, tmp_path):
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
    (kept,) = robotrain("cache", "--json").json["entries"]
    assert (kept["name"], kept["complete"], kept["in_use"]) == ("sources/hub/abc", True, False)


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
