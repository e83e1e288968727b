"""`robotrain compare`: which policy is better, from finished evaluations and from a file of episodes."""

import json
import os

import pytest
from parsed_page import read_page
from robotrain.store import plans, stored_job
from robotrain_runtime.comparison import record
from robotrain_runtime.comparison.continuation import (
    KEY,
    EarlierComparison,
    PairCounts,
    dump_continuation,
    load_comparisons,
)
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Evaluated
from robotrain_workloads.lerobot_eval import references

GOOD, MIDDLE, BAD = ([at % 10 < share for at in range(60)] for share in (9, 5, 1))


def list_episodes(**policies):
    return [f"{name},{at},{int(outcome)}" for name, outcomes in policies.items() for at, outcome in enumerate(outcomes)]


def read_sentences(answer):
    return [verdict["sentence"] for verdict in answer.json["verdicts"]]


def test_the_better_of_two_finished_evaluations_is_named(robotrain, record_evaluation):
    record_evaluation("eval-1", MIDDLE, policy={"sha256": "1" * 64, "type": "act"}, called="old")
    record_evaluation("eval-2", GOOD, policy={"sha256": "2" * 64, "type": "act"}, called="new")
    shown = robotrain("compare", "old", "new")
    assert shown.exit_code == 0
    assert "new is better than old by 40 points (95% interval " in shown.stdout
    assert "60 pairs, p < 0.001" in shown.stdout
    assert [line.split()[:2] for line in shown.stdout.splitlines() if line.startswith(("old", "new"))][:2] == [
        ["old", "60"],
        ["new", "60"],
    ]
    comparison = robotrain("compare", "old", "new", "--json").json
    assert (comparison["ended"], comparison["measure"], comparison["schema"]) == ("given", "success", record.SCHEMA)
    assert [policy["run"] for policy in comparison["policies"]] == ["eval-1", "eval-2"]
    assert [policy["sha256"] for policy in comparison["policies"]] == ["1" * 64, "2" * 64]
    assert list(comparison["policies"][0]) == [*record.POLICY_KEYS]
    assert (comparison["policies"][0]["peak_memory_mib"], comparison["conditions"]["lock"]) == (None, None)
    (verdict,) = comparison["verdicts"]
    assert (verdict["verdict"], verdict["wins"], verdict["losses"], verdict["ties"]) == ("worse", 0, 24, 36)


def test_the_page_of_several_evaluations_says_the_same(robotrain, record_evaluation):
    for name, outcomes in (("eval-1", GOOD), ("eval-2", MIDDLE), ("eval-3", BAD)):
        record_evaluation(name, outcomes)
    sentences = read_sentences(robotrain("compare", "eval-1", "eval-2", "eval-3", "--json"))
    shown = read_page(robotrain, "eval-1", "eval-2", "eval-3").text.lower()
    assert all(f"{sentence}." in shown for sentence in sentences)
    assert "for all 3 pairs of policies together (holm's correction)" in shown


def test_what_is_not_decided_says_how_many_episodes_it_may_take(robotrain, record_evaluation):
    record_evaluation("eval-1", [True] * 10 + [False] * 10)
    record_evaluation("eval-2", [True] * 11 + [False] * 9)
    shown = robotrain("compare", "eval-1", "eval-2").stdout
    assert "not decided after 20 pairs whether eval-1 or eval-2 is better: the difference is -5 points" in shown
    assert "a difference of 20 points is found with a probability of 1% where 20% of pairs differ (here 5%)" in shown
    assert "a difference of 20 points may take up to 36 more episodes of each" in shown


def test_all_pairs_of_several_are_compared_with_one_confidence(robotrain, record_evaluation):
    for name, outcomes in (("eval-1", GOOD), ("eval-2", MIDDLE), ("eval-3", BAD)):
        record_evaluation(name, outcomes)
    answer = robotrain("compare", "eval-1", "eval-2", "eval-3", "--json")
    assert [(verdict["first"], verdict["second"]) for verdict in answer.json["verdicts"]] == [(0, 1), (0, 2), (1, 2)]
    (note,) = answer.json["notes"]
    assert note == "intervals and p-values hold for all 3 pairs of policies together (Holm's correction)"
    two = robotrain("compare", "eval-1", "eval-2", "--json").json["verdicts"][0]
    assert two["p_value"] < answer.json["verdicts"][0]["p_value"]


def test_the_exit_code_is_the_gate(robotrain, record_evaluation):
    for name, outcomes in (("good", GOOD), ("middle", MIDDLE), ("bad", BAD), ("old", MIDDLE)):
        record_evaluation(f"eval-{name}", outcomes)
    gate = ("--not-worse-than", "eval-old", "--margin")
    for words, code, begins in (
        (("eval-good", *gate, "0.1"), 0, "eval-good is not worse than eval-old by more"),
        (("eval-bad", *gate, "0.1"), 5, "eval-bad is worse than eval-old by more than 10 points"),
        (("eval-middle", *gate, "0.01"), 5, "not decided after 60 pairs whether eval-middle is not w"),
        (
            ("eval-good", "eval-old", "--margin", "0.1"),
            0,
            "eval-good is not worse than eval-old by more than 10 points",
        ),
        (
            ("eval-middle", "eval-old", "--equal-within", "0.3"),
            0,
            "eval-middle and eval-old are equal within 30 points",
        ),
    ):
        answer = robotrain("compare", *words, "--json")
        assert answer.exit_code == code, words
        assert read_sentences(answer)[0].startswith(begins), words
        gate_record = answer.json["gate"]
        assert gate_record is None or gate_record["passed"] is (code == 0), words


def test_one_policy_is_compared_under_two_conditions(robotrain, record_evaluation):
    same = {"sha256": "1" * 64, "name": "act"}
    record_evaluation("eval-1", GOOD, "pusht, easy starts, default steps", policy=same)
    record_evaluation("eval-2", BAD, "pusht, easy starts, default steps, with --env.noise=0.1", policy=same)
    answer = robotrain("compare", "eval-1", "eval-2", "--json")
    (sentence,) = read_sentences(answer)
    assert "(as it is) is better than" in sentence
    assert "(with --env.noise=0.1) by 80 points" in sentence
    assert [policy["condition"] for policy in answer.json["policies"]] == ["as it is", "with --env.noise=0.1"]
    assert answer.json["conditions"] is None
    assert robotrain("compare", "eval-1", "eval-2").exit_code == 0


def test_a_policy_is_not_compared_with_itself(robotrain, record_evaluation):
    same = {"sha256": "1" * 64, "name": "act"}
    record_evaluation("eval-1", GOOD, policy=same)
    record_evaluation("eval-2", BAD, policy=same)
    words = ("eval-1", "--not-worse-than", "eval-2", "--margin", "0.1")
    robotrain("compare", *words).check_problems(2, "not-comparable")


def test_two_success_rules_are_no_two_policies(robotrain, record_evaluation):
    same = {"sha256": "1" * 64, "name": "act"}
    for name, outcomes, reward in (("eval-1", GOOD, 0.5), ("eval-2", BAD, 0.95)):
        rollout = {"env": "pusht", "starts": "easy", "success_reward": reward}
        record_evaluation(name, outcomes, f"pusht, easy starts, from {reward}", policy=same, rollout=rollout)
    robotrain("compare", "eval-1", "eval-2").check_problems(2, "not-comparable")


def test_several_tasks_are_paired_by_task_and_start(robotrain, record_evaluation):
    rows = [{"task": task, "trial": 1000 + at} for task in ("push", "reach") for at in range(30)]
    record_evaluation("eval-1", [True] * 60, rows=rows)
    record_evaluation("eval-2", [at % 2 == 0 for at in range(60)], rows=rows)
    (verdict,) = robotrain("compare", "eval-1", "eval-2", "--json").json["verdicts"]
    assert (verdict["pairs"], verdict["wins"], verdict["unmatched"]) == (60, 30, 0)


def test_episodes_without_a_partner_do_not_count_and_are_counted(robotrain, record_evaluation):
    record_evaluation("eval-1", GOOD)
    record_evaluation("eval-2", MIDDLE, first=1030)
    comparison = robotrain("compare", "eval-1", "eval-2", "--json").json
    assert (comparison["verdicts"][0]["pairs"], comparison["verdicts"][0]["unmatched"]) == (30, 60)
    assert comparison["notes"][0].startswith("60 episodes without a partner from the same start do not count")


def test_a_run_that_compared_policies_shows_what_it_found(robotrain, record_evaluation, tmp_path):
    for name, outcomes in (("eval-1", GOOD), ("eval-2", MIDDLE)):
        record_evaluation(name, outcomes)
    comparison = robotrain("compare", "eval-1", "eval-2", "--json").json
    record_evaluation("eval-3", GOOD)
    (tmp_path / "eval-3/eval_results/comparison.json").write_text(json.dumps(comparison))
    assert robotrain("compare", "eval-3", "--json").json == comparison
    page = read_page(robotrain, "eval-3")
    assert page.texts.count("Comparison") == 1
    assert page.text.count("eval-1 is better than eval-2") == page.text.count("p-value") == 1
    assert f"{comparison['title']}." in page.texts
    assert "eval-1 is better than eval-2" in robotrain("compare", "eval-3").stdout


def test_a_training_means_its_newest_evaluation(robotrain, sent_run, record_evaluation):
    record_evaluation("eval-1", GOOD)
    answer = robotrain("compare", sent_run, "eval-1", "--json")
    answer.check_problems(2, f"value-missing {sent_run}")
    ways = [way["text"] for way in answer.json["problems"][0]["instead"]]
    played = f"--policy-run {sent_run} --reference-run eval-1 --env ENV --platform PLATFORM --wait"
    assert ways == [f"robotrain submit lerobot-eval {played}"]


ANSWER = "old@4 is better than new@8 by 80 points (95% interval 60 to 90), 40 pairs, p < 0.001"
LOST = {"answer": ANSWER, "winner": "old@4", "wins": False, "pairs": 40, "difference": -0.8, "low": -0.9, "high": -0.6}


def compare_in_a_job(scripted, name, compared, passed=None):
    scores = {"rollout/success_rate": 0.1}
    places = {"results": "/x/eval_results", "policy": "/x/policy/000008"}
    scripted.run(
        name, Evaluated(episodes=40, scores=scores, passed=passed, compared=compared, **places), state="succeeded"
    )
    return name


def test_the_answer_of_a_comparison_stands_first(scripted, robotrain):
    run = compare_in_a_job(scripted, "eval-1", LOST)
    status = robotrain("status", run)
    lines = [line.strip() for line in status.stdout.splitlines()]
    assert lines[1] == ANSWER
    assert sum(ANSWER in line for line in lines) == 1
    assert not any("success" in line for line in lines)
    shown = robotrain("status", run, "--json").json
    assert next(iter(shown)) == "compared"
    assert shown["compared"] == LOST
    assert robotrain("wait", run).stdout.splitlines()[1].strip() == ANSWER
    assert "old@4 wins, 40 pairs" in robotrain("runs").stdout


def test_the_winner_of_a_comparison_is_registered_next(scripted, robotrain):
    lost = robotrain("status", compare_in_a_job(scripted, "eval-1", LOST), "--json").json["next"]
    assert not any("register" in line for line in lost)
    won = {**LOST, "winner": "new@8", "wins": True}
    assert (
        "robotrain register eval-2 MODEL"
        in (robotrain("status", compare_in_a_job(scripted, "eval-2", won), "--json").json["next"])
    )
    none = {**LOST, "winner": ""}
    suggested = robotrain("status", compare_in_a_job(scripted, "eval-3", none), "--json").json["next"]
    assert not any("register" in line for line in suggested)


def test_a_policy_that_did_not_win_or_failed_its_gate_is_registered_only_anyway(scripted, robotrain):
    lost = compare_in_a_job(scripted, "eval-1", LOST)
    robotrain("register", lost, "model").check_problems(2, "not-accepted")
    failed = compare_in_a_job(scripted, "eval-2", {}, passed=False)
    robotrain("register", failed, "model").check_problems(2, "not-accepted")
    assert "not-accepted" not in robotrain("register", lost, "model", "--anyway").stderr


NOT_COMPARED = (
    ((), "usage"),
    (("eval-1",), "value-missing eval-1"),
    (("eval-1", "eval-1"), "word-repeated eval-1"),
    (("eval-1", "nosuch"), "run-unknown nosuch"),
    (("eval-1", "lerobot/act_pusht"), "value-missing lerobot/act_pusht"),
    (("eval-1", "eval-other"), "not-comparable"),
    (("eval-1", "eval-best"), "not-comparable"),
    (("eval-1", "eval-unknown"), "not-comparable"),
    (("eval-1", "eval-apart"), "not-comparable"),
    (("eval-1", "eval-running"), "not-comparable"),
    (("eval-running",), "not-comparable"),
    (("eval-1", "eval-2", "--margin", "much"), "usage --margin"),
    (("eval-1", "eval-2", "--margin", "2"), "value-invalid"),
    (("eval-1", "eval-2", "--margin", "0.6"), "value-invalid"),
    (("eval-1", "eval-2", "--margin", "0.1", "--equal-within", "0.1"), "value-invalid"),
    (("eval-1", "--not-worse-than", "eval-2"), "value-missing --not-worse-than"),
    (("eval-1", "eval-2", "--record-video"), "option-unknown --record-video"),
    (("eval-1", "eval-2", "--marign", "0.1"), "option-unknown --marign"),
)


def test_what_cannot_be_compared_is_one_sentence(robotrain, record_evaluation, scripted):
    record_evaluation("eval-1", GOOD)
    record_evaluation("eval-2", MIDDLE)
    record_evaluation("eval-other", GOOD, "pusht, default starts")
    chosen = "pusht, easy starts, best of 3 checkpoints, on the starts that chose it"
    record_evaluation("eval-best", GOOD, chosen)
    record_evaluation("eval-unknown", GOOD, "")
    record_evaluation("eval-apart", GOOD, first=5000)
    scripted.run("eval-running", state="running")
    for words, problem in NOT_COMPARED:
        robotrain("compare", *words).check_problems(2, problem)


def test_secrets_in_a_file_of_episodes_are_not_shown_and_stay_different(robotrain, write_scores):
    first, second = (f"ghp_{letter * 36}" for letter in "aB")
    file = write_scores("policy,start,success", *list_episodes(**{first: GOOD, second: BAD}))
    answer = robotrain("compare", "--scores", file, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert (first in answer.stdout, second in answer.stdout, len(answer.json["policies"])) == (False, False, 2)


def test_what_is_no_file_of_episodes_is_not_read(robotrain, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    robotrain("compare", "--scores", tmp_path / "pipe").check_problems(2, "file-unsuitable --scores")


def test_episodes_of_a_file_are_compared(robotrain, write_scores):
    file = write_scores("policy,start,success", *list_episodes(act=MIDDLE, pi0=GOOD, smol=BAD))
    answer = robotrain("compare", "--scores", file, "--json")
    assert read_sentences(answer)[0].startswith("pi0 is better than act by 40 points (")
    assert [policy["label"] for policy in answer.json["policies"]] == ["act", "pi0", "smol"]
    assert answer.json["policies"][0]["success_interval"] == pytest.approx([0.377, 0.623], abs=1e-3)
    row = next(line for line in robotrain("compare", "--scores", file).stdout.splitlines() if line.startswith("act "))
    assert row.split(maxsplit=2) == ["act", "60", "50% (38-62%)"]
    named = robotrain("compare", "--scores", file, "smol", "--not-worse-than", "act", "--margin", "0.1", "--json")
    assert named.exit_code == 5
    assert [policy["label"] for policy in named.json["policies"]] == ["smol", "act"]


def test_a_file_as_spreadsheets_write_it(robotrain, write_scores):
    lines = [f"{line.replace(',', ';')};0,5" for line in list_episodes(act=MIDDLE, pi0=GOOD)]
    file = write_scores("Policy;Start;Success;Score\r", *[f"{line}\r" for line in lines], "", encoding="utf-8-sig")
    assert read_sentences(robotrain("compare", "--scores", file, "--json"))[0].startswith("pi0 is better than act")


def test_repetitions_of_a_start_count_as_one(robotrain, write_scores):
    rows = [f"{name},1-{at},{success}" for at in range(40) for name, success in (("new", 1), ("old", 0))]
    answer = robotrain("compare", "--scores", write_scores("policy,start,success", *rows), "--json")
    (verdict,) = answer.json["verdicts"]
    assert (verdict["verdict"], verdict["pairs"], verdict["low"] < -0.5) == ("not decided", 1, True)
    assert any("80 episodes are repetitions of 1 start, such as 1-0 of 1" in note for note in answer.json["notes"])
    assert [(policy["episodes"], policy["trials"]) for policy in answer.json["policies"]] == [(40, 1), (40, 1)]
    assert answer.json["policies"][0]["success_interval"][0] < 0.5


def test_a_bad_line_of_a_file_is_named(robotrain, write_scores):
    for lines, place in (
        (["policy,start,sucess", "act,1,1"], ":1"),
        (["a;b;c", "act;1;1"], ":1"),
        ([""], ":1"),
        (["policy,start,success"], ":1"),
        (["policy,start,start,success", "act,1,1,1"], ":1"),
        (["policy,start,success", "act,1,1", "pi0,1,1", "act,1,0"], ":4"),
        (["policy,start,success", "act,1"], ":2"),
        (["policy,start,success", "act,,1"], ":2"),
        (["policy,start,success", "act,1,perhaps"], ":2"),
        (["policy,start,success", "act,1,"], ":2"),
        (["policy,start,score", "act,1,much"], ":2"),
        (["policy,start,score", "act,1,nan"], ":2"),
    ):
        file = write_scores(*lines)
        robotrain("compare", "--scores", file).check_problems(2, f"scores-invalid {file}{place}")


@pytest.mark.parametrize(
    ("lines", "words", "problem"),
    [
        (["act,1,1", "act,2,1"], (), "value-missing act"),
        (["act,1,1", "pi0,2,1"], (), "not-comparable"),
        (["act,1,1", "pi0,1,1"], ("--record-video",), "option-unknown --record-video"),
        (["act,1,1", "pi0,1,1"], ("act", "p0"), "value-unknown --scores"),
    ],
)
def test_a_file_without_two_policies_from_the_same_starts(robotrain, write_scores, lines, words, problem):
    file = write_scores("policy,start,success", *lines)
    robotrain("compare", "--scores", file, *words).check_problems(2, problem)


def test_a_file_that_is_no_text_or_not_there(robotrain, write_scores, tmp_path):
    file = write_scores("policy,start,success", "äct,1,1", encoding="latin-1")
    robotrain("compare", "--scores", file).check_problems(2, f"scores-invalid {file}:2")
    robotrain("compare", "--scores", tmp_path / "nosuch.csv").check_problems(2, "file-unsuitable --scores")


def test_several_trainings_of_each_are_compared_by_training(robotrain, record_evaluation):
    for method, shares in (("act", (3, 4, 5, 4)), ("pi0", (7, 8, 9, 8))):
        for seed, share in enumerate(shares):
            record_evaluation(f"eval-{method}-{seed}", [at % 10 < share for at in range(20)])
    four = [",".join(f"eval-{method}-{seed}" for seed in range(4)) for method in ("act", "pi0")]
    answer = robotrain("compare", *four, "--json")
    (verdict,) = answer.json["verdicts"]
    assert verdict["sentence"].startswith("eval-pi0-0…eval-pi0-3 is better than eval-act-0…eval-act-3 by 40 points (")
    assert verdict["sentence"].endswith("), 4 trainings of each, p = 0.029 (exact permutation)")
    assert [policy["trainings"] for policy in answer.json["policies"]] == [text.split(",") for text in four]
    assert (verdict["pairs"], verdict["e_value"]) == (None, None)
    two = [",".join(text.split(",")[:2]) for text in four]
    assert "from 4 trainings of each on" in robotrain("compare", *two).stdout
    assert robotrain("compare", four[1], "--not-worse-than", four[0], "--margin", "0.1").exit_code == 0
    assert robotrain("compare", four[0], "--not-worse-than", four[1], "--margin", "0.1").exit_code == 5


def test_several_trainings_of_a_file(robotrain, write_scores):
    rows = [
        f"{name},{at},{int(at % 10 < share + seed)},{seed}"
        for name, share in (("act", 1), ("pi0", 6))
        for seed in range(4)
        for at in range(20)
    ]
    file = write_scores("policy,start,success,training", *rows)
    answer = robotrain("compare", "--scores", file, "--json")
    assert read_sentences(answer)[0].startswith("pi0 is better than act by 50 points (")
    assert answer.json["policies"][0]["trainings"] == ["0", "1", "2", "3"]


@pytest.fixture
def policies(tmp_path):
    """Two folders with policies."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"type": "act"}')
        (tmp_path / name / "model.safetensors").touch()
    return tmp_path / "old", tmp_path / "new"


PLAY = ("--env", "pusht", "--platform", "fake", "--no-pin")


def test_policies_are_played_side_by_side_in_one_job(robotrain, fake_platform, policies):
    old, new = policies
    typed = ("--policy-path", new, "--reference-path", old, "--reference-repo-id", "lerobot/act_pusht")
    answer = robotrain("submit", "lerobot-eval", *typed, *PLAY, "--detect", "0.3", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert "comparison-planned" in answer.stderr
    values = {row["name"]: row["value"] for row in stored_job.read_stored_values(answer.json["run"])}
    assert (values["env"], values["detect"], values["margin"]) == ("pusht", 0.3, None)


def end_comparison(fake_platform, run, policies):
    """Runs elsewhere end as a comparison of policies, by their digests, in the conditions of `run`."""
    stored = plans.find_stored_plan(run).plan.job
    conditions = references.digest_conditions(dict(stored.parameters), stored.trainer_args)
    own = EarlierComparison(
        run="", policies=policies, counts=[PairCounts(9, 3, 4, 4)], seed=1000, skip=1_000_000, episodes=20
    )
    compared = {**LOST, KEY: dump_continuation(conditions, own, [])}
    evaluated = Evaluated(episodes=20, scores={"rollout/success_rate": 0.5}, results="/x", compared=compared)
    content = {"state": "succeeded", "log": [event.format_event(evaluated)]}
    (fake_platform / "others.json").write_text(json.dumps(content))


def read_continued(run):
    """The runs that a comparison goes on from."""
    text = plans.find_stored_plan(run).plan.job["earlier_comparisons"]
    return [comparison.run for comparison in load_comparisons(text)]


def test_a_second_comparison_under_equal_conditions_goes_on_from_what_was_seen(robotrain, fake_platform, policies):
    old, new = policies
    words = ("submit", "lerobot-eval", "--policy-path", new, "--reference-path", old, *PLAY, "--json")
    first = robotrain(*words).json["run"]
    assert read_continued(first) == []
    end_comparison(fake_platform, first, ["a" * 64, "b" * 64])
    unseen = robotrain(*words, "--dry-run", "--seed", "5")
    assert "comparison-continued" not in unseen.stderr
    robotrain("status", first)
    again = robotrain(*words)
    second = again.json["run"]
    again.check_problems(0, "comparison-continued")
    assert first in again.stderr
    assert (read_continued(second), second) == ([first], f"{first[:-1]}2"), "the same job, in another attempt"
    assert read_continued(robotrain(*words, "--seed", "5").json["run"]) == [first]
    assert read_continued(robotrain(*words, "--env-steps", "80").json["run"]) == [], "other conditions"
    assert read_continued(robotrain(*words, "--seed", "6", "--earlier-comparisons", "none").json["run"]) == []


def test_earlier_comparisons_that_are_none_are_refused(robotrain, fake_platform, policies):
    old, new = policies
    words = ("submit", "lerobot-eval", "--policy-path", new, "--reference-path", old, *PLAY, "--earlier-comparisons")
    for text in ("x", "[1]", '[{"run": "x"}]'):
        robotrain(*words, text).check_problems(2, "value-invalid --earlier-comparisons")
