"""Where the checkpoints of a training are evaluated on this machine: beside it, or after it, and why."""

import json

import pytest
from robotrain_local import plans

SCORED = ("--evaluate-checkpoints", "--env", "pusht", "--training-steps", 400, "--save-freq", 100)


@pytest.fixture
def place(robotrain, pusht, monkeypatch):
    """Submit to a machine with cores and GPUs, without sending; whether the evaluation follows, and what is said."""

    def place(cores, gpus, *options):
        monkeypatch.setattr(plans, "count_cores", lambda: cores)
        monkeypatch.setattr(plans, "count_visible_gpus", lambda: gpus)
        words = ("--platform", "local", "--dataset-path", pusht, *SCORED, *options)
        answer = robotrain("render", *words, "--json")
        assert answer.exit_code == 0, answer.stderr
        steps = json.loads(answer.json["files"]["pipeline.json"]["text"])["steps"]
        (note,) = [line for line in answer.stderr.splitlines() if line.endswith("[evaluation-placed]")]
        return next(step for step in steps if step["name"] == "evaluate").get("follows", ""), note

    return place


@pytest.mark.parametrize(
    ("cores", "gpus", "options", "follows", "reason"),
    [
        (32, 1, (), "", "one GPU"),
        (32, 1, ("--device", "cpu"), "train", "32 cores"),
        (32, 2, (), "train", "2 GPUs"),
        (2, 2, (), "train", "2 GPUs"),
        (32, 2, ("--num-gpus", 2), "", "all 2 GPUs"),
        (32, 4, ("--num-gpus", 3), "train", "takes 3"),
        (2, 0, (), "", "2 cores"),
        (3, 0, (), "", "4 or more"),
        (1, 0, (), "", "1 core "),
        (4, 0, (), "train", "4 cores"),
    ],
)
def test_the_evaluation_runs_beside_the_training_where_there_is_room(place, cores, gpus, options, follows, reason):
    is_following, note = place(cores, gpus, *options)
    assert is_following == follows
    assert ("while step train goes on" in note) == bool(follows)
    assert ("after step train has ended" in note) != bool(follows)
    assert reason in note
