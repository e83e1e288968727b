"""A server of S3 that checks signatures and permissions."""

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

UNAUTHENTICATED_CALLS = 8
"""Calls that moto answers without authentication: those that create the users below."""
ALLOW_RULE = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
DENY_RULE = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}


@dataclass(frozen=True)
class S3Server:
    """The server: its address and its users' keys; the objects that were requested (`got`), written and deleted
    (`changed`), held back (`held`), and what is sent in place of 1000 bytes (`spoilt`, by object).
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
def store() -> Iterator[S3Server]:
    """moto's server with IAM's rules: `reader` has access, `stranger` has not."""
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = str(UNAUTHENTICATED_CALLS)  # read when moto is imported
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
    keys = {name: _user(iam, name, rule) for name, rule in (("reader", ALLOW_RULE), ("stranger", DENY_RULE))}
    client = _client("s3", url, *keys["reader"])
    client.create_bucket(Bucket="robots")
    yield S3Server(f"127.0.0.1:{server.port}", keys, client, got, changed, held, spoilt)
    server.shutdown()


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Remove all credentials."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "no-such-file"))


@pytest.fixture
def signed_in(store: S3Server, no_keys: None, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """Sign in the reader."""
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
