"""Listings as files of one folder: which names cannot be, what identifies them, and what of them has arrived."""

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
