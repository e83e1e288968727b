"""Downloading a checkpoint that a run published to blobs, with the sign-in of this machine."""

import dataclasses

import pytest
from azure_stand_in.fixtures import azure, azure_session  # noqa: F401
from osmo_observed_run import Observed, sealed
from robotrain.errors import Rejected
from robotrain_osmo.platform import OsmoPlatform
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Published

pytestmark = pytest.mark.slow

WEIGHTS = {"pretrained_model/model.safetensors": b"weights" * 1000, "pretrained_model/config.json": b"{}"}


@pytest.fixture
def published(osmo, azure, monkeypatch, tmp_path) -> Observed:  # noqa: F811
    """An ended run with one checkpoint in its own container."""
    for name, value in azure.environ.items():
        monkeypatch.setenv(name, value)
    files = WEIGHTS | {checkpoint.MANIFEST: sealed(WEIGHTS)}
    azure.blobs.put("brought", {f"pusht/000400/{name}": content for name, content in files.items()})
    run = Observed(osmo, publishes=azure.url("brought", "pusht"))
    run.tell(Published(step=400, to=f"{run.reference['publishes']}/000400"))
    return run.set_status("COMPLETED", exit_code=0)


def test_it_comes_whole(published, tmp_path):
    (one,) = published.outputs()
    assert one.uri == f"{published.reference['publishes']}/000400"
    OsmoPlatform().download(published.reference, one, tmp_path / "000400")
    assert checkpoint.validate_checkpoint(tmp_path / "000400") == ""
    assert (tmp_path / "000400/pretrained_model/model.safetensors").read_bytes() == b"weights" * 1000
    assert sorted(path.name for path in (tmp_path / "000400").iterdir()) == ["pretrained_model", checkpoint.MANIFEST]


def test_what_is_not_there_any_more_is_told(published, tmp_path):
    (one,) = published.outputs()
    gone = dataclasses.replace(one, uri=one.uri.replace("000400", "000800"))
    with pytest.raises(Rejected) as raised:
        OsmoPlatform().download(published.reference, gone, tmp_path / "000800")
    assert raised.value.problems[0].why
    assert not (tmp_path / "000800").exists()
