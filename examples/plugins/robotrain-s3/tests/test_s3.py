"""The kit of source kinds, against moto's server."""

import sys
from pathlib import Path
from urllib.request import Request, urlopen

import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store
from robotrain.plugin import SourceNotFound
from robotrain.testing import Served, SourceKit
from robotrain_s3.kind import parse, resolve_pin

FILES = {"meta/info.json": b"{}", "data/one.bin": bytes(1000)}


@pytest.fixture
def store(monkeypatch):
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    names = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1", "ENDPOINT_URL": url}
    for name, value in names.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    urlopen(Request(f"{url}/robots", method="PUT")).close()
    store = S3Store("robots", prefix="pusht/", client_options={"allow_http": True})
    for path, content in FILES.items():
        obstore.put(store, path, content)
    yield store
    server.stop()


class TestS3(SourceKit):
    kind = "s3"
    good = {"s3://robots/datasets/pusht": "s3://robots/datasets/pusht", "s3://robots/a b//": "s3://robots/a b"}
    bad = ("s3://", "s3://Robots/a", "s3://robots", "s3://robots/a/../b", "s3://robots/a//b", "s3://robots:443/a")

    @pytest.fixture
    def served(self, store):
        return Served(
            text="s3://robots/pusht",
            files=FILES,
            missing="s3://robots/nothing",
            change=lambda: obstore.put(store, "meta/info.json", b"[]"),
            python=Path(sys.executable),
        )


def test_what_does_not_exist_is_said_before_anything_is_sent(store):
    with pytest.raises(SourceNotFound):
        resolve_pin(parse("s3://robots/nothing", Path()), "dataset")
