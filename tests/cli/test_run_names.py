"""Runs have names that people give them: shown, searched, and meant wherever a run is named."""

import dataclasses
import shutil

import pytest
from fake_engine import set_run_state
from robotrain import api
from robotrain.cli.next_commands import make_evaluation_command
from robotrain.errors import Rejected
from robotrain.store import files, name_index, name_lock, plans, records, stored_job
from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import JobSource


def test_run_is_named_after_its_data_and_policy_unless_it_or_its_job_has_a_name(submit_plain):
    for words, name in (
        ((), "pusht-act"),
        (("--policy-type", "diffusion"), "pusht-diffusion"),
        (("--name", "pick-v3"), "pick-v3"),
        (("--job-name", "Pick cups, v3"), "Pick-cups-v3"),
        (("--job-name", "latest"), "pusht-act"),
    ):
        record = records.read_record(submit_plain(*words, "--note", "new gripper"))
        assert (record.name, record.note) == (name, "new gripper"), words


def test_revision_is_not_part_of_a_name_and_the_environment_may_name_the_job(submit_plain, monkeypatch):
    names = [
        records.read_record(submit_plain(data=f"lerobot/pusht@{revision}")).name for revision in ("main", "refs/pr/1")
    ]
    assert names == ["pusht-act", "pusht-act"]
    monkeypatch.setenv("JOB_NAME", "of-the-environment")
    assert records.read_record(submit_plain()).name == "of-the-environment"


FOLDERS = {
    "pick-cups/dataset": "pick-cups-act",
    "cups/data/train": "cups-act",
    "robot-20261115-2/cups": "cups-act",
    "me@corp/data/cups": "cups-act",
    "me@corp/data": "me-corp-act",
}


def test_folders_with_general_names_are_not_part_of_a_name(robotrain, fake_platform, pusht, tmp_path):
    for number, (folder, name) in enumerate(FOLDERS.items()):
        place = tmp_path / str(number) / folder
        place.parent.mkdir(parents=True)
        shutil.copytree(pusht, place)
        answer = robotrain("submit", "--platform", "fake", "--no-pin", "--json", "--dataset-path", place)
        assert records.read_record(answer.json["run"]).name == name, folder


POLICIES = {
    "{run}/outputs/checkpoints/000400": "eval-of-pick-v3-pusht",
    "lerobot-train-0123abcd-1/outputs/checkpoints/000400": "eval-of-lerobot-train-0123abcd-1-pusht",
    "outputs/train/act_cups/checkpoints/last/pretrained_model": "eval-of-act_cups-pusht",
}


def test_evaluation_is_named_after_the_run_that_trained_its_policy(robotrain, scripted, fake_platform, tmp_path):
    scripted.run("lerobot-train-01234567-1", called="pick-v3")
    for place, name in POLICIES.items():
        policy = tmp_path / place.format(run="lerobot-train-01234567-1")
        policy.mkdir(parents=True)
        (policy / "config.json").write_text('{"type": "act"}')
        (policy / "model.safetensors").touch()
        words = ("lerobot-eval", "--platform", "fake", "--policy-path", policy, "--env", "pusht", "--no-pin", "--json")
        assert records.read_record(robotrain("submit", *words).json["run"]).name == name


def test_what_a_simulation_loads_is_no_part_of_a_name(robotrain, fake_platform, tmp_path):
    (tmp_path / "lab-assets").mkdir()
    words = ("isaac-train", "--platform", "fake", "--assets", tmp_path / "lab-assets", "--task", "Own-Task", "--no-pin")
    assert records.read_record(robotrain("submit", *words, "--json").json["run"]).name.startswith("Own-Task-")


def test_name_stands_for_its_newest_run(submit_plain, robotrain):
    older, newer = submit_plain("--name", "pick-v3"), submit_plain("--name", "pick-v3", "--seed", "7")
    other = submit_plain("--seed", "8")
    answer = robotrain("status", "pick-v3", "--json")
    assert answer.json["run"] == newer
    assert f"pick-v3 is {newer}, the newest of 2 runs" in answer.stderr
    assert robotrain("status", older, "--json").json["run"] == older
    assert robotrain("logs", "latest").exit_code == robotrain("logs", "last").exit_code
    assert robotrain("status", "latest", "--json").json["run"] == other


def test_beginning_of_a_name_stands_for_its_newest_run(scripted, robotrain):
    for run, name in (("train-1", "pick-v3"), ("train-2", "pick-v3"), ("train-3", "long"), ("train-4", "")):
        scripted.run(run, called=name, state="succeeded")
    for text, run in (("pi", "train-2"), ("lon", "train-3")):
        answer = robotrain("status", text)
        assert f"{text} is {run}" in answer.stderr
    assert robotrain("status", "train-4").stderr.count("named") == 0
    assert robotrain("status", "train-4", "--json").json["name"] == ""


def test_unknown_run_is_answered_with_names(scripted, robotrain):
    scripted.run("train-1", called="first", age=10)
    scripted.run("train-2", called="fine", age=5)
    for text in ("frist", "fi", "tarin-1", "zzzzz"):
        robotrain("status", text).check_problems(2, "run-unknown")


def test_repeated_run_keeps_the_name(submit_plain, robotrain):
    submit_plain("--name", "pick-v3")
    again = robotrain("resubmit", "pick-v3", "--set", "seed=9", "--no-pin", "--json").json["run"]
    assert records.read_record(again).name == "pick-v3"
    rows = {row["name"]: row["value"] for row in stored_job.read_stored_values(again)}
    assert rows["job_name"] == "pick-v3", "tracking knows it by that name too"
    other = robotrain("resubmit", "pick-v3", "--set", "seed=10", "--no-pin", "--name", "pick-v4", "--json").json["run"]
    assert records.read_record(other).name == "pick-v4"


def test_run_is_renamed_and_found_by_its_new_name(submit_plain, robotrain):
    run = submit_plain("--name", "pick-v3", "--note", "old gripper")
    assert robotrain("rename", "pick-v3", "pick-v4").stdout == f"{run} is named pick-v4, note: old gripper\n"
    assert robotrain("status", "pick-v4", "--json").json["run"] == run
    assert robotrain("status", "pick-v3").exit_code == 2
    renamed = robotrain("rename", run, "--note", "", "--json").json
    assert renamed == {"run": run, "name": "pick-v4", "note": "", "before": "pick-v4"}


def test_rename_refuses_a_missing_or_reserved_name_and_a_run_that_is_being_submitted(submit_plain, robotrain):
    run = submit_plain()
    robotrain("rename", run).check_problems(2, "usage")
    robotrain("rename", run, "latest").check_problems(2, "value-invalid NAME")
    with name_lock.acquire_name_lock(records.get_run_folder(run)):
        answer = robotrain("rename", run, "pick-v4")
    answer.check_problems(1, "run-being-sent")
    assert records.read_record(run).name == "pusht-act"


SUBMIT = ("submit", "--platform", "plain", "--dataset-repo-id", "lerobot/pusht")


def test_invalid_name_is_refused_before_anything_is_sent(submit_plain, robotrain):
    run = submit_plain("--name", "pick")
    for words, problem in (
        (("rename", "pick", "my first run!"), "value-invalid NAME"),
        (("rename", "pick", "!!"), "value-invalid NAME"),
        (("rename", "pick", "hf_" + "a1B2" * 10 + "!"), "secret-in-job NAME"),
        ((*SUBMIT, "--name", "pick/v3"), "value-invalid --name"),
        ((*SUBMIT, "--name", "latest"), "value-invalid --name"),
        ((*SUBMIT, "--name=-x"), "value-invalid --name"),
        ((*SUBMIT, "--name", "x" * 81), "value-invalid --name"),
    ):
        robotrain(*words).check_problems(2, problem)
    assert (records.list_runs(), records.read_record(run).name) == ([run], "pick")


def test_list_shows_names(submit_plain, robotrain):
    picked = submit_plain("--name", "pick-v3", "--note", "new gripper")
    submit_plain("--seed", "7")
    titles, _, first, note = robotrain("runs").stdout.splitlines()
    assert note == "  note: new gripper"
    assert titles.split()[:3] == ["NAME", "RUN", "STATE"]
    assert first.split()[:2] == ["pick-v3", picked]
    (row,) = robotrain("runs", "--name", "pick-*", "--json").json["runs"]
    assert (row["run"], row["name"], row["note"]) == (picked, "pick-v3", "new gripper")
    assert robotrain("runs", "--workload", "lerobot-eval", "--json").json["runs"] == []
    assert len(robotrain("runs", "--workload", "lerobot-train", "--since", "1h", "--json").json["runs"]) == 2


def test_line_that_evaluates_a_training_brings_the_backbone_that_was_given(submit_plain, monkeypatch):
    data = JobSource(role="dataset", kind="huggingface", uri="lab/data")
    backbone = JobSource(role="backbone", kind="local_path", uri="/models/lab/vlm")
    implied = JobSource(role="backbone", kind="huggingface", uri="lab/words", implied=True)
    record = records.read_record(submit_plain())
    for sources, words in (((data, backbone, implied), " --backbone-path /models/lab/vlm"), ((data, implied), "")):
        monkeypatch.setattr(stored_job, "read_stored_sources", lambda run, stored=sources: stored)
        line = make_evaluation_command(record)
        assert line.endswith(f"--dataset-repo-id lab/data{words} --platform plain")


@pytest.fixture
def leave_checkpoint(plain_platform, monkeypatch):
    """Let the log of each run of the plain platform tell of a checkpoint."""
    line = event.format_event(event.Checkpoint(step=400, path="/plain/work/000400"))
    monkeypatch.setattr("plain_plugin.PlainEngine.logs", lambda self, reference, follow, tail=None: iter([line]))


def test_nothing_is_evaluated_of_a_run_that_left_no_checkpoint(submit_plain, robotrain):
    run = submit_plain()
    for command in ("status", "wait"):
        page = robotrain(command).stdout
        assert "--policy-run" not in page
        assert "robotrain outputs" not in page
    assert "it saved no checkpoint" in robotrain("status").stdout
    assert robotrain("status", "--json").json["next"] == [f"robotrain logs --tail 40 {run}", f"robotrain report {run}"]


@pytest.mark.usefixtures("leave_checkpoint")
def test_line_that_evaluates_a_training_on_its_data_is_suggested(submit_plain, robotrain):
    run = submit_plain("--name", "pick")
    line = f"robotrain submit lerobot-eval --policy-run {run} --dataset-repo-id lerobot/pusht --platform plain"
    assert robotrain("status", "--json").json["next"][-1] == line
    assert line.replace(run, "pick") in robotrain("wait").stdout


def test_no_evaluation_of_a_reward_model_is_suggested(submit_plain):
    record = records.read_record(submit_plain())
    rewarded = dataclasses.replace(record, values={**record.values, "reward_model": ("sarm", "")})
    assert make_evaluation_command(record)
    assert not make_evaluation_command(rewarded)


def test_next_commands_call_a_run_by_its_name_where_no_other_run_has_it(submit_plain, robotrain):
    first = submit_plain("--name", "pick")
    for command in (("status", first), ("wait", first)):
        assert "robotrain report pick " in robotrain(*command).stdout
    assert f"robotrain report {first}" in robotrain("status", first, "--json").json["next"]
    second = submit_plain("--name", "pick", "--batch-size", "8")
    for run in (first, second):
        assert f"robotrain report {run} " in robotrain("status", run).stdout
    named_as_a_run = submit_plain("--name", first[:-4], "--batch-size", "9")
    assert f"robotrain report {named_as_a_run} " in robotrain("status", named_as_a_run).stdout


def test_each_command_prints_which_run_of_a_name_it_takes(robotrain, fake_platform, pusht):
    line = ("submit", "--platform", "fake", "--json", "--no-pin", "--dataset-path", pusht, "--training-steps", "8")
    runs = [robotrain(*line, "--new", "--name", name).json["run"] for name in ("pick-v3", "pick-v3", "other")]
    for run in runs:
        set_run_state(fake_platform, run, "failed", checkpoints=[4])
    policy = ("--policy-run", "pick-v3", "--dataset-path", pusht)
    for words in (
        ("diff", "pick-v3", "other"),
        ("resubmit", "pick-v3", "--dry-run"),
        ("resume", "pick-v3", "--training-steps", "20", "--dry-run"),
        ("register", "pick-v3", "pusht"),
        ("submit", "--platform", "fake", *policy, "--dry-run", "--no-pin"),
    ):
        lines = [line for line in robotrain(*words).stderr.splitlines() if "the newest of 2" in line]
        assert runs[1] in lines[0], words


def read_parameters(run):
    return dict(plans.read_stored_plan(run).plan.job.parameters)


def test_job_has_the_name_of_the_run_unless_the_line_gives_it_another(submit_plain, monkeypatch, robotrain):
    assert read_parameters(submit_plain("--name", "pick-v3"))["job_name"] == "pick-v3"
    assert read_parameters(submit_plain("--name", "pick-v3", "--job-name", "own"))["job_name"] == "own"
    assert read_parameters(submit_plain("--seed", "7"))["job_name"] == "lerobot-act-training"
    monkeypatch.setenv("JOB_NAME", "of-the-environment")
    assert read_parameters(submit_plain("--seed", "8"))["job_name"] == "of-the-environment"
    run = submit_plain("--name", "pick-v4", "--seed", "8")
    assert read_parameters(run)["job_name"] == "pick-v4"
    monkeypatch.delenv("JOB_NAME")
    again = robotrain("resubmit", run, "--no-pin", "--new", "--json").json["run"]
    assert (again.rpartition("-")[0], read_parameters(again)["job_name"]) == (run.rpartition("-")[0], "pick-v4")
    other = robotrain("resubmit", run, "--set", "seed=9", "--name", "pick-v5", "--no-pin", "--json").json["run"]
    assert (records.read_record(other).name, read_parameters(other)["job_name"]) == ("pick-v5", "pick-v5")
    renamed = robotrain("resubmit", run, "--name", "pick-v6", "--no-pin", "--new", "--json").json["run"]
    assert (renamed.rpartition("-")[0], read_parameters(renamed)["job_name"]) == (run.rpartition("-")[0], "pick-v6")


def test_python_api_names_runs(plain_platform):
    data = {"dataset_repo_id": "lerobot/pusht", "platform": "plain", "pin": False}
    run = api.submit(name="pick-v3", note="new gripper", **data)
    assert (run.record.name, run.record.note) == ("pick-v3", "new gripper")
    assert read_parameters(run.name)["job_name"] == "pick-v3"
    assert api.Run("pick-v3") == run
    with pytest.raises(Rejected):
        api.submit(name="latest", **data)


def test_names_are_completed_before_runs(submit_plain, scripted):
    run = submit_plain("--name", "pick-v3")
    scripted.run("pick-up-1")
    assert name_index.complete_run_names("pick") == ["pick-v3", "pick-up-1"]
    assert name_index.complete_run_names(run[:-3]) == [run]


def test_names_are_found_without_reading_records_again(scripted, monkeypatch):
    for number in range(30):
        scripted.run(f"train-{number}", called=f"pick-{number % 3}", age=100 - number)
    assert name_index.find_named_runs("pick-1")[:2] == ["train-28", "train-25"]
    with monkeypatch.context() as patch:
        patch.setattr(records, "read_record", lambda run: pytest.fail(f"the record of {run} is read"))
        assert len(name_index.find_named_runs("pick-1")) == 10
    scripted.run("train-30", called="pick-1", age=1)
    assert name_index.find_named_runs("pick-1")[0] == "train-30"
    (files.get_state_folder() / "names.index").write_text("damaged")
    assert name_index.find_named_runs("pick-1")[0] == "train-30"


def test_cancel_without_a_run_stops_the_newest_that_was_not_seen_to_end(robotrain, submit_plain, fake_platform):
    running, ended = submit_plain("--seed", "1"), submit_plain("--seed", "2")
    set_run_state(fake_platform, running, "running")
    set_run_state(fake_platform, ended, "succeeded")
    assert robotrain("status", "--json").json["run"] == ended, "and it was seen"
    stopped = robotrain("cancel", "--json")
    assert stopped.json["run"] == running
    assert f"latest is {running}" in stopped.stderr
    robotrain("status", running)
    assert robotrain("cancel", "--json").json["run"] == ended, "the newest of all where every run has ended"


def test_resume_without_a_run_continues_the_newest_that_can_be_continued(robotrain, fake_platform, pusht, tmp_path):
    words = ("--platform", "fake", "--training-steps", "4", "--json", "--dataset-path", pusht)
    training = robotrain("submit", *words).json["run"]
    set_run_state(fake_platform, training, "failed", checkpoints=[2])
    (tmp_path / "config.json").write_text('{"type": "act"}')
    (tmp_path / "model.safetensors").touch()
    evaluation = ("submit", "lerobot-eval", "--platform", "fake", "--policy-path", tmp_path, "--env", "pusht")
    assert robotrain(*evaluation).exit_code == 0
    finished = robotrain("submit", *words, "--seed", "3").json["run"]
    set_run_state(fake_platform, finished, "succeeded", checkpoints=[4])
    assert f"latest is {training}" in robotrain("resume", "--dry-run").stderr
    set_run_state(fake_platform, finished, "failed")
    resumed = robotrain("resume", "--training-steps", "8", "--json")
    assert resumed.exit_code == 0, resumed.stderr
    assert f"latest is {training}" in resumed.stderr


def test_a_comparison_is_neither_offered_for_register_nor_its_latest(robotrain, fake_platform, tmp_path):
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"type": "act"}')
        (tmp_path / name / "model.safetensors").touch()
    line = ("submit", "lerobot-eval", "--platform", "fake", "--env", "pusht", "--json", "--policy-path")
    evaluation = robotrain(*line, tmp_path / "mine").json["run"]
    comparison = robotrain(*line, tmp_path / "mine", "--reference-path", tmp_path / "other").json["run"]
    results = event.Evaluated(episodes=2, scores={"replay/mse": 0.4}, results="/work/results", policy="/work/mine")
    for run in (evaluation, comparison):
        set_run_state(fake_platform, run, log=[event.format_event(results)])
    offers = {run: "robotrain register" in robotrain("status", run).stdout for run in (evaluation, comparison)}
    assert offers == {evaluation: True, comparison: False}
    registered = robotrain("register", "latest", "pusht-act")
    assert registered.exit_code == 0, registered.stderr
    assert f"latest is {evaluation}" in registered.stderr
    assert f"registering the model of {evaluation}" in registered.stderr


def test_the_nearest_run_is_offered_as_a_line_to_type(robotrain, submit_plain):
    submit_plain("--name", "pick")
    for command in ("status", "resubmit", "watch"):
        (problem,) = robotrain(command, "lates", "--json").json["problems"]
        assert [way["text"] for way in problem["instead"]] == ["latest"]


def test_the_nearest_command_comes_without_a_list_of_all(robotrain):
    answer = robotrain("submti", "train.py")
    answer.check(2, "robotrain submit")
    assert "Commands:" not in answer.stderr
    assert "Commands:" in robotrain("zzzzzz").stderr
