"""The options that a program's own parser refuses are refused before it is sent, where its text leaves no doubt."""

import shlex

import pytest

PARSER = """
import argparse, os
from pathlib import Path

def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", "-l", type=float, default=1e-3)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--opt", choices=["adam", "sgd"])
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--amp", action=argparse.BooleanOptionalAction)
    {more}
    args = parser.parse_args({parsed})

if __name__ == "__main__":
    main()
"""

REFUSED = [
    # the arguments, the codes of the problems, what to type first
    ("--lrr 0.1 --data data", "option-unknown", "-- --lr 0.1"),
    ("--lrr=0.1 --data data", "option-unknown", "-- --lr 0.1"),
    ("--verbsoe --data data", "option-unknown", "-- --verbose"),
    ("--epochs 3 --data data", "option-unknown", ""),
    ("more --data data", "option-unknown", ""),
    ("--lr abc --data data", "value-invalid", "-- … --lr NUMBER"),
    ("--lr={outputs} --data data", "value-invalid", "-- … --lr NUMBER"),
    ("--opt adm --data data", "value-invalid", "-- --opt adam"),
    ("--lr 3", "option-missing", "-- … --data VALUE"),
    ("--dta data", "option-unknown", "-- --data data"),
    ("--lr x --opt y --lrr 1", "value-invalid value-invalid option-unknown option-missing", "-- … --lr NUMBER"),
    ("--data dta", "path-misspelt", "-- --data data"),
    ("--data data/psuht", "path-misspelt", "-- --data data/pusht"),
    ("--data {output}", "placeholder-unknown", "{outputs}"),
]
ACCEPTED = [
    "--data data",
    "--dat data -l3 --no-amp",
    "--data /nosuch --lr {rate}",
    "--data {outputs} --lr {seed} --lr={num_gpus}",
    "--data elsewhere",
]
MORE = {
    # what leaves doubt, or makes the option --lrr one of the program's
    "subparsers": ("parser.add_subparsers()", ""),
    "parsed in part": ("parser.parse_known_args()", ""),
    "another parser": ("argparse.ArgumentParser()", ""),
    "given away": ("os.add_options(parser)", ""),
    "in a loop": ("for name in os.environ: parser.add_argument('--' + name)", ""),
    "other words": ("", "os.environ['ARGS'].split()"),
    "reads the command line": ("import sys; print(sys.argv)", ""),
    "in a condition": ("if os.environ: parser.add_argument('--lrr')", ""),
    "in a group": ("parser.add_argument_group().add_argument('--lrr')", ""),
    "of another reader": ("from click import command", ""),
}


@pytest.fixture
def submit(robotrain, tmp_path, monkeypatch):
    """Check a line with a program; return its answer."""
    (tmp_path / "data/pusht").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    def submit(words, more="", parsed="", options=()):
        (tmp_path / "train.py").write_text(PARSER.format(more=more, parsed=parsed))
        rate = ("--param", "rate=3") if "{rate}" in words else ()
        seed = ("--seed", "1") if "{seed}" in words else ()
        line = ("explain", "train.py", "--platform", "local", *rate, *seed, *options)
        return robotrain(*line, "--json", "--", *words.split())

    return submit


@pytest.mark.parametrize(("words", "codes", "way"), REFUSED)
def test_arguments_that_the_parser_refuses_are_refused(submit, words, codes, way):
    answer = submit(words)
    assert answer.exit_code == 2
    problems = [problem for problem in answer.json["problems"] if problem["severity"] == "error"]
    assert [problem["code"] for problem in problems] == codes.split()
    assert (problems[0]["instead"][0]["text"] if problems[0]["instead"] else "") == way


@pytest.mark.parametrize("words", ACCEPTED)
def test_arguments_that_the_parser_takes_are_taken(submit, words):
    assert submit(words).exit_code == 0


@pytest.mark.parametrize("name", MORE)
def test_nothing_is_claimed_where_the_text_leaves_doubt(submit, name):
    more, parsed = MORE[name]
    assert submit("--lrr 0.1 --data data", more, parsed).exit_code == 0


@pytest.mark.parametrize("parsed", ["", "None", "__import__('sys').argv[1:]"])
def test_the_words_of_the_command_are_what_is_parsed(submit, parsed):
    answer = submit("--lrr 0.1 --data data", parsed=parsed)
    assert answer.exit_code == (0 if "import" in parsed else 2)


def test_a_parser_of_a_module_of_the_folder_is_read(robotrain, tmp_path, monkeypatch):
    (tmp_path / "options.py").write_text(
        "import argparse\ndef add(p):\n  p.add_argument('--lr')\ndef read():\n"
        "  parser = argparse.ArgumentParser()\n  add(parser)\n  return parser.parse_args()\n"
    )
    (tmp_path / "train.py").write_text("from options import read\nargs = read()\n")
    monkeypatch.chdir(tmp_path)
    line = ("explain", "train.py", "--platform", "local", "--")
    robotrain(*line, "--lrr", "1").check_problems(2, "option-unknown --")
    assert robotrain(*line, "--lr", "1").exit_code == 0


def test_a_program_with_options_needs_no_arguments(robotrain, tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text(
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr')\np.parse_args()"
    )
    monkeypatch.chdir(tmp_path)
    assert robotrain("explain", "train.py", "--platform", "local").exit_code == 0


UNREAD = [  # the options, the arguments, the problem, what to type
    ("--param lrr=0.1", "--lr {lr}", "placeholder-unknown --", "--param lr=0.1"),
    ("--param lr=0.1", "", "parameter-unread --param lr", "-- --lr '{lr}'"),
    ("--param lr=0.1", "--lr 3", "parameter-unread --param lr", "-- --lr '{lr}'"),
    ("--set params.size=1", "", "parameter-unread --param size", "-- … {size}"),
    ("--seed 5", "", "seed-unread --seed", "leave out --seed"),
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
    for over, words, place, way in (
        ("lr", "", "--over lr", "-- --lr '{lr}'"),
        ("lrr", "--lr {lr}", "lrr=1: --", "--over lr=1,2"),
    ):
        answer = robotrain(*line, "--over", f"{over}=1,2", "--", "--data", "data", *words.split())
        errors = [problem for problem in answer.json["problems"] if problem["severity"] == "error"]
        assert [(problem["where"], problem["instead"][0]["text"]) for problem in errors] == [(place, way)]


def test_seeds_that_the_program_does_not_read_are_refused_and_not_averaged(submit, robotrain):
    submit("--data data", "parser.add_argument('--seed')")
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
        assert (problem["code"], problem["instead"][0]["text"]) == ("seed-unread", "-- --seed '{seed}'")
    assert robotrain(*line, "--seed", "{seed}").exit_code == 0


def test_an_option_to_resume_with_that_the_program_lacks_is_refused(submit):
    way = ("--checkpoints", "c/{step}", "--resume-args", '["--resume", "{resume}"]')
    answer = submit("--data data", options=way)
    answer.check_problems(2, "option-unknown --resume-args")
    assert answer.json["problems"][-1]["instead"][0]["text"] == "leave out --resume-args"
    answer = submit("--data data", "parser.add_argument('--load-from')", options=way)
    assert answer.json["problems"][-1]["instead"][0]["text"] == """--resume-args '["--load-from", "{resume}"]'"""
    assert submit("--data data", "parser.add_argument('--resume')", options=way).exit_code == 0


@pytest.mark.parametrize(
    ("more", "way"),
    [
        ("parser.add_argument('--ckpt')", """--resume-args '["--ckpt", "{resume}"]'"""),
        (
            "parser.add_argument('--resume', action='store_true')",
            """--resume-in-place --resume-args '["--resume"]'""",
        ),
        ("parser.add_argument('--checkpoint-dir')", ""),
    ],
)
def test_a_checkpoint_to_continue_from_is_given_by_an_option_that_the_program_has(submit, more, way):
    answer = submit("--data data", more, options=("--resume-from", "/data/run/000020"))
    answer.check_problems(2, "resume-unused --resume-args")
    assert "".join(suggestion["text"] for suggestion in answer.json["problems"][-1]["instead"]) == way


def test_a_checkpoint_that_says_its_place_may_be_put_back_without_a_pattern(submit, tmp_path):
    (tmp_path / "000020").mkdir()
    (tmp_path / "000020/robotrain-program.json").write_text('{"path": "checkpoint-20", "is_file": false}')
    answer = submit("--data data", options=("--resume-from", str(tmp_path / "000020")))
    answer.check_problems(2, "resume-unused --resume-args")
    assert [way["text"] for way in answer.json["problems"][-1]["instead"]] == ["--resume-in-place"]


@pytest.mark.parametrize(
    ("nargs", "words", "command"),
    [
        ("nargs='+', type=int", "--layers 8", "python train.py --data x --layers 64 64 --lr 1 --layers 8"),
        ("nargs=2", "--layers 8 9", "python train.py --data x --layers 8 9 --lr 1"),
    ],
)
def test_an_option_after_dashes_replaces_one_with_as_many_values(submit, robotrain, tmp_path, nargs, words, command):
    submit("--data data", f"parser.add_argument('--layers', {nargs})")
    (tmp_path / "job.yaml").write_text(
        "workload: command\nrun: [python, train.py, --data, x, --layers, 64, 64, --lr, 1]\n"
        "sources: {code: {local_path: .}}\n"
    )
    answer = robotrain("explain", "job.yaml", "--platform", "local", "--json", "--", *words.split())
    assert " ".join(row["value"] for row in answer.json.get("values", ()) if row["name"] == "trainer_args") == command


WHOLE = """--resume-args '["--resume", "{resume}/"]'"""


@pytest.mark.parametrize(
    ("files", "ways"),
    [
        (
            ("checkpoint_100.json", "checkpoint_200.json", "log.txt"),
            ["""--checkpoints 'checkpoint_{step}.json' --resume-args '["--resume", "{resume}"]'""", WHOLE],
        ),
        (
            ("sample_1.png", "sample_2.png", "epoch 3.pt"),
            ["""--checkpoints 'epoch {step}.pt' --resume-args '["--resume", "{resume}"]'""", WHOLE],
        ),
        (("log.txt", "model.pt"), ["""--resume-args '["--resume", "{resume}/model.pt"]'""", WHOLE]),
    ],
)
def test_a_folder_of_all_outputs_is_not_given_as_a_checkpoint(submit, tmp_path, files, ways):
    folder = tmp_path / "000200"
    folder.mkdir()
    for file in files:
        (folder / file).touch()
    (folder / "robotrain-program.json").write_text('{"path": "", "is_file": false}')
    line = ("--data data", "parser.add_argument('--resume')")
    start = ("--resume-from", str(folder))
    bare = ("--resume-args", '["--resume", "{resume}"]')
    for options, code, others in (
        (start, "resume-unused", ["--resume-in-place"]),
        (start + bare, "resume-unclear", []),
    ):
        answer = submit(*line, options=options)
        answer.check_problems(2, f"{code} --resume-args")
        assert [way["text"] for way in answer.json["problems"][-1]["instead"]] == [*ways, *others]
    for way in ways:
        assert submit(*line, options=(*start, *shlex.split(way))).exit_code == 0
    assert submit(*line, options=(*start, *bare, "--checkpoints", "other_{step}")).exit_code == 2


def test_what_a_program_wrote_beside_its_checkpoints_is_answered_with_the_last_of_them(submit, tmp_path):
    for step, place in (("000100", "model_100.pt"), ("000200", "model_200.pt"), ("000201", "")):
        (tmp_path / step).mkdir()
        (tmp_path / step / (place or "final.pt")).touch()
        place_text = f'{{"path": "{place}", "is_file": {str(bool(place)).lower()}}}'
        (tmp_path / step / "robotrain-program.json").write_text(place_text)
    line = ("--data data", "parser.add_argument('--resume')")
    bare = ("--resume-args", '["--resume", "{resume}"]')
    answer = submit(*line, options=("--resume-from", str(tmp_path / "000201"), *bare))
    answer.check_problems(2, "resume-unclear --resume-args")
    ways = [way["text"] for way in answer.json["problems"][-1]["instead"]]
    assert ways == [f"--resume-from {tmp_path}/000200 {shlex.join(bare)}", WHOLE]
    assert submit(*line, options=shlex.split(ways[0])).exit_code == 0


def test_a_pattern_of_checkpoints_leaves_the_option_for_outputs_to_the_program(submit, robotrain):
    submit("--data data", more='parser.add_argument("--ckpt-dir")')
    line = ("explain", "train.py", "--platform", "local", "--checkpoints", "step_{step}", "--", "--data", "data")
    assert "`--ckpt-dir {outputs}` after its arguments" in robotrain(*line).stderr
