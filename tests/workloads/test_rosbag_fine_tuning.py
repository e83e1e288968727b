"""A training on bags that starts from a policy, of this workload or LeRobot's, and LeRobot's that starts from ours."""

import json
import subprocess

import pytest
from bag_training import SMALL, BagTraining, make_parameters, record_keypoints
from job_documents import format_finding
from recorded_bags import Recording
from robotrain_workloads.rosbag_act_train import container, policy_start
from small_training import STEPS

STATE = {"observation.state": {"type": "STATE", "shape": [2]}}
WORLD = {"observation.environment_state": {"type": "ENV", "shape": [2]}}
ACTION = {"action": {"type": "ACTION", "shape": [2]}}
SIZES = {name: SMALL[name] for name in ("chunk_size", "dim_model", "n_heads", "dim_feedforward")}
TOPICS = ("--environment-state-topic", "/keypoints", "--action-topic", "/action")


def camera(name):
    return {f"observation.images.{name}": {"type": "VISUAL", "shape": [3, 48, 64]}}


def mismatches(settings, **changed):
    complete = {"type": "act", "output_features": ACTION, **settings}
    found = policy_start.find_policy_mismatches(make_parameters(**changed), complete, "the policy")
    return list(map(format_finding, found))


def test_the_policy_decides_its_sizes_and_the_job_the_rest():
    config = {"type": "act", "input_features": STATE | WORLD, "output_features": ACTION, **SIZES, "dropout": 0.3}
    loaded = policy_start.ActConfig.load(config)
    adopted = policy_start.adopt_sizes(make_parameters(chunk_size=100, dim_model=512, learning_rate=3.0), loaded)
    assert (adopted["chunk_size"], adopted["dim_model"], adopted["dropout"]) == (10, 16, 0.3)
    assert adopted["learning_rate"] == 3.0
    assert policy_start.adopt_sizes(make_parameters(dropout=0.5), loaded)["dropout"] == 0.5


def test_each_mismatch_of_policy_and_bags_is_named():
    fitting = {"input_features": STATE | WORLD, **SIZES, "n_encoder_layers": 1, "n_vae_encoder_layers": 1}
    fitting["latent_dim"] = 4
    assert mismatches(fitting) == []
    assert mismatches({"type": "diffusion"}) == [
        "the policy has the policy type diffusion, and rosbag-act-train trains act"
    ]
    (size,) = mismatches({**fitting, "dim_model": 64})
    assert "--dim-model is 16, but the policy was made with 64" in size
    (missing,) = mismatches({**fitting, "input_features": STATE | WORLD | camera("wrist")}, image_topics=None)
    assert "reads the camera observation.images.wrist, but the job has no camera" in missing
    (unread,) = mismatches(fitting, image_topics="/camera/top=top")
    assert "the job has the camera observation.images.top" in unread
    (no_world,) = mismatches({**fitting, "input_features": STATE | camera("top")}, image_topics="/c=top")
    assert "does not read observation.environment_state, which the job takes from /action" in no_world
    wide = {**fitting, "output_features": {"action": {"type": "ACTION", "shape": [6]}}}
    assert mismatches(wide, joint_names="a,b", action_joint_names="a,b,c") == [
        "action has 6 values in the policy, but the job names 3 joints"
    ]


def test_a_policy_that_does_not_fit_is_refused_before_anything_is_sent(tmp_path, robotrain, policy):
    wrist = policy("wrist", input_features=STATE | camera("wrist"))
    words = ("submit", "rosbag-act-train", "--platform", "osmo", "--pool", "p", "--storage-account", "acct")
    cloud = (*words, "--tracking-uri", "none", "--dry-run", "--blob-url", "https://acct.blob.core.windows.net/bags/a")
    robotrain(*cloud, *TOPICS, "--policy-path", wrist).check_problems(4, "data-unusable")


def test_two_starts_contradict_each_other(tmp_path, robotrain, policy):
    one = policy("one", input_features=STATE | WORLD)
    words = ("render", "rosbag-act-train", "--platform", "local", "--dataset-path", tmp_path, *TOPICS)
    robotrain(*words, "--policy-path", one, "--resume-from", tmp_path).check_problems(2, "sources-conflict")


def test_a_later_step_is_compared_with_what_will_be_trained(tmp_path, bag_document):
    container.describe_output(bag_document(image_topics="/c=top", image_size="48x64"), {}, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["input_features"]["observation.images.top"]["shape"] == [3, 48, 64]
    assert set(config["input_features"]) == {*STATE, *WORLD, *camera("top")}


@pytest.mark.slow
@pytest.mark.long
def test_lerobot_fine_tunes_our_policies_and_we_fine_tune_its(tmp_path, rosbag_python, training_python, pusht, train):
    """Ours, fine-tuned by LeRobot on its dataset, and that one by ours on bags: each time all weights are there."""
    record_keypoints(tmp_path / "bags" / "ep0", 16)
    bags = BagTraining(tmp_path, rosbag_python, tmp_path / "bags")
    given = {"environment_state_topic": "/keypoints", "val_split": 0.0, "training_steps": 2, "log_freq": 1}
    bags.train("ours", **given)
    first = tmp_path / "ours" / "000002" / "pretrained_model"
    fine_tuned = train(pusht, [], starts={"policy": first}, **STEPS | {"training_steps": 1, "save_freq": 1})
    assert fine_tuned.exit_code == 0, fine_tuned.lines
    (theirs,) = (tmp_path / "work" / "outputs" / "checkpoints").glob("0*/pretrained_model")
    lines = bags.train("again", policy=theirs, **{**given, "chunk_size": 100, "dim_model": 512, "learning_rate": 1e-9})
    assert any("episodes to train on" in line for line in lines)
    before, after = bags.weights("ours"), bags.weights("again")
    assert before.keys() == after.keys()
    assert max(float(abs(before[name] - after[name]).max()) for name in before) < 1e-2, "its weights, not new ones"

    Recording().write(tmp_path / "bags" / "ep0")
    process = bags.start("other", policy=theirs, **{**given, "environment_state_topic": "/action"})
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 4
    assert "observation.environment_state has 2 values in the bags, but 16 in the policy" in output
    weights = theirs / "model.safetensors"
    content = weights.read_bytes().replace(b"model.action_head.bias", b"model.action_head.bAIs")
    weights.write_bytes(content)
    process = bags.start("torn", policy=theirs, **given)
    output = process.communicate(timeout=120)[0]
    assert (process.returncode, "action_head.bias" in output, "Traceback" in output) == (4, True, False)


@pytest.mark.slow
@pytest.mark.long
def test_the_cameras_network_starts_with_the_weights_of_a_file(tmp_path, rosbag_python):
    make = (
        "import sys, torch, torchvision; torch.manual_seed(5);"
        "torch.save(torchvision.models.resnet18(weights=None).state_dict(), sys.argv[1])"
    )
    file = tmp_path / "resnet18.pth"
    subprocess.run([rosbag_python, "-c", make, file], check=True)
    Recording(steps=12).write(tmp_path / "bags" / "ep0")
    bags = BagTraining(tmp_path, rosbag_python, tmp_path / "bags")
    given = {"image_topics": "/camera/top=top", "environment_state_topic": None, "val_split": 0.0}
    given |= {"training_steps": 1, "lr_backbone": 1e-12, "batch_size": 2}
    bags.train_several([bags.settings("random", **given), bags.settings("given", weights=file, **given)])
    compare = (
        "import sys, torch; from safetensors.torch import load_file;"
        "a, b = torch.load(sys.argv[1]), load_file(sys.argv[2]);"
        "print(max(float((v - a[n[15:]]).abs().max()) for n, v in b.items() if n.startswith('model.backbone.')))"
    )

    def differ(name):
        model = tmp_path / name / "000001" / "pretrained_model" / "model.safetensors"
        done = subprocess.run([rosbag_python, "-c", compare, file, model], stdout=subprocess.PIPE, check=True)
        return float(done.stdout)

    assert differ("given") < 1e-6 < 1e-2 < differ("random")
    file.write_bytes(b"no weights")
    process = bags.start("broken", weights=file, **given)
    output = process.communicate(timeout=120)[0]
    assert (process.returncode, "cannot be read as weights" in output, "Traceback" in output) == (4, True, False)
