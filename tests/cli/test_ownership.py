"""Folders that other users can write to are not used, nor what they may have written there."""

import grp
import os
from pathlib import Path

import pytest
from robotrain.doctor.folders import check_configuration_folder, check_folder
from robotrain.errors import Rejected, Suggestion
from robotrain.run_folder import model_registration, removal
from robotrain.store import files, ownership

FOLDERS = {
    "ROBOTRAIN_STATE": files.get_state_folder,
    "ROBOTRAIN_CACHE": files.get_cache_folder,
    "XDG_CONFIG_HOME": files.get_configuration_folder,
}


@pytest.fixture(params=FOLDERS)
def folder(request, monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv(request.param, str(tmp_path / "own"))
    made: Path = FOLDERS[request.param]()
    made.mkdir(mode=0o755, parents=True)
    return made


@pytest.mark.parametrize("mode", [0o777, 0o707, 0o770])
@pytest.mark.parametrize("name", ["", "entry"])
def test_a_folder_that_others_can_write_to_is_refused_with_the_chmod(robotrain, folder, name, mode, monkeypatch):
    monkeypatch.setattr(ownership, "_is_private_group", lambda number: False)
    place = folder / name
    place.mkdir(exist_ok=True)
    place.chmod(mode)
    robotrain("runs").check(2, "[folder-open-to-others]", f"chmod -R go-w {place}")
    results = [*check_folder(folder, "VARIABLE", Suggestion("")), *check_configuration_folder()]
    assert any(finding.state == "fail" and f"chmod -R go-w {place}" in str(finding) for finding in results)
    assert robotrain("runs", "--help").exit_code == 0
    place.chmod(mode & ~0o022)
    assert "folder-open" not in robotrain("runs").stderr


@pytest.mark.parametrize(("mode", "is_refused"), [(0o755, True), (0o711, True), (0o700, False)])
@pytest.mark.parametrize("below", ["", "environments", "uv"])
def test_programs_in_the_cache_count_if_others_may_enter_it(robotrain, monkeypatch, tmp_path, below, mode, is_refused):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / below / "one").mkdir(parents=True)
    (tmp_path / "cache" / below / "one").chmod(0o777)
    (tmp_path / "cache").chmod(mode)
    assert (robotrain("runs").exit_code == 2) is is_refused


def test_cache_that_a_group_shares_is_refused_with_what_can_be_shared(robotrain, monkeypatch, tmp_path):
    monkeypatch.setattr(ownership, "_is_private_group", lambda number: False)
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "lab"))
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab").chmod(0o2775)
    group = grp.getgrgid((tmp_path / "lab").stat().st_gid).gr_name
    robotrain("runs").check(2, "[folder-open-to-others]", f"group {group}", "ROBOTRAIN_CACHE=FOLDER")


def test_own_folders_are_not_refused_where_new_files_are_the_groups(robotrain, monkeypatch, tmp_path):
    monkeypatch.setattr(ownership, "_is_private_group", lambda number: False)
    for variable in ("ROBOTRAIN_CACHE", "ROBOTRAIN_STATE"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    before = os.umask(0o002)
    try:
        files.load_or_compute("key", lambda: b"content")
        assert (tmp_path / "ROBOTRAIN_CACHE/computed").stat().st_mode & 0o020
        assert robotrain("runs").exit_code == 0
    finally:
        os.umask(before)


def test_the_users_own_group_may_write(folder, monkeypatch):
    folder.chmod(0o770)
    for is_private, count in ((True, 0), (False, 1)):
        monkeypatch.setattr(ownership, "_is_private_group", lambda number, is_private=is_private: is_private)
        assert len([*ownership.find_ownership_problems(files.list_own_folders())]) == count


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to another user")
def test_what_another_user_owns_is_refused_and_no_chmod_is_suggested(robotrain, folder):
    os.chown(folder, 54321, -1)
    answer = robotrain("runs")
    answer.check_problems(2, "folder-open-to-others")
    assert "chmod" not in answer.stderr


def open_to_all(place: Path) -> None:
    place.chmod(0o777)


def give_away(place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives a folder to another user")
    os.chown(place, 54321, -1)


@pytest.mark.parametrize("name", ["", "payload"])
@pytest.mark.parametrize("change", [open_to_all, give_away])
def test_nothing_is_run_from_a_run_folder_that_others_can_write_to(tmp_path, name, change):
    folder, ran = tmp_path / "pick-1", tmp_path / "ran"
    runtime = folder / "payload/robotrain_runtime"
    runtime.mkdir(parents=True)
    (runtime / "__init__.py").touch()
    (runtime / "__main__.py").write_text(f"open({str(ran)!r}, 'w')")
    change(folder / name)
    with pytest.raises(Rejected) as refused:
        model_registration.register_model(folder, "arm", None, folder / "payload")
    (problem,) = refused.value.problems
    owner = "belongs to the user 54321" if change is give_away else "can be written by every user"
    assert f"{folder / name} {owner}" in problem.title
    assert any("chmod" in suggestion.text for suggestion in problem.suggestions) == (change is open_to_all)
    assert not ran.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to another user")
def test_the_folder_of_another_users_run_is_not_removed(tmp_path):
    (folder := tmp_path / "pick-1").mkdir()
    os.chown(folder, 54321, -1)
    assert removal.remove_folder(folder, dry_run=False) is None
    assert folder.exists()


def test_a_record_that_others_could_write_is_not_read(robotrain, scripted):
    scripted.run("train-1", state="succeeded")
    record = next(files.get_state_folder().rglob("record.json"))
    record.chmod(0o666)
    assert robotrain("runs", "--json").json["runs"][0]["state"] == "broken"
    record.chmod(0o600)
    assert robotrain("runs", "--json").json["runs"][0]["state"] == "succeeded"
