"""`submit --assets-only` on OSMO: folders are uploaded, and nothing is submitted."""

import pytest
from osmo_small_plans import make_plan
from robotrain.errors import Rejected
from robotrain_osmo.platform import OsmoPlatform
from robotrain_osmo.spec.submission_spec import OsmoUpload
from robotrain_sources.local_path import pin

URL = "azure://acc/osmo/robotrain/data/00aa"
OF_ONE_RUN = "azure://acc/osmo/robotrain/runs/lerobot-train-fab69e8c-1/0"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "data"
    path.mkdir()
    (path / "a").write_bytes(b"x")
    return path


def list_commands(osmo) -> list[tuple[str, ...]]:
    return [tuple(call[:2]) for call in osmo.calls]


def test_folders_are_there_before_anything_is_submitted(osmo, folder):
    wanted = make_plan(uploads=(OsmoUpload(path=str(folder), url=URL, flag="--dataset-path"),))
    assert list(OsmoPlatform().prepare(wanted)) == [f"{folder} {URL}"]
    assert osmo.objects(URL) == {"a": b"x", ".robotrain-complete-1": b"1 file\n"}
    assert ("workflow", "submit") not in list_commands(osmo)


def test_folder_without_a_digest_is_uploaded_by_submit(osmo, folder):
    uploads = (
        OsmoUpload(path=str(folder), url=OF_ONE_RUN),
        OsmoUpload(path="", url="azure://acc/osmo/robotrain/jobs/00bb"),
    )
    assert list(OsmoPlatform().prepare(make_plan(uploads=uploads))) == []
    assert list_commands(osmo) == []


def test_one_folder_that_cannot_be_uploaded_keeps_the_others_here(osmo, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    uploads = (OsmoUpload(path=str(folder), url=URL), OsmoUpload(path=str(tmp_path / "empty"), url=f"{URL}b"))
    with pytest.raises(Rejected) as raised:
        list(OsmoPlatform().prepare(make_plan(uploads=uploads)))
    assert [problem.code for problem in raised.value.problems] == ["upload-empty"]
    assert list_commands(osmo) == []


@pytest.mark.slow
def test_the_command_line_brings_folders_and_sends_nothing(osmo, robotrain, pusht, monkeypatch):
    words_said = ("submit", "--platform", "osmo", "--pool", "default", "--dataset-path", pusht, "--assets-only")
    answer = robotrain(*words_said, "--storage-account", "acc0", "--tracking-uri", "none")
    assert answer.exit_code == 0, answer.stderr
    held = pin.compute_folder_digest(pusht)
    assert held.hex in answer.stdout
    assert "was not submitted" in answer.stderr
    assert ("workflow", "submit") not in list_commands(osmo)
