"""A job of an earlier robotrain, as `robotrain resubmit` sends it again, runs with the container plugin of today."""

import dataclasses

from job_documents import CONTAINERS, evaluation, find_problems, folders, get_work
from robotrain.model.job import Job
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

ADDED = {"lerobot-train": ("reward_model", "rename", "trust_remote_code"), "lerobot-eval": ("trust_remote_code",)}
"""Parameters that robotrain had not before it knew every type of LeRobot; `lerobot_version` was null."""


def make_earlier(document):
    """The document without what was added since."""
    parameters = dict(document.parameters)
    for name in ADDED[document.workload]:
        del parameters[name]
    return dataclasses.replace(document, parameters={**parameters, "lerobot_version": None})


def check(declared, document):
    """What the rules of a workload find in the job of a document, as `robotrain resume` asks them."""
    values = tuple(document.parameters.items())
    job = Job(workload=declared.name, parameters=values, sources=document.sources, trainer_args=document.trainer_args)
    declared.implies_sources(job)
    return list(declared.check(job))


def test_a_training_of_an_earlier_robotrain_runs_as_it_does_today(training, pusht, policy):
    for starts in ({}, {"policy": policy()}):
        document = training(pusht, starts=starts, policy_type="act", learning_rate=1e-4, mixed_precision="no")
        earlier, plugin = make_earlier(document), CONTAINERS[document.workload]
        data = folders(document)
        assert check(LEROBOT_TRAIN, earlier) == check(LEROBOT_TRAIN, document) == []
        assert find_problems(earlier) == find_problems(document) == []
        assert get_work(earlier) == get_work(document)
        assert plugin.tracked(earlier) == plugin.tracked(document)
        assert plugin.publishing(earlier, data) == plugin.publishing(document, data)
        assert plugin.environment(earlier) == plugin.environment(document)
        assert plugin.implied_sources(earlier, data) == {}


def test_an_evaluation_of_an_earlier_robotrain_runs_as_it_does_today(policy, tmp_path):
    document = evaluation(tmp_path / "work", policy=policy(), env="pusht")
    earlier, plugin = make_earlier(document), CONTAINERS[document.workload]
    assert check(LEROBOT_EVAL, earlier) == check(LEROBOT_EVAL, document) == []
    assert find_problems(earlier) == find_problems(document) == []
    assert get_work(earlier) == get_work(document)
    assert plugin.tracked(earlier) == plugin.tracked(document)
    assert plugin.environment(earlier) == plugin.environment(document)
