"""`robotrain compare --scores` of files that would mislead: each has its right word."""

import random
import shutil
from pathlib import Path

import pytest
from robotrain_runtime.contract.event import Track

STARTS = range(60)
FILES = Path(__file__).with_name("misleading_scores")
"""As people really wrote them."""


def draw_outcomes(*names):
    """Episodes of equal policies, each of which succeeds in exactly half of them."""
    draw = random.Random(3)
    for name in names:
        outcomes = [number < len(STARTS) / 2 for number in STARTS]
        draw.shuffle(outcomes)
        yield from ((name, start, success) for start, success in zip(STARTS, outcomes, strict=True))


@pytest.fixture
def compare(robotrain, write_scores):
    """Compare the policies of rows; the answer, its verdict, and its notes."""

    def run(rows, *words, code=0):
        lines = [f"{name},{start},{int(success)}" for name, start, success in rows]
        answer = robotrain("compare", "--scores", write_scores("policy,start,success", *lines), *words, "--json")
        assert answer.exit_code == code, answer.stderr
        return answer.json["verdicts"][0], answer.json

    return run


@pytest.mark.parametrize(
    ("name", "pairs", "withheld", "note"),
    [
        ("eq_sorted_policy_success", 60, None, "a difference of 20 points"),
        ("eq_drop_failed", 30, "missing", "30 of old"),
        ("drift", 60, None, "82% of pairs differ"),
        ("zero", 70, None, "a difference of 20 points"),
        ("onestart", 1, None, "80 episodes are repetitions of 1 start"),
    ],
)
def test_no_file_makes_equal_policies_differ(robotrain, name, pairs, withheld, note):
    comparison = robotrain("compare", "--scores", FILES / f"{name}.csv", "--json").json
    (verdict,) = comparison["verdicts"]
    assert (verdict["verdict"], verdict["pairs"], verdict["withheld"]) == ("not decided", pairs, withheld)
    assert any(note in text for text in comparison["notes"]), comparison["notes"]
    assert robotrain("compare", "--scores", FILES / f"{name}.csv", "new", "old", "--margin", "0.1").exit_code == 5


def test_a_file_that_a_spreadsheet_sorted_says_what_the_unsorted_one_says(compare):
    rows = [*draw_outcomes("new", "old")]
    by_success = sorted(rows, key=lambda row: (row[0], not row[2]))
    verdict, comparison = compare(by_success)
    assert (verdict["verdict"], verdict["difference"]) == ("not decided", 0)
    assert "is better than" not in comparison["title"]
    for other in (rows, rows[::-1]):
        assert compare(other)[0]["e_value"] == verdict["e_value"] < 20


def test_a_good_morning_and_a_bad_afternoon_are_no_better_policy(compare):
    rows = [(name, start, (name == "new") == (start < 31)) for start in STARTS for name in ("new", "old")]
    verdict, _ = compare(rows)
    assert (verdict["verdict"], verdict["wins"], verdict["losses"]) == ("not decided", 31, 29)


HALF = [at % 2 == 0 for at in STARTS]


@pytest.mark.parametrize(
    ("words", "verdict", "withheld"),
    [
        ((), "not decided", "missing"),
        (("--missing", "drop"), "better", None),
        (("--missing", "failure"), "not decided", None),
    ],
)
def test_failures_that_one_side_leaves_out_are_no_better_policy(compare, words, verdict, withheld):
    rows = [("new", start, True) for start in STARTS if HALF[start]]
    rows += [row for row in draw_outcomes("old")]
    actual, comparison = compare(rows, *words)
    assert (actual["verdict"], actual["withheld"], actual["unmatched"]) == (verdict, withheld, 30)
    assert any("30 of old" in note for note in comparison["notes"])
    told = [
        note
        for note in comparison["notes"]
        if note.startswith(("left out: new is better", "counted as failures: not d"))
    ]
    assert len(told) == (2 if withheld else 0)


def test_starts_that_one_side_lacks_are_no_matter_where_the_answer_stays(compare):
    rows = [("new", start, True) for start in STARTS if start > 4] + [("old", start, False) for start in STARTS]
    verdict, comparison = compare(rows)
    assert (verdict["verdict"], verdict["withheld"], verdict["pairs"], len(comparison["notes"])) == (
        "better",
        None,
        55,
        1,
    )


def test_an_evaluation_that_broke_off_is_no_better_policy(robotrain, record_evaluation):
    record_evaluation("eval-1", [True if success else None for success in HALF])
    record_evaluation("eval-2", [success for _, _, success in draw_outcomes("old")])
    record_evaluation("eval-3", [True] * 30)
    (verdict,) = robotrain("compare", "eval-1", "eval-2", "--json").json["verdicts"]
    assert (verdict["verdict"], verdict["withheld"]) == ("not decided", "missing")
    (verdict,) = robotrain("compare", "eval-3", "eval-2", "--json").json["verdicts"]
    assert (verdict["verdict"], verdict["unmatched"]) == ("better", 30), "the other starts were not asked of it"


def test_what_missing_may_be(robotrain, write_scores):
    file = write_scores("policy,start,success", "a,1,1", "b,1,0")
    robotrain("compare", "--scores", file, "--missing", "none").check_problems(2, "usage --missing")


GROUPS = ("eval-old-0,eval-old-1,eval-old-2,eval-old-3", "eval-new-0,eval-new-1,eval-new-2,eval-new-3")


@pytest.fixture
def record_trainings(record_evaluation):
    """Record four evaluations of a bad method and four of a good one; their logs, by name."""

    def record(digests=()):
        made = {}
        for name, share in (("old", 3), ("new", 8)):
            for at in range(4):
                outcomes = [(start + at) % 10 < share + (at % 2) for start in range(20)]
                policy = {"sha256": f"{digests[name == 'new']}" if digests else f"{name}{at}"}
                run = f"eval-{name}-{at}"
                made[run] = record_evaluation(run, outcomes, policy=policy)
        return made

    return record


def test_evaluations_of_one_checkpoint_are_one_training(robotrain, record_trainings):
    record_trainings(("1" * 64, "2" * 64))
    answer = robotrain("compare", *GROUPS, "--json")
    (verdict,) = answer.json["verdicts"]
    assert (verdict["verdict"], verdict["p_value"], len(verdict["means"][0])) == ("not decided", None, 1)
    assert [policy["trainings"] for policy in answer.json["policies"]] == [["eval-old-0"], ["eval-new-0"]]
    assert answer.stderr.count("are evaluations of one training, and count as one") == 6


def test_checkpoints_of_one_run_are_one_training(robotrain, record_trainings, scripted):
    made = record_trainings()
    (before,) = robotrain("compare", *GROUPS, "--json").json["verdicts"]
    assert before["verdict"] == "worse", "eight trainings"
    scripted.run("train-1", state="succeeded")
    for run in ("eval-old-0", "eval-old-2"):
        made[run].log(Track(tags={"policy_run": "train-1"}))
    answer = robotrain("compare", *GROUPS, "--json")
    assert [len(means) for means in answer.json["verdicts"][0]["means"]] == [3, 4]
    assert answer.json["verdicts"][0]["verdict"] == "not decided"
    made["eval-new-0"].log(Track(tags={"policy_run": "train-1"}))
    robotrain("compare", *GROUPS).check_problems(2, "not-comparable")


@pytest.fixture
def record_checkpoints(record_evaluation, scripted):
    """Record evaluations of checkpoints of one run, by their successes of 20 episodes, on this machine."""

    def record(*successes, **fields):
        scripted.run("train-1", state="succeeded")
        for number, count in enumerate(successes, start=1):
            policy = {"sha256": str(number) * 64}
            made = record_evaluation(f"eval-{number}", [at < count for at in range(20)], policy=policy, **fields)
            made.log(Track(tags={"policy_run": "train-1"}))
            shutil.copyfile(made.folder / "log.txt", made.folder / "events.jsonl")
        record_evaluation("eval-old", [at < 10 for at in range(20)], policy={"sha256": "f" * 64})

    return record


def test_the_best_of_several_checkpoints_on_the_starts_that_chose_it_is_named(robotrain, record_checkpoints):
    record_checkpoints(11, 14, 9)
    (note,) = [note for note in robotrain("compare", "eval-2", "eval-old", "--json").json["notes"] if "best of" in note]
    assert note.startswith("eval-2 is the best of 3 checkpoints of its training on these starts")
    assert "eval-1" in note
    assert "eval-3" in note
    for other in ("eval-1", "eval-3"):
        assert "best of" not in robotrain("compare", other, "eval-old").stdout, "its score did not choose it"
    assert "best of" not in robotrain("compare", "eval-1", "eval-2", "eval-3").stdout, "all of them are compared"


def test_a_policy_that_was_evaluated_before_is_named(robotrain, record_checkpoints, record_evaluation):
    record_checkpoints(11)
    record_evaluation("eval-again", [at < 15 for at in range(20)], policy={"sha256": "1" * 64}, first=5000)
    record_evaluation("eval-then", [at < 10 for at in range(20)], policy={"sha256": "f" * 64}, first=5000)
    notes = robotrain("compare", "eval-again", "eval-then", "--json").json["notes"]
    assert any(
        "eval-again is one of 2 evaluations of its policy under equal conditions (eval-1)" in note for note in notes
    )


def test_policies_that_never_succeed_do_not_pass_a_gate(compare):
    rows = [(name, start, False) for start in range(70) for name in ("new", "old")]
    gate = ("new", "--not-worse-than", "old", "--margin", "0.1")
    verdict, comparison = compare(rows, *gate, code=5)
    assert (verdict["withheld"], comparison["gate"]["passed"]) == ("floor", False)
    assert "these conditions do not tell" in comparison["gate"]["sentence"]
    verdict, comparison = compare(rows, *gate, "--allow-floor")
    assert (verdict["verdict"], comparison["gate"]["passed"], comparison["allow_floor"]) == ("not worse", True, True)
    assert compare(rows)[0]["verdict"] == "not decided"


def test_an_answer_that_is_less_sure_than_usual_says_so(compare):
    rows = [*draw_outcomes("new", "old")]
    verdict, _ = compare(rows, "new", "old", "--margin", "0.3", "--confidence", "0.6")
    assert verdict["sentence"].endswith(", at a confidence of 60%")
    verdict, _ = compare(rows)
    assert "confidence" not in verdict["sentence"]
