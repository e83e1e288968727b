"""Options after `--` about the dataset are compared with its description, before anything is sent.

What LeRobot 0.6 makes of each row was found by training: `ok` rows train there, the others fail.
"""

import json
import shlex

import job_documents
import pytest
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot_train import container

STATE, WORLD, IMAGE = "observation.state", "observation.environment_state", "observation.image"
VECTORS = {name: {"dtype": "float32", "shape": [2]} for name in (STATE, WORLD, "action")}
CAMERA = {"dtype": "image", "shape": [64, 64, 3], "names": ["height", "width", "channels"]}
PICTURES, VIDEO = {**VECTORS, IMAGE: CAMERA}, {**VECTORS, IMAGE: {**CAMERA, "dtype": "video"}}
CHOSEN = "--dataset.episodes"
ANY = "-- '--dataset.episodes=[NUMBER,…]'"

EPISODES = [
    # the value; part of the sentence (empty: LeRobot trains); the remedy
    ("[9999]", "names 9999, and the dataset has 50 episodes, 0 to 49", ANY),
    ("[49, 50]", "names 50, and", "-- '--dataset.episodes=[49]'"),
    ("[]", "leaves nothing to train on", ANY),
    ("[-1]", "names -1", ANY),
    ("[2,1,2]", "names 2 twice", "-- '--dataset.episodes=[2,1]'"),
    ("[1.0, 2.0]", "'1.0' is none", "-- '--dataset.episodes=[1,2]'"),
    ("[1.5]", "'1.5' is none", ANY),
    ("[one]", "'one' is none", ANY),
    ("[null]", "'null' is none", ANY),
    ("[0-5]", "'0-5' is none", ANY),
    ("7", "not '7'", "-- '--dataset.episodes=[7]'"),
    ("(1, 2)", "not '(1, 2)'", "-- '--dataset.episodes=[1,2]'"),
    ("1,2", "not '1,2'", "-- '--dataset.episodes=[1,2]'"),
    ("0:5", "not '0:5'", ANY),
    ("all", "not 'all'", ANY),
    ("[49]", "", ""),
    ("[ 0 , 1, ]", "", ""),
    ("['1', 0x2, true, 1_0]", "", ""),
    ("null", "", ""),
]


@pytest.fixture
def compare(training, dataset):
    """The sentences on a job with options: `compare(["--tolerance_s=0"], features=VIDEO, total_episodes=8)`."""

    def make(options, features=VECTORS, statistics=None, total_episodes=50, total_frames=2000, **parameters):
        folder = dataset(features=features, total_episodes=total_episodes, total_frames=total_frames)
        path = folder / "meta/stats.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **(statistics or {})}))
        document = training(folder, options, **parameters)
        folders = job_documents.folders(document)
        problems = list(container.compare(document, folders))
        if features != VIDEO:  # whose files are not here
            assert set(problems) <= set(container.inspect(document, folders)), "the machine of the job finds the same"
        return problems, list(container.list_warnings(document, folders))

    return make


def expect(problems, wrong, way=""):
    assert [wrong in problem and problem.endswith(f"\n{way}" if way else "") for problem in problems] == (
        [True] * bool(wrong)
    )


@pytest.mark.parametrize(("value", "wrong", "way"), EPISODES)
def test_episodes_are_those_that_the_dataset_has(compare, value, wrong, way):
    problems, _ = compare([f"{CHOSEN}={value}"])
    expect(problems, wrong, way)
    if way and way != ANY:
        assert compare(shlex.split(way)[1:])[0] == []


def test_episodes_of_several_datasets_are_numbered_through(training, dataset):
    folders = [dataset(folder="first"), dataset(folder="second", total_episodes=3)]
    document = training(folders, [f"{CHOSEN}=[1,4,5]"])
    (problem,) = container.compare(document, job_documents.folders(document))
    assert f"have 5 episodes, 0 to 4 together: 0 to 1 of {folders[0]}, 2 to 4 of {folders[1]}" in problem
    assert problem.endswith("\n-- '--dataset.episodes=[1,4]'")
    twice = training([folders[0], folders[0]], [f"{CHOSEN}=[3]"])
    assert list(container.compare(twice, job_documents.folders(twice))) == []


def test_episodes_are_not_judged_while_a_dataset_is_unknown(training, dataset):
    remote = JobSource(role="dataset", kind="huggingface", uri="lab/cups")
    document = training([dataset(), remote], [f"{CHOSEN}=[99]"])
    assert list(container.compare(document, job_documents.folders(document))) == []
    negative = training([dataset(), remote], [f"{CHOSEN}=[-99]"])
    (problem,) = container.compare(negative, job_documents.folders(negative))
    assert "episodes are counted from 0" in problem


TEN = "--tolerance_s=0.025"
READING = [
    # the options; the features; the type; other parameters; part of the sentence, and the remedy
    (["--tolerance_s=0"], VIDEO, "act", {}, "no frame of the dataset is nearer", f"-- {TEN}"),
    (["--tolerance_s=0"], VECTORS, "act", {}, "", ""),
    (["--tolerance_s", "-1"], VECTORS, "act", {}, "no frame", f"-- {TEN}"),
    (["--tolerance_s=null"], VECTORS, "act", {}, "no frame", f"-- {TEN}"),
    (["--tolerance_s=1e-9"], VIDEO, "act", {}, "", ""),
    (["--dataset.video_backend=pyva"], VIDEO, "act", {}, "decodes videos with", "-- --dataset.video_backend=pyav"),
    (["--dataset.video_backend=pyva"], VECTORS, "act", {}, "", ""),
    (["--dataset.video_backend=video_reader"], VIDEO, "act", {}, "", ""),
    (
        ["--dataset.image_transforms.enable=true", "--dataset.image_transforms.max_num_transforms=-2"],
        *(VECTORS, "act", {}, "must not be negative", "-- --dataset.image_transforms.max_num_transforms=2"),
    ),
    (["--dataset.image_transforms.max_num_transforms=-2"], VECTORS, "act", {}, "", ""),
    (["--dataset.streaming=true"], VECTORS, "act", {}, "", ""),  # held-out episodes make LeRobot read it as usual
    (["--dataset.streaming=true", f"{CHOSEN}=[99]"], VECTORS, "act", {}, "names 99", ANY),
    (["--dataset.streaming=true"], VECTORS, "act", {"val_split": 0.0, "num_workers": 1}, "", ""),
    (
        ["--dataset.streaming=true"],
        *(VECTORS, "act", {"val_split": 0.0, "num_workers": 0}, "reads nothing without a process", "--num-workers 1"),
    ),
    (["--dataset.streaming=true"], VIDEO, "act", {}, "", ""),
    (
        ["--dataset.streaming=true"],
        *(VIDEO, "act", {"val_split": 0.0, "num_workers": 1}, "with torchcodec alone", "leave out --dataset.streaming"),
    ),
    (["--dataset.streaming=true"], VIDEO, "act", {"val_split": 0.0, "packages": '["torchcodec==0.10"]'}, "", ""),
    (["--sample_weighting.type=rabc"], VECTORS, "act", {}, "act does not take weighted samples", ""),
    (["--sample_weighting.kappa=0.1"], VECTORS, "diffusion", {}, "diffusion does not take weighted samples", ""),
    (["--sample_weighting.type=unifrom"], PICTURES, "smolvla", {}, "has no", "-- --sample_weighting.type=uniform"),
    (["--sample_weighting.type=uniform"], PICTURES, "smolvla", {}, "", ""),
    (["--sample_weighting.type=rabc"], PICTURES, "pi0", {}, "reads sarm_progress.parquet of the dataset", ""),
    (["--sample_weighting.progress_path=hf://a/b.parquet"], PICTURES, "pi0", {}, "", ""),
    (["--policy.drop_n_last_frames=-1"], VECTORS, "diffusion", {}, "negative", "-- --policy.drop_n_last_frames=0"),
    (["--policy.drop_n_last_frames=39"], VECTORS, "diffusion", {}, "", ""),
    (
        ["--policy.drop_n_last_frames=40"],
        *(VECTORS, "diffusion", {}, "the longest of the dataset has 40", "-- --policy.drop_n_last_frames=0"),
    ),
    (
        ['--policy.normalization_mapping={"action": "MEAN_STD"}'],
        *(VECTORS, "act", {}, "no kind of feature action"),
        """-- '--policy.normalization_mapping={"ACTION": "MEAN_STD"}'""",
    ),
    (
        ['--policy.normalization_mapping={"ACTION": "MEAN"}'],
        *(VECTORS, "act", {}, "LeRobot has no normalization MEAN, only MEAN_STD", ""),
    ),
    (["--policy.normalization_mapping=MEAN_STD"], VECTORS, "act", {}, "takes a mode for each kind of feature", ""),
    (['--policy.normalization_mapping={"ACTION": "MIN_MAX"}'], VECTORS, "act", {}, "", ""),
    (["--policy.normalization_mapping={ACTION: MIN_MAX}"], VECTORS, "act", {}, "", ""),
    (["--policy.normalization_mapping={}"], VECTORS, "act", {}, "", ""),
]
FRAMES = {"frame_index": {"max": [39]}}


def drop_repositories(problems):
    return [problem for problem in problems if "which this job does not bring" not in problem]


@pytest.mark.parametrize(("options", "features", "kind", "parameters", "wrong", "way"), READING, ids=str)
def test_what_is_read_of_a_dataset_is_what_it_has(compare, options, features, kind, parameters, wrong, way):
    problems, _ = compare(options, features, FRAMES, policy_type=kind, **parameters)
    expect(drop_repositories(problems), wrong, way)
    if way.startswith("-- ") and "NUMBER" not in way:
        (word,) = shlex.split(way)[1:]
        others = [option for option in options if option.split("=")[0] not in (word.split("=")[0], "-1")]
        assert drop_repositories(compare([*others, word], features, FRAMES, policy_type=kind, **parameters)[0]) == []


def test_the_statistics_of_the_frames_alone_say_nothing_of_a_longest_episode(compare):
    option = ["--policy.drop_n_last_frames=40"]
    assert compare(option, statistics=FRAMES, total_frames=5000, policy_type="diffusion")[0] == []
    assert compare(option, statistics={"frame_index": {}}, policy_type="diffusion")[0] == []


def lacking(name, *keys):
    """Statistics of a feature without some."""
    numbers = job_documents.make_statistics({name: PICTURES[name]})[name]
    return {name: {key: value for key, value in numbers.items() if key not in keys}}


STATISTICS = [
    # those that differ; the type; other parameters; part of the sentence, and the remedy
    ({IMAGE: None}, "act", {}, "lacks observation.image: LeRobot fails", "--image-normalization dataset   trains on"),
    ({IMAGE: None}, "act", {"image_normalization": "dataset"}, "", ""),
    (lacking(IMAGE, "mean"), "act", {}, "", ""),
    (lacking(IMAGE, "mean"), "act", {"image_normalization": "dataset"}, "observation.image by MEAN_STD", ""),
    (lacking("action", "std"), "act", {}, "act normalizes action by MEAN_STD", ""),
    (lacking("action", "min"), "act", {}, "", ""),
    (lacking("action", "min"), "diffusion", {}, "lacks its min", '"ACTION": "MEAN_STD"'),
    (lacking(WORLD, "mean"), "act", {}, "", ""),
]


@pytest.mark.parametrize(("statistics", "kind", "parameters", "wrong", "way"), STATISTICS, ids=str)
def test_statistics_that_training_needs(compare, statistics, kind, parameters, wrong, way):
    problems, warnings = compare([], PICTURES, statistics, policy_type=kind, **parameters)
    assert [wrong in problem and way in problem for problem in problems] == [True] * bool(wrong)
    assert warnings == []


def test_values_without_statistics_are_a_warning(compare):
    problems, (warning,) = compare([], statistics={"action": None})
    assert problems == []
    assert "lacks action: act is trained on values that are not normalized" in warning


@pytest.mark.parametrize(
    ("kind", "options", "count", "warned"),
    [
        ("pi0", ["--policy.use_relative_actions=true"], 20, "relative_action true --operation.chunk_size 50"),
        ("pi0", ["--policy.use_relative_actions=true"], 160, ""),
        ("pi05", [], 160, "pi05 learns absolute actions"),
        ("act", [], 160, "act learns absolute actions"),
        ("act", [], 20, ""),
        ("groot", ["--policy.use_relative_actions=true"], 20, ""),  # computes its own
    ],
)
def test_statistics_of_absolute_actions_are_not_those_of_relative_ones(compare, kind, options, count, warned):
    """LeRobot's tool computes the second over all chunks of actions, and then there are more of them than frames."""
    numbers = job_documents.make_statistics(PICTURES)
    counts = {"action": count, "observation.state": 20}
    statistics = {name: {**numbers[name], "count": [counts[name]]} for name in counts}
    _, warnings = compare(options, PICTURES, statistics, policy_type=kind)
    assert [warned in warning for warning in warnings if "meta/stats.json" in warning] == [True] * bool(warned)


def feature(kind, *shape):
    return {"type": kind, "shape": list(shape)}


TWO, PICTURE = feature("STATE", 2), feature("VISUAL", 3, 64, 64)
INPUTS = [
    # what the user lets a new policy read; the type; part of the sentence, and the features of the remedy
    ({STATE: TWO, IMAGE: PICTURE}, "act", "", None),
    ({STATE: TWO}, "act", "act needs a camera or observation.environment_state, and --policy.input_features", None),
    ({WORLD: feature("ENV", 2)}, "act", "", None),
    ({WORLD: feature("ENV", 4)}, "act", "2 values in the dataset, but 4", {WORLD: feature("ENV", 2)}),
    (
        {STATE: feature("STATE", 3), IMAGE: PICTURE},
        *("act", "2 values in the dataset, but 3", {STATE: TWO, IMAGE: PICTURE}),
    ),
    (
        {STATE: TWO, "observation.images.image": PICTURE},
        *("act", "only observation.image", {STATE: TWO, IMAGE: PICTURE}),
    ),
    ({STATE: TWO, IMAGE: PICTURE, "observation.images.top": PICTURE}, "act", "only observation.image", None),
    ({STATE: feature("VISUAL", 2), IMAGE: PICTURE}, "act", "observation.state is no camera", None),
    ({STATE: TWO, IMAGE: feature("VISUAL", 64, 64, 3)}, "act", "", None),
    ({STATE: TWO, IMAGE: feature("VISUAL", 3, 32, 32)}, "act", "", None),
    (
        {STATE: TWO, IMAGE: feature("VISUAL", 64, 64, 3)},
        *("diffusion", "3 channels in the dataset, but 64", {STATE: TWO, IMAGE: PICTURE}),
    ),
    ({STATE: TWO, IMAGE: PICTURE, WORLD: feature("ENV", 2), "observation.other": TWO}, "act", "", None),
    ({}, "act", "", None),
    (
        {STATE: feature("state", 2), IMAGE: PICTURE},
        *("act", "no type state of observation.state", {STATE: TWO, IMAGE: PICTURE}),
    ),
    ({STATE: {"type": "STATE"}, IMAGE: PICTURE}, "act", "does not say the shape of observation.state", None),
    (["observation.state"], "act", "takes features as JSON", None),
]


@pytest.mark.parametrize(("inputs", "kind", "wrong", "corrected"), INPUTS, ids=str)
def test_features_that_a_new_policy_shall_read(compare, inputs, kind, wrong, corrected):
    problems, _ = compare([f"--policy.input_features={json.dumps(inputs)}"], PICTURES, policy_type=kind)
    assert [wrong in problem for problem in problems] == [True] * bool(wrong)
    if corrected:
        (word,) = shlex.split(problems[0].partition("\n-- ")[2])
        assert json.loads(word.partition("=")[2]) == corrected
        assert compare([word], PICTURES, policy_type=kind)[0] == []


def test_options_without_effect_are_a_warning(compare):
    options = ["--dataset.streaming=true", f"{CHOSEN}=[99]"]
    problems, (warning,) = compare(options, val_split=0.0)
    assert problems == []
    assert "--dataset.episodes has no effect with --dataset.streaming=true" in warning


@pytest.mark.parametrize(
    ("options", "part", "is_emptied"),
    [([f"{CHOSEN}=[3]"], 0.1, True), ([f"{CHOSEN}=[3,4]"], 0.5, False), ([], 0.999, True), ([], 0.0, False)],
)
def test_a_split_that_would_leave_no_episode_is_a_warning(compare, options, part, is_emptied):
    problems, warnings = compare(options, val_split=part)
    assert problems == []
    assert ["no episodes are held out" in warning for warning in warnings] == [True] * is_emptied


OWN = {STATE: TWO, IMAGE: PICTURE}
ADDED = [
    # what the user adds to the features that a trained policy reads; the type, and part of the sentence
    ({}, "act", ""),
    ({STATE: TWO}, "act", ""),  # LeRobot adds them: the camera stays
    ({STATE: feature("STATE", 3)}, "act", "observation.state has 2 values in the dataset, but 3 values in the policy"),
    ({"observation.images.top": PICTURE}, "act", "reads the camera observation.images.top"),
    ({"observation.images.top": PICTURE}, "diffusion", "reads the camera observation.images.top"),
]


@pytest.mark.parametrize(("added", "kind", "wrong"), ADDED, ids=str)
def test_features_that_a_trained_policy_shall_read_besides(training, dataset, policy, added, kind, wrong):
    start = policy(type=kind, input_features=OWN, output_features={"action": feature("ACTION", 2)})
    options = [f"--policy.input_features={json.dumps(added)}"]
    document = training(dataset(features=PICTURES), options, starts={"policy": start})
    problems = list(container.compare(document, job_documents.folders(document)))
    assert [wrong in problem for problem in problems] == [True] * bool(wrong)


@pytest.mark.parametrize(("crop", "wrong"), [("[56,56]", ""), ("[99,99]", "crops pictures to 99 wide and 99 high")])
def test_a_crop_of_a_fine_tune_fits_its_pictures(training, dataset, policy, crop, wrong):
    start = policy(type="diffusion", input_features=OWN, output_features={"action": feature("ACTION", 2)})
    document = training(dataset(features=PICTURES), [f"--policy.crop_shape={crop}"], starts={"policy": start})
    problems = list(container.compare(document, job_documents.folders(document)))
    assert [wrong in problem for problem in problems] == [True] * bool(wrong)
