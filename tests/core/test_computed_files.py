"""Caches of computed results, and JSON files with a checksum: damaged ones are ignored."""

import os
import random
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest
from robotrain.store import files
from robotrain.store.files import load_or_compute


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / files.COMPUTED


@pytest.fixture
def compute() -> Callable[[], bytes]:
    def call() -> bytes:
        call.count += 1
        return b"a result"

    call.count = 0
    return call


def test_it_is_computed_once(compute):
    assert [load_or_compute("key", compute) for _ in range(3)] == [b"a result"] * 3
    assert compute.count == 1


def test_each_key_has_a_result(compute):
    load_or_compute("key", compute)
    assert load_or_compute("other", lambda: b"") == b""
    assert load_or_compute("other", compute) == b""


@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:-1], lambda whole: b"\0" + whole[1:]])
def test_a_damaged_file_is_computed_again(cache, compute, damage):
    load_or_compute("key", compute)
    (cache / "key").write_bytes(damage((cache / "key").read_bytes()))
    assert load_or_compute("key", compute) == load_or_compute("key", compute) == b"a result"
    assert compute.count == 2


def test_a_cache_that_cannot_be_used_is_none(cache, compute):
    cache.parent.mkdir()
    cache.write_bytes(b"no folder")
    assert load_or_compute("key", compute) == b"a result"


def test_the_oldest_results_are_removed(cache, compute):
    for number in range(files.MAX_COMPUTED + 5):
        load_or_compute(f"key-{number}", compute)
    assert len([*cache.iterdir()]) == files.MAX_COMPUTED
    assert stat.S_ISREG((cache / f"key-{files.MAX_COMPUTED + 4}").stat().st_mode)


def test_json_with_a_check_sum_is_whole_or_refused(tmp_path):
    path, chosen = tmp_path / "listed.json", random.Random(1)
    files.write_checked_json(path, {"run": "a-1", "steps": [1, 2.5, None]})
    assert files.read_checked_json(path) == {"run": "a-1", "steps": [1, 2.5, None]}
    assert path.stat().st_mode & 0o077 == 0
    good = path.read_bytes()
    damages = [b"", b"\n", b"00000000\n{}", good[:-1], b"null", b"\xff" * 20, good + b" "]
    for _ in range(50):
        at = chosen.randrange(len(good))
        damages.append(good[:at] + bytes([good[at] ^ (1 << chosen.randrange(8))]) + good[at + 1 :])
    for damage in damages:
        path.write_bytes(damage)
        if damage[:8].lower() != good[:8] or damage[8:] != good[8:]:  # else the check sum in capitals
            with pytest.raises(ValueError):
                files.read_checked_json(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="Not a regular file"):
        files.read_checked_json(path)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs itself is asked")
@pytest.mark.parametrize("value", [None, "", " ", "/data", "relative", "~/here"])
def test_folders_without_a_setting_are_those_of_platformdirs(monkeypatch, value):
    for name in ("ROBOTRAIN_STATE", "ROBOTRAIN_CACHE", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
        if value is not None and name.startswith("XDG"):
            monkeypatch.setenv(name, value)
    assert files.get_state_folder() == platformdirs.user_state_path("robotrain", appauthor=False)
    assert files.get_cache_folder() == platformdirs.user_cache_path("robotrain", appauthor=False)
