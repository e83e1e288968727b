"""Options after `--` about the dataset are compared with its description, before anything is sent.

What LeRobot 0.6 makes of each row was found by training: `ok` rows train there, the others fail.
"""

import json
import shlex

import job_documents
import pytest
from job_documents import check_findings, format_finding
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot_train import container

STATE, WORLD, IMAGE = "observation.state", "observation.environment_state", "observation.image"
VECTORS = {name: {"dtype": "float32", "shape": [2]} for name in (STATE, WORLD, "action")}
CAMERA = {"dtype": "image", "shape": [64, 64, 3], "names": ["height", "width", "channels"]}
PICTURES, VIDEO = {**VECTORS, IMAGE: CAMERA}, {**VECTORS, IMAGE: {**CAMERA, "dtype": "video"}}
CHOSEN = "--dataset.episodes"

EPISODES = [
    # the value, and whether LeRobot would fail
    ("[9999]", True),
    ("[49, 50]", True),
    ("[]", True),
    ("[-1]", True),
    ("[2,1,2]", True),
    ("[1.0, 2.0]", True),
    ("[1.5]", True),
    ("[one]", True),
    ("[null]", True),
    ("[0-5]", True),
    ("7", True),
    ("(1, 2)", True),
    ("1,2", True),
    ("0:5", True),
    ("all", True),
    ("[49]", False),
    ("[ 0 , 1, ]", False),
    ("['1', 0x2, 1_0]", False),
    ("null", False),
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
        problems = list(map(format_finding, container.compare(document, folders)))
        if features != VIDEO:  # whose files are not here
            inspected = map(format_finding, container.inspect(document, folders))
            assert set(problems) <= {*inspected}, "the machine of the job finds the same"
        return problems, list(container.list_warnings(document, folders))

    return make


def split_way(problems):
    """The words of the remedies of problems that can be typed as they are."""
    ways = [problem.partition("\n-- ")[2] for problem in problems]
    return [word for way in ways if "NUMBER" not in way for word in shlex.split(way)]


@pytest.mark.parametrize(("value", "is_wrong"), EPISODES)
def test_episodes_are_those_that_the_dataset_has(compare, value, is_wrong):
    problems, _ = compare([f"{CHOSEN}={value}"])
    check_findings(problems, is_wrong, CHOSEN)
    if way := split_way(problems):
        assert compare(way)[0] == []


def test_episodes_of_several_datasets_are_numbered_through(training, dataset):
    folders = [dataset(folder="first"), dataset(folder="second", total_episodes=3)]
    document = training(folders, [f"{CHOSEN}=[1,4,5]"])
    check_findings(container.compare(document, job_documents.folders(document)), fact="episode 5, and the data has 5")
    twice = training([folders[0], folders[0]], [f"{CHOSEN}=[3]"])
    assert list(container.compare(twice, job_documents.folders(twice))) == []


def test_episodes_are_not_judged_while_a_dataset_is_unknown(training, dataset):
    remote = JobSource(role="dataset", kind="huggingface", uri="lab/cups")
    document = training([dataset(), remote], [f"{CHOSEN}=[99]"])
    assert list(container.compare(document, job_documents.folders(document))) == []


READING = [
    # the options; the features; the type; other parameters, and whether LeRobot would fail
    (["--dataset.streaming=true"], VECTORS, "act", {}, False),  # held-out episodes make LeRobot read it as usual
    (["--dataset.streaming=true", f"{CHOSEN}=[99]"], VECTORS, "act", {}, True),
    (["--dataset.streaming=true"], VECTORS, "act", {"val_split": 0.0, "num_workers": 1}, False),
    (["--dataset.streaming=true"], VECTORS, "act", {"val_split": 0.0, "num_workers": 0}, True),
    (["--dataset.streaming=true"], VIDEO, "act", {}, False),
    (["--dataset.streaming=true"], VIDEO, "act", {"val_split": 0.0, "num_workers": 1}, False),
    (["--policy.normalization_mapping={ACTION: MIN_MAX}"], VECTORS, "act", {}, False),
    (["--policy.normalization_mapping={}"], VECTORS, "act", {}, False),
]


@pytest.mark.parametrize(("options", "features", "kind", "parameters", "is_wrong"), READING)
def test_what_is_read_of_a_dataset_is_what_it_has(compare, options, features, kind, parameters, is_wrong):
    problems, _ = compare(options, features, policy_type=kind, **parameters)
    check_findings(problems, is_wrong)


def lacking(name, *keys):
    """Statistics of a feature without some."""
    numbers = job_documents.make_statistics({name: PICTURES[name]})[name]
    return {name: {key: value for key, value in numbers.items() if key not in keys}}


STATISTICS = [
    # those that differ; the type; other parameters, and whether LeRobot would fail
    ({IMAGE: None}, "act", {}, True),
    ({IMAGE: None}, "act", {"image_normalization": "dataset"}, False),
    (lacking(IMAGE, "mean"), "act", {}, False),
    (lacking(IMAGE, "mean"), "act", {"image_normalization": "dataset"}, True),
    (lacking("action", "std"), "act", {}, True),
    (lacking("action", "min"), "act", {}, False),
    (lacking("action", "min"), "diffusion", {}, True),
    (lacking(WORLD, "mean"), "act", {}, False),
]


@pytest.mark.parametrize(("statistics", "kind", "parameters", "is_wrong"), STATISTICS)
def test_statistics_that_training_needs(compare, statistics, kind, parameters, is_wrong):
    problems, warnings = compare([], PICTURES, statistics, policy_type=kind, **parameters)
    check_findings(problems, is_wrong, "meta/stats.json of the dataset lacks")
    assert warnings == []


def test_values_without_statistics_are_a_warning(compare):
    problems, warnings = compare([], statistics={"action": None})
    assert problems == []
    check_findings(warnings, fact="meta/stats.json of the dataset lacks action")


@pytest.mark.parametrize(
    ("kind", "options", "count", "is_warned"),
    [
        ("pi0", ["--policy.use_relative_actions=true"], 20, True),
        ("pi0", ["--policy.use_relative_actions=true"], 160, False),
        ("pi05", [], 160, True),
        ("act", [], 160, True),
        ("act", [], 20, False),
        ("groot", ["--policy.use_relative_actions=true"], 20, False),  # computes its own
    ],
)
def test_statistics_of_absolute_actions_are_not_those_of_relative_ones(compare, kind, options, count, is_warned):
    """LeRobot's tool computes the second over all chunks of actions, and then there are more of them than frames."""
    numbers = job_documents.make_statistics(PICTURES)
    counts = {"action": count, "observation.state": 20}
    statistics = {name: {**numbers[name], "count": [counts[name]]} for name in counts}
    _, warnings = compare(options, PICTURES, statistics, policy_type=kind)
    check_findings(
        [warning for warning in warnings if "meta/stats.json" in warning], is_warned, "--statistics computed"
    )


def feature(kind, *shape):
    return {"type": kind, "shape": list(shape)}


TWO, PICTURE = feature("STATE", 2), feature("VISUAL", 3, 64, 64)
OWN = {STATE: TWO, IMAGE: PICTURE}
FEATURES = [
    {STATE: TWO},
    {STATE: feature("STATE", 3)},
    {"observation.images.top": PICTURE},
    {WORLD: feature("ENV", 4)},
    {},
]


@pytest.mark.parametrize("chosen", FEATURES)
def test_features_that_the_user_chooses_are_compared_by_lerobot(compare, training, dataset, policy, chosen):
    options = [f"--policy.input_features={json.dumps(chosen)}"]
    assert compare(options, PICTURES, policy_type="act")[0] == []
    start = policy(type="act", input_features=OWN, output_features={"action": feature("ACTION", 2)})
    document = training(dataset("started", features=PICTURES), options, starts={"policy": start})
    assert [*container.compare(document, job_documents.folders(document))] == []


@pytest.mark.parametrize(("crop", "is_wrong"), [("[56,56]", False), ("[99,99]", True)])
def test_a_crop_of_a_fine_tune_fits_its_pictures(training, dataset, policy, crop, is_wrong):
    start = policy(type="diffusion", input_features=OWN, output_features={"action": feature("ACTION", 2)})
    document = training(dataset(features=PICTURES), [f"--policy.crop_shape={crop}"], starts={"policy": start})
    check_findings(
        container.compare(document, job_documents.folders(document)), is_wrong, "--policy.crop_shape=[56,56]"
    )
