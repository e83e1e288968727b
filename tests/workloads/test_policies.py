"""`robotrain policies`: which types there are, what each needs, and the options of one."""

import re
from typing import Any

from robotrain_workloads.lerobot import versions


def test_every_type_is_listed_with_what_it_needs(robotrain: Any) -> None:
    shown = robotrain("policies").stdout
    for section in (versions.POLICIES, versions.REWARD_MODELS):
        assert all(re.search(rf"^{name}  ", shown, re.MULTILINE) for name in versions.list_type_names(section))
    assert re.search(r"^smolvla +1 camera or more; task texts; reads HuggingFaceTB/", shown, re.MULTILINE)
    assert re.search(r"^robometer +not trained: ", shown, re.MULTILINE)
    listed = robotrain("policies", "--json").json
    assert {"type": "vqbet", "is_trained": True, "needs": ["exactly 1 camera"]} in listed["policies"]
    assert [model["type"] for model in listed["reward_models"]] == list(
        versions.list_type_names(versions.REWARD_MODELS)
    )


def test_a_type_is_shown_with_its_options_and_not_those_that_robotrain_sets(robotrain: Any) -> None:
    shown = robotrain("policies", "smolvla").stdout
    assert re.search(r"^--policy\.num_vlm_layers=INT +default: 16$", shown, re.MULTILINE)
    assert "--policy.device" not in shown
    answer = robotrain("policies", "sarm", "--json").json
    assert (answer["type"], answer["needs"][0]) == ("sarm", "task texts")
    assert {"name": "--reward_model.batch_size", "kind": "INT", "default": 64} in answer["options"]
    assert robotrain("policies", "robometer", "--json").json["options"] == []


def test_a_type_that_is_not_there_is_answered_with_the_nearest(robotrain: Any) -> None:
    for name, meant in (("smolvlq", "smolvla"), ("groto", "groot")):
        answer = robotrain("policies", name)
        answer.check_problems(2, f"value-unknown TYPE {name}")
        assert f"use   robotrain policies {meant}" in answer.stderr


def test_the_help_of_a_training_points_to_it_and_lists_no_types(robotrain: Any) -> None:
    for option in ("--help", "--help-all"):
        shown = robotrain("submit", "--policy-type", "smolvla", option).stdout
        assert "robotrain policies" in " ".join(shown.split())
        assert "multi_task_dit" not in shown
