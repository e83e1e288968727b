"""An evaluation in a pod, from the command line: the rendered workflow runs."""

import json
import os

import pytest
import untrained_policy
from azure_stand_in.fixtures import azure, azure_session, workspace, workspace_session
from azure_stand_in.manager import GROUP, SUBSCRIPTION

__all__ = ["azure", "azure_session", "workspace", "workspace_session"]

pytestmark = pytest.mark.slow

ROLLED = ("--env", "pusht", "--starts", "easy", "--env-steps", "5", "--episodes", "2", "--env-workers", "0")
NAMED = ("--subscription-id", SUBSCRIPTION, "--resource-group", GROUP, "--workspace-name", "robots-ml")


@pytest.fixture(scope="session")
def trained(made_once) -> dict[str, bytes]:
    """The files of a policy, whose environment is built."""
    untrained_policy.environment()
    return untrained_policy.files(made_once("untrained-act", untrained_policy.save))


@pytest.fixture
def pod(azure, trained, data_python, tmp_path, monkeypatch):
    """A pod with an identity, access to Azure, and the environments of its image."""
    for name, value in azure.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    baked = data_python.parents[3]
    monkeypatch.setenv("ROBOTRAIN_BAKED", str(baked))
    return {**azure.environ, "ROBOTRAIN_BAKED": str(baked), "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]}


@pytest.fixture
def policy(azure, trained) -> str:
    """The URL of the policy in blob storage."""
    azure.blobs.put("evaluated", {f"policies/act/{name}": content for name, content in trained.items()})
    return azure.url("evaluated", "policies/act")


@pytest.fixture
def submitted(robotrain, osmo):
    """The names of a submitted evaluation's run and workflow."""

    def submitted(*words: str) -> tuple[str, str]:
        typed = ("lerobot-eval", "--platform", "osmo", "--pool", "default", "--gpus", "0", "--device", "cpu", *words)
        before = set(osmo.workflows)
        answer = robotrain("submit", *typed, *ROLLED, "--json")
        assert answer.exit_code == 0, answer.stderr
        (workflow,) = set(osmo.workflows) - before
        return answer.json["run"], workflow

    return submitted


def test_a_policy_of_blob_storage_is_evaluated_published_and_registered_with_its_scores(
    robotrain, osmo, azure, workspace, pod, policy, submitted, tmp_path
):
    place = azure.url("evaluated", "results")
    run, workflow = submitted(*NAMED, "--policy-url", policy, "--publish-url", place, "-r", "evaluated")
    assert osmo.run(workflow, environ=pod) == 0, robotrain("logs", run).stdout
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["step"], status["total"]) == ("succeeded", 2, 2)
    (results,) = robotrain("outputs", run, "--json").json["outputs"]
    assert (results["name"], results["uri"]) == ("eval_results", f"{place}/{run}")
    assert robotrain("outputs", run, "--to", str(tmp_path / "brought")).exit_code == 0
    found = json.loads((tmp_path / "brought/eval_results/eval_results.json").read_text())
    assert [one["steps"] for one in found["rollout"]["per_episode"]] == [5, 5]
    page = robotrain("report", run, "--to", str(tmp_path / "report.html"))
    assert page.exit_code == 0, page.stderr
    (version,) = versions(azure, "evaluated").values()
    assert version["tags"]["score_rollout_success_rate"] == f"{found['rollout']['success_rate']:.6g}"
    later = robotrain("register", run, "later", "--json")
    assert later.exit_code == 0, later.stderr
    (other,) = versions(azure, "later").values()
    assert other["modelUri"] == version["modelUri"]
    unknown = {"checkpoint_sha256"}  # the seal went with the pod
    assert other["tags"] == {name: value for name, value in version["tags"].items() if name not in unknown}


def versions(azure, name: str) -> dict[str, dict]:
    (found,) = [found for at, found in azure.manager.there.models.items() if at.endswith(f"/{name}")]
    return found
