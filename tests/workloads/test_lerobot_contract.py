"""Defects of the reference tooling that must not come back, by their number in section H.1 of the contract.

Of H.1-1 also: test_lerobot_resume.py, where the weights of a policy are really loaded.
"""

import dataclasses
from pathlib import Path

import pytest
from robotrain_workloads.lerobot import options
from robotrain_workloads.lerobot_train import container
from robotrain_workloads.lerobot_train import parameters as lerobot_train_parameters

HUB = "huggingface"


def command(document) -> tuple[str, ...]:
    data = {source: Path(source.uri) for source in document.sources}
    return container.work(document, data, Path(document.placement.work)).arguments


@pytest.mark.parametrize("role", ["policy", "init_policy"])
def test_h1_01_a_policy_to_start_from_is_never_a_place_to_push_to(training, pusht, policy, role):
    folder = policy()
    asked = command(training(pusht, starts={role: folder}))
    assert f"--policy.path={folder}" in asked
    assert "--policy.push_to_hub=false" in asked
    assert not any(part.startswith("--policy.repo_id") for part in asked)
    assert "--policy.repo_id" in lerobot_train_parameters.OWNED_OPTIONS


def test_h1_05_nothing_is_registered_unless_it_is_asked_for(training):
    assert container.publishing(training(job_name="a-name"), {}).register == ""
    assert container.publishing(training(register_checkpoint="my_model"), {}).register == "my_model"


def test_h1_07_a_model_is_told_one_place_that_its_data_came_from(training):
    document = training(register_checkpoint="m")
    remote = tuple(dataclasses.replace(source, kind=HUB, uri="u/d") for source in document.sources)
    for platform in ("osmo", "azureml"):
        asked = container.publishing(dataclasses.replace(document, platform=platform, sources=remote), {})
        assert asked.tags["dataset_source"] == HUB
        assert asked.tags["source"] == f"{platform}-lerobot-hf"
        assert "checkpoint" not in asked.tags  # which, and of what run, the runtime says, once


@pytest.mark.parametrize("parameters", [{}, {"training_steps": 7}, {"save_freq": 10**9}])
def test_h1_08_there_is_a_checkpoint_at_the_end_whatever_is_asked_for(training, parameters):
    asked = command(training(register_checkpoint="m", **parameters))
    assert not any(part.startswith("--save_checkpoint=") for part in asked)
    assert "--save_checkpoint" in lerobot_train_parameters.OWNED_OPTIONS
    assert int(options.get_option_value(asked, "--save_freq") or 0) > 0


def test_h1_11_the_held_out_part_and_the_warm_up_reach_the_trainer(training):
    asked = command(training(val_split=0.25, eval_freq=50, lr_warmup_steps=30))
    assert "--dataset.eval_split=0.25" in asked
    assert "--eval_steps=50" in asked
    assert "--scheduler.num_warmup_steps=30" in asked
    diffusion = command(training(policy_type="diffusion", lr_warmup_steps=30))
    assert "--policy.scheduler_warmup_steps=30" in diffusion
    none = command(training(val_split=0))
    assert "--dataset.eval_split=0" in none
    assert "--eval_steps=0" in none
