"""`robotrain report A B C`: one page that compares several runs."""

import json
import shutil

import pytest
from fake_engine import set_run_state
from parsed_page import Page, read_page
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Evaluated, Metrics
from snapshots import check_snapshot

SCORES = {"rollout/success_rate": 0.5, "rollout/success_rate_low": 0.1, "rollout/success_rate_high": 0.9}


def make_other_data(dataset, folder):
    """Return a copy of a dataset with one file more."""
    shutil.copytree(dataset, folder)
    (folder / "meta" / "note.txt").write_text("other data")
    return folder


@pytest.fixture
def submit_training(robotrain, fake_platform, pusht):
    """Submit a training run with a logged loss: `submit_training("--batch-size", 8)` returns its name."""

    def submit(*words, dataset=pusht, **metrics):
        answer = robotrain("submit", "--platform", "fake", "--dataset-path", dataset, "--training-steps", 40, *words)
        run = answer.stdout.strip()
        values = {"train/loss": 0.5, "val/loss": 0.75} | metrics
        lines = [event.format_event(Metrics(values=values, step=step, total=40)) for step in (10, 20, 40)]
        set_run_state(fake_platform, run, "succeeded", log=lines)
        return run

    return submit


def test_curves_share_axes_and_only_differences_are_listed(robotrain, submit_training):
    runs = [submit_training("--batch-size", size) for size in (7, 13)]
    page = read_page(robotrain, *runs)
    assert page.count["svg"] == 2
    assert page.count["polyline"] == 4
    assert "batch_size" in page.texts
    assert {"7", "13"} <= set(page.texts)
    assert "training_steps" not in page.texts
    assert "Different sources" not in page.texts
    assert page.addresses == []
    labels = {text.partition(": ")[2] for text in page.texts}
    assert labels >= {"batch_size 7", "batch_size 13"}, "names that are equal, with what differs, label curves"
    assert set(page.texts) >= set(runs)


def test_named_runs_have_their_names_and_what_differs_in_one_table(robotrain, submit_training, pusht, tmp_path):
    other = make_other_data(pusht, tmp_path / "other")
    submit_training("--name", "pick-v1", "--batch-size", 7)
    submit_training("--name", "pick-v2", "--seed", 3, dataset=other)
    page = read_page(robotrain, "pick-v1", "pick-v2")
    assert {"pick-v1", "pick-v2", "dataset", "seed", "batch_size"} <= set(page.texts)
    assert {"1000", "3", "7", "32", "other"} <= set(page.texts)


def test_losses_of_different_names_have_a_column_and_a_chart_each(robotrain, scripted):
    for name, metric in (("command-1", "loss"), ("command-2", "train/loss")):
        scripted.run(name, *(Metrics(values={metric: 0.5 / step}, step=step) for step in (1, 2, 4)))
    page = read_page(robotrain, "command-1", "command-2")
    head = page.texts[page.texts.index("run") : page.texts.index("train/loss") + 1]
    assert "loss" in head
    assert {"Loss", "train/loss"} <= set(page.texts), "the titles of the charts"


def test_runs_of_one_name_are_told_apart_by_their_ids(robotrain, submit_training):
    runs = [submit_training("--name", "pick-v3", "--batch-size", size, "--seed", size) for size in (7, 13)]
    ids = [run.removeprefix("lerobot-train-") for run in runs]
    assert {f"pick-v3 ({run_id})" for run_id in ids} <= set(read_page(robotrain, *runs).texts)


def test_runs_of_one_job_are_told_apart(robotrain, submit_training):
    runs = [submit_training("--seed", 3), submit_training("--seed", 3)]
    texts = read_page(robotrain, *runs).texts
    ids = [run.removeprefix("lerobot-train-") for run in runs]
    assert [run_id for run_id in ids if not any(text.endswith(f"({run_id})") for text in texts)] == []


def test_json_of_a_comparison(robotrain, submit_training, pusht, tmp_path):
    other = make_other_data(pusht, tmp_path / "other")
    runs = [submit_training("--batch-size", 7), submit_training("--batch-size", 13, dataset=other)]
    comparison = robotrain("report", *runs, "--json").json
    assert list(comparison) == ["runs", "path", "settings", "data", "metrics", "scores", "verdicts"]
    assert (comparison["runs"], comparison["path"]) == (runs, str(tmp_path / "here/pusht-mini-act-vs-other-act.html"))
    assert (comparison["settings"], comparison["scores"]) == ([{"name": "batch_size", "values": ["7", "13"]}], [])
    assert [row["name"] for row in comparison["data"]] == ["dataset"]


def test_a_training_run_and_evaluations_are_on_one_page(robotrain, submit_training, scripted):
    run = submit_training()
    for name, rate in (("eval-1", 0.5), ("eval-2", 0.75)):
        evaluation = Evaluated(episodes=4, scores=SCORES | {"rollout/success_rate": rate}, results="/x/eval_results")
        each = Metrics(values={"ep0_mse": 1.0, "rollout_ep0_success": 1.0}, step=1, unit="episode")
        scripted.run(name, each, evaluation, state="succeeded")
    page = read_page(robotrain, "eval-1", run, "eval-2")
    assert page.count["svg"] == 4, "training and validation loss, and a success rate with its interval for each"
    assert page.count["g"] == 2
    assert "3 of 4, 75% (10-90%)" in page.texts
    assert "ep0_" not in page.text
    assert "no values" not in page.text
    check_snapshot("cli/snapshots/report-comparison.txt", page.sentences)


@pytest.mark.parametrize(
    ("first", "second", "facts"),
    [
        ([True] * 6 + [False], [False] * 6 + [True], ("Not decided after 7 pairs", "71 points (95% interval ")),
        ([True] * 6, [False] * 6, ("Not decided after 6 pairs", "100 points (95% interval -23 to 100)")),
        ([True] * 40, [False] * 40, ("eval-1 is better than eval-2 by 100 points",)),
        ([True, False], [True, False], ("Not decided after 2 pairs", "0 points (95% interval -92 to 92)")),
        ([True, False], [True, False, True], ("Not decided after 2 pairs", "1 episode without a partner")),
    ],
)
def test_whether_a_policy_is_better_is_said_as_compare_says_it(robotrain, record_evaluation, first, second, facts):
    record_evaluation("eval-1", first)
    record_evaluation("eval-2", second)
    sentences = read_page(robotrain, "eval-1", "eval-2").sentences
    assert [fact for fact in facts if fact.lower() not in sentences.lower()] == []
    assert "chance" not in sentences, "one answer a page"
    (verdict,) = robotrain("report", "eval-1", "eval-2", "--json").json["verdicts"]
    (compared,) = robotrain("compare", "eval-1", "eval-2", "--json").json["verdicts"]
    assert {name: verdict[name] for name in ("verdict", "pairs", "e_value")} == {
        name: compared[name] for name in ("verdict", "pairs", "e_value")
    }


def test_each_pair_of_five_runs_is_compared_on_the_page_and_as_data(robotrain, record_evaluation, tmp_path):
    names = [f"eval-{number}" for number in range(5)]
    for number, name in enumerate(names):
        record_evaluation(name, [True] * number + [False] * (5 - number))
    sentences = read_page(robotrain, *names).sentences
    assert ("for all 10 pairs of policies together" in sentences, "Fewer than 13 pairs" in sentences) == (True, True)
    verdicts = robotrain("report", *names, "--to", tmp_path / "x.html", "--json").json["verdicts"]
    assert len(verdicts) == 10
    most = next(verdict for verdict in verdicts if (verdict["first"], verdict["second"]) == ("eval-0", "eval-4"))
    assert {name: most[name] for name in ("wins", "losses", "verdict")} == {
        "wins": 0,
        "losses": 4,
        "verdict": "not decided",
    }


def test_episodes_that_repeat_a_start_are_one_trial(robotrain, record_evaluation, tmp_path):
    for name, success in (("eval-1", True), ("eval-2", False)):
        record_evaluation(name, [success])
        file = tmp_path / name / "eval_results/eval_results.json"
        rows = [{"seed": 1000 + at, "trial": 1000, "success": success} for at in range(20)]
        file.write_text(json.dumps({"rollout": {"episodes": 20, "trials": 1, "per_episode": rows}}))
    verdicts = robotrain("report", "eval-1", "eval-2", "--to", tmp_path / "x.html", "--json").json["verdicts"]
    assert [(verdict["pairs"], verdict["verdict"]) for verdict in verdicts] == [(1, "not decided")]
    assert "1 of 20: the others repeat a start" in read_page(robotrain, "eval-1").sentences


def test_rates_under_different_conditions_are_not_compared(robotrain, record_evaluation):
    record_evaluation("eval-1", [True, True])
    record_evaluation("eval-2", [False, False], "pusht, own starts; 5 episodes replayed")
    page = read_page(robotrain, "eval-1", "eval-2")
    assert "eval-2: pusht, own starts" in page.texts
    assert "cannot be compared with each other" in page.sentences
    assert "chance" not in page.sentences


def test_a_run_keeps_its_color_if_others_have_no_curve(robotrain, submit_training, scripted):
    scripted.run("eval-1", state="succeeded")
    text = robotrain("report", "eval-1", submit_training(), "--to", "-").stdout
    assert 'polyline class="series-2"' in text
    assert 'polyline class="series-1"' not in text


def test_runs_without_a_color_have_no_curve(robotrain, scripted):
    for number in range(9):
        scripted.run(f"train-{number}", Metrics(values={"train/loss": 1.0}, step=1), state="succeeded")
    page = read_page(robotrain, *(f"train-{number}" for number in range(9)))
    assert "train-8" in page.texts
    assert "Only the first 8 runs have curves." in page.sentences
    assert "train-8 1 at 1" not in page.sentences


def test_one_run_named_twice_is_one_run(robotrain, submit_training):
    run = submit_training()
    assert robotrain("report", run, run[:-1], "--json").json["run"] == run


def test_all_unknown_runs_are_named_and_no_page_is_written(robotrain, submit_training, tmp_path):
    robotrain("report", "nosuch-1", submit_training(), "nosuch-2").check_problems(2, "run-unknown")
    assert list((tmp_path / "here").iterdir()) == []


def test_texts_of_runs_are_escaped_and_redacted(robotrain, scripted):
    bad = "<i>token=hf_abcdefghijklmnopqrstuvwxyz0123456789</i>"
    for name in ("train-1", "train-2"):
        evaluation = Evaluated(episodes=1, scores={bad: 1.0}, results=bad)
        scripted.run(name, Metrics(values={bad: 1.0}, step=1), evaluation, state="succeeded")
    text = robotrain("report", "train-1", "train-2", "--to", "-").stdout
    assert "i" not in Page(text).count
    assert "hf_abc" not in text


def test_between_workloads_only_given_settings_differ(robotrain, submit_training, fake_platform, tmp_path):
    (tmp_path / "config.json").write_text('{"type": "act"}')
    (tmp_path / "model.safetensors").touch()
    words = ("--platform", "fake", "--policy-path", tmp_path, "--env", "pusht", "--job-name", "mine")
    evaluation = robotrain("submit", "lerobot-eval", *words).stdout.strip()
    settings = robotrain("report", submit_training("--job-name", "mine"), evaluation, "--json").json["settings"]
    result = {row["name"]: row["values"] for row in settings}
    assert result["env"] == [None, "pusht"]
    assert result["training_steps"] == ["40", None]
    assert not {"job_name", "slots", "save_freq", "eval_episodes"} & set(result)


def test_only_pages_of_the_runs_are_linked(robotrain, scripted, tmp_path):
    (tmp_path / "pages").mkdir()
    for name, called in (("train-1", "first"), ("train-2", "second")):
        scripted.run(name, state="succeeded")
        robotrain("rename", name, called)
        robotrain("report", name, "--to", tmp_path / "pages")
    robotrain("rename", "train-1", "third")
    robotrain("rename", "train-2", "first")
    robotrain("report", "train-1", "train-2", "--to", tmp_path / "pages/comparison.html")
    assert Page((tmp_path / "pages/comparison.html").read_text()).addresses == []
    robotrain("report", "train-1", "--to", tmp_path / "pages")
    robotrain("report", "train-2", "--to", tmp_path / "pages")
    robotrain("report", "train-1", "train-2", "--to", tmp_path / "pages/comparison.html")
    addresses = Page((tmp_path / "pages/comparison.html").read_text()).addresses
    assert addresses == ["third.html", "first.train-2.html"]
