"""What a person types for a source: the texts that each kind takes, and what the others are answered with.

The kit (test_kinds_kit.py) holds what is true of any text; here is one case of each rule of a parser.
"""

import re
from pathlib import Path

import pytest
from problem_assertions import check_refusals
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
        f"{BLOBS}/box/p/q/r/": f"{BLOBS}/box/p/q/r",
        f"{BLOBS}//box/p": f"{BLOBS}/box/p",
        f"{BLOBS}/box/a b": f"{BLOBS}/box/a b",
        "HTTPS://ACC.BLOB.core.windows.net/box/p": f"{BLOBS}/box/p",
        f"{BLOBS}/$root/p": f"{BLOBS}/$root/p",
        f"{BLOBS}/box/é": f"{BLOBS}/box/é",
        f"{BLOBS}/box/@p&q=1": f"{BLOBS}/box/@p&q=1",
    },
    "https_file": {
        f"{HOST}/aox%20b/m~(1),2.pt": f"{HOST}/aox%20b/m~(1),2.pt",
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
        f"{TYPED_ID}/data/n/versions/3".replace("://", ":/"): f"{NORMAL_ID}/data/n/versions/3",
        f"{TYPED_ID}/data/n/versions/3".removeprefix("azureml:/"): f"{NORMAL_ID}/data/n/versions/3",
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
        **dict.fromkeys(("a:latest", "models:/a/latest", "models:/a", "models:/a/"), "models:/a/latest"),
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

REFUSED: dict[str, tuple[str, ...]] = {
    "blob_url": (
        *("", "s3://b/p", "/data/x", "user/dataset"),
        *(f"{BLOBS}/{container}/p" for container in ("c", "ab", "x" * 64, "a--b", "-ab", "Abc")),
        f"{BLOBS}/box//p",
        f"{BLOBS}/box/a%20b",
        f"{BLOBS}/box/p%3Fsig=s3cr3t",
        f"{BLOBS}/box/p%252fq",
        f"{BLOBS}/box/p%ff",
        f"{BLOBS}/box/" + "%25" * 3000,
        f"{BLOBS}/box/../p",
        f" {BLOBS}/box/p",
        f"{BLOBS}/box/p /",
        f"{BLOBS}/box/p" + " /" * 3000,
        f"{BLOBS}/box/p\x7f",
        f"{BLOBS}/C_X/p",
        f"{BLOBS}/a--b/p",
        f"{BLOBS}/{'c' * 64}/p",
        "https://a_b.blob.core.windows.net/box/p",
        "https://ab.blob.core.windows.net/box/p",
        "https://ac\u212a.blob.core.windows.net/box/p",
        "https://acc-secondary.blob.core.windows.net/box/p",
        "https://acc.privatelink.blob.core.windows.net/box/p",
        "https://a" + "-secondary.privatelink" * 3000 + ".blob.core.windows.net/box/p",
        f"{BLOBS}/box/p?sv=2024&sig=s3cr3t",
        f"{BLOBS}/box/p&sv=1&sig=s3cr3t",
        f"{BLOBS}/box/p#f",
        f"{BLOBS}:443/c/p",
        f"{BLOBS}:abc/c/p",
        "https://u:s3/cr3t@acc.blob.core.windows.net/box/p",
        *(f"{BLOBS}/box/p{sign}q" for sign in ";\"'{\\"),
        "http://u:s3cr3t@ACC.privatelink.blob.core.windows.net:80/c/p/?sig=s3cr3t",
        "//acc.blob.core.windows.net/box/p",
        BLOBS,
        f"{BLOBS}/box//",
        "https://u:p@acc.blob.core.windows.net/box/p",
        "https://acc.z01.blob.core.windows.net/box/p",
        "https://acc.dfs.core.windows.net/box/p",
        "https://acc.blob.core.windows.net./c/p",
        "https://acc.blob.core.chinacloudapi.cn/c/p",
        *(
            f"https://{host}/c/p"
            for host in ("acc.file.core.windows.net", "acc.blob.core.windows.net.evil.com", "127.0.0.1", "[::1]")
        ),
        "abfss://c@acc.dfs.core.windows.net/pox",
        "wasb://c@acc.blob.core.windows.net/pox",
        "AZUREML:ds:3",
        "azureml://datastores/x/paths/y",
        f"{BLOBS}/box/" + "p" * 1025,
    ),
    "https_file": (
        f"{HOST}/model.pt?sig=S3CRET",
        f"{HOST}/model.pt#top",
        "https://me:S3CRET@example.org/model.pt",
        f" {HOST}/model.pt",
        HOST,
        f"{HOST}/models/",
        f"{HOST}/aox/%2e%2e/model.pt",
        f"{HOST}/aox%2Fmodel.pt",
        f"{HOST}/aox b/model.pt",
        f"{HOST}//model.pt",
        "https:///model.pt",
        "https://exa mple.org/model.pt",
        "ftp://example.org/model.pt",
    ),
    "huggingface": (
        *("/ds", "./d", "~/d"),
        *("", "a/b/c", "-u/d", "u/d.", "u/d--e", "u/d..e", "u/d e", "u/d:3", "u/é"),
        "a/" + "b" * 97,
        "user/ds/",
        "u/d.git",
        "u/d\n",
        "act:3",
        "azureml:x:1",
        "hf_" + "a1" * 17,
        "u/d@ghp_" + "a1" * 18,
        "HTTPS://hf.co/datasets/u/d/tree/v1.0/meta?x=s3cr3t#s3cr3t",
        "https://user:s3cr3t@huggingface.co/u/d?token=s3cr3t",
        "hf://datasets/u/d@main/meta/info.json",
        "huggingface.co/datasets/u",
        "u/d@",
        *(
            f"u/d@{revision}"
            for revision in (
                *("-x", "/x", "x.", "x.lock/y", "a..b", "a b", "a~b", "a[b", "a\\b", "@", "a//b", ".x", "a/.x", "a@{b"),
                *("a#b", "a\x7fb", "a\u202eb", "a\udcffb", "x" * 256, "a&b", "a%2fb"),
            )
        ),
    ),
    "data_asset": (
        "azureml:a",
        "azureml:a@latest:1",
        "azureml:a:latest",
        "azureml:a:01",
        "azureml:a:9999999999",
        "azureml:a:１",
        "azureml:a:1?sig=s3cr3t",
        "azureml://registries/r/data/n/versions/007",
        *("azureml:a:1:", "azureml::3", "azureml:a b:1", "azureml:-a:1"),
        f"azureml:{'n' * 256}:1",
        " AZUREML:a:01 ",
        "AZUREML:a:1",
        "a:1",
        "azureml://x/data/n/versions/3",
        "azureml://registries/r/data/a/b/versions/1",
        "azureml://x/data/n/labels/latest",
        "azureml://x/models/n/versions/3",
        "azureml://datastores/d/paths/p",
        "user/ds",
    ),
    "model_asset": (
        "azureml:a@latest",
        "azureml:a:07",
        "azureml:a:b:3",
        "azureml://registries/r/data/n/versions/7",
        "azureml://jobs/j/outputs/o/paths/a",
        "azureml://jobs/j/outputs/artifacts/paths/../a",
        "azureml://jobs/j/outputs/artifacts/paths/a/b/",
        "azureml://datastores/d/paths/p",
    ),
    "registered_model": (
        *("a", "a@champion", "a@latest", "a:Latest", "models:/a/Production", "models:/a@x"),
        *(f"a:{version}" for version in ("", "v1", "1.0", "+1", "1e3", "１", "9999999999")),
        "models:/a/007",
        " a:01 ",
        "MODELS:/a/1",
        *("", "a:b:3", ":3", "-a:1", "a b:1", "models:/a/b/3", "user/repo"),
        f"{'n' * 256}:1",
        "azureml:a:1",
        "runs:/0123/model",
        "https://example.com/x",
    ),
    "mlflow_run": (
        *("", "model", "models:/act/3", "runs:"),
        *(f"runs:/{run}" for run in ("", "-a/model", "a.b/model", "a" * 256 + "/model")),
        f"runs:/{RUN}/",
        f"runs://{RUN}/model",
        f"runs:/{RUN}//model",
        f"runs:/{RUN}/a//b",
        f"runs:/{RUN}/../model",
        *(f"runs:/{RUN}/{path}" for path in ("a b", "a%20b", "a?x=1", "a@b", "é")),
        f" runs:/{RUN}/model\n",
        f"RUNS:/{RUN}/model",
        f"mlflow-artifacts:/7/{RUN}/artifacts/model/",
        f"mlflow-artifacts://host:5000/7/{RUN}/artifacts/a/b",
        f"mlflow-artifacts:/7/{RUN}/artifacts/a b",
        f"mlflow-artifacts:/7/{RUN}/artifacts/a?sig=S3CRET",
    ),
    "local_path": (
        " ",
        "/a\0b",
        "/a\udcff",
        "file:///data/pusht/",
        "file://localhost/data",
        "file:///data?sig=s3cr3t",
        "acc.blob.core.windows.net/box/p",
        "AZUREML:a:1",
        "hf://u/d",
        "https:/x/y",
        "~no-such-user-here/x",
    ),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_text_of_a_source_has_one_normal_form(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert {text: str(KINDS[kind].parse(text, HERE)) for text in TAKEN[kind]} == TAKEN[kind]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param(KINDS[kind], text, id=f"{kind} {number}")
        for kind, texts in REFUSED.items()
        for number, text in enumerate(texts)
    ],
)
def test_refused_text_has_a_reason_and_a_suggestion(kind: SourceKind, text: str) -> None:
    with pytest.raises(SourceError) as raised:
        kind.parse(text, HERE)
    check_refusals(raised.value, "source-error")
    assert not re.search("(?i)s3cr[3e]t", f"{raised.value} {raised.value.suggestion}")


@pytest.mark.parametrize(
    ("text", "warned"),
    [(f"{BLOBS}/ccc/a/EP.MP4", ["single file"]), (f"{BLOBS}/ccc/day.1/v1.0", []), (f"{BLOBS}/box/p", [])],
)
def test_doubtful_address_causes_a_warning(text: str, warned: list[str]) -> None:
    result = BLOB_URL.warn(BLOB_URL.parse(text, HERE))
    assert [part in sentence for part, sentence in zip(warned, result, strict=True)] == [True] * len(warned)
