"""A run that was sent from here, to its model: what it is told of its lineage, and going on from what it left."""

import json

import pytest
from azureml_looked import dataset
from azureml_observed import sealed
from robotrain.store import records
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Published, Tracking

pytestmark = pytest.mark.slow


@pytest.fixture
def sent(observing, robotrain):
    """The name of a run that succeeded, and left a checkpoint in its output; and its job."""
    observing.kubernetes()
    observing.data("episodes", 3, dataset(observing, "episodes/3"))
    reads = ("--dataset-asset", "azureml:episodes:3", "--compute", "k8s-robot-dev-00")
    answer = robotrain(
        "submit", "--platform", "azureml", *observing.options, *reads, "--training-steps", "1000", "--json"
    )
    assert answer.exit_code == 0, answer.stderr
    run, (job,) = answer.json["run"], observing.jobs.values()
    files = sealed(400, run=run, submission=job.name)
    folder = job.outputs["checkpoints"].prefix.rstrip("/")
    observing.store.put(observing.container, {f"{folder}/000400/{name}": one for name, one in files.items()})
    for word in ("Running", "Completed"):
        job.state(word)
    return run, job


def test_a_model_that_is_registered_later_has_the_lineage_of_one_that_the_job_registers(sent, observing, robotrain):
    run, job = sent
    answer = robotrain("register", run, "pusht-act", "--json")
    assert answer.exit_code == 0, answer.stderr
    ((_, model),) = observing.manager.there.models[f"{observing.at}/pusht-act".lower()].items()
    told = ("framework", "policy_type", "dataset_source", "training_steps", "azureml_run_id", "robotrain_run")
    assert [model["tags"].get(name) for name in told] == ["lerobot", "act", "azureml-data-asset", "1000", job.name, run]
    assert "azureml:episodes:3" in model["description"]


def lineage(observing, job) -> dict[str, dict]:
    """The files of that name among the job's artifacts, by the step they lie beside."""
    below = f"ExperimentRun/dcid.{job.name}/checkpoints/"
    names = [name for name in observing.store.names("azureml", below) if name.endswith("/azureml_lineage.json")]
    return {name.split("/")[3]: json.loads(observing.store.get("azureml", name)) for name in names}


def test_its_lineage_is_laid_beside_a_model_that_tracking_has(sent, observing, robotrain):
    run, job = sent
    job.say(event.format_event(Tracking(uri="azureml://x", experiment_id="77", run_id=job.name)))
    job.say(event.format_event(Published(step=400, to=f"runs:/{job.name}/checkpoints/000400")))
    answer = robotrain("register", run, "pusht-act", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert "warning" not in answer.stderr
    ((_, model),) = observing.manager.there.models[f"{observing.at}/pusht-act".lower()].items()
    assert model["modelUri"].endswith(f"/{job.name}/outputs/artifacts/paths/checkpoints/000400/")
    assert model["tags"]["mlflow_experiment_id"] == "77"
    ids = {"azureml_run_id": job.name, "mlflow_run_id": job.name, "mlflow_experiment_id": "77"}
    of = {"dataset_source": "azureml-data-asset", "dataset_assets": ["azureml:episodes:3"], "blob_urls": []}
    said = lineage(observing, job)
    assert said == {"000400": said["000400"] | ids | of}
    assert len(said["000400"]) == 9


def test_one_who_may_not_write_beside_it_registers_it_all_the_same(sent, observing, robotrain):
    run, job = sent
    job.say(event.format_event(Published(step=400, to=f"runs:/{job.name}/checkpoints/000400")))
    observing.fault("PUT", where="blobs", status=403, code="AuthorizationPermissionMismatch")
    answer = robotrain("register", run, "pusht-act", "--json")
    assert (answer.exit_code, answer.json["version"]) == (0, "1")
    assert "cannot write azureml_lineage.json" in answer.stderr
    assert lineage(observing, job) == {}


def test_a_sealed_checkpoint_is_not_written_to(sent, observing, robotrain):
    run, job = sent
    before = observing.store.names(observing.container, f"azureml/{job.name}/")
    assert robotrain("register", run, "pusht-act").exit_code == 0
    assert observing.store.names(observing.container, f"azureml/{job.name}/") == before


def test_its_output_is_what_another_run_goes_on_from(sent, observing, robotrain):
    run, job = sent
    (listed,) = robotrain("outputs", run, "--json").json["outputs"]
    assert listed["uri"].endswith(f"azureml/{job.name}/checkpoints/000400")
    answer = robotrain("resume", run, "--training-steps", "2000", "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    place = f"azureml://datastores/workspaceblobstore/paths/azureml/{job.name}/checkpoints/000400"
    assert f"    path: {place}/\n" in answer.stdout


def test_its_policy_is_what_another_run_begins_with(sent, robotrain):
    run, job = sent
    names = ("--subscription-id", "--resource-group", "--workspace-name")
    reference = records.read_record(run).reference
    at = [f"{name}={reference[key]}" for name, key in zip(names, ("subscription", "group", "workspace"), strict=True)]
    words = ("--compute", "k8s-robot-dev-00", "--dataset-asset", "azureml:episodes:3", "--policy-run", run)
    answer = robotrain("render", "--platform", "azureml", *at, *words)
    assert answer.exit_code == 0, answer.stderr
    place = f"azureml://datastores/workspaceblobstore/paths/azureml/{job.name}/checkpoints/000400/pretrained_model"
    assert f"    path: {place}/\n" in answer.stdout
