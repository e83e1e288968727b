"""`--rename`: cameras of a dataset by the names that a trained policy has for them."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import job_documents
import pytest
from hypothesis import given
from hypothesis import strategies as st
from robotrain_runtime.contract.problem import make_data_problem
from robotrain_workloads.lerobot import feature_renames, file_formats, policy_features
from robotrain_workloads.lerobot.versions import ModelType
from robotrain_workloads.lerobot_train import container

SHAPE = [48, 64, 3]
CLOUD = (*job_documents.PLATFORMS["osmo"], "--dry-run")
NAMES = ("image", "images.top", "images.wrist", "images.camera1", "images.camera2", "images.camera3", "images.left")
Cameras = st.lists(st.sampled_from([f"observation.{name}" for name in NAMES]), max_size=4, unique=True)


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
    ("read", "recorded", "kind", "likely"),
    [
        ([FIRST], ["image"], "act", "observation.image=observation.images.camera1"),
        (
            [FIRST, SECOND],
            [TOP, WRIST],
            "act",
            "observation.images.top=observation.images.camera1,observation.images.wrist=observation.images.camera2",
        ),
        (
            ["images.wrist_left", "images.front"],
            ["images.front_view", "images.left_wrist"],
            "act",
            "observation.images.front_view=observation.images.front,"
            "observation.images.left_wrist=observation.images.wrist_left",
        ),
        ([FIRST, TOP], [TOP, "image"], "act", "observation.image=observation.images.camera1"),
        ([FIRST, SECOND, "images.camera3"], ["image"], "smolvla", "observation.image=observation.images.camera1"),
        ([FIRST, SECOND], ["image"], "act", ""),  # ACT needs both
        ([FIRST], ["images.left", "images.right"], "act", ""),  # which one?
        ([FIRST], ["images.left", "images.cam1"], "act", "observation.images.cam1=observation.images.camera1"),
    ],
)
def test_the_likely_renames_are_offered_and_lead_to_a_job_that_fits(
    compare, training, make_dataset, read, recorded, kind, likely
):
    document, (problem,) = compare(read, recorded, kind=kind)
    sentence, _, way = problem.partition("\n")
    assert all(f"observation.{name}" in sentence for name in recorded)
    assert way == (f"--rename {likely}" if likely else "")
    if likely:
        renamed = training(make_dataset(record(*recorded), folder="again"), rename=likely, policy_type=kind)
        starts = [source for source in document.sources if source.role == "policy"]
        again = replace(renamed, sources=(*renamed.sources, *starts))
        assert job_documents.find_data_problems(again) == []
        options = job_documents.read_options(job_documents.get_work(again).arguments)
        pairs = dict(pair.split("=") for pair in likely.split(","))
        assert json.loads(options["--rename_map"]) == pairs


@given(read=Cameras, recorded=Cameras, may_be_absent=st.booleans())
def test_after_the_likely_renames_nothing_is_missing(read, recorded, may_be_absent):
    info = {"features": {name: {"dtype": "image", "shape": SHAPE} for name in recorded}}
    settings = {"input_features": {name: {"type": "VISUAL", "shape": [3, 48, 64]} for name in read}}
    model = ModelType(takes_absent_cameras=may_be_absent)
    problems = list(policy_features.find_feature_mismatches(settings, info, {}, model))
    assert len(problems) <= 1
    for way in ("".join(way.text for way in make_data_problem(problem).suggestions) for problem in problems):
        if way:
            renames = feature_renames.parse_renames({"rename": way.removeprefix("--rename ")})
            assert list(policy_features.find_feature_mismatches(settings, info, renames, model)) == []
            assert list(feature_renames.find_rename_problems(renames, recorded, read)) == []
        else:
            assert len(read) != len(recorded)


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
    old = {"registry_name": feature_renames.RENAME_STEP, "config": {"rename_map": {"observation.old": FIRST}}}
    (start / "policy_preprocessor.json").write_text(json.dumps({"steps": [old, tokenizer]}))
    rename = "observation.image=observation.images.camera1"
    document = training(make_dataset(record("image")), starts={"policy": start}, rename=rename)
    container.describe_output(document, job_documents.folders(document), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["input_features"] == inputs(FIRST)
    renames = {"rename_map": {"observation.image": "observation.images.camera1"}}
    steps = [{"registry_name": feature_renames.RENAME_STEP, "config": renames}, tokenizer]
    assert json.loads((tmp_path / "policy_preprocessor.json").read_text()) == {"steps": steps}


def test_a_type_that_trains_without_some_cameras_may_be_given_one_of_several(compare):
    rename = "observation.images.left=observation.images.camera1"
    _, problems = compare([FIRST, SECOND], ["images.left", "images.right"], rename, kind="smolvla")
    assert problems == []
    _, problems = compare([FIRST, SECOND], ["images.left", "images.right"], rename, kind="act", folder="act")
    assert len(problems) == 1, "ACT reads all of its cameras"


@pytest.mark.parametrize(
    ("read", "recorded", "kind", "is_wrong", "is_told"),
    [
        ([FIRST, SECOND], [FIRST], "smolvla", False, True),
        ([FIRST, SECOND], [FIRST], "act", True, False),
        ([FIRST, SECOND], [], "smolvla", True, False),
        ([FIRST], [FIRST, TOP], "act", False, True),
        ([FIRST, "images.empty_camera_0"], [FIRST], "act", False, False),
        ([FIRST], [FIRST], "act", False, False),
    ],
)
def test_cameras_that_only_one_of_both_has(compare, read, recorded, kind, is_wrong, is_told):
    document, problems = compare(read, recorded, kind=kind)
    job_documents.check_findings(problems, is_wrong)
    warnings = list(container.list_warnings(document, job_documents.folders(document)))
    if not is_wrong:
        job_documents.check_findings(warnings, is_told)
        notes = [note.text for note in job_documents.get_work(document).notes if note.level == "warning"]
        assert all(warning in notes for warning in warnings)


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
    # the rename, the features of the dataset; the remedy
    ({"image": "observation.images.top"}, RECORDED, "--rename observation.image=observation.images.top"),
    ({"image": "observation.image"}, RECORDED, "leave out --rename"),
    ({"image": "observation.image"}, ["action"], ""),
]


@pytest.mark.parametrize(("renames", "recorded", "way"), UNKNOWN_NAMES)
def test_an_unknown_name_is_answered_with_what_there_is(renames, recorded, way):
    finding = make_data_problem(*feature_renames.find_rename_problems(renames, recorded, None))
    assert ([suggestion.text for suggestion in finding.suggestions], finding.title.endswith("only ")) == (
        [way] if way else [],
        False,
    )
