"""Problems of policies that cannot be trained on, each with its own sentence, before anything is built."""

import json

import job_documents
import pytest
from job_documents import check_findings


@pytest.fixture
def find_problems(training, pusht):
    """The problems of a folder in a role: `find_problems(folder, role="init_policy", policy_type="diffusion")`."""

    def find(folder, role="policy", dataset=pusht, **parameters) -> list[str]:
        return job_documents.find_problems(training(dataset, starts={role: folder}, **parameters))

    return find


@pytest.fixture
def make_dataset(dataset):
    """Make a dataset with cameras: `make_dataset({"observation.images.top": [48, 64, 3]})`."""

    def make(cameras, **features):
        names = ["height", "width", "channels"]
        pictures = {name: {"dtype": "image", "shape": shape, "names": names} for name, shape in cameras.items()}
        numbers = {"observation.state": [2], "action": [2]} | features
        rest = {name: {"dtype": "float32", "shape": shape} for name, shape in numbers.items()}
        return dataset(features={**rest, **pictures})

    return make


def camera_inputs(*cameras, shape=(3, 48, 64)):
    """The inputs of a policy with such cameras."""
    state = {"observation.state": {"type": "STATE", "shape": [2]}}
    return state | {name: {"type": "VISUAL", "shape": list(shape)} for name in cameras}


def test_a_model_folder_and_the_checkpoint_around_it_are_the_same_policy(find_problems, policy, saved):
    assert find_problems(policy()) == []
    assert find_problems(saved("run/checkpoints/000006", 6)) == []


def test_no_folder_and_no_policy(find_problems, tmp_path):
    check_findings(find_problems(tmp_path / "gone"), fact="gone is not a folder")
    check_findings(find_problems(tmp_path), fact="config.json is missing")


def test_a_folder_above_names_the_newest_policy_in_it(find_problems, saved, tmp_path):
    for step in (300, 400):
        saved(f"run/outputs/checkpoints/{step:06}", step)
    newest = tmp_path / "run/outputs/checkpoints/000400/pretrained_model"
    for above in ("run", "run/outputs", "run/outputs/checkpoints"):
        assert str(newest) in find_problems(tmp_path / above)[0]


def test_a_type_that_is_not_the_one_to_train_names_the_option(find_problems, policy):
    check_findings(find_problems(policy(type="diffusion"), policy_type="act"), fact="--policy-type diffusion")
    assert find_problems(policy("other", type="diffusion"), policy_type="diffusion") == []


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("sarm", {"policy_type": "act"}),
        ("sarm", {"reward_model": "reward_classifier"}),
        ("act", {"reward_model": "sarm"}),
    ],
)
def test_a_reward_model_is_named_with_its_own_option(find_problems, policy, kind, parameters):
    check_findings(
        problem
        for problem in find_problems(policy(type=kind), **parameters)
        if "type is" in problem or "-model is" in problem
    )


@pytest.mark.parametrize("kind", ["octo", None, "gaussian_actor"])
def test_a_type_that_cannot_be_trained_is_named_with_the_reason(find_problems, policy, kind):
    check_findings(find_problems(policy(type=kind)), fact=kind or "no policy type")


def test_a_type_that_lerobot_cannot_go_on_from_is_refused_with_the_reason(find_problems, policy):
    check_findings(
        [problem for problem in find_problems(policy(type="molmoact2")) if "cannot go on from" in problem],
        fact="huggingface/lerobot#3998",
    )


def test_shapes_of_a_reward_model_are_not_those_of_its_data(find_problems, policy, make_dataset):
    camera = {"observation.images.top": {"type": "VISUAL", "shape": [480, 640, 3]}}
    folder, data = (
        policy(type="sarm", input_features=camera, output_features={}),
        make_dataset({"observation.images.top": [48, 64, 3]}),
    )
    assert not any("channels" in problem for problem in find_problems(folder, dataset=data))


def test_a_policy_is_trained_further_as_the_type_that_it_has(find_problems, policy):
    assert find_problems(policy(type="diffusion")) == []


def test_weights_that_are_missing_or_cut_short(find_problems, policy):
    check_findings(find_problems(policy("none", without=["model.safetensors"])), fact="model.safetensors is missing")
    for name, length in {"short": -1, "header": 12, "empty": 0}.items():
        file = policy(name) / "model.safetensors"
        file.write_bytes(file.read_bytes()[:length])
        check_findings(find_problems(file.parent), fact=f"{file} is not a complete safetensors file")


def test_damaged_adapter_is_named(find_problems, policy):
    folder = policy(use_peft=True, without=["model.safetensors"])
    facts = {"": "adapter_config.json does not exist", "{}": "peft_type must be"}
    for text, fact in {**facts, '{"peft_type": "LORA", "r": 4}': "--backbone-path"}.items():
        if text:
            (folder / "adapter_config.json").write_text(text)
        check_findings(find_problems(folder), 2, fact)


def test_missing_processors_are_named_and_the_weights_alone_do_without(find_problems, policy):
    bare = policy(without=["policy_preprocessor.json", "policy_postprocessor.json"])
    check_findings(find_problems(bare), fact="policy_preprocessor.json and policy_postprocessor.json")
    assert find_problems(bare, role="init_policy") == []
    check_findings(find_problems(policy("cut", without=["normalizer.safetensors"])), 2, "normalizer.safetensors")


def test_a_policy_of_an_older_lerobot_names_the_command_that_converts_it(find_problems, policy):
    old = policy(without=["policy_preprocessor.json", "policy_postprocessor.json"])
    header = json.dumps({"normalize_inputs.x.mean": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}).encode()
    (old / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    check_findings(
        find_problems(old), fact="python -m lerobot.processor.migrate_policy_normalization --pretrained-path"
    )


def test_a_camera_that_the_dataset_does_not_have(find_problems, policy, make_dataset):
    folder = policy(input_features=camera_inputs("observation.images.top", "observation.images.wrist"))
    here = make_dataset({"observation.images.top": [48, 64, 3], "observation.images.side": [48, 64, 3]})
    check_findings(
        find_problems(folder, dataset=here), fact="images.wrist, but the dataset has only observation.images"
    )
    check_findings(find_problems(folder, dataset=make_dataset({})), fact="the dataset has no camera")


def test_act_takes_pictures_of_any_size_and_diffusion_those_it_was_trained_with(find_problems, policy, make_dataset):
    inputs = camera_inputs("observation.images.top")
    larger = make_dataset({"observation.images.top": [96, 128, 3]})
    assert find_problems(policy("act", input_features=inputs), dataset=larger) == []
    diffusion = policy("diffusion", type="diffusion", input_features=inputs)
    check_findings(
        find_problems(diffusion, dataset=larger, policy_type="diffusion"), fact="128 wide and 96 high in the dataset"
    )
    cropped = policy("cropped", type="diffusion", input_features=inputs, crop_shape=[40, 40])
    assert find_problems(cropped, dataset=larger, policy_type="diffusion") == []
    grey = make_dataset({"observation.images.top": [48, 64, 1]})
    check_findings(
        find_problems(policy("grey", input_features=inputs), dataset=grey),
        fact="1 channel in the dataset, but 3 channels in the policy",
    )


def test_a_renamed_camera_is_the_policys_and_lerobot_is_told(training, policy, make_dataset):
    folder = policy(input_features=camera_inputs("observation.images.top"))
    dataset = make_dataset({"observation.images.side": [48, 64, 3]})
    rename = "observation.images.side=observation.images.top"
    document = training(dataset, starts={"policy": folder}, rename=rename)
    assert job_documents.find_problems(document) == []
    option = '--rename_map={"observation.images.side": "observation.images.top"}'
    assert option in job_documents.get_work(document).arguments


def test_no_rename_is_offered_for_a_reward_model(find_problems, policy, make_dataset):
    folder = policy(type="reward_classifier", input_features=camera_inputs("observation.images.top"))
    problems = find_problems(folder, dataset=make_dataset({"observation.images.left": [48, 64, 3]}))
    (sentence,) = (problem for problem in problems if "the dataset has only" in problem)
    assert "--rename" not in sentence


def test_what_is_no_complete_checkpoint_cannot_be_resumed(find_problems, policy, saved):
    check_findings(find_problems(policy(), role="resume"), fact="training_state/training_step.json is missing")
    check_findings(
        find_problems(saved("run/checkpoints/000006", 6, sealed=False), role="resume"),
        fact="000006 was never completed",
    )


OF_LEROBOT = ("optimizer_state.safetensors", "rng_state.safetensors")


@pytest.mark.parametrize(
    ("names", "is_beside_sealed"), [(OF_LEROBOT, False), (OF_LEROBOT, True), (OF_LEROBOT[:1], False)]
)
def test_a_complete_checkpoint_of_lerobot_train_itself_can_be_resumed(find_problems, saved, names, is_beside_sealed):
    folder = saved("plain/checkpoints/000006", 6, sealed=False)
    for name in names:
        (folder / "training_state" / name).touch()
    if is_beside_sealed:  # then it is one of robotrain, cut off
        saved("plain/checkpoints/000004", 4)
    is_taken = names == OF_LEROBOT and not is_beside_sealed
    findings = find_problems(folder, role="resume", training_steps=100)
    assert any("cannot resume" in text for text in map(job_documents.format_finding, findings)) is not is_taken


def test_a_torn_checkpoint_names_the_complete_one_before_it(find_problems, saved):
    saved("run/checkpoints/000004", 4)
    torn = saved("run/checkpoints/000006", 6, type="diffusion")
    (torn / "training_state/training_step.json").write_text('{"step":6}')
    check_findings(find_problems(torn, role="resume", training_steps=100, policy_type="act"), 2, "000006.torn")


def test_a_checkpoint_that_reached_the_last_step_names_the_option(find_problems, saved):
    folder = saved("run/checkpoints/000400", 400)
    check_findings(find_problems(folder, role="resume", training_steps=400), fact="--training-steps 800")
    assert find_problems(folder, role="resume", training_steps=401) == []
