"""Evaluations on OSMO: their workflows, problems and results."""

from dataclasses import replace

import pytest
from osmo_observed_run import Observed
from osmo_plans import (
    ONE,
    blobs,
    evaluation,
    find_codes,
    find_problems,
    payload,
    read_placement,
    read_task,
    read_workflow,
    render_plan,
    settings,
    source,
)
from robotrain.errors import Rejected
from robotrain.model.job import Job
from robotrain.model.workload_profile import OutputProfile, WorkloadProfile
from robotrain_osmo.platform import OSMO
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import submission_spec
from robotrain_runtime.contract import document
from robotrain_runtime.contract.event import Delivered, Evaluated, Tracking
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL

EVAL_IMAGE = LEROBOT_EVAL.profile.container.image


TRACKED = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w-1", "tracking_uri": None}
RESULTS = Evaluated(episodes=20, scores={"rollout/success_rate": 0.85}, results="/tmp/r/outputs/eval_results", step=400)
BLOBS = "https://robots.blob.core.windows.net/evaluations/run"
STORAGE = "azure://robots/evaluations/w-1/eval_results"
SEEN = "/tmp/robotrain/{run}/outputs/eval_results"


def of_workspace(uri: str) -> object:
    return evaluation(source("model_asset", uri, "policy"))


class TestWorkflow:
    def test_evaluation_has_its_own_image_and_resources(self) -> None:
        made = render_plan(evaluation())
        resources = read_workflow(made)["resources"]["default"]
        assert read_task(made)["name"] == "lerobot-eval"
        assert read_task(made)["image"] == EVAL_IMAGE
        assert (resources["gpu"], resources["cpu"], resources["memory"], resources["storage"]) == (1, 4, "32Gi", "40Gi")
        assert read_workflow(made)["timeout"] == {"exec_timeout": "2h"}

    def test_explain_shows_defaults(self) -> None:
        defaults = OSMO.plans.derive_defaults(evaluation(), OsmoSettings())
        assert (defaults["image"].value, defaults["cpu"].value, defaults["exec_timeout"].value) == (
            EVAL_IMAGE,
            "4",
            "2h",
        )
        assert defaults["image"].why == "for lerobot-eval"

    def test_results_are_copied_and_not_restored(self) -> None:
        made = render_plan(evaluation(publish_url="azure://robots/evaluations"))
        (copied,) = read_task(made)["checkpoint"]
        assert copied["path"] == SEEN.format(run=made.run)
        assert copied["url"] == "azure://robots/evaluations/{{workflow_id}}"
        assert "inputs" not in read_task(made)
        assert read_placement(made).left == ""
        assert document.parse_document(made.files["job.json"].decode()).parameters["publish_url"] is None
        assert submission_spec.SUBMISSION.parse(made.files["osmo.json"]).get_publish_url("w-1") == STORAGE


class TestProblems:
    def test_lost_results_are_reported(self) -> None:
        codes = {problem.code for problem in find_problems(evaluation())}
        assert "nothing-kept" in codes
        for problems in (find_problems(evaluation(publish_url=ONE)), find_problems(evaluation(), **TRACKED)):
            assert "nothing-kept" not in {problem.code for problem in problems}

    def test_model_of_a_workspace_needs_the_workspace(self) -> None:
        assert find_codes(of_workspace("azureml:arm:3"), **TRACKED) == set()
        full = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/models/arm/versions/3"
        assert find_codes(of_workspace(full)) == set()
        assert find_codes(of_workspace("azureml:arm:3")) == {"value-invalid"}

    def test_model_of_mlflow_needs_a_tracking_server(self) -> None:
        result = evaluation(source("registered_model", "models:/arm/3", "policy"))
        assert find_codes(result, tracking_uri="https://mlflow.example") == set()
        assert find_codes(result) == {"value-missing"}
        for code, of_it in (("value-missing", result), ("nothing-kept", evaluation())):
            off = next(
                problem
                for problem in find_problems(of_it, **TRACKED | {"tracking_uri": "none"})
                if problem.code == code
            )
            typed = next(way.text for way in off.suggestions if way.text.startswith("--tracking-uri")).split()[1]
            assert code not in {problem.code for problem in find_problems(of_it, **TRACKED | {"tracking_uri": typed})}


class TestOutputs:
    def test_published_results_are_listed(self, osmo) -> None:
        run = Observed(osmo, publishes=BLOBS)
        run.tell(RESULTS, Delivered(to="runs:/1"), Delivered(to=f"{BLOBS}/lerobot-eval-1"))
        (output,) = run.set_status("COMPLETED", exit_code=0).outputs()
        assert (output.name, output.kind, output.source) == ("eval_results", "file", "blob_url")
        assert output.uri == f"{BLOBS}/lerobot-eval-1"

    def test_copied_results_are_listed_once_complete(self, osmo, tmp_path) -> None:
        run = Observed(osmo, publishes=STORAGE)
        run.record(LEROBOT_EVAL.profile.outputs)
        run.tell(RESULTS)
        run.set_status("COMPLETED", exit_code=0)
        osmo.put(STORAGE, {"metrics.json": b"{}"})
        assert run.outputs() == []
        osmo.put(STORAGE, {"metrics.json": b"{}", "eval_results.json": b"{}"})
        (output,) = run.outputs()
        assert (output.name, output.kind) == ("eval_results", "file")
        OSMO.engine.download(run.reference, output, tmp_path / "brought")
        assert sorted(path.name for path in (tmp_path / "brought").iterdir()) == ["eval_results.json", "metrics.json"]

    def test_unpublished_results_name_the_tracking_run(self, run) -> None:
        run.set_status("RUNNING").tell(
            Tracking(uri="x", experiment_id="1", run_id="2", ui="https://ml.azure.com/2"), RESULTS
        )
        run.set_status("COMPLETED", exit_code=0)
        with pytest.raises(Rejected) as raised:
            run.outputs()
        (problem,) = raised.value.problems
        assert problem.title.startswith("the results of ")
        assert "https://ml.azure.com/2" in problem.why

    def test_untracked_policy_cannot_be_registered_later(self, run) -> None:
        run.record(LEROBOT_EVAL.profile.outputs)
        run.tell(RESULTS)
        run.set_status("COMPLETED", exit_code=0)
        with pytest.raises(Rejected) as raised:
            OSMO.engine.register(run.reference, "arm", None)
        (problem,) = raised.value.problems
        assert problem.code == "feature-not-there"


def test_workload_of_a_plugin_has_its_own_noun_and_output_folder(osmo) -> None:
    profile = WorkloadProfile(outputs=OutputProfile(folder="songs", noun="concert", complete_file="songs.json"))
    job = Job(workload="sing", parameters=(("publish_url", None),), sources=tuple(blobs()), profile=profile)
    assert any("concert" in problem.title for problem in OSMO.plans.check(job, settings()))
    job = replace(job, parameters=(("publish_url", "azure://acc/runs/choir"),))
    plan = OSMO.plans.render(job, settings(pool="default"), job.run_name(1), payload(), {"workload.sing": "choir"})
    assert OSMO.engine.submit(plan)["publishes"].endswith("/songs")
