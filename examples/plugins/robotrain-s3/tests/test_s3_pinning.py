"""Pins: the same content has the same pin, and a loss is reported."""

from pathlib import Path

import pytest
from robotrain.plugin import SourceNotFound, SourceUnreachable

from robotrain_s3.kind import KIND

pytestmark = pytest.mark.slow


@pytest.fixture
def source(signed_in):
    signed_in.put("now", {"meta/info.json": b"{}"})
    return KIND.parse(signed_in.url("now"), Path())


def test_pin_changes_only_with_the_content(signed_in, source):
    first = KIND.pinning.resolve(source, "dataset")
    assert KIND.pinning.resolve(source, "dataset") == first
    assert KIND.pinning.explain_lost_pin(source, "dataset", first) == ""
    signed_in.put("now", {"data/more.bin": b"1"})
    assert KIND.pinning.resolve(source, "dataset") != first
    assert "has changed since it was pinned" in KIND.pinning.explain_lost_pin(source, "dataset", first)
    signed_in.client.delete_object(Bucket="robots", Key="now/data/more.bin")
    assert KIND.pinning.resolve(source, "dataset") == first


def test_missing_paths_are_listed(source):
    assert KIND.pinning.find_missing(source, "dataset", ["meta/info.json", "meta/inf"]) == ["meta/inf"]


def test_missing_source_and_unreadable_source_are_distinguished(signed_in, source, monkeypatch):
    with pytest.raises(SourceNotFound, match="There is nothing below"):
        KIND.pinning.resolve(KIND.parse(signed_in.url("nowhere"), Path()), "dataset")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(SourceUnreachable, match="does not accept the AWS credentials"):
        KIND.pinning.resolve(source, "dataset")
