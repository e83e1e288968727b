"""What people type wrongly is answered by the line that works: programs, workloads, dashes and quotes of a text."""

import shlex
from pathlib import Path

import pytest

PROGRAM = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--data-dir", default="data")
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--out", default="out")
parser.parse_args()
"""
HERE = "--platform local"

ARGUMENTS = {
    # an option of the program before `--`: that of its own argparse is meant
    f"submit train.py {HERE} --data ds": f"robotrain submit train.py {HERE} -- --data-dir ds",
    f"submit train.py {HERE} --lr 1e-4": f"robotrain submit train.py {HERE} -- --lr 1e-4",
    f"submit train.py {HERE} --data_path ds": f"robotrain submit train.py {HERE} -- --data-dir ds",
    f"submit train.py {HERE} --dataset_path ds": "--dataset-path ds",
    f"submit train.py {HERE} --epoch=3 --data ds": f"robotrain submit train.py {HERE} -- --epochs 3 --data-dir ds",
    f"submit train.py {HERE} --epochs 3 -- --lr 1": f"robotrain submit train.py {HERE} -- --lr 1 --epochs 3",
    f"submit train.py {HERE} --trakcing-uri none": "--tracking-uri none",
    f"submit train.py {HERE} --checkpoint x": "--checkpoints x",
    f"submit train.py {HERE} --momentum 1": "",
    # another word, or a misspelling of one, for an option of the program
    f"submit train.py {HERE} --learning-rate 1": f"robotrain submit train.py {HERE} -- --lr 1",
    f"submit train.py {HERE} lr=1e-3": "-- --lr 1e-3",
    f"submit train.py {HERE} --larning-rate 1": f"robotrain submit train.py {HERE} -- --lr 1",
    f"submit train.py {HERE} --save-dir x": f"robotrain submit train.py {HERE} -- --out x",
    f"submit train.py {HERE} -- --learning_rate=1": "-- --lr 1",
    f"submit train.py {HERE} -- --larning-rate 1": "-- --lr 1",
    f"submit train.py {HERE} -- --num-epochs 2": "-- --epochs 2",
    f"submit train.py {HERE} -- --momentum 2": "",
    f"submit lerobot-train {HERE} -d a/b -- --larning-rate 0.1": "--learning-rate 0.1",
    f"submit lerobot-train {HERE} -d a/b -- --batchsize=4": "--batch-size 4",
    # of other tools
    f"submit train.py {HERE} --force": "--new",
    f"submit train.py {HERE} --follow": "--stream",
    f"submit train.py {HERE} --background": "leave out --background",
    f"submit train.py {HERE} --verbose": "leave out --verbose",
    # a repository without its slash
    f"submit lerobot-train {HERE} -d lerobot_pusht": "--dataset-repo-id lerobot/pusht",
    f"submit lerobot-train {HERE} -d=lerobot/pusht": "--dataset-repo-id lerobot/pusht",
    f"submit lerobot-train {HERE} -d lerobot-pusht@v3.0": "--dataset-repo-id lerobot/pusht@v3.0",
    f"submit train.py {HERE} --env pusht": "",
    f"submit train.py {HERE} --watch": "",
    f"submit other.py {HERE} --lr 1": f"robotrain submit other.py {HERE} -- --lr 1",
    f"submit command --code . {HERE} --lr 1 -- python train.py": "-- python train.py --lr 1",
    f"submit command --code . {HERE} --lr 1 --epoch 2 -- python train.py": "-- python train.py --lr 1 --epochs 2",
    f"submit command --code . {HERE} --lr 1 -- python train.py --lr {{lr}}": "--param lr=1",
    # of robotrain after `--`
    "submit train.py -- --platform local": f"robotrain submit train.py {HERE}",
    f"submit train.py {HERE} -- --platform local": f"robotrain submit train.py {HERE}",
    f"submit train.py {HERE} -- {HERE} --dry-run": f"robotrain submit train.py {HERE} --dry-run",
    f"submit train.py {HERE} -- --lr 1 --dry-run --note x": (
        f"robotrain submit train.py {HERE} --dry-run --note x -- --lr 1"
    ),
    # as a shell starts it
    f"submit python train.py --epochs 3 {HERE}": f"robotrain submit train.py {HERE} -- --epochs 3",
    f"submit {HERE} python3 -u train.py --lr 1 -- --out o": f"robotrain submit {HERE} train.py -- --lr 1 --out o",
    f"submit python train.py {HERE}": f"robotrain submit train.py {HERE}",
    f"submit command --code . {HERE} python train.py --lr 1": (
        f"robotrain submit command --code . {HERE} train.py -- --lr 1"
    ),
    f"submit command python train.py {HERE} -- --lr 1": f"robotrain submit command train.py {HERE} -- --lr 1",
    # `--` twice
    f"submit train.py {HERE} -- -- --lr 1": f"robotrain submit train.py {HERE} -- --lr 1",
    f"submit command --code . {HERE} -- -- -- true": f"robotrain submit command --code . {HERE} -- true",
    f"submit lerobot-train {HERE} -d a/b -- -- --batch_size=4": (
        f"robotrain submit lerobot-train {HERE} -d a/b -- --batch_size=4"
    ),
    "resume pick -- -- --epochs 2": "robotrain resume pick -- --epochs 2",
    f"submit {HERE} -- python train.py --lr 1": f"robotrain submit train.py {HERE} -- --lr 1",
    f"sweep {HERE} --over lr=1,2 -- train.py --lr {{lr}}": (
        f"robotrain sweep train.py {HERE} --over lr=1,2 -- --lr '{{lr}}'"
    ),
    f"submit torchrun train.py {HERE}": f"robotrain submit command --code . {HERE} -- torchrun train.py",
    f"submit {HERE} torchrun --nproc_per_node=2 train.py --lr 1": (
        f"robotrain submit command --code . {HERE} -- torchrun --nproc_per_node=2 train.py --lr 1"
    ),
    f"submit {HERE} -- accelerate launch train.py": (
        f"robotrain submit command --code . {HERE} -- accelerate launch train.py"
    ),
    f"submit {HERE} python -m torch.distributed.run train.py": (
        f"robotrain submit command --code . {HERE} -- python -m torch.distributed.run train.py"
    ),
    # options of another workload than the chosen one
    f"submit lerobot-eval {HERE} --env pusht --checkpoint x": "--policy-path x",
    # values of a sweep, and arguments as a text
    f"sweep train.py {HERE} --set lr=0.1,0.2 -- --lr {{lr}}": "--over lr=0.1,0.2",
    f"sweep train.py {HERE} --param lr=1..3 -- --lr {{lr}}": "--over lr=1..3",
    f"sweep train.py {HERE} --set lr=0.1": "-- --lr 0.1",
    f"sweep train.py {HERE} --over lr=1e-3 1e-2 -- --lr {{lr}}": (
        f"robotrain sweep train.py {HERE} --over lr=1e-3,1e-2 -- --lr '{{lr}}'"
    ),
    f"sweep train.py {HERE} --over lr=[1e-3,1e-2] -- --lr {{lr}}": (
        f"robotrain sweep train.py {HERE} --over lr=1e-3,1e-2 -- --lr '{{lr}}'"
    ),
    f"sweep train.py {HERE} --over 'lr=1 2' --over epochs=1 --over epochs=2": (
        f"robotrain sweep train.py {HERE} --over lr=1,2 --over epochs=1,2 -- --lr '{{lr}}' --epochs '{{epochs}}'"
    ),
    f"sweep train.py {HERE} -m lr=1,2": f"robotrain sweep train.py {HERE} --over lr=1,2 -- --lr '{{lr}}'",
    f"sweep train.py {HERE} --multirun -- lr=1,2": f"robotrain sweep train.py {HERE} --over lr=1,2 -- --lr '{{lr}}'",
    f"sweep train.py {HERE} -J 2 --over lr=1,2 -- --lr {{lr}}": (
        f"robotrain sweep train.py {HERE} --at-most 2 --over lr=1,2 -- --lr '{{lr}}'"
    ),
    f"sweep train.py {HERE} --array=0-3%2 --over lr=1,2 -- --lr {{lr}}": (
        f"robotrain sweep train.py {HERE} --at-most 2 --over lr=1,2 -- --lr '{{lr}}'"
    ),
    f"sweep lerobot-train {HERE} -d a/b --array 1-4": f"robotrain sweep lerobot-train {HERE} -d a/b --over seed=1..4",
    f"sweep train.py {HERE} --lr 0.1,0.2": f"robotrain sweep train.py {HERE} --over lr=0.1,0.2 -- --lr '{{lr}}'",
    f"sweep train.py {HERE} -- --lr=0.1,0.2": f"robotrain sweep train.py {HERE} --over lr=0.1,0.2 -- '--lr={{lr}}'",
    f"sweep train.py {HERE} --over learning_rate=1,2": "-- --lr '{learning_rate}'",
    f"sweep lerobot-train {HERE} -d a/b --learning-rate 1e-5,1e-4": (
        f"robotrain sweep lerobot-train {HERE} -d a/b --over learning_rate=1e-5,1e-4"
    ),
    f"sweep seeded.py {HERE} --over seed=1,2 --seed {{seed}}": (
        f"robotrain sweep seeded.py {HERE} --over seed=1,2 -- --seed '{{seed}}'"
    ),
    f"submit seeded.py {HERE} --seed={{seed}}": f"robotrain submit seeded.py {HERE} -- '--seed={{seed}}'",
    f"submit train.py {HERE} --resume-args '--lr {{resume}}'": """--resume-args '["--lr", "{resume}"]'""",
    f"submit train.py {HERE} --resume-args --dry-run": "--resume-args JSON",
    f"submit lerobot-merge {HERE} --checkpoint x": "leave out --checkpoint",
    f"submit isaac-validate {HERE} --training-steps 3": "leave out --training-steps",
}
OTHERS = {
    f"submit lerobot_train {HERE} -d a/b": f"robotrain submit lerobot-train {HERE} -d a/b",
    f"submit Isaac_Train {HERE} --num-envs 4": f"robotrain submit isaac-train {HERE} --num-envs 4",
    f"render --workload lerobot_train {HERE} -d a/b": f"robotrain render lerobot-train {HERE} -d a/b",
    f"submit {HERE} --workload=isaac-trian -- x=1": f"robotrain submit {HERE} isaac-train -- x=1",
    "submit lerobot-train \u2013-platform local": f"robotrain submit lerobot-train {HERE}",
    f"submit lerobot-train \u2013steps 10 {HERE}": f"robotrain submit lerobot-train --steps 10 {HERE}",
    f"submit lerobot-train \u2014dataset-path x {HERE}": f"robotrain submit lerobot-train --dataset-path x {HERE}",
    f"submit lerobot-train {HERE} \u2212d x": f"robotrain submit lerobot-train {HERE} -d x",
    f"submit train.py {HERE} -- \u2013epochs 3": f"robotrain submit train.py {HERE} -- --epochs 3",
    f"submit train.py {HERE} \u2014note=\u201ctwo words\u201d": f"robotrain submit train.py {HERE} '--note=two words'",
    f"submit lerobot-train {HERE} -d \u201ca/b\u201d": f"robotrain submit lerobot-train {HERE} -d a/b",
    "status \u2013json": "robotrain status --json",
    "runs \u2014all": "robotrain runs --all",
    "logs \u2013tail 5": "robotrain logs --tail 5",
}


@pytest.fixture(autouse=True)
def programs():
    """Make the programs that lines name."""
    Path("train.py").write_text(PROGRAM)
    Path("seeded.py").write_text(PROGRAM.replace("--lr", "--seed"))
    Path("other.py").write_text("import sys\nprint(sys.argv)\n")


def check_first_way(answer, meant):
    lines = [text.strip() for text in answer.stderr.splitlines()]
    position = next((index for index, text in enumerate(lines) if text.startswith(("use   ", "leave out"))), None)
    first_way = "" if position is None else lines[position].removeprefix("use").strip().partition(" (")[0]
    assert (answer.exit_code, first_way) == (2, meant), answer.stderr


@pytest.mark.parametrize("line", [*ARGUMENTS, *OTHERS])
def test_line_is_answered_by_the_one_that_works(robotrain, line):
    check_first_way(robotrain(*shlex.split(line)), {**ARGUMENTS, **OTHERS}[line])


LOOKS = {
    # of commands that compare runs, or look at runs and datasets
    "compare old nw": "robotrain compare old new",
    "compare old vs new": "robotrain compare old new",
    "compare old,new": "robotrain compare old new",
    "compare old": "robotrain compare old RUN",
    "compare old new --to x.html": "robotrain report old new --to x.html",
    "compare --output=x.html old new": "robotrain report old new --to x.html",
    "compare old new --html": "robotrain report old new",
    "compare --scores scors.csv": "--scores scores.csv",
    "compare --scores scores.csv difusion bc": "diffusion",
    "compare old new \u2013json": "robotrain compare old new --json",
    "report pik": "robotrain report pick",
    "report all": "robotrain report --all",
    "report --run old": "robotrain report old",
    "status --name=pick --json": "robotrain status pick --json",
    "data check --dataset-path data": "robotrain data check data",
    "data check data --dataset data --decode all": "robotrain data check data --decode all",
    "data check --dataset.repo_id=lerobot/pusht": "robotrain data check lerobot/pusht",
    "data check data --to x.html": "robotrain data view data --to x.html",
    "data view --dataset-path=data": "robotrain data view data",
    "data check train.py": "",
    # options of other tools
    "runs --columns name": "robotrain runs --json",
    "logs pick --lines 50": "--tail 50",
    "logs --lines=50 pick": "--tail 50",
    "logs pick --last": "--tail INT",
    "logs pick --grep loss --task 1": "robotrain logs pick --task 1 | grep loss",
    "logs pick -f --filter": "robotrain logs pick -f | grep VALUE",
    "logs --head 5 pick": "robotrain logs pick | head -n 5",
    "logs pick --output x.txt": "robotrain logs pick > x.txt",
    "logs pick --since 1h": "--tail N",
    "runs --sort loss": "robotrain runs --json | jq '.runs | sort_by(.loss)'",
    "runs --sort-by date": "leave out --sort-by",
    "runs --filter name=x": "--set name=x",
    "runs --last 3": "--number 3",
    "runs --columns name --all": "robotrain runs --all --json",
    "runs --failed": "--state failed",
    "runs -o json": "--json",
    "cancel --all": "robotrain cancel train-1 eval-2 eval-1",
    "wait --all": "robotrain wait train-1 eval-2 eval-1",
    "cancel pick --force": "leave out --force",
    "resubmit pick --force": "--new",
    "runs --prune --force": "--yes",
    "status pick --tail 5": "robotrain logs pick --tail 5",
    "status --all": "robotrain runs",
    "status -v": "leave out -v",
    "status pick --quiet": "robotrain status pick 2>/dev/null",
    "outputs pick --dir x": "--to x",
    "resume pick --checkpoint 200": "--resume-from 200",
    "resume pick --checkpoint out/x": "--resume-from out/x",
}


@pytest.mark.parametrize("line", LOOKS)
def test_look_at_runs_and_datasets_is_answered_by_the_line_that_works(robotrain, record_evaluation, scripted, line):
    record_evaluation("eval-1", [True] * 9, called="old")
    record_evaluation("eval-2", [False] * 9, called="new")
    scripted.run("train-1", called="pick")
    Path("data").mkdir()
    Path("scores.csv").write_text("policy,start,success\ndiffusion,1,1\nbc,1,0\n")
    check_first_way(robotrain(*line.split()), LOOKS[line])


SINGLE_MISTAKES = {
    "submit lerobot-train --platform local --dataset-path --steps 3": "flag-without-value --dataset-path",
    "submit lerobot-train --platform local -d --dry-run": "flag-without-value --dataset-repo-id",
    "submit train.py --platform --dry-run": "flag-without-value --platform",
    "submit train.py --platform locl": "plugin-not-loaded --platform locl",
    "submit train.py --platform local --gpus -1": "option-unknown --gpus",
    "submit train.py --platform local --policy-run no -- --data-dir {policy}": "source-invalid --policy-run no",
    "submit lerobot-train --plaform local -d a/b": "option-unknown --plaform",
    "submit lerobot-train --platform local -d a/b --steps many": "value-invalid --training-steps many",
    "sweep train.py --platform local --over lrr=1,2 -- --lr {lr}": "placeholder-unknown lrr=1: -- {lr}",
    "sweep lerobot-train --platform local -d a/b --ovr seed=1,2": "option-unknown --ovr",
    "sweep lerobot-train --platform local -d a/b --over sed=1,2": "value-unknown --over sed",
}


@pytest.mark.parametrize("line", SINGLE_MISTAKES)
def test_one_mistake_is_one_error(robotrain, line):
    robotrain(*line.split()).check_problems(2, SINGLE_MISTAKES[line])


def test_range_of_a_number_is_said(robotrain):
    answer = robotrain("data", "check", "data", "--val-split", "10")
    assert "a number from 0 to 0.999" in answer.stderr


def test_option_that_neither_has_is_answered_with_those_of_the_program(robotrain):
    answer = robotrain("submit", "train.py", "--platform", "local", "--momentum", "1", "--json")
    problem = answer.json["problems"][0]
    assert problem["why"] == "train.py has --data-dir, --epochs, --lr, --out."


def test_options_of_another_workload_than_that_of_the_run_are_not_offered(robotrain, fake_platform):
    program = ("python", "-m", "training", "--lr", "{b}", "--epochs", "2")
    run = robotrain("submit", "command", "--platform", "fake", "--param", "b=1", "--", *program).stdout.strip()
    for words, way in (
        ((run, "--learning-rate", "1"), "-- --lr 1"),
        (("--batch-size", "1"), "robotrain resubmit --help"),
        ((run, "--epoch", "1"), "-- --epochs 1"),
        ((run, "--b", "1"), "--set b=1"),
        ((run, "--num-gpus", "1"), "--set num_gpus=1"),
    ):
        problem = robotrain("resubmit", *words, "--json").json["problems"][0]
        assert problem["instead"][0]["text"] == way, words


@pytest.mark.parametrize("note", ["\u2013 best", "a \u2013 b", "\u201cbest\u201d run"])
def test_signs_of_a_text_in_a_value_are_left_alone(robotrain, note):
    line = ("explain", "train.py", "--platform", "local", "--set-env", f"NOTE={note}")
    assert robotrain(*line).exit_code == 0


def test_no_secret_of_a_line_with_a_wrong_dash_is_repeated(robotrain):
    secret = "hf_" + "a1B2" * 10
    answer = robotrain("submit", "lerobot-train", "\u2013platform", "local", "--", f"--token={secret}")
    answer.check_problems(2, "dash-typographic \u2013platform")
    assert secret not in answer.stderr


PLACES = {
    "report train-1 --to nosuch/deep/x.html": "nosuch",
    "report train-1 --to nosuch/deep/": "nosuch",
    "outputs train-1 --to nosuch/deep/x": "nosuch",
    "image lerobot-train --to nosuch/deep/x": "nosuch",
    "render train.py --platform local --to nosuch/deep/x": "nosuch",
    "submit train.py --platform local --save-spec nosuch/deep/x.yaml": "nosuch",
}


@pytest.mark.parametrize("line", PLACES)
def test_no_folder_is_made_above_that_of_the_place_that_is_written_to(robotrain, scripted, line):
    scripted.run("train-1")
    answer = robotrain(*line.split(), "--json")
    missing = Path.cwd() / PLACES[line]
    (problem,) = [problem for problem in answer.json["problems"] if problem["severity"] == "error"]
    assert (problem["code"], missing.exists()) == ("folder-missing", False)
    assert f"there is no folder {missing}" in problem["title"]
    (way,) = problem["instead"]
    assert way["text"].startswith("mkdir -p nosuch")


def test_page_makes_the_folder_that_it_is_in(robotrain, scripted):
    scripted.run("train-1")
    assert robotrain("report", "train-1", "--to", "pages/x.html").exit_code == 0
    assert Path("pages/x.html").is_file()
