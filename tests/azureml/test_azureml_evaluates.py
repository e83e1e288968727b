"""From the command line to a policy that was evaluated on a compute: what was sent is what runs, for real."""

import json

import pytest
import untrained_policy
from azure_stand_in.manager import CONTRIBUTOR
from azure_stand_in.ml.fixtures import enclosed, machine

__all__ = ["enclosed", "machine"]

pytestmark = pytest.mark.slow

EVALUATES, OTHER = "c2000000-0000-0000-0000-000000000002", "c3000000-0000-0000-0000-000000000003"
"""The identities of the compute: the job\'s, and one without a role. Who submits has a third one."""
ROLLED = ("--env", "pusht", "--starts", "easy", "--env-steps", "5", "--episodes", "2", "--env-workers", "0")


@pytest.fixture(scope="session")
def trained(made_once) -> dict[str, bytes]:
    """The files of a policy; the environment that evaluates it is built by then."""
    untrained_policy.environment()
    return untrained_policy.files(made_once("untrained-act", untrained_policy.save))


@pytest.fixture
def cluster(trained, azureml_stored, machine, data_python, tmp_path, monkeypatch):
    """The workspace with a compute, and a policy that is a model of it."""
    azureml_stored.kubernetes(
        "k8s-robots", identities=(("id-train", EVALUATES, "principal"), ("id-other", OTHER, "nobody"))
    )
    azureml_stored.manager.assign("principal", CONTRIBUTOR, azureml_stored.manager.account(azureml_stored.account))
    files = {f"models/act/{name}": content for name, content in trained.items()}
    azureml_stored.store.put(azureml_stored.container, files)
    azureml_stored.model("act", 7, "models/act")
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ROBOTRAIN_BAKED", str(data_python.parents[3]))
    return azureml_stored


def test_a_model_of_the_workspace_is_evaluated_kept_and_registered_with_its_scores(
    robotrain, cluster, machine, tmp_path
):
    words = ("--policy-model", "azureml:act:7", "-r", "evaluated", "--device", "cpu", *ROLLED, "--json")
    sent = robotrain(
        "submit", "lerobot-eval", "--platform", "azureml", *cluster.options, "--compute", "k8s-robots", *words
    )
    assert sent.exit_code == 0, sent.stderr
    run, job = sent.json["run"], cluster.jobs[sent.json["reference"]["job"]]
    assert machine.wait(job.name) == "Completed", "\n".join(job.said())
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["step"], status["total"]) == ("succeeded", 2, 2)
    listed = {one["name"]: one["uri"] for one in robotrain("outputs", run, "--json").json["outputs"]}
    assert listed.keys() == {"eval_results", "models/000000"}
    assert listed["eval_results"].endswith(f"/paths/azureml/{job.name}/eval_results")
    assert robotrain("outputs", run, "--to", str(tmp_path / "brought")).exit_code == 0
    found = json.loads((tmp_path / "brought/eval_results/eval_results.json").read_text())
    assert [one["steps"] for one in found["rollout"]["per_episode"]] == [5, 5]
    page = robotrain("report", run, "--to", str(tmp_path / "report.html"))
    assert page.exit_code == 0, page.stderr
    again = robotrain("register", run, "--json")
    assert (again.exit_code, again.json["version"]) == (0, "1"), again.stderr
    (version,) = versions(cluster, "evaluated").values()
    assert version["modelUri"] == f"azureml://jobs/{job.name}/outputs/artifacts/paths/policy/000000/"
    assert version["tags"]["score_rollout_success_rate"] == f"{found['rollout']['success_rate']:.6g}"
    assert version["tags"]["scored_by"] == run


def versions(cluster, name: str) -> dict[str, dict]:
    (found,) = [found for at, found in cluster.manager.there.models.items() if at.endswith(f"/{name}")]
    return found
