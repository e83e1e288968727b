"""Eviction from the cache: the longest unused data goes first, and nothing that a run uses."""

import os

import pytest
from robotrain_runtime.machine import disk_cache
from robotrain_runtime.machine.disk_cache import CacheLease

MIB = 2**20


@pytest.fixture
def cache(tmp_path):
    """A cache to fill: `put("data/hub/a", mib=3, used=100)`."""
    top = tmp_path / "cache"

    def put(name: str, mib: int, used: float):
        folder = top / name
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(os.urandom(mib * MIB))
        lock = folder.with_name(folder.name + ".lock")
        lock.touch()
        os.utime(lock, (used, used))
        return folder

    put.top = top
    return put


def make_room(cache, mib: float, coming: int = 0) -> list[str]:
    messages: list[str] = []
    disk_cache.evict_data(cache.top, mib / 1024, coming * MIB, messages.append)
    return messages


def test_the_longest_unused_data_goes_until_the_rest_is_within_the_limit(cache):
    folders = [cache("data/hub/a", 2, used=300), cache("prepared/train/b", 2, used=200)]
    gone = cache("data/blob_url/acc/c", 2, used=100)
    assert any("data/blob_url/acc/c" in line for line in make_room(cache, 4.5))
    assert not gone.exists()
    assert all(folder.exists() for folder in folders)


def test_room_is_made_for_what_is_coming(cache):
    old, new = cache("data/hub/a", 2, used=100), cache("data/hub/b", 2, used=200)
    make_room(cache, 4.5, coming=2)
    assert (old.exists(), new.exists()) == (False, True)


def test_what_a_run_uses_stays_whatever_the_limit(cache):
    used = cache("data/hub/a", 2, used=100)
    with CacheLease(cache.top) as holding:
        assert holding.acquire(used / "file")
        assert make_room(cache, 0.1) == []
    assert used.exists()
    make_room(cache, 0.1)
    assert not used.exists()


def test_what_this_run_wants_stays_though_it_does_not_hold_it_yet(cache):
    wanted, other = cache("data/hub/" + "a" * 32, 2, used=100), cache("data/hub/" + "b" * 32, 2, used=200)
    disk_cache.evict_data(cache.top, 1 / 1024, MIB, lambda line: None, {"a" * 32})
    assert (wanted.exists(), other.exists()) == (True, False)


def test_what_would_be_free_is_known_before(cache):
    cache("data/hub/a", 2, used=100)
    cache("data/hub/b", 2, used=200)
    would = disk_cache.count_evictable_bytes(cache.top, 4.5 / 1024, 2 * MIB, ())
    assert 2 * MIB <= would < 3 * MIB


def test_environments_are_no_data(cache):
    environment = cache("environments/aa", 2, used=1)
    assert make_room(cache, 0.1) == []
    assert environment.exists()
