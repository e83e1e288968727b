"""What an address means now: the same content gives the same pin, and what is gone is told."""

from pathlib import Path

import pytest
from robotrain.plugin import SourceNotFound, SourceUnreachable

from robotrain_s3.kind import KIND

pytestmark = pytest.mark.slow


@pytest.fixture
def source(signed_in):
    signed_in.put("now", {"meta/info.json": b"{}"})
    return KIND.parse(signed_in.url("now"), Path())


def test_the_pin_changes_with_the_content_alone(signed_in, source):
    first = KIND.pinning.resolve(source, "dataset")
    assert KIND.pinning.resolve(source, "dataset") == first
    assert KIND.pinning.find_loss(source, "dataset", first) == ""
    signed_in.put("now", {"data/more.bin": b"1"})
    assert KIND.pinning.resolve(source, "dataset") != first
    assert "is not what lay there" in KIND.pinning.find_loss(source, "dataset", first)
    signed_in.client.delete_object(Bucket="robots", Key="now/data/more.bin")
    assert KIND.pinning.resolve(source, "dataset") == first


def test_paths_that_are_not_there_are_named(source):
    assert KIND.pinning.find_missing(source, "dataset", ["meta/info.json", "meta/inf"]) == ["meta/inf"]


def test_what_is_surely_absent_is_told_from_what_cannot_be_seen_here(signed_in, source, monkeypatch):
    with pytest.raises(SourceNotFound, match="Nothing lies below"):
        KIND.pinning.resolve(KIND.parse(signed_in.url("nowhere"), Path()), "dataset")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(SourceUnreachable, match="does not accept the AWS credentials"):
        KIND.pinning.resolve(source, "dataset")
