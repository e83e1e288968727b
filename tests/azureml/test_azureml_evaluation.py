"""Evaluations on Azure ML: the job that is made of one, its results afterwards, and its policy as a model."""

import hashlib
import json
from pathlib import Path

import pytest
from azureml_observed_run import JOB, RUN, Observed
from azureml_plans import (
    evaluation,
    find_rejection,
    job,
    read_placement,
    read_spec,
    read_submission_spec,
    render_plan,
    settings,
)
from robotrain_azureml.platform import AZUREML
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Delivered, Evaluated, Track
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL

EVAL_IMAGE = LEROBOT_EVAL.profile.container.image

SCORES = {"rollout/success_rate": 0.85, "replay/mse": 0.25}
FOUND = Evaluated(episodes=20, scores=SCORES, results="/tmp/r/eval_results", policy="/tmp/r/policy/000400", step=400)
IN_TRACKING = Track(tags={"policy_artifact": "policy/000400"})
PUBLISHED = "https://robots1.blob.core.windows.net/evaluations"


def sealed(**seal: str) -> dict[str, bytes]:
    """Results, with their seal beside them."""
    held = {"eval_results.json": b"{}", "plots/aggregate_summary.png": b"picture"}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in held.items()}
    values = {"run": RUN, "job": "j" * 64, "submission": JOB, "model": ""} | seal
    return {**held, checkpoint.MANIFEST: json.dumps({"schema": 1, "step": 400, "files": digests, **values}).encode()}


@pytest.fixture
def run(observing) -> Observed:
    """An evaluation that has found something."""
    return Observed(observing, publishes=PUBLISHED, output="eval_results").tell(FOUND)


def test_the_job_has_the_environment_the_image_and_the_output_of_evaluations() -> None:
    made = render_plan(evaluation(), output_mode="rw_mount")
    spec, wanted = read_spec(made), read_submission_spec(made)
    assert spec["environment"].startswith("azureml:lerobot-inference-env:2.4.1-")
    assert (wanted.environment.image, wanted.output) == (EVAL_IMAGE, "eval_results")
    assert spec["experiment_name"] == "lerobot-evaluation"
    ((name, output),) = spec["outputs"].items()
    assert (name, output["path"].split("/")[-2]) == ("eval_results", "eval_results")
    assert read_placement(made).kept == "${AZURE_ML_OUTPUT_eval_results}"
    assert read_placement(made).kept_as.endswith("/eval_results/")
    assert read_placement(made).left == ""
    assert read_placement(render_plan(job(), output_mode="rw_mount")).left == "${AZURE_ML_OUTPUT_checkpoints}"


def test_given_environment_wins_over_that_of_the_workload() -> None:
    made = render_plan(evaluation(), image="robots:1@sha256:" + "a" * 64, environment_name="arms")
    assert read_spec(made)["environment"] == "azureml:arms:1-sha256-" + "a" * 64
    defaults = AZUREML.plans.derive_defaults(evaluation(), settings(environment_version="7"))
    assert (defaults["image"].value, defaults["environment_name"].value) == (EVAL_IMAGE, "lerobot-inference-env")


def test_results_are_listed_once_they_are_complete(run, tmp_path: Path) -> None:
    run.put({"eval_results.json": b"{}"}, "")
    problem = find_rejection(lambda: run.set_native_state("Running").outputs())
    assert "no results of" in problem.title
    run.put(sealed(), "")
    (output,) = run.set_native_state("Completed").outputs()
    assert (output.name, output.kind, output.source, output.size) == ("eval_results", "file", "datastore_path", 9)
    AZUREML.engine.download(run.reference, output, tmp_path / "brought")
    assert (tmp_path / "brought/plots/aggregate_summary.png").read_bytes() == b"picture"


def test_results_of_another_submission_are_ignored(run) -> None:
    run.put(sealed(submission="another"), "")
    problem = find_rejection(lambda: run.set_native_state("Running", "Completed").outputs())
    assert problem.title.startswith(f"the results of {RUN} did not reach")


def test_published_results_and_the_policy_among_the_artifacts_are_there(run) -> None:
    run.tell(Delivered(to=f"runs:/{JOB}"), IN_TRACKING, Delivered(to=f"{PUBLISHED}/{RUN}"))
    outputs = run.set_native_state("Running", "Completed").outputs()
    assert [(output.name, output.kind) for output in outputs] == [("eval_results", "file"), ("models/000400", "file")]
    assert outputs[0].uri == f"{PUBLISHED}/{RUN}"
    assert outputs[1].uri.endswith(f"/dcid.{JOB}/policy/000400")


def test_the_evaluated_policy_becomes_a_model_with_its_scores_once(run) -> None:
    run.put(sealed(), "")  # the seal of its results is no seal of the policy
    run.tell(IN_TRACKING).set_native_state("Running", "Completed")
    made = [AZUREML.engine.register(run.reference, "arm", step) for step in (None, 400)]
    assert [(registration.version, registration.step, registration.replaced) for registration in made] == [
        ("1", 400, ""),
        ("1", 400, ""),
    ]
    (version,) = run.azure.versions("arm").values()
    assert version["modelUri"] == f"azureml://jobs/{JOB}/outputs/artifacts/paths/policy/000400/"
    tags = version["tags"]
    assert (tags["score_rollout_success_rate"], tags["score_replay_mse"]) == ("0.85", "0.25")
    assert (tags["robotrain_run"], tags["scored_by"]) == (RUN, RUN)
    assert "checkpoint_sha256" not in tags


def test_a_policy_that_its_training_registered_gets_the_scores_and_no_version_more(run) -> None:
    run.tell(IN_TRACKING, Track(tags={"model_sha256": "d" * 64})).set_native_state("Running", "Completed")
    tags = {"robotrain_run": "lerobot-train-1", "checkpoint": "000400", "model_sha256": "d" * 64}
    models = run.azure.manager.there.models
    models[f"{run.azure.at}/arm".lower()] = {
        "6": {"modelUri": "azureml://x", "tags": {**tags, "model_sha256": "e" * 64}},
        "7": {"modelUri": "azureml://y", "tags": tags},
    }
    assert AZUREML.engine.register(run.reference, "arm", None).version == "7"
    other, same = (version["tags"] for version in run.azure.versions("arm").values())
    assert same == {**same, **tags, "score_rollout_success_rate": "0.85"}
    assert "score_rollout_success_rate" not in other
