"""Options of other tools are answered with what does the same, or with the sentence that robotrain cannot do it."""

import shlex

import pytest
from robotrain.errors import LEAVE_OUT

TRAIN = "submit --platform local --dataset-path x"
OSMO = "submit --platform osmo --pool p --storage-account acct --tracking-uri none --dataset-path x"
AZURE = "submit --platform azureml --dataset-path x"
ISAAC = "submit isaac-train --platform local"
BAGS = "submit rosbag-act-train --platform local --dataset-path x --environment-state-topic /points"
PIPELINE = "pipeline train-eval --platform local --dataset-path x"
ONE_MACHINE = "on one machine"
LINES = {
    f"{TRAIN} --nnodes=2": ("", ["--num-nodes 2"]),
    f"{BAGS} --num-nodes 2": ("--num-gpus N", []),
    f"{ISAAC} --nodes 2": ("", ["--num-nodes 2"]),
    "submit isaac-validate --platform local --nodes 2": (ONE_MACHINE, []),
    f"{AZURE} --instance-count 2": ("", ["--num-nodes 2"]),
    f"{AZURE} --instance_count 2": ("", ["--num-nodes 2"]),
    f"{AZURE} --input-mode download": ("a data asset is mounted", []),
    f"{TRAIN} --nproc_per_node 2": ("a process for each GPU", ["--num-gpus 2"]),
    f"{TRAIN} --gpus A100:8": ("", ["--num-gpus INT"]),
    f"{TRAIN} --epochs 3": ("counted in steps", []),
    f"{ISAAC} --epochs 3": ("--max-iterations N", []),
    f"{TRAIN} --bs 3": ("", ["--batch-size 3"]),
    f"{TRAIN} --max_steps 300": ("", ["--training-steps 300"]),
    f"{TRAIN} --fp16": ("", ["--mixed-precision fp16"]),
    f"{BAGS} --fp16": ("has no fp16", []),
    f"{TRAIN} --timeout 3h": ("no time limit", []),
    f"{OSMO} --timeout 3h": ("", ["--exec-timeout 3h"]),
    f"{AZURE} --time 3h": ("", ["--exec-timeout 3h"]),
    f"{TRAIN} --cpus 8": ("cores, memory and disk are not reserved", []),
    f"{OSMO} --cpus 8": ("", ["--cpu 8"]),
    f"{AZURE} --cpus 8": ("--instance-type NAME", []),
    f"{TRAIN} --detach": ("does not wait", []),
    f"{PIPELINE} --detach": ("", ["--skip-wait"]),
    f"{TRAIN} --follow": ("", ["--stream", "robotrain logs -f RUN"]),
    "explain --platform local --dataset-path x --follow": ("another command", ["robotrain logs -f RUN"]),
    f"{TRAIN} -y": ("no confirmation", []),
    f"{TRAIN} --env HF_HOME=/x": ("environment are not part of a job", []),
    f"{TRAIN} --array 0-9": ("sweep", ["robotrain sweep … --over NAME=VALUE,VALUE"]),
    f"{TRAIN} --gres gpu:1": ("platform with a batch scheduler", []),
    "submit --dataset-path x --platform skypilot": ("brings no platform for skypilot", None),
    f"{TRAIN} --num-cpu 2": ("", []),
    f"{TRAIN} --lerning-rate 1e-5": ("", ["--learning-rate 1e-5"]),
    f"{TRAIN} --save-frequency 5": ("", ["--save-freq 5"]),
    f"{TRAIN} --trainingsteps 5": ("", ["--training-steps 5"]),
    f"{TRAIN} --training-stepz many": ("", []),
    f"{TRAIN} --learning-rat": ("", ["--learning-rate FLOAT"]),
    f"{TRAIN} --dry-rn job.yaml": ("", ["--dry-run"]),
    f"{TRAIN} --wandb-enabl=false": ("", ["--no-wandb"]),
    f"{TRAIN} --use-amp": ("sets --policy.use_amp itself", ["--mixed-precision bf16, or --mixed-precision no"]),
    f"{TRAIN} --tag cups": ("", ["--note cups"]),
    f"{AZURE} --tags a=b": ("", ["--labels a=b"]),
    f"{TRAIN} --checkpoint out": ("--resume-from CHECKPOINT", []),
    f"{TRAIN} --idle-minutes-to-autostop 9": ("rents no machines", []),
    "sweep --platform local --dataset-path x --over seed=1,2 --trials 5": ("", ["--samples N"]),
    f"{TRAIN} --parallel 2": ("Only a sweep", []),
    f"{TRAIN} -J cups": ("", ["--name NAME"]),
    f"{TRAIN} --since 3d": ("`robotrain runs` only", []),
    "render --platform local --dataset-path x --wait": ("submit, pipeline", []),
    "status --follow": ("another command", ["robotrain logs -f RUN"]),
    "cancel -y": ("no confirmation", []),
    "resubmit --num-nodes 2": ("", ["--set num_nodes=2"]),
    "logs --older-than 3d": ("Commands with --older-than: runs", []),
}


@pytest.mark.parametrize("line", LINES)
def test_option_of_other_tools_is_answered_with_its_equal_or_the_reason(robotrain, line):
    fact, ways = LINES[line]
    answer = robotrain(*shlex.split(line), "--json")
    assert answer.exit_code == 2
    flag = next(word for word in reversed(shlex.split(line)) if word.startswith("-"))
    (problem,) = (one for one in answer.json["problems"] if one["where"].startswith(flag.partition("=")[0]))
    assert fact in f"{problem['title']} {problem['why']}"
    if ways is None:
        assert all("--gpu-platform" not in way["text"] for way in problem["instead"])
    else:
        assert [way["text"] for way in problem["instead"] if not way["text"].startswith(LEAVE_OUT)] == ways


def test_option_without_which_the_job_is_the_same_is_left_out(robotrain):
    for flag in ("--detach", "--gres"):
        (problem,) = robotrain("submit", "--platform", "local", "--dataset-path", "x", flag, "--json").json["problems"]
        assert problem["instead"] == [{"text": f"leave out {flag}", "remark": "", "replaces": flag}]
    line = ("submit", "lerobot-eval", "--platform", "local", "--dataset-path", "x", "--nodes", "--json")
    (problem,) = (one for one in robotrain(*line).json["problems"] if one["where"] == "--nodes")
    assert problem["instead"] == []


OLD_RUNS, CACHED = "robotrain runs --prune --older-than 30d", "robotrain cache --prune --unused 30d"


@pytest.mark.parametrize(
    ("line", "fact", "ways"),
    [
        ("version", "", ["robotrain --version"]),
        ("login", "no sign-in of its own", ["robotrain doctor"]),
        ("config", "robotrain.toml", ["robotrain explain job.yaml --platform PLATFORM"]),
        ("scancel a-run", "", ["robotrain cancel a-run"]),
        ("workflow submit job.yaml --pool p", "", ["robotrain submit job.yaml --pool p"]),
        ("job create --file a.yml", "", ["robotrain submit job.yaml --platform PLATFORM"]),
        ("job list", "", ["robotrain runs"]),
        ("workflow query a-run", "", ["robotrain status a-run"]),
        ("stream a-run", "", ["robotrain logs -f a-run"]),
        ("rm pick", "", ["robotrain runs --prune pick", OLD_RUNS, CACHED]),
        ("delete", "", ["robotrain runs --prune RUN", OLD_RUNS, CACHED]),
        ("clean", "", [OLD_RUNS, CACHED]),
        ("tail", "", ["robotrain logs -f RUN"]),
        ("launch", "", ["robotrain submit job.yaml --platform PLATFORM"]),
        ("compare a", "", ["robotrain diff a RUN"]),
    ],
)
def test_command_of_other_tools_is_answered_with_the_line_to_type(robotrain, line, fact, ways):
    answer = robotrain(*line.split(), "--json")
    (problem,) = answer.json["problems"]
    assert (answer.exit_code, fact in problem["why"]) == (2, True)
    assert [one["text"].removesuffix(" --json") for one in problem["instead"]] == ways


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
    assert "from-lerobot" not in robotrain(word).stderr.replace("from-lerobot, from-script", "")
    assert "from-lerobot --" not in robotrain("rosbag-act-train", "--policy.type=act").stderr
