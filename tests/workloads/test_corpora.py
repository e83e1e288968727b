"""A tenth of the corpora (bench/corpora): good jobs are not refused, and most of those that cannot work are."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2] / "bench/corpora"
sys.path.append(str(HERE))
import judge  # noqa: E402
from judge import Judge  # noqa: E402
from lines import Line, read_lines  # noqa: E402

TENTH = 10
GOOD, BROKEN, REAL = "good.txt", "broken.txt", "real.txt"
MOST_SENT = {False: 0.2, True: 0.04}
"""The share of broken jobs that may be sent, without and with a checker; bench/wrong_jobs.py counts all of them."""


@pytest.fixture
def judged(tmp_path) -> Iterator[Judge]:
    """Who types lines without a checker."""
    with judge.open_judge(tmp_path, {}) as opened:
        yield opened


@pytest.fixture
def checking_judge(tmp_path, training_python) -> Iterator[Judge]:
    """Who types lines with a checker."""
    with judge.open_judge(tmp_path, {judge.NEWEST: training_python}) as opened:
        yield opened


def find_wrong(judged: Judge, lines: list[Line]) -> list[str]:
    """Return the lines that are judged wrong, with what was said."""
    wrong = []
    for line in lines:
        answer = judged.judge(line)
        if answer.is_refused == is_good(line):
            wrong.append(f"{line.kind}: {line.text}\n    {line.why}\n    {answer.text}")
    return wrong


def is_good(line: Line) -> bool:
    """Return whether a line of any corpus works."""
    return line.kind == "good" or "-" in line.kind  # in good.txt, the class is the workload


def test_the_corpora_are_as_large_as_they_should_be() -> None:
    good, broken = read_lines(GOOD), read_lines(BROKEN)
    assert (len(good) >= 400, len(broken) >= 200) == (True, True)
    assert len({line.words for line in (*good, *broken)}) == len(good) + len(broken)
    assert all(map(is_good, good))
    assert not any(map(is_good, broken))


@pytest.mark.slow
def test_good_jobs_are_not_refused(judged) -> None:
    assert not find_wrong(judged, read_lines(GOOD)[::TENTH])


def test_real_lines_that_work_are_not_refused(judged) -> None:
    assert not find_wrong(judged, [line for line in read_lines(REAL) if is_good(line)][::3])


def test_most_broken_jobs_are_refused_without_a_checker(judged) -> None:
    lines = read_lines(BROKEN)[::TENTH]
    wrong = find_wrong(judged, lines)
    assert len(wrong) <= MOST_SENT[False] * len(lines), "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.long
def test_good_jobs_are_not_refused_by_a_checker(checking_judge) -> None:
    assert not find_wrong(checking_judge, read_lines(GOOD)[::TENTH])


@pytest.mark.slow
@pytest.mark.long
def test_broken_jobs_are_refused_by_a_checker(checking_judge) -> None:
    lines = read_lines(BROKEN)[::TENTH]
    wrong = find_wrong(checking_judge, lines)
    assert len(wrong) <= MOST_SENT[True] * len(lines), "\n".join(wrong)
