"""The source kinds of OSMO: forms that are accepted, and that a formatted source parses to the same one."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from robotrain.model.source import SourceError
from robotrain_osmo import dataset, storage
from robotrain_osmo.spec import workflow

COMPONENT = r"[^/,;*]+"
OSMOS_OWN = "|".join(
    (
        rf"swift://{COMPONENT}(/{COMPONENT}){{2,}}/*",
        rf"(s3|gs)://{COMPONENT}(/{COMPONENT})*/*",
        rf"(tos|azure)://{COMPONENT}(/{COMPONENT})+/*",
    )
)
"""What OSMO matches an address with."""

HERE = Path("/")
ADDRESSES = [
    "azure://account1/train",
    "azure://account1/train/set1/a.b",
    "s3://robots",
    "s3://robots/runs/2026",
    "gs://robots/runs",
    "swift://host.example/AUTH_team/container/runs",
    "tos://host.example/bucket/runs",
]


@pytest.mark.parametrize("text", ADDRESSES)
def test_addresses_of_storage_are_taken_as_they_are(text: str) -> None:
    assert storage.is_storage_url(text)
    assert str(storage.parse_storage_url(text)) == text
    assert str(storage.parse_storage_url(f"{text}/")) == text


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("https://account1.blob.core.windows.net/train/set1", "azure://account1/train/set1"),
        ("S3://robots/runs", "s3://robots/runs"),
        ("ftp://host/x", ""),
        ("s3://", ""),
        ("s3://robots//runs", ""),
        ("s3://robots/../runs", ""),
        ("s3://robots/runs?sig=abc", ""),
        ("s3://key:secret@robots/runs", ""),
        ("s3://robots/a b", ""),
        ("s3://robots/a;b", ""),
        ("s3://robots/{{x}}", ""),
        ("s3://robots/$(x)", ""),
        ("s3://robots/'x", ""),
        ("s3://Robots/x", ""),
        ("azure://account1", ""),
        ("azure://Account/train/x", ""),
        ("azure://account1/Train/x", ""),
        ("swift://host/account", ""),
        (" s3://robots", ""),
        ("s3://robots\n", ""),
        ("", ""),
    ],
)
def test_invalid_storage_address_is_refused(text: str, instead: str) -> None:
    with pytest.raises(SourceError) as refused:
        storage.parse_storage_url(text)
    assert refused.value.suggestion == instead


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("azure://ab/checkpoints", "storage account: 3 to 24 lowercase letters and digits"),
        ("azure://account1/ck", "container: 3 to 63 lowercase letters, digits and single dashes"),
    ],
)
def test_the_part_of_an_address_that_is_wrong_is_named_with_its_rule(text: str, why: str) -> None:
    with pytest.raises(SourceError, match=why):
        storage.parse_storage_url(text)


@pytest.mark.parametrize("text", ["s3://robots/runs?sig=abc", "s3://key:abc@robots/runs", "s3://robots/runs#abc"])
def test_a_secret_in_an_address_is_refused_as_one_and_not_repeated(text: str) -> None:
    with pytest.raises(SourceError, match="secret") as refused:
        storage.parse_storage_url(text)
    assert "abc" not in refused.value.why + refused.value.suggestion


@pytest.mark.parametrize("text", ["pusht", "my-bucket/pusht", "my-bucket/pusht:7", "pusht:latest_1"])
def test_datasets_are_named_as_osmo_names_them(text: str) -> None:
    assert str(dataset.parse_dataset(text)) == text


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        (" pusht", "pusht"),
        ("bucket/pusht/", "bucket/pusht"),
        ("a/b/c", ""),
        ("azure://acc/c", ""),
        ("a b", ""),
        ("a.b", ""),
        ("a:", ""),
        ("", ""),
        ("{{a}}", ""),
        ("pusht\n", "pusht"),
    ],
)
def test_invalid_dataset_name_is_refused(text: str, instead: str) -> None:
    with pytest.raises(SourceError) as refused:
        dataset.parse_dataset(text)
    assert refused.value.suggestion == instead


def test_bare_word_is_no_osmo_dataset() -> None:
    assert not dataset.KIND.recognizes("pusht")
    assert not dataset.KIND.recognizes("user/pusht")


def test_storage_is_a_place_to_write_to_and_to_go_on_from_and_nothing_is_packed_for_it() -> None:
    assert storage.KIND.platform_managed
    assert [role.flag for role in storage.KIND.roles.values()] == ["--resume-from"]
    assert storage.KIND.target == storage.KIND.container_plugin == ""


WILD = st.one_of(st.text(max_size=40), st.from_regex(r"(s3|gs|azure|tos|swift)://[ -~]{0,30}", fullmatch=True))


def holds(text: str) -> None:
    for parse in (storage.parse_storage_url, dataset.parse_dataset):
        found, instead = read(parse, text)
        assert not instead or str(parse(instead, HERE)) == instead
        if found:
            assert str(parse(found, HERE)) == found
            assert not workflow.GUARD.find_syntax(found)
            assert not re.search(r"[\s?#@'\"{}\\;,*]", found)
            assert found.isascii()
            assert parse is dataset.parse_dataset or re.fullmatch(OSMOS_OWN, found)


def read(parse: Callable[[str, Path], object], text: str) -> tuple[str, str]:
    """The formatted source, or the suggestion."""
    try:
        return str(parse(text, HERE)), ""
    except SourceError as refused:
        return "", refused.suggestion


@given(WILD)
@hypothesis_settings(max_examples=50)
def test_any_text_is_refused_or_printed_safely(text: str) -> None:
    holds(text)
