"""Cached and partial data after kills and damage: only verified bytes are used."""

import hashlib
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from problem_assertions import check_refusals
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer import cache, fetch
from robotrain_sources.transfer.cache import CacheFolder
from robotrain_sources.transfer.origin import SourceFile

BODY = {"a.bin": b"a" * 100, "b/c.bin": b"c" * 50}
ENTRIES = [SourceFile(name=name, size=len(body), version="new") for name, body in BODY.items()]


def fill(folder: Path) -> CacheFolder:
    """A folder in which all has arrived, without its name."""
    part = CacheFolder(folder)
    part.begin(print)
    for entry in ENTRIES:
        path = part.part / "files" / entry.name
        path.parent.mkdir(exist_ok=True)
        part.record(entry, hashlib.sha256(BODY[entry.name]).hexdigest())
        path.write_bytes(BODY[entry.name])
    return part


def finish(part: CacheFolder) -> Path:
    digests = {name: hashlib.sha256(body).hexdigest() for name, body in BODY.items()}
    return part.finish("the data", "", ENTRIES, digests)


@pytest.fixture
def data(tmp_path) -> Path:
    """A complete folder."""
    finish(fill(tmp_path / "data"))
    return tmp_path / "data"


def test_a_file_that_became_another_meanwhile_does_not_land(tmp_path):
    begun = fill(tmp_path / "data")
    os.truncate(begun.part / "files/a.bin", 1)
    with pytest.raises(FetchError) as refused:
        finish(begun)
    check_refusals(refused.value, "fetch-error data")
    assert not (tmp_path / "data").exists()


def test_names_that_are_one_file_on_the_disk_of_the_cache_are_refused(tmp_path):
    begun = fill(tmp_path / "data")
    (begun.part / "files/b/c.bin").unlink()
    os.link(begun.part / "files/a.bin", begun.part / "files/b/c.bin")  # as a disk that folds names has it
    entries = [SourceFile(name=name, size=100, version="new") for name in BODY]
    with pytest.raises(FetchError) as refused:
        begun.finish("the data", "", entries, dict.fromkeys(BODY, "0"))
    check_refusals(refused.value, "fetch-error data")
    assert not (tmp_path / "data").exists()


def test_what_is_pinned_is_not_found_where_it_is_on_its_way_or_being_removed(data):
    head = data / "manifest.jsonl"
    head.write_text(head.read_text().replace('"pin": ""', '"pin": "p"'))
    assert cache.find_pinned_folder(data.parent, ["the data"], "p").path == data
    for other in ("data.part", ".data.0a1b2c3d"):
        data = data.rename(data.with_name(other))
        assert cache.find_pinned_folder(data.parent, ["the data"], "p") is None


def test_damaged_data_that_others_use_is_refused_and_not_waited_for_for_ever(data, monkeypatch):
    monkeypatch.setattr(cache, "POLL_SECONDS", 0.001)
    user = CacheFolder(data)
    assert user.acquire(lambda: None, threading.Event()) == data / "files"
    user.share()
    os.truncate(data / "files/a.bin", 1)
    other = CacheFolder(data)
    with pytest.raises(FetchError) as refused:
        other.acquire(lambda: None, threading.Event())
    check_refusals(refused.value, "fetch-error data")
    user.close()
    assert other.acquire(lambda: None, threading.Event()) is None
    other.close()


@pytest.fixture
def survey_part(tmp_path):
    """Survey a pinned source of which some files are needed."""

    def run(needed: tuple[str, ...]) -> fetch.SourceData:
        origin = SimpleNamespace(
            place="shelf",
            can_leave_out=True,
            list_files=lambda: [SourceFile(name=name, size=len(body), version="new") for name, body in BODY.items()],
            find_pin_mismatch=lambda digest: None,
        )
        return fetch.look_up("the data", "p", origin, needed, tmp_path / "cache")

    return run


def test_only_the_needed_files_of_a_source_are_fetched(survey_part):
    assert survey_part(("b/*",)).count == 1
    assert survey_part(()).count == 2
    with pytest.raises(FetchError) as refused:
        survey_part(("*.json",))
    check_refusals(refused.value, "fetch-error data")


def test_a_part_in_the_cache_is_not_taken_for_all_of_a_source_but_all_of_it_for_a_part(survey_part, data, tmp_path):
    shelf = tmp_path / "cache/data/shelf/0a1b"
    shelf.parent.mkdir(parents=True)
    head = (data / "manifest.jsonl").read_text().replace('"pin": ""', '"pin": "p"')
    data.rename(shelf)
    (shelf / "manifest.jsonl").write_text(head.replace('"the data"', '"the data (b/*)"'))
    assert (survey_part(("b/*",)).folder.path, survey_part(()).folder.path == shelf) == (shelf, False)
    (shelf / "manifest.jsonl").write_text(head)
    assert (survey_part(("b/*",)).folder.path, survey_part(()).folder.path) == (shelf, shelf)
