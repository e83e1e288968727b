"""Folders of this machine on their way to the workspace's datastore: whole, once, and as they were pinned."""

import concurrent.futures.thread
import json
import os
import shutil
import signal
import threading
import time

import pytest
from azureml_workspace_plans import make_submittable_plan
from robotrain import errors
from robotrain.errors import Rejected, format_problem
from robotrain_azure import storage
from robotrain_azure.arm import ArmClient, StorageError
from robotrain_azureml.platform import AZUREML
from robotrain_azureml.service import datastore
from robotrain_azureml.spec import submission_spec
from robotrain_azureml.submit import upload
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.local_path import pin as local_path_pin

FILES = {"meta/info.json": b"{}", "data/chunk-000/a.parquet": b"a" * 5000, "empty": b""}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "recorded"
    for name, content in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content)
    return made


def make_upload_plan(azureml, folder, pinned=True):
    pin = local_path_pin.compute_folder_digest(folder).pin if pinned else ""
    return make_submittable_plan(azureml, JobSource(role="dataset", kind="local_path", uri=str(folder), pin=pin))


def upload_folders(plan) -> list[str]:
    order = submission_spec.SUBMISSION.load(plan, errors.Stage.SUBMIT)
    upload.require_uploadable(plan, order)
    return [line for line, _ in upload.upload_folders(plan, order)]


def find_upload_place(plan) -> str:
    [upload] = submission_spec.SUBMISSION.load(plan, errors.Stage.SUBMIT).uploads
    return upload.to


def upload_refused(plan):
    with pytest.raises(Rejected) as raised:
        upload_folders(plan)
    return raised.value.problems


def list_puts(azureml) -> list[str]:
    return [call for call in azureml.calls if call.startswith("PUT")]


def list_uploaded_files(azureml, plan) -> dict[str, bytes]:
    below = f"{find_upload_place(plan)}/"
    names = azureml.store.names(azureml.container, below)
    return {name.removeprefix(below): azureml.store.get(azureml.container, name) for name in names}


def test_a_folder_arrives_whole_and_is_sealed_beside_itself(azureml, folder, capsys):
    plan = make_upload_plan(azureml, folder)
    assert upload_folders(plan) == [
        f"{folder} was uploaded: azureml://datastores/workspaceblobstore/paths/{find_upload_place(plan)}"
    ]
    assert list_uploaded_files(azureml, plan) == FILES
    seal = azureml.store.get(azureml.container, f"{find_upload_place(plan)}.complete.json")
    assert json.loads(seal) == {"files": 3, "size": 5002}
    assert list_puts(azureml)[-1].partition("?")[0].endswith(".complete.json")
    assert f"uploading {folder} to azureml://datastores/" in capsys.readouterr().err


def test_corrected_folder_is_uploaded_as_another(azureml, folder):
    """Same size, same ends, and a colleague's upload of what it was, sealed."""
    large = folder / "data/chunk-000/a.parquet"
    large.write_bytes(b"a" * (3 << 20))
    before = make_upload_plan(azureml, folder)
    upload_folders(before)
    large.write_bytes(b"a" * (3 << 19) + b"b" + b"a" * ((3 << 19) - 1))
    after = make_upload_plan(azureml, folder)
    upload_folders(after)
    assert list_uploaded_files(azureml, after)["data/chunk-000/a.parquet"] == large.read_bytes()
    assert list_uploaded_files(azureml, before)["data/chunk-000/a.parquet"] == b"a" * (3 << 20)


def test_hidden_files_are_not_uploaded(azureml, folder, capsys):
    plan = make_upload_plan(azureml, folder)
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text("url = https://me:token@host")
    (folder / "data/.env").write_text("TOKEN=x")
    assert find_upload_place(make_upload_plan(azureml, folder)) == find_upload_place(plan)
    upload_folders(plan)
    assert list_uploaded_files(azureml, plan) == FILES
    assert "3 files, 5.0 kB (not uploaded: .git, data/.env)" in capsys.readouterr().err


def test_a_secret_that_would_be_uploaded_is_reported_and_not_shown(azureml, folder):
    secret = "hf_" + "a1b2c3d4" * 4
    (folder / "meta/notes.txt").write_text(f"fetched with {secret}")
    plan = make_upload_plan(azureml, folder)
    [problem] = [problem for problem in AZUREML.engine.preflight(plan) if problem.code == "upload-secret"]
    assert (problem.severity, problem.where) == ("warning", "--dataset-path")
    text = format_problem(problem)
    assert "meta/notes.txt: " in text
    assert "mv meta/notes.txt meta/.notes.txt" in text
    assert secret not in text


def test_upload_is_announced_until_it_is_there_and_asked_about_if_large(azureml, folder, monkeypatch):
    plan = make_upload_plan(azureml, folder)

    def find_codes() -> list[str]:
        return [problem.code for problem in AZUREML.engine.preflight(plan) if problem.where == "--dataset-path"]

    assert find_codes() == ["upload-needed"]
    with monkeypatch.context() as small:
        small.setattr("robotrain_sources.local_path.upload.ASKED_BYTES", 10)
        assert find_codes() == ["upload-large"]
    upload_folders(plan)
    assert find_codes() == []


def test_an_upload_that_broke_off_goes_on_with_what_is_missing(azureml, folder, capsys):
    plan = make_upload_plan(azureml, folder)
    azureml.fault("PUT .*a.parquet", status=403, code="AuthorizationFailure")
    with pytest.raises(StorageError):
        upload_folders(plan)
    azureml.servers["blobs"].faults.clear()
    assert azureml.store.get(azureml.container, f"{find_upload_place(plan)}.complete.json") is None
    left = list_uploaded_files(azureml, plan).keys()
    azureml.calls.clear()
    upload_folders(plan)
    assert list_uploaded_files(azureml, plan) == FILES
    assert len(list_puts(azureml)) == len(FILES.keys() - left) + 1  # and the seal


def test_failed_upload_reports_no_uploaded_bytes(azureml, folder, capsys):
    plan = make_upload_plan(azureml, folder)
    azureml.fault("PUT .*", status=403, code="AuthorizationFailure")
    with pytest.raises(StorageError):
        upload_folders(plan)
    assert "are uploaded" not in capsys.readouterr().err


def test_uploaded_part_is_compared(azureml, folder, capsys):
    plan = make_upload_plan(azureml, folder)
    azureml.store.put(
        azureml.container, {f"{find_upload_place(plan)}/data/chunk-000/a.parquet": FILES["data/chunk-000/a.parquet"]}
    )
    upload_folders(plan)
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith(f"comparing {folder} with its uploaded part: 1 file")
    assert second.startswith(f"uploading {folder} to ")


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, datastore.PIECE_BYTES + 1])
def test_ctrl_c_ends_an_upload_while_storage_is_silent(azureml, blobs, tmp_path, length):
    (tmp_path / "model").write_bytes(b"a" * length)
    azureml.fault("PUT .*", latency=20)
    there, before = set(threading.enumerate()), time.monotonic()
    signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            datastore.upload_files(blobs, {"model": tmp_path / "model"}, "out", bool, bool)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert time.monotonic() - before < 15  # of the 20 s of storage's silence
    ours = [thread for thread in set(threading.enumerate()) - there if thread.name.endswith("(process_items)")]
    assert ours
    assert all(thread.daemon for thread in ours)
    assert not [
        thread for thread in concurrent.futures.thread._threads_queues if thread.is_alive()
    ]  # the process' end waits


def test_another_content_of_the_same_size_is_sent_anew_until_it_is_sealed(azureml, folder):
    plan = make_upload_plan(azureml, folder)
    azureml.store.put(azureml.container, {f"{find_upload_place(plan)}/meta/info.json": b"[]"})
    upload_folders(plan)
    assert list_uploaded_files(azureml, plan) == FILES


def test_a_sealed_folder_that_somebody_took_a_file_from_is_made_whole(azureml, folder):
    plan = make_upload_plan(azureml, folder)
    upload_folders(plan)
    azureml.store.delete(azureml.container, f"{find_upload_place(plan)}/meta/info.json")
    upload_folders(plan)
    assert list_uploaded_files(azureml, plan) == FILES


def test_a_folder_that_changed_since_it_was_pinned_is_refused_before_anything_is_brought(azureml, folder):
    plan = make_upload_plan(azureml, folder)
    (folder / "meta/info.json").write_bytes(b"[]")
    [problem] = upload_refused(plan)
    assert (problem.code, problem.where) == ("upload-changed", "--dataset-path")
    assert "since it was pinned" in problem.title
    assert list_puts(azureml) == []


@pytest.mark.parametrize("became", [shutil.rmtree, lambda folder: (folder / "meta/info.json").write_bytes(b"[]")])
def test_uploaded_folder_is_not_needed_any_more(azureml, folder, became):
    plan = make_upload_plan(azureml, folder)
    upload_folders(plan)
    became(folder)
    azureml.calls.clear()
    [line] = upload_folders(plan)
    assert " is uploaded already: " in line
    assert list_puts(azureml) == []
    assert list(AZUREML.engine.find_uploaded(plan)) == list(plan.job.sources)
    azureml.store.delete(azureml.container, f"{find_upload_place(plan)}/meta/info.json")
    assert upload_refused(plan)
    assert list(AZUREML.engine.find_uploaded(plan)) == []


def test_a_folder_that_changes_while_it_is_sent_is_refused_and_not_sealed(azureml, folder):
    plan = make_upload_plan(azureml, folder)
    azureml.fault("PUT .*a.parquet", act=lambda: (folder / "meta/info.json").write_bytes(b"[]"))
    [problem] = upload_refused(plan)
    assert "while it was uploaded" in problem.title
    assert azureml.store.get(azureml.container, f"{find_upload_place(plan)}.complete.json") is None


def test_foreign_files_at_the_place_are_refused(azureml, folder):
    plan = make_upload_plan(azureml, folder)
    azureml.store.put(azureml.container, {f"{find_upload_place(plan)}/other": b""})
    [problem] = upload_refused(plan)
    text = format_problem(problem)
    assert "holds other." in text
    assert f"az storage blob delete-batch --account-name {azureml.account}" in text
    assert list_puts(azureml) == []


def test_links_and_empty_folders_are_refused_together(azureml, folder, tmp_path):
    (folder / "link").symlink_to("/etc/passwd")
    empty = tmp_path / "empty"
    empty.mkdir()
    sources = [JobSource(role="dataset", kind="local_path", uri=str(path)) for path in (folder, empty)]
    problems = upload_refused(make_submittable_plan(azureml, *sources))
    assert [problem.code for problem in problems] == ["upload-links", "upload-empty"]
    assert "link." in problems[0].why


def test_folder_without_a_digest_is_compared_again(azureml, folder):
    plan = make_upload_plan(azureml, folder, pinned=False)
    upload_folders(plan)
    (folder / "meta/info.json").write_bytes(b"[]")
    azureml.calls.clear()
    upload_folders(plan)
    assert list_uploaded_files(azureml, plan)["meta/info.json"] == b"[]"
    assert len(list_puts(azureml)) == 1


@pytest.mark.parametrize("credentials", ["None", "Sas", "AccountKey"])
def test_a_datastore_is_opened_as_its_workspace_keeps_it(azureml, folder, credentials):
    azureml.datastore("workspaceblobstore", azureml.container, credentials)
    plan = make_upload_plan(azureml, folder)
    upload_folders(plan)
    assert list_uploaded_files(azureml, plan) == FILES
    secrets = [call for call in azureml.calls if "/listSecrets" in call]
    assert len(secrets) == (credentials != "None")


@pytest.fixture
def blobs(azureml):
    """Those of the workspace's datastore."""
    arm = ArmClient()
    order = submission_spec.SUBMISSION.load(make_submittable_plan(azureml), errors.Stage.SUBMIT)
    with datastore.open_datastore(
        arm, storage.get_datastore(arm, order.target_workspace, "workspaceblobstore")
    ) as opened:
        yield opened


def test_a_folder_is_brought_back_as_it_lies_there(azureml, blobs, tmp_path):
    azureml.store.put(azureml.container, {f"out/{name}": content for name, content in FILES.items()} | {"outer": b""})
    listed = list(blobs.list_blobs("out"))
    datastore.download_blobs(blobs, listed, "out", tmp_path / "to")
    came = {
        str(path.relative_to(tmp_path / "to")): path.read_bytes()
        for path in (tmp_path / "to").rglob("*")
        if path.is_file()
    }
    assert came == FILES


@pytest.mark.slow
def test_a_large_file_goes_in_pieces(azureml, blobs, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(os.urandom(1 << 20) * 70)
    heard = []
    files = {"model.safetensors": tmp_path / "model.safetensors"}
    datastore.upload_files(blobs, files, "out", heard.append, heard.append)
    assert len([call for call in azureml.calls if "comp=block&" in call]) > 8
    assert sum(heard) == 2 * 70 << 20  # pieces, then the file
    assert azureml.store.get(azureml.container, "out/model.safetensors") == files["model.safetensors"].read_bytes()


@pytest.mark.slow
def test_a_copy_that_fails_stops_all_others(azureml, blobs, tmp_path):
    files = {f"{number:03}": tmp_path / f"{number:03}" for number in range(200)}
    for file in files.values():
        file.write_bytes(b"a")
    azureml.fault("PUT .*/out/005", status=403, code="AuthorizationFailure")
    with pytest.raises(StorageError, match="AuthorizationFailure"):
        datastore.upload_files(blobs, files, "out", bool, bool)
    assert len(list_puts(azureml)) < 60


def test_empty_download_creates_nothing(blobs, tmp_path):
    datastore.download_blobs(blobs, blobs.list_blobs("out"), "out", tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_blob_that_changes_during_download_is_refused(azureml, blobs, tmp_path):
    azureml.store.put(azureml.container, {"out/a": b"a" * 5000})
    [blob] = blobs.list_blobs("out")
    azureml.store.put(azureml.container, {"out/a": b"b" * 5000})
    with pytest.raises(StorageError, match="changed during the download"):
        datastore.download_blobs(blobs, [blob], "out", tmp_path)


@pytest.mark.parametrize("name", ["out/../up", "out//root"])
def test_blob_outside_of_the_folder_is_refused(blobs, tmp_path, name):
    with pytest.raises(StorageError, match="outside of the downloaded folder"):
        datastore.download_blobs(blobs, [datastore.DatastoreBlob(name, 1)], "out", tmp_path)


@pytest.mark.slow
def test_a_missing_account_is_reported_in_seconds(azureml, blobs):
    with azureml.tenant.unreachable(f"{azureml.account}.blob.core.windows.net"), pytest.raises(StorageError) as raised:
        list(blobs.list_blobs("out"))
    assert raised.value.code == "unreachable"
    assert f"the storage account {azureml.account} cannot be reached" in str(raised.value)
