"""ACT trained from ROS 2 bags: LeRobot's model to the number, steps, resume, and policies that LeRobot loads."""

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import source_tree
from bag_training import BagTraining, make_parameters, read_losses
from job_documents import check_findings
from recorded_bags import Recording
from robotrain_workloads.rosbag.bag_files import BagError
from robotrain_workloads.rosbag_act_train import training_data
from robotrain_workloads.rosbag_act_train.parameters import find_policy_problems
from robotrain_workloads.rosbag_act_train.training_data import (
    BatchMaker,
    LoadedEpisode,
    Sampler,
    make_settings,
    measure_limits,
    measure_statistics,
    split_episodes,
)


def load(bags, cache, **changed):
    given = make_parameters(**changed)
    chunk = given["chunk_size"]
    return training_data.load_bags(
        bags, make_settings(given), cache, chunk=chunk, salvage=False, report=lambda line: None
    )


def test_bags_are_read_on_a_system_without_processor_affinity(tmp_path, monkeypatch):
    """As macOS is."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    Recording().write(tmp_path / "bags" / "ep000")
    assert load([tmp_path / "bags"], tmp_path / "cache", image_topics="/camera/top=top", num_workers=0).episodes


def test_sources_are_the_union_of_their_bags(tmp_path):
    for name in ("one/ep000", "one/ep001", "two/ep000"):
        Recording().write(tmp_path / name)
    Recording(steps=6).write(tmp_path / "two" / "short")
    loaded = load([tmp_path / "one", tmp_path / "two"], tmp_path / "cache", image_topics="/camera/top=top")
    assert [one.name for one in loaded.episodes] == ["0:ep000", "0:ep001", "1:ep000"]
    assert loaded.dropped == 1
    (camera,) = loaded.episodes[0].cameras
    assert camera == "observation.images.top"


def test_bags_that_differ_are_named(tmp_path):
    Recording().write(tmp_path / "bags" / "a")
    Recording(size=(24, 32)).write(tmp_path / "bags" / "b")
    for given in ({"image_topics": "/camera/top=top"}, {"chunk_size": 100}):
        with pytest.raises(BagError) as caught:
            load([tmp_path / "bags"], tmp_path / "cache", **given)
        check_findings([str(caught.value)])


def make_episode(name, steps, start=0.0):
    rows = np.arange(steps, dtype=np.float32)[:, None] + start
    return LoadedEpisode(name, name.partition("#")[0], {"observation.state": rows, "action": rows * 2}, {})


def test_actions_behind_the_end_are_padded_and_do_not_count():
    maker, steps = BatchMaker([make_episode("a", 5), make_episode("b", 3, 100)], 4), np.asarray([0, 3, 7])
    batch = maker.make_batch(steps)
    assert maker.count_actions(steps) == (~batch["action_is_pad"]).sum() == 4 + 2 + 1
    assert batch["observation.state"][:, 0].tolist() == [0, 3, 102]
    assert batch["action"][1, :, 0].tolist() == [6, 8, 8, 8]
    assert batch["action_is_pad"].tolist() == [[False] * 4, [False, False, True, True], [False, True, True, True]]


def test_the_order_is_the_seeds_and_visits_each_step_once_an_epoch():
    sampler, other = Sampler(10, 4, 1), Sampler(10, 4, 1)
    order = np.concatenate([sampler.choose(number) for number in range(5)])
    assert sorted(order[:10].tolist()) == sorted(order[10:].tolist()) == list(range(10))
    assert other.choose(3).tolist() == order[12:16].tolist(), "a resumed training needs no earlier batch"
    assert Sampler(10, 4, 2).choose(0).tolist() != order[:4].tolist()


def test_episodes_are_held_out_whole_and_do_not_count_in_statistics():
    episodes = [make_episode(str(number), 5, number * 100) for number in range(10)]
    train, held_out = split_episodes(episodes, 0.2, 7)
    assert (len(train), len(held_out)) == (8, 2)
    assert {one.name for one in train}.isdisjoint(one.name for one in held_out)
    expected = np.concatenate([one.values["action"] for one in train])
    mean, std = measure_statistics(train)["action"]
    assert mean == pytest.approx(expected.mean(0))
    assert std == pytest.approx(expected.std(0))
    assert measure_limits(train)["action.max"].tolist() == expected.max(0).tolist()
    assert split_episodes(episodes[:1], 0.5, 7) == (episodes[:1], [])
    assert split_episodes(episodes, 0, 7) == (episodes, [])


def test_pieces_of_a_bag_are_held_out_together():
    episodes = [make_episode(f"{bag}#{piece}", 5) for bag in "abcd" for piece in (1, 2, 3)]
    for seed in range(10):
        train, held_out = split_episodes(episodes, 0.25, seed)
        assert (len(train), len({one.bag for one in held_out})) == (9, 1)
    assert split_episodes(episodes[:3], 0.5, 7) == (episodes[:3], [])


def test_every_bag_that_cannot_be_read_is_named_with_the_way_out(tmp_path):
    for number in range(4):
        Recording(without=("/action",) if number in (1, 3) else ()).write(tmp_path / "bags" / f"ep{number}")
    topics = {"image_topics": "/camera/top=top", "environment_state_topic": None}
    with pytest.raises(BagError) as caught:
        load([tmp_path / "bags"], tmp_path / "cache", exclude_bags="ep0", **topics)
    check_findings(str(caught.value).splitlines(), 2)
    loaded = load([tmp_path / "bags"], tmp_path / "cache", exclude_bags="ep1,ep3", **topics)
    assert [one.bag for one in loaded.episodes] == ["0:ep0", "0:ep2"]


def test_options_that_do_not_go_together_are_named_at_once():
    wrong = make_parameters(n_action_steps=20, dim_model=30, n_heads=4, environment_state_topic=None, state_topic=None)
    check_findings(find_policy_problems({**wrong, "action_topic": None}), 5)
    assert find_policy_problems(make_parameters()) == []


def test_wrong_options_fail_before_anything_is_sent(tmp_path, robotrain):
    line = ("render", "rosbag-act-train", "--platform", "local", "--dataset-path", tmp_path)
    robotrain(*line).check_problems(2, "rosbag-policy-impossible")
    answer = robotrain(*line, "--image-topics", "/camera/top=top", "--", "--policy.dim_model=3")
    answer.check_problems(2, "script-option-invalid")


@pytest.fixture
def training(tmp_path, rosbag_python):
    """Trainings on three small bags."""
    for number in range(3):
        Recording(steps=40 + number).write(tmp_path / "bags" / f"ep{number}")
    return BagTraining(tmp_path, rosbag_python, tmp_path / "bags")


@pytest.mark.slow
@pytest.mark.long
def test_a_training_that_is_cut_goes_on_to_the_same_weights(training, training_python):
    lines, folder = training.train("whole"), training.folder
    assert sorted(path.name for path in (folder / "whole").iterdir()) == ["000020", "000040"]
    losses = read_losses(lines)
    assert losses[-1] < losses[0]
    assert read_losses(lines, "val/loss")

    cut = training.start("cut", training_steps=100_000, save_freq=100_000, log_freq=10)
    for line in cut.stdout:
        if '"step": 10' in line:
            cut.send_signal(signal.SIGTERM)
            break
    cut.communicate(timeout=60)
    assert cut.returncode == 128 + signal.SIGTERM
    (saved,) = (folder / "cut").iterdir()
    assert int(saved.name) < 40
    training.train("resumed", resume=saved)
    whole, resumed = training.weights("whole"), training.weights("resumed")
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)

    code = (
        "import sys, torch; from lerobot.policies.act.modeling_act import ACTPolicy;"
        "from lerobot.policies.factory import make_pre_post_processors;"
        "p = ACTPolicy.from_pretrained(sys.argv[1], strict=True);"
        "pre, post = make_pre_post_processors(p.config, pretrained_path=sys.argv[1]);"
        "stats = [one.stats for one in pre.steps if getattr(one, 'stats', None)][0];"
        "print(sorted(stats['observation.environment_state']));"
        "print(post(p.select_action(pre({'observation.state': torch.zeros(1, 2),"
        " 'observation.environment_state': torch.zeros(1, 2)}))).shape)"
    )
    command = [training_python, "-c", code, folder / "whole" / "000040" / "pretrained_model"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert "[1, 2]" in done.stdout
    assert "['max', 'min']" in done.stdout, "by these an evaluation knows the unit of the environment's state"


PROGRAM = Path(__file__).with_name("act_parity.py")
CASES = ("state", "cameras", "pre-norm", "without VAE")


@pytest.fixture(scope="module")
def compare(training_python, tmp_path_factory):
    """Run a comparison in LeRobot's environment and return what it measured."""
    root = source_tree.ROOT
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(root / part) for part in ("workloads", "core", "runtime")),
    }

    def run(what: str, case: str) -> dict[str, float]:
        folder = tmp_path_factory.mktemp("act")
        command = [str(training_python), str(PROGRAM), what, case, str(folder)]
        done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.mark.slow
def test_outputs_and_loss_are_lerobots(compare):
    for case, facts in compare("compare", ",".join(CASES)).items():
        assert max(facts.values()) < 1e-5, case


@pytest.mark.slow
def test_a_checkpoint_acts_the_same_here_and_there(compare):
    """Ours loads into LeRobot with strict=True, is saved there, and loads here again."""
    for case, facts in compare("exchange", ",".join(CASES)).items():
        assert facts["actions"] < 1e-5, case


@pytest.mark.slow
def test_training_follows_lerobots_over_200_steps(compare):
    facts = compare("train", "state")["state"]
    assert facts["loss"] < 1e-4
    assert facts["last"] < facts["first"] / 10, "it learned"
