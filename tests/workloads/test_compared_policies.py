"""A comparison in rounds, with pretended policies and environment: what ends it, restarts, files, the gate."""

import json
import random

import pytest
from eval_launcher import list_events, read_strict_json
from robotrain_runtime.comparison import continuation
from robotrain_runtime.contract.event import Evaluated, Metrics, Note
from robotrain_workloads.evaluation.rollout_scores import RolloutEpisode, RolloutResult
from robotrain_workloads.lerobot_eval import compared_policies
from robotrain_workloads.lerobot_eval.inputs.request import EvaluatedPolicy, EvaluationRequest
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult

SEED = 1000


class Pretended:
    """Policies by name, each with the share of its episodes that succeed; the same seed gives the same."""

    def __init__(self, folder, rates, **settings):
        self.rates, self.played, self.stops_at = rates, [], None
        policies = []
        for name in rates:
            model = folder / name
            model.mkdir(exist_ok=True)
            (model / "config.json").write_text(json.dumps({"type": "act"}))
            (model / "model.safetensors").write_text(name)
            role = "reference" if policies else "policy"
            policies.append(EvaluatedPolicy(name=name, source="local-path", folder=model, role=role))
        usual = {"env": "pusht", "starts": "easy", "seed": SEED, "results": folder / "outputs/eval_results"}
        policy_folder = folder / "outputs/policy/000000"
        self.request = EvaluationRequest(
            policy=policies[0], references=policies[1:], kept_policy=policy_folder, **{**usual, **settings}
        )

    def evaluate(self, request, folder, make_progress):
        name, tasks = request.policy.name, request.tasks or ("",)
        if self.stops_at == len(self.played):
            raise SystemExit(143)
        self.played.append((name, request.skip, request.eval_episodes))
        progress, episodes = make_progress(0), []
        for task in tasks:
            for number in range(request.eval_episodes):
                seed = request.seed + request.skip + number
                states = json.loads(request.starts) if request.starts not in (None, "easy") else None
                start = (request.skip + number) % len(states) if states else None
                draw = random.Random(f"{task} {seed if start is None else start}").random()
                video = f"videos/episode_{number:03}.mp4" if request.record_video else None
                if video:
                    (folder / "videos").mkdir(exist_ok=True)
                    (folder / video).write_text(f"{name} {seed}")
                episode = RolloutEpisode(
                    index=len(episodes),
                    seed=seed,
                    steps=9,
                    sum_reward=1.0,
                    max_reward=1.0,
                    final_reward=1.0,
                    success=draw < self.rates[name],
                    seconds=1,
                    task=task,
                    start=start,
                    trial=seed,
                    video=video,
                )
                progress.add_episode(episode)
                episodes.append(episode)
        facts = {"name": name, "type": "act", "step": 0, "source": "local-path", "pin": None, "sha256": name}
        return EvaluationResult(
            request=request,
            policy=facts,
            device="cpu",
            rolled=RolloutResult(episodes=episodes, latency_ms={"p50": 5.0, "p95": 9.0}),
            packages={"lerobot": "0.6.1", "gym-pusht": "0.1.6"},
            peak_memory_mib=200.0 + len(self.played),
        )


@pytest.fixture
def compare(tmp_path, capfd):
    """Compare; the pretended evaluation, its events by kind, and the sentence that it ended with."""

    def run(rates, made=None, **settings):
        made, sentence = made or Pretended(tmp_path, rates, **settings), ""
        try:
            compared_policies.compare_policies(made.request, made.evaluate)
        except SystemExit as error:
            sentence = error.code
        lines = capfd.readouterr().out.splitlines()
        return made, {kind: list_events(lines, kind) for kind in (Evaluated, Metrics, Note)}, sentence

    return run


def read(made, file="comparison.json"):
    return read_strict_json(made.request.results / file)


def test_a_clear_difference_ends_early_and_the_same_starts_are_played_by_both(compare):
    made, events, sentence = compare({"good": 0.9, "bad": 0.1})
    compared = read(made)
    (verdict,) = compared["verdicts"]
    assert (verdict["verdict"], compared["ended"], sentence) == ("better", "decided", "")
    assert verdict["pairs"] < compared["fixed"] < compared["at_most"]
    assert verdict["sentence"] in [note.text for note in events[Note]]
    own, other = ([episode[1:] for episode in made.played if episode[0] == name] for name in ("good", "bad"))
    assert own == other
    assert [skip for skip, _ in own] == [
        compared_policies.FRESH + sum(compared["rounds"][:at]) for at in range(len(own))
    ]
    assert [episodes for _, episodes in own] == compared["rounds"]


def test_a_copy_of_the_policy_is_no_reference(compare, tmp_path):
    made = Pretended(tmp_path, {"new": 0.9, "copy": 0.9})
    (tmp_path / "copy/model.safetensors").write_text("new")
    made, _, sentence = compare({}, made)
    assert ("are the same policy" in sentence, made.played) == (True, [])


def test_the_results_are_those_of_all_episodes_of_the_policy_and_of_each_reference(compare):
    made, events, _ = compare({"good": 0.9, "bad": 0.1})
    played = sum(read(made)["rounds"])
    seeds = [SEED + compared_policies.FRESH + number for number in range(played)]
    for file, name in (("eval_results.json", "good"), ("references/1/eval_results.json", "bad")):
        results = read(made, file)
        assert (results["policy"]["name"], results["rollout"]["seeds"]) == (name, seeds)
        assert [row["index"] for row in results["rollout"]["per_episode"]] == list(range(played))
        assert results["conditions"].endswith("; as many episodes as a comparison needed")
    own, other = read(made)["policies"]
    assert (own["role"], own["results"], own["trials"]) == ("policy", "eval_results.json", played)
    assert (other["role"], other["results"]) == ("reference", "references/1/eval_results.json")
    assert read(made)["conditions"]["first_seed"] == seeds[0]
    (evaluated,) = events[Evaluated]
    assert (evaluated.compared["winner"], evaluated.compared["wins"]) == ("good", True)
    assert evaluated.compared["answer"] == read(made)["title"]
    assert (evaluated.episodes, evaluated.scores["rollout/success_rate"]) == (played, own["success_rate"])
    assert (made.request.kept_policy / "model.safetensors").read_text() == "good"


def test_what_was_compared_and_with_what_is_told(compare):
    made, _, _ = compare({"good": 0.9, "bad": 0.1}, lock="f" * 64, env_steps=80, success_reward=0.9)
    conditions, (own, other) = read(made)["conditions"], read(made)["policies"]
    assert {"env": "pusht", "starts": "easy", "env_steps": 80, "success_reward": 0.9, "seed": SEED}.items() <= (
        conditions.items()
    )
    assert (conditions["lock"], conditions["lerobot"]) == ("f" * 64, "0.6.1")
    assert conditions["packages"]["gym-pusht"] == "0.1.6"
    assert (own["sha256"], own["latency_ms"], own["peak_memory_mib"]) == (
        "good",
        {"p50": 5.0, "p95": 9.0},
        200.0 + len(made.played) - 1,
    )
    assert other["sha256"] == "bad"


def test_progress_counts_the_episodes_of_all_policies(compare):
    _, events, _ = compare({"one": 0.5, "other": 0.5}, at_most=30)
    total = 2 * 30
    assert [(event.step, event.total) for event in events[Metrics]] == [(number + 1, total) for number in range(total)]
    assert not any(event.values for event in events[Metrics])


def test_equal_policies_are_equal_within_a_range_or_not_decided(compare, tmp_path):
    made, _, sentence = compare({"one": 0.5, "other": 0.5}, equal_within=0.2, at_most=200)
    assert (read(made)["verdicts"][0]["verdict"], read(made)["ended"], sentence) == ("equal", "decided", "")
    assert read(made)["verdicts"][0]["pairs"] < 200
    made, _, sentence = compare({"one": 0.5, "other": 0.5}, at_most=30)
    assert (read(made)["verdicts"][0]["verdict"], read(made)["ended"], sentence) == ("not decided", "at_most", "")
    assert read(made)["verdicts"][0]["pairs"] == 30


def test_several_references_are_compared_together(compare):
    made, events, _ = compare({"good": 0.9, "bad": 0.1, "like": 0.9}, at_most=60)
    verdicts = read(made)["verdicts"]
    assert [(verdict["first"], verdict["second"], verdict["verdict"]) for verdict in verdicts] == [
        (0, 1, "better"),
        (0, 2, "not decided"),
    ]
    assert read(made)["ended"] == "at_most"
    assert any("against bad" in note.text and "against like" in note.text for note in events[Note])


def test_a_policy_that_is_not_shown_to_be_no_worse_fails_the_run_after_its_results_are_written(compare):
    made, events, sentence = compare({"bad": 0.1, "good": 0.9}, margin=0.1)
    assert sentence == f"error: {read(made)['gate']['sentence']}"
    assert (read(made)["gate"]["passed"], read(made)["verdicts"][0]["verdict"]) == (False, "worse")
    assert events[Evaluated][0].passed is False
    made, events, sentence = compare({"one": 0.5, "other": 0.5}, margin=0.1, at_most=10)
    assert (read(made)["gate"]["passed"], sentence != "") == (False, True), "what is not shown is not accepted"


def test_a_policy_that_is_not_worse_passes(compare):
    made, events, sentence = compare({"good": 0.9, "old": 0.8}, margin=0.1)
    assert (sentence, read(made)["gate"]["passed"], events[Evaluated][0].passed) == ("", True, True)


def test_policies_that_never_succeed_do_not_pass_a_gate(compare, tmp_path):
    made, events, sentence = compare({"one": 0.0, "other": 0.0}, margin=0.1)
    (verdict,) = read(made)["verdicts"]
    assert (verdict["verdict"], verdict["withheld"], read(made)["ended"]) == ("not decided", "floor", "floor")
    assert verdict["pairs"] < read(made)["at_most"], "more episodes would tell as little"
    assert "these conditions do not tell" in sentence
    assert (events[Evaluated][0].passed, read(made)["gate"]["passed"]) == (False, False)
    again = tmp_path / "again/eval_results"
    made, events, sentence = compare({"one": 0.0, "other": 0.0}, margin=0.1, allow_floor=True, results=again)
    assert (sentence, events[Evaluated][0].passed) == ("", True)


def test_the_threshold_holds_beside_the_comparison(compare):
    _, events, sentence = compare({"poor": 0.3, "worse": 0.0}, success_threshold=0.9, margin=0.1)
    assert "is below --success-threshold 0.9" in sentence
    assert events[Evaluated][0].passed is False


def test_rounds_are_a_fifth_of_what_is_played_however_large_a_batch_is(compare):
    made, _, _ = compare({"one": 0.5, "other": 0.5}, eval_batch_size=50, at_most=40)
    assert read(made)["rounds"] == [10, 2, 3, 3, 4, 5, 6, 7]


def test_rounds_of_several_tasks_have_as_many_pairs(compare):
    tasks = ("push", "reach", "pick")
    made, _, _ = compare({"one": 0.5, "other": 0.5}, tasks=tasks, at_most=60, starts=None, env="metaworld")
    assert read(made)["rounds"] == [4, 1, 1, 2, 2, 2, 3, 3, 2], "of each task"


def test_repeated_starts_count_once_and_end_the_comparison(compare):
    states = json.dumps([[100 + number, 400, 200, 300, 0.8] for number in range(13)])
    made, _, _ = compare({"one": 0.5, "other": 0.5}, starts=states, eval_batch_size=5, eval_episodes=5)
    assert (read(made)["rounds"], read(made)["verdicts"][0]["pairs"]) == ([5, 5, 2, 1], 13)
    same = json.dumps([[100, 400, 200, 300, 0.8]] * 30)
    assert read(compare({"one": 0.5, "other": 0.5}, starts=same)[0])["ended"] in ("starts", "at_most")


def test_listed_starts_are_shuffled_before_they_are_played(compare):
    states = [[100 + number, 400, 200, 300, 0.8] for number in range(20)]
    made, _, _ = compare({"one": 0.5, "other": 0.5}, starts=json.dumps(states))
    played = json.loads(read(made)["conditions"]["starts"])
    assert played != states
    assert sorted(played) == states


def test_each_task_counts_and_all_tasks_of_a_seed_are_looked_at_together(compare):
    made, _, _ = compare({"one": 0.5, "other": 0.5}, tasks=("push", "reach"), at_most=41, starts=None, env="metaworld")
    assert (sum(read(made)["rounds"]), read(made)["verdicts"][0]["pairs"]) == (20, 40)
    rows = read(made, "eval_results.json")["rollout"]["per_episode"]
    assert [row["task"] for row in rows] == ["push"] * 20 + ["reach"] * 20


@pytest.mark.parametrize("stops_at", [2, 3], ids=["between rounds", "within a round"])
def test_what_an_interrupted_attempt_played_is_not_played_again(compare, tmp_path, stops_at):
    made = Pretended(tmp_path, {"one": 0.5, "other": 0.4}, at_most=40)
    made.stops_at = stops_at
    _, _, code = compare({}, made)
    assert (code, made.request.results.exists()) == (143, False)
    again, _, _ = compare({"one": 0.5, "other": 0.4}, at_most=40)
    whole, _, _ = compare({"one": 0.5, "other": 0.4}, at_most=40, results=tmp_path / "whole/eval_results")
    assert made.played + again.played == whole.played
    assert read(again)["verdicts"] == read(whole)["verdicts"]


def continue_from(*events):
    """The parameter of a comparison, after runs that sent these events."""
    answers = {f"run-{number}": sent[Evaluated][0].compared for number, sent in enumerate(events, start=1)}
    return continuation.dump_comparisons(continuation.load_continuations(answers, ""))


def test_a_second_comparison_goes_on_from_the_first_with_new_starts(compare, tmp_path):
    rates = {"one": 0.55, "other": 0.45}
    first, sent, _ = compare(rates, at_most=20)
    again = {"at_most": 30, "earlier_comparisons": continue_from(sent)}
    second, sent_again, _ = compare(rates, results=tmp_path / "second/eval_results", **again)
    (before,), (after,) = read(first)["verdicts"], read(second)["verdicts"]
    assert (after["pairs"], after["earlier"], after["at_most"]) == (50, 20, 50)
    whole, _, _ = compare(rates, at_most=50, results=tmp_path / "whole/eval_results")
    counted = ("wins", "losses", "ties", "discordance", "difference", "verdict")
    assert [after[name] for name in counted] == [read(whole)["verdicts"][0][name] for name in counted]
    assert after["e_value"] <= read(whole)["verdicts"][0]["e_value"], "earlier looks do not count again"
    assert second.played[0][1] == first.request.skip + compared_policies.FRESH + 20, "the starts are new"
    assert read(second)["continues"] == ["run-1"]
    assert any("goes on from run-1" in note for note in read(second)["notes"])
    assert any("goes on from run-1" in note.text for note in sent_again[Note])
    assert "50 pairs (20 of them earlier)" in after["sentence"]
    third, _, _ = compare(
        {"other": 0.45, "one": 0.55},
        results=tmp_path / "third/eval_results",
        at_most=10,
        earlier_comparisons=continue_from(sent, sent_again),
    )
    (swapped,) = read(third)["verdicts"]
    assert (swapped["earlier"], swapped["pairs"]) == (50, 60), "each pair counts once"
    assert swapped["losses"] >= after["wins"] > before["wins"]


def test_comparisons_of_the_same_starts_count_once_and_those_of_other_policies_never(compare, tmp_path):
    rates = {"one": 0.6, "other": 0.4}
    _, sent, _ = compare(rates, at_most=20)
    _, same, _ = compare(rates, at_most=20, results=tmp_path / "same/eval_results", seed=SEED + 10)
    third, _, _ = compare(
        rates, at_most=10, results=tmp_path / "third/eval_results", earlier_comparisons=continue_from(sent, same)
    )
    assert read(third)["continues"] == ["run-1"]
    others, _, _ = compare(
        {"one": 0.6, "third": 0.4},
        at_most=10,
        results=tmp_path / "others/eval_results",
        earlier_comparisons=continue_from(sent),
    )
    assert (read(others)["continues"], read(others)["verdicts"][0]["earlier"]) == ([], 0)
    assert others.played[0][1] == compared_policies.FRESH


def test_listed_starts_that_an_earlier_comparison_played_are_not_played_again(compare, tmp_path):
    starts = json.dumps([[100 + number, 400, 200, 300, 0.8] for number in range(30)])
    rates = {"one": 0.5, "other": 0.5}
    first, sent, _ = compare(rates, starts=starts, at_most=12)
    second, sent_again, _ = compare(
        rates, starts=starts, seed=5, results=tmp_path / "second/eval_results", earlier_comparisons=continue_from(sent)
    )
    assert (sum(read(second)["rounds"]), read(second)["verdicts"][0]["pairs"]) == (18, 30)
    rows = [row for made in (first, second) for row in read(made, "eval_results.json")["rollout"]["per_episode"]]
    assert sorted(row["start"] for row in rows) == [*range(30)]
    third, _, sentence = compare(
        rates,
        starts=starts,
        results=tmp_path / "third/eval_results",
        earlier_comparisons=continue_from(sent, sent_again),
    )
    assert ("run-1 and run-2 played all of the starts" in sentence, third.played) == (True, [])


def test_two_policies_of_one_name_that_do_the_same_tie_every_pair(compare, tmp_path):
    made = Pretended(tmp_path, {"one": 0.5, "other": 0.5}, at_most=20)
    twice = made.request.references[0].__class__(name="one", folder=tmp_path / "other", role="reference")
    made.request = EvaluationRequest(
        policy=made.request.policy,
        references=(twice,),
        env="pusht",
        at_most=20,
        results=made.request.results,
    )
    compare({}, made)
    (verdict,) = read(made)["verdicts"]
    assert (verdict["ties"], verdict["verdict"]) == (20, "not decided")
    assert len({policy["name"] for policy in read(made)["policies"]}) == 2


def test_videos_of_all_rounds_lie_beside_the_results(compare):
    made, _, _ = compare({"one": 0.5, "other": 0.5}, at_most=20, record_video=True)
    results = made.request.results
    assert (results / "videos/episode_015.mp4").read_text() == f"one {SEED + compared_policies.FRESH + 15}"
    assert (results / "references/1/videos/episode_019.mp4").read_text().startswith("other")
    assert read(made, "eval_results.json")["rollout"]["per_episode"][15]["video"] == "videos/episode_015.mp4"
