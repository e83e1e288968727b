"""`lerobot-train --bags`: what is refused before it is sent, the conversion, and which episodes are held out."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
from job_documents import PLATFORMS, check_findings, check_job, training
from problem_assertions import check_problems
from recorded_bags import SECOND, START, Recording, make_message
from robotrain.errors import format_problem
from robotrain.model.data_report import DataReading, RemoteFiles
from robotrain.model.job import Job
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.bag_parameters import make_settings
from robotrain_workloads.data_command.data_report import describe_dataset
from robotrain_workloads.lerobot.dataset_preparation import read_bag_episodes, write_source_sizes
from robotrain_workloads.lerobot_train import container
from robotrain_workloads.lerobot_train.episode_options import SPLIT_OPTION, hold_out_whole_bags
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN
from robotrain_workloads.rosbag import bag_datasets, dataset_conversion
from robotrain_workloads.rosbag.survey import survey_bags
from small_training import SMALL, find_model

PUSHT = Path(__file__).parents[2] / "examples/pusht-mini/dataset"
CONTENT = ("config.json", "model.safetensors", "policy_preprocessor.json", "policy_postprocessor.json")
LINE = (
    *("--batch-size", "4", "--training-steps", "4", "--save-freq", "4", "--log-freq", "2", "--device", "cpu"),
    *("--num-workers", "0", "--val-split", "0.25"),
)


@pytest.fixture
def bags(tmp_path) -> Path:
    """Three bags, the last of which is silent for a second and becomes two episodes."""
    for number, lost in enumerate((range(0), range(0), range(15, 26))):
        Recording(size=(64, 64), lost=lost).write(tmp_path / f"bags/ep{number}", "mcap" if number else "sqlite3")
    return tmp_path / "bags"


def compare(document):
    return container.compare(document, {source: Path(source.uri) for source in document.sources})


def plan(document, digests=None):
    data = {source: Path(source.uri) for source in document.sources}
    return container.prepare(document, data, digests or {source: source.uri for source in document.sources})


def test_bags_are_accepted_and_a_dataset_in_their_place_is_refused(tmp_path, bags, bag_document):
    assert list(compare(bag_document(bags))) == []
    check_findings(compare(bag_document(PUSHT)), 1, "leave out --bags")
    (problem,) = compare(dataclasses.replace(bag_document(PUSHT), workload="rosbag-act-train"))
    assert "--bags" not in format_problem(problem)
    assert "robotrain submit lerobot-train --policy-type act" in problem.suggestions[0].text
    empty = tmp_path / "empty"
    empty.mkdir()
    check_findings(compare(bag_document(empty)), 1, "no ROS 2 bag")


def test_bags_without_the_option_are_refused_with_it(tmp_path, bags):
    document = training(bags, {"work": str(tmp_path / "work"), "cache": str(tmp_path / "cache")})
    check_findings(compare(document), 1, "--bags")


@pytest.mark.parametrize(("option", "value"), [("--action-topic", "/action"), ("--fps", "10"), ("--task", "push")])
def test_options_of_bags_are_refused_without_bags(robotrain, option, value):
    words = (option, value) if value else (option,)
    answer = robotrain("render", "lerobot-train", "-d", "lerobot/pusht", *words, "--platform", "local")
    answer.check_problems(2, f"option-without-effect {option}")


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"state_topic": "/a", "action_topic": "/a"}, "bags-impossible --action-topic"),
        ({"convert_v21": True}, "option-without-effect --convert-v21"),
    ],
)
def test_what_bags_cannot_have_is_refused(parameters, problem):
    check_problems(check_job(LEROBOT_TRAIN, policy_type="act", bags=True, **parameters), problem)


def test_a_topic_that_no_bag_has_and_one_that_may_be_the_action_are_found_at_a_glance(tmp_path, bags, bag_document):
    check_findings(compare(bag_document(bags, action_topic="/acton")), 1, "--action-topic /action")
    check_findings(compare(bag_document(bags, state_topic="/joint")), 1, "--state-topic /joint_states")
    open_bag = Recording(without=("/action",))
    for step in range(open_bag.steps):
        log = START + step * SECOND // 10
        open_bag.messages.append(("/wheels", "std_msgs/msg/Float64", log, make_message("std_msgs/msg/Float64", 1.0)))
    folder = open_bag.write(tmp_path / "open")
    check_findings(compare(bag_document(folder)), 1, "--action-topic /wheels")
    assert list(compare(bag_document(folder, action_topic="none"))) == []
    assert list(compare(bag_document(folder, action_topic="/wheels"))) == []


def test_bags_that_are_fetched_are_not_judged_by_what_describes_them(tmp_path, bag_document):
    source = JobSource(role="dataset", kind="blob_url", uri="https://account1.blob.core.windows.net/train/bags")
    document = bag_document(source)
    described = tmp_path / "described"
    described.mkdir()
    assert list(container.compare(document, {source: described})) == []
    check_findings(container.inspect(document, {source: described}), 1, "no ROS 2 bag")
    without = training(source, {"work": str(tmp_path / "work"), "cache": str(tmp_path / "cache")})
    check_findings(container.compare(without, {source: described}), 1, "--bags")


@pytest.mark.parametrize("description", [None, "meta/info.json"])
def test_bags_elsewhere_are_known_by_the_names_of_their_files(bags, description):
    names = [path.relative_to(bags).as_posix() for path in bags.rglob("*.*")]
    sizes = dict.fromkeys([*names, description] if description else names, 100)
    source = JobSource(role="dataset", kind="blob_url", uri="https://account1.blob.core.windows.net/train/bags")
    parameters = tuple(dataclasses.asdict(LEROBOT_TRAIN.parameters(policy_type="act")).items())
    job = Job(workload="lerobot-train", parameters=parameters, sources=(source,))

    files = RemoteFiles(source.uri, "1", lambda: sizes, pytest.fail)
    report = describe_dataset(job, source, files, DataReading("none", print, 1.0, may_build=False))
    if description:
        assert report is None, "no Python here reads it"
    else:
        ((problem,),) = (report.errors,)
        assert [way.text for way in problem.suggestions] == ["--bags"]


def test_bags_need_no_files_of_a_dataset_where_another_machine_reads_them(robotrain, fake_platform, bags):
    answer = robotrain("submit", "--platform", "fake", "--dataset-path", bags)
    answer.check_problems(4, f"source-undescribed dataset {bags}", "data-unusable")
    answer = robotrain("submit", "--platform", "fake", "--dataset-path", bags, "--bags")
    assert answer.exit_code == 0, answer.stderr


@pytest.mark.parametrize("command", [("pipeline", "train-eval"), ("submit", "--evaluate-checkpoints")])
def test_an_evaluation_gets_the_policy_and_no_bags(robotrain, fake_platform, bags, command):
    words = ("--dataset-path", bags, "--bags", "--platform", "fake", "--env", "pusht", "--exclude-episodes", "1")
    answer = robotrain(*command, *words, "--dry-run", "--json")
    assert answer.exit_code == 0, answer.stderr
    steps = {step["name"]: step for step in json.loads(answer.json["files"]["pipeline.json"]["text"])["steps"]}
    assert "dataset" in [source["role"] for source in steps["train"]["sources"]]
    assert [source["role"] for source in steps["evaluate"]["sources"]] == ["policy"]
    assert steps["train"]["parameters"]["exclude_episodes"] == "1"
    assert steps["evaluate"]["parameters"]["exclude_episodes"] is None
    answer = robotrain(*command, *words[:5], "--dry-run")
    answer.check_problems(2, "source-missing")  # there is no environment either


def test_bags_without_cameras_need_no_weights_of_a_camera_network(robotrain, bags):
    words = ("explain", "lerobot-train", "--platform", "local", "--dataset-path", bags, "--bags", "--json")
    implied = [row["value"] for row in robotrain(*words).json["values"] if row["name"] == "backbone"]
    assert implied
    without = robotrain(*words, "--image-topics", "none").json["values"]
    assert "backbone" not in [row["name"] for row in without]


def test_a_conversion_is_named_by_content_and_settings(tmp_path, bags, bag_document):
    document = bag_document(bags)
    key = plan(document).key
    assert key
    assert plan(document).key == key
    assert plan(bag_document(bags, training_steps=5)).key == key
    assert plan(bag_document(bags, fps=5.0)).key != key
    assert plan(bag_document(bags, task="push")).key != key
    assert plan(document, {source: "other" for source in document.sources}).key != key
    assert plan(document, {source: "" for source in document.sources}).key == ""


@pytest.mark.parametrize("platform", PLATFORMS)
def test_only_a_job_with_bags_carries_what_reads_them(robotrain, platform):
    def list_plugins(*words):
        answer = robotrain("render", "lerobot-train", "-d", "lerobot/pusht", *words, *PLATFORMS[platform], "--json")
        files = answer.json["files"].items()
        return json.loads(next(file["text"] for path, file in files if path.endswith("job.json")))["container_plugins"]

    assert "data.bags" not in list_plugins()
    assert list_plugins("--bags")["data.bags"] == bag_datasets.__name__


def test_every_option_reaches_the_settings_of_the_bags():
    parameters = {
        **{"image_topics": "/camera/top=top", "state_topic": "none", "action_topic": "/action", "fps": 5.0},
        **{"joint_names": "a,b", "units": "/joint_states=deg", "image_size": "48x64", "exclude_bags": "ep0"},
    }
    settings = make_settings(parameters)
    assert settings == {
        **{"image_topics": {"/camera/top": "top"}, "state_topic": None, "action_topic": "/action", "fps": 5.0},
        **{"joint_names": ("a", "b"), "units": {"/joint_states": "deg"}, "image_size": (48, 64)},
        "exclude_bags": ("ep0",),
    }


def test_bags_of_several_folders_keep_their_order_and_refused_ones_are_named(tmp_path, bags):
    other = Recording(steps=20).write(tmp_path / "more/a")
    folders = [other.parent, bags]
    survey = survey_bags(folders, {}, report=str)
    assert [reading.bag.name for reading in survey.usable] == ["a", "ep0", "ep1", "ep2"]
    (tmp_path / "made/meta").mkdir(parents=True)
    dataset_conversion.write_origins(tmp_path / "made", survey)
    assert read_bag_episodes(tmp_path / "made") == [1, 1, 1, 2]
    sizes = json.loads((tmp_path / "made/meta/robotrain.json").read_text())["made_of"]
    assert [size["episodes"] for size in sizes] == [1, 4]
    Recording(without=("/action",)).write(bags / "ep3")
    survey = survey_bags(folders, {}, report=str)
    (problem,) = dataset_conversion.find_problems(survey)
    assert "no topic /action" in problem
    assert problem.endswith("(--exclude-bags ep3)")


@pytest.mark.parametrize(
    ("episodes", "part", "chosen", "held_out"),
    [
        ([1, 1, 2], 0.25, None, 2),
        ([1, 1, 1, 1], 0.25, None, None),
        ([3, 1], 0.5, None, 1),
        ([4], 0.25, None, 0),
        ([1, 1, 2], 0.0, None, None),
        ([2, 2, 2], 0.2, [0, 1, 2, 4, 5], 2),
    ],
)
def test_all_episodes_of_a_bag_that_is_held_out_are(tmp_path, episodes, part, chosen, held_out):
    (tmp_path / "meta").mkdir()
    write_source_sizes(tmp_path, [], episodes)
    answer = hold_out_whole_bags(tmp_path, [f"{SPLIT_OPTION}={part}"], chosen or None)
    if held_out is None:
        assert answer == []
        return
    share = float(answer[0].partition("=")[2])
    assert math.ceil(len(chosen or range(sum(episodes))) * share) == held_out


@pytest.mark.slow
@pytest.mark.long
def test_act_trains_on_bags_and_holds_out_whole_ones(robotrain, training_environment, bags):
    words = ("--dataset-path", bags, "--bags", *LINE, "--wait", "--json")
    answer = robotrain("submit", "lerobot-train", *words, "--platform", "local", "--", *SMALL["act"])
    assert answer.exit_code == 0, answer.stderr
    model = find_model(answer)
    assert {*CONTENT} <= {path.name for path in model.iterdir()}
    shown = robotrain("status", "latest").stdout
    assert "lerobot-eval --policy-run" in shown
    assert "--env TASK" in shown
    config = json.loads((model / "train_config.json").read_text())
    assert config["dataset"]["eval_split"] == pytest.approx(0.375)  # of four episodes the two of the last bag
    root = Path(config["dataset"]["root"])
    assert read_bag_episodes(root) == [1, 1, 2]
    info = json.loads((root / "meta/info.json").read_text())
    assert (info["total_episodes"], info["fps"]) == (4, 10)
    assert info["features"]["observation.state"]["names"] == ["pusher_x", "pusher_y"]


@pytest.mark.slow
@pytest.mark.long
def test_diffusion_trains_on_a_mixture_of_bags_which_are_converted_once(
    robotrain, training_environment, bags, tmp_path
):
    for number in range(4):  # of which two are held out
        Recording(size=(64, 64)).write(tmp_path / f"more/ep{number}", "mcap")
    sources = ("--dataset-path", f"{bags}=0.8", "--dataset-path", f"{tmp_path / 'more'}=0.2", "--bags")
    words = ("submit", "lerobot-train", *sources, "--policy-type", "diffusion", *LINE, "--wait", "--json")
    for name in ("first", "second"):
        after = ("--name", name, "--platform", "local", "--", *SMALL["diffusion"])
        answer = robotrain(*words, "--seed", "1" if name == "first" else "2", *after)
        assert answer.exit_code == 0, answer.stderr
        assert {*CONTENT} <= {path.name for path in find_model(answer).iterdir()}
    assert "made before" in answer.stderr
