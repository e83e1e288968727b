"""What a job of `command` is refused for, before it is sent: each rule, with what to type instead."""

import os
import shlex
import sys
import time
from pathlib import Path

import pytest
from robotrain_workloads.command import placeholders

DATA = ("--dataset-path", str(Path(__file__).parents[2] / "examples/pusht-mini/dataset"))
LINE = ("explain", "command", "--platform", "local")
TWO = (*DATA, "--dataset-path", "/data/others")

RESUME_ARGS = """--resume-args '["--resume", "{resume}"]'"""

REFUSED = [
    # options, the command, the code of the problem, what to type first
    ("", "", "command-missing", "-- PROGRAM ARGUMENTS"),
    ("", "true {dataset}", "placeholder-empty", "--dataset-path FOLDER"),
    ("", "true {datasets}", "placeholder-empty", "--dataset-path FOLDER"),
    (TWO, "true {dataset}", "placeholder-empty", "{datasets}"),
    (TWO, "true --data={datasets}", "placeholder-misplaced", "{datasets}"),
    ("", "true {policy}", "placeholder-empty", "--policy-path FOLDER"),
    ("", "true {seed}", "placeholder-empty", "--seed N"),
    ("", "true {output}", "placeholder-unknown", "{outputs}"),
    ("", "true {size}", "placeholder-unknown", "--param size=VALUE"),
    ("--param outputs=/x", "true {outputs}", "own-parameter-invalid", "--param my_outputs=VALUE"),
    ("--requirements r.txt --no-install", "true", "option-without-effect", "leave out --no-install"),
    (
        "--shipped-environment lerobot-train --python-version 3.11",
        "true",
        "option-without-effect",
        "leave out --python-version",
    ),
    ("--allow-builds", "true", "option-without-effect", "--requirements FILE"),
    ("--shell", "echo a", "command-invalid", "-- 'echo a'"),
    ("--shell", "--lr 3", "command-invalid", "-- 'SCRIPT'"),
    ("", "--steps 10", "command-invalid", "-- PROGRAM ARGUMENTS"),
    ("--code .", "train.py --lr 3", "command-invalid", "-- python train.py --lr 3"),
    ("", "'python train.py'", "command-invalid", "-- python train.py"),
    ("--metric loss=loss", "true", "value-invalid", "--metric 'loss=loss[=: ]+([0-9.eE+-]+)'"),
    (("--metric", "loss=loss (.+"), "true", "value-invalid", "--metric 'loss=loss[=: ]+([0-9.eE+-]+)'"),
    (("--metric", "loss (train)=(.+)"), "true", "value-invalid", "--metric 'loss _train_'=REGEX"),
    (("--metric", "/train//loss=(.+)"), "true", "value-invalid", "--metric train/loss=REGEX"),
    ("--step step", "true", "value-invalid", "--step 'step[=: ]+([0-9]+)'"),
    ("--launcher torchrun", "./train.sh", "launcher-invalid", "-- python SCRIPT ARGUMENTS"),
    ("--checkpoints saved", "true", "value-invalid", "--checkpoints 'checkpoints/{step}'"),
    ("--checkpoints /saved/{step}", "true", "value-invalid", "--checkpoints 'checkpoints/{step}'"),
    ("--checkpoints ../{step}", "true", "value-invalid", "--checkpoints 'checkpoints/{step}'"),
    ("--checkpoints a/**b/{step}", "true", "value-invalid", "--checkpoints 'checkpoints/{step}'"),
    ("--output-folder ../out", "true", "value-invalid", "--output-folder outputs"),
    ("--output-folder /out", "true", "value-invalid", "--output-folder outputs"),
    ("--output-folder .", "true", "value-invalid", "--output-folder outputs"),
    ("", "true {resume}", "placeholder-empty", RESUME_ARGS),
    (("--resume-args", "on {resume}"), "true", "value-invalid", """--resume-args '["on", "{resume}"]'"""),
    (("--resume-args", '["--resume"]'), "true", "value-invalid", RESUME_ARGS),
    (("--resume-args", "[1]"), "true", "value-invalid", RESUME_ARGS),
    (("--resume-args", '["{resume}", "{lr}"]'), "true", "placeholder-unknown", "--param lr=VALUE"),
    (("--shell", "--resume-args", '["{resume}"]'), "true", "value-invalid", "leave out --resume-args"),
    ("--resume-from /data/run/000020", "true", "resume-unused", RESUME_ARGS),
    ("--shell --resume-from /data/run/000020", "true", "resume-unused", "--resume-args '[]'"),
    ("--launcher torchrun", "python -O train.py", "launcher-invalid", "-- python SCRIPT ARGUMENTS"),
    ("--launcher torchrun", "python -u", "launcher-invalid", "-- python SCRIPT ARGUMENTS"),
    ("", "python train.py", "program-missing", "--code ."),
    ("", "./train.py", "program-missing", "--code ."),
    ("--code .", "python -u trian.py", "program-missing", "train.py"),
    ("--code .", "torchrun trian.py", "program-missing", "train.py"),
    ("", "train.py", "program-missing", "--code . -- python train.py"),
    ("", "./trian.py", "program-missing", "--code . -- ./train.py"),
    ("", "python trian.py", "program-missing", "--code . -- python train.py"),
    ("", "python scripts/train.py", "program-missing", "--code FOLDER"),
    ("", "torchrun --nproc-per-node 2 trian.py", "program-missing", "--code . -- torchrun --nproc-per-node 2 train.py"),
    ("", "bash -e run.sh", "program-missing", "--code FOLDER"),
    ("", f"true {'x' * (1 << 17)}", "command-invalid", "--code FOLDER"),
    (("--param", f"text={'x' * 70_000}"), "true {text}{text}", "command-invalid", "--code FOLDER"),
    (("--param", f"text={'é' * 70_000}"), "true", "command-invalid", "--code FOLDER"),
    (("--param", "text=a\udcffb"), "true {text}", "value-invalid", ""),
    ("", "true --api-key=sk-0123456789abcdef0123456789abcdef", "secret-in-job", "--secret NAME=REFERENCE"),
    ("--param api_key=0123456789abcdef0123", "true {api_key}", "secret-in-job", "--secret NAME=REFERENCE"),
    (("--param", f"x=hf_{'aB3dE5gH7j' * 3}"), "true {x}", "secret-in-job", "--secret NAME=REFERENCE"),
]


@pytest.fixture
def find_problems(robotrain, tmp_path, monkeypatch):
    """The problems of a line, by their codes, with what to type first; in a folder with a `train.py`."""
    (tmp_path / "train.py").touch()
    monkeypatch.chdir(tmp_path)

    def find(options, command):
        words = shlex.split(options) if isinstance(options, str) else options
        answer = robotrain(*LINE, *words, "--json", "--", *shlex.split(command))
        problems = answer.json.get("problems", [])  # only of a job that is refused
        return {
            problem["code"]: problem["instead"][0]["text"] if problem["instead"] else "" for problem in problems
        }, answer

    return find


@pytest.mark.parametrize(("options", "command", "code", "instead"), REFUSED)
def test_a_job_that_could_not_run_is_refused(find_problems, options, command, code, instead):
    problems, answer = find_problems(options, command)
    assert (problems.get(code), answer.exit_code) == (instead, 2)


ACCEPTED = [
    (DATA, "python -c 'print({1: 2})' {dataset} {outputs} {run} {num_gpus}"),
    (TWO, "true {datasets}"),
    (DATA, "jq '.a | {b: .c}' ${HOME} [0-9]{3} --seed 4 --name x --json {{dataset}} {dataset}"),
    ("--shell --seed 3", "'cd x && ls $ROBOTRAIN_SEED {a}'"),
    ("--launcher torchrun", "python3 -u -m train -O"),
    (("--resume-from", "/data/run/000020", "--resume-args", '["--ckpt={resume}"]'), "true"),
    (("--resume-from", "/data/run/000020", "--resume-args", "[]"), "true"),
    ("--shell --resume-from /data/run/000020", "'true $ROBOTRAIN_RESUME'"),
    ("--checkpoints 'models/*/epoch_{step}.pth' --resume-in-place", "true"),
    ("--resume-in-place", "true"),
    ("--code .", "python train.py"),
    ("--code .", "./train.py"),
    ("", "lerobot_train.py"),
    ("", "python /opt/app/trian.py"),
    ("", "bash -c trian.sh"),
]


@pytest.mark.parametrize(
    ("arguments", "ignore_file", "exit_code"),
    [
        ("--init weights/tiny.pt", ".gitignore", 2),
        ("--init=./weights/tiny.pt", ".gitignore", 2),
        ("--config own.yaml", ".robotrainignore", 2),
        ("data/frames.npz", ".gitignore", 2),
        ("--config .hidden.yaml", "", 2),
        ("--data data", ".gitignore", 0),
        ("--config sent.yaml", None, 0),
        ("--init weights/not-here.pt", None, 0),
        ("--out runs", None, 0),
        ("--save-path weights/tiny.pt", None, 0),
        ("--data empty", None, 0),
    ],
)
def test_argument_that_names_what_is_not_sent(find_problems, tmp_path, arguments, ignore_file, exit_code):
    code = tmp_path / "own"
    for name in ("train.py", "weights/tiny.pt", "data/frames.npz", "own.yaml", "sent.yaml", ".hidden.yaml", "runs/log"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).touch()
    (code / "empty").mkdir()
    (code / ".gitignore").write_text("*.pt\ndata/\nruns\nempty\n")
    (code / ".robotrainignore").write_text("/own.yaml\n")
    answer = find_problems("--code own --no-install", f"python train.py {arguments}")[1]
    assert answer.exit_code == exit_code, answer.stderr
    assert ("[command-path-ignored]" in answer.stderr) == (ignore_file is not None)
    assert str(code / ignore_file if ignore_file else "") in answer.stderr


def test_code_that_is_too_large_is_refused_with_the_folder_that_does(robotrain, tmp_path, monkeypatch):
    (tmp_path / "proj").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "proj/train.py").touch()
    (tmp_path / "data/1.bin").touch()
    os.truncate(tmp_path / "data/1.bin", 3_000_000_000)
    (tmp_path / "away").symlink_to("/etc")
    monkeypatch.chdir(tmp_path)
    line = ("explain", "--platform", "local", "--json", "proj/train.py")
    answer = robotrain(*line)
    answer.check_problems(2, "code-too-large --code")
    (problem,) = [problem for problem in answer.json["problems"] if problem["code"] == "code-too-large"]
    program_folder, ignore_file = (way["text"] for way in problem["instead"])
    assert program_folder == "--code proj"
    assert robotrain(*line, *program_folder.split()).exit_code == 0
    assert ignore_file == f"{tmp_path}/.robotrainignore"
    (tmp_path / ".robotrainignore").write_text("/data/\n")
    answer = robotrain(*line)
    answer.check_problems(2, "upload-links --code")
    assert answer.json["problems"][-1]["instead"][0]["text"] == "--code proj"


def test_a_long_look_at_the_code_is_said(robotrain, tmp_path, monkeypatch):
    (tmp_path / "train.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("robotrain.slow_notice.NOTICE_SECONDS", 0)
    answer = robotrain("explain", "--platform", "local", "train.py")
    assert f"reading the names of the folder of code {tmp_path}: 0 so far" in answer.stderr


def test_of_many_unused_parameters_some_are_named(find_problems):
    answer = find_problems([word for number in range(300) for word in ("--param", f"p{number}=x")], "true")[1]
    answer.check_problems(0, "placeholder-unused")


def test_a_number_among_the_resume_args_is_named(robotrain):
    robotrain(*LINE, "--resume-args", '["--resume", "{resume}", "--steps", 100]', "--", "true").check_problems(
        2, "value-invalid --resume-args"
    )


@pytest.mark.parametrize(("options", "command"), ACCEPTED)
def test_what_robotrain_does_not_know_is_left_to_the_program(find_problems, options, command):
    answer = find_problems(options, command)[1]
    assert (answer.exit_code, "command" in answer.stderr) == (0, False), answer.stderr


@pytest.mark.parametrize("options", [("local",), ("osmo", "--pool", "pool")])
def test_a_program_file_is_its_command_on_every_platform(robotrain, tmp_path, monkeypatch, options):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/train.py").touch()
    monkeypatch.chdir(tmp_path / "lab")
    line = ("render", "--json", "--platform", *options)
    short = robotrain(*line, "train.py", "--", "--out", "{outputs}")
    long = robotrain(*line, "command", "--code", ".", "--", "python", "train.py", "--out", "{outputs}")
    assert short.json["files"] == long.json["files"]


SAVES = [
    ('add_argument("--out-dir")', "-- … --out-dir {outputs}"),
    ("save('./checkpoints/last.pt')", "--output-folder checkpoints"),
    ("save(path)", "-- … OPTION {outputs}"),
]


COMMAND = ("--", "python", "train.py")
READ = [
    # the script, a file beside it, what else is typed, what is read from the script
    ('import torch\nadd_argument("--out")', "", "", "--shipped-environment lerobot-train|`--out {outputs}`"),
    ('add_argument("--out")', "", "-- --out runs/a", "--output-folder runs/a"),
    ('add_argument("--out")', "", "-- --out=/tmp/a", ""),
    ('add_argument("--out")', "", "-- --out {outputs}", ""),
    ('add_argument("--out")', "", "--publish-url none", ""),
    ('add_argument("--out")', "", "--publish-url /published", "`--out {outputs}`"),
    ("save('checkpoints/last.pt')", "", "", "--output-folder checkpoints"),
    ("save('checkpoints/last.pt')", "", "--output-folder saved", ""),
    ("import torch", "requirements.txt", "", "--requirements requirements.txt"),
    ("import torch", "uv.lock", "", ""),
    ("import torch", "", "--no-install", ""),
    ("import torch", "", "--environment {prefix}", ""),
    ("import jax", "", "", ""),
    ("os.makedirs('models', exist_ok=True)", "", "", "--output-folder models (the program writes to it)"),
    ("Path('my-models/last').mkdir(parents=True)", "", "", "--output-folder my-models"),
    ("os.makedirs('data')\nos.makedirs('/data/out')\nos.makedirs('../out')\nos.makedirs('')", "", "", ""),
    ("import helper", "helper.py=import torch", "", "--shipped-environment lerobot-train"),
    ("import sys\nsys.path.append('src')\nimport torch", "", "", "--shipped-environment lerobot-train"),
    ("import datasets", "datasets.py", "", ""),
]


@pytest.mark.parametrize(("text", "file", "typed", "derived"), READ)
def test_what_a_program_file_needs_is_read_from_it(robotrain, tmp_path, monkeypatch, text, file, typed, derived):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/train.py").write_text(text)
    if file:
        name, _, content = file.partition("=")
        (tmp_path / "lab" / name).write_text(content)
    monkeypatch.chdir(tmp_path / "lab")
    words = typed.replace("{prefix}", sys.prefix).split()
    note = robotrain("explain", "train.py", "--platform", "local", *words).stderr.partition(
        "note: read from train.py: "
    )
    assert [text for text in derived.split("|") if text not in note[2]] == []
    assert bool(note[2]) is bool(derived), note[2]


@pytest.mark.parametrize(("text", "way"), SAVES)
def test_a_script_that_keeps_nothing_is_warned_with_what_keeps_its_outputs(robotrain, tmp_path, monkeypatch, text, way):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/train.py").write_text(text)
    monkeypatch.chdir(tmp_path / "lab")
    line = ("explain", "command", "--code", ".", "--platform", "osmo", "--pool", "pool")
    warning = robotrain(*line, *COMMAND).stderr.partition("[command-keeps-nothing]")[2].partition("warning:")[0]
    assert warning.partition("use   ")[2].startswith(way)
    assert "[command-keeps-nothing]" not in robotrain(*line, "--output-folder", "checkpoints", *COMMAND).stderr


HERE = [*((text, True) for text, _ in SAVES[:2]), ("save(path)", False)]


@pytest.mark.parametrize(("text", "is_warned"), HERE)
def test_on_this_machine_a_script_with_a_folder_of_its_own_is_warned(robotrain, tmp_path, monkeypatch, text, is_warned):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/train.py").write_text(text)
    monkeypatch.chdir(tmp_path / "lab")
    line = ("submit", "command", "--code", ".", "--platform", "local", "--dry-run")
    assert ("[command-keeps-nothing]" in robotrain(*line, *COMMAND).stderr) is is_warned
    for silent in (("--output-folder", "saved"), ("--publish-url", "none")):
        assert "[command-keeps-nothing]" not in robotrain(*line, *silent, *COMMAND).stderr
    assert "output folder  saved" in robotrain(*line, "--output-folder", "saved", *COMMAND).stdout


IMPORTS = [
    # the script, a file beside it, options, what to type first: none where nothing is missing
    ("import os, torch.nn", "", "", "--shipped-environment lerobot-train"),
    ("import torch", "requirements.txt", "", "--requirements requirements.txt"),
    ("from jax import numpy", "", "", "--requirements FILE"),
    ("import torch", "uv.lock", "", None),
    ("import helper, package", "helper.py", "", "--requirements FILE"),
    ("import helper", "helper.py", "", None),
    ("try:\n  import jax\nexcept ImportError:\n  jax = None", "", "", None),
    ("import torch", "", "--no-install", None),
    ("import torch", "", "--shipped-environment lerobot-train", None),
    ("import torch", "r.txt", "--requirements r.txt", None),
    ("import torch", "", "--environment {prefix}", None),
]


@pytest.mark.parametrize(("text", "file", "options", "way"), IMPORTS)
def test_a_script_whose_imports_nothing_installs_is_warned(robotrain, tmp_path, monkeypatch, text, file, options, way):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/train.py").write_text(text)
    if file:
        (tmp_path / "lab" / file).write_text("")
    monkeypatch.chdir(tmp_path / "lab")
    words = options.format(prefix=sys.prefix).split()
    answer = robotrain("explain", "command", "--code", ".", "--platform", "local", *words, *COMMAND)
    warning = answer.stderr.partition("[packages-missing]")[2]
    assert warning.partition("use   ")[2].startswith(way) if way else not warning, warning


SYNTAX = [
    # the script, options, what is said of it
    ("print(1", "", "error train.py:1"),
    ("x = 1\ny = (\n", "", "error train.py:2"),
    ("type Alias int", "--python-version 3.30 --requirements r.txt", "warning train.py:1"),
    ('x = f"{1', "--shipped-environment lerobot-train", "warning train.py:1"),
    ("match 1:\n  case 1: pass", "", ""),
    ("import helper", "", ""),
]


@pytest.mark.parametrize(("text", "options", "expected"), SYNTAX)
def test_a_file_that_python_cannot_read_is_refused_before_it_is_sent(
    robotrain, tmp_path, monkeypatch, text, options, expected
):
    (tmp_path / "lab").mkdir()
    for name, content in {"train.py": text, "r.txt": "", "helper.py": "x ="}.items():
        (tmp_path / "lab" / name).write_text(content)
    monkeypatch.chdir(tmp_path / "lab")
    answer = robotrain("explain", "command", "--code", ".", "--platform", "local", *options.split(), *COMMAND)
    severity, _, place = expected.partition(" ")
    lines = [line for line in answer.stderr.splitlines() if "[program-unreadable]" in line]
    assert [line.partition(":")[0] for line in lines] == ([severity] if expected else []), answer.stderr
    assert all(place in line for line in lines)
    assert answer.exit_code == (2 if severity == "error" else 0)


ABSENT = [
    (("trian.py",), "train.py"),
    (("scripts/evla.py",), "scripts/eval.py"),
    (("train.py", "--requirements", "requirments.txt"), "--requirements requirements.txt"),
]


@pytest.mark.parametrize(("words", "way"), ABSENT)
def test_a_file_that_is_not_there_gets_the_nearest_name(robotrain, tmp_path, monkeypatch, words, way):
    here = tmp_path / "lab"
    (here / "scripts").mkdir(parents=True)
    for name in ("train.py", "scripts/eval.py", "requirements.txt"):
        (here / name).touch()
    monkeypatch.chdir(here)
    answer = robotrain("submit", *words, "--platform", "local", "--dry-run", "--json")
    assert answer.exit_code != 0
    assert answer.json["problems"][0]["instead"][0]["text"] == way


def test_a_program_that_is_not_there_is_said_without_a_look_into_all_files(robotrain, tmp_path, monkeypatch):
    (tmp_path / "train.py").touch()
    (tmp_path / "key.pem").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("robotrain.slow_notice.NOTICE_SECONDS", 0)
    line = ("submit", "command", "--code", ".", "--platform", "local", "--dry-run", "--", "python")
    answer = robotrain(*line, "trian.py")
    answer.check_problems(2, "program-missing --")
    assert "train.py" in answer.stderr
    assert "so far" not in answer.stderr
    assert "so far" not in robotrain("submit", "trian.py", "--platform", "local", "--dry-run").stderr
    robotrain(*line, "train.py").check_problems(2, "upload-secret --code")


SWITCHES = [("", "--dry-run --wait"), ("p.add_argument('--dry-run')", "--wait"), ("dry_run: bool; wait: bool", "")]


@pytest.mark.parametrize(("text", "noted"), SWITCHES)
def test_a_switch_of_robotrain_after_the_dashes_is_noted(robotrain, tmp_path, monkeypatch, text, noted):
    (tmp_path / "train.sh").write_text(f"# {text}\n")
    monkeypatch.chdir(tmp_path)
    line = ("submit", "train.sh", "--platform", "local", "--dry-run", "--", "--lr", "1", "--dry-run", "--wait")
    answer = robotrain(*line)
    lines = [line for line in answer.stderr.splitlines() if "[switch-of-program]" in line]
    assert [line.split()[1] for line in lines] == noted.split()
    assert answer.exit_code == 0


@pytest.mark.parametrize(("options", "command"), [(DATA, "true"), ("--policy-path /data/policy", "true {outputs}")])
def test_a_source_that_the_command_does_not_use_is_named(find_problems, options, command):
    answer = find_problems(options, command)[1]
    assert (answer.exit_code, "[placeholder-unused]" in answer.stderr) == (0, True)


@pytest.mark.parametrize(("options", "is_told"), [("", True), ("--no-install", False), ("--requirements r.txt", False)])
def test_code_of_a_repository_says_nothing_about_packages(find_problems, options, is_told):
    code = ("--code", f"git+https://example.com/lab/code@{'0' * 40}")
    answer = find_problems((*code, *options.split()), "python train.py")[1]
    assert (answer.exit_code, "[packages-unknown]" in answer.stderr) == (0, is_told), answer.stderr


@pytest.mark.parametrize(("options", "is_told"), [("", True), ("--no-install", False)])
def test_environment_of_a_package_manager_would_be_a_second_one(find_problems, options, is_told):
    answer = find_problems(("--code", ".", *options.split()), "uv run train.py")[1]
    answer.check_problems(0, *["packages-twice"] * is_told)
    assert ("[packages-twice]" in answer.stderr) == is_told


def test_arguments_after_dashes_replace_the_whole_command(robotrain, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text('workload: command\ntrainer_args: [echo, "--a=1", b]\n')
    answer = robotrain("explain", str(job), "--platform", "local", "--json", "--", "echo", "--c")
    values = [row["value"] for row in answer.json["values"] if row["name"] == "trainer_args"]
    assert values == ["echo", "--c"]


@pytest.mark.parametrize("name", placeholders.NAMES)
def test_parameter_of_the_users_own_cannot_be_called_as_a_placeholder(robotrain, name):
    robotrain(*LINE, "--param", f"{name}=1", "--", "true").check_problems(2, "own-parameter-invalid --param")


DEEP = " + ".join(["x"] * 1000)
HARD_PROGRAMS = {
    "a sum of a thousand": f"x = 1\nz = {DEEP}\n",
    "a path of a thousand": f"import os\nx = 'a'\nos.makedirs({DEEP})\nopen({DEEP}, 'w')\n",
    "a condition of a thousand": f"x = 1\nif {DEEP}:\n    pass\n",
    "a thousand branches": "x = 1\nif x:\n    pass\n" + "elif x:\n    pass\n" * 900,
    "a thousand calls": "x = str\nx" + ".lower()" * 900 + "\n",
    "an option with such a default": "import argparse\nx = 1\np = argparse.ArgumentParser()\n"
    f"p.add_argument('--lr', default={DEEP})\np.parse_args()\n",
    "a very long list": f"x = [{', '.join(['(1 + 2) * 3'] * 50_000)}]\n",
}


@pytest.mark.parametrize("place", ["train.py", "helper.py"])
@pytest.mark.parametrize("name", HARD_PROGRAMS)
def test_program_that_cannot_be_followed_is_sent_within_a_second(find_problems, tmp_path, name, place):
    code = tmp_path / "own"
    code.mkdir()
    (code / "train.py").write_text("import helper\n")
    (code / place).write_text(HARD_PROGRAMS[name])
    start = time.process_time()
    answer = find_problems("--code own --no-install --param size=1", "python train.py --lr {size} --out {outputs}")[1]
    assert answer.exit_code == 0, answer.stderr
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "name", ["train.py", "helper.py", "c.yaml", "page.html", ".gitignore", ".robotrain-outputs", "requirements.txt"]
)
def test_pipe_in_the_folder_of_the_code_is_not_opened(find_problems, tmp_path, name):
    code = tmp_path / "own"
    code.mkdir()
    (code / "train.py").write_text("import helper\n")
    (code / name).unlink(missing_ok=True)
    os.mkfifo(code / name)
    answer = find_problems("--code own --no-install", "python train.py")[1]
    assert answer.exit_code == (0 if name.startswith(".") else 2), answer.stderr
    assert ("[upload-links]" in answer.stderr) == (answer.exit_code == 2)
