"""Blob URLs: the tables of contract C.1, row by row, with what was decided for robotrain."""

from pathlib import Path

import pytest
from robotrain.model.source import SourceError
from robotrain_sources.blob_url.kind import KIND

HERE = Path("/work")
A = "https://acc.blob.core.windows.net"

ACCEPTED = (
    (1, f"{A}/c/p", f"{A}/c/p"),
    (2, f"{A}/c/p/", f"{A}/c/p"),
    (3, f"{A}/c/p/q/r", f"{A}/c/p/q/r"),
    (4, f"{A}//c/p", f"{A}/c/p"),
    (6, f"{A}/c/a b", f"{A}/c/a b"),
    (9, "https://ACC.blob.core.windows.net/c/p", f"{A}/c/p"),
    (10, "https://acc.BLOB.core.windows.net/c/p", f"{A}/c/p"),
    (11, "HTTPS://acc.blob.core.windows.net/c/p", f"{A}/c/p"),
    (14, f"{A}/$root/p", f"{A}/$root/p"),
    (23, f"{A}/c/é", f"{A}/c/é"),
    (27, f"{A}/c/data.parquet", f"{A}/c/data.parquet"),
    (28, f"{A}/c/@p", f"{A}/c/@p"),
    (30, f"{A}/c/p&q=1", f"{A}/c/p&q=1"),
)

REJECTED_THOUGH_THE_REFERENCE_ACCEPTS = (
    (5, f"{A}/c//p", "empty segment", f"{A}/c/p"),
    (7, f"{A}/c/a%20b", "decoded name", f"{A}/c/a b"),
    (8, f"{A}/c/../p", "`.` and `..` segments", ""),
    (12, f" {A}/c/p", "white space", f"{A}/c/p"),
    (13, f"{A}/c/p ", "white space", f"{A}/c/p"),
    (15, f"{A}/C_X/p", "container's name", ""),
    (16, "https://a_b.blob.core.windows.net/c/p", "account's name", ""),
    (17, "https://ab.blob.core.windows.net/c/p", "account's name", ""),
    (18, "https://acc-secondary.blob.core.windows.net/c/p", "primary host", f"{A}/c/p"),
    (19, f"{A}/c/p?", "query", f"{A}/c/p"),
    (20, f"{A}/c/p#", "fragment", f"{A}/c/p"),
    (21, f"{A}:/c/p", "no port", f"{A}/c/p"),
    (22, f"{A}/c/p;x=1", "semicolons", ""),
    (24, f'{A}/c/"p"', "quotes", ""),
    (25, f"{A}/c/{{{{x}}}}", "braces", ""),
    (26, f"{A}/c/p\\q", "backslashes", ""),
    (29, f"{A}/c/%2e%2e/p", "decoded name", ""),
    (31, f"{A}/c/.", "`.` and `..` segments", ""),
)

REJECTED = (
    (1, "", "has the form", ""),
    (2, "http://acc.blob.core.windows.net/c/p", "not http://", f"{A}/c/p"),
    (3, "acc.blob.core.windows.net/c/p", "starts with https://", f"{A}/c/p"),
    (4, "//acc.blob.core.windows.net/c/p", "starts with https://", f"{A}/c/p"),
    (5, A, "container is missing", f"{A}/CONTAINER/PREFIX"),
    (6, f"{A}/", "container is missing", f"{A}/CONTAINER/PREFIX"),
    (7, f"{A}/c", "prefix is missing", f"{A}/c/PREFIX"),
    (8, f"{A}/c/", "prefix is missing", f"{A}/c/PREFIX"),
    (9, f"{A}/c//", "prefix is missing", f"{A}/c/PREFIX"),
    (10, f"{A}/c/p?sv=2024&sig=s3cr3t", "Storage Blob Data Reader", f"{A}/c/p"),
    (11, f"{A}/c/p#f", "fragment", f"{A}/c/p"),
    (12, f"{A}:443/c/p", "no port", f"{A}/c/p"),
    (13, f"{A}:abc/c/p", "no port", ""),
    (14, "https://u:p@acc.blob.core.windows.net/c/p", "no password", f"{A}/c/p"),
    (15, "https://u@acc.blob.core.windows.net/c/p", "no password", f"{A}/c/p"),
    (16, "https://acc.privatelink.blob.core.windows.net/c/p", "public, primary host", f"{A}/c/p"),
    (17, "https://acc.z01.blob.core.windows.net/c/p", "DNS zone", ""),
    (18, "https://.blob.core.windows.net/c/p", "account's name", ""),
    (19, "https://acc.dfs.core.windows.net/c/p", "Data Lake endpoint", f"{A}/c/p"),
    (20, "https://acc.file.core.windows.net/c/p", "host of a blob URL", ""),
    (21, "https://acc.blob.core.usgovcloudapi.net/c/p", "public Azure cloud", ""),
    (22, "https://acc.blob.core.chinacloudapi.cn/c/p", "public Azure cloud", ""),
    (23, "https://acc.blob.storage.azure.net/c/p", "host of a blob URL", ""),
    (24, "https://onelake.dfs.fabric.microsoft.com/w/l", "host of a blob URL", ""),
    (25, "https://onelake.blob.fabric.microsoft.com/w/l", "host of a blob URL", ""),
    (26, "abfss://c@acc.dfs.core.windows.net/p", "container after the host", f"{A}/c/p"),
    (27, "wasbs://c@acc.blob.core.windows.net/p", "container after the host", f"{A}/c/p"),
    (28, "wasb://c@acc.blob.core.windows.net/p", "container after the host", f"{A}/c/p"),
    (29, "azureml:ds:3", "Azure ML name", ""),
    (29, "AZUREML:ds:3", "Azure ML name", ""),
    (30, "azureml://datastores/x/paths/y", "storage address behind it", KIND.form),
    *((31, text, "has the form", "") for text in ("azure://acc/c/p", "s3://b/p", "gs://b/p", "hf://u/d", "file:///x")),
    *((32, text, "has the form", "") for text in ("user/dataset", "/data/x", "./x")),
    *((33, f"{A}/c/p{control}", "control characters", "") for control in "\n\t\x7f"),
    (34, f"{A}/c/o'brien", "quotes", ""),
    (35, "https://acc.blob.core.windows.net.evil.com/c/p", "host of a blob URL", ""),
    (36, "https://evil.com/acc.blob.core.windows.net/c/p", "host of a blob URL", ""),
    (37, "https://evil.com#acc.blob.core.windows.net/c/p", "fragment", ""),
    (38, "https://accblob.core.windows.net/c/p", "host of a blob URL", ""),
    (39, "https://127.0.0.1/c/p", "host of a blob URL", ""),
    (39, "https://[::1]/c/p", "host of a blob URL", ""),
    (40, "https://acc.blob.core.windows.net./c/p", "ends with a dot", f"{A}/c/p"),
)
"""Row 41, at most 64 URLs, is a rule over the list, and a platform's limit."""

BESIDE_THE_TABLES = (
    (f"{A}/c/p&sv=1&sig=s3cr3t", "signature", f"{A}/c/p"),
    (f"{A}/c/p%3Fsig=s3cr3t", "decoded name", f"{A}/c/p"),
    (f"{A}/c/p%26sig%3Ds3cr3t", "decoded name", f"{A}/c/p"),
    (f"{A}/c/p%252fq", "decoded name", ""),
    (f"{A}/c/p%ff", "decoded name", ""),
    (f"{A}/c/p /", "ends with white space", f"{A}/c/p"),
    (f"{A}/c/" + "p" * 1025, "1024", ""),
    (f"{A}/a--b/p", "container's name", ""),
    (f"{A}/{'c' * 64}/p", "container's name", ""),
    ("http://u:s3cr3t@ACC.privatelink.blob.core.windows.net:80/c/p/?sig=s3cr3t", "not http://", f"{A}/c/p"),
    ("https://u:s3/cr3t@acc.blob.core.windows.net/c/p", "no port", ""),
    ("https://ac\u212a.blob.core.windows.net/c/p", "account's name", ""),
    (f"{A}/c/" + "%25" * 3000, "decoded name", ""),
    ("https://a" + "-secondary.privatelink" * 3000 + ".blob.core.windows.net/c/p", "primary host", ""),
    (f"{A}/c/p" + " /" * 3000, "ends with white space", f"{A}/c/p"),
)


@pytest.mark.parametrize(("row", "text", "printed"), ACCEPTED)
def test_an_accepted_row_has_one_normal_form(row: int, text: str, printed: str) -> None:
    assert str(KIND.parse(text, HERE)) == printed


@pytest.mark.parametrize(("row", "text", "why", "instead"), REJECTED_THOUGH_THE_REFERENCE_ACCEPTS + REJECTED)
def test_a_rejected_row_says_why_and_what_to_type(row: int, text: str, why: str, instead: str) -> None:
    with pytest.raises(SourceError, match=why) as raised:
        KIND.parse(text, HERE)
    assert raised.value.suggestion == instead


@pytest.mark.parametrize(("text", "why", "instead"), BESIDE_THE_TABLES)
def test_what_no_row_lists_is_refused_too(text: str, why: str, instead: str) -> None:
    with pytest.raises(SourceError, match=why) as raised:
        KIND.parse(text, HERE)
    assert raised.value.suggestion == instead


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        (f"{A}/ccc/data.parquet", ["single file"]),
        (f"{A}/ccc/a/EP.MP4", ["single file"]),
        (f"{A}/ccc/v1.0", []),
        (f"{A}/ccc/day.1/pusht", []),
        (f"{A}/c/p", ["3 to 63"]),
    ],
)
def test_what_will_probably_disappoint_is_said(text: str, warned: list[str]) -> None:
    said = KIND.warn(KIND.parse(text, HERE))
    assert [part in sentence for part, sentence in zip(warned, said, strict=True)] == [True] * len(warned)
