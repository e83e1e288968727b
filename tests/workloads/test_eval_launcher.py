"""An evaluation as a process: its files, its log and its exit code."""

import signal

import pytest
from eval_launcher import PUSHT, list_events, read_strict_json, start_launcher
from robotrain_runtime.contract.event import Evaluated, Metrics, Note, Track
from small_training import read_lines_until

pytestmark = pytest.mark.slow
NETWORK = ("--policy.dim_model=32", "--policy.n_heads=2", "--policy.dim_feedforward=32")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """An evaluation of an untrained policy below the threshold, where an earlier attempt left results."""
    work = tmp_path_factory.mktemp("judged")
    output = work / "outputs"
    (output / "eval_results").mkdir(parents=True)
    (output / "eval_results/stale.json").touch()
    rolled = {"env": "pusht", "env_steps": 3, "env_workers": 0, "success_threshold": 0.5}
    process = start_launcher(work, NETWORK, builtin_policy=True, dataset=PUSHT / "dataset", **rolled)
    lines = process.communicate(timeout=300)[0].splitlines()
    return process.returncode, lines, output


def test_a_policy_below_the_threshold_fails_the_run_after_its_results_are_written(evaluated):
    returncode, lines, output = evaluated
    assert returncode == 1
    assert lines[-1] == "error: the success rate 0.00 (0 of 2) is below --success-threshold 0.5"
    (event,) = list_events(lines, Evaluated)
    assert (event.episodes, event.passed, event.step) == (4, False, 0)
    assert (event.results, event.policy) == (str(output / "eval_results"), "")
    assert (event.scores["rollout/success_rate"], event.scores["replay/episodes"]) == (0.0, 2.0)
    assert read_strict_json(output / "eval_results/metrics.json")["aggregate_verdict"] == "fail"
    assert len((output / "eval_results/failure_cases.jsonl").read_text().splitlines()) == 2
    assert not (output / "eval_results/stale.json").exists()


def test_progress_parameters_and_the_choice_of_episodes_are_reported(evaluated):
    _, lines, _ = evaluated
    events = list_events(lines, Metrics)
    assert {event.unit for event in events} == {"episode"}
    assert [(event.step, event.total) for event in events] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4), (4, 4)]
    names = {name for event in events for name in event.values}
    assert {"ep45_mse", "ep46_throughput_hz", "rollout_ep1_success"} <= names
    assert {"aggregate_mae", "rollout/success_rate_high"} <= names
    (params,) = list_events(lines, Track)
    assert params.params == {"policy_type": "act", "device": "cpu", "fps": 10.0, "held_out": True}
    notes = [note.text for note in list_events(lines, Note)]
    assert any(text.startswith("evaluating on cpu") for text in notes)
    assert any("5 episodes of 50 may be replayed" in text for text in notes)


def test_a_stop_ends_it_at_once_and_leaves_no_partial_results(tmp_path, pusht):
    parameters = {"builtin_policy": True, "dataset": pusht, "eval_episodes": 50, "eval_batch_size": 1}
    process = start_launcher(tmp_path, NETWORK, **parameters)
    lines = list(read_lines_until(process, '"total": 5,'))
    process.send_signal(signal.SIGTERM)
    lines += process.communicate(timeout=30)[0].splitlines()
    assert process.returncode == 143, lines
    assert not list_events(lines, Evaluated)
    assert list((tmp_path / "outputs").iterdir()) == []
