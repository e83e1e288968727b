"""LIBERO comes with an image, or an environment, of the user's: what is refused, and rollouts in a stand-in of it."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import eval_launcher
import job_documents
import pytest
from job_documents import evaluation
from robotrain_runtime.contract import document
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL

PLATFORMS = {**job_documents.PLATFORMS, "slurm": ("--platform", "slurm", "--partition", "gpu")}
IMAGE = "registry.example.com/libero:1"
STAND_IN = Path(__file__).with_name("libero_stand_in")
SMALL_PICTURES = ("--env.observation_height=32", "--env.observation_width=32")
MAKE_POLICY = """
import sys, torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.factory import get_policy_class, make_policy_config, make_pre_post_processors
network = {"dim_model": 32, "n_heads": 2, "dim_feedforward": 32, "n_encoder_layers": 1, "use_vae": False}
network |= {"chunk_size": 4, "n_action_steps": 2, "pretrained_backbone_weights": None}
config = make_policy_config("act", device="cpu", push_to_hub=False, **network)
cameras = ("observation.images.image", "observation.images.image2")
config.input_features = {camera: PolicyFeature(FeatureType.VISUAL, (3, 32, 32)) for camera in cameras}
config.input_features["observation.state"] = PolicyFeature(FeatureType.STATE, (8,))
config.output_features = {"action": PolicyFeature(FeatureType.ACTION, (7,))}
torch.manual_seed(1)
for part in (get_policy_class("act")(config), *make_pre_post_processors(config)):
    part.save_pretrained(sys.argv[1])
"""


@pytest.fixture
def submit(robotrain, policy):
    """Plan an evaluation in LIBERO, `submit("local", "--image", …)` → Answer."""
    cameras = ("observation.images.image", "observation.images.image2")
    inputs = {camera: {"type": "VISUAL", "shape": [3, 360, 360]} for camera in cameras}
    inputs["observation.state"] = {"type": "STATE", "shape": [8]}
    outputs = {"action": {"type": "ACTION", "shape": [7]}}

    def run(platform, *words, command="submit"):
        folder = policy(f"policy-{platform}", input_features=inputs, output_features=outputs)
        line = ("lerobot-eval", *PLATFORMS[platform], "--policy-path", folder, *words)
        end = ("--dry-run", "--json") if command == "submit" else ()
        return robotrain(command, *line, "--env", "libero", *end)

    return run


@pytest.mark.parametrize(
    ("platform", "ways"),
    [
        ("local", ["--environment"]),
        ("osmo", ["--image"]),
        ("azureml", ["--image"]),
        ("slurm", ["--image", "--environment"]),
    ],
)
def test_libero_needs_an_image_or_an_environment_of_the_users(submit, platform, ways):
    answer = submit(platform, "--env-tasks", "libero_spatial")
    (found,) = (problem for problem in answer.json["problems"] if problem["severity"] == "error")
    assert found["code"] == "image-needed"
    assert [way["text"].split()[0] for way in found["instead"]] == ways
    assert {way["remark"] for way in found["instead"]} == {"one that has LeRobot and libero"}


def test_the_image_that_a_platform_has_by_default_is_none_of_the_users(submit):
    usual = LEROBOT_EVAL.profile.container.image
    answer = submit("osmo", "--env-tasks", "libero_spatial", "--image", usual)
    assert [one["code"] for one in answer.json["problems"] if one["severity"] == "error"] == ["image-needed"]


@pytest.mark.parametrize(("platform", "image"), {"osmo": IMAGE, "slurm": IMAGE.replace("/", "#", 1)}.items())
def test_an_image_of_the_users_is_that_of_the_plan(submit, platform, image):
    words = ("--container", "pyxis") if platform == "slurm" else ()
    answer = submit(platform, "--env-tasks", "libero_spatial", "--image", IMAGE, *words, command="render")
    assert answer.exit_code == 0, answer.stderr
    assert image in answer.stdout


def test_azureml_takes_an_image_as_it_takes_any_other(submit):
    """Its plan names an environment of the workspace, which preflight compares with the image."""
    answer = submit("azureml", "--env-tasks", "libero_spatial", "--image", IMAGE, command="render")
    assert answer.exit_code == 0, answer.stderr
    assert "image-needed" not in answer.stderr


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """A Python as an image has it: LeRobot in one of its folders, and the stand-in of LIBERO."""
    base, folder = Path(eval_launcher.environment()), tmp_path_factory.mktemp("image") / "venv"
    subprocess.run([base / "bin/python", "-m", "venv", "--without-pip", folder], check=True)
    (packages,), (own,) = (place.glob("lib/python*/site-packages") for place in (base, folder))
    shutil.copytree(STAND_IN / "libero", own / "libero", ignore=shutil.ignore_patterns("__pycache__"))
    (own / "image.pth").write_text(f"{packages}\n")
    return folder


@pytest.fixture(scope="module")
def trained(image, tmp_path_factory) -> Path:
    """A policy with random weights that reads what LIBERO shows."""
    folder = tmp_path_factory.mktemp("policy")
    subprocess.run([image / "bin/python", "-c", MAKE_POLICY, folder], check=True, capture_output=True)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """Run an evaluation as in a container, whose first Python on PATH is that of `folder`; return what it prints."""

    def run(folder, *options, exit_code=0, environment=None, **parameters):
        given = {"env_steps": 6, "eval_episodes": 2, "env_workers": 0, "device": "cpu", "system_metrics": False}
        made = evaluation(
            tmp_path / "work", trained, args=(*SMALL_PICTURES, *options), env="libero", **{**given, **parameters}
        )
        placement = replace(made.placement, environment=environment)
        (tmp_path / "job.json").write_text(document.format_document(replace(made, placement=placement)))
        environ = {**os.environ, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
        environ["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environ.pop("VIRTUAL_ENV", None)
        command = [sys.executable, "-m", "robotrain_runtime", "run", tmp_path / "job.json"]
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(command, env=environ, text=True, **how)
        assert done.returncode == exit_code, done.stdout
        return done.stdout

    return run


def read_rollout(tmp_path):
    return eval_launcher.read_strict_json(tmp_path / "work/outputs/eval_results/eval_results.json")["rollout"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_policy_is_rolled_out_in_the_python_of_the_image(run, image, tmp_path, workers):
    """Also at LIBERO's first start on a machine, when it asks a question."""
    output = run(image, env_tasks="libero_spatial/1,libero_spatial/2", env_workers=workers)
    rollout = read_rollout(tmp_path)
    assert [(task["task"], task["successes"]) for task in rollout["tasks"]] == [
        ("libero_spatial/1", 2),
        ("libero_spatial/2", 0),
    ]
    words = ["pick up bowl 1"] * 2 + ["pick up bowl 2"] * 2
    assert [(one["steps"], one["description"]) for one in rollout["per_episode"]] == list(
        zip((4, 4, 6, 6), words, strict=True)
    )
    assert "Do you want" not in output
    assert (tmp_path / ".libero/config.yaml").exists()


@pytest.mark.slow
def test_an_environment_of_the_users_is_used_as_it_is(run, image, tmp_path):
    run(Path("/nowhere"), env_tasks="libero_spatial/0", eval_episodes=1, env_steps=2, environment=str(image))
    assert [one["steps"] for one in read_rollout(tmp_path)["per_episode"]] == [2]


@pytest.mark.slow
def test_an_image_without_libero_is_refused_before_the_work(run):
    output = run(Path(eval_launcher.environment()), env_tasks="libero_spatial/0", exit_code=4)
    assert "no Python here has lerobot 0.6 and libero" in output
    assert "loading LeRobot" not in output
