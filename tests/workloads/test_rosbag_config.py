"""`config.yaml` of bags: the seed's shape, read by `submit --config` and by `robotrain bags`, written by `inspect`."""

import pytest
import yaml
from recorded_bags import Recording
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_workloads.bag_parameters import NAMES, list_given, make_settings
from robotrain_workloads.lerobot.trained_model import choose_model
from robotrain_workloads.lerobot.version_parameters import DEFAULT_LEROBOT_VERSION
from robotrain_workloads.rosbag.settings import DataSettings
from robotrain_workloads.rosbag_act_train import config_file
from robotrain_workloads.rosbag_act_train.parameters import RosbagActParameters

WHOLE = """
data:
  bag_dir: recordings
  image_topics: {/camera/top/compressed: top, /camera/wrist: wrist}
  state_topic: /joint_states
  environment_state_topic: /keypoints
  action_topic: /action
  joint_names: [shoulder, elbow]
  action_joint_names: null
  units: {/joint_states: deg}
  fps: 15
  sync: previous
  tolerance_s: 0.02
  max_gap_s: 1
  timestamp: log
  image_size: [48, 64]
  on_clock_jump: split
  exclude_bags: [ep003, day two/ep004]
  val_split: 0.2
model:
  chunk_size: 50
  n_action_steps: 25
  n_obs_steps: 1
  vision_backbone: resnet34
  pretrained_backbone_weights: ResNet34_Weights.IMAGENET1K_V1
  dim_model: 256
  n_heads: 4
  dim_feedforward: 1024
  n_encoder_layers: 2
  n_decoder_layers: 2
  n_vae_encoder_layers: 3
  use_vae: false
  latent_dim: 16
  kl_weight: 5
  dropout: 0
  temporal_ensemble_coeff: null
train:
  steps: 2000
  lr: 1e-5
  lr_backbone: 1e-6
  weight_decay: 0.001
  batch_size: 16
  amp: true
  num_gpus: 2
  save_freq: 500
  log_freq: 50
  seed: 7
  num_workers: 3
  device: cuda
  output_dir: outputs/train-rosbag-act
"""
EXPECTED = {
    "image_topics": "/camera/top/compressed=top,/camera/wrist=wrist",
    "joint_names": "shoulder,elbow",
    "units": "/joint_states=deg",
    "image_size": "48x64",
    "training_steps": 2000,
    "learning_rate": 1e-5,
    "mixed_precision": "bf16",
    "timestamp": "log",
    "exclude_bags": "ep003,day two/ep004",
    "tolerance_s": 0.02,
    "output_dir": "outputs/train-rosbag-act",
}


@pytest.fixture
def explain(tmp_path, robotrain):
    """What `explain --config` answers for a file beside a folder of recordings."""
    (tmp_path / "project" / "recordings").mkdir(parents=True)

    def run(text, *words):
        file = tmp_path / "project" / "config.yaml"
        file.write_text(text)
        return robotrain("explain", "rosbag-act-train", "--platform", "local", "--config", file, *words, "--json")

    return run


def read_values(answer):
    """The rows of an answer; those of LeRobot's options by these."""
    assert answer.exit_code == 0, answer.stderr
    return {row.get("option", row["name"]): row for row in answer.json["values"]}


def test_every_key_sets_its_parameter(explain, tmp_path):
    values = read_values(explain(WHOLE))
    assert values["dataset"]["value"] == f"local_path {tmp_path / 'project' / 'recordings'}"
    assert {name: values[name]["value"] for name in EXPECTED} == EXPECTED
    assert values["--policy.use_vae"]["value"] == "--policy.use_vae=false"
    assert values["training_steps"]["origin"] == "config file config.yaml:38"
    content = yaml.safe_load(WHOLE)
    pairs = [(section, key) for section, keys in content.items() for key, value in keys.items() if value is not None]
    sections = config_file.SECTIONS
    for section, key in pairs:
        if (name := sections[section][key]) in values:
            assert values[name]["origin"].startswith("config file config.yaml:"), key
    every = {(section, key) for section, keys in sections.items() for key in keys}
    elsewhere = {("data", "blob_url"), ("data", "storage"), ("model", "backbone_path"), ("train", "mixed_precision")}
    assert every - elsewhere == {(section, key) for section, keys in content.items() for key in keys}


def test_the_keys_are_all_parameters_or_options_of_the_training():
    named = {name for keys in config_file.SECTIONS.values() for name in keys.values() if "." not in name}
    assert {*NAMES} < named < {parameter.name for parameter in get_parameters(RosbagActParameters)}
    act = choose_model({"policy_type": "act", "lerobot_version": DEFAULT_LEROBOT_VERSION}, {}).defaults
    options = {name for keys in config_file.SECTIONS.values() for name in keys.values() if name.startswith("-")}
    assert {name.removeprefix("--policy.") for name in options} < {*act}


def test_flags_and_the_job_file_win(explain, tmp_path, robotrain):
    values = read_values(explain(WHOLE, "--fps", 20, "--dataset-path", tmp_path))
    assert (values["fps"]["value"], values["dataset"]["value"]) == (20, f"local_path {tmp_path}")
    assert values["fps"]["overrode"][0] == {"value": "15", "origin": "config file config.yaml:11"}
    job = tmp_path / "project" / "job.yaml"
    arguments = "trainer_args: [--policy.chunk_size=40]"
    job.write_text(f"workload: rosbag-act-train\nconfig: config.yaml\nparameters: {{fps: 10}}\n{arguments}\n")
    values = read_values(robotrain("explain", job, "--platform", "local", "--json"))
    assert (values["fps"]["value"], values["--policy.n_heads"]["value"]) == (10, "--policy.n_heads=4")
    overridden = {"value": "--policy.chunk_size=50", "origin": "config file config.yaml:21"}
    assert values["--policy.chunk_size"]["overrode"] == [overridden]
    line = ("explain", job, "--platform", "local", "--json", "--", "--policy.chunk_size=60", "--policy.dropout=0.2")
    values = read_values(robotrain(*line))
    assert values["--policy.chunk_size"]["value"] == "--policy.chunk_size=60"
    assert values["--policy.dropout"]["overrode"][0]["value"] == "--policy.dropout=0"


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("{}", []),
        ("{chunk_size: 16}", ["chunk_size=16", "n_action_steps=16"]),
        ("{chunk_size: 16, n_action_steps: 4}", ["chunk_size=16", "n_action_steps=4"]),
        ("{temporal_ensemble_coeff: 0.01}", ["temporal_ensemble_coeff=0.01", "n_action_steps=1"]),
        ("{use_vae: false, dropout: 0}", ["use_vae=false", "dropout=0"]),
    ],
)
def test_keys_of_the_model_are_options_of_lerobot(explain, model, options):
    """As many actions are done as are predicted, unless the file says otherwise: LeRobot's number may be above that."""
    rows = explain(f"bag_dir: recordings\nmodel: {model}\n").json["values"]
    assert [row["value"] for row in rows if row["name"] == "trainer_args"] == [f"--policy.{text}" for text in options]


@pytest.mark.parametrize(
    ("text", "kind", "uri"),
    [
        ("bag_dir: recordings\n", "local_path", "project/recordings"),
        ("data: {blob_url: 'https://a1b.blob.core.windows.net/datasets/pick'}\n", "blob_url", "a1b"),
        ("data: {storage: {account: a1b, container: datasets, prefix: pick}}\n", "blob_url", "/datasets/pick"),
        ("data: {bag_dir: [recordings, recordings]}\n", "local_path", "project/recordings"),
    ],
)
def test_the_bags_may_lie_in_any_of_the_places(explain, text, kind, uri):
    answer = explain(text, "--environment-state-topic", "/keypoints", "--action-topic", "/action")
    assert answer.exit_code == 0, answer.stderr
    sources = [row["value"] for row in answer.json["values"] if row["name"] == "dataset"]
    assert all(value.startswith(f"{kind} ") and uri in value for value in sources)
    assert len(sources) == text.count("recordings") or kind == "blob_url"


def test_no_cameras_are_none_and_not_guessed(explain):
    assert read_values(explain("bag_dir: recordings\ndata: {image_topics: {}}\n"))["image_topics"]["value"] == "none"


def test_a_state_topic_of_null_means_no_state(explain):
    text = "bag_dir: recordings\ndata: {state_topic: null, environment_state_topic: /k, action_topic: /a}\n"
    assert read_values(explain(text + "model: {use_vae: false}\n"))["state_topic"]["value"] == "none"


@pytest.mark.parametrize(
    ("text", "found", "near"),
    [
        ("data:\n  fsp: 30\n", "file-unknown-key config.yaml:2", ["fps"]),
        ("modle: {}\n", "file-unknown-key config.yaml:1", ["model"]),
        ("train:\n  bach_size: 3\n", "file-unknown-key config.yaml:2", ["batch_size"]),
        ("train:\n  accumulate: 2\n", "file-unknown-key config.yaml:2", []),
        ("model:\n  n_obs_steps: 2\n", "script-option-invalid config.yaml:2: --", []),
        ("data:\n  image_size: 3\n", "value-invalid config.yaml:2", []),
        ("data:\n  fps: [3]\n", "value-invalid config.yaml:2", []),
        ("data:\n  storage: {account: a}\n", "file-wrong config.yaml:2", []),
        ("train:\n  amp: maybe\n", "value-invalid config.yaml:2", []),
        ("train:\n  steps: 0\n", "value-invalid config.yaml:2", []),
        ("data: [\n", "file-malformed config.yaml:2", []),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_nearest_key(explain, text, found, near):
    answer = explain(text, "--dataset-path", "/bags", "--environment-state-topic", "/keypoints")
    answer.check_problems(2, found)
    assert [way["text"] for way in answer.json["problems"][0]["instead"]] == near


def test_what_inspect_writes_is_what_trains(tmp_path, robotrain, explain):
    bags, config = tmp_path / "project" / "recordings", tmp_path / "project" / "written.yaml"
    Recording().write(bags / "ep000")
    words = ("--image-size", "24x32", "--write-config", config)
    assert robotrain("bags", "inspect", bags, *words).exit_code == 0
    values = read_values(robotrain("explain", "rosbag-act-train", "--platform", "local", "--config", config, "--json"))
    assert values["dataset"]["value"] == f"local_path {bags}"
    settings = robotrain("bags", "inspect", "--config", config, "--json").json["settings"]
    assert settings["image_size"] == [24, 32]
    faster = robotrain("bags", "inspect", "--config", config, "--fps", 5, "--json").json
    assert (faster["settings"]["fps"], faster["bags"][0]["steps"]) == (5, 20)
    parameters = list_given({name: values[name]["value"] for name in NAMES})
    assert DataSettings(**make_settings(parameters)).dump() == settings
    assert values["joint_names"]["value"] == "pusher_x,pusher_y"


def test_times_of_the_recording_count_on_request(tmp_path, robotrain):
    Recording(offset=lambda step: -5_000_000_000).write(tmp_path / "bags" / "ep000")
    config = tmp_path / "config.yaml"
    for source, words, timestamp in (
        ("header", (), "header"),
        ("log", (), "log"),
        ("header", ("--timestamp", "log"), "log"),
    ):
        config.write_text(f"bag_dir: bags\ndata: {{timestamp: {source}, fps: 10}}\n")
        answer = robotrain("bags", "inspect", "--config", config, *words, "--json")
        assert answer.json["settings"]["timestamp"] == timestamp
        assert answer.json["bags"][0]["topics"]["/joint_states"]["time"] == "header"
        steps = answer.json["bags"][0].get("steps", 0)
        assert (steps == 40) is (timestamp == "log"), "actions have no header: only log times fit them here"
