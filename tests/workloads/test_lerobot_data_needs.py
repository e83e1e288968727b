"""What a policy type needs of the data is compared with the dataset before anything is built."""

import itertools
import json
import shlex

import job_documents
import pytest
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot_train import container

STATE, WORLD = "observation.state", "observation.environment_state"
LEFT, RIGHT = "observation.images.left", "observation.images.right"


def vector(size):
    return {"dtype": "float32", "shape": [size]}


def camera(height, width):
    return {"dtype": "image", "shape": [height, width, 3], "names": ["height", "width", "channels"]}


ROBOT = {STATE: vector(6), "action": vector(6)}
ONE, TWO = {LEFT: camera(96, 96)}, {LEFT: camera(96, 96), RIGHT: camera(96, 96)}
SEVEN = {STATE: vector(8), "action": vector(7)}
UNNAMED = {"action": vector(6), **ONE}

TABLE = [
    # what the dataset records; the type; the user's options, and whether they do not fit
    (ROBOT, "act", (), True),
    ({**ROBOT, WORLD: vector(16)}, "act", (), False),
    ({**ROBOT, **TWO}, "act", (), False),
    (ROBOT, "smolvla", (), True),
    ({**ROBOT, **TWO}, "vqbet", (), True),
    ({**ROBOT, WORLD: vector(16)}, "vqbet", (), True),
    ({**ROBOT, **ONE}, "tdmpc", (), True),
    ({**ROBOT, **ONE, "next.reward": vector(1)}, "tdmpc", (), False),
    ({**ROBOT, **TWO, "next.reward": vector(1)}, "tdmpc", (), True),
    ({**ROBOT, LEFT: camera(96, 64), "next.reward": vector(1)}, "tdmpc", (), True),
    ({**ROBOT, LEFT: camera(96, 96), RIGHT: camera(48, 64)}, "diffusion", (), True),
    ({**ROBOT, LEFT: camera(96, 96), RIGHT: camera(48, 64)}, "act", (), False),
    ({**ROBOT, **TWO}, "lingbot_va", (), True),
    ({**ROBOT, **TWO}, "lingbot_va", (f'--policy.obs_cam_keys=["{LEFT}"]',), False),
    ({**SEVEN, "observation.image": camera(96, 96)}, "fastwam", (), True),
    ({**SEVEN, **ONE}, "fastwam", (), False),
    (UNNAMED, "act", (), True),
    (UNNAMED, "act", ("--policy.use_vae=false",), True),
    (UNNAMED, "xvla", (), True),
    (UNNAMED, "diffusion", (), True),
    ({**ROBOT, LEFT: camera(64, 64)}, "vqbet", (), True),
    ({**ROBOT, LEFT: camera(64, 64)}, "vqbet", ("--policy.crop_shape=[56,56]",), False),
    ({**ROBOT, LEFT: camera(64, 64)}, "vqbet", ("--policy.crop_shape=null",), False),
    ({**ROBOT, **ONE}, "vqbet", ("--policy.crop_shape=[100, 90]",), True),
    ({**ROBOT, **ONE}, "diffusion", ("--policy.crop_shape=[97,97]",), True),
    ({**ROBOT, **ONE}, "diffusion", ("--policy.crop_shape=[97,97]", "--policy.resize_shape=[128,128]"), False),
    ({**ROBOT, **ONE, STATE: vector(40)}, "smolvla", (), True),
    ({**ROBOT, **ONE, STATE: vector(40)}, "smolvla", ("--policy.max_state_dim=64",), False),
    ({**ROBOT, **ONE, STATE: vector(40)}, "pi05", (), False),  # reads the state as text
    ({**ROBOT, **ONE, "action": vector(33)}, "pi0", (), True),
    ({**ROBOT, **ONE, "action": vector(33)}, "molmoact2", (), True),  # as its checkpoints have it
    ({**ROBOT, **ONE}, "fastwam", (), True),
    ({**ROBOT, **ONE, "action": vector(21)}, "xvla", (), True),
    ({**ROBOT, **ONE, "action": vector(14)}, "xvla", ("--policy.action_mode=joint",), False),
    ({**ROBOT, **ONE}, "xvla", ("--policy.action_mode=auto",), False),
]


@pytest.fixture
def record(dataset):
    """Make a dataset with some features: `record({"action": …}, statistics={})`."""

    def make(features, statistics=None):
        folder = dataset(features=features)
        path = folder / "meta/stats.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **(statistics or {})}))
        return folder

    return make


@pytest.mark.parametrize(("features", "kind", "options", "is_wrong"), TABLE)
def test_what_a_type_needs_is_compared(training, record, features, kind, options, is_wrong):
    folder, answers = record(features), []
    for version in versions.list_versions():
        document = training(folder, options, policy_type=kind, lerobot_version=version.name)
        problems = job_documents.find_data_problems(document)
        compared = map(job_documents.format_finding, container.compare(document, job_documents.folders(document)))
        assert set(problems) <= set(compared), "descriptions alone show the same"
        answers.append(problems)
    assert answers == [problems] * len(answers)
    assert bool(problems) == is_wrong
    job_documents.check_findings(problems, len(problems))


def split_way(problem):
    """The words of a remedy."""
    return shlex.split(problem.partition("\n")[2])


@pytest.mark.parametrize(("features", "kind", "options"), [row[:3] for row in TABLE if row[3]])
def test_following_a_remedy_leads_to_no_other_refusal_of_the_kind(training, record, features, kind, options):
    folder = record(features)
    (problem, *_) = job_documents.find_data_problems(training(folder, options, policy_type=kind))
    if "\n" not in problem:
        return
    _, *words = split_way(problem)
    assert problem not in job_documents.find_data_problems(training(folder, (*options, *words), policy_type=kind))


MEAN = {"mean": [0.0] * 6, "std": [1.0] * 6}
FULL = {**MEAN, "q01": [0.0] * 6, "q99": [1.0] * 6}


@pytest.mark.parametrize(
    ("kind", "statistics", "options", "is_lacking"),
    [
        ("pi05", {STATE: MEAN, "action": MEAN}, (), True),
        ("pi05", {STATE: FULL, "action": FULL}, (), False),
        ("pi05", {STATE: FULL, "action": MEAN}, (), True),
        ("pi05", {}, (), False),  # nothing is known
        ("pi0", {STATE: MEAN, "action": MEAN}, (), False),
    ],
)
def test_quantiles_that_a_type_normalizes_with(training, record, kind, statistics, options, is_lacking):
    folder = record({**ROBOT, **ONE}, statistics)
    problems = job_documents.find_data_problems(training(folder, options, policy_type=kind))
    job_documents.check_findings(problems, is_lacking, "lacks its q01 and q99")
    assert all(problem.endswith("--statistics computed") for problem in problems)
    computed = training(folder, options, policy_type=kind, statistics="computed")
    assert job_documents.find_data_problems(computed) == []


def test_a_policy_that_reads_features_of_the_users_choice_needs_no_others(training, record):
    features = {STATE: {"type": "STATE", "shape": [6]}, LEFT: {"type": "VISUAL", "shape": [3, 96, 96]}}
    chosen = f"--policy.input_features={json.dumps(features)}"
    document = training(record({**ROBOT, **TWO}), [chosen], policy_type="vqbet")
    assert job_documents.find_data_problems(document) == []


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        *itertools.product(
            ["vqbet"], [f"--policy.crop_shape={text}" for text in ('["a","b"]', "[1,2,3]", "x", "7", "{}")]
        ),
        *itertools.product(["lingbot_va"], [f"--policy.obs_cam_keys={text}" for text in ("7", "true", "{}")]),
        *itertools.product(["pi05"], [f"--policy.normalization_mapping={text}" for text in ("7", '{"STATE": [1]}')]),
        *itertools.product(["smolvla"], [f"--policy.max_state_dim={text}" for text in ("x", "[1]", "1.5", "")]),
        ("xvla", "--policy.action_mode=[1]"),
        ("act", "--policy.use_vae=[]"),
    ],
)
def test_a_value_that_only_lerobot_can_judge_is_left_to_it(training, record, kind, option):
    document = training(record({**ROBOT, **TWO}, {STATE: MEAN}), [option], policy_type=kind)
    described = job_documents.folders(document)
    assert all(map(job_documents.format_finding, (*container.compare(document, described), kind)))
    assert all(isinstance(text, str) for text in (*container.list_warnings(document, described), kind))


def test_a_trained_policy_is_compared_by_its_own_sizes(training, record, policy):
    wide = {STATE: {"type": "STATE", "shape": [6]}, LEFT: {"type": "VISUAL", "shape": [3, 96, 96]}}
    folder = policy(type="smolvla", input_features=wide, max_state_dim=4, max_action_dim=32)
    problems = job_documents.find_data_problems(
        training(record({**ROBOT, **ONE}), starts={"policy": folder}, policy_type="smolvla")
    )
    job_documents.check_findings(
        problems, fact="6 values in the dataset, and smolvla takes at most 4"
    )  # without a remedy: no option changes weights


def test_a_reward_model_needs_the_reward(training, record):
    document = training(record({**ROBOT, **ONE}), policy_type=None, reward_model="reward_classifier")
    findings = map(job_documents.format_finding, container.compare(document, job_documents.folders(document)))
    assert "reward_classifier learns from next.reward, which the dataset does not record" in findings


def test_a_reward_model_reads_the_camera_that_its_option_names(training, record):
    folder = record({**ROBOT, **ONE})
    needs = training(folder, policy_type=None, reward_model="sarm")
    (problem,) = job_documents.find_data_problems(needs)
    assert "--reward_model.image_key" in problem
    chosen = training(folder, [f"--reward_model.image_key={LEFT}"], policy_type=None, reward_model="sarm")
    assert job_documents.find_data_problems(chosen) == []


def test_each_type_of_each_version_is_described():
    """The exporter asks LeRobot; without an answer a type would need nothing."""
    for version in versions.list_versions():
        trainable = {kind: model for kind, model in version.policies.items() if not model.refused}
        assert all(model.normalization for model in trainable.values())
        assert {kind for kind, model in trainable.items() if model.picture_sized} == {"diffusion", "tdmpc", "vqbet"}
        assert {kind for kind, model in trainable.items() if not model.resizes} == {
            *("act", "diffusion", "multi_task_dit", "tdmpc", "vqbet")
        }
