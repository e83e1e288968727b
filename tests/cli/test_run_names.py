"""Runs have names that people give them: shown, searched, and meant wherever a run is named."""

import json
import shutil
import time

import pytest
from fake_engine import set_run_state
from robotrain import api
from robotrain.cli import output
from robotrain.errors import Rejected
from robotrain.store import files, name_index, name_lock, plans, records

DATA = ("--platform", "plain", "--dataset-repo-id", "lerobot/pusht")


@pytest.fixture
def submit(robotrain, plain_platform):
    """Submit a small training; the run."""

    def send(*words):
        answer = robotrain("submit", *DATA, "--json", "--no-pin", *words)
        assert answer.exit_code == 0, answer.stderr
        return answer.json["run"]

    return send


def test_a_run_is_called_by_its_data_and_policy_unless_it_is_named(submit):
    assert records.read_record(submit()).name == "pusht-act"
    assert records.read_record(submit("--policy-type", "diffusion")).name == "pusht-diffusion"
    named = records.read_record(submit("--name", "pick-v3", "--note", "new gripper", "--seed", "7"))
    assert (named.name, named.note) == ("pick-v3", "new gripper")


@pytest.mark.parametrize("revision", ["main", "refs/pr/1"])
def test_a_revision_is_not_part_of_a_name(robotrain, plain_platform, revision):
    words = ("--platform", "plain", "--dataset-repo-id", f"lerobot/pusht@{revision}", "--no-pin", "--json")
    assert records.read_record(robotrain("submit", *words).json["run"]).name == "pusht-act"


def test_a_run_is_called_as_its_job_if_that_has_a_name(submit, monkeypatch):
    assert records.read_record(submit("--job-name", "Pick cups, v3")).name == "Pick-cups-v3"
    assert records.read_record(submit("--job-name", "latest")).name == "pusht-act"
    monkeypatch.setenv("JOB_NAME", "of-the-environment")
    assert records.read_record(submit()).name == "of-the-environment"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("pick-cups/dataset", "pick-cups-act"),
        ("cups/data/train", "cups-act"),
        ("robot-20261115-2/cups", "cups-act"),
        ("me@corp/data/cups", "cups-act"),
        ("me@corp/data", "me-corp-act"),
        ("0123456789abcdef0123456789abcdef/data", "01234567-act"),
    ],
)
def test_folders_that_say_nothing_are_not_part_of_a_name(robotrain, fake_platform, pusht, tmp_path, folder, name):
    shutil.copytree(pusht, tmp_path / folder)
    answer = robotrain("submit", "--platform", "fake", "--no-pin", "--json", "--dataset-path", tmp_path / folder)
    assert records.read_record(answer.json["run"]).name == name


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("{run}/outputs/checkpoints/000400", "eval-of-pick-v3-pusht"),
        ("lerobot-train-0123abcd-1/outputs/checkpoints/000400", "eval-of-lerobot-train-0123abcd-1-pusht"),
        ("outputs/train/act_cups/checkpoints/last/pretrained_model", "eval-of-act_cups-pusht"),
    ],
)
def test_an_evaluation_is_called_by_the_run_that_trained_its_policy(
    robotrain, scripted, fake_platform, tmp_path, place, name
):
    scripted.run("lerobot-train-01234567-1", called="pick-v3")
    policy = tmp_path / place.format(run="lerobot-train-01234567-1")
    policy.mkdir(parents=True)
    (policy / "config.json").write_text('{"type": "act"}')
    (policy / "model.safetensors").touch()
    words = ("lerobot-eval", "--platform", "fake", "--policy-path", policy, "--env", "pusht", "--no-pin", "--json")
    assert records.read_record(robotrain("submit", *words).json["run"]).name == name


def test_a_name_means_its_newest_run_wherever_a_run_is_named(submit, robotrain):
    older, newer = submit("--name", "pick-v3"), submit("--name", "pick-v3", "--seed", "7")
    other = submit("--seed", "8")
    answer = robotrain("status", "pick-v3", "--json")
    assert answer.json["run"] == newer
    assert f"pick-v3 is {newer}, the newest of 2 runs of this name" in answer.stderr
    assert robotrain("status", older, "--json").json["run"] == older
    assert robotrain("logs", "latest").exit_code == robotrain("logs", "last").exit_code
    assert robotrain("status", "latest", "--json").json["run"] == other


def test_the_beginning_of_a_name_means_its_newest_run(scripted, robotrain):
    for run, name in (("train-1", "pick-v3"), ("train-2", "pick-v3"), ("train-3", "long"), ("train-4", "")):
        scripted.run(run, called=name, state="succeeded")
    assert "pi is train-2, the newest of 2 runs named pick-v3" in robotrain("status", "pi").stderr
    assert "lon is train-3, named long" in robotrain("logs", "lon").stderr
    assert robotrain("status", "train-4").stderr.count("named") == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("frist", "there is no run 'frist'; did you mean first?"),
        ("fi", "2 runs match 'fi': train-2 (fine), train-1 (first); give more of the name"),
        ("tarin-1", "did you mean train-1"),
        ("zzzzz", "the newest are train-2 (fine), train-1 (first)"),
    ],
)
def test_a_text_that_is_no_run_is_answered_with_names(scripted, robotrain, text, shown):
    scripted.run("train-1", called="first", age=10)
    scripted.run("train-2", called="fine", age=5)
    answer = robotrain("status", text)
    assert answer.exit_code == 2
    assert shown in answer.stderr


@pytest.mark.parametrize("name", ["latest", "-x", "a/b", "x" * 81])
def test_a_name_that_cannot_be_one_is_refused_before_anything_is_sent(robotrain, plain_platform, name):
    answer = robotrain("submit", *DATA, f"--name={name}")
    assert answer.exit_code == 2
    assert records.list_runs() == []


def test_a_repeated_run_keeps_the_name(submit, robotrain):
    submit("--name", "pick-v3")
    again = robotrain("resubmit", "pick-v3", "--set", "seed=9", "--no-pin", "--json").json["run"]
    assert records.read_record(again).name == "pick-v3"
    other = robotrain("resubmit", "pick-v3", "--set", "seed=10", "--no-pin", "--name", "pick-v4", "--json").json["run"]
    assert records.read_record(other).name == "pick-v4"


def test_a_run_is_renamed_and_found_by_its_new_name(submit, robotrain):
    run = submit("--name", "pick-v3", "--note", "old gripper")
    assert robotrain("rename", "pick-v3", "pick-v4").stdout == f"{run} is named pick-v4, note: old gripper\n"
    assert robotrain("status", "pick-v4", "--json").json["run"] == run
    assert robotrain("status", "pick-v3").exit_code == 2
    renamed = robotrain("rename", run, "--note", "", "--json").json
    assert renamed == {"run": run, "name": "pick-v4", "note": "", "before": "pick-v4"}


def test_a_rename_says_what_is_wrong(submit, robotrain):
    run = submit()
    assert robotrain("rename", run).exit_code == 2
    assert robotrain("rename", run, "latest").exit_code == 2
    with name_lock.acquire_name_lock(records.get_run_folder(run)):
        answer = robotrain("rename", run, "pick-v4")
    assert (answer.exit_code, "run-being-sent" in answer.stderr) == (1, True), answer.stderr
    assert records.read_record(run).name == "pusht-act"


@pytest.mark.parametrize(
    ("words", "where", "way"),
    [
        (("rename", "pick", "my first run!"), "NAME", "robotrain rename pick my-first-run"),
        (("rename", "pick", "!!"), "NAME", None),
        (("rename", "pick", "hf_" + "a1B2" * 10 + "!"), "NAME", None),
        (("submit", *DATA, "--name", "pick/v3"), "--name", "--name pick-v3"),
    ],
)
def test_a_name_that_cannot_be_one_is_answered_with_one_that_can(submit, robotrain, words, where, way):
    submit("--name", "pick")
    (problem,) = robotrain(*words, "--json").json["problems"]
    assert (problem["where"], problem["title"].split()[0]) == (where, where)
    assert [one["text"] for one in problem["instead"]] == ([way] if way else [])


def test_runs_shows_names_and_filters_by_them(submit, robotrain):
    picked = submit("--name", "pick-v3", "--note", "new gripper")
    submit("--seed", "7")
    titles, _, first = robotrain("runs").stdout.splitlines()
    assert titles.split()[:3] == ["NAME", "RUN", "STATE"]
    assert first.split()[:2] == ["pick-v3", picked]
    (row,) = robotrain("runs", "--name", "pick-*", "--json").json["runs"]
    assert (row["run"], row["name"], row["note"]) == (picked, "pick-v3", "new gripper")
    assert robotrain("runs", "--workload", "lerobot-eval", "--json").json["runs"] == []
    assert len(robotrain("runs", "--workload", "lerobot-train", "--since", "1h", "--json").json["runs"]) == 2


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["pick"], ["train-2", "train-1"]),
        (["eval"], ["eval-3"]),
        (["--state", "RUNNING", "k-v"], ["train-2"]),
        (["--name", "pick"], ["train-1"]),
        (["--name", "pick-*"], ["train-2"]),
        (["--name", "train"], []),
    ],
)
def test_a_word_is_a_part_of_a_name_or_run_and_the_option_is_the_whole_name(scripted, robotrain, words, found):
    for run, name in (("train-1", "pick"), ("train-2", "pick-v3"), ("eval-3", "place-v2")):
        scripted.run(run, called=name)
    assert [one["run"] for one in robotrain("runs", *words, "--json").json["runs"]] == found


def test_no_run_of_a_whole_name_is_answered_with_the_part_of_a_name(scripted, robotrain):
    scripted.run("train-1", called="pick")
    answer = robotrain("runs", "--name", "ick", "--since", "7d")
    assert answer.stdout == ""
    assert "\n  robotrain runs ick --since 7d   " in answer.stderr


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("done", "robotrain runs --state succeeded"),
        ("osmo", "robotrain runs --platform osmo"),
        ("latest", "robotrain status latest"),
    ],
)
def test_a_word_that_is_no_part_of_a_name_is_answered_with_what_it_may_mean(scripted, robotrain, word, line):
    scripted.run("train-1", called="pick-v3")
    answer = robotrain("runs", word)
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert f"no run fits: {word}\n  {line}   " in answer.stderr


def test_the_line_for_older_runs_has_the_same_filters(scripted, robotrain):
    for number in range(3):
        scripted.run(f"train-{number}", called="pick-v3", state="failed", age=1000 - number)
    answer = robotrain("runs", "pick", "-n", "1", "--state", "failed", "--since", "2 weeks")
    assert "robotrain runs --all pick --state failed --since '2 weeks'" in answer.stderr


DAY = time.strftime("%Y-%m-%d", time.localtime(time.time() - 86400))


@pytest.mark.parametrize("since", ["1d", "24 hours ago", "yesterday", f"{DAY} 00:00"])
def test_a_time_is_a_duration_or_a_date(scripted, robotrain, since):
    scripted.run("train-1", age=3 * 86400)
    scripted.run("train-2", age=0)
    assert [one["run"] for one in robotrain("runs", "--since", since, "--json").json["runs"]] == ["train-2"]


@pytest.mark.parametrize("since", ["soon", "7", "2026-13-45"])
def test_another_time_is_answered_with_its_forms(robotrain, since):
    answer = robotrain("runs", "--since", since)
    assert answer.exit_code == 2
    assert all(form in answer.stderr for form in ("7d", "2 weeks", "yesterday", "2026-11-15"))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--until", "1d"], ["train-1"]),
        (["--until", "today"], ["train-2", "train-1"]),
        (["--since", "4d", "--until", "2d"], ["train-1"]),
        (["--since", "2d", "--until", "1h"], []),
        (["--until", time.strftime("%Y-%m-%d", time.localtime(time.time() - 3 * 86400))], ["train-1"]),
    ],
)
def test_runs_until_a_time(scripted, robotrain, words, found):
    scripted.run("train-1", age=3 * 86400)
    scripted.run("train-2", age=0)
    assert [one["run"] for one in robotrain("runs", *words, "--json").json["runs"]] == found


@pytest.mark.parametrize(
    ("words", "code", "way"),
    [
        (["--until", "soon"], "value-invalid", "--until 7d"),
        (["--since", "1d", "--until", "7d"], "options-conflict", "--since 7d --until 1d"),
        (["--before", "1d"], "usage", "--until"),
        (["--done"], "usage", "--state succeeded"),
        (["--status", "failed"], "usage", "--state"),
        (["--sort", "loss"], "usage", "robotrain runs --help"),
        (["--limit", "3"], "usage", "--number"),
        (["--sinc", "1d"], "usage", "--since TIME"),
        (["--until", "1d", "--prune"], "usage", "robotrain runs --prune --keep 20"),
    ],
)
def test_other_options_of_the_list_are_answered_with_the_one_to_type(robotrain, words, code, way):
    answer = robotrain("runs", *words, "--json")
    assert answer.exit_code == 2
    (problem,) = answer.json["problems"]
    assert (problem["code"], [one["text"] for one in problem["instead"]]) == (code, [way])


def test_a_record_of_an_earlier_version_has_no_name(scripted, robotrain):
    scripted.run("train-1", started=time.time())
    assert robotrain("status", "train-1", "--json").json["name"] == ""


def test_words_of_other_tools_list_runs(scripted, robotrain):
    scripted.run("train-1")
    for word in ("ls", "list", "ps"):
        assert "train-1" in robotrain(word).stdout


@pytest.mark.parametrize("word", ["lerobot-train", "eval"])
def test_a_pasted_line_of_another_program_is_answered_with_its_translation(robotrain, word):
    secret = "hf_" + "a1B2" * 10
    answer = robotrain(word, "--policy.type=act", f"--token={secret}", "--name", "a b")
    assert (answer.exit_code, secret in answer.stderr) == (2, False)
    program = f"lerobot-{word.rpartition('-')[2]}"
    assert f"  use   robotrain from-lerobot -- {program} --policy.type=act" in answer.stderr
    assert "'a b'" in answer.stderr
    assert "from-lerobot" not in robotrain(word).stderr.replace("from-lerobot, from-script", "")
    assert "from-lerobot --" not in robotrain("rosbag-act-train", "--policy.type=act").stderr


def test_help_names_the_commands_of_plugins(robotrain, install):
    install("robotrain-acme", {"command.board": "acme_board:app"}, acme_board="raise SystemExit('imported')")
    of_plugins = robotrain("--help").stdout.partition("Commands of plugins:")[2]
    assert [line.split() for line in of_plugins.splitlines() if "acme" in line] == [
        ["board", "From", "robotrain-acme", "1.0."]
    ]
    assert "from-lerobot" in of_plugins
    assert "board" in robotrain().stdout
    assert "board" not in robotrain("--no-plugins").stdout
    assert robotrain("--without", "nosuch", "--help").exit_code == 0


def test_without_a_command_the_commands_come_first_in_forty_lines(robotrain):
    answer = robotrain()
    assert answer.exit_code == 0
    lines = answer.stdout.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert lines[2] == "Commands:"
    assert "Commands of plugins: bags, from-lerobot, from-script" in lines


def test_after_a_training_the_next_commands_evaluate_it_on_its_data(submit, robotrain):
    run = submit()
    line = f"robotrain submit lerobot-eval --policy-run {run} --dataset-repo-id lerobot/pusht --platform plain"
    assert robotrain("status", "--json").json["next"][-1] == line
    assert line.replace(run, "pusht-act") in robotrain("wait").stdout


def test_next_commands_call_a_run_by_its_name_where_no_other_run_has_it(submit, robotrain):
    first = submit("--name", "pick")
    for command in (("status", first), ("wait", first)):
        assert "robotrain report pick " in robotrain(*command).stdout
    assert f"robotrain report {first}" in robotrain("status", first, "--json").json["next"]
    second = submit("--name", "pick", "--batch-size", "8")
    for run in (first, second):
        assert f"robotrain report {run} " in robotrain("status", run).stdout
    named_as_a_run = submit("--name", first[:-4], "--batch-size", "9")
    assert f"robotrain report {named_as_a_run} " in robotrain("status", named_as_a_run).stdout


def test_a_word_for_an_evaluation_is_answered_with_the_whole_line_of_the_run(submit, robotrain):
    run = submit("--name", "pick")
    line = f"robotrain submit lerobot-eval --policy-run {run} --dataset-repo-id lerobot/pusht --platform plain"
    for word in ("eval", "validate"):
        answer = robotrain(word, "pick")
        assert (answer.exit_code, line in answer.stderr) == (2, True)
    assert "--policy-run" not in robotrain("eval", "nobody").stderr


def test_diff_shows_what_differs_and_what_each_reached(submit, robotrain):
    first = submit("--name", "pick-v2", "--batch-size", "8")
    second = submit("--name", "pick-v3", "--batch-size", "16")
    answer = robotrain("diff", "pick-v2", "pick-v3", "--json")
    assert [one["run"] for one in answer.json["runs"]] == [first, second]
    assert {"name": "batch_size", "values": ["8", "16"]} in answer.json["settings"]
    assert answer.json["data"] == []
    shown = robotrain("diff", "pick-v2").stdout
    assert "batch_size" in shown
    assert "seed" not in shown


DROPOUT, STEPS = "--policy.dropout", "--policy.n_action_steps"


@pytest.mark.parametrize(
    ("before", "after", "settings"),
    [
        ([f"{STEPS}=4", f"{DROPOUT}=0.0"], [f"{DROPOUT}=0.0", f"{STEPS}=8"], [(STEPS, "4", "8")]),
        ([f"{STEPS}=4", f"{DROPOUT}=0.0"], [f"{DROPOUT}=0.0", f"{STEPS}=4"], []),
        ([f"{DROPOUT}=0.0"], [f"{DROPOUT}=0.0", f"{STEPS}=8"], [(STEPS, None, "8")]),
        ([STEPS, "4"], [f"{STEPS}=8"], [(STEPS, "4", "8")]),
        ([f"{STEPS}=4"], [], [(STEPS, "4", None)]),
    ],
)
def test_diff_compares_the_options_of_the_trainer_by_their_names(submit, robotrain, before, after, settings):
    first, second = submit("--seed", "7", "--", *before), submit("--seed", "7", "--", *after)
    found = robotrain("diff", first, second, "--json").json["settings"]
    assert [(row["name"], *row["values"]) for row in found] == settings
    shown = robotrain("diff", first, second).stdout
    assert [name in shown for name in (DROPOUT, STEPS)] == [False, bool(settings)]


def test_diff_shows_a_source_once_and_cuts_its_pin(robotrain, fake_platform, pusht):
    words = ("submit", "--platform", "fake", "--training-steps", "4", "--json", "--dataset-path", pusht)
    first = robotrain(*words).json["run"]
    set_run_state(fake_platform, first, "failed", checkpoints=[4])
    second = robotrain("resume", first, "--training-steps", "8", "--json").json["run"]
    other = robotrain(*words, "--no-pin").json["run"]
    assert [row["name"] for row in robotrain("diff", first, second, "--json").json["data"]] == ["resume"]
    shown = robotrain("diff", first, second).stdout.splitlines()
    assert [line.split()[0] for line in shown].count("resume") == 1
    (row,) = robotrain("diff", first, other, "--json").json["data"]
    pin = records.read_record(first).values["dataset"][0].partition(" @ ")[2]
    assert f" as of {pin}" in row["values"][0]
    assert max(map(len, robotrain("diff", first, other).stdout.splitlines())) < 250


def test_diff_of_a_run_with_itself_is_refused(submit, robotrain):
    run = submit()
    assert robotrain("diff", run).exit_code == 2
    assert robotrain("diff").exit_code == 2


def test_diff_of_a_name_with_several_runs_compares_its_newest_two(submit, robotrain):
    first, second = submit("--name", "pick-v3"), submit("--name", "pick-v3", "--seed", "7")
    answer = robotrain("diff", "pick-v3", "--json")
    assert [one["run"] for one in answer.json["runs"]] == [first, second]
    assert f"pick-v3 is {second}, the newest of 2 runs of this name" in answer.stderr
    (problem,) = robotrain("diff", "pick-v3", "latest", "--json").json["problems"]
    assert [way["text"] for way in problem["instead"]] == [f"robotrain diff {first} {second}"]
    third = submit("--name", "other")
    assert [one["run"] for one in robotrain("diff", "pick-v3", "--json").json["runs"]] == [second, third]
    (problem,) = robotrain("diff", "other", "--json").json["problems"]
    assert [way["text"] for way in problem["instead"]] == [f"robotrain diff {second} {third}"]


@pytest.mark.parametrize(
    "words",
    [
        ("diff", "pick-v3", "other"),
        ("resubmit", "pick-v3", "--dry-run"),
        ("resume", "pick-v3", "--training-steps", "20", "--dry-run"),
        ("register", "pick-v3", "pusht"),
        ("submit", "--platform", "fake", "--policy-run", "pick-v3", "--dry-run", "--no-pin"),
    ],
)
def test_every_command_says_which_run_of_a_name_it_takes(robotrain, fake_platform, pusht, words):
    line = ("submit", "--platform", "fake", "--json", "--no-pin", "--dataset-path", pusht, "--training-steps", "8")
    runs = [robotrain(*line, "--new", "--name", name).json["run"] for name in ("pick-v3", "pick-v3", "other")]
    for run in runs:
        set_run_state(fake_platform, run, "failed", checkpoints=[4])
    data = ("--dataset-path", pusht) if words[0] == "submit" else ()
    answer = robotrain(*words, *data)
    assert runs[1] in answer.stderr
    assert "the newest of 2 runs of this name" in answer.stderr


def read_parameters(run):
    return dict(plans.read_stored_plan(run).plan.job.parameters)


def test_the_job_is_called_as_the_run_unless_it_has_a_name_of_its_own(submit, monkeypatch):
    assert read_parameters(submit("--name", "pick-v3"))["job_name"] == "pick-v3"
    assert read_parameters(submit("--name", "pick-v3", "--job-name", "own"))["job_name"] == "own"
    assert read_parameters(submit("--seed", "7"))["job_name"] == "lerobot-act-training"
    monkeypatch.setenv("JOB_NAME", "of-the-environment")
    assert read_parameters(submit("--name", "pick-v4"))["job_name"] == "of-the-environment"


def test_the_python_api_names_runs(plain_platform):
    data = {"dataset_repo_id": "lerobot/pusht", "platform": "plain", "pin": False}
    run = api.submit(name="pick-v3", note="new gripper", **data)
    assert (run.record.name, run.record.note) == ("pick-v3", "new gripper")
    assert read_parameters(run.name)["job_name"] == "pick-v3"
    assert api.Run("pick-v3") == run
    with pytest.raises(Rejected):
        api.submit(name="latest", **data)


def test_names_are_completed_before_runs(submit, scripted):
    run = submit("--name", "pick-v3")
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


def test_runs_shows_what_differs_from_the_run_before(submit, robotrain, scripted):
    submit("--name", "pick-v1", "--batch-size", "8", "--seed", "7")
    scripted.run("eval-1", age=0)
    submit("--name", "pick-v2", "--batch-size", "16", "--seed", "1000")
    newest, _, oldest = robotrain("runs", "--json").json["runs"]
    assert newest["changed"] == [
        {"name": "batch_size", "before": "8", "after": "16"},
        {"name": "seed", "before": "7", "after": "1000"},
    ]
    assert (oldest["changed"], oldest["values"]["batch_size"]) == ([], "8")
    assert robotrain("runs", "-n", "1", "--json").json["runs"][0]["changed"] == newest["changed"]
    assert robotrain("runs").stdout.splitlines()[1].endswith("batch_size 8 → 16, seed 7 → 1000")


def test_runs_shows_what_differs_from_the_run_that_is_continued(robotrain, fake_platform, pusht):
    words = ("submit", "--platform", "fake", "--json", "--no-pin", "--dataset-path", pusht, "--training-steps", "4")
    first = robotrain(*words).json["run"]
    set_run_state(fake_platform, first, "failed", checkpoints=[4])
    robotrain(*words, "--batch-size", "16", "--seed", "7")
    resumed = robotrain("resume", first, "--training-steps", "8", "--no-pin", "--json").json["run"]
    newest, *_ = robotrain("runs", "--json").json["runs"]
    assert newest["run"] == resumed
    assert [one["name"] for one in newest["changed"]] == ["resume", "training_steps"]


def test_a_checkpoint_below_the_outputs_of_a_run_continues_that_run(robotrain, fake_platform, pusht, tmp_path):
    words = ("submit", "--platform", "fake", "--json", "--no-pin", "--dataset-path", pusht, "--training-steps")
    first = robotrain(*words, "4").json["run"]
    robotrain(*words, "4", "--batch-size", "16", "--seed", "7")
    folder = tmp_path / first / "checkpoints/000004"
    robotrain(*words, "8", "--resume-from", folder)
    (changed, *_) = (one["changed"] for one in robotrain("runs", "--json").json["runs"])
    assert [one["name"] for one in changed] == ["resume", "training_steps"]
    robotrain(*words, "9", "--resume-from", tmp_path / "elsewhere/000004")
    (changed, *_) = (one["changed"] for one in robotrain("runs", "--json").json["runs"])
    assert [(one["name"], one["before"]) for one in changed][1:] == [("training_steps", "8")], "of the run before"


def test_on_a_terminal_what_differs_has_a_line_of_its_own(submit, robotrain, monkeypatch):
    submit("--batch-size", "8")
    run = submit("--batch-size", "16", "--", "--policy.chunk_size=16", "--policy.n_action_steps=4")
    monkeypatch.setattr(output, "get_terminal_width", lambda stream: 80)
    _, first, changed, _ = robotrain("runs").stdout.splitlines()
    assert first.split()[:2] == ["pusht-act", run]
    assert changed == "  batch_size 8 → 16, --policy.chunk_size – → 16, --policy.n_action_steps – → 4"


def test_runs_are_found_by_their_values(submit, robotrain):
    default, other = submit(), submit("--batch-size", "16", "--seed", "7")

    def find(*texts):
        options = [word for text in texts for word in ("--set", text)]
        return [one["run"] for one in robotrain("runs", "--json", *options).json["runs"]]

    assert find("batch_size=16") == find("batch-size=1.6e1", "seed=7") == [other]
    assert find("batch_size=32") == [default], "a default"
    assert find("dataset=*pusht", "seed=*") == [other, default]
    assert find("seed=7", "batch_size=32") == find("seed=2", "batch_size=1") == []
    assert robotrain("runs", "--set", "seed").exit_code == 2


@pytest.mark.parametrize("text", ["steps=20", "training-steps=2e1", "--steps=20", "lr=3e-4", "--policy.dropout=0.0"])
def test_runs_are_found_by_other_spellings_of_a_value(submit, robotrain, text):
    submit()
    found = submit("--training-steps", "20", "--learning-rate", "0.0003", "--", "--policy.dropout=0.0")
    assert [one["run"] for one in robotrain("runs", "--set", text, "--json").json["runs"]] == [found]


@pytest.mark.parametrize(
    ("words", "code", "way"),
    [
        (["--set", "training_stps=20"], "set-unknown-key", "--set training_steps=VALUE"),
        (["--set", "policy.n_action_steps=8"], "set-unknown-key", "--set --policy.n_action_steps=VALUE"),
        (["--set", "--policy.n_action_stps=8"], "set-unknown-key", "--set --policy.n_action_steps=VALUE"),
        (["--set", "zzz=8"], "set-unknown-key", ""),
        (["--workload", "lerobot-trian"], "workload-not-loaded", "--workload lerobot-train"),
        (["--platform", "locl"], "platform-not-loaded", "--platform local"),
        (["--platform", "locl", "--prune", "--keep", "0"], "platform-not-loaded", "--platform local"),
    ],
)
def test_a_name_that_neither_plugins_nor_runs_have_is_refused_with_the_nearest(robotrain, submit, words, code, way):
    submit()
    answer = robotrain("runs", *words, "--json")
    assert answer.exit_code == 2
    (problem,) = answer.json["problems"]
    assert (problem["code"], problem["where"]) == (code, words[0])
    assert [one["text"] for one in problem["instead"]] == [way] * bool(way)


def test_all_unknown_names_are_reported_at_once(robotrain):
    answer = robotrain("runs", "--set", "a=1", "--set", "b", "--since", "soon", "--platform", "locl", "--json")
    assert [one["where"] for one in answer.json["problems"]] == ["--since", "--set", "--platform", "--set"]


def test_for_several_unknown_names_each_record_is_read_once(robotrain, scripted, monkeypatch):
    for run in ("train-1", "train-2"):
        scripted.run(run)
    read, original = [], records.read_record
    monkeypatch.setattr(records, "read_record", lambda run: read.append(run) or original(run))
    answer = robotrain("runs", "--set", "a=1", "--set", "b=2", "--platform", "locl", "--workload", "lerobot-trian")
    assert (answer.exit_code, sorted(read)) == (2, ["train-1", "train-2"]), answer.stderr


def test_names_of_plugins_that_are_gone_are_known_from_their_runs(scripted, submit, robotrain):
    scripted.run("train-1", platform="nibiru")
    assert [one["run"] for one in robotrain("runs", "--platform", "nibiru", "--json").json["runs"]] == ["train-1"]
    run = submit()
    path = records.get_run_folder(run) / records.RECORD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"values": {"thrust": ["3", ""]}}))
    assert [one["run"] for one in robotrain("runs", "--set", "thrust=3", "--json").json["runs"]] == [run]


@pytest.mark.parametrize("damaged", ["3", '{"seed": ["3"]}'])
def test_a_record_with_damaged_values_is_broken(submit, robotrain, damaged):
    submit("--seed", "3")
    run = submit("--seed", "4")
    path = records.get_run_folder(run) / records.RECORD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"values": json.loads(damaged)}))
    assert robotrain("runs", "--json").json["runs"][0]["state"] == "broken"
    assert robotrain("runs").exit_code == 0
