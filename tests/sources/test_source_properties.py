"""What holds for every source of every kind, whatever was typed."""

import string
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from robotrain.model.source import Source, SourceError, SourceKind
from robotrain.redaction import redact
from robotrain_sources.blob_url.kind import KIND as BLOB_URL
from robotrain_sources.blob_url.reference import BlobPrefix
from robotrain_sources.data_asset.kind import KIND as DATA_ASSET
from robotrain_sources.data_asset.kind import DataAsset
from robotrain_sources.huggingface.kind import KIND as HUGGINGFACE
from robotrain_sources.huggingface.reference import Repository
from robotrain_sources.local_path.kind import KIND as LOCAL_PATH
from robotrain_sources.local_path.kind import LocalFolder
from robotrain_sources.mlflow.kind import ASSET_KIND as MODEL_ASSET
from robotrain_sources.mlflow.kind import KIND as REGISTERED_MODEL
from robotrain_sources.mlflow.kind import RUN_KIND as MLFLOW_RUN
from robotrain_sources.mlflow.kind import ModelAsset
from robotrain_sources.mlflow.reference import RegisteredModel, RunArtifact
from robotrain_sources.run.kind import KIND as RUN

HERE = Path("/work")
KINDS = (BLOB_URL, DATA_ASSET, HUGGINGFACE, LOCAL_PATH, MLFLOW_RUN, MODEL_ASSET, REGISTERED_MODEL, RUN)
ANY_KIND = st.sampled_from(KINDS)

LOWER, WORD = string.ascii_lowercase + string.digits, string.ascii_letters + string.digits + "_"
VISIBLE = st.characters(exclude_categories=["C", "Z"], exclude_characters="'\"{}\\;/%=?#")
SEGMENT = st.text(VISIBLE, min_size=1, max_size=8).filter(lambda text: text not in (".", ".."))
NAME = st.text(WORD, min_size=1, max_size=12)
VERSION = st.integers(0, 999_999_999)
SCOPE = st.sampled_from(["", "registries/r", "locations/l/workspaces/w"]) | NAME.map(
    lambda name: f"subscriptions/s/resourcegroups/{name}/workspaces/w"
)

SOURCES: st.SearchStrategy[tuple[SourceKind, Source]] = st.one_of(
    st.builds(
        BlobPrefix,
        account=st.text(LOWER, min_size=3, max_size=24),
        container=st.one_of(st.text(LOWER, min_size=1, max_size=63), st.just("$root"), st.just("a-b")),
        prefix=st.lists(SEGMENT, min_size=1, max_size=4).map("/".join),
    ).map(lambda source: (BLOB_URL, source)),
    st.builds(DataAsset, name=NAME, version=VERSION, scope=SCOPE).map(lambda source: (DATA_ASSET, source)),
    st.builds(ModelAsset, name=NAME, version=VERSION, scope=SCOPE).map(lambda source: (MODEL_ASSET, source)),
    st.builds(RegisteredModel, name=NAME, version=VERSION).map(lambda source: (REGISTERED_MODEL, source)),
    st.builds(
        RunArtifact,
        run=st.text(string.ascii_letters + string.digits, min_size=1, max_size=32),
        path=st.lists(NAME, min_size=1, max_size=4).map("/".join),
    ).map(lambda source: (MLFLOW_RUN, source)),
    st.builds(
        Repository,
        id=st.one_of(NAME, st.tuples(NAME, NAME).map("/".join), st.just("a.b/c-d")),
        revision=st.one_of(st.just(""), st.lists(NAME, min_size=1, max_size=3).map("/".join)),
    ).map(lambda source: (HUGGINGFACE, source)),
    st.builds(LocalFolder, path=st.lists(SEGMENT, max_size=4).map(lambda parts: "/" + "/".join(parts))).map(
        lambda source: (LOCAL_PATH, source)
    ),
)

PIECE = st.one_of(
    st.text(max_size=5),
    st.sampled_from(
        ["https://", "http://", "abfss://c@", "azureml:", "azureml://", "hf://", "file://", "//", "~", "a/b"]
    ),
    st.sampled_from(
        ["acc.blob.core.windows.net", "acc.dfs.core.windows.net", "huggingface.co/", ".privatelink", "/c/p"]
    ),
    st.sampled_from(
        ["/", ":", "@", "?", "#", "%20", "%3F", " ", ";", "..", "registries/r", "/data/n", "/versions/", "1"]
    ),
    st.sampled_from(
        [
            "models:/",
            "act",
            ":latest",
            "/3",
            ":3",
            "@champion",
            "/models/n",
            "runs:/",
            "mlflow-artifacts:/1/",
            "-1a2b3c4d-1",
            "@9",
        ]
    ),
    st.sampled_from(["datasets/", "u/d", ".git", "@main", ":443", "-secondary", "\\", "{{x}}", "&sig=", "A", "\n"]),
)
ANY_TEXT = st.lists(PIECE, max_size=9).map("".join)


@given(SOURCES)
def test_the_printed_form_of_a_source_names_it(pair: tuple[SourceKind, Source]) -> None:
    kind, source = pair
    assert kind.parse(str(source), HERE) == source
    assert kind.parse(str(source), Path("/elsewhere")) == source
    assert source.kind == kind.name


def _read(kind: SourceKind, text: str) -> Source | SourceError:
    try:
        return kind.parse(text, HERE)
    except SourceError as refused:
        return refused


@given(ANY_KIND, ANY_TEXT)
def test_any_text_is_a_source_with_a_normal_form_or_a_refusal(kind: SourceKind, text: str) -> None:
    read = _read(kind, text)
    if isinstance(read, SourceError):
        assert read.why.endswith(".")
    else:
        assert kind.parse(str(read), HERE) == read
        assert str(read).encode()
        assert isinstance(kind.warn(read), list)


@given(ANY_KIND, ANY_TEXT)
def test_what_is_offered_instead_would_be_taken(kind: SourceKind, text: str) -> None:
    read = _read(kind, text)
    instead = read.suggestion if isinstance(read, SourceError) else ""
    placeholder = any(word in instead for word in ("VERSION", "REVISION", "PREFIX", "STEP", "PATH", "last"))
    if instead and not instead.startswith("--") and not placeholder:
        assert str(kind.parse(instead, HERE)) == instead


SECRET = st.text(string.ascii_letters + string.digits, min_size=8, max_size=40).map("S3CR".__add__)
HOSTS = st.sampled_from(
    ["acc.blob.core.windows.net", "acc.dfs.core.windows.net", "acc.privatelink.blob.core.windows.net", "huggingface.co"]
)
SCHEMES = st.sampled_from(["https://", "http://", "HTTPS://", "//", "", "hf://", "file://", "azureml://"])
PATHS = st.sampled_from(["/c/p", "/datasets/u/d", "/data/n/versions/1", "/c/a b", "/c", "", "/datasets/u/d/tree/main"])


@given(ANY_KIND, SCHEMES, HOSTS, PATHS, st.sampled_from(["?", "#", "?sv=1&sig=", "&sig=", "%3Fsig=", "/?"]), SECRET)
def test_no_query_is_repeated(kind: SourceKind, scheme: str, host: str, path: str, mark: str, secret: str) -> None:
    _refused_or_shown_without(kind, f"{scheme}{host}{path}{mark}{secret}", secret)
    _refused_or_shown_without(kind, f"azureml:a:1{mark}{secret}", secret)
    _refused_or_shown_without(kind, f"models:/a/1{mark}{secret}", secret)
    _refused_or_shown_without(kind, f"u/d{mark}{secret}", secret)


@given(ANY_KIND, SCHEMES, HOSTS, PATHS, SECRET, st.sampled_from(["", "?", "/", "#", " ", "@"]))
def test_no_password_is_repeated(kind: SourceKind, scheme: str, host: str, path: str, secret: str, odd: str) -> None:
    _refused_or_shown_without(kind, f"{scheme}user:{odd}{secret}@{host}{path}", secret)
    _refused_or_shown_without(kind, f"{scheme}:{secret}{odd}@{host}{path}", secret)


def _refused_or_shown_without(kind: SourceKind, text: str, secret: str) -> None:
    """A local folder may be named anything that is no address; what is shown of it goes through redaction."""
    read = _read(kind, text)
    if isinstance(read, SourceError):
        assert secret not in read.why + read.suggestion + str(read)
    else:
        assert kind is LOCAL_PATH
        assert secret not in redact(text)
