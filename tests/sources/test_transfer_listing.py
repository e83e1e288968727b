"""Listings as files of one folder: which names cannot be, and what identifies them."""

from types import SimpleNamespace

import pytest
from problem_assertions import check_refusals
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer.fetch import list_source
from robotrain_sources.transfer.origin import SourceFile, compute_data_digest


def make_entry(name: str, size: int = 1, **more: str) -> SourceFile:
    return SourceFile(name=name, size=size, **{"version": f"of {name}", **more})


def list_entries(*entries: SourceFile) -> list[SourceFile]:
    return list(list_source(SimpleNamespace(list_files=lambda: iter(entries))))


@pytest.mark.parametrize(
    ("names", "is_refused"),
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
def test_a_name_that_is_no_file_below_the_folder_is_refused(names, is_refused):
    if not is_refused:
        assert [entry.name for entry in list_entries(*map(make_entry, names))] == sorted(names)
        return
    with pytest.raises(FetchError) as refused:
        list_entries(*map(make_entry, names))
    check_refusals(refused.value, "fetch-error data")


def test_a_name_that_is_listed_twice_is_refused():
    with pytest.raises(FetchError) as refused:
        list_entries(make_entry("a"), make_entry("a", 2))
    check_refusals(refused.value, "fetch-error data")


def test_a_file_that_nothing_identifies_is_refused():
    with pytest.raises(FetchError) as refused:
        list_entries(SourceFile(name="a", size=1))
    check_refusals(refused.value, "fetch-error data")


def test_the_digest_is_that_of_what_is_there_and_not_of_how_it_was_listed():
    listed = [make_entry(f"{number}/é") for number in range(20)]
    digest = compute_data_digest(list_entries(*listed))
    assert compute_data_digest(list_entries(*reversed(listed))) == digest
    for other in (listed[1:], [make_entry("0/é", 2), *listed[1:]], [make_entry("0/é", md5="x"), *listed[1:]]):
        assert compute_data_digest(list_entries(*other)) != digest


def test_a_digest_of_the_content_goes_before_when_it_was_written():
    assert compute_data_digest([make_entry("a", md5="1", version="x")]) == compute_data_digest(
        [make_entry("a", md5="1", version="y")]
    )
