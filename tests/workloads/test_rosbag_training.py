"""ACT trained from ROS 2 bags: steps, resume to the number, and policies that LeRobot loads."""

import json
import os
import signal
import subprocess

import numpy as np
import pytest
import source_tree
from recorded_bags import Recording
from robotrain_workloads.rosbag_act_train import training_data
from robotrain_workloads.rosbag_act_train.bags.bag_files import BagError
from robotrain_workloads.rosbag_act_train.parameters import RosbagActParameters, find_policy_problems
from robotrain_workloads.rosbag_act_train.training_data import (
    BatchMaker,
    LoadedEpisode,
    Sampler,
    make_settings,
    measure_limits,
    measure_statistics,
    split_episodes,
)

SMALL = {
    "state_topic": "/joint_states",
    "action_topic": "/action",
    "environment_state_topic": "/action",
    "fps": 10.0,
    "chunk_size": 10,
    "dim_model": 16,
    "n_heads": 2,
    "dim_feedforward": 32,
    "n_encoder_layers": 1,
    "n_vae_encoder_layers": 1,
    "latent_dim": 4,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "training_steps": 40,
    "save_freq": 20,
    "log_freq": 10,
    "device": "cpu",
    "val_split": 0.34,
}


def values(**changed):
    return vars(RosbagActParameters(**{**SMALL, **changed}))


def load(bags, cache, **changed):
    given = values(**changed)
    chunk = given["chunk_size"]
    return training_data.load_bags(
        bags, make_settings(given), cache, chunk=chunk, salvage=False, report=lambda line: None
    )


def test_sources_are_the_union_of_their_bags(tmp_path):
    for name in ("one/ep000", "one/ep001", "two/ep000"):
        Recording().write(tmp_path / name)
    Recording(steps=6).write(tmp_path / "two" / "short")
    loaded = load([tmp_path / "one", tmp_path / "two"], tmp_path / "cache", image_topics="/camera/top=top")
    assert [one.name for one in loaded.episodes] == ["0:ep000", "0:ep001", "1:ep000"]
    assert loaded.dropped == 1
    (camera,) = loaded.episodes[0].cameras
    assert camera == "observation.images.top"


def test_bags_that_differ_are_named(tmp_path):
    Recording().write(tmp_path / "bags" / "a")
    Recording(size=(24, 32)).write(tmp_path / "bags" / "b")
    with pytest.raises(BagError, match=r"observation.images.top has another size than in 0:a: --image-size"):
        load([tmp_path / "bags"], tmp_path / "cache", image_topics="/camera/top=top")
    with pytest.raises(BagError, match="no episode is left: 2 pieces are shorter than a chunk of 100"):
        load([tmp_path / "bags"], tmp_path / "cache", chunk_size=100)


def make_episode(name, steps, start=0.0):
    rows = np.arange(steps, dtype=np.float32)[:, None] + start
    return LoadedEpisode(name, {"observation.state": rows, "action": rows * 2}, {})


def test_actions_behind_the_end_are_padded():
    batch = BatchMaker([make_episode("a", 5), make_episode("b", 3, 100)], 4).make_batch(np.asarray([0, 3, 7]))
    assert batch["observation.state"][:, 0].tolist() == [0, 3, 102]
    assert batch["action"][1, :, 0].tolist() == [6, 8, 8, 8]
    assert batch["action_is_pad"].tolist() == [[False] * 4, [False, False, True, True], [False, True, True, True]]


def test_the_order_is_the_seeds_and_visits_each_step_once_an_epoch():
    sampler, other = Sampler(10, 4, 1), Sampler(10, 4, 1)
    order = np.concatenate([sampler.choose(number) for number in range(5)])
    assert sorted(order[:10].tolist()) == sorted(order[10:].tolist()) == list(range(10))
    assert other.choose(3).tolist() == order[12:16].tolist(), "a resumed training needs no earlier batch"
    assert Sampler(10, 4, 2).choose(0).tolist() != order[:4].tolist()


def test_episodes_are_held_out_whole_and_do_not_count_in_statistics():
    episodes = [make_episode(str(number), 5, number * 100) for number in range(10)]
    train, held_out = split_episodes(episodes, 0.2, 7)
    assert (len(train), len(held_out)) == (8, 2)
    assert {one.name for one in train}.isdisjoint(one.name for one in held_out)
    expected = np.concatenate([one.values["action"] for one in train])
    mean, std = measure_statistics(train)["action"]
    assert mean == pytest.approx(expected.mean(0))
    assert std == pytest.approx(expected.std(0))
    assert measure_limits(train)["action.max"].tolist() == expected.max(0).tolist()
    assert split_episodes(episodes[:1], 0.5, 7) == (episodes[:1], [])
    assert split_episodes(episodes, 0, 7) == (episodes, [])


def test_options_that_do_not_go_together_are_named_at_once():
    wrong = values(n_action_steps=20, dim_model=30, n_heads=4, environment_state_topic=None, state_topic=None)
    assert len(find_policy_problems({**wrong, "action_topic": None})) == 5
    assert find_policy_problems(values()) == []


def test_wrong_options_fail_before_anything_is_sent(tmp_path, robotrain):
    answer = robotrain("render", "rosbag-act-train", "--platform", "local", "--dataset-path", tmp_path)
    assert answer.exit_code == 2
    assert "a policy needs --image-topics or --environment-state-topic" in answer.stderr
    topics = ("--image-topics", "/camera/top=top")
    platform = ("--platform", "local", "--dataset-path", tmp_path)
    answer = robotrain("render", "rosbag-act-train", *platform, *topics, "--", "--policy.dim_model=3")
    assert answer.exit_code == 2
    assert "options after --" in answer.stderr


@pytest.mark.parametrize("platform", ["local", "osmo", "azureml"])
def test_every_platform_renders_it(tmp_path, robotrain, platform):
    places = {
        "local": ("--dataset-path", tmp_path),
        "osmo": ("--blob-url", "https://account1.blob.core.windows.net/bags/pick"),
        "azureml": ("--blob-url", "https://account1.blob.core.windows.net/bags/pick"),
    }
    topics = ("--environment-state-topic", "/keypoints", "--action-topic", "/action")
    answer = robotrain("explain", "rosbag-act-train", "--platform", platform, *places[platform], *topics, "--json")
    assert answer.exit_code in (0, 2), answer.stderr
    assert "rosbag" not in answer.stderr


@pytest.fixture
def train(tmp_path, rosbag_python):
    """Start the trainer on three small bags; returns the process and its folder of checkpoints."""
    bags = tmp_path / "bags"
    for number in range(3):
        Recording(steps=40 + number).write(bags / f"ep{number}")
    parts = os.pathsep.join(str(source_tree.ROOT / part) for part in ("workloads", "core", "runtime"))

    def start(name, resume=None, **changed):
        folder = tmp_path / name
        settings = {
            "parameters": values(**changed),
            "bags": [str(bags)],
            "cache": str(tmp_path / "cache"),
            "checkpoints": str(folder),
            "resume": resume and str(resume),
        }
        command = [str(rosbag_python), "-m", "robotrain_workloads.rosbag_act_train.trainer", json.dumps(settings)]
        environ = {**os.environ, "PYTHONPATH": parts, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True), folder

    return start


def read_weights(folder, python):
    code = (
        "import sys, hashlib; from safetensors.numpy import load_file; w = load_file(sys.argv[1]);"
        "print(hashlib.sha256(b''.join(w[n].tobytes() for n in sorted(w))).hexdigest())"
    )
    file = folder / "pretrained_model" / "model.safetensors"
    return subprocess.run([python, "-c", code, file], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_a_training_that_is_cut_goes_on_to_the_same_weights(train, rosbag_python, training_python):
    whole, folder = train("whole")
    output = whole.communicate(timeout=120)[0]
    assert whole.returncode == 0, output
    assert sorted(path.name for path in folder.iterdir()) == ["000020", "000040"]
    losses = [json.loads(line.partition(" ")[2])["values"] for line in output.splitlines() if '"metrics"' in line]
    found = [one["train/loss"] for one in losses if "train/loss" in one]
    assert found[-1] < found[0]
    assert any("val/loss" in one for one in losses)

    cut, other = train("cut", training_steps=100_000, save_freq=100_000, log_freq=10)
    for line in cut.stdout:
        if '"step": 10' in line:
            cut.send_signal(signal.SIGTERM)
            break
    cut.communicate(timeout=60)
    assert cut.returncode == 128 + signal.SIGTERM
    (saved,) = other.iterdir()
    assert int(saved.name) < 40
    resumed, last = train("resumed", resume=saved)
    resumed.communicate(timeout=120)
    assert resumed.returncode == 0
    assert read_weights(last / "000040", rosbag_python) == read_weights(folder / "000040", rosbag_python)

    code = (
        "import sys, torch; from lerobot.policies.act.modeling_act import ACTPolicy;"
        "from lerobot.policies.factory import make_pre_post_processors;"
        "p = ACTPolicy.from_pretrained(sys.argv[1], strict=True);"
        "pre, post = make_pre_post_processors(p.config, pretrained_path=sys.argv[1]);"
        "stats = [one.stats for one in pre.steps if getattr(one, 'stats', None)][0];"
        "print(sorted(stats['observation.environment_state']));"
        "print(post(p.select_action(pre({'observation.state': torch.zeros(1, 2),"
        " 'observation.environment_state': torch.zeros(1, 2)}))).shape)"
    )
    command = [training_python, "-c", code, folder / "000040" / "pretrained_model"]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert "[1, 2]" in told.stdout
    assert "['max', 'min']" in told.stdout, "by these an evaluation knows the unit of the environment's state"


@pytest.mark.slow
@pytest.mark.long
def test_submitted_here_it_trains_and_resumes(tmp_path, robotrain, rosbag_python):
    for number in range(2):
        Recording().write(tmp_path / "bags" / f"ep{number}")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    submit = ("submit", "rosbag-act-train", "--platform", "local", "--dataset-path", tmp_path / "bags", *options)
    answer = robotrain(*submit, "--wait", "--json")
    assert answer.exit_code == 0, answer.stderr
    status = robotrain("status", "--json").json
    assert status["state"] == "succeeded"
