"""Listings as files of one folder: which names cannot be, what identifies them, and what of them has arrived."""

import sqlite3

import pytest
from messages import check_refusals
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer import catalog as transfer_catalog
from robotrain_sources.transfer.catalog import PAGE_SIZE, Catalog
from robotrain_sources.transfer.origin import SourceFile


def make_entry(name: str, size: int = 1, **more: str) -> SourceFile:
    return SourceFile(name=name, size=size, **{"version": f"of {name}", **more})


@pytest.fixture
def catalog(tmp_path):
    made = Catalog(tmp_path / "listing.sqlite")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("given", "is_refused"),
    [
        (["config.json", "a/b", "a/c"], False),
        (["a b", "é", "..a", "a..", "...", "~x", "-x"], False),
        (["../evil"], True),
        (["a/../../evil"], True),
        (["/etc/passwd"], True),
        (["a//b"], True),
        (["."], True),
        (["a/"], True),
        (["a\\..\\b"], True),
        (["a\nb"], True),
        (["a\0b"], True),
        (["x" * 256], True),
        (["x" * 255 + "/" + "y" * 255], False),
        (["a", "a/b", "a-b"], True),
        (["x/a/b/c", "x/a"], True),
    ],
)
def test_a_name_that_is_no_file_below_the_folder_is_refused(given, is_refused, catalog):
    if not is_refused:
        catalog.add_files(map(make_entry, given))
        return
    with pytest.raises(FetchError) as refused:
        catalog.add_files(map(make_entry, given))
    check_refusals(refused.value, "fetch-error data")


def test_a_name_that_is_listed_twice_is_refused(catalog):
    with pytest.raises(FetchError) as refused:
        catalog.add_files([make_entry("a"), make_entry("a", 2)])
    check_refusals(refused.value, "fetch-error data")


@pytest.mark.parametrize(
    ("given", "one"),
    [
        (["data/Episode_1.parquet", "data/episode_1.parquet"], "'data/Episode_1.parquet' and 'data/episode_1.parquet'"),
        (["caf\u00e9", "cafe\u0301"], "'cafe\u0301' and 'caf\u00e9' are the same name"),
        (["Data", "data/1"], "'data/' and 'Data' are the same name"),
        (["Data/1", "data/2", "stra\u00dfe"], False),
    ],
)
def test_names_that_are_one_on_the_disk_of_the_cache_are_refused_there_and_nowhere_else(given, one, tmp_path, catalog):
    catalog.add_files(map(make_entry, given))
    there = Catalog(tmp_path / "there.sqlite")
    if one:
        with pytest.raises(FetchError) as refused:
            there.add_files(map(make_entry, given), folding_disk=True)
        check_refusals(refused.value, "fetch-error data")
        assert refused.value.fault == "data"
    else:
        there.add_files(map(make_entry, given), folding_disk=True)
        assert there.compute_digest() == catalog.compute_digest()
    there.close()


def test_whether_a_disk_tells_names_apart_is_tried_and_leaves_nothing(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    assert transfer_catalog.is_folding_disk(folder) == (tmp_path / "EMPTY").exists()
    assert list(folder.iterdir()) == []


def test_a_file_that_nothing_identifies_is_refused(catalog):
    with pytest.raises(FetchError) as refused:
        catalog.add_files([SourceFile(name="a", size=1)])
    check_refusals(refused.value, "fetch-error data")


def test_the_digest_is_that_of_what_is_there_and_not_of_how_it_was_listed(tmp_path, catalog):
    listed = [make_entry(f"{number}/é") for number in range(PAGE_SIZE + 10)]
    catalog.add_files(listed)
    assert catalog.compute_digest() == transfer_catalog.compute_data_digest(sorted(listed, key=lambda one: one.name))
    for number, other in enumerate(
        (listed[1:], [make_entry("0/é", 2), *listed[1:]], [make_entry("0/é", md5="x"), *listed[1:]])
    ):
        changed = Catalog(tmp_path / f"{number}.sqlite")
        changed.add_files(other)
        assert changed.compute_digest() != catalog.compute_digest()
        changed.close()


def test_a_digest_of_the_content_goes_before_when_it_was_written():
    assert transfer_catalog.compute_data_digest(
        [make_entry("a", md5="1", version="x")]
    ) == transfer_catalog.compute_data_digest([make_entry("a", md5="1", version="y")])


def test_what_is_left_comes_with_the_largest_first_while_others_are_noted(catalog):
    catalog.add_files(make_entry(f"{number:05}", number % 7) for number in range(2 * PAGE_SIZE))
    came = []
    for one in catalog.iter_missing():
        came.append((one.size, one.name))
        catalog.record_arrival([(one.name, "own")])
    assert came == sorted(came, reverse=True)
    assert len(came) == 2 * PAGE_SIZE
    assert catalog.is_complete()


def test_what_arrived_is_taken_over_with_the_versions_of_today(tmp_path, catalog):
    earlier = Catalog(tmp_path / "earlier.sqlite")
    earlier.add_files([make_entry("a", 5, version="old"), make_entry("b", 7)])
    earlier.record_arrival([("b", "own")], [("a", 0, 3)])
    earlier.close()
    catalog.add_files([make_entry("a", 5, version="new"), make_entry("b", 7)])
    catalog.import_arrivals(tmp_path / "earlier.sqlite")
    assert catalog.count_arrived_bytes() == 7 + 3
    assert [one.version for one in catalog.iter_missing()] == ["new"]
    assert catalog.list_ranges("a") == [(0, 3)]
    (tmp_path / "broken").write_bytes(b"x" * 5000)
    with pytest.raises(sqlite3.Error):
        catalog.import_arrivals(tmp_path / "broken")
