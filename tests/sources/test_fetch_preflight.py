"""What the fetching halves say before a run: only what needs neither the network nor an environment."""

import socket

import pytest
from robotrain_runtime.document import Source
from robotrain_runtime.half import Place
from robotrain_sources.blob_url import container as blob_url
from robotrain_sources.huggingface import container as huggingface
from robotrain_sources.registered_model import container as registered_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REGISTRY = "sqlite:////nowhere/mlflow.db"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*arguments: object) -> None:
        raise AssertionError("preflight asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize(
    ("half", "uri", "pin", "why"),
    [
        (huggingface, "me/act", "", ""),
        (huggingface, "me/act@main", COMMIT, ""),
        (huggingface, "me/act", "main", "pinned to a commit of 40 digits"),
        (huggingface, "https://huggingface.co/me/act", "", "names no repository of the Hub"),
        (blob_url, "https://account.blob.core.windows.net/box/policies/act", "", ""),
        (blob_url, "https://account.blob.core.windows.net/box", "", "names no folder of blobs"),
        (registered_model, "models:/act/7", "", ""),
        (registered_model, "act:7", "", ""),
        (registered_model, "models:/act/latest", "", "names no version"),
    ],
)
def test_a_name_is_judged_without_asking_anybody(half, uri, pin, why, tmp_path):
    place = Place(cache=tmp_path, tracking_uri=REGISTRY)
    told = list(half.preflight(Source(role="policy", kind="any", uri=uri, pin=pin), place))
    assert bool(told) == bool(why)
    assert why in "".join(told)


def test_an_address_that_is_refused_is_not_repeated(tmp_path):
    signed = "https://account.blob.core.windows.net/box/act?sig=s3cret"
    (told,) = blob_url.preflight(Source(role="policy", kind="blob_url", uri=signed), Place(cache=tmp_path))
    assert "s3cret" not in told


def test_without_tracking_there_is_no_registry(tmp_path):
    source = Source(role="policy", kind="registered_model", uri="models:/act/7")
    (told,) = registered_model.preflight(source, Place(cache=tmp_path))
    assert "There is no model registry to look models:/act/7 up in" in told
    with pytest.raises(OSError, match="no model registry"):
        registered_model.fetch(source, Place(cache=tmp_path))


def test_what_is_wrong_with_a_name_is_told_by_fetching_it_too(tmp_path):
    with pytest.raises(OSError, match="pinned"):
        huggingface.fetch(Source(role="policy", kind="huggingface", uri="me/act", pin="x"), Place(cache=tmp_path))
