"""The rules by which old runs may be removed."""

import fcntl
import json
import os
import shutil

import pytest
from problem_assertions import check_rejected
from robotrain.model.platform import Platform, PlatformEngine, PlatformPlans
from robotrain.model.run import RemovedInPart, RunRecord, RunState, Status
from robotrain.run_folder.remote_folder import RemoteRunFolders
from robotrain.run_folder.run_folders import RunFolders
from robotrain.run_folder.transport import Transport
from robotrain.store import records, stored_job
from robotrain.submission import interrupted_submit


def record(run: str, **changes: object) -> RunRecord:
    fields: dict = {"run": run, "platform": "plain", "phase": "sent", "job": "0" * 64, "plan": "0" * 64}
    fields |= {"created": 1.0, "workload": "lerobot-train", "settings": {}, "reference": {"id": run}}
    written = RunRecord(**(fields | changes))
    records.get_run_folder(run).mkdir(parents=True)
    (records.get_run_folder(run) / "claimed").touch()
    records.write_record(written)
    return written


class ForgettingEngine(PlatformPlans, PlatformEngine):
    """One that remembers what it was asked to forget."""

    def __init__(self, platform: Platform, state: RunState) -> None:
        super().__init__(platform)
        self.state, self.removed = state, list[str]()

    def status(self, reference):
        return Status(state=self.state)

    def remove_outputs(self, reference, dry_run=False):
        if not dry_run:
            self.removed.append(reference["id"])
        return 7


def make_platform(state: RunState = "succeeded") -> Platform:
    return Platform(name="forgetting", engine_class=lambda platform: ForgettingEngine(platform, state))


def test_the_sources_of_a_run_are_read_from_its_stored_plan():
    record("a-1")
    assert stored_job.read_stored_sources("a-1") == ()
    plan = records.get_run_folder("a-1") / "plan"
    plan.mkdir()
    body = {"job": {"sources": [{"role": "policy", "kind": "local_path", "uri": "/runs/b-1"}]}}
    (plan / "robotrain-plan.json").write_text(json.dumps(body))
    assert [source.uri for source in stored_job.read_stored_sources("a-1")] == ["/runs/b-1"]
    (plan / "robotrain-plan.json").write_text("{")
    assert stored_job.read_stored_sources("a-1") == ()


def test_the_outputs_of_a_run_are_removed_and_then_its_record():
    run, platform = record("a-1"), make_platform()
    (records.get_run_folder("a-1") / "plan").mkdir()
    assert interrupted_submit.remove_run(run, platform) == 7
    assert platform.engine.removed == ["a-1"]
    assert records.list_runs() == []
    assert sorted(path.name for path in records.get_run_folder("a-1").iterdir()) == ["claimed", "forgotten"]


def test_a_running_run_is_not_removed():
    run, platform = record("a-1"), make_platform("running")
    with check_rejected("run-goes-on"):
        interrupted_submit.remove_run(run, platform)
    assert platform.engine.removed == []
    assert records.list_runs() == ["a-1"]


def test_a_run_that_is_being_submitted_is_not_removed():
    run, platform = record("a-1"), make_platform()
    with (records.get_run_folder("a-1") / "claimed").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with check_rejected("run-being-sent"):
            interrupted_submit.remove_run(run, platform)
    assert platform.engine.removed == []
    assert records.list_runs() == ["a-1"]


def test_what_a_run_left_stays_where_its_record_cannot_be_removed():
    run, platform = record("a-1"), make_platform()
    (records.get_run_folder("a-1") / "forgotten").symlink_to("/missing/folder/file")
    with check_rejected("record-not-removed"):
        interrupted_submit.remove_run(run, platform)
    assert platform.engine.removed == []
    assert records.list_runs() == ["a-1"]


def test_a_record_that_stays_after_all_is_told_of_and_can_be_removed_later(tmp_path):
    run, platform = record("a-1"), make_platform()
    plan = records.get_run_folder("a-1") / "plan"
    plan.symlink_to(tmp_path)
    with pytest.raises(RemovedInPart):
        interrupted_submit.remove_run(run, platform)
    assert platform.engine.removed == ["a-1"]
    assert records.list_runs() == ["a-1"]
    plan.unlink()
    interrupted_submit.remove_run(run, platform)
    assert records.list_runs() == []


@pytest.mark.parametrize("folders", [RunFolders(), RemoteRunFolders(Transport())])
class TestRunFolder:
    """Of a scheduler on this machine or on another one."""

    def test_a_folder_that_cannot_be_removed_whole_names_what_is_left(self, folders, tmp_path, monkeypatch):
        (programs := tmp_path / "programs").mkdir()
        (programs / "rm").write_text("#!/bin/sh\necho busy >&2; exit 1\n")
        (programs / "rm").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        monkeypatch.setattr(shutil, "rmtree", fail_as_busy)
        (folder := tmp_path / "runs/a-1").mkdir(parents=True)
        with pytest.raises(RemovedInPart) as removed:
            folders.remove(folder, False)
        [left] = folder.parent.iterdir()
        assert str(left) in str(removed.value)

    def test_a_folder_that_is_a_link_stays(self, folders, tmp_path):
        (tmp_path / "disk").mkdir()
        (tmp_path / "a-1").symlink_to(tmp_path / "disk")
        with pytest.raises(OSError, match="link"):
            folders.remove(tmp_path / "a-1", False)
        assert (tmp_path / "a-1").exists()


def fail_as_busy(*args, **kwargs):
    raise OSError("busy")
