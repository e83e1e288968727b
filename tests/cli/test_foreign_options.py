"""Options of other tools are answered with what does the same, or with the sentence that robotrain cannot do it."""

import shlex
from pathlib import Path

import pytest

TRAIN = "submit --platform local --dataset-path x"
OSMO = "submit --platform osmo --pool p --storage-account acct --tracking-uri none --dataset-path x"
AZURE = "submit --platform azureml --dataset-path x --compute k8s-1 --workspace-name w-1 --resource-group r"
AZURE += " --subscription-id 01234567-89ab-cdef-0123-456789abcdef"
ISAAC = "submit isaac-train --platform local"
PIPELINE = "pipeline train-eval --platform local --dataset-path x"
LINES = {
    f"{ISAAC} --nodes 2": "option-unknown --nodes",
    "submit isaac-validate --platform local --checkpoint-uri ./x --nodes 2": "option-unknown --nodes",
    f"{TRAIN} --nproc_per_node 2": "option-unknown --nproc_per_node",
    f"{TRAIN} --gpus A100:8": "option-unknown --gpus",
    f"{TRAIN} --epochs 3": "option-elsewhere --epochs",
    f"{ISAAC} --epochs 3": "option-elsewhere --epochs",
    f"{TRAIN} --bs 3": "option-elsewhere --bs",
    f"{TRAIN} --max_steps 300": "option-elsewhere --max_steps",
    f"{TRAIN} --fp16": "option-elsewhere --fp16",
    f"{AZURE} --time 3h": "option-elsewhere --time",
    f"{TRAIN} --nodes 2": "option-unknown --nodes",
    f"{AZURE} --config-preview": "option-elsewhere --config-preview",
    f"{AZURE} --identity user": "option-elsewhere --identity",
    f"{AZURE} --output-datastore x": "option-elsewhere --output-datastore",
    f"{AZURE} --spot": "option-elsewhere --spot",
    f"{OSMO} --use-local-osmo": "option-elsewhere --use-local-osmo",
    f"{TRAIN} --detach": "option-unknown --detach",
    f"{PIPELINE} --detach": "option-unknown --detach",
    f"{TRAIN} --env HF_HOME=/x": "option-unknown --env",
    f"{TRAIN} --gres gpu:1": "option-unknown --gres",
    "submit --dataset-path x --platform skypilot": "plugin-not-loaded --platform skypilot",
    f"{TRAIN} --lerning-rate 1e-5": "option-unknown --lerning-rate",
    f"{TRAIN} --save-frequency 5": "option-unknown --save-frequency",
    f"{TRAIN} --trainingsteps 5": "option-unknown --trainingsteps",
    f"{TRAIN} --training-stepz many": "option-unknown --training-stepz",
    f"{TRAIN} --learning-rat": "option-unknown --learning-rat",
    f"{TRAIN} --wandb-enabl=false": "option-unknown --wandb-enabl",
    f"{TRAIN} --use-amp": "option-owned --use-amp",
    f"{TRAIN} --checkpoint out": "option-elsewhere --checkpoint",
    f"{TRAIN} --since 3d": "option-elsewhere --since",
    "render --platform local --dataset-path x --wait": "option-elsewhere --wait",
    "resubmit --num-nodes 2": "usage --num-nodes",
    "logs --older-than 3d": "usage --older-than",
}


@pytest.fixture(autouse=True)
def data_folder(robotrain):
    """Make the folder that lines name."""
    Path("x").mkdir()


@pytest.mark.parametrize("line", LINES)
def test_option_of_other_tools_is_answered_with_its_equal_or_the_reason(robotrain, line):
    robotrain(*shlex.split(line)).check_problems(2, LINES[line])


def test_misspelt_dry_run_is_answered_beside_an_unreadable_job_file(robotrain):
    answer = robotrain(*shlex.split(f"{TRAIN} --dry-rn job.yaml"))
    answer.check_problems(2, "option-unknown --dry-rn", "file-unreadable job.yaml")


def test_option_without_which_the_job_is_the_same_is_left_out(robotrain):
    for flag in ("--detach", "--time"):
        (problem,) = robotrain("submit", "--platform", "local", "--dataset-path", "x", flag, "--json").json["problems"]
        assert problem["instead"] == [{"text": f"leave out {flag}", "remark": "", "replaces": flag}]
    line = ("submit", "lerobot-eval", "--platform", "local", "--dataset-path", "x", "--nodes", "--json")
    (problem,) = (problem for problem in robotrain(*line).json["problems"] if problem["where"] == "--nodes")
    assert problem["instead"] == []


@pytest.mark.parametrize(
    "words", ["--torch-dtype bfloat16", "--output_dir out", "--polcy-type act", "--optimizer.lr 1"]
)
def test_what_is_to_be_typed_replaces_the_unknown_option(robotrain, words):
    line = ("submit", "lerobot-train", "--platform", "local", "--dataset-path", "x", *words.split(), "--json")
    (problem,) = (problem for problem in robotrain(*line).json["problems"] if problem["where"] == words.split()[0])
    assert {way["replaces"] for way in problem["instead"]} == {words.split()[0]}, problem


MOVED = {
    "--policy.dropout=0.2 --policy.n_heads=4": ("-- --policy.dropout=0.2 --policy.n_heads=4", 1),
    "--policy.dropot=0.2 --optimizer.lr=1 --policy.nheads=4": ("-- --policy.dropout=0.2 --policy.n_heads=4", 2),
    "--policy.dropout=0.2 -- --policy.n_heads=4": ("-- --policy.dropout=0.2 --policy.n_heads=4", 1),
    "--policy.dropout=0.2": ("-- --policy.dropout=0.2", 1),
}


@pytest.mark.parametrize("words", MOVED)
def test_options_that_belong_after_the_dashes_are_one_line(robotrain, words):
    line = ("submit", "lerobot-train", "--platform", "local", "--dataset-path", "x", "--policy-type", "act", "--json")
    answer = robotrain(*line, *words.split())
    texts = [way["text"] for problem in answer.json["problems"] for way in problem["instead"]]
    way, count = MOVED[words]
    assert (texts.count(way), len(answer.json["problems"])) == (1, count)


OF_SLURM = {
    "-N 2": "--num-nodes 2",
    "--nodes=2": "--num-nodes 2",
    "--ntasks-per-node=4": "--num-gpus 4",
    "--gres=gpu:a100:2": "--gpus 2 --gpu-type a100",
    "--gres gpu:2": "--gpus 2",
    "--gres=gpu": "--gpus 1",
    "--gres=nvme:100": "--sbatch gres=nvme:100",
    "-G 2": "--gpus 2",
    "-G h100:8": "--gpus 8 --gpu-type h100",
    "--gpus=a100:2": "--gpus 2 --gpu-type a100",
    "--gpus-per-node=a100:4": "--num-gpus 4 --gpu-type a100",
    "--gpus-per-task 2": "--num-gpus 2",
    "--gpu 2": "--gpus 2",
    "--cpus-per-task 8": "--cpus 8",
    "--mem 16G": "--memory 16G",
    "-t 4h": "--time 4h",
    "--mail-user me@lab.org": "--sbatch mail-user=me@lab.org",
    "--learning-rate 0,0001": "--learning-rate 0.0001",
    "--batch-size 8,16": "robotrain sweep … --over batch_size=8,16",
    "--device cuda:0": "--device cuda",
}


@pytest.mark.parametrize("words", OF_SLURM)
def test_words_of_sbatch_and_values_of_other_tools_are_answered_on_slurm(robotrain, words):
    line = ("render", "lerobot-train", "--platform", "slurm", "-d", "lerobot/pusht", "--json", *words.split())
    (problem,) = robotrain(*line).json["problems"]
    assert problem["instead"][0]["text"] == OF_SLURM[words]


OF_A_PROGRAM = {
    "--output out.log": ["leave out --output"],
    "-o out.log": ["leave out -o"],
    "--format yaml": [],
    "--env MODE=offline": ["--set-env MODE=offline"],
    "--experiment pick": ["--experiment-name pick"],
    "--tags a,b": ["--note a,b"],
    "--mem 16G": ["leave out --mem"],
    "--no-wait": ["leave out --no-wait"],
    "--venv x": ["--environment x"],
    "--conda mine": ["--environment FOLDER"],
    "--docker": [],
    "--target local": ["--platform local"],
    "--out results": ["robotrain submit train.py --platform local --dry-run --json -- --out results"],
}


@pytest.mark.parametrize("words", OF_A_PROGRAM)
def test_words_of_other_tools_are_no_options_of_the_program_that_are_merely_near(robotrain, words):
    flags = "".join(f"parser.add_argument('{flag}')\n" for flag in ("--lr", "--out"))
    Path("train.py").write_text(f"import argparse\nparser = argparse.ArgumentParser()\n{flags}parser.parse_args()")
    answer = robotrain("submit", "train.py", "--platform", "local", "--dry-run", "--json", *words.split())
    (problem,) = [problem for problem in answer.json["problems"] if problem["where"] == words.split()[0]]
    assert [way["text"] for way in problem["instead"]] == OF_A_PROGRAM[words]


@pytest.mark.parametrize(
    ("line", "way"),
    [
        ("submit train.py local", "robotrain submit train.py --json --platform local"),
        ("doctor slurm", "robotrain doctor --platform slurm --json"),
        ("policies list", "robotrain policies"),
        ("init lerobot-train", "robotrain init --workload lerobot-train"),
        ("init train.py", "robotrain init"),
        ("data view x --episode 3", "robotrain data view x --json 3"),
        ("report -o page.html", "--to page.html"),
        ("report --open", "leave out --open"),
        ("submit train.py --platform local --publish-url s3://bucket/x", "--publish-url FOLDER"),
    ],
)
def test_wrong_words_of_other_commands_are_answered_with_the_line_that_is_meant(robotrain, line, way):
    Path("train.py").write_text("print('loss 1')")
    answer = robotrain(*line.split(), "--json")
    texts = [suggestion["text"] for problem in answer.json["problems"] for suggestion in problem["instead"]]
    assert way in texts
    assert "--platform osmo" not in texts or "publish" not in line


NEWER = {
    "--dataset.exclude_episodes=[1,2]": ["--exclude-episodes 1,2"],
    "--keep_last_n_checkpoints=3": ["leave out --keep_last_n_checkpoints", "--publish-url URL --keep 3"],
}


@pytest.mark.parametrize("option", NEWER)
def test_option_of_a_newer_lerobot_is_answered_with_what_robotrain_has(robotrain, option):
    line = ("render", "lerobot-train", "--platform", "local", "-d", "lerobot/pusht", "--json")
    for words, ways in (((option,), NEWER[option]), (("--", option), NEWER[option][:1])):
        (problem,) = robotrain(*line, *words).json["problems"]
        assert [way["text"] for way in problem["instead"]] == ways


def test_count_of_a_foreign_option_is_repeated_where_the_platform_has_no_types(robotrain):
    line = ("render", "lerobot-train", "--platform", "local", "-d", "lerobot/pusht", "--json")
    for words in ("--gres=gpu:a100:2", "-G 2", "--gpu 2", "--gpus 2", "--gpus-per-task=2"):
        (problem,) = robotrain(*line, *words.split()).json["problems"]
        assert [way["text"] for way in problem["instead"]] == ["--num-gpus 2"], words


def test_command_of_other_tools_is_answered_with_the_line_to_type(robotrain):
    for line in ("launch job.yaml", "sbatch train.sh", "queue", "squeue", "stop a-run", "scancel a-run"):
        robotrain(*line.split()).check_problems(2, "command-unknown")
    assert "robotrain submit --help" in robotrain("help", "submit").stderr
    lines = {
        "run train.py": "submit train.py",
        "run arm": "runs arm",
        "rm arm": "runs --prune arm",
        "version": "--version",
        "kill arm": "cancel arm",
        "checkpoints arm": "outputs arm",
        "download arm": "outputs arm --to FOLDER",
        "restart arm": "resume arm",
        "retry arm": "resubmit arm",
        "clean": "runs --prune --cache",
        "train job.yaml --platform local": "submit job.yaml --platform local",
        "check job.yaml --platform local": "submit job.yaml --dry-run --platform local",
        "validate": "submit job.yaml --platform PLATFORM --dry-run",
        "login": "doctor --online",
        "get runs": "runs",
        "describe run arm": "status arm",
        "apply -f job.yaml": "submit job.yaml",
        "get pods -o wide": "runs",
        "kubectl get pods": "runs",
        "kubectl describe pod arm": "status arm",
        "kubectl exec -it arm -- bash": "shell arm -- COMMAND",
        "run view arm": "status arm",
        "run list": "runs",
        "gh run list --limit 5": "runs",
        "gh run cancel arm": "cancel arm",
        "gh run watch arm": "watch arm",
        "gh run download arm": "outputs arm --to FOLDER",
        "wandb login": "doctor --online",
        "scontrol show job arm": "status arm",
        "osmo workflow query arm": "status arm",
        "az ml job list": "runs",
        "workflow logs arm": "logs arm",
        "runs delete arm": "runs --prune arm",
    }
    for words, meant_line in lines.items():
        assert f"   robotrain {meant_line}\n" in robotrain(*words.split()).stderr


def test_removal_of_a_shared_name_is_answered_with_each_run(scripted, robotrain):
    for run in ("train-1", "train-2"):
        scripted.run(run, called="arm", age=3600)
    scripted.run("train-3", called="leg")
    lines = [f"robotrain runs --prune {run}" for run in ("train-2", "train-1", "leg")]
    for words, expected in (("delete arm leg", lines), ("rm run arm", lines[:2]), ("runs --prune arm", lines[:2])):
        (problem,) = robotrain(*words.split(), "--json").json["problems"]
        assert [way["text"] for way in problem["instead"]] == expected, words
        assert problem["instead"][0]["remark"] == "arm, submitted 1 hour ago"


@pytest.mark.parametrize(
    ("option", "way"),
    [("--gres gpu:1", "--gpus 1"), ("-G a100:2", "--gpus 2 --gpu-type a100"), ("-A lab", "--account lab")],
)
def test_option_of_sbatch_beside_a_program_is_that_of_the_platform(robotrain, option, way):
    Path("train.py").write_text("print(1)")
    answer = robotrain("render", "train.py", "--platform", "slurm", *option.split(), "--json")
    (problem,) = [problem for problem in answer.json["problems"] if problem["severity"] == "error"]
    assert [suggestion["text"] for suggestion in problem["instead"]] == [way]


WATCHED = {
    "status --watch": "robotrain watch",
    "status arm-1 -w": "robotrain watch arm-1",
    "status arm-1 --follow": "robotrain watch arm-1",
    "runs --watch": "robotrain watch",
    "logs arm-1 --watch": "--follow",
}


@pytest.mark.parametrize("line", WATCHED)
def test_option_to_watch_a_run_is_answered_with_the_command(robotrain, line):
    answer = robotrain(*line.split())
    answer.check_problems(2, f"usage {line.split()[-1]}")
    assert f"  use   {WATCHED[line]}" in answer.stderr


def test_words_of_other_tools_list_the_runs(scripted, robotrain):
    scripted.run("train-1")
    for word in ("ls", "list", "ps"):
        assert "train-1" in robotrain(word).stdout


@pytest.mark.parametrize("word", ["lerobot-train", "eval"])
def test_pasted_line_of_another_program_is_answered_with_its_translation(robotrain, word):
    secret = "hf_" + "a1B2" * 10
    answer = robotrain(word, "--policy.type=act", f"--token={secret}", "--name", "a b")
    assert (answer.exit_code, secret in answer.stderr) == (2, False)
    program = f"lerobot-{word.rpartition('-')[2]}"
    assert f"  use   robotrain from-lerobot -- {program} --policy.type=act" in answer.stderr
    assert "'a b'" in answer.stderr
    assert "from-lerobot" not in robotrain(word).stderr.replace("installed: bags, data, from-lerobot", "")
    assert "from-lerobot --" not in robotrain("rosbag-act-train", "--policy.type=act").stderr
