"""What the command of a program says of its parameters, its seed and the checkpoint that it continues from."""

import pytest

PROGRAM = """
import argparse

parser = argparse.ArgumentParser()
{more}
args = parser.parse_args()
"""


@pytest.fixture
def submit(robotrain, tmp_path, monkeypatch):
    """Check a line with a program; return its answer."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)

    def submit(words, more="", options=()):
        (tmp_path / "train.py").write_text(PROGRAM.format(more=more))
        return robotrain("explain", "train.py", "--platform", "local", *options, "--json", "--", *words.split())

    return submit


UNREAD = [  # the options, the arguments, the problem, what to type
    ("--param lrr=0.1", "--lr {lr}", "placeholder-unknown --", "{lrr}"),
    ("--param lr=0.1", "", "parameter-unread --param lr", "-- … {lr}"),
    ("--set params.size=1", "", "parameter-unread --param size", "-- … {size}"),
    ("--seed 5", "", "parameter-unread --seed", "-- … {seed}"),
    ("--set lr=0.1", "", "value-unknown --set lr", ""),
    ("--set verbos=1", "", "value-unknown --set verbos", ""),
    ("--set size=1", "", "value-unknown --set size", ""),
    ("--set rte=1", "--lr {rte}", "value-unknown --set rte", ""),
]


@pytest.mark.parametrize(("options", "words", "problem", "way"), UNREAD)
def test_a_parameter_that_the_program_does_not_read_is_refused(submit, tmp_path, options, words, problem, way):
    (tmp_path / "job.schema.json").write_text('{"description": "[env: ROBOTRAIN_LR]"}')  # of `robotrain init`
    answer = submit(f"--data data {words}", options=options.split())
    problems = {f"{problem['code']} {problem['where']}": problem for problem in answer.json["problems"]}
    assert answer.exit_code == 2
    assert [way["text"] for way in problems[problem]["instead"][:1]] == [way] * bool(way)


def test_a_parameter_that_the_program_reads_from_its_environment_is_accepted(submit, tmp_path):
    reads = "import os; os.environ['ROBOTRAIN_PARAM_size']"
    assert submit("--data data", reads, options=("--param", "size=1")).exit_code == 0
    assert submit("--data data", options=("--param", "size=1")).exit_code == 2
    (tmp_path / "data/conf.yaml").write_text("size: ${oc.env:ROBOTRAIN_PARAM_size}\n")
    assert submit("--data data", options=("--param", "size=1")).exit_code == 0


def test_a_sweep_whose_trials_would_be_equal_is_refused_once(submit, robotrain):
    submit("--data data")
    line = ("sweep", "train.py", "--platform", "local", "--dry-run", "--json")
    answer = robotrain(*line, "--over", "lr=1,2", "--", "--data", "data")
    errors = [problem for problem in answer.json["problems"] if problem["severity"] == "error"]
    assert [(problem["where"], problem["instead"][0]["text"]) for problem in errors] == [("--over lr", "-- … {lr}")]


def test_seeds_that_the_program_does_not_read_are_refused_and_not_averaged(submit, robotrain):
    submit("--data data")
    line = (
        "sweep",
        "train.py",
        "--platform",
        "local",
        "--dry-run",
        "--json",
        "--over",
        "seed=0,1",
        "--",
        "--data",
        "data",
    )
    for words in ((), ("--seed", "7")):
        (problem,) = robotrain(*line, *words).json["problems"]
        assert (problem["code"], problem["instead"][0]["text"]) == ("parameter-unread", "-- … {seed}")
    assert robotrain(*line, "--seed", "{seed}").exit_code == 0


def test_a_checkpoint_that_says_its_place_may_be_put_back_without_a_pattern(submit, tmp_path):
    (tmp_path / "000020").mkdir()
    (tmp_path / "000020/robotrain-program.json").write_text('{"path": "checkpoint-20", "is_file": false}')
    answer = submit("--data data", options=("--resume-from", str(tmp_path / "000020")))
    answer.check_problems(2, "resume-unused --resume-args")
    usual = """--resume-args '["--resume", "{resume}"]'"""
    assert [way["text"] for way in answer.json["problems"][-1]["instead"]] == [usual, "--resume-in-place"]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("--layers 8", "python train.py --data x --layers 64 64 --lr 1 --layers 8"),
        ("--layers 8 9", "python train.py --data x --layers 8 9 --lr 1"),
    ],
)
def test_an_option_after_dashes_replaces_one_with_as_many_values(submit, robotrain, tmp_path, words, command):
    submit("--data data")
    (tmp_path / "job.yaml").write_text(
        "workload: command\nrun: [python, train.py, --data, x, --layers, 64, 64, --lr, 1]\n"
        "sources: {code: {local_path: .}}\n"
    )
    answer = robotrain("explain", "job.yaml", "--platform", "local", "--json", "--", *words.split())
    assert " ".join(row["value"] for row in answer.json.get("values", ()) if row["name"] == "trainer_args") == command


def test_a_folder_of_all_outputs_is_not_given_as_a_checkpoint(submit, robotrain, tmp_path):
    folder = tmp_path / "000200"
    folder.mkdir()
    for file in ("checkpoint_100.json", "checkpoint_200.json", "log.txt"):
        (folder / file).touch()
    (folder / "robotrain-program.json").write_text('{"path": "", "is_file": false}')
    start = ("--resume-from", str(folder))
    bare = ("--resume-args", '["--resume", "{resume}"]')
    submit("--data data", options=start).check_problems(2, "resume-unused --resume-args")
    for options, exit_code in (
        (bare, 4),
        ((*bare, "--checkpoints", "other_{step}"), 4),
        ((*bare, "--checkpoints", "checkpoint_{step}.json"), 0),
        (("--resume-args", '["--resume", "{resume}/log.txt"]'), 0),
        (("--resume-args", '["--resume", "{resume}/"]'), 0),
    ):
        line = ("submit", "train.py", "--platform", "local", "--tracking-uri", "none", "--dry-run", *start, *options)
        assert robotrain(*line, "--", "--data", "data").exit_code == exit_code


def test_a_pattern_of_checkpoints_leaves_the_option_for_outputs_to_the_program(submit, robotrain):
    submit("--data data", more='parser.add_argument("--ckpt-dir")')
    line = ("explain", "train.py", "--platform", "local", "--checkpoints", "step_{step}", "--", "--data", "data")
    assert "`--ckpt-dir {outputs}` after its arguments" in robotrain(*line).stderr
