"""A pipeline in pods, from the command line: a policy is trained, evaluated and registered by one workflow."""

import json
import os

import pytest
import untrained_policy
from azure_stand_in.fixtures import azure, azure_session, workspace, workspace_session
from azure_stand_in.manager import GROUP, SUBSCRIPTION
from test_osmo_trains import NETWORK, put, sized

__all__ = ["azure", "azure_session", "workspace", "workspace_session"]

pytestmark = pytest.mark.slow

NAMED = ("--subscription-id", SUBSCRIPTION, "--resource-group", GROUP, "--workspace-name", "robots-ml")
ROLLED = ("--env", "pusht", "--starts", "easy", "--env-steps", "5", "--eval-episodes", "2", "--env-workers", "0")


@pytest.fixture
def pod(azure, data_python, training_python, tmp_path, monkeypatch):
    """What a container of the cluster has: an identity, the way to Azure, and the environments of its image."""
    untrained_policy.environment()
    for name, value in azure.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    baked = data_python.parents[3]
    monkeypatch.setenv("ROBOTRAIN_BAKED", str(baked))
    return {**azure.environ, "ROBOTRAIN_BAKED": str(baked), "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]}


def test_a_pipeline_trains_evaluates_and_a_failed_evaluation_is_resumed(robotrain, osmo, azure, workspace, pod):
    sources = put(azure, "piped", "pusht-mini")
    words = ("--platform", "osmo", "--pool", "default", "--gpus", "0", *NAMED, "-r", "pusher", "--skip-wait")
    publish = ("--publish-url", azure.url("piped", "runs"))
    answer = robotrain("pipeline", "train-eval", *words, *sources, *publish, *sized(2, 2), *ROLLED, "--json", *NETWORK)
    assert answer.exit_code == 0, answer.stderr
    run = answer.json["run"]
    (workflow,) = osmo.workflows
    print(osmo.run(workflow, environ=pod))
    print(robotrain("logs", run).stdout)
    print(robotrain("status", run, "--json").stdout)
    print(json.dumps(robotrain("outputs", run, "--json").json))
    raise AssertionError
