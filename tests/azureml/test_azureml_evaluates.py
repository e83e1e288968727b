"""From the command line to a policy that was evaluated on a compute: what was sent is what runs, for real."""

import json

import pytest
import untrained_policy

pytestmark = pytest.mark.slow

ROLLED = ("--env", "pusht", "--starts", "easy", "--env-steps", "5", "--episodes", "2", "--env-workers", "0")


@pytest.fixture(scope="session")
def trained(made_once) -> dict[str, bytes]:
    """The files of a policy; the environment that evaluates it is built by then."""
    untrained_policy.environment()
    return untrained_policy.files(made_once("untrained-act", untrained_policy.save))


@pytest.fixture
def cluster(trained, cluster):
    """With a policy that is a model of the workspace."""
    cluster.store.put(cluster.container, {f"models/act/{name}": content for name, content in trained.items()})
    cluster.model("act", 7, "models/act")
    return cluster


@pytest.mark.long
def test_a_model_of_the_workspace_is_evaluated_kept_and_registered_with_its_scores(
    robotrain, cluster, machine, tmp_path
):
    words = ("--policy-model", "azureml:act:7", "-r", "evaluated", "--device", "cpu", *ROLLED, "--json")
    sent = robotrain("submit", "lerobot-eval", "--platform", "azureml", *words)
    assert sent.exit_code == 0, sent.stderr
    run, job = sent.json["run"], cluster.jobs[sent.json["reference"]["job"]]
    assert machine.wait(job.name) == "Completed", "\n".join(job.read_log())
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["step"], status["total"]) == ("succeeded", 2, 2)
    listed = {output["name"]: output["uri"] for output in robotrain("outputs", run, "--json").json["outputs"]}
    assert listed.keys() == {"eval_results", "models/000000"}
    assert listed["eval_results"].endswith(f"/paths/azureml/{job.name}/eval_results")
    assert robotrain("outputs", run, "--to", str(tmp_path / "brought")).exit_code == 0
    results = json.loads((tmp_path / "brought/eval_results/eval_results.json").read_text())
    assert [episode["steps"] for episode in results["rollout"]["per_episode"]] == [5, 5]
    page = robotrain("report", run, "--to", str(tmp_path / "report.html"))
    assert page.exit_code == 0, page.stderr
    again = robotrain("register", run, "--json")
    assert (again.exit_code, again.json["version"]) == (0, "1"), again.stderr
    (version,) = cluster.versions("evaluated").values()
    assert version["modelUri"] == f"azureml://jobs/{job.name}/outputs/artifacts/paths/policy/000000/"
    assert version["tags"]["score_rollout_success_rate"] == f"{results['rollout']['success_rate']:.6g}"
    assert version["tags"]["scored_by"] == run
