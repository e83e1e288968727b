"""Cached and partial data after kills and damage: only verified bytes are used."""

import hashlib
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from problem_assertions import check_refusals
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer import cache_store, survey
from robotrain_sources.transfer.cache_store import FolderLock, PartialDownload
from robotrain_sources.transfer.origin import SourceFile, SourceRequest

BODY = {"a.bin": b"a" * 100, "b/c.bin": b"c" * 50}


@pytest.fixture
def begin_download(tmp_path):
    """`begin_download()` begins to fetch two files, or goes on."""
    begun: list[PartialDownload] = []

    def begin() -> PartialDownload:
        entries = [SourceFile(name=name, size=len(body), version="new") for name, body in BODY.items()]
        begun.append(PartialDownload("the data", "", None, tmp_path / "data", entries, print))
        return begun[-1]

    yield begin
    for download in begun:
        download._manifest.close()


def write_missing(part: PartialDownload) -> PartialDownload:
    for entry in part.missing:
        handle = cache_store.open_for_writing(part.files / entry.name)
        cache_store.write_at(handle, BODY[entry.name], 0)
        os.close(handle)
        part.record(entry, hashlib.sha256(BODY[entry.name]).hexdigest())
    return part


@pytest.fixture
def data(begin_download, tmp_path) -> Path:
    """A complete folder."""
    write_missing(begin_download()).finish()
    return tmp_path / "data"


def test_a_file_that_became_another_meanwhile_does_not_land(begin_download, tmp_path):
    begun = write_missing(begin_download())
    os.truncate(begun.files / "a.bin", 1)
    with pytest.raises(FetchError) as refused:
        begun.finish()
    check_refusals(refused.value, "fetch-error data")
    assert refused.value.fault == "data"
    assert not (tmp_path / "data").exists()


def test_names_that_are_one_file_on_the_disk_of_the_cache_are_refused(begin_download, tmp_path):
    begun = write_missing(begin_download())
    (begun.files / "b/c.bin").unlink()
    os.link(begun.files / "a.bin", begun.files / "b/c.bin")  # as a disk that folds names has it
    with pytest.raises(FetchError) as refused:
        begun.finish()
    check_refusals(refused.value, "fetch-error data")
    assert not (tmp_path / "data").exists()


def test_the_next_try_fetches_what_is_not_recorded_or_not_as_it_was(begin_download):
    first = write_missing(begin_download())
    (first.files / "a.bin").write_bytes(bytes(100))
    assert [entry.name for entry in begin_download().missing] == ["a.bin"]
    manifest = first.files.parent / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-10])  # the machine stopped while it wrote
    assert [entry.name for entry in begin_download().missing] == ["a.bin", "b/c.bin"]


def test_of_a_damaged_folder_only_what_is_not_whole_is_missing(data):
    os.truncate(data / "files/a.bin", 1)
    assert cache_store.count_arrived_bytes(data) == 50


def test_what_is_pinned_is_not_found_where_it_is_on_its_way_or_being_removed(data):
    head = data / "manifest.jsonl"
    head.write_text(head.read_text().replace('"pin": ""', '"pin": "p"'))
    assert cache_store.find_pinned_folder(data.parent, "the data", "p") == data
    for other in ("data.part", ".data.0a1b2c3d"):
        data = data.rename(data.with_name(other))
        assert cache_store.find_pinned_folder(data.parent, "the data", "p") is None


def test_damaged_data_that_others_use_is_refused_and_not_waited_for_for_ever(data, monkeypatch):
    monkeypatch.setattr(cache_store, "POLL_SECONDS", 0.001)
    user = FolderLock(data, lambda: None, threading.Event())
    assert user.acquire() == data / "files"
    user.share()
    os.truncate(data / "files/a.bin", 1)
    other = FolderLock(data, lambda: None, threading.Event())
    with pytest.raises(FetchError) as refused:
        other.acquire()
    check_refusals(refused.value, "fetch-error data")
    assert refused.value.fault == "data"
    user.close()
    assert other.acquire() is None
    other.close()


@pytest.fixture
def survey_part(tmp_path):
    """Survey a pinned source of which some files are needed."""

    def run(needed: tuple[str, ...], described: tuple[str, ...] = ()) -> survey.SourceSurvey:
        request = SourceRequest(uri="the data", pin="p", role="policy", origin="", described=described, needed=needed)
        source_survey = survey.SourceSurvey(request=request, described=tmp_path / "read")
        origin = SimpleNamespace(
            place="shelf",
            can_leave_out=True,
            list_files=lambda: [SourceFile(name=name, size=len(body), version="new") for name, body in BODY.items()],
            find_pin_mismatch=lambda digest: None,
        )
        survey.survey_origin(source_survey, origin, tmp_path / "cache")
        return source_survey

    return run


def test_only_the_needed_files_of_a_source_are_fetched(survey_part):
    assert (survey_part(("b/*",)).file_count, survey_part(("b/*",), ("a.bin",)).file_count) == (1, 2)
    assert survey_part(()).file_count == 2
    with pytest.raises(FetchError) as refused:
        survey_part(("*.json",))
    check_refusals(refused.value, "fetch-error data")


def test_a_part_in_the_cache_is_not_taken_for_all_of_a_source_but_all_of_it_for_a_part(survey_part, data, tmp_path):
    shelf = tmp_path / "cache/data/shelf/0a1b"
    shelf.parent.mkdir(parents=True)
    head = (data / "manifest.jsonl").read_text().replace('"pin": ""', '"pin": "p"')
    data.rename(shelf)
    (shelf / "manifest.jsonl").write_text(head.replace('"the data"', '"the data (b/*)"'))
    assert (survey_part(("b/*",)).folder, survey_part(()).folder == shelf) == (shelf, False)
    (shelf / "manifest.jsonl").write_text(head)
    assert (survey_part(("b/*",)).folder, survey_part(()).folder) == (shelf, shelf)
