"""examples/pusht-bags and the walk through it in docs/rosbag.md: bags, faults, commands, and a policy that works."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from job_documents import PLATFORMS
from robotrain_workloads.rosbag.bag_files import Bag, find_bags, open_bag
from robotrain_workloads.rosbag.episodes import read_bag
from robotrain_workloads.rosbag.settings import DataSettings
from robotrain_workloads.rosbag_act_train.config_file import read_bag_settings
from source_tree import ROOT

EXAMPLE = ROOT / "examples/pusht-bags"
READ = """
import json, sys
import pyarrow.parquet as parquet
rows = parquet.read_table(sys.argv[1], filters=[("episode_index", "<", 2)])
print(json.dumps({name: rows[name].to_pylist() for name in rows.column_names if rows[name].type.num_fields}))
"""


@pytest.fixture
def clone():
    """The examples, where the documents look for them: at the top of a clone."""
    Path("examples").symlink_to(ROOT / "examples")


def list_commands() -> list[list[str]]:
    """The words of each robotrain command of the walk through the example."""
    text = (ROOT / "docs/rosbag.md").read_text().partition("## From a recording to a policy")[2].partition("\n## ")[0]
    blocks = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    return [shlex.split(line)[1:] for line in blocks.splitlines() if line.startswith("robotrain ")]


def inspect(robotrain, folder):
    answer = robotrain("bags", "inspect", folder, "--json")
    return answer.exit_code, {bag["name"]: bag for bag in answer.json["bags"]}, answer.json["settings"]


def test_inspect_guesses_the_settings_of_the_example(robotrain, tmp_path):
    for name in ("ep000", "ep001"):
        shutil.copytree(EXAMPLE / "bags" / name, tmp_path / "bags" / name)
    code, bags, guessed = inspect(robotrain, tmp_path / "bags")
    assert code == 0
    assert [Path(bag["files"][0]).suffix for bag in bags.values()] == [".db3", ".mcap"]
    assert [(bag["episodes"], bag["steps"], bag["filled_steps"]) for bag in bags.values()] == [(1, 40, 0)] * 2
    job = yaml.safe_load((EXAMPLE / "job.yaml").read_text())["parameters"]
    assert job["image_topics"] == "none", "the key points say where the T is"
    for name in ("state_topic", "environment_state_topic", "action_topic", "fps"):
        assert guessed[name] == job[name]
    assert ",".join(guessed["joint_names"]) == job["joint_names"]
    folder, settings, *_ = read_bag_settings(EXAMPLE / "config.yaml", {})
    assert folder == EXAMPLE / "bags"
    assert {**guessed, "image_topics": {}} == DataSettings(**settings).dump()


def test_inspect_names_the_damage_of_each_bag(robotrain):
    code, bags, _ = inspect(robotrain, EXAMPLE / "damaged")
    assert code == 4
    lost = bags["camera_lost"]
    assert lost["topics"]["/camera/top/compressed"]["longest_gap_s"] == pytest.approx(1.1, abs=0.02)
    assert (lost["problem"], lost["episodes"], lost["steps"], lost["dropped_pieces"]) == ("", 2, 30, 0)
    assert "truncated/truncated.mcap: the file ends too early" in bags["truncated"]["problem"]


def test_init_copies_the_example_with_its_bags(robotrain):
    answer = robotrain("init", "--example", "pusht-bags")
    assert answer.exit_code == 0
    assert "next: robotrain submit pusht-bags/job.yaml --platform local --wait" in answer.stderr
    copied = {path.relative_to("pusht-bags") for path in Path("pusht-bags").rglob("*") if path.is_file()}
    assert copied == {path.relative_to(EXAMPLE) for path in EXAMPLE.rglob("*") if path.is_file()}
    assert robotrain("pipeline", "render", "pusht-bags/pipeline.yaml", "--platform", "local").exit_code == 0


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_renders_the_example(robotrain, platform):
    answer = robotrain("render", EXAMPLE / "job.yaml", *PLATFORMS[platform])
    assert answer.exit_code == 0, answer.stderr


def test_the_commands_of_the_walk_are_accepted(robotrain, clone):
    commands = list_commands()
    assert [words[:2] for words in commands if words[0] == "bags"] == [["bags", "inspect"]] * 2 + [["bags", "convert"]]
    runs = [words for words in commands if words[0] in ("submit", "pipeline")]
    assert len(runs) == 4
    for words in runs:
        if "latest" not in words and "pusht-v3" not in words:
            answer = robotrain(*(word for word in words if word != "--wait"), "--dry-run")
            assert answer.exit_code == 0, answer.stderr


@pytest.mark.slow
@pytest.mark.long
def test_the_bags_of_the_walk_are_inspected_and_converted(robotrain, clone):
    good, damaged, convert = (words for words in list_commands() if words[0] == "bags")
    answer = robotrain(*good)
    assert answer.exit_code == 0, answer.stderr
    assert "would train: 50 episodes of 50 bags, 2000 steps at 10 per second" in answer.stderr
    assert robotrain(*damaged).exit_code == 4
    answer = robotrain(*convert)
    assert answer.exit_code == 0, answer.stderr
    info = json.loads(Path("pusht-v3/meta/info.json").read_text())
    assert (info["total_episodes"], info["total_frames"], info["fps"]) == (50, 2000, 10)
    shapes = {
        name: feature["shape"] for name, feature in info["features"].items() if name.startswith(("obs", "action"))
    }
    assert shapes == {"observation.state": [2], "observation.environment_state": [16], "action": [2]}
    last = next(words for words in list_commands() if "pusht-v3" in words and words[0] == "submit")
    answer = robotrain(*last, "--dry-run")
    assert answer.exit_code == 0, answer.stderr


@pytest.mark.slow
def test_the_example_recorded_again_has_the_same_messages(tmp_path, training_python, rosbag_python):
    (packages,) = rosbag_python.parents[1].glob("lib/python*/site-packages")
    environ = {**os.environ, "PYTHONPATH": str(packages)}  # LeRobot's has what reads pusht-mini, this one rosbags
    command = [training_python, EXAMPLE / "record.py", tmp_path / "again", "--episodes", "2"]
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    recorded = {bag.name: bag for bag in find_bags(EXAMPLE / "bags")}
    for bag in find_bags(tmp_path / "again/bags"):
        assert read_messages(bag) == read_messages(recorded[bag.name])

    command = [training_python, "-c", READ, ROOT / "examples/pusht-mini/dataset/data"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    settings = read_bag_settings(EXAMPLE / "config.yaml", {}).settings
    bags = [read_bag(bag, DataSettings(**settings)) for bag in find_bags(tmp_path / "again/bags")]
    for name, values in json.loads(done).items():
        taken = np.concatenate([bag.episodes[0].values[name] for bag in bags])
        assert np.array_equal(taken, np.asarray(values, np.float32)), name


def read_messages(bag: Bag) -> list[tuple[str, int, str, bytes]]:
    with open_bag(bag) as opened:
        messages = [(message, getattr(message.content, "data", b"")) for message in opened.read(opened.topics)]
        return [(message.topic, message.log_ns, repr(message.content), bytes(data)) for message, data in messages]


@pytest.mark.slow
@pytest.mark.long
def test_the_pipeline_trains_a_policy_that_works_and_registers_it(robotrain, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    file = EXAMPLE / "pipeline.yaml"
    answer = robotrain("pipeline", "submit", file, "--platform", "local", "--wait", "--json")
    assert answer.exit_code == 0, answer.stderr
    status = robotrain("status", "--json").json
    states = [(step["name"], step["state"]) for step in status["steps"]]
    assert states == [("train", "succeeded"), ("evaluate", "succeeded")]
    assert [model["name"] for model in status["registered"]] == ["pusht-bags"]
