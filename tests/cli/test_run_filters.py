"""`robotrain runs` with filters: words, names, times and values; what no run can have is answered with the nearest."""

import json
import time
from dataclasses import replace

import pytest
from robotrain.store import records


def test_word_is_a_part_of_a_name_or_run_and_name_is_the_whole_name(scripted, robotrain):
    for run, name in (("train-1", "pick"), ("train-2", "pick-v3"), ("eval-3", "place-v2")):
        scripted.run(run, called=name)
    for words, runs in (
        (["pick"], ["train-2", "train-1"]),
        (["eval"], ["eval-3"]),
        (["--state", "RUNNING", "k-v"], ["train-2"]),
        (["--state", "failed,running"], ["eval-3", "train-2", "train-1"]),
        (["--state", "failed, lost"], []),
        (["--name", "pick"], ["train-1"]),
        (["--name", "pick-*"], ["train-2"]),
        (["--name", "train"], []),
    ):
        assert [row["run"] for row in robotrain("runs", *words, "--json").json["runs"]] == runs, words


def test_suggested_line_for_older_runs_has_the_same_filters(scripted, robotrain):
    for number in range(3):
        scripted.run(f"train-{number}", called="pick-v3", state="failed", age=1000 - number)
    answer = robotrain("runs", "pick", "-n", "1", "--state", "failed", "--since", "2 weeks")
    assert "robotrain runs --all pick --state failed --since '2 weeks'" in answer.stderr


YESTERDAY = time.strftime("%Y-%m-%d", time.localtime(time.time() - 86400))


def test_runs_since_and_until_a_duration_or_a_date(scripted, robotrain):
    scripted.run("train-1", age=3 * 86400)
    scripted.run("train-2", age=0)
    for words, runs in (
        (["--since", "1d"], ["train-2"]),
        (["--since", "24 hours ago"], ["train-2"]),
        (["--since", "yesterday"], ["train-2"]),
        (["--since", f"{YESTERDAY} 00:00"], ["train-2"]),
        (["--until", "1d"], ["train-1"]),
        (["--until", "today"], ["train-2", "train-1"]),
        (["--since", "4d", "--until", "2d"], ["train-1"]),
        (["--since", "2d", "--until", "1h"], []),
        (["--until", time.strftime("%Y-%m-%d", time.localtime(time.time() - 3 * 86400))], ["train-1"]),
    ):
        assert [run["run"] for run in robotrain("runs", *words, "--json").json["runs"]] == runs, words


def test_runs_are_found_by_their_values(submit_plain, robotrain):
    default, other = submit_plain(), submit_plain("--batch-size", "16", "--seed", "7")

    def find(*texts):
        options = [word for text in texts for word in ("--set", text)]
        return [run["run"] for run in robotrain("runs", "--json", *options).json["runs"]]

    assert find("batch_size=16") == find("batch-size=1.6e1", "seed=7") == [other]
    assert find("batch_size=32") == [default], "a default"
    assert find("dataset=*pusht", "seed=*") == [other, default]
    assert find("seed=7", "batch_size=32") == find("seed=2", "batch_size=1") == []


def test_trial_of_a_sweep_is_found_by_its_name(scripted, robotrain):
    scripted.run("sweep-1", called="rates")
    for number in (2, 1):
        run = scripted.run(f"train-{number}").name
        sweep_step = {"pipeline": "sweep-1", "step": f"trial-{number}"}
        records.write_record(replace(records.read_record(run), **sweep_step))
        (records.get_run_folder(run) / records.STEP_FILE).touch()
    for words, runs in (
        (["rates"], ["sweep-1"]),
        (["trial-2"], ["train-2"]),
        (["rates-trial-2"], ["train-2"]),
        (["trial-*"], ["train-1", "train-2"]),
        (["trial-2", "--state", "failed"], []),
        (["rates", "--steps"], ["train-1", "train-2", "sweep-1"]),
    ):
        assert [row["run"] for row in robotrain("runs", *words, "--json").json["runs"]] == runs, words
    assert "rates-trial-2" in robotrain("runs", "--steps").stdout


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ({"--lr": "1e-3"}, ("lr=1e-3", "lr=0.001", "--lr=1e-3", "lr=1e*")),
        ({"--batch-size": "8"}, ("batch-size=8", "batch_size=8")),
        ({"--fast": ""}, ("fast=true",)),
        ({"python": "train.py lr=1e-3 seed=2"}, ("lr=1e-3", "seed=2")),
        ({"train --lr": "1e-3"}, ("lr=1e-3",)),
        ({"lr": "1e-4, 1e-3"}, ("lr=1e-3", "lr=0.0001")),
    ],
)
def test_runs_are_found_by_the_options_of_their_program(scripted, robotrain, line, texts):
    scripted.run("command-1")
    run = scripted.run("command-2").name
    values = {name: (value_text, "") for name, value_text in line.items()}
    records.write_record(replace(records.read_record(run), values=values))
    for text in texts:
        assert [row["run"] for row in robotrain("runs", "--set", text, "--json").json["runs"]] == [run], text
        other = f"{text.partition('=')[0]}=7"
        assert robotrain("runs", "--set", other, "--json").json["runs"] == [], other


def test_runs_are_found_by_other_spellings_of_a_value(submit_plain, robotrain):
    submit_plain()
    run = submit_plain("--training-steps", "20", "--learning-rate", "0.0003", "--", "--policy.dropout=0.0")
    for text in ("training-steps=2e1", "learning_rate=3e-4", "--policy.dropout=0.0"):
        assert [row["run"] for row in robotrain("runs", "--set", text, "--json").json["runs"]] == [run], text


def test_wrong_filter_is_answered_with_the_one_to_type(robotrain, submit_plain):
    submit_plain()
    for words, problem in (
        (["--until", "soon"], "value-invalid --until soon"),
        (["--since", "7"], "value-invalid --since 7"),
        (["--since", "2026-13-45"], "value-invalid --since 2026-13-45"),
        (["--before", "1d"], "option-unknown --before"),
        (["--done"], "option-unknown --done"),
        (["--status", "failed"], "option-unknown --status"),
        (["--limit", "3"], "option-unknown --limit"),
        (["--sinc", "1d"], "option-unknown --sinc"),
        (["--set", "seed"], "value-invalid"),
        (["--state", "faild"], "value-invalid --state"),
        (["--state", "done"], "value-invalid --state"),
    ):
        robotrain("runs", *words).check_problems(2, problem)


def test_all_problems_of_filters_are_reported_at_once(robotrain):
    answer = robotrain("runs", "--set", "a=1", "--set", "b", "--since", "soon")
    answer.check_problems(2, "value-invalid --since", "value-invalid")


def test_a_platform_that_no_run_has_stands_in_the_answer(robotrain, submit_plain):
    submit_plain()
    assert "no run fits: --platform locl" in robotrain("runs", "--platform", "locl").stderr


def test_names_of_removed_plugins_are_known_from_their_runs(scripted, submit_plain, robotrain):
    scripted.run("train-1", platform="removed")
    assert [row["run"] for row in robotrain("runs", "--platform", "removed", "--json").json["runs"]] == ["train-1"]
    run = submit_plain()
    path = records.get_run_folder(run) / records.RECORD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"values": {"thrust": ["3", ""]}}))
    assert [row["run"] for row in robotrain("runs", "--set", "thrust=3", "--json").json["runs"]] == [run]


@pytest.mark.parametrize("damaged", ["3", '{"seed": ["3"]}'])
def test_record_with_damaged_values_is_broken(submit_plain, robotrain, damaged):
    submit_plain("--seed", "3")
    run = submit_plain("--seed", "4")
    path = records.get_run_folder(run) / records.RECORD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"values": json.loads(damaged)}))
    assert robotrain("runs", "--json").json["runs"][0]["state"] == "broken"
    assert robotrain("runs").exit_code == 0
