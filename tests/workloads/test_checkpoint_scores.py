"""Several checkpoints in turn, with a pretended policy and environment: scores, failures, restarts, what is kept."""

import json

import pytest
from eval_launcher import list_events
from robotrain.model.checkpoint_table import list_headlines
from robotrain_runtime.comparison.best_checkpoint import find_best
from robotrain_runtime.contract.event import Evaluated, Scored, Track
from robotrain_workloads.evaluation.rollout_scores import RolloutEpisode, RolloutResult
from robotrain_workloads.lerobot_eval import checkpoint_scores
from robotrain_workloads.lerobot_eval.checkpoint_scores import choose_best
from robotrain_workloads.lerobot_eval.inputs.request import EvaluatedPolicy, EvaluationRequest
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL

EPISODES = 4


@pytest.fixture
def folder(tmp_path):
    """Three checkpoints of a training."""
    for step in (100, 200, 300):
        model = tmp_path / f"checkpoints/{step:06}/pretrained_model"
        model.mkdir(parents=True)
        (model / "config.json").write_text(json.dumps({"type": "act", "step": step}))
        (model / "model.safetensors").write_text(f"weights of {step}")
    return tmp_path / "checkpoints"


class PretendedEvaluation:
    """Successes by step; an exception in place of their number is raised."""

    def __init__(self, folder, successes, *, confirm=0, results=None, seed=1000, success_threshold=None):
        self.successes, self.evaluated, self.skipped = successes, [], []
        self.folder = folder
        self.request = EvaluationRequest(
            policy=EvaluatedPolicy(name=str(folder), source="local-path"),
            env="pusht",
            eval_episodes=EPISODES,
            seed=seed,
            success_threshold=success_threshold,
            confirm=confirm,
            results=results or folder.parent / "outputs/eval_results",
            kept_policy=folder.parent / "outputs/policy",
        )

    def evaluate(self, request, folder, make_progress):
        step, skip = request.policy.step, request.skip
        self.evaluated.append(step)
        self.skipped.append(skip)
        count = 1 if skip else self.successes[step]
        if isinstance(count, BaseException):
            raise count
        progress = make_progress(EPISODES)
        episodes = [
            RolloutEpisode(
                index=at,
                seed=at,
                steps=9,
                sum_reward=1.0,
                max_reward=1.0,
                final_reward=1.0,
                success=at < count,
                seconds=1,
            )
            for at in range(request.eval_episodes)
        ]
        for episode in episodes:
            progress.add_episode(episode)
        policy = {"name": request.policy.name, "type": "act", "step": step, "source": "local-path"}
        return EvaluationResult(request=request, policy=policy, device="cpu", rolled=RolloutResult(episodes=episodes))

    def run(self):
        checkpoint_scores.evaluate_checkpoints(self.request, self.folder, self.evaluate)


@pytest.fixture
def run_scores(folder, capfd):
    """Evaluate the checkpoints; the evaluation, its events by kind, and the sentence that it ended with."""

    def run(successes, **options):
        made, sentence = PretendedEvaluation(folder, successes, **options), ""
        try:
            made.run()
        except SystemExit as error:
            sentence = error.code
        lines = capfd.readouterr().out.splitlines()
        return made, {kind: list_events(lines, kind) for kind in (Scored, Evaluated, Track)}, sentence

    return run


def test_each_checkpoint_gets_a_score_and_the_best_is_kept(run_scores, folder):
    _, events, sentence = run_scores({100: 1, 200: 3, 300: 2})
    assert sentence == ""
    assert {event.step: event.scores["rollout/success_rate"] for event in events[Scored]} == {
        100: 0.25,
        200: 0.75,
        300: 0.5,
    }
    (evaluated,) = events[Evaluated]
    assert (evaluated.step, evaluated.scores["rollout/success_rate"]) == (200, 0.75)
    best = folder.parent / "outputs/policy/000200"
    assert (evaluated.policy, (best / "model.safetensors").read_text()) == (str(best), "weights of 200")
    assert events[Track][-1].tags == {"policy_step": "200"}
    results = folder.parent / "outputs/eval_results"
    table = json.loads((results / "checkpoints.json").read_text())
    assert (table["best"], [row["step"] for row in table["checkpoints"]]) == (200, [100, 200, 300])
    assert json.loads((results / "eval_results.json").read_text())["policy"]["step"] == 200
    each = [json.loads((results / f"checkpoints/{step:06}/eval_results.json").read_text()) for step in (100, 200, 300)]
    assert [document["policy"]["step"] for document in each] == [100, 200, 300]


def test_score_that_chose_the_best_says_so(run_scores):
    _, events, _ = run_scores({100: 1, 200: 3, 300: 2})
    (evaluated,) = events[Evaluated]
    assert "best of 3 checkpoints, on the starts that chose it" in evaluated.conditions.partition("; ")[0]
    assert not any("best of" in event.conditions for event in events[Scored])


def test_best_is_confirmed_from_other_starts(run_scores, folder):
    made, events, sentence = run_scores({100: 1, 200: 4, 300: 2}, confirm=3, success_threshold=0.9)
    assert (made.evaluated, made.skipped, len(events[Scored])) == ([100, 200, 300, 200], [0, 0, 0, EPISODES], 3)
    (evaluated,) = events[Evaluated]
    assert (evaluated.step, evaluated.episodes, evaluated.scores["rollout/success_rate"]) == (200, 3, 1 / 3)
    assert evaluated.conditions.endswith("; best of 3 checkpoints, confirmed from fresh starts")
    assert "of the best, step 200, the success rate 0.33 (1 of 3)" in sentence, "it is held to the threshold"
    results = json.loads((folder.parent / "outputs/eval_results/eval_results.json").read_text())
    assert results["rollout"]["episodes"] == 3
    again = run_scores({100: 1, 200: 4, 300: 2}, confirm=3, success_threshold=0.9)[0]
    assert again.evaluated == [], "nothing is done twice"


def test_of_equal_checkpoints_the_later_is_the_best(run_scores):
    _, events, _ = run_scores({100: 2, 200: 2, 300: 1})
    assert events[Evaluated][0].step == 200


def test_a_checkpoint_that_fails_is_named_and_the_others_are_evaluated(run_scores, folder):
    broken = SystemExit("error: its weights are damaged")
    made, events, sentence = run_scores({100: 1, 200: broken, 300: ValueError("no such feature")})
    assert made.evaluated == [100, 200, 300]
    assert [event.error for event in events[Scored]] == ["", "its weights are damaged", "ValueError: no such feature"]
    assert events[Evaluated][0].step == 100
    assert sentence.startswith("error: 2 of 3 checkpoints could not be evaluated: step 200 (its weights are damaged)")
    assert not (folder.parent / "outputs/eval_results/checkpoints/000200").exists()


def test_without_any_score_nothing_is_kept(run_scores, folder):
    _, events, sentence = run_scores(dict.fromkeys((100, 200, 300), ValueError("no")))
    assert (events[Evaluated], "3 of 3" in sentence) == ([], True)
    assert not (folder.parent / "outputs/policy").exists()


def test_the_best_one_is_held_to_the_threshold(run_scores):
    assert run_scores({100: 1, 200: 4, 300: 1}, success_threshold=0.9)[2] == ""
    _, events, sentence = run_scores({100: 1, 200: 3, 300: 1}, success_threshold=0.95)
    assert "step 200" in sentence
    assert "below --success-threshold 0.95" in sentence
    assert (events[Evaluated][0].step, events[Evaluated][0].passed) == (200, False)


def test_a_restarted_attempt_evaluates_what_is_left(run_scores, folder, capfd):
    with pytest.raises(SystemExit) as stopped:  # as by a signal
        PretendedEvaluation(folder, {100: 1, 200: SystemExit(143)}).run()
    assert stopped.value.code == 143
    capfd.readouterr()
    made, events, _ = run_scores({100: 4, 200: 2, 300: 3})
    assert made.evaluated == [200, 300]
    assert [event.scores["rollout/success_rate"] for event in events[Scored]] == [0.25, 0.5, 0.75]


def test_another_request_evaluates_all_again(run_scores):
    run_scores({100: 1, 200: 2, 300: 3})
    assert run_scores({100: 1, 200: 2, 300: 3})[0].evaluated == []
    assert run_scores({100: 1, 200: 2, 300: 3}, seed=7)[0].evaluated == [100, 200, 300]


def test_a_changed_checkpoint_is_evaluated_again(run_scores, folder):
    run_scores({100: 1, 200: 2, 300: 3})
    (folder / "000200/pretrained_model/model.safetensors").write_text("others")
    assert run_scores({100: 1, 200: 2, 300: 3})[0].evaluated == [200]


@pytest.mark.parametrize(
    ("all_scores", "best"),
    [
        ([{"rollout/success_rate": 0.5, "replay/mse": 0.1}, {"rollout/success_rate": 0.4, "replay/mse": 0.01}], 1),
        ([{"replay/mse": 0.1}, {"replay/mse": 0.01}, {"replay/mse": 0.01}], 3),
        ([{"replay/mse": float("nan")}, {"replay/mse": 0.3}], 2),
        ([{"rollout/success_rate": 0.5}, {}, {"rollout/success_rate": 0.5}], 3),
        ([{"rollout/success_rate": 1.5}, {"rollout/success_rate": 0.5}], 2),
    ],
)
def test_a_job_and_its_views_agree_on_the_best(all_scores, best):
    scores = [Scored(step=step, scores=step_scores) for step, step_scores in enumerate(all_scores, 1)]
    metrics = LEROBOT_EVAL.profile.metrics
    assert choose_best(scores).step == best
    assert find_best(scores, list_headlines(metrics)).step == best
