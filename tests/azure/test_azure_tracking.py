"""A run tracked in a workspace: the tracking process, Azure ML's plugin and MLflow's server are real, and so is the
storage that artifacts go to.
"""

from pathlib import Path

import pytest
from azure_stand_in import Fault
from robotrain_runtime.contract.event import Metrics, Track
from robotrain_runtime.tracking.preflight import TrackingCheck
from robotrain_runtime.tracking.tracker import ARTIFACT_REQUEST, REGISTER_REQUEST, RESULTS_REQUEST
from tracked_document import HERE, ask_mlflow

pytestmark = pytest.mark.slow

TAGS = {"checkpoint": "000020", "robotrain_run": "pretend-1", "checkpoint_sha256": "d" * 64, "framework": "lerobot"}


@pytest.fixture
def started(start_tracking, job):
    """Start the tracking process of the job, or one that resumes the run with this id."""
    track = Track(experiment="pusher", run_name="pretend-1", params={"policy_type": "act"}, tags={"a.b": "c"})
    return lambda again="": start_tracking(job, track, resume_run=again)


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """The folder of a checkpoint with its model part."""
    folder = tmp_path / "checkpoints/000020"
    (folder / "pretrained_model/deeper").mkdir(parents=True)
    (folder / "pretrained_model/config.json").write_text("{}")
    (folder / "pretrained_model/deeper/a name.bin").write_bytes(b"weights")
    return folder


def make_checkpoint_request(run_id: str, folder: Path) -> dict[str, object]:
    return {"run_id": run_id, "folder": str(folder), "model": "pretrained_model", "digest": "d" * 64}


def test_a_run_is_tracked_published_and_registered_once(started, azure, workspace, checkpoint):
    tracked = started()
    there = tracked.wait_for_run()
    assert there.uri == HERE.tracking_uri
    assert there.ui == (
        f"https://ml.azure.com/runs/{there.run_id}?wsid="
        f"/subscriptions/{HERE.subscription}/resourcegroups/{HERE.group}/workspaces/{HERE.name}"
    )
    tracked.send(Metrics(values={"train/loss": 0.5}, step=20))
    first, again = (
        tracked.ask(ARTIFACT_REQUEST, **make_checkpoint_request(there.run_id, checkpoint)) for _ in range(2)
    )
    assert (first["artifact"], first["new"], again["new"]) == ("checkpoints/000020", True, False)
    request = {
        **make_checkpoint_request(there.run_id, checkpoint),
        "name": "pusher",
        "description": "a policy",
        "tags": TAGS,
    }
    request["lineage"] = {"dataset_uri": "hf://lerobot/pusht"}
    assert [tracked.ask(REGISTER_REQUEST, **request) for _ in range(2)] == [
        {"version": "1", "new": True},
        {"version": "1", "new": False, "replaced": ""},
    ]
    assert tracked.ask(REGISTER_REQUEST, **request | {"name": "once-more"}) == {"version": "1", "new": True}
    assert tracked.end() == []

    run = ask_mlflow(workspace, f"runs/get?run_id={there.run_id}")["run"]
    assert run["info"]["status"] == "FINISHED"
    assert {"key": "policy_type", "value": "act"} in run["data"]["params"]
    assert [(metric["key"], metric["value"], metric["step"]) for metric in run["data"]["metrics"]] == [
        ("train/loss", 0.5, 20)
    ]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["checkpoint_000020_artifact"] == "checkpoints/000020"
    assert (tags["a.b"], tags["training_status"]) == ("c", "completed")

    assert sorted(workspace.artifacts[there.run_id]) == [
        "checkpoints/000020/azureml_lineage.json",
        "checkpoints/000020/config.json",
        "checkpoints/000020/deeper/a name.bin",
    ]
    written = [line for line in azure.front.requests if line.startswith("PUT /azureml/ExperimentRun")]
    assert len(written) == 3
    models = azure.manager.there.models[f"{HERE.resource}/pusher".lower()]
    assert {number: model["modelType"] for number, model in models.items()} == {"1": "custom_model"}
    assert models["1"]["modelUri"] == f"azureml://jobs/{there.run_id}/outputs/artifacts/paths/checkpoints/000020/"
    run_tags = {"mlflow_run_id": there.run_id, "mlflow_experiment_id": there.experiment_id}
    assert models["1"]["tags"] == {**TAGS, **run_tags}
    assert azure.proxy.refused == []


def test_a_run_that_azure_does_not_let_go_on_is_followed_by_a_new_one(started, workspace):
    tracked = started()
    first = tracked.wait_for_run()
    assert tracked.end() == []
    workspace.faults.append(Fault("runs/update", status=400, code="UserError", times=2))
    tracked = started(first.run_id)
    assert tracked.wait_for_run().run_id != first.run_id
    assert tracked.end() == []


@pytest.mark.parametrize(
    ("endpoint", "status"),
    [
        ("runs/update", 401),
        pytest.param("runs/(update|get)", 401, marks=pytest.mark.long),
        pytest.param("runs/update", 429, marks=pytest.mark.long),
        pytest.param("runs/update", 503, marks=pytest.mark.long),
    ],
)
def test_a_bad_moment_makes_no_second_run(started, workspace, endpoint, status, monkeypatch):
    tracked = started()
    first = tracked.wait_for_run()
    assert tracked.end() == []
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    workspace.faults.append(Fault(endpoint, status=status, code="UserError", times=1 if "get" not in endpoint else 2))
    tracked = started(first.run_id)
    assert tracked.wait_for_run().run_id == first.run_id
    assert tracked.end() == []


def test_what_an_upload_that_broke_off_left_is_no_obstacle(started, azure, workspace, checkpoint):
    tracked = started()
    there = tracked.wait_for_run()
    azure.front.faults.append(Fault("PUT .*config.json", status=403, code="AuthorizationFailure", times=1))
    with pytest.raises(OSError, match="HttpResponseError"):
        tracked.ask(ARTIFACT_REQUEST, **make_checkpoint_request(there.run_id, checkpoint))
    published = tracked.ask(ARTIFACT_REQUEST, **make_checkpoint_request(there.run_id, checkpoint))
    assert (published["artifact"], published["new"]) == ("checkpoints/000020.2", True)
    tags = {
        tag["key"]: tag["value"]
        for tag in ask_mlflow(workspace, f"runs/get?run_id={there.run_id}")["run"]["data"]["tags"]
    }
    assert tags["checkpoint_000020_artifact"] == "checkpoints/000020.2"
    assert tracked.end() == []


def test_another_checkpoint_is_the_next_version(started, azure, checkpoint):
    tracked = started()
    there = tracked.wait_for_run()
    azure.manager.there.models[f"{HERE.resource}/pusher".lower()] = {str(n): {"tags": {}} for n in range(1, 12)}
    request = {**make_checkpoint_request(there.run_id, checkpoint), "name": "pusher", "description": "", "tags": TAGS}
    assert tracked.ask(REGISTER_REQUEST, **request) == {"version": "12", "new": True}
    assert tracked.end() == []


def test_a_policy_that_is_a_version_already_gains_its_scores_and_stays_what_it_is(started, azure, checkpoint):
    tracked = started()
    there = tracked.wait_for_run()
    trained = {**make_checkpoint_request(there.run_id, checkpoint), "name": "pusher", "description": "a policy"}
    trained["tags"] = {**TAGS, "model_sha256": "m" * 64}
    assert tracked.ask(REGISTER_REQUEST, **trained)["version"] == "1"
    versions = azure.manager.there.models[f"{HERE.resource}/pusher".lower()]
    before = dict(versions["1"])
    evaluated = {**trained, "what": "policy", "digest": "e" * 64}
    evaluated["tags"] = {**TAGS, "robotrain_run": "eval-1", "checkpoint_sha256": "e" * 64, "model_sha256": "m" * 64}
    for rate in ("0.5", "0.75"):
        evaluated["scores"] = {"score_rollout_success_rate": rate, "scored_by": "eval-1"}
        assert tracked.ask(REGISTER_REQUEST, **evaluated) == {"version": "1", "new": False, "replaced": ""}
    tags = {**before["tags"], "score_rollout_success_rate": "0.75", "scored_by": "eval-1"}
    after = {key: value for key, value in versions["1"].items() if key in before}
    assert (len(versions), after) == (1, {**before, "tags": tags})
    assert tracked.end() == []


def test_results_lie_at_the_root_and_later_ones_beside_those_that_nobody_may_replace(started, workspace, tmp_path):
    tracked = started()
    there = tracked.wait_for_run()
    folder = tmp_path / "eval_results"
    for name in ("eval_results.json", "videos/episode_000.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    request = {"run_id": there.run_id, "folder": str(folder), "files": ["eval_results.json", "videos/episode_000.mp4"]}
    answers = [tracked.ask(RESULTS_REQUEST, **request, digest=digest * 64) for digest in "aabb"]
    root = f"runs:/{there.run_id}"
    assert [answer["to"] for answer in answers] == [root] * 2 + [f"{root}/eval_results.2"] * 2
    assert [answer["new"] for answer in answers] == [True, False, True, False]
    assert sorted(workspace.artifacts[there.run_id]) == sorted(
        [*request["files"], *(f"eval_results.2/{name}" for name in request["files"])]
    )
    assert tracked.end() == []


def test_a_failed_sign_in_is_reported_and_the_run_goes_on(started, azure, monkeypatch, tmp_path):
    (tmp_path / "token").write_text("of another cluster")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    (note,) = started().end()
    assert note.startswith("the run is not tracked, or only partly: the Azure ML workspace robots-ml cannot be read")
    assert "AADSTS700213" in note


def test_a_value_that_is_too_long_is_cut_and_a_refused_one_alone_is_lost(started, workspace):
    tracked = started()
    there = tracked.wait_for_run()
    params = {"options": "x" * 900, "k" * 300: "a", **{f"number_{index}": index for index in range(150)}}
    tags = {"summary": "y" * 3000, "c" * 150: "b", "last": "one"}
    tracked.send(Track(params=params, tags=tags))
    (warning,) = tracked.end()
    assert "k" * 80 in warning
    assert "c" * 80 in warning
    data = ask_mlflow(workspace, f"runs/get?run_id={there.run_id}")["run"]["data"]
    logged = {pair["key"]: pair["value"] for kind in ("params", "tags") for pair in data[kind]}
    assert {"policy_type": "act", "number_149": "149", "a.b": "c", "last": "one"}.items() <= logged.items()
    assert (len(logged["options"]), len(logged["summary"])) == (500, 1000)
    assert logged["options"].endswith("(cut)")
    assert logged["summary"].endswith("(cut)")


def test_a_refused_request_of_mlflow_is_reported_once(started, workspace):
    tracked = started()
    tracked.wait_for_run()
    workspace.faults.append(Fault("log-batch", status=403, code="Forbidden"))
    for step in range(3):
        tracked.send(Metrics(values={"train/loss": 0.5}, step=step))
    assert len([text for text in tracked.end() if "could not record an event" in text]) == 1


def test_the_check_of_a_workspace_brings_its_findings(job, azure):
    assert TrackingCheck(job).wait_for_findings() == []
    azure.manager.faults.append(Fault("GET", status=403, code="AuthorizationFailed"))
    (finding,) = TrackingCheck(job).wait_for_findings()
    assert (finding.code, finding.fault) == ("azure-role-missing", "configuration")
    assert "AzureML Data Scientist" in finding.suggestions[0].text
