"""Uploads of local folders, by a submit or with `--assets-only`: complete, once, checked before anything is sent."""

import os
import shutil

import pytest
from osmo_plans import read_document
from osmo_small_plans import make_plan
from robotrain.errors import Rejected, format_problem
from robotrain_azure import preflight_checks
from robotrain_osmo.platform import OSMO
from robotrain_osmo.spec import submission_spec as orders
from robotrain_osmo.spec.submission_spec import OsmoUpload
from robotrain_osmo.submit import upload
from robotrain_runtime.contract.document import JobSource, Mount, Placement
from robotrain_sources.local_path import pin as local_path_pin
from robotrain_sources.local_path.kind import LocalFolder

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
        OSMO.engine.submit(wanted)
    return raised.value.problems


def count_uploads(osmo) -> int:
    return sum(call[:2] == ["data", "upload"] for call in osmo.calls)


def list_uploaded_files(osmo) -> dict[str, bytes]:
    """What lies at the address, without its seal."""
    return {name: content for name, content in osmo.objects(URL).items() if name != SEAL}


def count_submits(osmo) -> int:
    return sum(call[:2] == ["workflow", "submit"] for call in osmo.calls)


def test_files_are_uploaded_directly_below_the_url_and_sealed(osmo, folder, capsys):
    OSMO.engine.submit(make_upload_plan(folder, pin=local_path_pin.compute_folder_digest(folder).pin))
    assert osmo.objects(URL) == FILES | {SEAL: b"3 files\n"}
    assert count_submits(osmo) == 1
    assert ["data", "upload", URL, f"{folder}/*"] in osmo.calls  # the command's messages name the user's path
    assert f"uploading {folder} to {URL}: 3 files, 1.0 kB" in capsys.readouterr().err


@pytest.mark.slow
def test_folder_that_changes_during_the_upload_is_not_sealed(osmo, folder, monkeypatch):
    def written_meanwhile(*args):
        (folder / "meta/info.json").write_bytes(b"[]")
        return bring(*args)

    pin, bring = local_path_pin.compute_folder_digest(folder).pin, upload._upload_folder
    monkeypatch.setattr(upload, "_upload_folder", written_meanwhile)
    [problem] = submit_refused(make_upload_plan(folder, pin=pin))
    assert "while it was uploaded" in problem.title
    assert osmo.objects(URL) == FILES | {"meta/info.json": b"[]"}
    assert count_submits(osmo) == 0


RUN_URL = "azure://acc/osmo/robotrain/runs/lerobot-train-fab69e8c-1/0"


@pytest.mark.parametrize(
    ("url", "stored", "count", "printed"),
    [
        (URL, FILES | {SEAL: b""}, 0, "already uploaded"),
        (URL, {"meta/info.json": b"{}"}, 1, "1 already uploaded"),  # it was cut off
        (URL, FILES | {"meta/info.json": b"[]"}, 1, ""),  # not sealed: it may have changed while it was uploaded
        (RUN_URL, FILES, 1, ""),  # without a digest
    ],
    ids=["complete", "incomplete", "not sealed", "not pinned"],
)
def test_folder_is_uploaded_unless_its_content_is_there(osmo, folder, capsys, url, stored, count, printed):
    osmo.put(url, stored)
    OSMO.engine.submit(make_upload_plan(folder, url))
    assert (count_uploads(osmo) > 0, count_submits(osmo)) == (count > 0, 1)
    objects = osmo.objects(url)
    assert {name: objects[name] for name in FILES} == FILES
    assert printed in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "code", "fact"),
    [
        (lambda osmo: osmo.fail("data upload", "answer", code=0), "assets-not-brought", "3 of 3 files"),
        (lambda osmo: osmo.fail("data upload", "broken"), "assets-not-brought", "--dataset-path"),
        (lambda osmo: osmo.configure(data_access=False), "osmo-storage-signed-out", "az login"),
        (lambda osmo: osmo.put(URL, {"other.txt": b""}), "upload-mixed", "other.txt"),
    ],
    ids=["nothing arrived", "half arrived", "no access", "another folder"],
)
def test_failed_upload_submits_no_workflow(osmo, folder, spoil, code, fact):
    spoil(osmo)
    [problem] = submit_refused(make_upload_plan(folder))
    assert problem.code == code
    assert fact in format_problem(problem)
    assert (count_uploads(osmo) > 0, count_submits(osmo)) == (code == "assets-not-brought", 0)


@pytest.mark.slow
def test_hidden_files_and_caches_are_not_uploaded(osmo, folder, capsys):
    for name in (".env", "data/.env", ".git/hooks/a", ".cache/huggingface/x.lock", "data/__pycache__/y.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("z")
    (folder / ".git/link").symlink_to("hooks")
    OSMO.engine.submit(make_upload_plan(folder, pin=local_path_pin.compute_folder_digest(folder).pin))
    assert list_uploaded_files(osmo) == FILES
    assert "3 files, 1.0 kB (not uploaded: .cache, .env, .git and 2 more)" in capsys.readouterr().err


@pytest.mark.slow
def test_path_with_shell_characters_is_uploaded(osmo, tmp_path, folder):
    odd = tmp_path / "$HOME and $(more)"
    os.rename(folder, odd)
    OSMO.engine.submit(make_upload_plan(odd))
    assert list_uploaded_files(osmo) == FILES


@pytest.mark.slow
def test_payload_of_a_large_job_is_uploaded(osmo):
    url = "azure://acc/osmo/robotrain/jobs/00bb"
    OSMO.engine.submit(make_plan(uploads=(OsmoUpload(path="", url=url),), files={orders.PAYLOAD_FILE: b"archive"}))
    assert osmo.objects(url) == {orders.PAYLOAD_FILE: b"archive"}


def test_empty_linked_and_missing_folders_are_refused_before_anything_is_sent(osmo, folder, tmp_path):
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


def test_folder_that_changed_since_it_was_pinned_is_not_uploaded(osmo, folder):
    pin = local_path_pin.compute_folder_digest(folder).pin
    (folder / "meta/info.json").write_text("{ }")
    [problem] = submit_refused(make_upload_plan(folder, pin=pin))
    assert problem.code == "upload-changed"
    assert not osmo.calls


@pytest.mark.slow
def test_only_the_model_of_a_policy_is_uploaded(osmo, tmp_path):
    policy = tmp_path / "checkpoint"
    for name in ("pretrained_model/config.json", "pretrained_model/model.safetensors", "training_state/rng"):
        (policy / name).parent.mkdir(parents=True, exist_ok=True)
        (policy / name).write_text(name)
    source = JobSource(role="policy", kind="local_path", uri=str(policy))
    OSMO.engine.submit(
        make_plan(sources=(source,), uploads=(OsmoUpload(path=str(policy), url=URL, flag="--policy-path"),))
    )
    assert set(osmo.objects(URL)) == {"config.json", "model.safetensors", ".robotrain-complete-2"}


@pytest.mark.slow
def test_a_file_of_weights_is_uploaded_as_a_folder_of_its_own(osmo, tmp_path):
    file = tmp_path / "mine.pth"
    file.write_bytes(b"weights")
    (tmp_path / "other.pth").touch()
    pin = local_path_pin.resolve_pin(LocalFolder(str(file)), "backbone")
    source = JobSource(role="backbone", kind="local_path", uri=str(file), pin=pin)
    upload = OsmoUpload(path=str(file), url=URL, flag="--backbone-path", files=1)
    OSMO.engine.submit(make_plan(sources=(source,), uploads=(upload,)))
    assert osmo.objects(URL)["mine.pth"] == b"weights"
    assert set(osmo.objects(URL)) == {"mine.pth", ".robotrain-complete-1"}


@pytest.mark.slow
@pytest.mark.parametrize("more", [("--new",), ("--set", "batch_size=4")])
def test_resubmit_needs_no_folder_that_was_uploaded(osmo, robotrain, pusht, tmp_path, more):
    data = tmp_path / "pusht"
    shutil.copytree(pusht, data)
    settings = ("--pool", "default", "--storage-account", "acc0", "--tracking-uri", "none")
    sent = robotrain("submit", "--platform", "osmo", "--dataset-path", data, *settings)
    assert sent.exit_code == 0, sent.stderr
    shutil.rmtree(data)
    before = count_uploads(osmo)
    again = robotrain("resubmit", sent.stdout.strip(), *more)
    assert again.exit_code == 0, again.stderr
    assert (count_uploads(osmo), count_submits(osmo)) == (before, 2)


def test_uploaded_folder_that_is_gone_is_not_checked_from_here(folder):
    pin = local_path_pin.compute_folder_digest(folder).pin
    uris = (str(folder), str(folder.parent / "gone"))
    sources = tuple(JobSource(role="dataset", kind="local_path", uri=uri, pin=pin) for uri in uris)
    mounts = tuple(Mount(role="dataset", uri=uri, folder="${X}", origin=URL) for uri in uris)
    plan = make_plan(sources=sources, placement=Placement(work="/w", cache="/c", mounts=mounts))
    assert preflight_checks.select_checkable_sources(read_document(plan)) == sources[:1]


def list_commands(osmo) -> list[tuple[str, ...]]:
    return [tuple(call[:2]) for call in osmo.calls]


def test_prepare_uploads_folders_and_submits_nothing(osmo, folder):
    wanted = make_plan(uploads=(OsmoUpload(path=str(folder), url=URL, flag="--dataset-path"),))
    assert list(OSMO.engine.prepare(wanted)) == [f"{folder} {URL}"]
    assert osmo.objects(URL) == FILES | {SEAL: b"3 files\n"}
    assert ("workflow", "submit") not in list_commands(osmo)


def test_prepare_leaves_folders_without_a_digest_to_the_submit(osmo, folder):
    payload = OsmoUpload(path="", url="azure://acc/osmo/robotrain/jobs/00bb")
    uploads = (OsmoUpload(path=str(folder), url=RUN_URL), payload)
    assert list(OSMO.engine.prepare(make_plan(uploads=uploads))) == []
    assert list_commands(osmo) == []


def test_prepare_uploads_nothing_if_one_folder_is_refused(osmo, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    uploads = (OsmoUpload(path=str(folder), url=URL), OsmoUpload(path=str(tmp_path / "empty"), url=f"{URL}b"))
    with pytest.raises(Rejected) as raised:
        list(OSMO.engine.prepare(make_plan(uploads=uploads)))
    assert [problem.code for problem in raised.value.problems] == ["upload-empty"]
    assert list_commands(osmo) == []


@pytest.mark.slow
def test_assets_only_uploads_folders_and_submits_nothing(osmo, robotrain, pusht):
    words = ("submit", "--platform", "osmo", "--pool", "default", "--dataset-path", pusht, "--assets-only")
    answer = robotrain(*words, "--storage-account", "acc0", "--tracking-uri", "none")
    assert answer.exit_code == 0, answer.stderr
    assert local_path_pin.compute_folder_digest(pusht).hex in answer.stdout
    assert "was not submitted" in answer.stderr
    assert ("workflow", "submit") not in list_commands(osmo)
