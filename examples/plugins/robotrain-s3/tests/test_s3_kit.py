"""The conformance kit of source kinds, and addresses as people paste them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from robotrain.plugin import SourceError
from robotrain.testing import SourceKit

from robotrain_s3.kind import KIND

SIGNED = "?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE&X-Amz-Signature=S3CRETzz9kq"


class TestS3(SourceKit):
    kind = "s3"
    good = {
        "s3://robots/datasets/pusht": "s3://robots/datasets/pusht",
        "s3://robots/a b/": "s3://robots/a b",
        "s3+https://Minio.Lab:9000/robots/pusht//": "s3+https://minio.lab:9000/robots/pusht",
        "s3+http://127.0.0.1:9000/robots/pusht": "s3+http://127.0.0.1:9000/robots/pusht",
    }
    bad = ["s3://", "s3://Robots/a", "s3://robots", "s3://robots/a/../b", "s3://robots/a//b", "s3://robots:443/a"]


@pytest.mark.slow
class TestS3Served(TestS3):
    @pytest.fixture
    def served(self, signed_in, no_keys):
        from robotrain.testing import Served

        files = {"meta/info.json": b"{}", "data/one.bin": bytes(1000)}
        signed_in.put("kit", files)

        @contextmanager
        def cut() -> Iterator[None]:
            signed_in.spoilt["/robots/kit/data/one.bin"] = b"the beginning, then nothing"
            yield
            signed_in.spoilt.clear()

        return Served(
            text=signed_in.url("kit"),
            files=files,
            missing=signed_in.url("no-kit"),
            cut=cut,
            change=lambda: signed_in.put("kit", {"meta/info.json": b"[]"}),
            python=Path(sys.executable),
        )


@pytest.mark.parametrize(
    ("pasted", "suggestion"),
    [
        ("https://robots.s3.eu-central-1.amazonaws.com/data/pusht/", "s3://robots/data/pusht"),
        ("https://robots.s3.amazonaws.com/data/a%20b" + SIGNED, "s3://robots/data/a b"),
        ("https://s3.eu-central-1.amazonaws.com/robots/data", "s3://robots/data"),
        ("https://eu-west-1.console.aws.amazon.com/s3/buckets/robots?region=eu-west-1&prefix=data/pusht/", "s3://robots/data/pusht"),
        ("https://s3.console.aws.amazon.com/s3/buckets/robots?prefix=data/", "s3://robots/data"),
        ("s3a://robots/data", "s3://robots/data"),
        ("S3://robots/data", "s3://robots/data"),
        ("arn:aws:s3:::robots/data/pusht", "s3://robots/data/pusht"),
        ("s3://robots/data" + SIGNED, "s3://robots/data"),
        ("s3://robots/data&X-Amz-Signature=S3CRETzz9kq", "s3://robots/data"),
        ("s3+https://me:S3CRETzz9kq@minio.lab/robots/data", "s3+https://minio.lab/robots/data"),
        ("s3://robots//data", "s3://robots/data"),
        (" s3://robots/data", "s3://robots/data"),
        ("s3+https://minio.lab/robots", "s3+https://minio.lab/robots/PREFIX"),
    ],
)  # fmt: skip
def test_pasted_address_is_rejected_with_a_suggestion(pasted, suggestion):
    with pytest.raises(SourceError) as caught:
        KIND.parse(pasted, Path())
    assert caught.value.suggestion == suggestion
    assert "S3CRET" not in caught.value.why
    if not suggestion.endswith("PREFIX"):
        assert str(KIND.parse(suggestion, Path())) == suggestion


def test_access_key_in_an_address_is_rejected():
    with pytest.raises(SourceError) as caught:
        KIND.parse("s3://robots/AKIAIOSFODNN7EXAMPLE/data", Path())
    assert "AKIA" not in caught.value.why + caught.value.suggestion


@pytest.mark.parametrize(
    "endless", ["s3+https://" + "a" * 5000 + "!/b/c", "https://" + "a." * 3000, "s3://" + "a" * 9000]
)
def test_long_text_is_rejected_quickly(endless):
    with pytest.raises(SourceError):
        KIND.parse(endless, Path())
    KIND.recognizes(endless)
