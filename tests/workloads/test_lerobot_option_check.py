"""LeRobot is asked about the options of a training before it is sent: what it refuses, accepts and cannot say."""

import importlib
import io
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from eval_launcher import IMPORT_PATHS
from job_documents import folders
from robotrain.submission.packing import pack_modules
from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.verdict import parse_verdict
from robotrain_workloads.lerobot_check import verdicts
from robotrain_workloads.lerobot_train import container

CAMERA = Path(__file__).parents[2] / "examples/pusht-camera/dataset"
MODULE = "robotrain_workloads.lerobot_check.option_check"


@pytest.fixture
def make_command(training, tmp_path):
    """The command that asks about a training of the pictures of examples/pusht-camera, with options after `--`."""

    def make(*options, **parameters):
        document = training(CAMERA, args=list(options), **parameters)
        return container.check_command(document, folders(document), tmp_path / "place")

    return make


def test_line_is_that_of_the_container_but_for_its_folders_and_device(make_command, training, tmp_path):
    arguments = make_command("--policy.chunk_size=10", learning_rate=1e-3).arguments
    assert arguments[:3] == ("-m", MODULE, "act")
    separator = arguments.index("--")
    assert arguments[separator + 1 :] == ("--policy.chunk_size=10",)
    document = training(CAMERA, args=["--policy.chunk_size=10"], learning_rate=1e-3)
    done = container.work(document, folders(document), tmp_path).arguments

    def select(words):
        places = ("--output_dir", "--num_workers", "--policy.device", "--tolerance_s", "--wandb.enable")
        return {word for word in words if word.startswith("--") and not word.startswith(places)}

    work = done[done.index("--") + 1 :]
    assert select(arguments[3:]) - {"--"} == select(work)


def test_training_whose_start_is_not_here_is_not_asked_about(make_command, training, tmp_path):
    document = training(starts={"policy": "/far/policy"})
    assert container.check_command(document, {}, tmp_path) is None
    resumed = training(starts={"resume": "/far/checkpoint"})
    assert container.check_command(resumed, {resumed.sources[-1]: tmp_path}, tmp_path) is None


def test_policy_to_start_from_is_the_folder_that_describes_it(training, tmp_path):
    document = training(starts={"policy": "/far/policy"})
    (tmp_path / "config.json").write_text(json.dumps({"type": "smolvla"}))
    command = container.check_command(document, {document.sources[-1]: tmp_path}, tmp_path / "place")
    assert command.arguments[2] == "smolvla"
    assert f"--policy.path={tmp_path}" in command.arguments


def test_no_job_carries_the_check():
    def list_names(*modules):
        return zipfile.ZipFile(io.BytesIO(pack_modules(modules).archive)).namelist()

    program = f"{MODULE.replace('.', '/')}.py"
    assert program not in list_names(container.__name__)
    assert program in list_names(container.__name__, MODULE)


CASES = {
    "act": ((), "accepted", ()),
    "act wrong": (("--policy.normalization_mapping={VISUAL: FOO}", "--policy.dim_model=64"), "refused", "FOO"),
    "diffusion": (("--policy.down_dims=[64,128]",), "accepted", ()),
    "diffusion wrong": (("--optimizer.type=adam", "--use_policy_training_preset=false"), "refused", "Scheduler"),
    "smolvla": ((), "accepted", ()),
    "pi05 wrong": (("--policy.dtype=float16",), "refused", "float16"),
    "eo1": ((), "unchecked", "Hub"),
    "diffusion network": (("--policy.down_dims=[7,7,7]",), "refused", "divisible by num_groups"),
    "act network": (("--policy.n_heads=7",), "refused", "divisible by num_heads"),
    "act of images": (("--policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1",), "accepted", ()),
    "vqbet network": (("--policy.gpt_n_head=7", "--policy.crop_shape=[56,56]"), "refused", "gpt_n_head"),
    "tdmpc": (("--policy.n_action_steps=1",), "accepted", ()),
}


USUAL = ("act", "act wrong", "act network", "eo1")
"""One of each kind of answer; those of other types are long tests."""


@pytest.fixture
def ask_lerobot(training_python, tmp_path):
    """The verdict that a command prints in the environment of trainings."""

    def ask(command):
        environ = child_python.make_import_environ(IMPORT_PATHS, {"PATH": "/usr/bin", "HF_HOME": str(tmp_path)})
        offline = {**environ, **command.environ, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [training_python, *command.arguments], env=offline, cwd="/", capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        (verdict,) = filter(None, map(parse_verdict, done.stdout.splitlines()))
        return verdict

    return ask


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [*USUAL, *(pytest.param(case, marks=pytest.mark.long) for case in CASES if case not in USUAL)]
)
def test_lerobot_says(make_command, ask_lerobot, case):
    options, result, named = CASES[case]
    verdict = ask_lerobot(make_command(*options, policy_type=case.split()[0]))
    assert verdict.result == result, verdict
    assert not named or named in verdict.text
    if result == "refused":
        wrong = options[0] if named in options[0] else options[-1]
        assert verdict.options == (wrong,)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--peft.r=0", "positive integer"),
        pytest.param("--peft.init_type=nonsense", "nonsense", marks=pytest.mark.long),
        pytest.param("--peft.method_type=NONE", "NONE", marks=pytest.mark.long),
    ],
)
def test_adapter_that_cannot_be_made_is_refused(ask_lerobot, training, policy, option, named, tmp_path):
    document = training(CAMERA, args=[option], starts={"policy": policy("start", type="smolvla")})
    verdict = ask_lerobot(container.check_command(document, folders(document), tmp_path / "place"))
    assert (verdict.result, verdict.options) == ("refused", (option,))
    assert named in verdict.text


@pytest.mark.slow
def test_options_of_an_evaluated_policy_are_asked_about(
    robotrain, training_python, pusht, policy, monkeypatch, tmp_path
):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    trained = policy("trained", chunk_size=16, n_action_steps=16)
    line = ("lerobot-eval", "--platform", "local", "--policy-path", trained, "--dataset-path", pusht)
    check = ("--dry-run", "--checker", training_python, "--json")
    answer = robotrain("submit", *line, *check, "--", "--policy.n_action_steps=50")
    (problem,) = answer.json["problems"]
    assert (problem["code"], problem["given"]) == ("options-refused", "--policy.n_action_steps=50")
    assert robotrain("submit", *line, *check, "--", "--policy.n_action_steps=8").exit_code == 0
    assert robotrain("submit", *line, *check).exit_code == 0


@pytest.mark.slow
def test_dry_run_asks_the_lerobot_of_the_users_python(robotrain, training_python, pusht, monkeypatch, tmp_path):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    short = ("--training-steps", "20")  # or a warning says that a CPU takes days
    line = ("--platform", "local", "--dataset-path", pusht, *short, "--checker", training_python)
    option = "--dataset.image_transforms.tfs={crop: {weigth: 1}}"
    first = robotrain("submit", *line, "--dry-run", "--json", "--", option)
    (problem,) = first.json["problems"]
    assert (first.exit_code, problem["code"], problem["given"]) == (4, "options-refused", option)


@pytest.fixture
def declared_types(monkeypatch):
    """This Python has no LeRobot whose types could be declared."""
    monkeypatch.setattr(verdicts, "declare_types", lambda kind: None)


def test_module_that_cannot_be_imported_is_no_refusal(declared_types, monkeypatch, tmp_path):
    (tmp_path / "broken_numpy.py").write_text("raise ValueError('numpy.dtype size changed')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(verdicts.LerobotFailed, match="size changed"):
        verdicts.judge_options(lambda options: importlib.import_module("broken_numpy"), "", (), ["--policy.x=1"])


def test_error_of_this_machine_is_no_verdict_that_is_kept(declared_types, monkeypatch, capsys):
    ended = []
    monkeypatch.setattr(verdicts.os, "_exit", ended.append)

    def fill_disk(options):
        raise OSError(28, "No space left on device")

    def refuse(options):
        raise ValueError("no")

    for ask in (fill_disk, refuse):
        verdicts.print_verdict(lambda ask=ask: verdicts.judge_options(ask, "", (), ["--policy.x=1"]))
    first, second = map(parse_verdict, capsys.readouterr().out.splitlines())
    assert (first.result, second.result) == ("unchecked", "refused")
    assert "No space left" in first.text
    assert ended == [1, 0]
