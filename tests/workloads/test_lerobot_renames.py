"""`--rename`: cameras of a dataset by the names that a trained policy has for them."""

import itertools
import json
import shutil
from pathlib import Path

import job_documents
import pytest
from robotrain_runtime.contract.problem import make_data_problem
from robotrain_workloads.lerobot import file_formats, policy_features
from robotrain_workloads.lerobot_train import container

SHAPE = [48, 64, 3]
CLOUD = (*job_documents.PLATFORMS["osmo"], "--dry-run")


def inputs(*cameras, state=2):
    """Inputs of a policy."""
    pictures = {f"observation.{name}": {"type": "VISUAL", "shape": [3, 48, 64]} for name in cameras}
    return {"observation.state": {"type": "STATE", "shape": [state]}, **pictures}


def record(*cameras):
    return {f"observation.{name}": SHAPE for name in cameras}


@pytest.fixture
def make_dataset(dataset):
    """Make a dataset with cameras: `make_dataset({"observation.images.top": [48, 64, 3]})`."""

    def make(cameras, folder="data"):
        vectors = {name: {"dtype": "float32", "shape": [2]} for name in ("observation.state", "action")}
        pictures = {name: {"dtype": "image", "shape": shape} for name, shape in cameras.items()}
        return dataset(features=vectors | pictures, folder=folder)

    return make


@pytest.fixture
def compare(training, policy, make_dataset):
    """What is wrong with a dataset's cameras for a policy's; `kind`: its type."""

    def make(read, recorded, rename=None, kind="act", folder="policy", **changes):
        folder = policy(folder, type=kind, input_features=inputs(*read), **changes)
        document = training(make_dataset(record(*recorded)), starts={"policy": folder}, rename=rename, policy_type=kind)
        return document, job_documents.find_data_problems(document)

    return make


TOP, WRIST, FIRST, SECOND = "images.top", "images.wrist", "images.camera1", "images.camera2"


@pytest.mark.parametrize(
    "rename",
    [
        "observation.imag=observation.images.top",
        "observation.statue=observation.images.top",
        "observation.image=observation.images.topp",
        "observation.images.top=observation.image",
        "action=observation.images.top",
        "observation.image=top",
        "observation.image=observation.images.top,observation.images.side=observation.images.top",
        "observation.image=observation.state",
    ],
)
def test_a_rename_that_lerobot_would_ignore_is_refused(compare, rename):
    _, problems = compare([TOP], ["image", "images.side"], rename)
    assert any("--rename" in problem for problem in problems)


def test_two_features_may_swap_their_names(compare):
    swap = "observation.images.top=observation.images.wrist,observation.images.wrist=observation.images.top"
    _, problems = compare([TOP, WRIST], [TOP, WRIST], swap)
    assert problems == []


def test_a_resumed_training_keeps_its_renames(training, saved, make_dataset):
    folder = saved("run/checkpoints/000100", 100, input_features=inputs(TOP))
    rename = "observation.image=observation.images.top"
    document = training(make_dataset(record("image")), starts={"resume": folder}, rename=rename, training_steps=200)
    assert job_documents.find_data_problems(document) == []
    options = job_documents.read_options(job_documents.get_work(document).arguments)
    assert json.loads(options["--rename_map"]) == {"observation.image": "observation.images.top"}


def test_a_resumed_training_has_the_renames_that_it_was_started_with(training, saved, make_dataset):
    renames = {"observation.image": "observation.images.top"}
    folder = saved("run/checkpoints/000100", 100, input_features=inputs(TOP), config={"rename_map": renames})
    document = training(make_dataset(record("image")), starts={"resume": folder}, training_steps=200)
    assert job_documents.find_data_problems(document) == []
    assert "--rename_map" not in job_documents.read_options(job_documents.get_work(document).arguments), (
        "LeRobot saved it"
    )


def test_a_policy_with_renames_is_predicted_with_them_for_the_next_step_of_a_pipeline(
    training, policy, make_dataset, tmp_path
):
    """Its evaluation renames the cameras too, and reads the repositories that the first policy's processor names."""
    start = policy(input_features=inputs(FIRST))
    tokenizer = {"registry_name": "tokenizer_processor", "config": {"tokenizer_name": "lab/words"}}
    old = {"registry_name": policy_features.RENAME_STEP, "config": {"rename_map": {"observation.old": FIRST}}}
    (start / "policy_preprocessor.json").write_text(json.dumps({"steps": [old, tokenizer]}))
    rename = "observation.image=observation.images.camera1"
    document = training(make_dataset(record("image")), starts={"policy": start}, rename=rename)
    container.describe_output(document, job_documents.folders(document), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["input_features"] == inputs(FIRST)
    renames = {"rename_map": {"observation.image": "observation.images.camera1"}}
    steps = [{"registry_name": policy_features.RENAME_STEP, "config": renames}, tokenizer]
    assert json.loads((tmp_path / "policy_preprocessor.json").read_text()) == {"steps": steps}


def test_a_type_that_trains_without_some_cameras_may_be_given_one_of_several(compare):
    rename = "observation.images.left=observation.images.camera1"
    _, problems = compare([FIRST, SECOND], ["images.left", "images.right"], rename, kind="smolvla")
    assert problems == []
    _, problems = compare([FIRST, SECOND], ["images.left", "images.right"], rename, kind="act", folder="act")
    assert len(problems) == 1, "ACT reads all of its cameras"


@pytest.mark.parametrize(
    ("read", "recorded", "kind", "is_wrong"),
    [
        ([FIRST, SECOND], [FIRST], "smolvla", False),
        ([FIRST, SECOND], [FIRST], "act", True),
        ([FIRST, SECOND], [], "smolvla", True),
        ([FIRST], [FIRST, TOP], "act", False),
        ([FIRST, "images.empty_camera_0"], [FIRST], "act", False),
        ([FIRST], [FIRST], "act", False),
    ],
)
def test_cameras_that_only_one_of_both_has(compare, read, recorded, kind, is_wrong):
    _, problems = compare(read, recorded, kind=kind)
    job_documents.check_findings(problems, is_wrong)


def test_states_of_another_size_fit_a_type_that_pads_them(training, policy, make_dataset):
    settings = {"type": "smolvla", "max_state_dim": 32, "max_action_dim": 32}
    outputs = {"action": {"type": "ACTION", "shape": [6]}}
    folder = policy(input_features=inputs(TOP, state=6), output_features=outputs, **settings)
    document = training(make_dataset(record(TOP)), starts={"policy": folder}, policy_type="smolvla")
    assert job_documents.find_data_problems(document) == []


@pytest.mark.parametrize(("kind", "is_noted"), [("act", True), ("smolvla", False)])
def test_a_renamed_feature_that_is_normalized_is_noted(compare, kind, is_noted):
    """LeRobot by itself leaves it as it is; smolvla leaves pictures as they are."""
    renames = f"observation.{TOP}=observation.{FIRST}"
    document, problems = compare([FIRST], [TOP], renames, kind=kind)
    assert problems == []
    notes = container.work(document, job_documents.folders(document), Path(document.placement.work)).notes
    assert any(f"observation.{FIRST}: normalized" in note.text for note in notes) == is_noted


@pytest.mark.slow
def test_a_renamed_camera_is_normalized_in_a_real_training(small, train, tmp_path):
    """LeRobot itself would look for statistics by the new name, find none, and leave the pictures as they are."""
    folder = tmp_path / "policy"
    shutil.copytree(small.checkpoint / "pretrained_model", folder)
    settings = (folder / "config.json").read_text()
    (folder / "config.json").write_text(settings.replace('"observation.image"', '"observation.images.camera1"'))
    renames = "observation.image=observation.images.camera1"
    trained = train(small.dataset, starts={"policy": folder}, rename=renames, training_steps=1, save_freq=1)
    (saved,) = trained.work.glob("outputs/checkpoints/0*/pretrained_model/policy_preprocessor*normalizer*.safetensors")
    names = file_formats.read_safetensors_header(saved)
    assert "observation.images.camera1.mean" in names
    assert "observation.image.mean" not in names


@pytest.fixture
def submit(robotrain, policy, pusht):
    """Submit a training of a policy that reads one other camera, as far as a dry run goes."""
    folder = policy(input_features=inputs(FIRST))

    def run(*words, start=("--policy-path", folder)):
        return robotrain("submit", "lerobot-train", *start, "--dataset-path", pusht, *CLOUD, *words)

    return run


def test_rename_needs_a_start(submit):
    answer = submit("--rename", "observation.image=observation.images.camera1", start=())
    answer.check_problems(2, "option-without-effect")


def test_lerobots_own_option_is_answered_with_ours(submit):
    answer = submit("--", '--rename_map={"observation.image": "observation.images.camera1"}')
    answer.check_problems(2, "option-owned after -- --rename_map")


@pytest.mark.parametrize("pairs", list(itertools.permutations([("a", "b"), ("c", "d")])))
def test_a_job_file_has_a_mapping(robotrain, tmp_path, policy, pusht, pairs):
    rename = {f"observation.{old}": f"observation.{other}" for old, other in pairs}
    job = {"workload": "lerobot-train", "parameters": {"rename": rename}}
    (tmp_path / "job.yaml").write_text(json.dumps(job))
    words = ("--policy-path", policy("start"), "--dataset-path", pusht)
    answer = robotrain("render", tmp_path / "job.yaml", "--platform", "local", *words, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert ",".join(f"{old}={other}" for old, other in rename.items()) in answer.stdout


def test_from_lerobot_translates_the_option(robotrain, policy):
    folder = policy(input_features=inputs(FIRST))
    line = ("lerobot-train", "--dataset.repo_id=me/cups", f"--policy.path={folder}")
    renames = {"observation.image": "observation.images.camera1"}
    answer = robotrain("from-lerobot", "--", *line, f"--rename_map={json.dumps(renames)}")
    assert "--rename observation.image=observation.images.camera1" in answer.stdout


RECORDED = ["observation.state", "observation.image", "action"]
UNKNOWN_NAMES = [
    # the rename, the features of the dataset
    ({"observation.imag": "observation.images.top"}, RECORDED),
    ({"image": "observation.image"}, ["action"]),
]


@pytest.mark.parametrize(("renames", "recorded"), UNKNOWN_NAMES)
def test_an_unknown_name_is_answered_with_what_there_is(renames, recorded):
    finding = make_data_problem(*policy_features.find_rename_problems(renames, recorded, None))
    assert not finding.title.endswith("only ")
