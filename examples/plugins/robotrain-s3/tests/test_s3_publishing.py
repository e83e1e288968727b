"""A folder in the store as a publish target: complete or absent, its manifest last, other runs' files untouched."""

import sys
from contextlib import closing
from pathlib import Path

import pytest
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest, read_manifest, seal_checkpoint
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.failure import PermanentError
from robotrain_runtime.contract.target import CheckpointMark, TargetContainerPlugin, TargetInspection

from robotrain_s3 import target
from robotrain_s3.batch_fetch import deliver
from robotrain_s3.kind import KIND

pytestmark = pytest.mark.slow

RUN = "lerobot-train-00000000-1"
FILES = {"pretrained_model/model.safetensors": bytes(range(256)) * 1000, "pretrained_model/config.json": b"{}"}
_: TargetContainerPlugin = target  # checked by mypy


@pytest.fixture
def place(signed_in, tmp_path):
    return ContainerContext(cache=tmp_path / "cache", python=Path(sys.executable))


@pytest.fixture
def url(signed_in, request):
    return signed_in.url(f"out/{request.node.name}")


@pytest.fixture
def writer(url, place):
    with closing(target.open(url, place)) as opened:
        yield opened


@pytest.fixture
def saved(tmp_path):
    """A sealed checkpoint, as the runtime leaves one."""

    def save(step: int, files=FILES, run: str = RUN, **more: str) -> tuple[Path, CheckpointManifest]:
        folder = tmp_path / run / f"{step:06}"
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        seal_checkpoint(folder, step=step, run=run, job="0" * 64, model="pretrained_model", **more)
        return folder, read_manifest(folder)

    return save


@pytest.fixture
def stored(signed_in, url):
    """Return the objects below the address."""

    def listed() -> dict[str, bytes]:
        below = key(url, "")
        found = signed_in.client.list_objects_v2(Bucket="robots", Prefix=below).get("Contents", ())
        names = [one["Key"] for one in found]
        bodies = (signed_in.client.get_object(Bucket="robots", Key=name)["Body"] for name in names)
        return {name.removeprefix(below): body.read() for name, body in zip(names, bodies, strict=True)}

    return listed


def key(url: str, path: str) -> str:
    return f"{url.partition('/robots/')[2]}/{path}"


def not_cancelled() -> bool:
    return False


def test_checkpoint_is_written_once_and_its_manifest_last(signed_in, stored, writer, saved):
    folder, manifest = saved(200)
    signed_in.changed.clear()
    assert writer.write(folder, manifest, not_cancelled)
    assert stored() == {
        f"000200/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert signed_in.changed[-1].endswith(MANIFEST)
    signed_in.changed.clear()
    assert not writer.write(folder, manifest, not_cancelled)
    assert signed_in.changed == []


def test_interrupted_upload_continues_with_what_is_missing(signed_in, url, writer, saved):
    folder, manifest = saved(200)
    writer.write(folder, manifest, not_cancelled)
    signed_in.client.delete_object(Bucket="robots", Key=key(url, f"000200/{MANIFEST}"))
    signed_in.changed.clear()
    assert writer.write(folder, manifest, not_cancelled)
    assert [one for one in signed_in.changed if one.startswith("PUT")] == [
        f"PUT /robots/{key(url, '000200')}/{MANIFEST}"
    ]


def test_files_of_another_run_are_not_touched(stored, writer, saved):
    writer.write(*saved(200, run="other-run-1"), not_cancelled)
    before = stored()
    with pytest.raises(PermanentError, match="000200 is already taken: the run other-run-1 published it"):
        writer.write(*saved(200), not_cancelled)
    assert stored() == before


def test_inspection_lists_origins_and_trim_keeps_the_last(url, place, writer, saved):
    for step in (100, 200, 300):
        writer.write(*saved(step, submission="wf-7 ü", tracking="d3c9"), not_cancelled)
    writer.write(*saved(50, run="other-run-1"), not_cancelled)
    marks = {step: CheckpointMark(name=f"{step:06}", submission="wf-7 ü", tracking="d3c9") for step in (100, 200, 300)}
    assert target.inspect(url, place) == TargetInspection(
        runs={50: "other-run-1", **dict.fromkeys(marks, RUN)}, marks=marks
    )
    assert writer.trim(RUN, 1, not_cancelled) == ("000100", "000200")
    assert target.inspect(url, place).runs == {50: "other-run-1", 300: RUN}


def test_published_checkpoint_is_fetched_unchanged(url, place, writer, saved):
    folder, manifest = saved(200)
    writer.write(folder, manifest, not_cancelled)
    source = JobSource(role="resume", kind="s3", uri=f"{url}/000200")
    with closing(deliver([source], {}, place, {})) as batch:
        batch.survey()
        (back,) = batch.fetch(lambda download: None).values()
    assert read_manifest(back) == manifest
    assert all((back / name).read_bytes() == (folder / name).read_bytes() for name in manifest.files)


def test_file_that_changed_since_it_was_sealed_is_not_sent(stored, writer, saved):
    folder, manifest = saved(200)
    (folder / "pretrained_model/config.json").write_bytes(b"[]")
    with pytest.raises(PermanentError, match=r"config.json has changed since it was saved"):
        writer.write(folder, manifest, not_cancelled)
    assert stored() == {}


def test_denied_writer_is_told_what_to_allow(signed_in, place, url, monkeypatch):
    for name, value in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), signed_in.keys["stranger"], strict=True):
        monkeypatch.setenv(name, value)
    (wrong,) = target.inspect(url, place).problems
    assert f"may not write to {url}" in wrong
    assert "s3:PutObject and s3:DeleteObject" in wrong


def test_address_has_one_normal_form():
    assert target.normalize("s3+https://Minio.lab/robots/out//") == "s3+https://minio.lab/robots/out"
    assert target.normalize("https://account.blob.core.windows.net/c/p") == ""
    assert KIND.target == target.__name__
