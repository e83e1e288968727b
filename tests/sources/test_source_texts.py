"""What a person types for a source: the texts that each kind takes, and what the others are answered with.

The kit (test_kinds_kit.py) holds what is true of any text; here is one case of each rule of a parser.
"""

from pathlib import Path

import pytest
from robotrain.model.source import SourceError, SourceKind
from robotrain_sources.blob_url.kind import KIND as BLOB_URL
from robotrain_sources.data_asset.kind import KIND as DATA_ASSET
from robotrain_sources.https_file.kind import KIND as HTTPS_FILE
from robotrain_sources.huggingface.kind import KIND as HUGGINGFACE
from robotrain_sources.local_path.kind import KIND as LOCAL_PATH
from robotrain_sources.mlflow.kind import ASSET_KIND as MODEL_ASSET
from robotrain_sources.mlflow.kind import KIND as REGISTERED_MODEL
from robotrain_sources.mlflow.kind import RUN_KIND as MLFLOW_RUN

KINDS = {
    kind.name: kind
    for kind in (BLOB_URL, HTTPS_FILE, HUGGINGFACE, DATA_ASSET, MODEL_ASSET, REGISTERED_MODEL, MLFLOW_RUN, LOCAL_PATH)
}
HERE = Path("/work/jobs")
BLOBS = "https://acc.blob.core.windows.net"
HOST = "https://example.org"
SUBSCRIPTION = "azureml://subscriptions/s/resourcegroups/r"
PROVIDER = "providers/Microsoft.MachineLearningServices"
TYPED_ID = f"azureml://subscriptions/s/resourceGroups/r/{PROVIDER.upper()}/workspaces/w"
NORMAL_ID = f"{SUBSCRIPTION}/{PROVIDER}/workspaces/w"
COMMIT = "0123456789abcdef" * 2 + "01234567"
RUN = "0123456789abcdef" * 2

TAKEN: dict[str, dict[str, str]] = {
    "blob_url": {
        f"{BLOBS}/c/p/q/r/": f"{BLOBS}/c/p/q/r",
        f"{BLOBS}//c/p": f"{BLOBS}/c/p",
        f"{BLOBS}/c/a b": f"{BLOBS}/c/a b",
        "HTTPS://ACC.BLOB.core.windows.net/c/p": f"{BLOBS}/c/p",
        f"{BLOBS}/$root/p": f"{BLOBS}/$root/p",
        f"{BLOBS}/c/é": f"{BLOBS}/c/é",
        f"{BLOBS}/c/@p&q=1": f"{BLOBS}/c/@p&q=1",
    },
    "https_file": {
        f"{HOST}/a%20b/m~(1),2.pt": f"{HOST}/a%20b/m~(1),2.pt",
        "HTTPS://Example.ORG:8443/A/model.pt": "https://example.org:8443/A/model.pt",
        "http://10.0.0.7:8000/model.pt": "http://10.0.0.7:8000/model.pt",
    },
    "huggingface": {
        text: text
        for text in (
            *("lerobot/pusht", "org.name/my_data-set.v1", "123/456", "_u/d_", "gpt2", "a/" + "b" * 96),
            *(f"u/d@{revision}" for revision in ("main", "v1.0", "feature/x", "refs/pr/1", "a@b", "é", COMMIT)),
        )
    },
    "data_asset": {
        "azureml:a-b_c.d:42": "azureml:a-b_c.d:42",
        "azureml:_x:0": "azureml:_x:0",
        f"azureml:{'n' * 255}:123456789": f"azureml:{'n' * 255}:123456789",
        f"{SUBSCRIPTION}/workspaces/w/data/n/versions/3": f"{SUBSCRIPTION}/workspaces/w/data/n/versions/3",
        f"{TYPED_ID}/data/n/versions/3": f"{NORMAL_ID}/data/n/versions/3",
        **dict.fromkeys(["azureml://registries/r/data/n/versions/1"], "azureml://registries/r/data/n/versions/1"),
    },
    "model_asset": {
        "azureml:act:3": "azureml:act:3",
        f"{TYPED_ID}/models/n/versions/3": f"{NORMAL_ID}/models/n/versions/3",
        "azureml://locations/l/workspaces/w/models/n/versions/12": "azureml://locations/l/workspaces/w/models/n/versions/12",
    },
    "registered_model": {
        "a-b_c.d:7": "models:/a-b_c.d/7",
        "1x:0": "models:/1x/0",
        "models:/latest/3": "models:/latest/3",
        f"{'n' * 255}:123456789": f"models:/{'n' * 255}/123456789",
    },
    "mlflow_run": {
        f"runs:/{RUN}/model/": f"runs:/{RUN}/model",
        "runs:/loving_pear-3x/epoch=3-step=100.5/a+b~(c),d!": "runs:/loving_pear-3x/epoch=3-step=100.5/a+b~(c),d!",
    },
    "local_path": {
        "//data///pusht//.": "/data/pusht",
        "/data/../pusht/": "/pusht",
        "/": "/",
        "../pusht": "/work/pusht",
        ".": "/work/jobs",
        "a b/é": "/work/jobs/a b/é",
        "./a:b": "/work/jobs/a:b",
        "./~x": "/work/jobs/~x",
        "~/pusht/": "/home/me/pusht",
    },
}

ID, GIT = "id is OWNER/NAME", "as git names them"
DIGITS = "whole number of at most 9 digits"
PART, PREFIX = "No part of the path", f"{BLOBS}/c/p"
MOVES = "needs a version|move from version to version"
STORED = "where a server keeps"

REFUSED: dict[str, tuple[tuple[str, str, str], ...]] = {
    "blob_url": (
        *((text, "has the form", "") for text in ("", "s3://b/p", "/data/x", "user/dataset")),
        (f"{BLOBS}/c//p", "empty segment", PREFIX),
        (f"{BLOBS}/c/a%20b", "decoded name", f"{BLOBS}/c/a b"),
        (f"{BLOBS}/c/p%3Fsig=s3cr3t", "decoded name", PREFIX),
        (f"{BLOBS}/c/p%252fq", "decoded name", ""),
        (f"{BLOBS}/c/p%ff", "decoded name", ""),
        (f"{BLOBS}/c/" + "%25" * 3000, "decoded name", ""),
        (f"{BLOBS}/c/../p", "`.` and `..` segments", ""),
        (f" {BLOBS}/c/p", "white space", PREFIX),
        (f"{BLOBS}/c/p /", "ends with white space", PREFIX),
        (f"{BLOBS}/c/p" + " /" * 3000, "ends with white space", PREFIX),
        (f"{BLOBS}/c/p\x7f", "control characters", ""),
        (f"{BLOBS}/C_X/p", "container's name", ""),
        (f"{BLOBS}/a--b/p", "container's name", ""),
        (f"{BLOBS}/{'c' * 64}/p", "container's name", ""),
        ("https://a_b.blob.core.windows.net/c/p", "account's name", ""),
        ("https://ab.blob.core.windows.net/c/p", "account's name", ""),
        ("https://ac\u212a.blob.core.windows.net/c/p", "account's name", ""),
        ("https://acc-secondary.blob.core.windows.net/c/p", "primary host", PREFIX),
        ("https://acc.privatelink.blob.core.windows.net/c/p", "primary host", PREFIX),
        ("https://a" + "-secondary.privatelink" * 3000 + ".blob.core.windows.net/c/p", "primary host", ""),
        (f"{BLOBS}/c/p?sv=2024&sig=s3cr3t", "Storage Blob Data Reader", PREFIX),
        (f"{BLOBS}/c/p&sv=1&sig=s3cr3t", "signature", PREFIX),
        (f"{BLOBS}/c/p#f", "fragment", PREFIX),
        (f"{BLOBS}:443/c/p", "no port", PREFIX),
        (f"{BLOBS}:abc/c/p", "no port", ""),
        ("https://u:s3/cr3t@acc.blob.core.windows.net/c/p", "no port", ""),
        *((f"{BLOBS}/c/p{sign}q", "quotes, braces, backslashes or semicolons", "") for sign in ";\"'{\\"),
        ("http://u:s3cr3t@ACC.privatelink.blob.core.windows.net:80/c/p/?sig=s3cr3t", "not http://", PREFIX),
        ("//acc.blob.core.windows.net/c/p", "starts with https://", PREFIX),
        (BLOBS, "container is missing", f"{BLOBS}/CONTAINER/PREFIX"),
        (f"{BLOBS}/c//", "prefix is missing", f"{BLOBS}/c/PREFIX"),
        ("https://u:p@acc.blob.core.windows.net/c/p", "no password", PREFIX),
        ("https://acc.z01.blob.core.windows.net/c/p", "DNS zone", ""),
        ("https://acc.dfs.core.windows.net/c/p", "Data Lake endpoint", PREFIX),
        ("https://acc.blob.core.windows.net./c/p", "ends with a dot", PREFIX),
        ("https://acc.blob.core.chinacloudapi.cn/c/p", "public Azure cloud", ""),
        *(
            (f"https://{host}/c/p", "host of a blob URL", "")
            for host in ("acc.file.core.windows.net", "acc.blob.core.windows.net.evil.com", "127.0.0.1", "[::1]")
        ),
        ("abfss://c@acc.dfs.core.windows.net/p", "container after the host", PREFIX),
        ("wasb://c@acc.blob.core.windows.net/p", "container after the host", PREFIX),
        ("AZUREML:ds:3", "Azure ML name", ""),
        ("azureml://datastores/x/paths/y", "storage address behind it", BLOB_URL.form),
        (f"{BLOBS}/c/" + "p" * 1025, "1024", ""),
    ),
    "https_file": (
        (f"{HOST}/model.pt?sig=S3CRET", "signature", f"{HOST}/model.pt"),
        (f"{HOST}/model.pt#top", "fragment", f"{HOST}/model.pt"),
        ("https://me:S3CRET@example.org/model.pt", "secret", f"{HOST}/model.pt"),
        (f" {HOST}/model.pt", "white space", f"{HOST}/model.pt"),
        (HOST, "names no file", ""),
        (f"{HOST}/models/", "names no file", ""),
        (f"{HOST}/a/%2e%2e/model.pt", PART, ""),
        (f"{HOST}/a%2Fmodel.pt", PART, ""),
        (f"{HOST}/a b/model.pt", PART, ""),
        (f"{HOST}//model.pt", PART, ""),
        ("https:///model.pt", "host is missing", ""),
        ("https://exa mple.org/model.pt", "host is missing", ""),
        ("ftp://example.org/model.pt", "has the form", ""),
    ),
    "huggingface": (
        *((text, "local folder", "") for text in ("/ds", "./d", "~/d")),
        *((text, ID, "") for text in ("", "a/b/c", "-u/d", "u/d.", "u/d--e", "u/d..e", "u/d e", "u/d:3", "u/é")),
        ("a/" + "b" * 97, ID, ""),
        ("user/ds/", "slash", "user/ds"),
        ("u/d.git", "git", "u/d"),
        ("u/d\n", "white space", "u/d"),
        ("act:3", "--policy-model NAME:VERSION", ""),
        ("azureml:x:1", "blob URL of its files", ""),
        ("hf_" + "a1" * 17, "access token", ""),
        ("u/d@ghp_" + "a1" * 18, "access token", ""),
        ("HTTPS://hf.co/datasets/u/d/tree/v1.0/meta?x=s3cr3t#s3cr3t", "not its address", "u/d@v1.0"),
        ("https://user:s3cr3t@huggingface.co/u/d?token=s3cr3t", "not its address", "hf://u/d"),
        ("hf://datasets/u/d@main/meta/info.json", "not its address", "u/d@main"),
        ("huggingface.co/datasets/u", ID, ""),
        ("u/d@", "is missing", "u/d"),
        *(
            (f"u/d@{revision}", GIT, "u/d@REVISION")
            for revision in (
                *("-x", "/x", "x.", "x.lock/y", "a..b", "a b", "a~b", "a[b", "a\\b", "@", "a//b", ".x", "a/.x", "a@{b"),
                *("a#b", "a\x7fb", "a\u202eb", "a\udcffb", "x" * 256, "a&b", "a%2fb"),
            )
        ),
    ),
    "data_asset": (
        ("azureml:a", MOVES, "azureml:a:VERSION"),
        ("azureml:a@latest:1", MOVES, "azureml:a:VERSION"),
        ("azureml:a:latest", DIGITS, "azureml:a:VERSION"),
        ("azureml:a:01", DIGITS, "azureml:a:1"),
        ("azureml:a:9999999999", DIGITS, "azureml:a:VERSION"),
        ("azureml:a:１", DIGITS, "azureml:a:VERSION"),
        ("azureml:a:1?sig=s3cr3t", DIGITS, "azureml:a:VERSION"),
        ("azureml://registries/r/data/n/versions/007", DIGITS, "azureml://registries/r/data/n/versions/7"),
        *((text, "A data asset is", "") for text in ("azureml:a:1:", "azureml::3", "azureml:a b:1", "azureml:-a:1")),
        (f"azureml:{'n' * 256}:1", "255 at most", ""),
        (" AZUREML:a:01 ", "white space", "azureml:a:1"),
        ("AZUREML:a:1", "lower case", "azureml:a:1"),
        ("a:1", "starts with `azureml:`", "azureml:a:1"),
        ("azureml://x/data/n/versions/3", "full name", ""),
        ("azureml://registries/r/data/a/b/versions/1", "full name", ""),
        ("azureml://x/data/n/labels/latest", "label may change", ""),
        ("azureml://x/models/n/versions/3", "names a model", ""),
        ("azureml://datastores/d/paths/p", "datastore", f"--blob-url {BLOB_URL.form}"),
        ("user/ds", "has the form", ""),
    ),
    "model_asset": (
        ("azureml:a@latest", MOVES, "azureml:a:VERSION"),
        ("azureml:a:07", DIGITS, "azureml:a:7"),
        ("azureml:a:b:3", "A model is", ""),
        ("azureml://registries/r/data/n/versions/7", "names a data asset", ""),
        ("azureml://jobs/j/outputs/o/paths/a", "register it first", ""),
        ("azureml://jobs/j/outputs/artifacts/paths/../a", "register it first", ""),
        ("azureml://jobs/j/outputs/artifacts/paths/a/b/", "register it first", "--policy-model runs:/j/a/b"),
        ("azureml://datastores/d/paths/p", "storage address behind it", ""),
    ),
    "registered_model": (
        *((text, MOVES, "a:VERSION") for text in ("a@champion", "a:latest", "models:/a/Production", "models:/a@x")),
        *((text, MOVES, "") for text in ("a", "models:/a")),
        *((f"a:{version}", DIGITS, "a:VERSION") for version in ("", "v1", "1.0", "+1", "1e3", "１", "9999999999")),
        ("models:/a/007", DIGITS, "a:7"),
        (" a:01 ", "white space", "a:1"),
        ("MODELS:/a/1", "lower case", "models:/a/1"),
        *((text, "255 at most", "") for text in ("", "a:b:3", ":3", "-a:1", "a b:1", "models:/a/b/3", "user/repo")),
        (f"{'n' * 256}:1", "255 at most", ""),
        ("azureml:a:1", "name of Azure ML", ""),
        ("runs:/0123/model", "artifact of a tracking run", ""),
        ("https://example.com/x", "An address is no", ""),
    ),
    "mlflow_run": (
        *((text, "have the form", "") for text in ("", "model", "models:/act/3", "runs:")),
        *((f"runs:/{run}", "id of a run", "") for run in ("", "-a/model", "a.b/model", "a" * 256 + "/model")),
        (f"runs:/{RUN}/", "folder is missing", f"runs:/{RUN}/PATH"),
        (f"runs://{RUN}/model", "One slash", f"runs:/{RUN}/model"),
        (f"runs:/{RUN}//model", "One slash", f"runs:/{RUN}/model"),
        (f"runs:/{RUN}/a//b", "empty", ""),
        (f"runs:/{RUN}/../model", "empty", ""),
        *((f"runs:/{RUN}/{path}", "letters, digits and", "") for path in ("a b", "a%20b", "a?x=1", "a@b", "é")),
        (f" runs:/{RUN}/model\n", "white space", f"runs:/{RUN}/model"),
        (f"RUNS:/{RUN}/model", "lower case", f"runs:/{RUN}/model"),
        (f"mlflow-artifacts:/7/{RUN}/artifacts/model/", STORED, f"runs:/{RUN}/model"),
        (f"mlflow-artifacts://host:5000/7/{RUN}/artifacts/a/b", STORED, f"runs:/{RUN}/a/b"),
        (f"mlflow-artifacts:/7/{RUN}/artifacts/a b", STORED, ""),
        (f"mlflow-artifacts:/7/{RUN}/artifacts/a?sig=S3CRET", "secret", ""),
    ),
    "local_path": (
        (" ", "empty", ""),
        ("/a\0b", "control characters", ""),
        ("/a\udcff", "valid Unicode", ""),
        ("file:///data/pusht/", "without `file:`", "/data/pusht"),
        ("file://localhost/data", "without `file:`", "/data"),
        ("file:///data?sig=s3cr3t", "An address", ""),
        ("acc.blob.core.windows.net/c/p", "An address", ""),
        ("AZUREML:a:1", "An address", ""),
        ("hf://u/d", "An address", ""),
        ("https:/x/y", "An address", ""),
        ("~no-such-user-here/x", "no such user", ""),
    ),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_text_of_a_source_has_one_normal_form(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert {text: str(KINDS[kind].parse(text, HERE)) for text in TAKEN[kind]} == TAKEN[kind]


@pytest.mark.parametrize(
    ("kind", "text", "why", "instead"),
    [
        pytest.param(KINDS[kind], *case, id=f"{kind} {number}")
        for kind, cases in REFUSED.items()
        for number, case in enumerate(cases)
    ],
)
def test_refused_text_has_a_reason_and_a_suggestion(kind: SourceKind, text: str, why: str, instead: str) -> None:
    with pytest.raises(SourceError, match=why) as raised:
        kind.parse(text, HERE)
    assert raised.value.suggestion == instead


@pytest.mark.parametrize(
    ("text", "warned"),
    [(f"{BLOBS}/ccc/a/EP.MP4", ["single file"]), (f"{BLOBS}/ccc/day.1/v1.0", []), (f"{BLOBS}/c/p", ["3 to 63"])],
)
def test_doubtful_address_causes_a_warning(text: str, warned: list[str]) -> None:
    result = BLOB_URL.warn(BLOB_URL.parse(text, HERE))
    assert [part in sentence for part, sentence in zip(warned, result, strict=True)] == [True] * len(warned)


def test_a_hub_dataset_stands_alone_and_says_what_names_a_merged_one() -> None:
    assert HUGGINGFACE.roles["dataset"].exclusive
    assert "--dataset-id NAME" in HUGGINGFACE.roles["dataset"].combine_hint
