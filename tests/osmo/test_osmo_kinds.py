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
def test_storage_url_is_accepted(text: str) -> None:
    assert storage.is_storage_url(text)
    assert str(storage.parse_storage_url(text)) == text
    assert str(storage.parse_storage_url(f"{text}/")) == text


NAMES = "The names of datasets and buckets contain letters, digits"
SPACES = "The name has white space or a slash"


@pytest.mark.parametrize(
    ("text", "reason", "instead"),
    [
        (" pusht", SPACES, "pusht"),
        ("pusht\n", SPACES, "pusht"),
        ("bucket/pusht/", SPACES, "bucket/pusht"),
        ("azure://acc/c", "not a URL", ""),
        *((text, NAMES, "") for text in ("a/b/c", "a b", "a.b", "a:", "", "{{a}}")),
    ],
)
def test_invalid_dataset_name_is_refused(text: str, reason: str, instead: str) -> None:
    with pytest.raises(SourceError, match=reason) as refused:
        dataset.parse_dataset(text)
    assert refused.value.suggestion == instead


@pytest.mark.parametrize(
    "text",
    [
        *("S3://robots/runs", "azure://ab/checkpoints", "azure://account1/ck", "ftp://host/x", "", " s3://robots"),
        *(f"s3://{text}" for text in ("robots/runs?sig=abc", "key:abc@robots/runs", "robots/runs#abc")),
        *(f"s3://{text}" for text in ("", "robots//runs", "robots/../runs", "Robots/x", "robots\n")),
        *(f"s3://robots/{text}" for text in ("a b", "a;b", "{{x}}", "$(x)", "'x")),
        *("azure://account1", "swift://host/account", "azure://Account/train/x", "azure://account1/Train/x"),
    ],
)
def test_invalid_storage_url_is_refused(text: str) -> None:
    with pytest.raises(SourceError, match=r"A storage URL of OSMO is azure://|a secret") as refused:
        storage.parse_storage_url(text)
    assert "abc" not in refused.value.why


def test_a_blob_url_is_answered_with_that_of_osmo() -> None:
    with pytest.raises(SourceError, match="instead of a blob URL") as refused:
        storage.parse_storage_url("https://account1.blob.core.windows.net/train/set1")
    assert refused.value.suggestion == "azure://account1/train/set1"


@pytest.mark.parametrize("text", ["pusht", "my-bucket/pusht", "my-bucket/pusht:7", "pusht:latest_1"])
def test_dataset_name_is_accepted(text: str) -> None:
    assert str(dataset.parse_dataset(text)) == text
    assert not dataset.KIND.recognizes(text)  # any word could be one


def test_storage_is_written_by_osmo_without_a_container_plugin() -> None:
    assert storage.KIND.platform_managed
    assert [role.flag for role in storage.KIND.roles.values()] == ["--resume-from"]
    assert storage.KIND.target == storage.KIND.container_plugin == ""


WILD = st.one_of(st.text(max_size=40), st.from_regex(r"(s3|gs|azure|tos|swift)://[ -~]{0,30}", fullmatch=True))


def holds(text: str) -> None:
    for parse in (storage.parse_storage_url, dataset.parse_dataset):
        parsed, instead = read(parse, text)
        assert not instead or str(parse(instead, HERE)) == instead
        if parsed:
            assert str(parse(parsed, HERE)) == parsed
            assert not workflow.GUARD.find_syntax(parsed)
            assert not re.search(r"[\s?#@'\"{}\\;,*]", parsed)
            assert parsed.isascii()
            assert parse is dataset.parse_dataset or re.fullmatch(OSMOS_OWN, parsed)


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
