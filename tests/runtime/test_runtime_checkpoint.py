"""Checkpoints, sealed: what is complete is told from what only looks so."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from problem_assertions import check_refusals
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Note

RUN, JOB = "pretend-1", "0" * 64

SEAL_AND_DIE = """
import os, signal, sys
from pathlib import Path
from robotrain_runtime.contract import checkpoint
checkpoint.{where} = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
checkpoint.seal_checkpoint(Path(sys.argv[1]), step=20, run="r", job="j")
"""


def write_files(folder: Path, **files: str) -> Path:
    for name, content in (files or {"weights": "w" * 100, "step": "20"}).items():
        (folder / "model").mkdir(parents=True, exist_ok=True)
        (folder / "model" / name).write_text(content)
    return folder


def sealed(folder: Path, run: str = RUN, job: str = JOB, **files: str) -> Path:
    checkpoint.seal_checkpoint(write_files(folder, **files), step=int(folder.name), run=run, job=job, model="model")
    return folder


def test_what_was_sealed_is_read_back(tmp_path):
    folder = sealed(tmp_path / "000020")
    manifest = checkpoint.read_manifest(folder)
    assert (manifest.step, manifest.run, manifest.job, manifest.model) == (20, RUN, JOB, "model")
    assert sorted(manifest.files) == ["model/step", "model/weights"]
    assert checkpoint.validate_checkpoint(folder) == ""


def test_the_digest_is_of_names_and_contents(tmp_path):
    made = [
        sealed(tmp_path / str(number) / "000020", **files)
        for number, files in enumerate([{"a": "1", "b": "2"}, {"a": "2", "b": "1"}, {"a": "1", "c": "2"}])
    ]
    assert len({checkpoint.read_manifest(folder).digest for folder in made}) == 3


def test_a_folder_without_files_is_never_sealed(tmp_path):
    (tmp_path / "000020").mkdir()
    with pytest.raises(OSError) as refused:
        checkpoint.seal_checkpoint(tmp_path / "000020", step=20, run=RUN, job=JOB)
    check_refusals(refused.value, "file-not-found-error")


def test_a_folder_with_more_files_than_a_manifest_may_name_is_never_sealed(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "MAX_MANIFEST_BYTES", 99)
    with pytest.raises(OSError, match="2 files"):
        sealed(tmp_path / "000020")
    assert not (tmp_path / "000020" / checkpoint.MANIFEST).exists()


@given(st.sampled_from(["model/weights", "model/step"]), st.integers(0, 99), st.sampled_from(["flip", "cut", "remove"]))
def test_no_byte_changes_unnoticed(tmp_path_factory, name, at, how):
    folder = sealed(tmp_path_factory.mktemp("checkpoints") / "000020")
    path = folder / name
    content = path.read_bytes()
    at %= len(content)
    if how == "remove":
        path.unlink()
    else:
        path.write_bytes(content[:at] + (bytes([content[at] ^ 1]) + content[at + 1 :] if how == "flip" else b""))
    assert str(path) in checkpoint.validate_checkpoint(folder)


@given(st.integers(0, 10_000))
def test_a_manifest_that_was_cut_short_seals_nothing(tmp_path_factory, at):
    folder = sealed(tmp_path_factory.mktemp("checkpoints") / "000020")
    manifest = folder / checkpoint.MANIFEST
    content = manifest.read_bytes()
    manifest.write_bytes(content[: at % (len(content) - 2)])
    assert checkpoint.read_manifest(folder) is None
    assert "never completed" in checkpoint.validate_checkpoint(folder)


@pytest.mark.parametrize("path", ["/dev/zero", "../outside", "model/../../outside", "..", "model/a\0b"])
def test_a_manifest_names_only_what_is_below_its_folder(tmp_path, path):
    folder = sealed(tmp_path / "000020")
    (tmp_path / "outside").touch()
    body = json.loads((folder / checkpoint.MANIFEST).read_text())
    for change in ({"files": body["files"] | {path: checkpoint.hash_bytes(b"")}}, {"model": path}):
        (folder / checkpoint.MANIFEST).write_text(json.dumps(body | change))
        assert checkpoint.read_manifest(folder) is None
    assert "leads out" in checkpoint.find_changed_file(folder, {path: ""}, "")


@pytest.mark.parametrize("change", [{"step": "20"}, {"run": None}, {"files": {"a": 1}}, {"files": []}, {"more": 1}])
def test_a_manifest_of_other_types_seals_nothing(tmp_path, change):
    folder = sealed(tmp_path / "000020")
    body = json.loads((folder / checkpoint.MANIFEST).read_text())
    (folder / checkpoint.MANIFEST).write_text(json.dumps(body | change))
    assert checkpoint.read_manifest(folder) is None


def test_a_device_or_pipe_in_a_checkpoint_is_not_read(tmp_path):
    folder = sealed(tmp_path / "000020")
    (folder / "model/weights").unlink()
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        make(folder / "model/weights")
        assert "model/weights cannot be read" in checkpoint.validate_checkpoint(folder)
        (folder / "model/weights").unlink()


@pytest.mark.parametrize("where", ["os.replace", "os.fsync", "hash_file"])
def test_a_process_that_is_killed_while_it_seals_leaves_no_complete_checkpoint(tmp_path, where):
    folder = write_files(tmp_path / "000020")
    done = subprocess.run([sys.executable, "-c", SEAL_AND_DIE.format(where=where), str(folder)])
    assert done.returncode == -signal.SIGKILL
    assert checkpoint.read_manifest(folder) is None
    assert checkpoint.find_last_complete(tmp_path) is None
    sealed(folder)
    assert checkpoint.validate_checkpoint(folder) == ""
    assert not [name for name in checkpoint.read_manifest(folder).files if checkpoint.MANIFEST in name]


def test_h1_06_last_is_a_link_not_a_checkpoint(tmp_path):
    for step in ("000020", "000040", "100000", "1000000"):
        sealed(tmp_path / step)
    for link in ("last", "000060"):
        (tmp_path / link).symlink_to("000040")
    for name in ("last.bak", "000040.torn-1", ".000080", "epoch-3"):
        write_files(tmp_path / name)
    (tmp_path / "000100").touch()
    assert [step for step, _ in checkpoint.list_checkpoints(tmp_path)] == [1000000, 100000, 40, 20]
    assert list(checkpoint.list_checkpoints(tmp_path / "nowhere")) == []


def test_the_last_good_one_is_found_and_why_newer_ones_are_not(tmp_path):
    sealed(tmp_path / "000020")
    sealed(tmp_path / "000040")
    (sealed(tmp_path / "000060") / "model" / "weights").write_text("torn")
    write_files(tmp_path / "000080")
    sealed(tmp_path / "000100", run="another-1")
    sealed(tmp_path / "000120", job="1" * 64)
    messages: list[str] = []
    last_complete = checkpoint.find_last_complete(
        tmp_path, run=RUN, job=JOB, on_skip=lambda folder, reason: messages.append(reason)
    )
    assert last_complete == (40, tmp_path / "000040")
    assert messages == [
        f"{tmp_path}/000120 is of another job",
        f"{tmp_path}/000100 is of the run another-1",
        f"{tmp_path}/000080 was never completed",
        f"{tmp_path}/000060/model/weights is not what was saved",
    ]
    assert checkpoint.find_last_complete(tmp_path) == (120, tmp_path / "000120")


def test_what_lies_beyond_the_last_good_one_is_kept_aside(tmp_path):
    parent = tmp_path / "checkpoints"
    assert checkpoint.find_resume_point(parent, run=RUN, job=JOB) == (None, ())
    sealed(parent / "000020")
    write_files(parent / "000040")
    write_files(parent / "000040.torn-1", older="x")
    good, notes = checkpoint.find_resume_point(parent, run=RUN, job=JOB)
    assert good == (20, parent / "000020")
    text = f"{parent}/000040 was never completed: kept as 000040.torn-2, not used"
    resumed = Note(level="info", text="an earlier attempt was interrupted: resuming from step 20")
    assert notes == (Note(level="warning", text=text), resumed)
    assert sorted(os.listdir(parent)) == ["000020", "000040.torn-1", "000040.torn-2"]
    assert (parent / "000040.torn-2" / "model" / "weights").exists()
    assert checkpoint.find_resume_point(parent, run=RUN, job=JOB) == (good, (resumed,))
    finished = Note(level="info", text="an earlier attempt finished: no steps are left after step 20")
    assert checkpoint.find_resume_point(parent, run=RUN, job=JOB, steps=20) == (good, (finished,))


def test_a_manifest_of_a_later_robotrain_is_not_guessed_at(tmp_path):
    folder = sealed(tmp_path / "000020")
    manifest = folder / checkpoint.MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema": 2}))
    assert checkpoint.read_manifest(folder) is None
