"""A policy that cannot be trained on is told apart before anything is built, each reason with its own sentence."""

import json

import pytest
from robotrain_workloads.lerobot_train import container


@pytest.fixture
def find_problems(training, pusht):
    """What is said of a folder in a role: `told(folder, role="init_policy", policy_type="diffusion")`."""

    def find(folder, role="policy", dataset=pusht, **parameters) -> list[str]:
        document = training(dataset, starts={role: folder}, **parameters)
        data = {source: type(dataset)(source.uri) for source in document.sources}
        return list(container.inspect(document, data))

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
    assert find_problems(tmp_path / "gone") == [f"{tmp_path / 'gone'} is not a folder"]
    (sentence,) = find_problems(tmp_path)
    assert "config.json is missing" in sentence


def test_a_folder_above_names_the_newest_policy_in_it(find_problems, saved, tmp_path):
    for step in (300, 400):
        saved(f"run/outputs/checkpoints/{step:06}", step)
    newest = tmp_path / "run/outputs/checkpoints/000400/pretrained_model"
    for above in ("run", "run/outputs", "run/outputs/checkpoints"):
        assert find_problems(tmp_path / above)[0].endswith(f"(but {newest} has)")


def test_a_type_that_is_not_the_one_to_train_names_the_option(find_problems, policy):
    (sentence,) = find_problems(policy(type="diffusion"))
    title, way = sentence.split("\n")
    assert {"diffusion,", "act"} <= set(title.split())
    assert way == "--policy-type diffusion"
    assert find_problems(policy("other", type="diffusion"), policy_type="diffusion") == []


@pytest.mark.parametrize(("kind", "why"), [("pi0", "policy type pi0"), (None, "no policy type")])
def test_a_type_that_cannot_be_trained_names_those_that_can(find_problems, policy, kind, why):
    (sentence,) = find_problems(policy(type=kind))
    assert why in sentence
    assert "act, diffusion" in sentence


def test_weights_that_are_missing_or_cut_short(find_problems, policy):
    assert "model.safetensors is missing" in find_problems(policy("none", without=["model.safetensors"]))[0]
    for name, content in {
        "short": lambda old: old[:-1],
        "header": lambda old: old[:12],
        "empty": lambda old: b"",
    }.items():
        file = policy(name) / "model.safetensors"
        file.write_bytes(content(file.read_bytes()))
        (sentence,) = find_problems(file.parent)
        assert sentence.startswith(f"{file} is not a complete safetensors file")


def test_an_adapter_is_no_policy(find_problems, policy):
    folder = policy()
    (folder / "adapter_config.json").write_text("{}")
    assert "holds a PEFT adapter" in find_problems(folder)[0]


def test_missing_processors_are_named_and_the_weights_alone_do_without(find_problems, policy):
    bare = policy(without=["policy_preprocessor.json", "policy_postprocessor.json"])
    assert "policy_preprocessor.json and policy_postprocessor.json" in find_problems(bare)[0]
    assert find_problems(bare, role="init_policy") == []
    assert "normalizer.safetensors" in find_problems(policy("cut", without=["normalizer.safetensors"]))[0]


def test_a_policy_of_an_older_lerobot_names_the_command_that_converts_it(find_problems, policy):
    old = policy(without=["policy_preprocessor.json", "policy_postprocessor.json"])
    header = json.dumps({"normalize_inputs.x.mean": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}).encode()
    (old / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    title, way = find_problems(old)[0].split("\n")
    assert "older LeRobot" in title
    assert way == f"python -m lerobot.processor.migrate_policy_normalization --pretrained-path {old}"


def test_readings_and_actions_of_other_sizes_are_named(find_problems, policy, make_dataset):
    folder = policy()
    assert find_problems(folder, dataset=make_dataset({}, **{"observation.state": [3]})) == [
        "observation.state has 3 values in the dataset, but 2 values in the policy"
    ]
    assert find_problems(folder, dataset=make_dataset({}, action=[1])) == [
        "action has 1 value in the dataset, but 2 values in the policy"
    ]


def test_a_camera_that_the_dataset_does_not_have(find_problems, policy, make_dataset):
    folder = policy(input_features=camera_inputs("observation.images.top", "observation.images.wrist"))
    here = make_dataset({"observation.images.top": [48, 64, 3], "observation.images.side": [48, 64, 3]})
    assert find_problems(folder, dataset=here) == [
        "the policy reads the camera observation.images.wrist, but the dataset has only observation.images.top,"
        " observation.images.side"
    ]
    assert "has no camera" in find_problems(folder, dataset=make_dataset({}))[0]


def test_act_takes_pictures_of_any_size_and_diffusion_those_it_was_trained_with(find_problems, policy, make_dataset):
    inputs = camera_inputs("observation.images.top")
    larger = make_dataset({"observation.images.top": [96, 128, 3]})
    assert find_problems(policy("act", input_features=inputs), dataset=larger) == []
    diffusion = policy("diffusion", type="diffusion", input_features=inputs)
    assert find_problems(diffusion, dataset=larger, policy_type="diffusion") == [
        "observation.images.top is 128 wide and 96 high in the dataset, but the policy was trained with 64 and 48"
    ]
    cropped = policy("cropped", type="diffusion", input_features=inputs, crop_shape=[40, 40])
    assert find_problems(cropped, dataset=larger, policy_type="diffusion") == []
    grey = make_dataset({"observation.images.top": [48, 64, 1]})
    assert find_problems(policy("grey", input_features=inputs), dataset=grey) == [
        "observation.images.top has 1 channel in the dataset, but 3 channels in the policy"
    ]


def test_a_camera_may_be_renamed_after_the_dashes(training, policy, make_dataset):
    folder = policy(input_features=camera_inputs("observation.images.top"))
    rename = '--rename_map={"observation.images.side": "observation.images.top"}'
    document = training(make_dataset({"observation.images.side": [48, 64, 3]}), [rename], starts={"policy": folder})
    data = {source: type(folder)(source.uri) for source in document.sources}
    assert list(container.inspect(document, data)) == []


def test_a_camera_that_the_policy_never_saw_is_mentioned(training, policy, make_dataset):
    folder = policy(input_features=camera_inputs("observation.images.top"))
    here = make_dataset({"observation.images.top": [48, 64, 3], "observation.images.side": [48, 64, 3]})
    document = training(here, starts={"policy": folder})
    data = {source: type(folder)(source.uri) for source in document.sources}
    assert list(container.inspect(document, data)) == []
    note = container.work(document, data, folder.parent / "work").notes[0].text
    assert "observation.images.side" in note


def test_a_checkpoint_to_go_on_from_is_looked_at_in_the_same_way(find_problems, saved, pusht):
    torn = saved("run/checkpoints/000006", 6, type="diffusion")
    (torn / "training_state/training_step.json").write_text('{"step": 6}')
    sentences = find_problems(torn, role="resume", training_steps=100)
    assert any("is not what was saved" in sentence for sentence in sentences)
    assert any("--policy-type is act" in sentence for sentence in sentences)


def test_a_policy_is_no_checkpoint_to_go_on_from(find_problems, policy):
    (sentence,) = find_problems(policy(), role="resume")
    assert "is not a checkpoint to resume from: training_state/training_step.json is missing" in sentence


def test_a_torn_checkpoint_says_how_the_whole_one_before_it_is_taken(find_problems, saved):
    saved("run/checkpoints/000004", 4)
    torn = saved("run/checkpoints/000006", 6)
    (torn / "training_state/training_step.json").write_text('{"step":6}')
    (sentence,) = find_problems(torn, role="resume", training_steps=100)
    assert sentence.endswith(f"\nmv {torn} {torn}.torn   then the same command resumes from step 4")


def test_a_checkpoint_that_was_never_completed_is_refused(find_problems, saved):
    (sentence,) = find_problems(saved("run/checkpoints/000006", 6, sealed=False), role="resume")
    assert "was never completed" in sentence


def test_a_checkpoint_that_came_as_far_already_names_the_option(find_problems, saved):
    folder = saved("run/checkpoints/000400", 400)
    (sentence,) = find_problems(folder, role="resume", training_steps=400)
    assert "step 400" in sentence
    assert sentence.endswith("\n--training-steps 800")
    assert find_problems(folder, role="resume", training_steps=401) == []
