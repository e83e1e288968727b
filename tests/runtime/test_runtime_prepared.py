"""Data made of data: once for each key, and shared by runs that use it at the same time."""

import pytest
from robotrain_runtime.contract.files import fill_cache_folder
from robotrain_runtime.machine.disk_cache import CacheLease

MANIFEST = "prepared.json"


def fill(folder):
    folder.mkdir()
    (folder / "merged").write_text("both")


def never(*told):
    pytest.fail(f"it was to be found at once: {told}")


def test_what_another_run_uses_is_found_without_waiting_for_that_run(tmp_path):
    place = tmp_path / "prepared/train/key"
    made = fill_cache_folder(place, MANIFEST, fill, on_wait=never)
    with CacheLease(tmp_path) as other:
        assert other.acquire(made)
        assert fill_cache_folder(place, MANIFEST, never, on_wait=never) == made


def test_what_is_not_whole_is_made_again(tmp_path):
    place = tmp_path / "prepared/train/key"
    made = fill_cache_folder(place, MANIFEST, fill, on_wait=never)
    (made / "merged").write_text("bot")
    assert (fill_cache_folder(place, MANIFEST, fill, on_wait=never) / "merged").read_text() == "both"
