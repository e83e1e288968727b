"""A folder in the store as a place to write to: whole or not there, its manifest last, and nobody else's touched."""

import sys
from contextlib import closing
from pathlib import Path

import pytest
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest, read_manifest, seal_checkpoint
from robotrain_runtime.contract.container_plugin import (
    CheckpointMark,
    ContainerContext,
    TargetContainerPlugin,
    TargetInspection,
)
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.failure import PermanentError

from robotrain_s3 import target
from robotrain_s3.delivery import deliver
from robotrain_s3.kind import KIND

pytestmark = pytest.mark.slow

RUN = "lerobot-train-00000000-1"
FILES = {"pretrained_model/model.safetensors": bytes(range(256)) * 1000, "pretrained_model/config.json": b"{}"}
HALF: TargetContainerPlugin = target


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
def there(signed_in, url):
    """What lies below the address."""

    def listed() -> dict[str, bytes]:
        below = key(url, "")
        found = signed_in.client.list_objects_v2(Bucket="robots", Prefix=below).get("Contents", ())
        names = [one["Key"] for one in found]
        bodies = (signed_in.client.get_object(Bucket="robots", Key=name)["Body"] for name in names)
        return {name.removeprefix(below): body.read() for name, body in zip(names, bodies, strict=True)}

    return listed


def key(url: str, path: str) -> str:
    return f"{url.partition('/robots/')[2]}/{path}"


def never() -> bool:
    return False


def test_a_checkpoint_arrives_whole_once_and_its_manifest_last(signed_in, there, writer, saved):
    folder, manifest = saved(200)
    signed_in.changed.clear()
    assert writer.write(folder, manifest, never)
    assert there() == {
        f"000200/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert signed_in.changed[-1].endswith(MANIFEST)
    signed_in.changed.clear()
    assert not writer.write(folder, manifest, never)
    assert signed_in.changed == []


def test_one_that_was_cut_off_goes_on_with_what_is_missing(signed_in, url, writer, saved):
    folder, manifest = saved(200)
    writer.write(folder, manifest, never)
    signed_in.client.delete_object(Bucket="robots", Key=key(url, f"000200/{MANIFEST}"))
    signed_in.changed.clear()
    assert writer.write(folder, manifest, never)
    assert [one for one in signed_in.changed if one.startswith("PUT")] == [
        f"PUT /robots/{key(url, '000200')}/{MANIFEST}"
    ]


def test_what_another_run_left_is_not_touched(there, writer, saved):
    writer.write(*saved(200, run="other-run-1"), never)
    before = there()
    with pytest.raises(PermanentError, match="000200 holds what the run other-run-1 left"):
        writer.write(*saved(200), never)
    assert there() == before


def test_a_look_tells_what_wrote_each_checkpoint_and_a_trim_leaves_the_last(url, place, writer, saved):
    for step in (100, 200, 300):
        writer.write(*saved(step, submission="wf-7 ü", tracking="d3c9"), never)
    writer.write(*saved(50, run="other-run-1"), never)
    marks = {step: CheckpointMark(name=f"{step:06}", submission="wf-7 ü", tracking="d3c9") for step in (100, 200, 300)}
    assert target.inspect(url, place) == TargetInspection(
        runs={50: "other-run-1", **dict.fromkeys(marks, RUN)}, marks=marks
    )
    assert writer.trim(RUN, 1, never) == ("000100", "000200")
    assert target.inspect(url, place).runs == {50: "other-run-1", 300: RUN}


def test_what_was_published_is_brought_back_as_it_was(url, place, writer, saved):
    folder, manifest = saved(200)
    writer.write(folder, manifest, never)
    source = JobSource(role="resume", kind="s3", uri=f"{url}/000200")
    with closing(deliver([source], {}, place, {})) as delivery:
        delivery.survey()
        (back,) = delivery.fetch(lambda far: None).values()
    assert read_manifest(back) == manifest
    assert all((back / name).read_bytes() == (folder / name).read_bytes() for name in manifest.files)


def test_a_file_that_changed_since_it_was_sealed_is_never_sent(there, writer, saved):
    folder, manifest = saved(200)
    (folder / "pretrained_model/config.json").write_bytes(b"[]")
    with pytest.raises(PermanentError, match=r"config.json is not what was saved"):
        writer.write(folder, manifest, never)
    assert there() == {}


def test_who_may_not_write_is_told_what_to_allow(signed_in, place, url, monkeypatch):
    for name, value in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), signed_in.keys["stranger"], strict=True):
        monkeypatch.setenv(name, value)
    (wrong,) = target.inspect(url, place).problems
    assert f"may not write to {url}" in wrong
    assert "s3:PutObject and s3:DeleteObject" in wrong


def test_an_address_has_one_normal_form():
    assert target.normalize("s3+https://Minio.lab/robots/out//") == "s3+https://minio.lab/robots/out"
    assert target.normalize("https://account.blob.core.windows.net/c/p") == ""
    assert KIND.target == target.__name__
