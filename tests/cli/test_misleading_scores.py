"""`robotrain compare --scores` of files that would mislead: each has its right word."""

import random

import pytest

STARTS = range(60)


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


def test_a_file_that_a_spreadsheet_sorted_says_what_the_unsorted_one_says(compare):
    rows = [*draw_outcomes("new", "old")]
    by_success = sorted(rows, key=lambda row: (row[0], not row[2]))
    verdict, known = compare(by_success)
    assert (verdict["verdict"], verdict["difference"]) == ("not decided", 0)
    assert "is better than" not in known["title"]
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
    found, known = compare(rows, *words)
    assert (found["verdict"], found["withheld"], found["unmatched"]) == (verdict, withheld, 30)
    assert any("30 of old" in note for note in known["notes"])
    told = [one for one in known["notes"] if one.startswith(("left out: new is better", "counted as failures: not d"))]
    assert len(told) == (2 if withheld else 0)


def test_starts_that_one_side_lacks_are_no_matter_where_the_answer_stays(compare):
    rows = [("new", start, True) for start in STARTS if start > 4] + [("old", start, False) for start in STARTS]
    found, known = compare(rows)
    assert (found["verdict"], found["withheld"], found["pairs"], len(known["notes"])) == ("better", None, 55, 1)


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
    robotrain("compare", "--scores", file, "--missing", "none").check_problems(2, "value-invalid --missing")
