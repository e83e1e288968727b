"""The source kinds of this repository pass the kit that strangers have."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from azure_stand_in import Fault
from robotrain.testing import Served, SourceKit, kit_base
from robotrain_sources.transfer import container
from transfer_fixtures import QUICK

SAS = "?sv=2024-01-01&sig=S3CRETzz9kq"
FILES = {"meta/info.json": b"{}", "data/a b.bin": bytes(range(256)) * 400}
CHANGED = {**FILES, "meta/info.json": b"[]"}


@pytest.fixture(autouse=True, scope="module")
def explained_once() -> Iterator[None]:
    """Workloads without a job file are explained for each kind, to look for clashes of options: once is enough."""
    run, cached = kit_base.run_command, functools.cache(kit_base.run_command)
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(kit_base, "run_command", lambda *words: (cached if words[0] == "explain" else run)(*words))
        yield


AFAR: Any = {"params": [pytest.param(None, marks=pytest.mark.slow)]}
"""What is fetched with the data environment, from a service of this machine, takes its time."""


def cut_answers(
    service: Any, match: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], AbstractContextManager[None]]:
    """Every answer of the service breaks off half way; the transfer soon gives up."""

    @contextmanager
    def cut() -> Iterator[None]:
        with monkeypatch.context() as patience:
            patience.setattr(container, "PATIENCE", QUICK)
            service.faults.append(Fault(match, cut=True))
            yield
            service.faults.clear()

    return cut


class TestHuggingface(SourceKit):
    kind = "huggingface"
    good: ClassVar = {"u/d": "u/d", "u/d@feature/x": "u/d@feature/x"}
    bad = ("", "u/d/e", "u/d@", "hf://datasets/u/d", "https://huggingface.co/datasets/u/d", "https://example.com/u/d")

    @pytest.fixture(**AFAR)
    def served(self, hub, data_python, monkeypatch) -> Served:
        hub.repository("u/d", FILES, kind="dataset")
        return Served(
            text="u/d",
            files=FILES,
            missing="u/none",
            cut=cut_answers(hub, "GET .*(resolve|cdn)", monkeypatch),
            change=lambda: hub.repositories["datasets/u/d"].commit(CHANGED),
            python=data_python,
        )


class TestBlobUrl(SourceKit):
    kind = "blob_url"
    good: ClassVar = {"https://acc.blob.core.windows.net/box/p/": "https://acc.blob.core.windows.net/box/p"}
    bad = (
        f"https://acc.blob.core.windows.net/box/p{SAS}",
        "https://acc.blob.core.windows.net/box",
        "http://example.com/c",
    )

    @pytest.fixture(**AFAR)
    def served(self, azure, azure_identity, data_python, monkeypatch) -> Served:
        box = f"kit-{os.urandom(4).hex()}"
        azure.blobs.put(box, {f"p/{name}": content for name, content in FILES.items()})
        return Served(
            text=azure.url(box, "p"),
            files=FILES,
            missing=azure.url(box, "nothing"),
            cut=cut_answers(azure.front, "GET .*a%20b", monkeypatch),
            change=lambda: azure.blobs.put_one(box, "p/meta/info.json", b"[]"),
            python=data_python,
        )


class TestHttpsFile(SourceKit):
    kind = "https_file"
    good: ClassVar = {"HTTPS://example.org/a/model.pt": "https://example.org/a/model.pt"}
    bad = (f"https://example.org/model.pt{SAS}", "https://example.org/", "https://u:p@example.org/m.pt", "ftp://a/b")


class TestGit(SourceKit):
    kind = "git"
    good: ClassVar = {
        "git+https://Example.org/lab/policy/@main": "git+https://example.org/lab/policy@main",
        "git+https://example.org/lab/policy#subdirectory=src/": "git+https://example.org/lab/policy#subdirectory=src",
    }
    bad = ("git+https://u:p@example.org/lab/policy", "https://example.org/lab/policy", "git+ssh://git@example.org/a/b")


class TestDataAsset(SourceKit):
    kind = "data_asset"
    good: ClassVar = {
        "azureml:pusht:3": "azureml:pusht:3",
        "azureml://registries/r/data/n/versions/1": "azureml://registries/r/data/n/versions/1",
    }
    bad = ("azureml:pusht", "azureml:pusht@latest", "pusht:3")


class TestLocalPath(SourceKit):
    kind = "local_path"
    good: ClassVar = {"/data/pusht": "/data/pusht", "pusht/": "/work/pusht", "../a/./b": "/a/b"}
    bad = ("", "file:///data", "https://example.com/a", "a\nb")

    @pytest.fixture
    def served(self, tmp_path: Path) -> Served:
        folder = tmp_path / "episodes"
        for name, content in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        change = (folder / "meta/info.json").write_text
        return Served(text=str(folder), files=FILES, missing=f"{folder}-2", change=lambda: change("[]"))


class TestRemotePath(SourceKit):
    kind = "remote_path"
    good: ClassVar = {
        "me@host:/data/./pusht/": "me@host:/data/pusht",
        "host:~/x": "host:~/x",
        "me@runs:/x": "me@runs:/x",
    }
    bad = ("host:~other/x", "host:/a\nb")


class TestRegisteredModel(SourceKit):
    kind = "registered_model"
    good: ClassVar = {"act:3": "models:/act/3", "models:/act/3": "models:/act/3", "act:latest": "models:/act/latest"}
    bad = ("act", "act@champion", "runs:/1/model")


class TestMlflowRun(SourceKit):
    kind = "mlflow_run"
    good: ClassVar = {
        "runs:/0123abcd/checkpoints/000400/": "runs:/0123abcd/checkpoints/000400",
        "runs:/lerobot-train-1a2b3c4d-1/model": "runs:/lerobot-train-1a2b3c4d-1/model",
    }
    bad = ("runs:/0123abcd", "RUNS:/0123abcd/model", "models:/act/3", "mlflow-artifacts:/1/0123abcd/artifacts/model")


class TestModelAsset(SourceKit):
    kind = "model_asset"
    good: ClassVar = {"azureml:act:3": "azureml:act:3"}
    bad = ("azureml:act", "act:3")


class TestOsmoDataset(SourceKit):
    kind = "osmo_dataset"
    good: ClassVar = {"pusht": "pusht", "bucket/pusht:7": "bucket/pusht:7"}
    bad = ("", "a/b/c", "s3://bucket/pusht", "pusht ")


class TestOsmoStorage(SourceKit):
    kind = "osmo_storage"
    good: ClassVar = {
        "s3://bucket/runs/": "s3://bucket/runs",
        "azure://account/container/a": "azure://account/container/a",
    }
    bad = ("s3://", "S3://bucket/a", "https://acc.blob.core.windows.net/con/a", f"azure://account/container/a{SAS}")


class TestDatastorePath(SourceKit):
    kind = "datastore_path"
    good: ClassVar = {"azureml://datastores/store/paths/a/b/": "azureml://datastores/store/paths/a/b"}
    bad = ("azureml:store:1", "azureml://datastores/store/paths/", "azureml://datastores/store/paths/a/../b")
