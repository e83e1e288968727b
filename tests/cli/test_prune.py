"""`prune`: what would go is shown first, what is confirmed goes, and the exit code tells when one could not."""

import io
import json
import os
import re
import time

import pytest
from robotrain.cli import arguments
from robotrain.store import files, records
from scripted_runs import record

DAY = 24 * 3600


@pytest.fixture
def prune(robotrain):
    """`prune …`."""
    return lambda *words: robotrain("prune", *words)


@pytest.fixture
def record_old_run(scripted):
    """Record a run that ended so many days ago, with a checkpoint, and with sources of its plan."""

    def make(run, *, days, state="succeeded", sources=(), **fields):
        ended = {} if state == "running" else {"ended": time.time() - days * DAY}
        made = scripted.run(run, state=state, age=days * DAY + 60, **ended, **fields)
        made.add_output("checkpoint", uri=str(made.folder / "left/checkpoint"))
        plan = records.get_run_folder(run) / "plan"
        plan.mkdir()
        job = {"sources": [{"role": "policy", "kind": "local_path", "uri": str(uri)} for uri in sources]}
        (plan / "robotrain-plan.json").write_text(json.dumps({"job": job}))
        return made

    return make


def test_runs_to_remove_are_shown_with_their_sizes_and_removed_when_that_is_confirmed(prune, record_old_run):
    old, new = record_old_run("old-1", days=40), record_old_run("new-1", days=2)
    answer = prune("--older-than", "30d")
    assert answer.exit_code == 0
    titles, row = (line.split() for line in answer.stdout.splitlines())
    assert titles == ["RUN", "STATE", "PLATFORM", "ENDED", "SIZE"]
    assert row == ["old-1", "succeeded", "scripted", "40", "days", "ago", "5", "bytes"]
    assert ("1 run, 5 bytes" in answer.stderr, "--yes" in answer.stderr) == (True, True)
    assert records.list_runs() == ["new-1", "old-1"]
    confirmed = prune("--older-than", "30d", "--yes")
    assert confirmed.exit_code == 0
    assert "1 run removed, 5 bytes freed" in confirmed.stdout
    assert (old.folder.exists(), new.folder.exists()) == (False, True)
    assert records.list_runs() == ["new-1"]


@pytest.mark.parametrize(("typed", "is_removed"), [("y\n", True), ("\n", False), ("", False)])
def test_confirmation_is_asked_for_on_a_terminal(monkeypatch, capsys, typed, is_removed):
    monkeypatch.setattr(arguments, "is_terminal", lambda stream: True)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert arguments.confirm_removal("1 run", yes=False) is is_removed
    shown = capsys.readouterr().err
    assert ("remove 1 run? [y/N]" in shown, "nothing was removed" in shown) == (True, not is_removed)


def test_ctrl_c_at_the_confirmation_ends_the_line(monkeypatch, capsys):
    class Stdin:
        def readline(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(arguments, "is_terminal", lambda stream: True)
    monkeypatch.setattr("sys.stdin", Stdin())
    with pytest.raises(KeyboardInterrupt):
        arguments.confirm_removal("1 run", yes=False)
    assert re.fullmatch(r".*\[y/N\] \n", capsys.readouterr().err)


def test_state_platform_and_number_choose_the_runs(prune, record_old_run):
    for number in range(1, 4):
        record_old_run(f"bad-{number}", days=10 - number, state="failed")
        record_old_run(f"good-{number}", days=10 - number)
    record_old_run("far-1", days=99, state="failed", platform="other")
    prune("--keep", "1", "--state", "failed", "--platform", "scripted", "--yes")
    assert sorted(records.list_runs()) == ["bad-3", "far-1", "good-1", "good-2", "good-3"]
    prune("--keep", "2", "--yes")
    assert records.list_runs() == ["good-3", "bad-3"]


def test_unfinished_runs_broken_records_and_interrupted_submits_stay_with_a_reason(prune, record_old_run):
    record_old_run("busy-1", days=40, state="running")
    record_old_run("broken-1", days=40)
    (records.get_run_folder("broken-1") / "record.json").write_text("{")
    record_old_run("cut-1", days=40)
    path = records.get_run_folder("cut-1") / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"phase": "sending"}))
    answer = prune("--older-than", "30d", "--yes")
    assert [run for run in ("busy-1", "broken-1", "cut-1") if f"{run} stays" not in answer.stderr] == []
    assert "busy-1 stays: it is running" in answer.stderr
    assert f"rm -r {records.get_run_folder('broken-1')}" in answer.stderr
    assert len(records.list_runs()) == 3


def test_run_that_a_newer_one_was_started_from_stays(prune, record_old_run):
    base = record_old_run("base-1", days=40)
    record_old_run("tuned-1", days=2, sources=(base.folder / "left/checkpoint",))
    assert "base-1 stays: tuned-1 was started from it" in prune("--older-than", "30d", "--yes").stderr
    assert base.folder.exists()
    plan = records.get_run_folder("tuned-1") / "plan/robotrain-plan.json"
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"schema": 99}))  # of a newer robotrain
    assert "base-1 stays" in prune("--older-than", "30d", "--yes").stderr
    prune("--older-than", "1d", "--yes")  # both together
    assert records.list_runs() == []


def test_all_runs_that_a_kept_run_descends_from_stay(prune, record_old_run):
    runs = [record_old_run("run-1", days=50)]
    runs.append(record_old_run("run-2", days=45, sources=(runs[0].folder / "left/checkpoint",)))
    record_old_run("run-3", days=2, sources=(runs[1].folder / "left/checkpoint/model",))
    record_old_run("run-4", days=2, sources=(f"{record_old_run('alone-1', days=40).folder}/left/checkpoint-2",))
    answer = prune("--older-than", "30d", "--yes")
    assert [f"run-{number} stays: run-{number + 1} was" in answer.stderr for number in (1, 2)] == [True, True]
    assert records.list_runs() == ["run-4", "run-3", "run-2", "run-1"]


def test_age_of_a_run_is_from_its_end_or_from_its_submit_where_the_end_is_unknown(prune, scripted):
    scripted.run("long-1", state="succeeded", age=40 * DAY, ended=time.time() - DAY)
    scripted.run("unseen-1", state="succeeded", age=40 * DAY)
    assert prune("--older-than", "30d", "--yes").exit_code == 0
    assert records.list_runs() == ["long-1"]


def test_of_an_adopted_run_only_the_record_goes_unless_it_is_named(prune, record_old_run):
    runs = [record_old_run(run, days=40) for run in ("anns-1", "mine-1", "base-1")]
    record_old_run("tuned-1", days=1, sources=(runs[2].folder / "left/checkpoint",))
    for run in ("anns-1", "base-1", "mine-1"):
        path = records.get_run_folder(run) / "record.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"host": ""}))
    assert prune("mine-1", "--yes").exit_code == 0
    assert [record.folder.exists() for record in runs] == [True, False, True]
    answer = prune("--older-than", "30d", "--yes")
    assert "2 runs" in answer.stderr
    assert "only the record" in answer.stderr
    assert [record.folder.exists() for record in runs] == [True, False, True], "they stay whosever they are"
    assert records.list_runs() == ["tuned-1"]


def test_only_the_record_is_removed_where_the_platform_keeps_outputs(prune, record_old_run):
    far = record_old_run("far-1", days=40)
    far.set_flag("keeps")
    answer = prune("--older-than", "30d", "--yes")
    assert answer.stdout.splitlines()[1].endswith("-")
    assert ("only the record" in answer.stderr, "removed far-1" in answer.stderr) == (True, True)
    assert far.folder.exists()
    assert records.list_runs() == []


def test_run_that_its_platform_no_longer_knows_is_removed(prune, record_old_run):
    record_old_run("old-1", days=40).set_flag("gone")
    prune("--older-than", "30d", "--yes")
    assert records.list_runs() == []


def test_run_of_a_removed_platform_stays(prune, tmp_path):
    record("lost-1", "removed", tmp_path, time.time() - 40 * DAY)
    assert "lost-1 stays: no platform 'removed' is installed" in prune("--older-than", "30d", "--yes").stderr


def test_run_that_cannot_be_removed_is_named_and_the_others_are_removed(prune, record_old_run):
    record_old_run("stuck-1", days=50).set_flag("stuck")
    record_old_run("old-1", days=40)
    answer = prune("--older-than", "30d", "--yes")
    answer.check(1, "removed old-1", "stuck-1 was not removed: its files cannot be removed")
    assert records.list_runs() == ["stuck-1"]


@pytest.mark.parametrize("named", ["pick", "pic"])
def test_run_is_removed_by_its_name(prune, record_old_run, named):
    record_old_run("pick-1", days=1, called="pick")
    record_old_run("place-1", days=40, called="place")
    assert prune(named, "--yes").exit_code == 0
    assert records.list_runs() == ["place-1"]


@pytest.mark.parametrize(
    ("words", "exit_code", "problems"),
    [
        (["twin"], 2, ["usage"]),
        (["base", "--keep", 3], 2, ["usage"]),
        (["base", "--state", "failed"], 2, ["usage"]),
        (["nobody"], 2, ["run-unknown"]),
        (["base"], 1, []),
        (["busy"], 1, []),
    ],
)
def test_named_run_that_is_not_removed(prune, record_old_run, words, exit_code, problems):
    record_old_run("a-1", days=3, called="twin")
    record_old_run("b-1", days=2, called="twin")
    base = record_old_run("base-1", days=4)
    record_old_run("tuned-1", days=1, sources=(base.folder / "left/checkpoint",))
    record_old_run("busy-1", days=1, state="running")
    answer = prune(*words, "--yes")
    answer.check_problems(exit_code, *problems)
    if not problems:
        assert f"{words[0]}-1 stays" in answer.stderr
    assert len(records.list_runs()) == 5


def test_beginning_of_a_name_removes_nothing(prune, record_old_run):
    record_old_run("train-1", days=1, called="cups")
    prune("cu", "--yes").check_problems(2, "usage")
    assert records.list_runs() == ["train-1"]
    assert prune("cups", "--yes").exit_code == 0


@pytest.mark.parametrize("words", [("--older-than", "30d"), ("old",)])
def test_dry_run_removes_nothing_even_with_yes(prune, record_old_run, words):
    record_old_run("old-1", days=40)
    answer = prune(*words, "--yes", "--dry-run")
    assert answer.exit_code == 0
    assert "old-1" in answer.stdout
    assert "nothing was removed" in answer.stderr
    assert records.list_runs() == ["old-1"]


def test_json_of_a_removal(prune, record_old_run):
    record_old_run("old-1", days=40)
    record_old_run("busy-1", days=40, state="running")
    shown = prune("--older-than", "30d", "--json").json
    (run,) = shown["runs"]
    assert time.time() - run.pop("ended") > 39 * DAY
    removed = {"removed": False, "removed_in_part": False}
    assert run == {"run": "old-1", "platform": "scripted", "state": "succeeded", "bytes": 5} | removed
    assert shown["staying"] == [{"run": "busy-1", "why": "it is running"}]
    assert prune("--older-than", "30d", "--yes", "--json").json["runs"][0]["removed"] is True


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--yes",), "usage"),
        (("--yes", "--older-than", "long"), "value-invalid --older-than long"),
    ],
)
def test_wrong_options_are_refused_and_nothing_is_removed(robotrain, record_old_run, options, problem):
    record_old_run("old-1", days=40)
    robotrain("prune", *options).check_problems(2, problem)
    assert records.list_runs() == ["old-1"]


def test_old_temporary_files_are_removed(robotrain, record_old_run):
    record_old_run("a-1", days=1)
    state = files.get_state_folder()
    old, new = records.get_run_folder("a-1") / ".record-old.tmp", records.get_run_folder("a-1") / ".record-new.tmp"
    folder = state / "runs" / ".b-1.4711"
    folder.mkdir()
    payload = state / "payloads" / ("0" * 64 + ".zip")
    payload.parent.mkdir()
    used_payload = state / "payloads" / ("1" * 64 + ".zip")
    for file in (old, new, folder / "record.json", payload, used_payload):
        file.write_text("x")
    os.link(used_payload, records.get_run_folder("a-1") / "payload.zip")
    for path in (old, folder, payload, used_payload):
        os.utime(path, (1, 1))
    robotrain("prune", "--keep", "5", "--dry-run").check(0)
    assert old.exists()
    robotrain("prune", "--keep", "5").check(0, "removed 3 temporary files")
    assert [path.exists() for path in (old, folder, payload, new, used_payload)] == [False, False, False, True, True]
    assert records.read_record("a-1").run == "a-1"
