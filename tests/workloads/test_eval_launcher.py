"""An evaluation as a process: its files, its log and its exit code."""

import signal

import pytest
from eval_launcher import PUSHT, list_events, read_strict_json, start_launcher
from robotrain_runtime.contract.event import Evaluated, Metrics, Note, Track
from small_training import read_lines_until

pytestmark = pytest.mark.slow
NETWORK = ("--policy.dim_model=32", "--policy.n_heads=2", "--policy.dim_feedforward=32")
UNTRAINED = {"builtin": "act", "policy_name": "act", "policy_source": "builtin", "dataset_name": "pusht-mini"}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """An untrained policy of which more is demanded than it can do; results of an earlier attempt are there."""
    output = tmp_path_factory.mktemp("judged")
    (output / "eval_results").mkdir()
    (output / "eval_results/stale.json").touch()
    process = start_launcher(
        output,
        NETWORK,
        **UNTRAINED,
        root=PUSHT / "dataset",
        env="pusht",
        env_steps=3,
        workers=0,
        success_threshold=0.5,
        keep_policy=output / "policy/000000",
        tag="framework=lerobot",
    )
    lines = process.communicate(timeout=300)[0].splitlines()
    return process.returncode, lines, output


def test_a_policy_below_what_is_demanded_ends_the_run_with_1_and_a_sentence(evaluated):
    returncode, lines, _ = evaluated
    assert returncode == 1
    assert lines[-1] == "error: the success rate 0.00 (0 of 2) is below --success-threshold 0.5"


def test_its_results_are_written_and_told_all_the_same(evaluated):
    _, lines, output = evaluated
    (told,) = list_events(lines, Evaluated)
    assert (told.episodes, told.passed, told.step) == (4, False, 0)
    assert (told.results, told.policy) == (str(output / "eval_results"), str(output / "policy/000000"))
    assert (told.scores["rollout/success_rate"], told.scores["replay/episodes"]) == (0.0, 2.0)
    assert read_strict_json(output / "eval_results/metrics.json")["aggregate_verdict"] == "fail"
    assert len((output / "eval_results/failure_cases.jsonl").read_text().splitlines()) == 2
    assert not (output / "eval_results/stale.json").exists()


def test_the_policy_that_was_made_is_kept_as_one_that_can_be_loaded(evaluated):
    *_, output = evaluated
    assert sorted(path.name for path in output.iterdir()) == ["eval_results", "policy"]
    kept = {path.name for path in (output / "policy/000000").iterdir()}
    assert {"config.json", "model.safetensors", "policy_preprocessor.json", "policy_postprocessor.json"} <= kept


def test_progress_is_told_in_episodes_over_both_ways(evaluated):
    _, lines, _ = evaluated
    told = list_events(lines, Metrics)
    assert {one.unit for one in told} == {"episode"}
    assert [(one.step, one.total) for one in told] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4), (4, 4)]
    named = {name for one in told for name in one.values}
    assert {"ep45_mse", "ep46_throughput_hz", "rollout_ep1_success"} <= named
    assert {"aggregate_mae", "rollout/success_rate_high"} <= named


def test_tracking_learns_what_was_evaluated_and_people_why_these_episodes(evaluated):
    _, lines, _ = evaluated
    tags, params = list_events(lines, Track)
    assert tags.tags == {"framework": "lerobot"}
    assert params.params == {"policy_type": "act", "device": "cpu", "fps": 10.0, "held_out": True}
    assert any(one.text.startswith("evaluating on cpu") for one in list_events(lines, Note))
    assert any("5 episodes of 50 may be replayed" in one.text for one in list_events(lines, Note))


def test_a_stop_ends_it_at_once_and_leaves_no_half_of_the_results(tmp_path, pusht):
    output = tmp_path / "outputs"
    given = {**UNTRAINED, "root": pusht, "episodes": 50, "batch": 1}
    process = start_launcher(output, NETWORK, **given, keep_policy=output / "policy/000000")
    lines = list(read_lines_until(process, '"total": 5,'))
    process.send_signal(signal.SIGTERM)
    lines += process.communicate(timeout=30)[0].splitlines()
    assert process.returncode == 143, lines
    assert not list_events(lines, Evaluated)
    assert list(output.iterdir()) == []
