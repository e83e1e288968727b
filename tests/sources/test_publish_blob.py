"""Checkpoints really published to a folder of blobs: by Azure's SDK in the data environment, to Azurite."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from azure_stand_in import CLIENT, Fault, front
from azure_stand_in.keys import KEY
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.failure import Cancelled, PermanentError
from robotrain_runtime.contract.target import CheckpointMark, TargetInspection
from robotrain_sources.blob_url import target

pytestmark = pytest.mark.slow

RUN = "lerobot-train-00000000-1"
WEIGHTS = os.urandom(20_000_000)  # several blocks
FILES = {"pretrained_model/model.safetensors": WEIGHTS, "pretrained_model/config.json": b"{}", "training_state/é": b""}


@pytest.fixture
def place(tmp_path, data_python, azure_identity) -> ContainerContext:
    messages: list[str] = []
    return ContainerContext(cache=tmp_path / "cache", python=data_python, log_line=messages.append)


@pytest.fixture
def container(container, azure) -> str:
    """An empty container of this test's own."""
    azure.blobs.put(container, {})
    return container


@pytest.fixture
def save_checkpoint(tmp_path):
    """Make a sealed checkpoint: `save_checkpoint(200)`."""

    def save(step: int, files=FILES, run: str = RUN, parent: str = "checkpoints") -> Path:
        folder = tmp_path / parent / f"{step:06}"
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        checkpoint.seal_checkpoint(folder, step=step, run=run, job="0" * 64, model="pretrained_model")
        return folder

    return save


@pytest.fixture
def writer(azure, container, place):
    """What writes to `publish/act` of the box."""
    opened = target.open(azure.url(container, "publish/act"), place)
    yield opened
    opened.close()


def publish(writer, folder: Path, halted=lambda: False) -> bool:
    return writer.write(folder, checkpoint.read_manifest(folder), halted)


READ = """
import json, sys
from azure.identity import EnvironmentCredential
from azure.storage.blob import ContainerClient
account, container, start = sys.argv[1:]
client = ContainerClient(f"https://{account}.blob.core.windows.net", container, EnvironmentCredential())
names = [blob.name for blob in client.list_blobs(name_starts_with=start)]
print(json.dumps({n.removeprefix(start): client.get_blob_client(n).download_blob().readall().hex() for n in names}))
"""


@pytest.fixture
def read_published(azure, container, place):
    """What lies below the prefix, as anybody reads it."""

    def read() -> dict[str, bytes]:
        command = [str(place.python), "-c", READ, azure.account, container, "publish/act/"]
        contents = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return {name: bytes.fromhex(content) for name, content in contents.items()}

    return read


def content(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {f"{folder.name}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in paths}


def test_a_checkpoint_arrives_whole_and_its_manifest_last(azure, read_published, writer, save_checkpoint):
    folder = save_checkpoint(200)
    assert publish(writer, folder)
    assert read_published() == content(folder)
    written = [
        request for request in azure.front.requests if request.startswith("PUT") and "comp=block&" not in request
    ]
    assert MANIFEST in written[-1]
    assert [MANIFEST in request for request in written].count(True) == 1


def test_what_is_there_already_is_not_sent_again(azure, read_published, writer, save_checkpoint):
    folder = save_checkpoint(200)
    publish(writer, folder)
    azure.front.requests.clear()
    assert not publish(writer, folder)
    assert not [request for request in azure.front.requests if request.startswith(("PUT", "DELETE"))]
    assert read_published() == content(folder)


def test_a_checkpoint_that_is_written_anew_loses_its_manifest_first(azure, read_published, writer, save_checkpoint):
    publish(writer, save_checkpoint(200))
    azure.front.requests.clear()
    anew = save_checkpoint(200, {"pretrained_model/model.safetensors": b"other", "more": b"1"})
    assert publish(writer, anew)
    assert read_published() == content(anew)
    changes = [request for request in azure.front.requests if request.startswith(("PUT", "DELETE"))]
    assert [change.partition(" ")[0] for change in (changes[0], changes[-1])] == ["DELETE", "PUT"]
    assert all(MANIFEST in change for change in (changes[0], changes[-1]))


PUBLISHER = """
import pathlib, sys
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_sources.blob_url import target
address, folder, cache = sys.argv[1:]
writer = target.open(address, ContainerContext(cache=pathlib.Path(cache), python=pathlib.Path(sys.executable)))
writer.write(pathlib.Path(folder), checkpoint.read_manifest(pathlib.Path(folder)), lambda: False)
"""


def test_a_publisher_that_is_killed_leaves_nothing_that_looks_whole(
    azure, container, writer, read_published, save_checkpoint, tmp_path
):
    folder = save_checkpoint(200)
    command = [sys.executable, "-c", PUBLISHER, azure.url(container, "publish/act"), str(folder), str(tmp_path)]
    killed: list[subprocess.Popen[bytes]] = []
    azure.front.faults.append(Fault("PUT .*comp=blocklist", act=lambda: killed[0].kill()))
    killed.append(subprocess.Popen(command))
    assert killed[0].wait(60) == -signal.SIGKILL
    assert f"000200/{MANIFEST}" not in read_published()
    assert publish(writer, folder)
    assert read_published() == content(folder)


def test_a_halt_is_heard_while_it_uploads(azure, writer, read_published, save_checkpoint):
    halted, let = threading.Event(), threading.Event()
    azure.front.faults.append(Fault("PUT .*comp=block&", act=lambda: (halted.set(), let.wait(20))))
    folder = save_checkpoint(200)
    with pytest.raises(Cancelled):
        publish(writer, folder, halted.is_set)
    let.set()
    while f"000200/{MANIFEST}" not in read_published():  # the thread that uploads it is not waited for
        time.sleep(0.1)
    assert read_published() == content(folder)


def test_a_byte_that_changes_during_the_upload_is_noticed(azure, read_published, writer, save_checkpoint, monkeypatch):
    flipped = []
    original = front._Handler._asked

    def flip(handler, body):
        if not flipped and "comp=block&" in handler.path:
            flipped.append(handler.path)
            body = body[:-1] + bytes([body[-1] ^ 1])
        return original(handler, body)

    monkeypatch.setattr(front._Handler, "_asked", flip)
    folder = save_checkpoint(200)
    with pytest.raises(OSError, match="HTTP 400"):  # Md5Mismatch; Azurite has another word for it
        publish(writer, folder)
    assert flipped
    assert f"000200/{MANIFEST}" not in read_published()
    assert publish(writer, folder)
    assert read_published() == content(folder)


def test_what_the_service_has_otherwise_is_noticed_before_the_manifest(
    azure, container, read_published, writer, save_checkpoint
):
    folder, name = save_checkpoint(200), "publish/act/000200/pretrained_model/config.json"
    meddle = Fault("comp=list", after=1, act=lambda: azure.blobs.put_one(container, name, b"[]"))
    azure.front.faults.append(meddle)
    with pytest.raises(OSError, match=r"000200/pretrained_model/config.json differs from what was uploaded"):
        publish(writer, folder)
    assert f"000200/{MANIFEST}" not in read_published()


def test_a_bad_moment_of_the_service_passes(azure, read_published, writer, save_checkpoint):
    azure.front.faults += [
        Fault("PUT .*comp=block&", status=503, code="ServerBusy", times=3),
        Fault("PUT .*config.json", reset=True, times=1),
    ]
    folder = save_checkpoint(200)
    assert publish(writer, folder)
    assert read_published() == content(folder)


def test_parts_that_arrived_are_not_sent_again(azure, read_published, writer, save_checkpoint):
    azure.front.faults.append(Fault(f"PUT .*{MANIFEST}", status=409, code="BlobImmutableDueToPolicy"))
    folder = save_checkpoint(200)
    with pytest.raises(OSError):
        publish(writer, folder)
    azure.front.faults.clear()
    azure.front.requests.clear()
    assert publish(writer, folder)
    written = [request for request in azure.front.requests if request.startswith("PUT")]
    assert [MANIFEST in request for request in written] == [True]
    assert read_published() == content(folder)


def test_who_may_not_write_is_told_as_whom_and_which_role_would_do(azure, container, place, writer, save_checkpoint):
    azure.front.faults.append(Fault("PUT|DELETE", status=403, code="AuthorizationPermissionMismatch"))
    with pytest.raises(OSError) as raised:
        publish(writer, save_checkpoint(200))
    (seen,) = target.inspect(azure.url(container, "publish/act"), place).problems
    assert str(raised.value) == seen
    assert f"Azure does not let the identity with client id {CLIENT}" in seen
    assert f"container {container} of the storage account {azure.account} (403 AuthorizationPermissionMis" in seen
    assert "Storage Blob Data Contributor" in seen


def test_an_inspection_writes_and_deletes_a_tiny_blob_and_finds_the_origin_of_each_checkpoint(
    azure, container, read_published, place, writer, save_checkpoint
):
    origin = {"submission": "wf-7 ü/%", "tracking": "d3c9"}
    publish(writer, save_checkpoint(100))
    folder = save_checkpoint(200)
    checkpoint.seal_checkpoint(folder, step=200, run=RUN, job="0" * 64, model="pretrained_model", **origin)
    publish(writer, folder)
    publish(writer, save_checkpoint(400, {"w": b"1"}, run="another-run-1"))
    before = read_published()
    azure.front.requests.clear()
    assert target.inspect(azure.url(container, "publish/act"), place) == TargetInspection(
        runs={100: RUN, 200: RUN, 400: "another-run-1"}, marks={200: CheckpointMark(name="000200", **origin)}
    )
    assert [r.partition(" ")[0] for r in azure.front.requests if r.startswith(("PUT", "DELETE"))] == ["PUT", "DELETE"]
    assert read_published() == before


def test_a_container_that_is_not_there_is_told_with_how_to_make_it(azure, place):
    (problems,) = target.inspect(azure.url("nowhere", "a"), place).problems
    assert problems.startswith(
        f"the storage account {azure.account} has no container nowhere: az storage container create"
    )


def test_a_key_in_a_file_does_where_a_machine_has_no_identity(
    azure, container, place, save_checkpoint, tmp_path, monkeypatch
):
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o600)
    place = dataclasses.replace(place, credentials={"blob_url": str(file)})
    writer = target.open(azure.url(container, "publish/act"), place)
    assert publish(writer, save_checkpoint(200))
    writer.close()


def test_a_name_that_another_has_is_never_written_over(azure, container, read_published, writer, save_checkpoint):
    publish(writer, save_checkpoint(200, {"w": b"theirs"}, run="another-run-1"))
    azure.blobs.put(container, {"publish/act/000400/mine.txt": b"mine"})
    azure.front.faults.append(Fault(f"PUT .*000600/{MANIFEST}", status=409, code="BlobImmutableDueToPolicy"))
    with pytest.raises(OSError):
        publish(writer, save_checkpoint(600, {"w": b"theirs"}, run="another-run-1"))
    before = read_published()
    for step, message in (
        (200, "is a checkpoint of the run another-run-1"),
        (400, "holds other files"),
        (600, "holds parts of a checkpoint of the run another-run-1"),
    ):
        with pytest.raises(PermanentError, match=f"publish/act/000{step} {message}"):
            publish(writer, save_checkpoint(step, parent="ours"))
    assert read_published() == before


def test_a_file_that_changed_after_it_was_sealed_is_not_published(read_published, writer, save_checkpoint):
    folder = save_checkpoint(200)
    sealed = checkpoint.read_manifest(folder)
    (folder / "pretrained_model/config.json").write_bytes(b"[]")
    with pytest.raises(PermanentError, match=r"config\.json is not what was saved"):
        writer.write(folder, sealed, lambda: False)
    assert read_published() == {}


def test_the_oldest_of_a_run_go_manifest_first_and_nobody_elses(azure, read_published, writer, save_checkpoint):
    publish(writer, save_checkpoint(100, {"w": b"theirs"}, run="another-run-1"))
    for step in (200, 400, 600, 1000200):
        publish(writer, save_checkpoint(step, {"w": b"%d" % step, "deep/er": b"1"}))
    azure.front.requests.clear()
    assert writer.trim(RUN, 2, lambda: False) == ("000200", "000400")
    assert {name.partition("/")[0] for name in read_published()} == {"000100", "000600", "1000200"}
    deleted = [request for request in azure.front.requests if request.startswith("DELETE")]
    assert [MANIFEST in request for request in deleted] == [True, False, False, True, False, False]
    assert writer.trim(RUN, 2, lambda: False) == ()


def test_what_a_removal_left_behind_goes_with_the_next(azure, container, read_published, writer, save_checkpoint):
    for step in (200, 400):
        publish(writer, save_checkpoint(step, {"w": b"%d" % step}))
    azure.front.faults.append(Fault("DELETE .*000200/w", status=403, code="AuthorizationPermissionMismatch"))
    with pytest.raises(OSError, match="Contributor"):
        writer.trim(RUN, 1, lambda: False)
    assert sorted(read_published()) == ["000200/w", f"000400/{MANIFEST}", "000400/w"]
    azure.front.faults.clear()
    assert writer.trim(RUN, 1, lambda: False) == ()
    assert sorted(read_published()) == [f"000400/{MANIFEST}", "000400/w"]
