"""Datasets that LeRobot would not merge are found by their descriptions alone, before any download."""

import copy
import json
from pathlib import Path

import pytest
from job_documents import check_findings, find_problems, format_finding, get_work
from job_documents import folders as folders_of
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot import options
from robotrain_workloads.lerobot.dataset_preparation import find_boolean_features, normalize_features
from robotrain_workloads.lerobot_train import container

ROOT = Path(__file__).parents[2]
MINI, MORE, OTHER = (ROOT / f"examples/{name}/dataset" for name in ("pusht-mini", "pusht-more", "reach-other"))
CAMERA = {
    "dtype": "video",
    "shape": [8, 8, 3],
    "names": ["height", "width", "channels"],
    "info": {"video.codec": "av1", "video.g": 2, "is_depth_map": False},
}
STATE = {"dtype": "float32", "shape": [2], "names": None}
RECORDED = {"observation.state": STATE, "action": STATE}


def find_conflicts(training, *folders, **parameters):
    document = training(list(folders), **parameters)
    return list(map(format_finding, container.compare(document, folders_of(document))))


@pytest.fixture
def make_two_datasets(dataset):
    """Make two: `two({"fps": 20})`: how the second differs from the first; features: added to both."""

    def make(differs, **features):
        first = dataset(folder="a", features=RECORDED | features)
        return first, dataset(folder="b", **({"features": RECORDED | features} | differs))

    return make


def test_examples_that_fit_are_fine(training):
    assert find_conflicts(training, MINI, MORE) == []
    assert find_conflicts(training, OTHER) == []


def test_every_difference_is_reported_at_once_and_names_both_datasets(training):
    check_findings(find_conflicts(training, MINI, OTHER), 9, "fps: 10 in")


@pytest.mark.parametrize(
    ("differs", "fact"),
    [
        ({"fps": 20}, "fps: 10 in"),
        ({"features": {"action": STATE}}, "--operation.type remove_feature"),
        ({"features": RECORDED | {"action": {**STATE, "dtype": "int64"}}}, "dtype of action: float32 in"),
        ({"features": RECORDED | {"action": {**STATE, "shape": [3]}}}, "shape of action: [2] in"),
        ({"data_path": "d/{file_index}.parquet"}, "is d/{file_index}.parquet"),
    ],
)
def test_what_lerobot_refuses_is_one_sentence(training, make_two_datasets, differs, fact):
    check_findings(find_conflicts(training, *make_two_datasets(differs)), fact=fact)


@pytest.mark.parametrize(
    "info",
    [
        {"video.codec": "av1", "video.g": 9, "is_depth_map": False},  # how it was encoded
        {"video.codec": "av1", "video.is_depth_map": False},  # as an older LeRobot says it
        {"video.codec": "av1", "has_audio": False},  # what the other does not say
        None,
    ],
)
def test_video_details_that_versions_of_lerobot_state_differently_are_no_conflict(training, make_two_datasets, info):
    camera = {**CAMERA, "info": info, "fps": 10}
    differs = {"features": {**RECORDED, "observation.image": camera}}
    assert find_conflicts(training, *make_two_datasets(differs, **{"observation.image": CAMERA})) == []


def test_another_codec_is_a_conflict_that_reencoding_solves(training, make_two_datasets):
    camera = copy.deepcopy(CAMERA)
    camera["info"]["video.codec"] = "h264"
    differs = {"features": {**RECORDED, "observation.image": camera}}
    check_findings(
        find_conflicts(training, *make_two_datasets(differs, **{"observation.image": CAMERA})),
        fact="--operation.type reencode_videos",
    )


def test_each_dataset_must_be_one_to_train_on_by_itself(training, make_two_datasets):
    first, second = make_two_datasets({"codebase_version": "v2.1"}, **{"observation.environment_state": STATE})
    check_findings(find_conflicts(training, first, second), fact="--convert-v21")
    for name in ("tasks", "episodes", "episodes_stats"):
        (second / f"meta/{name}.jsonl").write_text("{}\n")
        (first / f"meta/{name}.jsonl").write_text("{}\n")
    assert find_conflicts(training, first, second, convert_v21=True) == []


def test_the_data_itself_is_compared_again_once_it_is_there(training, make_two_datasets):
    document = training(list(make_two_datasets({"fps": 20})))
    assert any(sentence.startswith("fps") for sentence in find_problems(document))


def prepare_data(document, digest="d"):
    data = folders_of(document)
    return container.prepare(document, data, {source: f"{digest}{source.uri}" if digest else "" for source in data})


def test_one_dataset_that_can_be_trained_on_is_used_as_it_is(training):
    assert prepare_data(training(MINI)) is None


def test_a_merged_dataset_is_cached_by_all_its_data_in_order(training):
    document = training([MINI, MORE])
    made = prepare_data(document)
    assert made is not None
    assert made.sources == document.sources
    assert [word for word in made.arguments if word in (str(MINI), str(MORE))] == [str(MINI)] * 2 + [str(MORE)] * 2
    assert len(made.key) == 64
    assert prepare_data(training([MINI, MORE], batch_size=8)).key == made.key
    others = [
        prepare_data(training([MORE, MINI])),
        prepare_data(document, "e"),
        prepare_data(training([MINI, MORE, MORE])),
    ]
    assert len({made.key, *(other.key for other in others)}) == 4
    assert prepare_data(document, "").key == ""


def test_a_dataset_given_twice_counts_twice(training):
    made = prepare_data(training([MINI, MINI]))
    assert made.arguments.count(str(MINI)) == 4  # its folder and its name, twice
    assert len(made.sources) == 1


def test_booleans_that_a_policy_reads_become_numbers_and_others_stay(training):
    info = json.loads((OTHER / "meta/info.json").read_text())
    info["features"]["next.done"] = {"dtype": "bool", "shape": [1], "names": None}
    assert find_boolean_features(info) == ["observation.gripper_closed"]
    assert normalize_features(info)["observation.gripper_closed"]["dtype"] == "float32"
    assert normalize_features(info)["next.done"]["dtype"] == "bool"
    assert prepare_data(training(OTHER)) is not None


@pytest.mark.parametrize(("parameters", "used"), [({}, "true"), ({"image_normalization": "dataset"}, "false")])
@pytest.mark.parametrize("kind", ["local_path", "huggingface", "blob_url"])
def test_h1_14_images_are_normalized_by_the_same_rule_for_each_source(training, parameters, used, kind):
    """The reference: false for blobs, true on Azure ML, and left to LeRobot for the Hub."""
    source = JobSource(role="dataset", kind=kind, uri=str(MINI))
    work = container.work(training(source, **parameters), {source: MINI}, Path("/work"))
    assert options.get_option_value(work.arguments, "--dataset.use_imagenet_stats") == used


def test_a_frame_may_be_a_quarter_of_the_interval_off(training):
    camera = ROOT / "examples/pusht-camera/dataset"

    def tolerance(folder, *args):
        return options.get_option_value(get_work(training(folder, args)).arguments, "--tolerance_s")

    assert tolerance(camera) == "0.025"
    assert tolerance(camera, "--tolerance_s=0.04") == "0.04"
    assert tolerance(MINI) is None  # it has no videos


def test_a_model_describes_each_dataset_with_its_own_size(training, tmp_path):
    blob = JobSource(role="dataset", kind="blob_url", uri="https://a.blob.core.windows.net/box/more")
    document = training([MINI, blob])
    (tmp_path / "meta").mkdir()
    each = [{"episodes": 50, "frames": 2000}, {"episodes": 20, "frames": 800}]
    (tmp_path / "meta/robotrain.json").write_text(json.dumps({"made_of": each}))
    (tmp_path / "meta/info.json").write_text(json.dumps({"total_episodes": 70, "total_frames": 2800}))
    fetched = dict(zip(document.sources, (MINI, MORE), strict=True))
    for data in (fetched, dict.fromkeys(document.sources, tmp_path)):
        description = container.publishing(document, data).description
        assert f"{MINI} (50 episodes, 2000 frames)" in description
        assert f"{blob.uri} (20 episodes, 800 frames)" in description
    assert container.tracked(document).tags["dataset.source"] == "mixed"
