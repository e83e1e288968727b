"""A server whose certificate this machine does not trust: it is quoted, whoever asks."""

import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from azure_stand_in import certificates
from local_server import QuietHandler
from robotrain.model.source import SourceError
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.notice import post_notice
from robotrain_runtime.tracking.preflight import find_address_problems
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.https_file import fetch
from robotrain_sources.huggingface.kind import KIND as HUB
from robotrain_sources.mlflow import registry


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """A server that this machine does not trust."""
    made = certificates.make(tmp_path_factory.mktemp("certificates"))
    with ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler) as server:
        server.handle_error = lambda request, client: None
        server.socket = made.context().wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"https://localhost:{server.server_port}"
        server.shutdown()


def say_hub(address: str) -> str:
    with pytest.raises(SourceError) as raised:
        HUB.pinning.resolve(HUB.parse("u/d", Path("/")), "dataset")
    return raised.value.why


def say_registry(address: str) -> str:
    source = JobSource(role="policy", kind="registered_model", uri="models:/walker/latest")
    with pytest.raises(SourceError) as raised:
        registry.find_latest_version(source, address)
    return raised.value.why


def say_file(address: str) -> str:
    with pytest.raises(FetchError) as raised:
        list(fetch.open(f"{address}/model.pt", "", "checkpoint", "").list_files())
    assert raised.value.fault == "machine"
    return str(raised.value)


def say_tracking(address: str) -> str:
    (finding,) = find_address_problems(address)
    assert (finding.code, finding.fault) == ("tracking-unreachable", "machine")
    return finding.why


def say_channel(address: str) -> str:
    return post_notice(address, "it ended")


@pytest.mark.parametrize("say", [say_hub, say_registry, say_file, say_tracking, say_channel])
def test_whoever_asks_names_the_certificate(say: Callable[[str], str], address, monkeypatch):
    for name in ("HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", address)
    text = say(address)
    assert "certificate verify failed" in text
