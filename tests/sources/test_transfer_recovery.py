"""Cached and partial data after kills, power cuts and damage: only verified bytes are used."""

import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from messages import check_refusals
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer import cache_store, catalog, survey
from robotrain_sources.transfer.cache_store import FolderLock, PartialDownload
from robotrain_sources.transfer.catalog import Catalog
from robotrain_sources.transfer.origin import SourceFile, SourceRequest

BODY = {"a.bin": b"a" * 100, "b/c.bin": b"c" * 50}


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture
def begin_download(tmp_path):
    """`begin_download()` begins to fetch two files, or goes on; etag: the version that is listed today."""
    begun: list[PartialDownload] = []

    def part(etag: str = "new", entries=None) -> PartialDownload:
        listing = tmp_path / "listed.sqlite"
        listing.unlink(missing_ok=True)
        catalog = Catalog(listing)
        catalog.add_files(
            entries or [SourceFile(name=name, size=len(body), version=etag) for name, body in BODY.items()]
        )
        catalog.close()
        begun.append(PartialDownload("the data", "", None, tmp_path / "data", listing))
        return begun[-1]

    yield part
    for one in begun:
        one.suspend()


def fetch_all(part: PartialDownload) -> PartialDownload:
    for entry in list(part.catalog.iter_missing()):
        part.catalog.record_arrival(
            [(entry.name, cache_store.write_verified_file(part.files / entry.name, entry, BODY[entry.name]))]
        )
    return part


@pytest.fixture
def data(begin_download, pool, tmp_path) -> Path:
    """A folder that was landed."""
    begun = begin_download()
    begun.verify_arrived(pool)
    fetch_all(begun).finish()
    return tmp_path / "data"


def test_a_file_that_became_another_meanwhile_does_not_land(begin_download, pool, tmp_path):
    begun = begin_download()
    begun.verify_arrived(pool)
    fetch_all(begun)
    os.truncate(begun.files / "a.bin", 1)
    with pytest.raises(FetchError) as refused:
        begun.finish()
    check_refusals(refused.value, "fetch-error data")
    assert refused.value.fault == "data"
    assert not (tmp_path / "data").exists()


def test_killed_while_it_takes_back_what_a_power_cut_may_have_taken_it_takes_it_back_the_next_time(
    begin_download, pool
):
    first = begin_download()
    first.verify_arrived(pool)
    (first.files / "a.bin").write_bytes(bytes(100))
    first.catalog.record_arrival([], [("a.bin", 0, 40)])
    first.suspend()
    boot_note(first.files.parent, "another-start")
    second = begin_download()
    second.catalog.list_partial_files = interrupt
    with pytest.raises(KeyboardInterrupt):
        second.verify_arrived(pool)
    second.suspend()
    third = begin_download()
    third.verify_arrived(pool)
    assert third.catalog.list_ranges("a.bin") == []


def test_a_journal_that_a_kill_left_is_not_rolled_into_the_next_listing(begin_download, pool):
    def listed(etag: str) -> list[SourceFile]:
        return [SourceFile(name=f"{number:05}", size=number, version=f"{etag}{number}") for number in range(3000)]

    first = begin_download(entries=listed("old"))
    first.suspend()
    left = first.files.parent / "listing.sqlite"
    shutil.copyfile(first.catalog.path, left)
    killed = sqlite3.connect(left)
    killed.executescript("pragma synchronous = off; pragma cache_size = 5; begin; update files set own = 'x'")
    journal = left.with_name("listing.sqlite-journal")
    kept = journal.read_bytes()
    killed.rollback()
    killed.close()
    journal.write_bytes(kept)
    second = begin_download(entries=listed("new"))
    assert {entry.version[:3] for entry in second.catalog.iter_missing()} == {"new"}


@pytest.mark.parametrize("folds", [True, False])
def test_a_listing_is_looked_at_as_the_disk_of_the_cache_takes_its_names(tmp_path, monkeypatch, folds):
    monkeypatch.setattr(catalog, "is_folding_disk", lambda folder: folds and folder == tmp_path)
    origin = SimpleNamespace(list_files=lambda: [SourceFile(name=name, size=1, version="1") for name in ("A", "a")])
    if folds:
        with pytest.raises(FetchError) as refused:
            survey.write_listing(origin, tmp_path / "listing.sqlite")
        check_refusals(refused.value, "fetch-error data")
    else:
        assert survey.write_listing(origin, tmp_path / "listing.sqlite")[0].files == 2


def test_of_a_damaged_folder_only_what_is_not_whole_is_missing(data):
    os.truncate(data / "files/a.bin", 1)
    assert survey._count_arrived_bytes(data) == 50


def test_finding_complete_files_reads_no_bytes(data, pool, monkeypatch):
    boot_note(data, "another-start")
    monkeypatch.setattr(cache_store, "is_unchanged", interrupt)
    assert cache_store.find_complete_files(data) == data / "files"
    monkeypatch.undo()
    assert cache_store.verify_after_boot(data, pool)
    assert cache_store.is_from_this_boot(data)


def test_what_describes_the_data_is_read_in_a_look_when_a_power_cut_may_have_taken_it(data):
    (data / "files/a.bin").write_bytes(bytes(100))
    boot_note(data, "another-start")
    assert not cache_store.are_files_intact(data, ["a.bin"])
    assert cache_store.are_files_intact(data, ["b/c.bin", "none"])


def test_what_is_pinned_is_not_found_where_it_is_on_its_way_or_being_removed(data):
    head = data / "manifest.jsonl"
    head.write_text(head.read_text().replace('"pin": ""', '"pin": "p"'))
    assert cache_store.find_pinned_folder(data.parent, "the data", "p") == data
    for other in ("data.part", ".data.0a1b2c3d"):
        data = data.rename(data.with_name(other))
        assert cache_store.find_pinned_folder(data.parent, "the data", "p") is None


def test_damaged_data_that_others_use_is_refused_and_not_waited_for_for_ever(data, pool, monkeypatch):
    monkeypatch.setattr(cache_store, "POLL_SECONDS", 0.001)
    user = FolderLock(data, lambda: None)
    assert user.acquire(lambda folder: True) == data / "files"
    user.share()
    os.truncate(data / "files/a.bin", 1)
    other = FolderLock(data, lambda: None)
    with pytest.raises(FetchError) as refused:
        other.acquire(lambda folder: True)
    check_refusals(refused.value, "fetch-error data")
    assert refused.value.fault == "data"
    user.close()
    assert other.acquire(lambda folder: True) is None
    other.close()


def test_data_of_before_a_start_that_others_use_is_read_once_and_used(data, monkeypatch):
    monkeypatch.setattr(cache_store, "POLL_SECONDS", 0.001)
    user, other = FolderLock(data, lambda: None), FolderLock(data, lambda: None)
    assert user.acquire(lambda folder: True)
    user.share()
    boot_note(data, "another-machine")
    asked: list[Path] = []
    assert other.acquire(lambda folder: not asked.append(folder)) == data / "files"
    assert asked == [data]
    user.close()
    other.close()


def boot_note(folder: Path, start: str) -> None:
    (folder / cache_store.BOOT_NOTE).write_text(f"{start}\n")


def interrupt(*given: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def survey_part(tmp_path):
    """Survey a pinned source of which some files are needed."""

    def run(needed: tuple[str, ...], described: tuple[str, ...] = ()) -> survey.SourceSurvey:
        request = SourceRequest(uri="the data", pin="p", role="policy", origin="", described=described, needed=needed)
        found = survey.SourceSurvey(request=request, listing=tmp_path / "part.sqlite", described=tmp_path / "read")
        found.listing.unlink(missing_ok=True)
        origin = SimpleNamespace(
            place="shelf",
            can_leave_out=True,
            list_files=lambda: [SourceFile(name=name, size=len(body), version="new") for name, body in BODY.items()],
            find_pin_mismatch=lambda digest: "",
        )
        survey.survey_origin(found, origin, tmp_path / "cache")
        return found

    return run


def test_only_the_needed_files_of_a_source_are_fetched(survey_part):
    assert (survey_part(("b/*",)).size.files, survey_part(("b/*",), ("a.bin",)).size.files) == (1, 2)
    assert survey_part(()).size.files == 2
    with pytest.raises(FetchError) as refused:
        survey_part(("*.json",))
    check_refusals(refused.value, "fetch-error data")


def test_a_part_in_the_cache_is_not_taken_for_all_of_a_source_but_all_of_it_for_a_part(survey_part, data, tmp_path):
    kept = tmp_path / "cache/data/shelf/0a1b"
    kept.parent.mkdir(parents=True)
    head = (data / "manifest.jsonl").read_text().replace('"pin": ""', '"pin": "p"')
    data.rename(kept)
    (kept / "manifest.jsonl").write_text(head.replace('"the data"', '"the data (b/*)"'))
    assert (survey_part(("b/*",)).folder, survey_part(()).folder == kept) == (kept, False)
    (kept / "manifest.jsonl").write_text(head)
    assert (survey_part(("b/*",)).folder, survey_part(()).folder) == (kept, kept)
