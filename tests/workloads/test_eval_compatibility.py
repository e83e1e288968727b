"""A policy that does not match the dataset or environment is rejected before anything is built."""

import json

import pytest
from job_documents import evaluation, find_problems, folders
from robotrain_workloads.lerobot_eval import container

STATE = {"observation.state": {"type": "STATE", "shape": [2]}}
RECORDED = {name: {"dtype": "float32", "shape": [2]} for name in ("observation.state", "action")}

WORLD = {"observation.environment_state": {"dtype": "float32", "shape": [16]}}


def camera(height, width):
    return {"dtype": "image", "shape": [height, width, 3], "names": ["height", "width", "channels"]}


def recorded_camera(name, size=96):
    return STATE | {name: {"type": "VISUAL", "shape": [3, size, size]}}


@pytest.fixture
def find_mismatches(tmp_path):
    """The problems of an evaluation whose files are here: `find_mismatches(policy=folder, env="pusht")`."""

    def find(**given) -> list[str]:
        document = evaluation(tmp_path / "work", **given)
        found = find_problems(document)
        assert set(container.compare(document, folders(document))) <= set(found)
        return found

    return find


def test_fitting_policies_of_any_type_are_accepted(find_mismatches, policy, dataset, saved):
    data = dataset(features=RECORDED)
    assert find_mismatches(policy=policy("vqbet", type="vqbet"), dataset=data) == []
    assert find_mismatches(policy=policy("any"), env="pusht") == []
    assert find_mismatches(policy=saved("run/checkpoints/000006", 6), dataset=data) == []
    seeing = dataset(folder="seeing", features=RECORDED | WORLD)
    assert find_mismatches(dataset=seeing, builtin_policy=True, env="pusht") == []
    (sentence,) = find_mismatches(dataset=data, builtin_policy=True)
    assert "act needs a camera or observation.environment_state, and the dataset has none" in sentence


def test_the_folder_to_publish_to_must_be_a_folder(find_mismatches, policy, tmp_path):
    at = policy()
    (tmp_path / "file").touch()
    assert "it is a file" in find_mismatches(policy=at, env="pusht", publish_url=str(tmp_path / "file"))[0]
    assert find_mismatches(policy=at, env="pusht", publish_url=str(tmp_path / "copies")) == []


def test_a_type_that_no_environment_can_run_is_named(find_mismatches, policy, dataset):
    (sentence,) = find_mismatches(policy=policy("actor", type="gaussian_actor"), env="pusht")
    assert "0.6.1's gaussian_actor cannot be evaluated: it is the actor" in sentence
    assert (
        find_mismatches(dataset=dataset(features=RECORDED | WORLD), builtin_policy=True, policy_type="diffusion") == []
    )


def test_a_policy_of_another_lerobot_names_what_is_unknown(find_mismatches, policy):
    folder = policy("newer", type="diffusion", gradient_checkpointing=False)
    (sentence,) = find_mismatches(policy=folder, env="pusht", lerobot_version="0.6.0")
    assert sentence.endswith("does not know its gradient_checkpointing\n--lerobot-version 0.6.1")
    assert find_mismatches(policy=folder, env="pusht") == []


def test_a_reward_model_is_not_evaluated(find_mismatches, policy, dataset):
    folder = policy("reward", type="sarm", without=("policy_preprocessor.json",))
    (sentence,) = find_mismatches(policy=folder, dataset=dataset(features=RECORDED))
    assert sentence.endswith("is a reward model (sarm), and lerobot-eval evaluates policies")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda at: (at / "config.json").unlink(), "config.json is missing"),
        (lambda at: (at / "config.json").write_text('{"type": ["act"]}'), "config.json: type must be a word"),
        (
            lambda at: (at / "config.json").write_text('{"type": "act", "input_features": ["action"]}'),
            "config.json: input_features must be an object, not a list",
        ),
        (
            lambda at: (at / "config.json").write_text('{"type": "act", "output_features": {"action": null}}'),
            "config.json: output_features.action must be an object, not null",
        ),
        (lambda at: (at / "config.json").write_text("[" * 100_000), "is nested too deeply"),
        (lambda at: (at / "policy_preprocessor.json").write_text('{"steps": [3]}'), "steps must be a list of objects"),
    ],
)
def test_an_incomplete_or_damaged_policy_is_named(find_mismatches, policy, spoil, why):
    at = policy()
    spoil(at)
    (sentence,) = find_mismatches(policy=at, env="pusht")
    assert why in sentence


def test_observations_are_compared_with_those_of_the_environment(find_mismatches, policy):
    world = STATE | {"observation.environment_state": {"type": "ENV", "shape": [16]}}
    fitting = policy("world", input_features=world)
    assert find_mismatches(policy=fitting, env="pusht") == []
    assert "which aloha does not show" in find_mismatches(policy=fitting, env="aloha")[1]


def test_cameras_are_those_that_the_environment_has(find_mismatches, policy):
    other = policy("other", input_features=recorded_camera("observation.images.front"))
    assert find_mismatches(policy=other, env="pusht") == []  # one picture for one picture is no question of names
    two = recorded_camera("observation.images.front") | recorded_camera("observation.image")
    (sentence,) = find_mismatches(policy=policy("two", input_features=two), env="pusht")
    assert sentence == "the policy reads the camera observation.images.front, but pusht has only observation.image"
    both = recorded_camera("observation.image") | {"observation.environment_state": {"type": "ENV", "shape": [16]}}
    (sentence,) = find_mismatches(policy=policy("both", input_features=both), env="pusht")
    assert sentence.endswith("pusht shows only one of them")
    again = policy("again", input_features=both)
    assert find_mismatches(policy=again, env="pusht", args=["--env.obs_type=pixels"]) == []


def test_what_the_policys_own_processors_rename_or_fill_up_fits(find_mismatches, policy, dataset):
    data = dataset(features=RECORDED | {"observation.images.top": camera(96, 96)})
    renamed = policy("renamed", input_features=recorded_camera("observation.images.camera1"))
    assert find_mismatches(policy=renamed, dataset=data) != []
    rename = {"rename_map": {"observation.images.top": "observation.images.camera1"}}
    steps = [{"registry_name": "rename_observations_processor", "config": rename}]
    (renamed / "policy_preprocessor.json").write_text(json.dumps({"steps": steps}))
    assert find_mismatches(policy=renamed, dataset=data) == []
    spare = recorded_camera("observation.images.empty_camera_0")
    assert find_mismatches(policy=policy("spare", input_features=spare), dataset=data) == []
    long = {"observation.state": {"type": "STATE", "shape": [32]}}
    padded = policy("padded", type="smolvla", input_features=long, max_state_dim=32)
    assert [one for one in find_mismatches(policy=padded, dataset=data) if "does not bring" not in one] == []
    assert len(find_mismatches(policy=policy("not", input_features=long), dataset=data)) == 1


@pytest.mark.parametrize(
    ("kind", "trained", "problem"),
    [
        ("smolvla", 4, ""),  # tuned on four: the settings still have the two of its base
        ("smolvla", 6, "observation.state has 4 values in metaworld, but 6 values in the policy"),
        ("smolvla", None, ""),  # a Hub's, before its statistics are here
        ("act", 4, "observation.state has 4 values in metaworld, but 2 values in the policy"),  # it pads nothing
    ],
)
def test_the_size_of_a_padded_state_is_that_of_the_statistics(find_mismatches, policy, kind, trained, problem):
    outputs = {"action": {"type": "ACTION", "shape": [4]}}
    inputs = recorded_camera("observation.image", 480)
    padded = {"max_state_dim": 32} if kind == "smolvla" else {}
    folder = policy(type=kind, input_features=inputs, output_features=outputs, **padded)
    if trained:
        header = {"observation.state.mean": {"dtype": "U8", "shape": [trained], "data_offsets": [0, trained]}}
        text = json.dumps(header).encode()
        content = len(text).to_bytes(8, "little") + text + bytes(trained)
        (folder / "normalizer.safetensors").write_bytes(content)
    found = find_mismatches(policy=folder, env="metaworld", env_tasks="reach-v3")
    assert [sentence for sentence in found if "observation.state" in sentence] == ([problem] if problem else [])


@pytest.mark.parametrize(("kind", "fits"), [("xvla", True), ("act", False)])
def test_a_type_that_trained_without_some_cameras_is_evaluated_without_them(
    find_mismatches, policy, dataset, kind, fits
):
    data = dataset(features=RECORDED | {"observation.images.top": camera(96, 96)})
    two = recorded_camera("observation.images.top") | recorded_camera("observation.images.wrist")
    problems = find_mismatches(policy=policy(type=kind, input_features=two), dataset=data)
    named = [problem for problem in problems if "observation.images.wrist" in problem]
    assert (named == []) == fits


@pytest.mark.parametrize(
    ("settings", "fits"),
    [
        ({"type": "act"}, False),
        ({"type": "diffusion", "crop_shape": [32, 32]}, False),
        ({"type": "diffusion", "resize_shape": [32, 32]}, True),
        ({"type": "smolvla"}, True),
    ],
)
def test_pictures_have_the_size_that_the_policy_was_trained_with(find_mismatches, policy, dataset, settings, fits):
    data = dataset(features=RECORDED | {"observation.images.top": camera(48, 64)})
    trained = policy(input_features=recorded_camera("observation.images.top"), **settings)
    found = [sentence for sentence in find_mismatches(policy=trained, dataset=data) if "observation.images" in sentence]
    assert bool(found) is not fits
    if found:
        assert all(size in found[0] for size in ("64 wide and 48 high", "trained with 96 and 96"))


def test_a_given_image_size_is_compared_with_the_policys(find_mismatches, policy):
    trained = policy(input_features=recorded_camera("observation.image"))
    size = "--env.observation_height={0} --env.observation_width={0}"
    assert find_mismatches(policy=trained, env="pusht", args=size.format(96).split()) == []
    (sentence,) = find_mismatches(policy=trained, env="pusht", args=size.format(384).split())
    assert "384 wide and 384 high in pusht" in sentence
    scaling = policy(
        "scaling", type="diffusion", resize_shape=[96, 96], input_features=recorded_camera("observation.image")
    )
    assert find_mismatches(policy=scaling, env="pusht", args=size.format(384).split()) == []


def test_an_untrained_policy_is_judged_by_the_dataset_that_it_is_made_for(find_mismatches, dataset):
    data = dataset(features=RECORDED | WORLD | {"action": {"dtype": "float32", "shape": [6]}})
    assert find_mismatches(dataset=data, builtin_policy=True, env="pusht") == [
        "action has 2 values in pusht, but 6 values in the policy"
    ]


def test_no_episodes_and_episodes_that_are_not_there(find_mismatches, policy, dataset):
    at = policy()
    assert "has no episodes" in find_mismatches(policy=at, dataset=dataset(folder="none", total_episodes=0))[0]
    data = dataset(features=RECORDED)
    assert find_mismatches(policy=at, dataset=data, replay_episodes="0-1") == []
    (sentence,) = find_mismatches(policy=at, dataset=data, replay_episodes="1,7")
    title, _, way = sentence.partition("\n")
    assert title == "--replay-episodes 1,7: the dataset has 2 episodes, numbered from 0: there is no episode 7"
    assert way == "--replay-episodes 1"
    (sentence,) = find_mismatches(policy=at, dataset=data, replay_episodes="0-5")
    assert sentence.endswith("\n--replay-episodes 0-1")
    more = dataset(folder="more", features=RECORDED, total_episodes=8)
    assert find_mismatches(policy=at, dataset=[data, more], replay_episodes="1,7") == []
    (sentence,) = find_mismatches(policy=at, dataset=data, replay_episodes="held-out")
    assert sentence.endswith("\n--replay-episodes all")


def test_results_of_another_evaluation_are_never_overwritten(find_mismatches, policy, tmp_path):
    at, taken = policy(), tmp_path / "taken"
    (taken / "eval_results").mkdir(parents=True)
    assert "results of another evaluation" in find_mismatches(policy=at, env="pusht", output_dir=str(taken))[0]
    (tmp_path / "work/outputs/eval_results").mkdir(parents=True)  # an earlier attempt of this very run
    assert find_mismatches(policy=at, env="pusht") == []
