"""`robotrain register` of a job: a checkpoint becomes a version of a model of the workspace, once."""

import json

import pytest
from azureml_observed_run import JOB, RUN, sealed
from azureml_plans import find_rejection
from azureml_workspace_plans import add_dataset
from robotrain.store import records
from robotrain_azureml.platform import AZUREML
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Checkpoint, Published, Tracking

MODEL = "pusht-act"


def register(run, step=None):
    return AZUREML.engine.register(run.reference, MODEL, step)


def test_the_last_checkpoint_of_the_output_becomes_a_custom_model(run):
    for step in (400, 800):
        run.left(step)
    made = register(run.set_native_state("Running", "Completed"))
    assert (made.name, made.version, made.step, made.uri) == (MODEL, "1", 800, f"models:/{MODEL}/1")
    (version,) = run.azure.versions(MODEL).values()
    assert version["modelType"] == "custom_model"
    assert version["modelUri"] == f"azureml://jobs/{JOB}/outputs/checkpoints/paths/000800/pretrained_model/"
    tags = version["tags"]
    assert (tags["robotrain_run"], tags["checkpoint"], tags["azureml_run_id"]) == (RUN, "000800", JOB)
    assert len(tags["checkpoint_sha256"]) == 64


def test_the_same_checkpoint_stays_the_version_it_is_and_another_is_the_next(run):
    for step in (400, 800):
        run.left(step)
    run.set_native_state("Running", "Completed")
    assert [register(run, step).version for step in (400, 400, 800, None, 400)] == ["1", "1", "2", "2", "1"]
    assert len(run.azure.versions(MODEL)) == 2


def test_checkpoint_that_the_job_registered_keeps_its_version(run):
    run.left(400)
    tags = {"robotrain_run": RUN, "checkpoint": "000400", "checkpoint_sha256": ""}
    models = run.azure.manager.there.models
    models[f"{run.azure.at}/{MODEL}".lower()] = {
        "7": {"modelUri": "azureml://x", "tags": {**tags, "checkpoint_sha256": "d" * 64}}
    }
    assert register(run.set_native_state("Running", "Completed")).version == "7"


def test_tracked_checkpoint_is_registered_as_the_job_does_it(run):
    run.left(400)
    run.tell(Published(step=400, to=f"runs:/{JOB}/checkpoints/000400"))
    register(run.set_native_state("Running", "Completed"))
    (version,) = run.azure.versions(MODEL).values()
    assert version["modelUri"] == f"azureml://jobs/{JOB}/outputs/artifacts/paths/checkpoints/000400/"
    assert len(version["tags"]["checkpoint_sha256"]) == 64


@pytest.mark.slow
def test_storage_that_may_not_be_listed_keeps_no_model_that_tracking_has_from_being_registered(run):
    run.tell(Published(step=400, to=f"runs:/{JOB}/checkpoints/000400"))
    run.set_native_state("Running", "Completed")
    run.azure.fault("comp=list", where="blobs", status=403, code="AuthorizationFailure")
    assert register(run).step == 400


@pytest.mark.parametrize("step", [None, 500])
def test_a_checkpoint_that_is_not_there_is_no_model(run, step):
    run.tell(Checkpoint(step=500, path="/tmp/x"))
    if step:
        run.left(400)
    problem = find_rejection(lambda: register(run.set_native_state("Running", "Failed"), step))
    assert problem.code == "checkpoint-missing"
    assert ("400" if step else "none") in problem.why
    assert run.azure.versions(MODEL) == {}


@pytest.mark.slow
def test_others_that_register_at_the_same_moment_only_take_a_number(run):
    run.left(400)
    run.azure.fault("PUT .*/models/", status=409, code="Conflict", times=1)
    assert register(run.set_native_state("Running", "Completed")).version == "1"


@pytest.mark.slow
def test_missing_role_to_register_is_reported(run):
    run.left(400)
    run.azure.fault("PUT .*/models/", status=403, code="AuthorizationFailed")
    problem = find_rejection(lambda: register(run.set_native_state("Running", "Completed")))
    assert problem.code == "platform-forbidden"


@pytest.fixture
def finished_run(observing, robotrain):
    """The name of a run that succeeded, and left a checkpoint in its output; and its job."""
    observing.kubernetes()
    observing.data("episodes", 3, add_dataset(observing, "episodes/3"))
    reads = ("--dataset-asset", "azureml:episodes:3", "--compute", "k8s-robot-dev-00")
    answer = robotrain(
        "submit", "--platform", "azureml", *observing.options, *reads, "--training-steps", "1000", "--json"
    )
    assert answer.exit_code == 0, answer.stderr
    run, (job,) = answer.json["run"], observing.jobs.values()
    files = sealed(400, run=run, submission=job.name)
    folder = job.outputs["checkpoints"].prefix.rstrip("/")
    observing.store.put(observing.container, {f"{folder}/000400/{name}": content for name, content in files.items()})
    for word in ("Running", "Completed"):
        job.state(word)
    return run, job


@pytest.mark.slow
def test_a_model_that_is_registered_later_has_the_lineage_of_one_that_the_job_registers(
    finished_run, observing, robotrain
):
    run, job = finished_run
    before = observing.store.names(observing.container, f"azureml/{job.name}/")
    answer = robotrain("register", run, MODEL, "--json")
    assert answer.exit_code == 0, answer.stderr
    version = {"model": MODEL, "version": "1", "step": 400, "uri": f"models:/{MODEL}/1"}
    assert answer.json == version | {"scores": {}, "conditions": "", "new": True, "replaced": None}
    sealed_files = observing.store.names(observing.container, f"azureml/{job.name}/")
    assert sealed_files == before, "a sealed checkpoint is not written to"
    (model,) = observing.versions(MODEL).values()
    tags = ("framework", "policy_type", "dataset_source", "training_steps", "azureml_run_id", "robotrain_run")
    assert [model["tags"].get(name) for name in tags] == ["lerobot", "act", "azureml-data-asset", "1000", job.name, run]
    assert "azureml:episodes:3" in model["description"]


def lineage(observing, job) -> dict[str, dict]:
    """The files of that name among the job's artifacts, by the step they lie beside."""
    below = f"ExperimentRun/dcid.{job.name}/checkpoints/"
    names = [name for name in observing.store.names("azureml", below) if name.endswith("/azureml_lineage.json")]
    return {name.split("/")[3]: json.loads(observing.store.get("azureml", name)) for name in names}


@pytest.mark.slow
def test_lineage_is_written_beside_a_tracked_model(finished_run, observing, robotrain):
    run, job = finished_run
    job.say(event.format_event(Tracking(uri="azureml://x", experiment_id="77", run_id=job.name)))
    job.say(event.format_event(Published(step=400, to=f"runs:/{job.name}/checkpoints/000400")))
    answer = robotrain("register", run, "pusht-act", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert "warning" not in answer.stderr
    (model,) = observing.versions(MODEL).values()
    assert model["modelUri"].endswith(f"/{job.name}/outputs/artifacts/paths/checkpoints/000400/")
    assert model["tags"]["mlflow_experiment_id"] == "77"
    ids = {"azureml_run_id": job.name, "mlflow_run_id": job.name, "mlflow_experiment_id": "77"}
    values = {"dataset_source": "azureml-data-asset", "dataset_assets": ["azureml:episodes:3"], "blob_urls": []}
    lineages = lineage(observing, job)
    assert lineages == {"000400": lineages["000400"] | ids | values}
    assert len(lineages["000400"]) == 11


@pytest.mark.slow
def test_model_is_registered_where_lineage_may_not_be_written(finished_run, observing, robotrain):
    run, job = finished_run
    job.say(event.format_event(Published(step=400, to=f"runs:/{job.name}/checkpoints/000400")))
    observing.fault("PUT", where="blobs", status=403, code="AuthorizationPermissionMismatch")
    answer = robotrain("register", run, "pusht-act", "--json")
    assert (answer.exit_code, answer.json["version"]) == (0, "1")
    assert "cannot write azureml_lineage.json" in answer.stderr
    assert lineage(observing, job) == {}


@pytest.mark.slow
def test_run_is_resumed_from_its_output(finished_run, observing, robotrain):
    run, job = finished_run
    (listed,) = robotrain("outputs", run, "--json").json["outputs"]
    assert listed["uri"].endswith(f"azureml/{job.name}/checkpoints/000400")
    answer = robotrain("resume", run, "--training-steps", "2000", "--dry-run", "--json")
    assert answer.exit_code == 0, answer.stderr
    spec = answer.json["files"][answer.json["spec"]]["text"]
    place = f"azureml://datastores/workspaceblobstore/paths/azureml/{job.name}/checkpoints/000400"
    assert f"    path: {place}/\n" in spec


@pytest.mark.slow
def test_policy_of_a_run_starts_another_run(finished_run, robotrain):
    run, job = finished_run
    names = ("--subscription-id", "--resource-group", "--workspace-name")
    reference = records.read_record(run).reference
    at = [f"{name}={reference[key]}" for name, key in zip(names, ("subscription", "group", "workspace"), strict=True)]
    words = ("--compute", "k8s-robot-dev-00", "--dataset-asset", "azureml:episodes:3", "--policy-run", run)
    answer = robotrain("render", "--platform", "azureml", *at, *words)
    assert answer.exit_code == 0, answer.stderr
    place = f"azureml://datastores/workspaceblobstore/paths/azureml/{job.name}/checkpoints/000400/pretrained_model"
    assert f"    path: {place}/\n" in answer.stdout
