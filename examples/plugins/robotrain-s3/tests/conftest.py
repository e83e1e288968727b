"""A store that checks signatures and rights, and folders of objects in it."""

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

ANYONE = 8
"""Calls that moto answers without a look at who asks: those that make the users below."""
MAY = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
MAY_NOT = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}


@dataclass(frozen=True)
class Served:
    """host: its address. keys: of its users. got: the objects that were asked for. changed: what was written, deleted.
    held: those that it keeps back. spoilt: by object, what comes in place of its 1000 bytes.
    """

    host: str
    keys: Mapping[str, tuple[str, str]]
    client: Any
    got: list[str]
    changed: list[str]
    held: dict[str, threading.Event]
    spoilt: dict[str, bytes]

    def url(self, path: str) -> str:
        return f"s3+http://{self.host}/robots/{path}"

    def put(self, prefix: str, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            self.client.put_object(Bucket="robots", Key=f"{prefix}/{name}", Body=content)


@pytest.fixture(scope="session")
def store() -> Iterator[Served]:
    """moto's server, with the rules of IAM on: users `reader`, who may, and `stranger`, who may not."""
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = str(ANYONE)  # read when moto is imported
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    got: list[str] = []
    changed: list[str] = []
    held: dict[str, threading.Event] = {}
    spoilt: dict[str, bytes] = {}
    answer = DomainDispatcherApplication(create_backend_app)

    def gate(environ: Any, start: Any) -> Any:
        path = str(environ["PATH_INFO"])
        if environ["REQUEST_METHOD"] in ("PUT", "DELETE"):
            changed.append(f"{environ['REQUEST_METHOD']} {path}")
        if environ["REQUEST_METHOD"] == "GET" and path.count("/") > 2:
            got.append(path)
            if path in held:
                held[path].wait()
            if path in spoilt:
                start("200 OK", [("Content-Length", "1000"), ("ETag", '"of something"')])
                return [spoilt[path]]
        return answer(environ, start)

    server = make_server("127.0.0.1", 0, gate, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.port}"
    iam = _client("iam", url, "anyone", "at all")
    keys = {name: _user(iam, name, rule) for name, rule in (("reader", MAY), ("stranger", MAY_NOT))}
    client = _client("s3", url, *keys["reader"])
    client.create_bucket(Bucket="robots")
    yield Served(f"127.0.0.1:{server.port}", keys, client, got, changed, held, spoilt)
    server.shutdown()


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A machine where nobody is signed in."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "no-such-file"))


@pytest.fixture
def signed_in(store: Served, no_keys: None, monkeypatch: pytest.MonkeyPatch) -> Served:
    """A machine where the reader is signed in."""
    for name, value in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), store.keys["reader"], strict=True):
        monkeypatch.setenv(name, value)
    return store


def _user(iam: Any, name: str, rule: Mapping[str, str]) -> tuple[str, str]:
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    document = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=document)
    return key["AccessKeyId"], key["SecretAccessKey"]


def _client(service: str, url: str, key: str, secret: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(s3={"addressing_style": "path"}),
    )
