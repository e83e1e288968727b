"""The same job on the same platform is one run while it has not ended; `--new` starts another."""

import json
import shutil
import threading
import time

import pytest
from fake_engine import answer_submits, count_submissions, set_run_state
from robotrain import api, network_deadline
from robotrain.errors import Rejected
from robotrain.store import name_lock, plans, records, stored_job


@pytest.fixture
def submit(robotrain, fake_platform, pusht):
    """Submit a training to an engine where runs go on until a test says otherwise."""

    def submit(*more: object):
        return robotrain("submit", "--platform", "fake", "--dataset-path", pusht, *more)

    return submit


def test_a_running_job_is_not_sent_again(submit, fake_platform):
    first = submit("--json", "--name", "pick").json
    again = submit("--json", "--name", "other", "--note", "again")
    assert (again.exit_code, again.json["run"], again.json["new"]) == (0, first["run"], False)
    assert first["new"] is True
    assert count_submissions(fake_platform) == {first["run"]: 1}
    again.check_problems(0, "run-unfinished")
    assert records.read_record(first["run"]).note == ""
    assert submit().stdout.strip() == first["run"]


def test_a_job_whose_run_has_ended_is_sent_again(submit, fake_platform):
    run = submit("--json").json["run"]
    for attempt, state in enumerate(("succeeded", "failed", "cancelled", "lost", "forgotten"), 2):
        shutil.rmtree(fake_platform / "jobs") if state == "forgotten" else set_run_state(fake_platform, run, state)
        submitted = submit("--json").json
        assert (submitted["run"], submitted["new"]) == (f"{run[:-1]}{attempt}", True), state
        run = submitted["run"]
        assert count_submissions(fake_platform)[run] == 1


def test_new_starts_another_run_of_a_job_that_runs(submit, fake_platform):
    first, second = (submit("--json", *words).json["run"] for words in ((), ("--new",)))
    assert count_submissions(fake_platform) == {first: 1, second: 1}
    assert submit("--json").json["run"] == second, "the newest of them is named"


def test_a_lost_run_that_runs_again_is_the_run_of_the_job(submit, fake_platform):
    first = submit("--json").json["run"]
    set_run_state(fake_platform, first, "lost")
    second = submit("--json").json["run"]
    set_run_state(fake_platform, second, "succeeded")
    set_run_state(fake_platform, first, "running")
    assert submit("--json").json["run"] == first


def leave(fake_platform, run: str, state: str, *steps: int) -> None:
    set_run_state(fake_platform, run, state, checkpoints=list(steps))


@pytest.mark.parametrize(
    ("state", "steps", "is_noted"),
    [("lost", [2, 4], True), ("failed", [4], True), ("lost", [], False), ("succeeded", [4], False)],
)
def test_what_the_earlier_run_left_is_noted_before_anything_is_sent(submit, fake_platform, state, steps, is_noted):
    first = submit("--json").json["run"]
    leave(fake_platform, first, state, *steps)
    answer = submit(*["--dry-run"] * (state == "failed"))
    answer.check_problems(0, *["run-left-checkpoint"] * is_noted)
    assert ("[run-left-checkpoint]" in answer.stderr) == is_noted
    assert len(count_submissions(fake_platform)) == 2 - (state == "failed")


@pytest.mark.parametrize(("flag", "state", "exit_code"), [("--wait", "failed", 5), ("--stream", "succeeded", 0)])
def test_waiting_follows_the_run_and_exits_as_it_does(submit, fake_platform, monkeypatch, flag, state, exit_code):
    monkeypatch.setattr("robotrain.cli.watch.follower.POLL_SECONDS", 0.2)
    import fake_plugin

    first, query, calls = submit("--json").json["run"], fake_plugin.FakeEngine.status, []

    def end_while_it_is_followed(self: object, reference: dict[str, str]) -> object:
        calls.append(reference)
        if len(calls) == 3:
            set_run_state(fake_platform, first, state)
        return query(self, reference)

    monkeypatch.setattr(fake_plugin.FakeEngine, "status", end_while_it_is_followed)
    again = submit(flag, "--json")
    assert (again.exit_code, again.json["run"], again.json["state"]) == (exit_code, first, state)
    assert count_submissions(fake_platform) == {first: 1}


def test_a_job_is_not_sent_again_while_its_platform_does_not_answer(submit, fake_platform, monkeypatch):
    import fake_plugin

    first = submit("--json").json["run"]

    def hang_up(self: object, reference: object) -> None:
        raise ConnectionResetError("no answer from https://fake/?sig=c2VjcmV0")

    monkeypatch.setattr(fake_plugin.FakeEngine, "status", hang_up)
    again = submit("--json")
    again.check_problems(1, "run-unfinished-unsure")
    assert first in again.stderr
    assert "c2VjcmV0" not in again.stderr + again.stdout
    assert count_submissions(fake_platform) == {first: 1}
    assert submit("--json", "--new").json["run"] == first[:-1] + "2"


def test_a_platform_slower_than_the_limit_of_lists_is_waited_for(submit, fake_platform, monkeypatch):
    import fake_plugin

    first, query = submit("--json").json["run"], fake_plugin.FakeEngine.status

    def answer_late(self: object, reference: dict[str, str]) -> object:
        time.sleep(0.5)
        return query(self, reference)

    monkeypatch.setattr(fake_plugin.FakeEngine, "status", answer_late)
    monkeypatch.setattr(network_deadline, "SHORT_SECONDS", 0.2)
    assert submit("--json").json["run"] == first


def test_a_job_with_another_value_is_sent(submit, fake_platform):
    others = (("--slots", "60"), ("--training-steps", "7"), ("--job-name", "mine"), ("--", "--tolerance_s=1"))
    runs = [submit("--json", *words).json["run"] for words in ((), *others)]
    assert count_submissions(fake_platform) == dict.fromkeys(runs, 1)
    assert len({*runs}) == 5


def test_a_run_with_other_settings_is_mentioned(submit):
    submit("--name", "pick")
    submit("--slots", "60").check_problems(0, "run-alike")


def test_changed_data_in_the_same_folder_is_another_run(robotrain, fake_platform, pusht, tmp_path):
    data = tmp_path / "episodes"
    shutil.copytree(pusht, data)
    line = ("submit", "--platform", "fake", "--dataset-path", data, "--json")
    first = robotrain(*line).json["run"]
    assert robotrain(*line).json["run"] == first
    assert robotrain(*line, "--no-pin").json["run"] == first, "what is not pinned may be the same"
    info = data / "meta/info.json"
    info.write_text(info.read_text() + "\n")
    assert robotrain(*line).json["run"] == first[:-1] + "2"


def test_a_dry_run_says_that_nothing_would_be_sent(submit):
    submit()
    submit("--dry-run").check_problems(0, "run-unfinished")
    assert "[run-unfinished]" not in submit("--dry-run", "--new").stderr


def test_two_submits_at_once_are_one_run(submit, fake_platform):
    """The second one waits for the first; the name of the job is locked meanwhile."""
    first = submit("--json").json["run"]
    job = plans.read_stored_plan(first).plan.job
    shutil.rmtree(records.get_run_folder(first))
    waited: list[str] = []
    held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with name_lock.lock_job(job, "fake", lambda: waited.append("first")):
            held.set()
            may_go.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(20)
    threading.Timer(0.5, may_go.set).start()
    submit("--no-pin").check_problems(0, "run-being-sent")
    holder.join()
    assert waited == []
    assert list((records.get_runs_folder().parent / "submitting").iterdir()) == []


def test_new_waits_for_no_other_submit(submit):
    first = submit("--json").json["run"]
    with name_lock.lock_job(plans.read_stored_plan(first).plan.job, "fake", lambda: None):
        assert submit("--json", "--new").json["run"] == first[:-1] + "2"


def test_an_interrupted_submit_is_not_finished_beside_a_run(submit, fake_platform):
    first = submit("--json").json["run"]
    with answer_submits(fake_platform, "hangs up"):
        assert submit("--new").exit_code == 1
    assert submit("--json").json["run"] == first
    assert count_submissions(fake_platform) == {first: 1}


def test_resubmit_of_an_unfinished_run_needs_new_unless_something_changes(submit, robotrain, fake_platform):
    first = submit("--json", "--name", "pick").json["run"]
    again = robotrain("resubmit", first, "--json")
    assert (again.exit_code, again.json["run"], again.json["new"]) == (0, first, False)
    changed = robotrain("resubmit", first, "--set", "seed=7", "--json").json
    assert changed["new"] is True
    assert robotrain("resubmit", first, "--set", "seed=7", "--json").json["run"] == changed["run"]
    assert submit("--name", "pick", "--seed", "7", "--json").json["run"] == changed["run"]
    assert robotrain("resubmit", first, "--new", "--json").json["run"] == first[:-1] + "2"
    set_run_state(fake_platform, first, "failed")
    set_run_state(fake_platform, first[:-1] + "2", "failed")
    assert robotrain("resubmit", first, "--json").json["run"] == first[:-1] + "3"


def test_resume_typed_twice_is_one_run(submit, robotrain, fake_platform):
    first = submit("--json", "--training-steps", "20").json["run"]
    set_run_state(fake_platform, first, "failed", checkpoints=[4])
    line = ("resume", first, "--training-steps", "40", "--json")
    runs = [robotrain(*line, *more).json["run"] for more in ((), (), ("--new",))]
    assert runs[0] == runs[1] != runs[2]


def test_a_plan_typed_twice_is_one_run(robotrain, submit, fake_platform, pusht, tmp_path):
    line = ("render", "--platform", "fake", "--dataset-path", pusht, "--to", tmp_path / "plan")
    assert robotrain(*line).exit_code == 0
    first, again = (robotrain("submit", "--plan", tmp_path / "plan", "--json") for _ in range(2))
    assert (again.exit_code, again.json["run"], again.json["new"]) == (0, first.json["run"], False)
    set_run_state(fake_platform, first.json["run"], "succeeded")
    assert robotrain("submit", "--plan", tmp_path / "plan").exit_code == 2


def test_the_python_api_returns_the_run_that_goes_on(fake_platform, pusht):
    line = {"platform": "fake", "dataset_path": pusht, "pin": False}
    first = api.submit(**line)
    again = api.submit(name="other", **line)
    assert again == first
    assert [warning.code for warning in again.warnings] == ["run-unfinished"]
    assert api.submit(new=True, **line) != first


def test_a_run_of_an_earlier_robotrain_counts(submit, fake_platform):
    """Its plan does not say that `--name` named its job; without a name, its digest is the same as now."""
    first = submit("--json").json["run"]
    path = stored_job.get_plan_folder(first) / "robotrain-plan.json"
    manifest = json.loads(path.read_text())
    del manifest["job"]["labels"]
    path.write_text(json.dumps(manifest))
    assert submit("--json").json["run"] == first
    assert submit("--json", "--name", "pick").json["run"] == first


# Names that several runs share


@pytest.fixture
def runs_of_one_name(submit):
    """Two runs of one name, both unfinished, the older first."""
    return [submit("--name", "pick", "--json", *more).json["run"] for more in ((), ("--seed", "7"))]


CHANGING = [
    ("cancel", "pick"),
    ("cancel", "pic"),
    ("rename", "pick", "other"),
    ("resubmit", "pick"),
    ("resume", "pick"),
    ("register", "pick", "model"),
    ("pipeline", "resume", "pick"),
]


def test_a_name_that_unfinished_runs_share_is_refused(robotrain, fake_platform, runs_of_one_name):
    for words in CHANGING:
        answer = robotrain(*words, "--json")
        (problem,) = answer.json["problems"]
        assert (answer.exit_code, problem["code"], problem["where"]) == (2, "run-name-shared", "RUN"), words
        assert {way["text"] for way in problem["instead"]} == set(runs_of_one_name), words
    assert [records.read_record(run).name for run in runs_of_one_name] == ["pick", "pick"]
    assert [*count_submissions(fake_platform).values()] == [1, 1]


def test_a_run_given_itself_is_changed(robotrain, runs_of_one_name):
    assert robotrain("cancel", runs_of_one_name[0], "--json").json["state"] == "cancelled"
    assert robotrain("rename", runs_of_one_name[1], "other").exit_code == 0
    assert robotrain("cancel", "latest", "--json").json["run"] == runs_of_one_name[1]


def test_last_means_the_newest_run_and_no_name_that_begins_so(submit, robotrain):
    _, newest = (submit("--name", "last-try", "--json", "--seed", seed).json["run"] for seed in ("1", "2"))
    answer = robotrain("cancel", "last", "--json")
    assert answer.json["run"] == newest
    assert "last is" not in answer.stderr


def test_cancel_of_a_name_stops_the_run_that_has_not_ended(robotrain, runs_of_one_name, fake_platform):
    set_run_state(fake_platform, runs_of_one_name[1], "succeeded")
    answer = robotrain("cancel", "pick", "--json")
    assert answer.json["run"] == runs_of_one_name[0]
    assert f"pick is {runs_of_one_name[0]}" in answer.stderr
    assert robotrain("cancel", "pick", "--json").json["run"] == runs_of_one_name[1], "without any, the newest"


def test_a_run_whose_platform_is_silent_counts_as_unfinished(robotrain, runs_of_one_name, fake_platform, monkeypatch):
    import fake_plugin

    set_run_state(fake_platform, runs_of_one_name[0], "failed")
    status = fake_plugin.FakeEngine.status

    def hang_up(self: object, reference: dict[str, str]) -> object:
        if reference["id"] == runs_of_one_name[0]:
            raise ConnectionResetError("no answer")
        return status(self, reference)

    monkeypatch.setattr(fake_plugin.FakeEngine, "status", hang_up)
    (problem,) = robotrain("cancel", "pick", "--json").json["problems"]
    assert problem["code"] == "run-name-shared"


def test_the_python_api_changes_no_run_of_a_shared_name(runs_of_one_name):
    with pytest.raises(Rejected) as refused:
        api.Run("pick").cancel()
    assert [problem.code for problem in refused.value.problems] == ["run-name-shared"]
    api.Run(runs_of_one_name[0]).cancel()
    api.Run("pick").cancel()
    assert {api.Run(run).status().state for run in runs_of_one_name} == {"cancelled"}


@pytest.mark.parametrize("name", ["pick", "lerobot-train-"])
def test_a_run_of_the_python_api_stays_what_it_was_found_as(submit, robotrain, name):
    assert submit("--name", "pick").exit_code == 0
    run = api.Run(name)
    assert robotrain("rename", run.name, "other").exit_code == 0
    submit("--seed", "7")
    run.cancel()
    assert api.Run(run.name).status().state == "cancelled"
