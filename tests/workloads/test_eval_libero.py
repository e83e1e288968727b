"""LIBERO: its scenes are a source of the job; rollouts in its own simulation, with a stand-in of the scenes."""

import ctypes.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import eval_launcher
import pytest
from hub_stand_in import HubStandIn
from job_documents import PLATFORMS, read_job
from libero_scenes import make_scenes
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL

SCENES = "lerobot/libero-assets"
TASKS = ("--env", "libero", "--env-tasks", "libero_object/0")
SMALL = ("--env.observation_height=32", "--env.observation_width=32")
CAMERAS = ("observation.images.image", "observation.images.image2")
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


def read_files(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def hub(scenes):
    """A Hub with the stand-in of the scenes, and a dataset that has none."""
    with HubStandIn() as server:
        server.repository(SCENES, read_files(scenes), "dataset")
        server.repository("lab/other", {"meta/info.json": b"{}"}, "dataset")
        yield server


@pytest.fixture
def submit(robotrain, policy, hub, monkeypatch, tmp_path):
    """Plan an evaluation in LIBERO, its sources pinned: `submit("local", "--assets", …)` → Answer."""
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    inputs = {camera: {"type": "VISUAL", "shape": [3, 360, 360]} for camera in CAMERAS}
    inputs["observation.state"] = {"type": "STATE", "shape": [8]}
    outputs = {"action": {"type": "ACTION", "shape": [7]}}

    def run(platform, *words, tasks=TASKS, command="render"):
        folder = policy(f"policy-{platform}", input_features=inputs, output_features=outputs)
        line = ("lerobot-eval", *PLATFORMS[platform], "--policy-path", folder, *tasks, *words)
        return robotrain(command, *line, "--pin" if command == "render" else "--dry-run", "--json")

    return run


def find_scenes(answer):
    assert answer.exit_code == 0, answer.stderr
    return [
        (source["kind"], source["uri"], source["pin"])
        for source in read_job(answer)["sources"]
        if source["role"] == "scenes"
    ]


def find_errors(answer):
    return [problem for problem in answer.json["problems"] if problem["severity"] == "error"]


def test_scenes_are_a_source_of_the_job_at_a_commit(submit, hub):
    commit = hub.repositories[f"datasets/{SCENES}"].branches["main"]
    answer = submit("azureml")
    assert find_scenes(answer) == [("huggingface", SCENES, commit)]
    assert "implied-sources-unknown" not in answer.stderr


def test_scenes_of_a_folder_take_their_place(submit, scenes):
    ((kind, uri, _),) = find_scenes(submit("local", "--assets", scenes))
    assert (kind, uri) == ("local_path", str(scenes))


def test_another_dataset_is_not_taken_for_scenes(submit):
    answer = submit("osmo", "--assets", "lab/other", command="submit")
    (problem,) = (error for error in find_errors(answer) if error["code"] == "source-undescribed")
    assert "scenes/libero_floor_base_style.xml" in problem["title"]


def test_a_folder_without_scenes_is_refused(submit, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/readme").write_text("")
    (problem,) = find_errors(submit("local", "--assets", tmp_path / "empty", command="submit"))
    assert "they have no scenes/libero_floor_base_style.xml" in problem["title"]
    assert [way["text"] for way in problem["instead"]] == [f"--assets hf://{SCENES}"]


def test_scenes_have_no_effect_elsewhere(submit, scenes):
    answer = submit("local", "--assets", scenes, tasks=("--env", "pusht"))
    assert "scenes have an effect in libero alone" in [problem["title"] for problem in find_errors(answer)]


def test_a_wrong_suite_is_answered_with_the_nearest(submit):
    (problem,) = find_errors(submit("local", tasks=("--env", "libero", "--env-tasks", "libero_spatail")))
    assert [way["text"] for way in problem["instead"]] == ["--env-tasks libero_spatial"]


def test_no_other_environment_has_scenes():
    assert LEROBOT_EVAL.roles["scenes"].default({"env": "libero"}) == f"hf://{SCENES}"
    assert not any(LEROBOT_EVAL.roles["scenes"].default({"env": env}) for env in (None, "pusht", "aloha", "metaworld"))


long = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(
        not ctypes.util.find_library("EGL"), reason="MuJoCo renders with libEGL (apt-get install libegl1)"
    ),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A policy with random weights that reads what LIBERO shows."""
    folder = tmp_path_factory.mktemp("policy")
    python = Path(eval_launcher.environment(), "bin/python")
    subprocess.run([python, "-c", MAKE_POLICY, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def evaluate(trained, hub, tmp_path_factory):
    """Evaluate the policy on this machine, from submit to results, as a user who has no settings."""
    home = tmp_path_factory.mktemp("home")
    environ = {**os.environ, "HOME": str(home), "ROBOTRAIN_STATE": str(home / "state"), "HF_ENDPOINT": hub.address}
    environ["CUDA_VISIBLE_DEVICES"] = ""
    environ["ROBOTRAIN_CACHE"] = os.environ.get("ROBOTRAIN_CACHE", str(Path.home() / ".cache/robotrain"))
    for name in ("HF_HUB_OFFLINE", "LIBERO_CONFIG_PATH"):
        environ.pop(name, None)

    def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "robotrain", *map(str, words)]
        done = subprocess.run(
            line, cwd=home, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-6000:]
        return done

    def start(name: str, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        line = ("submit", "lerobot-eval", "--platform", "local", "--policy-path", trained, *TASKS, "--name", name)
        brief = ("--env-steps", 4, "--device", "cpu", "--no-system-metrics", "--wait")
        return run(*line, *brief, *words, "--", *SMALL, code=code)

    start.home, start.run = home, run
    return start


@pytest.fixture(scope="module")
def evaluated(evaluate) -> dict[str, Any]:
    """What `status --json` says of two episodes, each in a process of its own."""
    evaluate("two", "--eval-episodes", 2, "--env-workers", 2)
    return json.loads(evaluate.run("status", "two", "--json").stdout)


class TestSimulation:
    """In LIBERO's own environment, built from its lock."""

    pytestmark = long

    def test_a_policy_acts_in_libero_itself(self, evaluated):
        """Each episode from its own recorded start, with the words of the task."""
        results = Path(evaluated["evaluated"]["results"], "eval_results.json")
        rollout = json.loads(results.read_text())["rollout"]
        words = "pick up the alphabet soup and place it in the basket"
        assert [(episode["task"], episode["steps"], episode["description"]) for episode in rollout["per_episode"]] == [
            ("libero_object/0", 4, words)
        ] * 2

    def test_scenes_come_from_the_hub_by_the_data_step_alone(self, evaluated, hub):
        commit = hub.repositories[f"datasets/{SCENES}"].branches["main"]
        fetched = [request for request in hub.requests if f"/datasets/{SCENES}/resolve/" in request]
        assert fetched
        assert all(f"/resolve/{commit}/" in request for request in fetched)

    def test_libero_asks_nothing_and_writes_nothing_at_home(self, evaluated, evaluate):
        assert "Do you want" not in evaluate.run("logs", "two").stdout
        assert not list(evaluate.home.glob(".libero*"))
        assert not (evaluate.home / ".cache/libero").exists()

    def test_a_file_that_the_scenes_lack_is_named(self, evaluate, scenes, tmp_path):
        shutil.copytree(scenes, tmp_path / "scenes")
        (tmp_path / "scenes/stable_scanned_objects/basket/basket.xml").unlink()
        options = ("--eval-episodes", 1, "--env-workers", 0)
        done = evaluate("torn", "--assets", tmp_path / "scenes", *options, code=5)
        assert "the scenes of libero cannot be used" in done.stdout + done.stderr
        assert "'stable_scanned_objects/basket/basket.xml'" in done.stdout + done.stderr
