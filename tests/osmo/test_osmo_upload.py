"""Uploads of local folders: complete, once, and checked before the workflow is sent."""

import os
import shutil

import pytest
from osmo_small_plans import make_plan
from robotrain.errors import Rejected
from robotrain_azure import preflight_checks
from robotrain_osmo.platform import OsmoPlatform
from robotrain_osmo.spec import submission_spec as orders
from robotrain_osmo.spec.submission_spec import OsmoUpload
from robotrain_osmo.submit import upload
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobSource, Mount, Placement
from robotrain_sources.local_path import pin as local_path_pin

URL = "azure://acc/osmo/robotrain/data/00aa"
FILES = {"meta/info.json": b"{}", "data/a b.parquet": b"x" * 1000, "b.c/d.e": b"."}

SEAL = ".robotrain-complete-3"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "my data"
    for name, content in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def make_upload_plan(folder, url: str = URL, pin: str = "", **order):
    """A plan that uploads a folder."""
    upload = OsmoUpload(path=str(folder), url=url, flag="--dataset-path")
    source = JobSource(role="dataset", kind="local_path", uri=str(folder), pin=pin)
    return make_plan(sources=(source,), uploads=(upload,), **order)


def submit_refused(wanted):
    with pytest.raises(Rejected) as raised:
        OsmoPlatform().submit(wanted)
    return raised.value.problems


def count_uploads(osmo) -> int:
    return sum(call[:2] == ["data", "upload"] for call in osmo.calls)


def list_uploaded_files(osmo) -> dict[str, bytes]:
    """What lies at the address, without its seal."""
    return {name: content for name, content in osmo.objects(URL).items() if name != SEAL}


def count_submits(osmo) -> int:
    return sum(call[:2] == ["workflow", "submit"] for call in osmo.calls)


def test_a_folder_s_files_lie_directly_below_its_address(osmo, folder, capsys):
    OsmoPlatform().submit(make_upload_plan(folder, pin=local_path_pin.compute_folder_digest(folder).pin))
    assert osmo.objects(URL) == FILES | {SEAL: b"3 files\n"}
    assert count_submits(osmo) == 1
    assert ["data", "upload", URL, f"{folder}/*"] in osmo.calls  # the command's messages name the user's path
    assert f"uploading {folder} to {URL}: 3 files, 1.0 kB" in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_there_already_is_not_uploaded_again(osmo, folder, capsys):
    osmo.put(URL, FILES | {SEAL: b""})
    OsmoPlatform().submit(make_upload_plan(folder))
    assert (count_uploads(osmo), count_submits(osmo)) == (0, 1)
    assert "already uploaded" in capsys.readouterr().err


@pytest.mark.slow
def test_what_nobody_saw_arrive_unchanged_is_uploaded_again(osmo, folder):
    """All names are there, and one content is not: a folder that was changed while somebody uploaded it."""
    osmo.put(URL, FILES | {"meta/info.json": b"[]"})
    OsmoPlatform().submit(make_upload_plan(folder))
    assert list_uploaded_files(osmo) == FILES


@pytest.mark.slow
def test_a_folder_that_changes_while_it_is_uploaded_is_not_sealed(osmo, folder, monkeypatch):
    def written_meanwhile(*given):
        (folder / "meta/info.json").write_bytes(b"[]")
        return bring(*given)

    pin, bring = local_path_pin.compute_folder_digest(folder).pin, upload._upload_folder
    monkeypatch.setattr(upload, "_upload_folder", written_meanwhile)
    [problem] = submit_refused(make_upload_plan(folder, pin=pin))
    assert "while it was uploaded" in problem.title
    assert osmo.objects(URL) == FILES | {"meta/info.json": b"[]"}
    assert count_submits(osmo) == 0


@pytest.mark.slow
def test_an_upload_that_was_cut_off_is_completed(osmo, folder, capsys):
    osmo.put(URL, {"meta/info.json": b"{}"})
    OsmoPlatform().submit(make_upload_plan(folder))
    assert list_uploaded_files(osmo) == FILES
    assert "1 already uploaded" in capsys.readouterr().err


@pytest.mark.slow
def test_what_has_no_address_of_its_own_content_is_uploaded_each_time(osmo, folder):
    url = "azure://acc/osmo/robotrain/runs/lerobot-train-fab69e8c-1/0"
    osmo.put(url, FILES)
    OsmoPlatform().submit(make_upload_plan(folder, url))
    assert count_uploads(osmo) == 1


def test_one_file_is_counted_in_singular(osmo, tmp_path, capsys):
    (tmp_path / "one").write_bytes(b"x")
    OsmoPlatform().submit(make_upload_plan(tmp_path))
    assert f"to {URL}: 1 file, 1 bytes" in capsys.readouterr().err


def test_an_upload_that_failed_quietly_sends_no_workflow(osmo, folder):
    osmo.fail("data upload", "answer", code=0)
    [problem] = submit_refused(make_upload_plan(folder))
    assert problem.code == "upload-incomplete"
    assert problem.code == "upload-incomplete"
    assert "3 of 3 files" in problem.title
    assert count_submits(osmo) == 0


@pytest.mark.slow
def test_an_upload_that_broke_off_sends_no_workflow(osmo, folder):
    osmo.fail("data upload", "broken")
    [problem] = submit_refused(make_upload_plan(folder))
    assert problem.where == "--dataset-path"
    assert count_submits(osmo) == 0


@pytest.mark.slow
def test_a_machine_without_access_is_told_how_to_get_it(osmo, folder):
    osmo.data_access(False)
    [problem] = submit_refused(make_upload_plan(folder))
    assert (problem.code, problem.given) == ("osmo-storage-signed-out", URL)
    assert problem.suggestions[0].text == "az login"
    assert count_submits(osmo) == 0


@pytest.mark.slow
def test_something_else_at_the_address_is_not_mixed_with(osmo, folder):
    osmo.put(URL, {"other.txt": b""})
    [problem] = submit_refused(make_upload_plan(folder))
    assert problem.code == "upload-mixed"
    assert count_uploads(osmo) == 0


@pytest.mark.slow
def test_hidden_files_and_caches_are_not_uploaded(osmo, folder, capsys):
    for name in (".env", "data/.env", ".git/hooks/a", ".cache/huggingface/x.lock", "data/__pycache__/y.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("z")
    (folder / ".git/link").symlink_to("hooks")
    OsmoPlatform().submit(make_upload_plan(folder, pin=local_path_pin.compute_folder_digest(folder).pin))
    assert list_uploaded_files(osmo) == FILES
    assert "3 files, 1.0 kB (not uploaded: .cache, .env, .git and 2 more)" in capsys.readouterr().err


@pytest.mark.slow
def test_path_with_shell_characters_is_uploaded(osmo, tmp_path, folder):
    odd = tmp_path / "$HOME and $(more)"
    os.rename(folder, odd)
    OsmoPlatform().submit(make_upload_plan(odd))
    assert list_uploaded_files(osmo) == FILES


@pytest.mark.slow
def test_the_payload_of_a_large_job_is_uploaded_too(osmo):
    url = "azure://acc/osmo/robotrain/jobs/00bb"
    OsmoPlatform().submit(make_plan(uploads=(OsmoUpload(path="", url=url),), files={orders.PAYLOAD_FILE: b"archive"}))
    assert osmo.objects(url) == {orders.PAYLOAD_FILE: b"archive"}


def test_what_osmo_would_leave_out_or_read_for_ever_is_refused_before_anything_is_sent(osmo, folder, tmp_path):
    empty, linked = tmp_path / "empty", tmp_path / "linked"
    (empty / "meta").mkdir(parents=True)
    linked.mkdir()
    (linked / "info.json").symlink_to(folder / "meta" / "info.json")
    os.mkfifo(linked / "pipe")
    folders = {"a": empty, "b": linked, "c": tmp_path / "nowhere", "d": folder}
    all_of_them = tuple(OsmoUpload(path=str(path), url=f"{URL}{name}") for name, path in folders.items())
    problems = submit_refused(make_plan(uploads=all_of_them))
    assert [problem.code for problem in problems] == ["upload-empty", "upload-links", "upload-unreadable"]
    assert "info.json, pipe" in problems[1].why
    assert not osmo.calls


def test_a_folder_that_changed_since_it_was_pinned_is_not_sent(osmo, folder):
    pin = local_path_pin.compute_folder_digest(folder).pin
    (folder / "meta/info.json").write_text("{ }")
    [problem] = submit_refused(make_upload_plan(folder, pin=pin))
    assert problem.code == "upload-changed"
    assert not osmo.calls


@pytest.mark.slow
def test_of_a_policy_the_model_alone_is_sent(osmo, tmp_path):
    policy = tmp_path / "checkpoint"
    for name in ("pretrained_model/config.json", "pretrained_model/model.safetensors", "training_state/rng"):
        (policy / name).parent.mkdir(parents=True, exist_ok=True)
        (policy / name).write_text(name)
    source = JobSource(role="policy", kind="local_path", uri=str(policy))
    OsmoPlatform().submit(
        make_plan(sources=(source,), uploads=(OsmoUpload(path=str(policy), url=URL, flag="--policy-path"),))
    )
    assert set(osmo.objects(URL)) == {"config.json", "model.safetensors", ".robotrain-complete-2"}


def test_a_folder_that_was_uploaded_and_is_gone_is_not_compared_with_others_from_here(folder):
    sources = tuple(
        JobSource(role="dataset", kind="local_path", uri=str(one), pin=local_path_pin.compute_folder_digest(folder).pin)
        for one in (folder, folder.parent / "gone")
    )
    mounts = tuple(Mount(role="dataset", uri=one.uri, folder="${X}", origin=URL) for one in sources)
    placement = Placement(work="/w", cache="/c", mounts=mounts)
    told = document.parse_document(make_plan(sources=sources, placement=placement).files["job.json"].decode())
    assert preflight_checks.select_checkable_sources(told) == sources[:1]


@pytest.mark.slow
@pytest.mark.parametrize("more", [("--new",), ("--set", "batch_size=4")])
def test_a_run_is_sent_again_when_the_folder_is_gone_that_was_uploaded(osmo, robotrain, pusht, tmp_path, more):
    data = tmp_path / "pusht"
    shutil.copytree(pusht, data)
    said = ("--pool", "default", "--storage-account", "acc0", "--tracking-uri", "none")
    sent = robotrain("submit", "--platform", "osmo", "--dataset-path", data, *said)
    assert sent.exit_code == 0, sent.stderr
    shutil.rmtree(data)
    before = count_uploads(osmo)
    again = robotrain("resubmit", sent.stdout.strip(), *more)
    assert again.exit_code == 0, again.stderr
    assert (count_uploads(osmo), count_submits(osmo)) == (before, 2)
