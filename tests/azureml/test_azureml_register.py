"""`robotrain register` of a job: a checkpoint becomes a version of a model of the workspace, once."""

import pytest
from azureml_observed import JOB, RUN
from robotrain.errors import Rejected
from robotrain_azureml.platform import AzureMLPlatform
from robotrain_runtime.contract.event import Checkpoint, Published

MODEL = "pusht-act"


def register(run, step=None):
    return AzureMLPlatform().register(run.reference, MODEL, step)


def versions(run) -> dict[str, dict]:
    return run.azure.manager.there.models.get(f"{run.azure.at}/{MODEL}".lower(), {})


def test_the_last_checkpoint_of_the_output_becomes_a_custom_model(run):
    for step in (400, 800):
        run.left(step)
    made = register(run.set_native_state("Running", "Completed"))
    assert (made.name, made.version, made.step, made.uri) == (MODEL, "1", 800, f"models:/{MODEL}/1")
    (version,) = versions(run).values()
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
    assert len(versions(run)) == 2


def test_one_that_the_job_itself_registered_stays_the_version_it_is(run):
    run.left(400)
    tags = {"robotrain_run": RUN, "checkpoint": "000400", "checkpoint_sha256": ""}
    models = run.azure.manager.there.models
    models[f"{run.azure.at}/{MODEL}".lower()] = {
        "7": {"modelUri": "azureml://x", "tags": {**tags, "checkpoint_sha256": "d" * 64}}
    }
    assert register(run.set_native_state("Running", "Completed")).version == "7"


def test_what_tracking_has_is_registered_as_the_job_itself_does(run):
    run.left(400)
    run.tell(Published(step=400, to=f"runs:/{JOB}/checkpoints/000400"))
    register(run.set_native_state("Running", "Completed"))
    (version,) = versions(run).values()
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
    with pytest.raises(Rejected) as raised:
        register(run.set_native_state("Running", "Failed"), step)
    (found,) = raised.value.problems
    assert found.code == "checkpoint-missing"
    assert ("400" if step else "none") in found.why
    assert versions(run) == {}


@pytest.mark.slow
def test_others_that_register_at_the_same_moment_only_take_a_number(run):
    run.left(400)
    run.azure.fault("PUT .*/models/", status=409, code="Conflict", times=1)
    assert register(run.set_native_state("Running", "Completed")).version == "1"


@pytest.mark.slow
def test_whoever_may_not_register_is_told_the_role(run):
    run.left(400)
    run.azure.fault("PUT .*/models/", status=403, code="AuthorizationFailed")
    with pytest.raises(Rejected) as raised:
        register(run.set_native_state("Running", "Completed"))
    assert raised.value.problems[0].code == "azureml-not-allowed"


@pytest.mark.slow
def test_on_the_command_line_the_version_is_told(run, robotrain):
    run.left(400)
    name = run.set_native_state("Running", "Completed").record()
    answer = robotrain("register", name, MODEL, "--json")
    assert answer.exit_code == 0, answer.stderr
    version = {"model": MODEL, "version": "1", "step": 400, "uri": f"models:/{MODEL}/1"}
    assert answer.json == version | {"scores": {}, "conditions": "", "new": True, "replaced": None}
