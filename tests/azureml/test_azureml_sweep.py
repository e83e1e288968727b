"""A sweep as one sweep job: what is sent, what its trials say, and what stays with this machine."""

from dataclasses import replace

import pytest
import yaml
from azure_stand_in.ml.azureml import AzureML
from azureml_observed_run import sealed
from azureml_plans import PLUGIN_MODULES, find_rejection, job, payload, read_document, settings
from azureml_plans import render_plan as render_job
from azureml_workspace_plans import add_dataset
from robotrain.cluster.outputs import parse_run_log
from robotrain.model.pipeline import SweepSpec
from robotrain_azure import outputs
from robotrain_azureml.platform import AZUREML
from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import Dimension, parse_document
from robotrain_runtime.contract.event import Checkpoint, Metrics, Outcome, Track
from robotrain_runtime.contract.trial_values import set_trial_values

COMPUTE = "k8s-robot-dev-00"
GRID = ("--over", "learning_rate=1e-5,1e-4", "--over", "seed=1..2")
RANDOM = ("--over", "learning_rate=log:1e-5..1e-3", "--over", "batch_size=uniform:2..9")
RANDOM = (*RANDOM, "--sampler", "random", "--samples", "12", "--sampler-seed", "7")


@pytest.fixture
def workspace(observing, name_workspace) -> AzureML:
    """The workspace, with a compute and a dataset."""
    observing.kubernetes(COMPUTE)
    observing.data("episodes", 3, add_dataset(observing, "episodes/3"))
    name_workspace(observing, COMPUTE)
    return observing


@pytest.fixture
def sweep(workspace, robotrain):
    """`robotrain sweep` of a training on Azure ML."""
    words = ("sweep", "lerobot-train", "--platform", "azureml", "--dataset-asset", "azureml:episodes:3")
    return lambda *options: robotrain(*words, *options)


@pytest.fixture
def render(sweep):
    """The sweep job and the job document of a sweep."""

    def render(*options: str) -> tuple[dict, str]:
        answer = sweep(*options, "--dry-run", "--native-only", "--json")
        assert answer.exit_code == 0, answer.stderr
        files = answer.json["files"]
        return yaml.safe_load(files["sweep-job.yaml"]["text"]), files["code/job.json"]["text"]

    return render


def test_a_grid_is_a_search_space_of_choices(render):
    job, text = render(*GRID, "--at-most", "2", "--exec-timeout", "2h")
    assert job["type"] == "sweep"
    assert job["search_space"] == {
        "learning_rate": {"type": "choice", "values": [1e-5, 1e-4]},
        "seed": {"type": "choice", "values": [1, 2]},
    }
    assert job["sampling_algorithm"] == "grid"
    assert job["objective"] == {"goal": "minimize", "primary_metric": "val/loss"}
    assert job["limits"] == {"max_total_trials": 4, "max_concurrent_trials": 2, "trial_timeout": 7200}
    assert job["trial"]["command"] == (
        "/bin/sh python.sh -I start.py"
        " --set learning_rate=${{search_space.learning_rate}} --set seed=${{search_space.seed}}"
    )
    assert "path" not in job["outputs"]["checkpoints"], "trials would share it"
    assert job["compute"] == f"azureml:{COMPUTE}"
    document = parse_document(text)
    assert document.space["seed"].choices == (1, 2)
    trial = set_trial_values(document, ["learning_rate=0.0001", "seed=2"])
    assert (trial.parameters["learning_rate"], trial.parameters["seed"]) == (1e-4, 2)


def test_ranges_are_distributions_whose_logarithms_azure_takes(render):
    job, text = render(*RANDOM)
    space = job["search_space"]
    assert space["batch_size"] == {"type": "quniform", "min_value": 2, "max_value": 9, "q": 1}
    rate = space["learning_rate"]
    assert (rate["type"], round(rate["min_value"], 4), round(rate["max_value"], 4)) == ("loguniform", -11.5129, -6.9078)
    assert job["sampling_algorithm"] == {"type": "random", "seed": 7}
    assert job["limits"] == {"max_total_trials": 12, "max_concurrent_trials": 12}
    document = parse_document(text)
    trial = set_trial_values(document, ["learning_rate=9.99999999e-06", "batch_size=4.0"])
    assert (trial.parameters["learning_rate"], trial.parameters["batch_size"]) == (1e-5, 4)


OWN_WORK = """
from dataclasses import dataclass
from robotrain.plugin import Metric, UserCommand, Workload, WorkloadProfile, hook

@dataclass(frozen=True, kw_only=True)
class Parameters:
    pass

@hook
def robotrain_workloads():
    metrics = (Metric(name="loss", kind="loss", label="loss", better="lower"),)
    return [Workload(name="mine", summary="", parameters=Parameters, roles={}, container_plugin="mine_work",
                     own_command=UserCommand(), profile=WorkloadProfile(metrics=metrics))]
"""


def test_parameters_of_the_users_own_are_texts_of_the_search_space(workspace, robotrain, install):
    install("acme-mine", {"workload.mine": "mine_work"}, mine_work=OWN_WORK)
    words = ("sweep", "mine", "--platform", "azureml", "--dry-run", "--native-only", "--json")
    answer = robotrain(*words, "--over", "lr=1e-4,0.0010", "--over", "layers=2..3", "--over", "flip=true,no")
    assert answer.exit_code == 0, answer.stderr
    files = answer.json["files"]
    space = yaml.safe_load(files["sweep-job.yaml"]["text"])["search_space"]
    assert {name: choice["values"] for name, choice in space.items()} == {
        "lr": ["1e-4", "0.0010"],
        "layers": ["2", "3"],
        "flip": ["true", "no"],
    }
    document = parse_document(files["code/job.json"]["text"])
    for text in ("1e-4", "0.0001"):  # as it was sent, and as a reader of numbers writes it
        trial = set_trial_values(document, [f"lr={text}", "layers=3", "flip=no"])
        assert trial.parameters == {"lr": "1e-4", "layers": "3", "flip": "no"}


def test_the_metric_and_its_direction_are_the_objective(render, robotrain, workspace):
    job, _ = render(*GRID, "--metric", "train/loss")
    assert job["objective"] == {"goal": "minimize", "primary_metric": "train/loss"}


@pytest.mark.parametrize("options", [("--no-val-split",), ("--eval-freq", "0")])
def test_the_objective_is_a_metric_that_the_trials_will_log(render, sweep, options):
    job, _ = render("--over", "seed=1,2", *options)
    assert job["objective"] == {"goal": "minimize", "primary_metric": "train/loss"}
    refused = sweep("--over", "seed=1,2", *options, "--metric", "val/loss", "--dry-run", "--json")
    [problem] = [problem for problem in refused.json["problems"] if problem["severity"] == "error"]
    assert (refused.exit_code, problem["code"]) == (3, "sweep-metric-unknown")
    assert "use   --metric train/loss" in refused.stderr


def test_the_objective_is_logged_by_every_trial(render):
    job, _ = render("--over", "val_split=0,0.2")
    assert job["objective"]["primary_metric"] == "train/loss"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--over", "seed=1,2", "--set", "datastore=workspaceartifactstore"), "goes to workspaceblobstore"),
        (
            ("--over", "seed=1,2", "--publish-url", "https://rtmemory.blob.core.windows.net/box/p"),
            "publish to one place",
        ),
        (("--over", "num_gpus=1,2"), "resources of the job changes"),
        (("--over", "shm_size=8g,9g"), "shm_size is no parameter of lerobot-train"),
        (("--over", "job_name=a b,c"), "is not of letters, digits"),
        (("--points", "POINTS"), "a list of points is no search space"),
    ],
)
def test_what_the_engine_cannot_do_stays_with_this_machine(sweep, tmp_path, options, reason):
    (tmp_path / "points.csv").write_text("seed\n1\n2\n")
    options = [str(tmp_path / "points.csv") if option == "POINTS" else option for option in options]
    answer = sweep(*options, "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    assert "azureml does not run this sweep on its own" in answer.stderr
    assert reason in answer.stderr
    refused = sweep(*options, "--dry-run", "--native-only")
    assert (refused.exit_code, "[sweep-not-native]" in refused.stderr) == (3, True)


def test_both_ends_of_a_range_are_checked(sweep, workspace):
    answer = sweep("--over", "batch_size=uniform:0..9", "--sampler", "random", "--samples", "3")
    assert answer.exit_code == 2
    assert workspace.jobs == {}


@pytest.fixture
def submit(sweep):
    """Submit a sweep: the run's name, and the name of its job."""

    def submit(*options: str) -> tuple[str, str]:
        answer = sweep(*(options or GRID), "--native-only", "--json")
        assert answer.exit_code == 0, answer.stderr
        return answer.json["run"], answer.json["reference"]["job"]

    return submit


def begin_trial(trial) -> dict[str, float]:
    """A trial starts: its values, as the runtime logs them."""
    words = trial.command.split("--set ")[1:]
    values = {name: float(text) for name, _, text in (word.strip().partition("=") for word in words)}
    trial.state("Running")
    trial.say("loading", event.format_event(Track(params=values)))
    return values


def succeed_trial(trial, loss: float) -> None:
    """A trial ends well."""
    trial.say(event.format_event(Metrics(values={"val/loss": loss}, step=20)))
    trial.say(event.format_event(Checkpoint(step=20, path="/mnt/outputs/checkpoints/000020")))
    trial.say(event.format_event(Outcome(state="succeeded", exit_code=0)))
    trial.state("Completed")


@pytest.mark.slow
def test_a_sweep_is_one_job_whose_trials_are_a_table(submit, workspace, robotrain, tmp_path):
    run, job = submit(*GRID, "-r", "pusht-act")
    assert [name for name, workspace_job in workspace.jobs.items() if workspace_job.parent is None] == [job]
    identity = workspace.jobs[job].body["identity"]["clientId"]
    assert identity == workspace.environ["AZURE_CLIENT_ID"], "as the compute has it"
    status = robotrain("status", run, "--json").json
    assert [(step["name"], step["state"]) for step in status["steps"]][:2] == [
        ("trial-1", "pending"),
        ("trial-2", "pending"),
    ]
    trials = workspace.steps(job)
    for trial in trials.values():
        begin_trial(trial)
    assert robotrain("logs", run, "--step", "trial-3").stdout.splitlines()[0] == "loading"
    assert robotrain("status", run, "--json").json["sweep"]["trials"][3]["values"] == {"learning_rate": 1e-4, "seed": 2}
    for number, (trial, loss) in enumerate(zip(trials.values(), (0.4, 0.5, 0.2, 0.1), strict=True)):
        files = sealed(20, run=run, submission=trial.name)
        folder = f"azureml/{job}_{number}/checkpoints/000020"
        workspace.store.put(workspace.container, {f"{folder}/{name}": content for name, content in files.items()})
        succeed_trial(trial, loss)
    status = robotrain("status", run, "--json").json
    sweep = status["sweep"]
    assert (status["state"], sweep["metric"], sweep["best"]["trial"]) == ("succeeded", "val/loss", "trial-4")
    assert [(group["values"], group["mean"]) for group in sweep["groups"]] == [
        ({"learning_rate": 1e-5}, pytest.approx(0.45)),
        ({"learning_rate": 1e-4}, pytest.approx(0.15)),
    ]
    shown = robotrain("status", run).stdout
    assert f"robotrain register {run} --step trial-4 pusht-act" in shown
    assert f"{job}_3" in shown
    assert "trial-2/checkpoints/000020" in robotrain("outputs", run).stdout
    assert robotrain("report", run, "--to", tmp_path / "report.html").exit_code == 0
    page = (tmp_path / "report.html").read_text()
    assert f"register {run} --step trial-4 pusht-act" in page
    assert ("<td>dataset</td>" in page, "<td>learning_rate</td>" in page) == (True, False)
    assert run in robotrain("runs").stdout
    registered = robotrain("register", run, "pusht-act")
    assert registered.exit_code == 0, registered.stderr
    (version,) = workspace.versions("pusht-act").values()
    assert version["modelUri"].startswith(f"azureml://jobs/{job}_3/outputs/checkpoints/")
    assert version["tags"]["azureml_run_id"] == f"{job}_3"
    assert robotrain("wait", run).exit_code == 0


@pytest.mark.slow
def test_a_failed_trial_fails_the_sweep_and_stops_no_other(submit, workspace, robotrain):
    run, job = submit(*GRID, "--at-most", "2")
    assert [*workspace.steps(job)] == [f"{job}_0", f"{job}_1"]
    first = workspace.steps(job)[f"{job}_0"]
    begin_trial(first)
    first.say(event.format_event(Outcome(state="failed", reason="the loss is not finite", exit_code=1)))
    first.fail("ExecutionFailed", "User process 'python3' exited with status code 1.")
    states = [step["state"] for step in robotrain("status", run, "--json").json["steps"]]
    assert states == ["failed", "pending", "pending", "waiting"]
    sweep = robotrain("status", run, "--json").json["sweep"]
    assert [row["values"] for row in sweep["trials"][1:]] == [{}] * 3, "not known before they start"
    assert [group["trials"] for group in sweep["groups"]] in ([], [["trial-1"]])
    for number in (1, 2, 3):
        trial = workspace.steps(job)[f"{job}_{number}"]
        begin_trial(trial)
        succeed_trial(trial, 0.1)
    status = robotrain("status", run, "--json").json
    assert (status["state"], "step trial-1 failed: the loss is not finite" in status["reason"]) == ("failed", True)
    assert robotrain("wait", run).exit_code == 5
    robotrain("resume", run).check_problems(2, "sweep-not-resumable")
    assert "robotrain resubmit sweep-episodes-3-act" in robotrain("status", run).stdout


@pytest.mark.slow
def test_a_sweep_is_cancelled_as_a_whole_and_submitted_again(submit, workspace, robotrain):
    run, job = submit(*GRID, "--at-most", "1")
    begin_trial(workspace.steps(job)[f"{job}_0"])
    assert robotrain("cancel", run).exit_code == 0
    assert workspace.jobs[job].status == "Canceled"
    states = [step["state"] for step in robotrain("status", run, "--json").json["steps"]]
    assert states == ["cancelled", "skipped", "skipped", "skipped"]
    second = robotrain("resubmit", run, "--json")
    assert second.exit_code == 0, second.stderr
    later = workspace.jobs[second.json["reference"]["job"]].body
    assert later["searchSpace"] == workspace.jobs[job].body["searchSpace"]


def test_truth_values_and_texts_are_choices_of_text(workspace):
    space = {"amp": Dimension(choices=(True, False)), "name": Dimension(choices=("act", "true", "1e5"))}
    parts = {"payload": payload(), "container_plugins": PLUGIN_MODULES, "trials": ("a", "b"), "sampler": "grid"}
    spec = SweepSpec(jobs=(job(),), settings=settings(), space=space, metric="val/loss", better="lower", **parts)
    rendered = AZUREML.plans.render_sweep(spec, job(), "sweep-1")
    document = yaml.safe_load(rendered.files["sweep-job.yaml"])
    values = {name: parameter["values"] for name, parameter in document["search_space"].items()}
    assert values == {"amp": ["true", "false"], "name": ["act", "true", "1e5"]}
    trial = set_trial_values(parse_document(rendered.files["code/job.json"].decode()), ["amp=false", "name=1e5"])
    assert (trial.parameters["amp"], trial.parameters["name"]) == (False, "1e5")


def test_a_sweep_that_azure_ml_cannot_run_is_not_rendered(workspace):
    jobs = tuple(job(seed=1, num_gpus=gpus) for gpus in (1, 2))
    parts = {"payload": payload(), "container_plugins": PLUGIN_MODULES, "trials": ("a", "b"), "sampler": "grid"}
    spec = SweepSpec(jobs=jobs, settings=settings(), space={}, metric="val/loss", better="lower", **parts)
    problem = find_rejection(lambda: AZUREML.plans.render_sweep(spec, jobs[0], "sweep-1"))
    assert (problem.code, "resources" in problem.title) == ("sweep-not-native", True)


def test_a_registered_trial_is_described_by_its_own_values():
    document = replace(
        read_document(render_job(job(training_steps=5))), space={"training_steps": Dimension(choices=(5, 6))}
    )
    log = parse_run_log([event.format_event(Track(params={"training_steps": 6}))])
    metadata = outputs.make_model_metadata("sweep-1", "azureml", 6, document, log, {})
    assert metadata.tags["training_steps"] == "6"
    assert "6 steps" in metadata.description
