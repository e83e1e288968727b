"""The files of an evaluation, made of given numbers."""

import json
import math
from contextlib import nullcontext
from dataclasses import replace

import pytest
from eval_launcher import read_strict_json
from hypothesis import given
from hypothesis import strategies as st
from robotrain_runtime.comparison.rates import compute_success_interval
from robotrain_runtime.contract.event import Scored
from robotrain_workloads.evaluation import result_files
from robotrain_workloads.evaluation.rollout_scores import RolloutEpisode, RolloutResult
from robotrain_workloads.lerobot_eval import replay
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
from robotrain_workloads.lerobot_eval.results import result_store, summary
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult, ReplayEpisode, ReplayResult

POLICY = {"source": "local-path", "name": "p", "pin": None, "type": "act", "step": 400, "sha256": "0" * 64}
MEASURED = {3: [0.001, 0.002], 4: [0.003, 0.010]}
REQUEST = EvaluationRequest(job_name="lerobot-eval", env="pusht", dataset="pusht-mini")
FOUND = EvaluationResult(request=REQUEST, policy=POLICY, device="cpu")


def explain_low_success(evaluation) -> str:
    scored = Scored(step=0, scores=summary.compute_scores(evaluation), passed=evaluation.passed)
    return summary.explain_low_success(scored, evaluation.request.success_threshold)


def make_rollout(*successes: bool) -> RolloutResult:
    return RolloutResult(
        episodes=[
            RolloutEpisode(
                index=index,
                seed=1000 + index,
                steps=10 * (index + 1),
                sum_reward=2.0,
                max_reward=0.5,
                final_reward=0.25,
                success=success,
                seconds=1.0,
                video=f"videos/episode_{index:03d}.mp4",
            )
            for index, success in enumerate(successes)
        ]
    )


def episode(number: int, steps: int, mse: float, seconds=(0.001, 0.003, math.nan)) -> ReplayEpisode:
    each = {"x": mse, "y": 3 * mse}
    return ReplayEpisode(
        episode=number,
        steps=steps,
        mse=mse,
        mae=mse / 2,
        max_error=9.0,
        each_mse=each,
        each_mae=each,
        each_max=each,
        predicted=None,
        recorded=None,
        seconds=seconds,
    )


def replayed(*episodes: ReplayEpisode) -> ReplayResult:
    return ReplayResult(episodes=episodes, latency=replay.summarize_latency(MEASURED), seconds=2.0)


@pytest.mark.parametrize(("seconds", "warmed", "measured"), [(63.0, 1, 1), (3.0, 4, 3), (0.0, 5, 9)])
def test_latency_of_a_slow_policy_is_measured_no_longer_than_it_takes_to_know(monkeypatch, seconds, warmed, measured):
    clock, calls = [0.0], []

    def acted(loaded, recording, episode):
        for _ in range(recording):
            clock[0] += seconds
            calls.append(episode)
            yield seconds

    monkeypatch.setattr(replay, "_time_actions", acted)
    monkeypatch.setattr(replay.time, "perf_counter", lambda: clock[0])
    latency = replay.measure_latency(None, 9, [3])
    assert (len(calls) - warmed, len(latency[3])) == (measured, measured)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(17, 20, 0.640, 0.948), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (50, 100, 0.404, 0.596)],
)
def test_the_interval_is_wilsons(successes, trials, low, high):
    assert compute_success_interval(successes, trials) == (pytest.approx(low, abs=6e-4), pytest.approx(high, abs=6e-4))


@given(st.integers(1, 10_000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_the_interval_holds_the_rate_and_stays_between_0_and_1(counted):
    successes, trials = counted
    low, high = compute_success_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1


def test_a_rollout_has_rate_interval_seeds_and_failed_episodes(tmp_path):
    result_store.write_results(replace(FOUND, rolled=make_rollout(True, False, True, True)), tmp_path)
    results = read_strict_json(tmp_path / "eval_results.json")
    assert results["rollout"] | {"per_episode": []} == {
        **{"env": "pusht", "starts": None, "success_reward": None, "env_steps": None, "batch": 10},
        **{"episodes": 4, "trials": 4, "successes": 3, "success_rate": 0.75},
        "success_interval": pytest.approx([0.3006, 0.9544], abs=1e-4),
        **{"avg_sum_reward": 2.0, "avg_max_reward": 0.5, "avg_length": 25.0},
        **{"seeds": [1000, 1001, 1002, 1003], "per_episode": []},
    }
    assert (results["per_episode"], results["aggregate_mse"], results["latency_ms"]) == ([], None, None)
    (failed,) = map(json.loads, (tmp_path / "failure_cases.jsonl").read_text().splitlines())
    assert failed.items() >= {"episode": 1, "seed": 1001, "video": "videos/episode_001.mp4"}.items()


def test_a_replay_has_means_over_episodes_and_over_frames():
    episodes = replayed(episode(3, steps=10, mse=1.0), episode(4, steps=30, mse=3.0))
    results = summary.make_summary(replace(FOUND, replayed=episodes))
    assert (results["aggregate_mse"], results["aggregate_mae"]) == (2.0, 1.0)
    assert (results["frame_mse"], results["frames_evaluated"], results["replay_frames_per_second"]) == (2.5, 40, 20.0)
    assert results["per_joint"][1] == {"name": "y", "mse": 6.0, "mae": 6.0, "max_error": 9.0}
    assert results["per_episode"][0]["per_dim_mae"] == [1.0, 3.0]
    assert results["latency_ms"] == {"frames": 4, "mean": 4.0, "p50": 2.0, "p95": 10.0, "p99": 10.0, "max": 10.0}
    assert (results["aggregate_avg_inference_ms"], results["aggregate_throughput_hz"]) == (4.0, 250.0)
    assert results["rollout"] is None
    assert results["episodes_evaluated"] == 2


def test_an_episode_whose_latency_was_not_measured_has_none():
    replayed_episode = episode(7, steps=2, mse=1.0, seconds=(math.nan, math.nan))
    results = summary.make_summary(replace(FOUND, replayed=replayed(replayed_episode)))
    (row,) = result_files.replace_non_finite(results)["per_episode"]
    assert (row["mse"], row["avg_inference_ms"], row["throughput_hz"]) == (1.0, None, None)
    assert set(summary.score_episode(replayed_episode)) == {"ep7_mse", "ep7_mae"}


def test_tracked_names_are_those_of_the_contract():
    replayed_episode = episode(7, steps=10, mse=1.0)
    assert set(summary.score_episode(replayed_episode)) == {
        "ep7_mse",
        "ep7_mae",
        "ep7_avg_inference_ms",
        "ep7_throughput_hz",
    }
    rolled = make_rollout(True, False)
    scores = summary.score_evaluation(replace(FOUND, replayed=replayed(replayed_episode), rolled=rolled))
    assert scores["aggregate_mse"] == 1.0
    assert scores["aggregate_throughput_hz"] == scores["replay/throughput_hz"] == 250.0
    assert (scores["rollout/success_rate"], scores["replay/latency_p95_ms"]) == (0.5, 10.0)
    assert summary.score_episode(rolled.episodes[1])["rollout_ep1_success"] == 0.0  # not of a recorded episode


def test_a_number_that_is_not_finite_is_null_in_every_file(tmp_path):
    episodes = [replace(episode, sum_reward=math.nan) for episode in make_rollout(False, True).episodes]
    result = replace(FOUND, rolled=RolloutResult(episodes=episodes))
    result_store.write_results(result, tmp_path)
    assert read_strict_json(tmp_path / "eval_results.json")["rollout"]["avg_sum_reward"] is None
    values = {metric["name"]: metric["value"] for metric in read_strict_json(tmp_path / "metrics.json")["metrics"]}
    assert (values["avg_sum_reward"], values["success_rate"]) == (None, 0.5)
    assert read_strict_json(tmp_path / "failure_cases.jsonl")["sum_reward"] is None


@pytest.mark.parametrize(("threshold", "verdict"), [(None, "pass"), (0.51, "fail")])
def test_the_verdict_is_that_of_the_threshold(tmp_path, threshold, verdict):
    evaluation = replace(FOUND, rolled=make_rollout(True, False), request=replace(REQUEST, success_threshold=threshold))
    result_store.write_results(evaluation, tmp_path)
    results = read_strict_json(tmp_path / "metrics.json")
    rate = next(metric for metric in results["metrics"] if metric["name"] == "success_rate")
    assert (results["evaluation_schema_version"], results["baseline_model_version"]) == (1, "none")
    assert results["aggregate_verdict"] == rate["absolute_verdict"] == verdict
    assert rate["absolute_threshold"] == threshold
    assert rate["regression_verdict"] == "skipped"
    sentence = "the success rate 0.50 (1 of 2) is below --success-threshold 0.51"
    assert explain_low_success(evaluation) == (sentence if verdict == "fail" else "")


def test_results_of_an_earlier_attempt_are_replaced_once_the_new_ones_are_complete(tmp_path):
    results = tmp_path / "outputs/eval_results"
    results.mkdir(parents=True)
    (results / "old.json").touch()
    (results.parent / ".eval_results.fill.part").mkdir()  # of one that was killed
    (results.parent / ".eval_results.fill.part/half.json").touch()
    for name, end in (("old.json", pytest.raises(SystemExit)), ("new.json", nullcontext())):
        with end, result_files.fill_folder(results) as folder:
            assert (results / "old.json").exists()
            (folder / "new.json").touch()
            if name == "old.json":
                raise SystemExit(143)
        assert [*results.parent.rglob("*")] == [results, results / name]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "pusht, default starts, default steps, default success rule; 2 episodes of pusht-mini"),
        (
            {"held_out": False, "request": {"dataset": "dataset"}, "statistics": "0123456789ab"},
            "pusht, default starts, default steps, default success rule;"
            " 2 episodes of dataset (statistics 0123456789ab), which training may have seen",
        ),
        (
            {"request": {"starts": "easy", "env_steps": 80, "success_reward": 0.842}, "held_out": True},
            "pusht, easy starts, at most 80 steps, success from reward 0.842; 2 held-out episodes of pusht-mini",
        ),
        (
            {
                "request": {
                    "starts": "[[256, 400,  1, 2, 0.5]]",
                    "replay_episodes": "3,4",
                    "options": ["--env.fps=5", "--policy.x=1"],
                },
            },
            "pusht, starts [[256, 400, 1, 2, 0.5]], default steps, default success rule,"
            " with --env.fps=5 --policy.x=1; 2 episodes (3,4) of pusht-mini, with --policy.x=1",
        ),
    ],
)
def test_scores_come_with_the_conditions_that_they_hold_under(changes, expected):
    ways = {"rolled": make_rollout(True), "replayed": replayed(episode(3, 10, 1.0), episode(4, 10, 1.0))}
    request = changes.get("request", {})
    made_summary = summary.make_summary(replace(FOUND, **{**changes, **ways, "request": replace(REQUEST, **request)}))
    assert made_summary["conditions"] == expected
    assert {
        name: made_summary["rollout"][name] for name in request.keys() & made_summary["rollout"].keys()
    }.items() <= request.items()
    assert made_summary["options"] == request.get("options", [])


def test_long_starts_are_distinguished_by_their_digest():
    requests = [replace(REQUEST, starts=f"[{'1, ' * 99}{last}]") for last in (1, 2)]
    evaluation = replace(FOUND, rolled=make_rollout(True))
    conditions = {summary.describe_conditions(replace(evaluation, request=request)) for request in requests}
    assert len(conditions) == 2
    assert all(len(text) < 130 and "starts 100 given states (sha256:" in text for text in conditions)


def test_a_rate_below_the_threshold_is_shown_with_enough_digits():
    evaluation = replace(
        FOUND, rolled=make_rollout(*[True] * 139, *[False] * 60), request=replace(REQUEST, success_threshold=0.7)
    )
    assert explain_low_success(evaluation) == "the success rate 0.698 (139 of 199) is below --success-threshold 0.7"


def test_episodes_that_only_repeat_a_start_count_once():
    episodes = [replace(episode, trial=1000) for episode in make_rollout(*[True] * 20).episodes]
    rolled = RolloutResult(episodes=episodes)
    scores = rolled.compute_scores()
    assert (scores["rollout/success_rate"], scores["rollout/episodes"]) == (1.0, 1.0)
    assert scores["rollout/success_rate_low"] == compute_success_interval(1, 1)[0] < 0.3
    assert [rolled.summarize()[name] for name in ("episodes", "trials", "successes")] == [20, 1, 1]
    two = [
        replace(episode, trial=1000 + number % 2, success=number % 2 == 0) for number, episode in enumerate(episodes)
    ]
    assert (RolloutResult(episodes=two).successes, RolloutResult(episodes=two).trials) == (1, 2)
    tasks = [replace(episode, task=task) for task in ("a", "b") for episode in episodes]
    assert RolloutResult(episodes=tasks).trials == 2, "a start of one task is none of another"


def test_each_task_has_its_rate_and_interval_beside_that_of_all():
    episodes = make_rollout(True, True, False, True).episodes
    named = [
        replace(episode, task=task)
        for episode, task in zip(episodes, ("push-v3",) * 2 + ("reach-v3",) * 2, strict=True)
    ]
    rolled = RolloutResult(episodes=named)
    scores = rolled.compute_scores()
    assert (scores["rollout/success_rate"], scores["rollout/episodes"]) == (0.75, 4.0)
    assert (scores["rollout/push-v3/success_rate"], scores["rollout/reach-v3/success_rate"]) == (1.0, 0.5)
    low, high = compute_success_interval(1, 2)
    assert (scores["rollout/reach-v3/success_rate_low"], scores["rollout/reach-v3/success_rate_high"]) == (low, high)
    tasks = rolled.summarize()["tasks"]
    assert [(task["task"], task["successes"], task["episodes"]) for task in tasks] == [
        ("push-v3", 2, 2),
        ("reach-v3", 1, 2),
    ]
