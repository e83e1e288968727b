"""Sweeps: the trials that values make, what is refused before anything starts, and the table of results."""

import json
import re
from pathlib import Path

import pytest
from fake_engine import set_run_state
from robotrain.cli.app import app
from robotrain.pipelines import driven_engine, driver, progress
from robotrain.store import records
from robotrain.sweeps import results

ROOT = Path(__file__).parents[2]
JOB = ROOT / "examples/pusht-mini/job.yaml"


@pytest.fixture
def instant_platform(install, fake_platform, monkeypatch) -> Path:
    """Install instant_platform.py beside the fake platform, with a driver in this process; return their engine."""
    source = (ROOT / "tests/instant_platform.py").read_text()
    install("robotrain-instant", {"platform.instant": "instant_plugin"}, instant_plugin=source)
    monkeypatch.setattr(driver, "MIN_POLL_SECONDS", 0.001)
    monkeypatch.setattr(driven_engine, "start_driver", driver.drive_pipeline)
    return fake_platform


@pytest.fixture
def sweep(robotrain, instant_platform):
    """`robotrain sweep` of the example's job on instant."""
    return lambda *options: robotrain("sweep", JOB, "--platform", "instant", *options)


@pytest.fixture
def check_refused(sweep):
    """Check that a sweep is refused with these problems, with nothing sent."""

    def check(options: str, exit_code: int, *problems: str) -> None:
        sweep(*options.split()).check_problems(exit_code, *problems)
        assert records.list_runs() == []

    return check


def list_sent(folder: Path) -> list[dict[str, object]]:
    """What each submitted run was sent with, once for each time."""
    return [json.loads(line) for path in folder.glob("*.sent") for line in path.read_text().splitlines()]


def trial_values(answer) -> list[dict[str, str]]:
    """The values of each trial in the plan of a dry run."""
    plan = json.loads(answer.json["files"]["pipeline.json"]["text"])
    return list(plan["sweep"]["points"].values())


def test_each_combination_is_a_run_and_their_results_a_table(sweep, instant_platform, robotrain):
    answer = sweep("--over", "learning_rate=1e-2,1e-3", "--over", "seed=1..3", "--wait")
    assert answer.exit_code == 0, answer.stderr
    assert {(job["rate"], job["seed"]) for job in list_sent(instant_platform)} == {
        (r, s) for r in (1e-2, 1e-3) for s in (1, 2, 3)
    }
    run = next(records.iterate_runs(with_steps=False))
    status = robotrain("status", run)
    for output in (answer.stdout, status.stdout):
        rows = [line.split() for line in output.splitlines()]
        best = next(row for row in rows if row[:1] == ["trial-4"])
        assert best[1:5] == ["1e-3", "1", "succeeded", "0.01"]
        assert [row[:4] for row in rows if row[1:2] == ["3"] and len(row) == 6] == [
            ["1e-2", "3", "1.02", "1.01"],
            ["1e-3", "3", "0.02", "0.01"],
        ]  # the mean and the lowest of 0.01, 0.02 and 0.03
        assert ["robotrain", "register", best[-1], "MODEL"] in rows
        assert "trial-4  learning_rate=1e-3 seed=1  val/loss 0.01" in output
    row = robotrain("runs").stdout.splitlines()[1]
    assert "6/6 trials 0.01" in " ".join(row.split())
    shown = robotrain("status", run, "--json").json["sweep"]
    assert (shown["metric"], shown["best"]["trial"], len(shown["trials"])) == ("val/loss", "trial-4", 6)
    assert shown["groups"][1]["mean"] == pytest.approx(0.02)


def test_sweep_whose_trials_report_no_metric_says_which_are_missing(sweep, robotrain, monkeypatch):
    assert sweep("--over", "seed=1..2", "--wait").exit_code == 0
    assert "no trial reported" not in robotrain("status").stdout
    monkeypatch.setattr(results, "find_metric", lambda plan, scores: None)
    assert "no trial reported val/loss or train/loss" in robotrain("status").stdout


def test_a_failed_trial_stops_no_other_and_sets_the_exit_code(sweep, instant_platform):
    answer = sweep("--over", "seed=3..6", "--wait")
    assert answer.exit_code == 5
    assert [row.split()[2] for row in answer.stdout.splitlines() if row.split()[:1] and "trial-" in row.split()[0]][
        :4
    ] == ["succeeded", "failed", "succeeded", "succeeded"]
    assert "trial-2 failed: a wave came" in answer.stdout
    assert len(list_sent(instant_platform)) == 4


def test_the_best_trial_is_the_one_that_is_registered(sweep, robotrain):
    sweep("--over", "learning_rate=1e-2,1e-3,1e-4", "-r", "pusht-act")
    run = next(records.iterate_runs(with_steps=False))
    answer = robotrain("status", run)
    best = progress.read_progress(run).steps["trial-2"].run
    assert f"robotrain register {best} pusht-act" in answer.stdout
    assert robotrain("register", run, "pusht-act", "--json").json["uri"] == best


def test_trials_that_saved_nothing_are_not_offered_for_register(sweep, robotrain, instant_platform):
    (instant_platform / "unsaved").touch()
    sweep("--over", "learning_rate=1e-2,1e-3")
    run = next(records.iterate_runs(with_steps=False))
    answer = robotrain("status", run)
    assert "best        trial-2" in answer.stdout
    assert "robotrain register" not in answer.stdout + robotrain("report", run, "--to", "-").stdout
    robotrain("register", run, "pusht-act").check_problems(2, "checkpoint-missing")


def test_a_trial_registers_nothing(sweep):
    answer = sweep("--over", "seed=1,2", "-r", "pusht-act", "--dry-run", "--json")
    assert answer.stderr.count("[sweep-registers-nothing]") == 1
    assert '"register_checkpoint": null' in answer.json["files"]["pipeline.json"]["text"]
    assert '"register_checkpoint": "' not in answer.json["files"]["pipeline.json"]["text"]


def test_values_are_lists_ranges_settings_and_sources(sweep):
    answer = sweep("--over", "seed=1,5..6", "--over", "depth=1,2", "--set", "batch_size=8", "--dry-run", "--json")
    assert [(trial["seed"], trial["depth"]) for trial in trial_values(answer)] == [
        (seed, depth) for seed in "156" for depth in "12"
    ]
    plan = json.loads(answer.json["files"]["pipeline.json"]["text"])
    assert {step["settings"]["depth"] for step in plan["steps"]} == {1, 2}
    assert {step["parameters"]["batch_size"] for step in plan["steps"]} == {8}


def test_random_trials_are_the_same_for_the_same_seed(sweep):
    words = ("--over", "learning_rate=log:1e-5..1e-2", "--over", "batch_size=uniform:2..9", "--over", "policy_type=act")
    words = (*words, "--sampler", "random", "--samples", "12", "--dry-run", "--json")
    first, other = sweep(*words), sweep(*words, "--sampler-seed", "7")
    points = trial_values(first)
    assert points == trial_values(sweep(*words)) != trial_values(other)
    assert len(points) == 12
    assert all(1e-5 <= float(point["learning_rate"]) <= 1e-2 and 2 <= int(point["batch_size"]) <= 9 for point in points)
    assert sum(float(point["learning_rate"]) < 1e-4 for point in points) >= 2  # a third, not a hundredth


def test_every_invalid_value_is_reported_once_and_nothing_is_sent(check_refused):
    words = "--over learning_rate=-1,1e-3,fast --over seed=1..5 --over num_worker=1,2 --metric loss"
    values = (f"value-invalid --over learning_rate {value}" for value in ("-1", "fast"))
    check_refused(words, 2, "value-unknown --over num_worker", "sweep-metric-unknown --metric", *values)


def test_a_wrong_name_is_answered_with_the_nearest_one(sweep):
    answer = sweep("--over", "num_worker=1,2")
    answer.check_problems(2, "value-unknown --over num_worker")
    assert "use   --over num_workers=VALUE" in answer.stderr


def test_trials_share_no_output_folder(check_refused, sweep):
    check_refused("--over seed=1,2 -o /outputs", 3, "sweep-folder-shared --output-dir /outputs")
    assert sweep("--over", "seed=1,2", "-o", "outputs", "--dry-run").exit_code == 0
    assert sweep("--over", "output_dir=/a,/b", "--dry-run").exit_code == 0


def test_a_combination_that_the_platform_refuses_is_named_by_its_values(check_refused):
    check_refused("--over seed=12,13 --over batch_size=1,2", 3, "unlucky seed=13 batch_size=2")


REFUSED = {
    "": "value-invalid --over",
    "--over seed": "value-invalid --over seed",
    "--over seed=1,1": "value-invalid --over seed=1,1",
    "--over seed=1..99999999999": "value-invalid --over 1..99999999999",
    "--over learning_rate=0.1..0.5": "value-invalid --over 0.1..0.5",
    "--over learning_rate=log:0..1": "value-invalid --over 0..1",
    "--over learning_rate=log:1e-5..1e-2": "value-invalid --over",  # without a sampler
    "--over seed=1 --over --seed=2": "value-invalid --over seed, flag-without-value --over",
    "--over learning_rate=uniform:1..1e999 --sampler random --samples 2": "value-invalid --over 1..1e999",
    "--over seed=1,2 --sampler tpe --samples 2": "value-invalid --sampler",
    "--over seed=1,2 --seed 3": "options-conflict --over seed",
    "--over seed=1,2 --samples 3": "options-conflict --samples",
    "--over seed=1..600 --over batch_size=1,2": "sweep-too-large --over",
    "--over seed=1,2 --sampler random --samples 1001": "sweep-too-large --over",
    "--over seed=1,2 --sampler random": "value-missing",
    "--over seed=1,2 --at-most 0": "value-invalid --at-most 0",
    "--over learning_rate=uniform:-2..-1 --sampler random --samples 1": "value-invalid --over learning_rate",
}


def test_an_invalid_sweep_is_refused(check_refused):
    for words, problems in REFUSED.items():
        check_refused(words, 2, *problems.split(", "))


def test_a_seed_of_any_size_is_taken(sweep):
    words = "--over seed=1..9 --sampler random --samples 2 --sampler-seed 1234567890123"
    sweep(*words.split(), "--dry-run").check(0)


def test_a_sweep_that_needs_this_machine_is_noted(sweep, instant_platform):
    words = ("--over", "seed=1..3", "--dry-run")
    assert "driven-here" not in sweep(*words).stderr
    assert "driven-here" not in sweep(*words, "--at-most", "3").stderr
    assert "[driven-here]" in sweep(*words, "--at-most", "2").stderr


@pytest.mark.slow
def test_on_this_machine_one_trial_runs_at_a_time(robotrain):
    answer = robotrain("sweep", JOB, "--platform", "local", "--over", "seed=1,2", "--dry-run", "--json")
    assert json.loads(answer.json["files"]["pipeline.json"]["text"])["at_most"] == 1
    assert "one at a time" in answer.stderr


def test_a_cancelled_sweep_starts_no_more_and_resume_goes_on_with_the_rest(
    sweep, instant_platform, robotrain, monkeypatch
):
    (instant_platform / "asleep").touch()
    with monkeypatch.context() as patched:  # a driver that is stopped after its first look
        patched.setattr(driver.PipelineDriver, "_sleep", lambda self, seconds: (_ for _ in ()).throw(SystemExit))
        sweep("--over", "seed=1..3", "--at-most", "2")
    run = next(records.iterate_runs(with_steps=False))
    cancelled = robotrain("cancel", run)
    assert (cancelled.exit_code, "checkpoint" in cancelled.stdout) == (0, False)
    assert "robotrain resume sweep-pusht-mini" in cancelled.stdout
    states = [step.state for step in progress.read_progress(run).steps.values()]
    assert states == ["cancelled", "cancelled", "skipped"]
    assert "trial-3 skipped: the pipeline was cancelled" in robotrain("status", run).stdout
    (instant_platform / "asleep").unlink()
    answer = robotrain("resume", run, "--wait")
    assert answer.exit_code == 0, answer.stderr
    resumed = next(records.iterate_runs(with_steps=False))
    assert resumed != run
    assert "best        trial-1  seed=1" in robotrain("status", resumed).stdout
    assert len(list_sent(instant_platform)) == 5


def test_names_of_values_and_metrics_are_completed(monkeypatch, capsys, instant_platform):
    words = f"robotrain sweep {JOB} --platform instant"
    monkeypatch.setenv("_ROBOTRAIN_COMPLETE", "complete_bash")
    for typed, expected in (("--over dep", "depth="), ("--metric v", "val/loss"), ("--sampler r", "random")):
        monkeypatch.setenv("COMP_WORDS", f"{words} {typed}")
        monkeypatch.setenv("COMP_CWORD", str(len(f"{words} {typed}".split()) - 1))
        with pytest.raises(SystemExit):
            app(prog_name="robotrain")
        assert capsys.readouterr().out.split() == [expected]


def test_a_report_has_the_trials_best_first_and_their_curves(sweep, robotrain):
    sweep("--over", "learning_rate=1e-2,1e-3", "--over", "seed=1,2")
    run = next(records.iterate_runs(with_steps=False))
    page = robotrain("report", run, "--to", "-").stdout
    assert "its trials together: " in page
    lines = re.findall("<tr>.*</tr>", page)[:5]
    head, *rows = (re.findall(r"<t[hd][^>]*>(?:<span[^>]*>)?([^<]*)", line) for line in lines)
    assert head == ["trial", "learning_rate", "seed", "val/loss", "rank", "state", "run"]
    assert [f"{row[0]} {row[4]}" for row in rows] == ["trial-3 1", "trial-4 2", "trial-1 3", "trial-2 4"]
    assert [float(row[3]) for row in rows] == sorted(float(row[3]) for row in rows)
    assert page.count('series-1">trial-3 (learning_rate=1e-3 seed=1)</span>') == 2, "training and validation loss"
    assert page.count("<td>training_steps</td>") == 1, "a setting of all trials"
    assert "<td>learning_rate</td>" not in page
    assert "mean val/loss</th>" in page
    assert f"robotrain register {progress.read_progress(run).steps['trial-3'].run} MODEL" in page


def test_a_sweep_stands_for_its_best_trial_beside_others(sweep, robotrain):
    for name, rates in (("coarse", "1e-1,1e-2"), ("fine", "1e-3,1e-4")):
        sweep("--over", f"learning_rate={rates}", "--name", name)
    best_by_run = {
        run: results.describe_best(results.read_results(run)) for run in records.iterate_runs(with_steps=False)
    }
    page = robotrain("report", "coarse", "fine", "--to", "-").stdout
    assert page.count('series-1">coarse</span>') == 3, "the row, the training loss and the validation loss"
    answers = [page, *(robotrain(*words).stdout for words in (("diff", "coarse", "fine"), ("runs",)))]
    assert [best for best in best_by_run.values() if any(best not in answer for answer in answers)] == []
    assert [run["loss"] is None for run in robotrain("runs", "--json").json["runs"]] == [False, False]


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ((0.5, 0.25, 0.75), "trial-2: lr=1, loss 0.25"),
        ((0.5, 0.25, 0.25), "trial-2: lr=1, loss 0.25; as good as trial-3"),
        ((0.5, 0.5, 0.5, 0.5), "trial-1: lr=0, loss 0.5; as good as trial-2 and 2 others"),
        ((None, None), ""),
    ],
)
def test_the_best_trial_is_named_with_those_that_are_as_good(scores, best):
    trials = tuple(
        results.Trial(f"trial-{number + 1}", f"run-{number}", "succeeded", {"lr": number}, score)
        for number, score in enumerate(scores)
    )
    best_trial = next(iter(results.rank_scored(trials, "lower")), None)
    assert results.describe_best(results.SweepResults(("lr",), "loss", "lower", trials, (), best_trial)) == best


@pytest.mark.parametrize("separator", ["-", "/"])
def test_a_trial_is_named_by_its_sweep_and_its_place(sweep, robotrain, instant_platform, separator):
    sweep("--over", "learning_rate=1e-2,1e-3", "--name", "rates")
    run = next(records.iterate_runs(with_steps=False))
    trial = progress.read_progress(run).steps["trial-2"].run
    for owner in ("rates", run):
        assert robotrain("status", f"{owner}{separator}trial-2", "--json").json["run"] == trial
    best_run = results.read_results(run).best.run
    set_run_state(instant_platform, best_run, checkpoints=[4, 8])
    answer = robotrain("outputs", "rates", "--checkpoint", "best", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert (answer.json["run"], [output["step"] for output in answer.json["outputs"]]) == (best_run, [8])
    answer = robotrain("status", f"rates{separator}trial-3", "--json")
    answer.check_problems(2, "run-unknown")
