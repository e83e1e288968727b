"""Options after `--`: each replaces the same option of the job file, and the other options of the file stay."""

import shlex
from pathlib import Path

import pytest
import yaml
from robotrain.store import run_values

FILE = ("--policy.dim_model=8", "--policy.n_heads", "2", "--policy.dim_feedforward=16")


@pytest.fixture
def explain(robotrain):
    """The values of the trainer's arguments, each with what it overrode."""
    Path("job.yaml").write_text(
        "sources: {dataset: [{local_path: data}]}\ntrainer_args:\n" + "".join(f'  - "{word}"\n' for word in FILE)
    )

    def run(*words):
        answer = robotrain("explain", "job.yaml", "--platform", "local", "--json", *words)
        assert answer.exit_code == 0, answer.stderr
        rows = [row for row in answer.json["values"] if row["name"] == "trainer_args"]
        return {row["value"]: (row["origin"], [lost["value"] for lost in row["overrode"]]) for row in rows}

    return run


def test_an_option_replaces_the_same_option_of_the_file_and_the_others_stay(explain):
    rows = explain("--", "--policy.dim_feedforward=8", "--policy.n_action_steps=4")
    assert list(rows) == [*FILE[:3], "--policy.dim_feedforward=8", "--policy.n_action_steps=4"]
    assert rows["--policy.dim_model=8"] == ("job file job.yaml:3", [])
    assert rows["--policy.dim_feedforward=8"] == ("flag after --", ["--policy.dim_feedforward=16"])
    assert rows["--policy.n_action_steps=4"] == ("flag after --", [])


@pytest.mark.parametrize("words", [("--policy.n_heads=4",), ("--policy.n_heads", "4")])
def test_an_option_and_its_value_may_be_two_words(explain, words):
    rows = explain("--", *words)
    assert list(rows) == [FILE[0], FILE[3], *words]
    assert rows[words[0]][1] == ["--policy.n_heads 2"]


def test_an_option_and_its_value_are_one_row_of_the_table(explain, robotrain):
    explain()
    answer = robotrain("explain", "job.yaml", "--platform", "local", "--", "--policy.n_action_steps", "4")
    rows = [line.split()[1:3] for line in answer.stdout.splitlines() if line.startswith("trainer_args")]
    assert rows == [
        ["--policy.dim_model=8", "job"],
        ["--policy.n_heads", "2"],
        ["--policy.dim_feedforward=16", "job"],
        ["--policy.n_action_steps", "4"],
    ]


def test_nothing_after_the_dashes_changes_nothing(explain):
    assert list(explain("--")) == list(explain()) == list(FILE)


def test_the_options_of_the_file_are_dropped_by_an_empty_list(explain):
    assert explain("--set", "trainer_args=[]") == {}
    rows = explain("--set", "trainer_args=[]", "--", "--policy.n_heads=4")
    assert rows == {"--policy.n_heads=4": ("flag after --", [])}


def test_a_list_replaces_that_of_the_file_and_options_add_to_it(explain):
    rows = explain("--set", 'trainer_args=["--policy.n_heads=4"]', "--", "--policy.dim_feedforward=8")
    assert list(rows) == ["--policy.n_heads=4", "--policy.dim_feedforward=8"]
    assert rows["--policy.n_heads=4"] == ("flag --set trainer_args", list(FILE))


def test_a_wrong_option_of_a_file_is_found_in_its_line(robotrain):
    Path("job.yaml").write_text("workload: lerobot-train\ntrainer_args:\n- --policy.dropuot=0.0\n")
    answer = robotrain("explain", "job.yaml", "--platform", "local", "-d", "u/d", "--policy-type", "act")
    answer.check_problems(2, "script-option-invalid job.yaml:3: -- --policy.dropuot=0.0")


def test_overrides_of_isaac_lab_are_named_by_their_key(robotrain):
    Path("job.yaml").write_text(
        "workload: isaac-train\ntrainer_args: [agent.clip=1, +agent.algorithm.gamma=0.9, --video, env.decimation=2]\n"
    )
    words = ("--", "+agent.clip=3", "~agent.algorithm.gamma", "--video", "--video_length", "9")
    answer = robotrain("explain", "job.yaml", "--platform", "local", "--json", *words)
    rows = [row for row in answer.json["values"] if row["name"] == "trainer_args"]
    assert [row["value"] for row in rows] == ["env.decimation=2", *words[1:]]
    assert [lost["value"] for row in rows for lost in row["overrode"]] == [
        *("agent.clip=1", "+agent.algorithm.gamma=0.9", "--video")
    ]
    assert run_values.join_trainer_args(rows) == {
        **{"env.decimation": "2", "agent.clip": "3", "agent.algorithm.gamma": ""},
        **{"--video": "", "--video_length": "9"},
    }


WORDS = {
    "words that are no options": ("action observation --all", "state", "--all state"),
    "a negative number": ("--offset -3 --all", "--offset -4", "--all --offset -4"),
    "a negative number in letters": ("--least -inf --all", "--least -NaN", "--all --least -NaN"),
    "a text with dashes": ("--kit_args '--x foo' --all", "--kit_args '--x bar'", "--all --kit_args '--x bar'"),
    "a word behind a switch": ("--verbose config.yaml --fps 3", "--verbose", "config.yaml --fps 3 --verbose"),
    "words behind a value": ("--fps 3 one two", "--fps 4", "--fps 4"),
}  # fmt: skip


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_what_counts_as_an_option_and_as_its_value(robotrain, words):
    in_file, after_dashes, merged = map(shlex.split, words)
    Path("scripts").mkdir()
    Path("scripts/train.sh").touch()
    job = {"workload": "isaac-train", "sources": {"code": [{"local_path": "."}]}, "trainer_args": in_file}
    Path("job.yaml").write_text(yaml.safe_dump(job))
    answer = robotrain("explain", "job.yaml", "--platform", "local", "--json", "--", *after_dashes)
    rows = answer.json["values"]
    assert [row["value"] for row in rows if row["name"] == "trainer_args"] == merged, answer.stderr
