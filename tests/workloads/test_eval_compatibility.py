"""A policy that does not match the dataset or environment is rejected before anything is built."""

import json
from pathlib import Path

import pytest
from job_documents import check_findings, evaluation, find_problems, folders, format_finding
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

    def find(**parameters) -> list[str]:
        document = evaluation(tmp_path / "work", **parameters)
        mismatches = find_problems(document)
        assert set(map(format_finding, container.compare(document, folders(document)))) <= set(mismatches)
        return mismatches

    return find


def test_fitting_policies_of_any_type_are_accepted(find_mismatches, policy, dataset, saved):
    data = dataset(features=RECORDED)
    assert find_mismatches(policy=policy("vqbet", type="vqbet"), dataset=data) == []
    assert find_mismatches(policy=policy("any"), env="pusht") == []
    assert find_mismatches(policy=saved("run/checkpoints/000006", 6), dataset=data) == []
    seeing = dataset(folder="seeing", features=RECORDED | WORLD)
    assert find_mismatches(dataset=seeing, builtin_policy=True, env="pusht") == []
    check_findings(
        find_mismatches(dataset=data, builtin_policy=True), fact="needs a camera or observation.environment_state"
    )


def test_a_reference_that_cannot_act_in_the_environment_is_named(find_mismatches, policy):
    arm = {"output_features": {"action": {"type": "ACTION", "shape": [7]}}}
    fitting, other = policy(), policy("other", **arm)
    check_findings(
        find_mismatches(policy=fitting, references=[fitting, other], env="pusht"),
        fact="2 values in pusht, but 7 values in the policy",
    )
    assert find_mismatches(policy=fitting, references=[policy("like")], env="pusht", policy_type="act") == []
    torn = policy("torn", without=("model.safetensors",))
    check_findings(find_mismatches(policy=fitting, references=[torn], env="pusht"), fact="model.safetensors is missing")


def test_what_each_policy_reads_is_implied_once_and_trusted_for_each(policy, tmp_path):
    small, large = (policy(name, type=name, input_features=STATE) for name in ("smolvla", "pi0"))
    document = evaluation(tmp_path / "work", policy=small, references=[large, small], env="pusht")
    (texts,) = container.implied_sources(document, folders(document)).values()
    alone = [
        container.implied_sources(document, folders(document))["backbone"]
        for document in (evaluation(tmp_path / "work", policy=at, env="pusht") for at in (small, large))
    ]
    assert list(texts) == list(dict.fromkeys(text for each in alone for text in each))


def test_the_folder_to_publish_to_must_be_a_folder(find_mismatches, policy, tmp_path):
    at = policy()
    (tmp_path / "file").touch()
    check_findings(find_mismatches(policy=at, env="pusht", publish_url=str(tmp_path / "file")), fact="it is a file")
    assert find_mismatches(policy=at, env="pusht", publish_url=str(tmp_path / "copies")) == []


def test_a_type_that_no_environment_can_run_is_named(find_mismatches, policy, dataset):
    check_findings(
        find_mismatches(policy=policy("actor", type="gaussian_actor"), env="pusht"),
        fact="gaussian_actor cannot be evaluated",
    )
    assert (
        find_mismatches(dataset=dataset(features=RECORDED | WORLD), builtin_policy=True, policy_type="diffusion") == []
    )


def test_a_policy_of_another_lerobot_names_what_is_unknown(find_mismatches, policy, older_lerobot):
    folder = policy("newer", type="diffusion", gradient_checkpointing=False)
    check_findings(
        find_mismatches(policy=folder, env="pusht", lerobot_version=older_lerobot), fact="--lerobot-version 0.6.1"
    )
    assert find_mismatches(policy=folder, env="pusht") == []


def test_a_reward_model_is_not_evaluated(find_mismatches, policy, dataset):
    folder = policy("reward", type="sarm", without=("policy_preprocessor.json",))
    check_findings(find_mismatches(policy=folder, dataset=dataset(features=RECORDED)), fact="is a reward model (sarm)")


@pytest.mark.parametrize(
    ("file", "content", "fact"),
    [
        ("config.json", "", "config.json is missing"),
        ("config.json", '{"type": ["act"]}', "type must be a word"),
        ("config.json", '{"type": "act", "input_features": ["action"]}', "input_features must be an object"),
        ("config.json", '{"type": "act", "output_features": {"action": null}}', "output_features.action must be"),
        ("config.json", "[" * 100_000, "nested too deeply"),
        ("policy_preprocessor.json", '{"steps": [3]}', "steps must be a list of objects"),
    ],
    ids=str,
)
def test_an_incomplete_or_damaged_policy_is_named(find_mismatches, policy, file, content, fact):
    at = policy()
    (at / file).unlink()
    if content:
        (at / file).write_text(content)
    check_findings(find_mismatches(policy=at, env="pusht"), fact=fact)


def test_observations_are_compared_with_those_of_the_environment(find_mismatches, policy):
    world = STATE | {"observation.environment_state": {"type": "ENV", "shape": [16]}}
    fitting = policy("world", input_features=world)
    assert find_mismatches(policy=fitting, env="pusht") == []
    check_findings(find_mismatches(policy=fitting, env="aloha"), 3, "observation.state has 14 values in aloha")


def test_cameras_are_those_that_the_environment_has(find_mismatches, policy):
    other = policy("other", input_features=recorded_camera("observation.images.front"))
    assert find_mismatches(policy=other, env="pusht") == []  # one picture for one picture is no question of names
    two = recorded_camera("observation.images.front") | recorded_camera("observation.image")
    check_findings(
        find_mismatches(policy=policy("two", input_features=two), env="pusht"),
        fact="the camera observation.images.front, but pusht has only observation.image",
    )
    both = recorded_camera("observation.image") | {"observation.environment_state": {"type": "ENV", "shape": [16]}}
    check_findings(
        find_mismatches(policy=policy("both", input_features=both), env="pusht"),
        fact="both observation.environment_state and observation.image",
    )
    again = policy("again", input_features=both)
    assert find_mismatches(policy=again, env="pusht", args=["--env.obs_type=pixels"]) == []


def test_an_untrained_policy_reads_the_dataset_by_its_own_names(find_mismatches):
    """It has no other names, whatever --rename says."""
    data = Path(__file__).parents[2] / "examples/pusht-camera/dataset"
    rename = "observation.image=observation.images.camera1"
    assert find_mismatches(dataset=data, builtin_policy=True, rename=rename) == []


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
    assert [
        mismatch for mismatch in find_mismatches(policy=padded, dataset=data) if "does not bring" not in mismatch
    ] == []
    assert len(find_mismatches(policy=policy("not", input_features=long), dataset=data)) == 1


@pytest.mark.parametrize(
    ("kind", "trained", "is_wrong"),
    [
        ("smolvla", 4, False),  # tuned on four: the settings still have the two of its base
        ("smolvla", 6, True),
        ("smolvla", None, False),  # a Hub's, before its statistics are here
        ("act", 4, True),  # it pads nothing
    ],
)
def test_the_size_of_a_padded_state_is_that_of_the_statistics(find_mismatches, policy, kind, trained, is_wrong):
    outputs = {"action": {"type": "ACTION", "shape": [4]}}
    inputs = recorded_camera("observation.image", 480)
    padded = {"max_state_dim": 32} if kind == "smolvla" else {}
    folder = policy(type=kind, input_features=inputs, output_features=outputs, **padded)
    if trained:
        header = {"observation.state.mean": {"dtype": "U8", "shape": [trained], "data_offsets": [0, trained]}}
        text = json.dumps(header).encode()
        content = len(text).to_bytes(8, "little") + text + bytes(trained)
        (folder / "normalizer.safetensors").write_bytes(content)
    mismatches = find_mismatches(policy=folder, env="metaworld", env_tasks="reach-v3")
    named = [sentence for sentence in mismatches if "observation.state" in sentence]
    check_findings(named, is_wrong, f"but {trained if padded else 2} values in the policy")


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
    mismatches = [
        sentence for sentence in find_mismatches(policy=trained, dataset=data) if "observation.images" in sentence
    ]
    check_findings(mismatches, not fits, "64 wide and 48 high in the dataset")


def test_a_given_image_size_is_compared_with_the_policys(find_mismatches, policy):
    trained = policy(input_features=recorded_camera("observation.image"))
    size = "--env.observation_height={0} --env.observation_width={0}"
    assert find_mismatches(policy=trained, env="pusht", args=size.format(96).split()) == []
    check_findings(
        find_mismatches(policy=trained, env="pusht", args=size.format(384).split()),
        fact="-- --env.observation_height=96 --env.observation_width=96",
    )
    scaling = policy(
        "scaling", type="diffusion", resize_shape=[96, 96], input_features=recorded_camera("observation.image")
    )
    assert find_mismatches(policy=scaling, env="pusht", args=size.format(384).split()) == []


def test_an_untrained_policy_is_judged_by_the_dataset_that_it_is_made_for(find_mismatches, dataset):
    data = dataset(features=RECORDED | WORLD | {"action": {"dtype": "float32", "shape": [6]}})
    check_findings(
        find_mismatches(dataset=data, builtin_policy=True, env="pusht"),
        fact="2 values in pusht, but 6 values in the policy",
    )


def test_no_episodes_and_episodes_that_are_not_there(find_mismatches, policy, dataset):
    at = policy()
    check_findings(
        find_mismatches(policy=at, dataset=dataset(folder="none", total_episodes=0)), fact="total_episodes 0"
    )
    data = dataset(features=RECORDED)
    assert find_mismatches(policy=at, dataset=data, replay_episodes="0-1") == []
    for wrong, instead in (("1,7", "1,7: the"), ("0-5", "0-5: the"), ("held-out", "all")):
        mismatches = find_mismatches(policy=at, dataset=data, replay_episodes=wrong)
        check_findings(mismatches, fact=f"--replay-episodes {instead}")
    more = dataset(folder="more", features=RECORDED, total_episodes=8)
    assert find_mismatches(policy=at, dataset=[data, more], replay_episodes="1,7") == []


def test_results_of_another_evaluation_are_never_overwritten(find_mismatches, policy, tmp_path):
    at, taken = policy(), tmp_path / "taken"
    (taken / "eval_results").mkdir(parents=True)
    check_findings(find_mismatches(policy=at, env="pusht", output_dir=str(taken)), fact="--output-dir NEW_FOLDER")
    (tmp_path / "work/outputs/eval_results").mkdir(parents=True)  # an earlier attempt of this very run
    assert find_mismatches(policy=at, env="pusht") == []
