"""The choice of recorded episodes to replay: those that the policy's training held out, if they are known."""

import json
import math
import shutil
import struct
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from job_documents import check_findings
from robotrain_workloads.lerobot import dataset, training_history
from robotrain_workloads.lerobot_eval.inputs import held_out

PUSHT = Path(__file__).parents[2] / "examples/pusht-mini/dataset"
HELD_OUT = [36, 37, 38, 39, 49]
"""What a training holds out by default."""


class Table:
    """What pyarrow would read of the fifty episodes; it is in the environment of a run alone."""

    def to_pydict(self):
        return {"episode_index": list(range(50)), "tasks": [["push"]] * 40 + [["pull"]] * 10}


@pytest.fixture(autouse=True)
def pyarrow(monkeypatch):
    parquet = ModuleType("pyarrow.parquet")
    parquet.read_table = lambda file, columns: Table()
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)


@pytest.fixture
def trained(policy):
    """Make a policy that was trained on a dataset of these statistics: `trained(eval_split=0.1)`.

    begun: the folder of the policy that this training began with; resumed: that it went on from there.
    """

    def make(folder="policy", scale=1.0, names=("count", "mean", "std"), begun=None, resumed=False, **changes) -> Path:
        at = policy(folder)
        stats = json.loads((PUSHT / "meta/stats.json").read_text())["action"]
        numbers = {f"action.{name}": [value * scale for value in stats[name]] for name in names}
        config = {"repo_id": "pusht", "episodes": None, "eval_split": 0.1, **changes}
        start = {"policy": {"pretrained_path": begun and str(begun)}, "resume": resumed}
        (at / "train_config.json").write_text(json.dumps({"dataset": config, **start}))
        (at / "normalizer.safetensors").write_bytes(tensors(numbers))
        return at

    return make


def refuse(requested, policy) -> str:
    """Why episodes cannot be replayed as they were asked for."""
    with pytest.raises(ValueError) as caught:
        held_out.choose_episodes(requested, PUSHT, policy)
    return str(caught.value)


def tensors(numbers) -> bytes:
    head, content = {"__metadata__": {"format": "pt"}}, b""
    for name, values in numbers.items():
        packed = struct.pack(f"<{len(values)}f", *values)
        head[name] = {"dtype": "F32", "shape": [len(values)], "data_offsets": [len(content), len(content + packed)]}
        content += packed
    header = json.dumps(head).encode()
    return len(header).to_bytes(8, "little") + header + content


def test_held_out_ones_are_the_last_of_each_task(trained):
    selection = held_out.choose_episodes(None, PUSHT, trained())
    assert selection.episodes == HELD_OUT
    assert selection.held_out
    check_findings([selection.why], fact="5 episodes of 50")
    assert held_out.choose_episodes("held-out", PUSHT, trained("again")).episodes == selection.episodes
    partial = trained("partial", episodes=list(range(10)), eval_split=0.25)
    assert held_out.choose_episodes(None, PUSHT, partial).episodes == [7, 8, 9]


def test_a_policy_that_normalizes_with_computed_statistics_knows_its_dataset_by_the_stored_ones(trained):
    at = trained(scale=1.01)
    training_history.write_record(at, [], root=PUSHT)
    assert held_out.choose_episodes(None, PUSHT, at).held_out


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": 1.01},
        {"names": ("count", "mean")},
        {"eval_split": 0.0},
        {"eval_split": [1]},
        {"episodes": "some"},
    ],
)
def test_all_episodes_where_the_split_is_unknown_with_the_reason(trained, changes):
    selection = held_out.choose_episodes(None, PUSHT, trained(**changes))
    assert selection.episodes == list(range(50))
    assert not selection.held_out
    check_findings([selection.why, refuse("held-out", trained("again", **changes))], 2, "all 50 episodes")


def test_a_policy_without_a_training_configuration_and_an_untrained_one(policy):
    check_findings([held_out.choose_episodes(None, PUSHT, policy()).why], fact="train_config.json")
    selection = held_out.choose_episodes(None, PUSHT, None)
    assert (selection.episodes, selection.held_out) == (HELD_OUT, True)  # as a trained one, so that they compare
    check_findings([selection.why], fact="--val-split 0.1")
    assert held_out.choose_episodes("held-out", PUSHT, None) == selection
    selection = held_out.choose_episodes("3", PUSHT, None)
    assert selection[:2] == ([3], False)
    check_findings([selection.why], fact="the policy is untrained")


@pytest.mark.parametrize(
    ("file", "content", "episodes"),
    [
        ("normalizer.safetensors", "12345678{", range(50)),
        (training_history.RECORD_FILE, "{", HELD_OUT),
        (training_history.RECORD_FILE, '{"trainings": [{"part": 7}]}', HELD_OUT),
    ],
)
def test_a_damaged_file_counts_as_none(trained, file, content, episodes):
    at = trained()
    (at / file).write_text(content)
    assert held_out.choose_episodes(None, PUSHT, at).episodes == list(episodes)


def test_requested_episodes_are_held_out_if_all_of_them_are(trained):
    at = trained()
    assert held_out.choose_episodes("49,36", PUSHT, at)[:2] == ([36, 49], True)
    assert held_out.choose_episodes("35-36", PUSHT, at)[:2] == ([35, 36], False)
    assert held_out.choose_episodes("all", PUSHT, at)[:2] == (list(range(50)), False)
    check_findings([refuse("50", at)], fact="there is no episode 50")


@pytest.mark.parametrize(
    ("base", "episodes", "held"),
    [
        ({"eval_split": 0.1}, HELD_OUT, True),
        ({"eval_split": 0.05}, [38, 39, 49], True),
        ({"eval_split": 0.0, "episodes": list(range(38))}, [38, 39, 49], True),
        ({"eval_split": 0.0}, list(range(50)), False),
    ],
)
def test_what_an_earlier_training_saw_is_not_held_out(trained, base, episodes, held):
    at = trained("tuned", begun=trained("tuned before", begun=trained("base", **base)))
    selection = held_out.choose_episodes(None, PUSHT, at)
    assert selection[:2] == (episodes, held)
    assert held_out.choose_episodes("36", PUSHT, at).held_out is (36 in episodes and held)
    if not held:
        check_findings([selection.why, refuse("held-out", at)], 2, "an earlier training of the policy saw all episodes")


@pytest.mark.parametrize(
    "base",
    [
        lambda trained, policy: "lerobot/act_pusht",
        lambda trained, policy: trained("base", scale=2.0),
        lambda trained, policy: policy("base"),
    ],
)
def test_episodes_are_not_called_held_out_where_an_earlier_training_is_unknown(trained, policy, base):
    at = trained("tuned", begun=base(trained, policy))
    selection = held_out.choose_episodes(None, PUSHT, at)
    assert selection[:2] == (HELD_OUT, False)  # still those that say most
    assert not held_out.choose_episodes("36", PUSHT, at).held_out
    for reason in (selection.why, held_out.explain_unknown_split(PUSHT, at), refuse("held-out", at)):
        assert "which may have seen them" in reason


def test_a_resumed_training_held_out_the_same_as_the_first_one(trained, tmp_path):
    gone = trained("run/checkpoints/000400/pretrained_model", begun=f"{tmp_path}/gone/000200", resumed=True)
    assert held_out.choose_episodes(None, PUSHT, gone)[:2] == (HELD_OUT, True)
    base = trained("base", eval_split=0.0)
    saved = trained("run/checkpoints/000600/pretrained_model", begun=base)
    here = trained("went on", begun=saved, resumed=True)
    beside = "/robotrain/run/checkpoints/000600/pretrained_model"  # on the machine that it was trained on
    brought = trained("run/checkpoints/000800/pretrained_model", begun=beside, resumed=True)
    for at in (here, brought):
        assert not held_out.choose_episodes(None, PUSHT, at).held_out
    around = trained("around", begun=tmp_path / "around", resumed=True)
    assert held_out.choose_episodes(None, PUSHT, around).held_out


@pytest.mark.parametrize(
    ("base", "episodes", "held"),
    [
        ({"eval_split": 0.05}, [38, 39, 49], True),
        ({"eval_split": 0.0}, list(range(50)), False),
        ({"scale": 2.0}, HELD_OUT, False),
    ],
)
def test_a_preempted_fine_tuning_records_what_its_base_saw(trained, tmp_path, base, episodes, held):
    """The launcher records at each save; each preemption goes on from the last checkpoint."""
    begun = trained("here/base", **base)
    for step in range(1, 4):
        at = trained(f"here/run/{step:06}", begun=begun, resumed=step > 1)
        training_history.write_record(at, training_history.load_trainings(begun))
        begun = at
    assert len(training_history.read_trainings(begun)) == 2  # preemptions do not make it longer
    selection_before = held_out.choose_episodes(None, PUSHT, begun)
    at.rename(tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "here")
    selection = held_out.choose_episodes(None, PUSHT, tmp_path / "elsewhere")
    assert selection[:2] == selection_before[:2] == (episodes, held)
    assert ("which may have seen them" in selection.why) == ("scale" in base)


@settings(max_examples=25)
@given(some.lists(some.sampled_from("ab"), max_size=30), some.floats(0.01, 0.99))
def test_every_task_gives_its_part_and_no_more(tasks, part):
    last_episodes = dataset.select_last_episodes(list(enumerate(tasks)), part)
    for task in set(tasks):
        own = [number for number, name in enumerate(tasks) if name == task]
        held = [number for number in last_episodes if number in own]
        assert held == own[len(own) - math.ceil(len(own) * part) :]


@pytest.mark.parametrize(
    ("requested", "excluded", "episodes"),
    [
        (None, "36,38", [37, 39, 49]),
        ("held-out", "49", HELD_OUT[:-1]),
        ("all", "2-49", [0, 1]),
        ("0-3", "1,3", [0, 2]),
    ],
)
def test_episodes_that_are_left_out_are_not_replayed(trained, requested, excluded, episodes):
    selection = held_out.choose_episodes(requested, PUSHT, trained(), excluded)
    assert selection.episodes == episodes
    assert f"without {excluded}" in selection.why


def test_an_untrained_policy_replays_what_a_training_without_them_holds_out():
    assert held_out.choose_episodes(None, PUSHT, None, "38-39,49").episodes == [34, 35, 36, 37, 48]


@pytest.mark.parametrize(("requested", "excluded"), [("all", "0-49"), ("3", "3"), ("all", "50")])
def test_a_replay_needs_episodes_that_are_left(trained, requested, excluded):
    with pytest.raises(ValueError) as caught:
        held_out.choose_episodes(requested, PUSHT, trained(), excluded)
    assert f"--exclude-episodes {excluded}" in str(caught.value)


def test_the_last_ones_are_held_out_in_the_order_in_which_a_training_was_given_them(trained):
    at = trained(episodes=[9, 3, 5, 1], eval_split=0.25)
    assert held_out.choose_episodes(None, PUSHT, at).episodes == [1]  # as LeRobot does
