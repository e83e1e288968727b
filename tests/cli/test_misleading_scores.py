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
