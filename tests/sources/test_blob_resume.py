"""Which checkpoint below an address a training goes on from, while others come to lie beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from robotrain.model.source import SourceError
from robotrain_runtime.contract import checkpoint
from robotrain_sources.blob_url import fetch
from robotrain_sources.blob_url.kind import KIND
from robotrain_sources.fetching.errors import FetchError

Publish = Callable[..., None]


def open_files(uri: str, pin: str, credential: str = "") -> fetch.BlobFiles:
    return fetch.open(uri, pin, "resume", credential)


def find_run_of_checkpoint(uri: str, pin: str) -> str:
    """The run that made what is listed, by the file that says so."""
    blobs = open_files(uri, pin)
    (name,) = [entry.name for entry in blobs.list_files() if entry.name.startswith("made-by-")]
    assert blobs.get_store_path(name).split("/")[-2].isdecimal()
    return name.removeprefix("made-by-")


def resolve_pin(uri: str) -> str:
    return KIND.pinning.resolve(KIND.parse(uri, Path("/")), "resume")


def explain_lost_pin(uri: str, pin: str) -> str:
    return KIND.pinning.explain_lost_pin(KIND.parse(uri, Path("/")), "resume", pin)


def test_nobody_is_asked_until_the_files_are_wanted(tmp_path, monkeypatch):
    """So that a run whose checkpoint lies here already starts again whatever Azure has by now, or does not say."""
    (tmp_path / "key").write_text(f"{'A' * 86}==")
    (tmp_path / "key").chmod(0o600)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    uri = "https://account.blob.core.windows.net/box/act"
    assert open_files(uri, "0" * 32, str(tmp_path / "key")).place == "blob_url/account/box"


@pytest.fixture
def publish(azure, azure_identity, container, tmp_path) -> Publish:
    """Lay a whole checkpoint below `act`: `publish(200, "run-1")`."""

    def publish(step: int, run: str) -> None:
        folder = tmp_path / f"{step:06}"
        folder.mkdir()
        (folder / f"made-by-{run}").write_text(f"{step}")
        checkpoint.seal_checkpoint(folder, step=step, run=run, job="0" * 64)
        azure.blobs.put(container, {f"act/{folder.name}/{path.name}": path.read_bytes() for path in folder.iterdir()})

    return publish


@pytest.mark.slow
def test_what_was_pinned_is_gone_on_from_though_its_run_and_others_published_since(azure, container, publish):
    url = azure.url(container, "act")
    publish(200, "before")
    pin = resolve_pin(url)
    publish(400, "before")
    assert (find_run_of_checkpoint(url, pin), explain_lost_pin(url, pin)) == ("before", "")
    assert open_files(url, pin).find_pin_mismatch(pin) is None
    assert resolve_pin(url) != pin
    publish(600, "ours")
    assert (find_run_of_checkpoint(url, pin), explain_lost_pin(url, pin)) == ("before", "")
    with pytest.raises(FetchError, match=r"checkpoints of several runs below .*/act: 000200 of the run before, "):
        list(open_files(url, "").list_files())
    with pytest.raises(SourceError, match=r"^There are checkpoints of several runs"):
        resolve_pin(url)


@pytest.mark.slow
def test_a_pinned_checkpoint_that_was_removed_is_told_of(azure, container, publish):
    url = azure.url(container, "act")
    publish(200, "before")
    pin = resolve_pin(url)
    publish(400, "before")
    azure.blobs.delete(container, f"act/000200/{checkpoint.MANIFEST}")
    with pytest.raises(FetchError, match="are not those that were pinned") as raised:
        list(open_files(url, pin).list_files())
    assert raised.value.fault == "data"
    assert "are not those that were pinned" in explain_lost_pin(url, pin)


@pytest.mark.slow
def test_a_checkpoint_that_was_named_is_its_own_pin(azure, container, publish):
    url = azure.url(container, "act/000200")
    publish(200, "before")
    assert find_run_of_checkpoint(url, resolve_pin(url)) == "before"
