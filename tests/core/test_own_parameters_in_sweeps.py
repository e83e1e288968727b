"""Sweeps over parameters of the user's own: texts, whose ranges are of whole numbers if both ends are."""

import json
from pathlib import Path

import pytest
import yaml
from plugin_sources import make_workload
from robotrain.pipelines import driven_engine, driver

WORKLOAD = make_workload(
    "mine",
    'seed: Annotated[int, Param(help="the seed")] = 1',
    'learning_rate: Annotated[float, Param(help="the rate")] = 0.001',
    'batch_size: Annotated[int, Param(help="the size")] = 1',
    'metrics: Annotated[str | None, Param(help="what it prints", flag="--metric", form="pairs")] = None',
    container_plugin='"mine_work"',
    own_command="UserCommand()",
    get_option_name='lambda argument: ""',
    profile="WorkloadProfile(metrics=METRICS)",
).replace("import Param", "import Metric, UserCommand, Param, WorkloadProfile")
WORKLOAD += """
METRICS = (
    Metric(name="val/loss", kind="validation", label="loss", better="lower"),
    Metric(name=".*_error", pattern=True, kind="loss", label="error", better="lower"),
)
"""


@pytest.fixture(autouse=True)
def mine(install):
    install("acme-mine", {"workload.mine": "mine_work"}, mine_work=WORKLOAD)
    job = {"workload": "mine", "run": ["python", "{lr}"], "params": {"lr": "1", "layers": "1", "kind": "plain"}}
    Path("job.yaml").write_text(yaml.safe_dump(job))


@pytest.fixture
def sweep(robotrain):
    def run(platform, *options):
        answer = robotrain("sweep", "job.yaml", "--platform", platform, *options, "--json")
        assert answer.exit_code == 0, answer.stderr
        return answer.json

    return run


def list_parameters(plan):
    """The own parameters of each trial in a plan."""
    steps = json.loads(plan["pipeline.json"])["steps"]
    return [{name: step["parameters"][name] for name in ("lr", "layers", "kind")} for step in steps]


def test_each_trial_has_its_texts_as_they_were_typed(fake_platform, sweep):
    answer = sweep("fake", "--over", "lr=1e-4,0.0010", "--over", "layers=2..3", "--over", "kind=True,a b", "--dry-run")
    trials = list_parameters({"pipeline.json": answer["files"]["pipeline.json"]["text"]})
    assert len(trials) == 8
    assert trials[:2] == [{"lr": "1e-4", "layers": "2", "kind": text} for text in ("True", "a b")]
    assert {trial["lr"] for trial in trials} == {"1e-4", "0.0010"}


def test_drawn_values_are_whole_if_both_ends_are(fake_platform, sweep):
    words = ("--over", "lr=log:1e-5..1e-2", "--over", "layers=uniform:1..40", "--over", "seed=uniform:1..9")
    answer = sweep("fake", *words, "--sampler", "random", "--samples", "6", "--dry-run")
    trials = list_parameters({"pipeline.json": answer["files"]["pipeline.json"]["text"]})
    assert all(trial["layers"].isdecimal() and 1e-5 <= float(trial["lr"]) <= 1e-2 for trial in trials)
    assert len({trial["lr"] for trial in trials}) == 6


def test_name_that_nothing_gives_is_a_new_one_unless_it_is_nearly_another(robotrain, fake_platform):
    words = ("sweep", "mine", "--platform", "fake", "--dry-run", "--json")
    answer = robotrain(*words, "--over", "width=1,2", "--", "python", "{width}")
    assert answer.exit_code == 0, answer.stderr
    steps = json.loads(answer.json["files"]["pipeline.json"]["text"])["steps"]
    assert [step["parameters"]["width"] for step in steps] == ["1", "2"]
    sweep = ("sweep", "job.yaml", "--platform", "fake", "--over")
    for name in ("layerz", "learning_rat"):
        robotrain(*sweep, f"{name}=1,2").check_problems(2, f"value-unknown --over {name}")
    robotrain(*sweep, "lr=1,2", "--param", "lr=1").check_problems(2, "options-conflict --over lr")


@pytest.mark.parametrize(
    ("metric", "chosen"),
    [
        ("val/loss", ["val/loss", "lower"]),
        ("hand_error", ["hand_error", "lower"]),
        ("grasps:higher", ["grasps", "higher"]),
        ("a:b:lower", ["a:b", "lower"]),
    ],
)
def test_metric_of_the_users_own_compares_the_trials(fake_platform, sweep, metric, chosen):
    own = ("--metric", "grasps=grasped ([0-9]+)")
    answer = sweep("fake", "--over", "lr=1,2", *own, "--compare-by", metric, "--dry-run")
    assert json.loads(answer["files"]["pipeline.json"]["text"])["sweep"]["metrics"] == [chosen]


def test_trials_that_report_no_metric_of_the_workload_are_compared_by_a_usual_one(
    install, fake_platform, robotrain, monkeypatch
):
    source = (Path(__file__).parents[1] / "instant_platform.py").read_text()
    install("robotrain-instant", {"platform.instant": "instant_plugin"}, instant_plugin=source)
    monkeypatch.setattr(driver, "MIN_POLL_SECONDS", 0.001)
    monkeypatch.setattr(driven_engine, "start_driver", driver.drive_pipeline)
    metrics = """
        Metric(name="score", kind="score", headline=True, better="higher"),
        Metric(name=".*loss", pattern=True, kind="loss", label="loss", better="lower"),
        Metric(name="val/.*", pattern=True, kind="validation", label="validation loss"),
    """
    named = 'Metric(name="val/loss", kind="validation", label="loss", better="lower"),'
    source = WORKLOAD.replace(named, metrics).replace("mine", "printer")
    install("acme-printer", {"workload.printer": "printer_work"}, printer_work=source)
    words = ("--platform", "instant", "--over", "seed=1..3", "--wait")
    answer = robotrain("sweep", "printer", *words, "--", "python", "train.py")
    assert answer.exit_code == 0, answer.stderr
    assert "the first that they report of score, validation loss, loss, error" in answer.stderr
    shown = robotrain("status", "--json").json["sweep"]
    assert (shown["metric"], shown["best"]["trial"]) == ("val/loss", "trial-1")


def test_metric_whose_better_value_nobody_knows_is_refused(robotrain, fake_platform):
    words = ("sweep", "job.yaml", "--platform", "fake", "--over", "lr=1,2")
    robotrain(*words, "--compare-by", "grasps").check_problems(2, "sweep-metric-unknown --compare-by")
