"""Suggestions are lines that work: each first one is applied to the line with the mistake, which runs again."""

from collections import Counter
from pathlib import Path

import pytest
from planted_failures import Verdict, World, read_failures, submit_runs, write_files

LEAST_COMPLETE, LEAST_RIGHT = 0.6, 0.9
"""The share of failures whose first suggestion needs no choice, and of these the share that makes a line that works."""
LEAST_COMPLETE_OF_SAMPLE = 0.5
"""Of all, 0.64 need no choice; a fifth may hold fewer."""
LEAST_TRIED = 0.95
"""The share of all suggestions without a choice that remove their problem and bring no other one."""
FEWEST = 300
SAMPLE = 5
"""Every how many failures the fast test takes one."""


@pytest.fixture
def world(tmp_path, monkeypatch, fake_platform, robotrain):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    write_files(Path.cwd())
    submit_runs(robotrain, fake_platform)
    return World(monkeypatch)


def check_verdicts(verdicts: list[Verdict], least_complete: float = LEAST_COMPLETE) -> None:
    by_kind = {
        kind: [str(verdict) for verdict in verdicts if verdict.kind == kind]
        for kind in {verdict.kind for verdict in verdicts}
    }
    for kind in ("no failure", "another job", "unnamed"):
        assert not by_kind.get(kind), "\n".join(by_kind[kind])
    complete = [verdict for verdict in verdicts if verdict.is_complete]
    wrong = "\n".join(by_kind.get("still wrong", []))
    assert len(complete) >= least_complete * len(verdicts), Counter(verdict.kind for verdict in verdicts)
    assert len(by_kind["works"]) >= LEAST_RIGHT * len(complete), wrong


@pytest.mark.slow
def test_first_suggestions_of_a_sample_are_lines_that_work(world):
    sample = [*read_failures()][::SAMPLE]
    check_verdicts([world.judge(failure) for failure in sample], LEAST_COMPLETE_OF_SAMPLE)


@pytest.mark.slow
@pytest.mark.long
def test_first_suggestions_are_lines_that_work(world):
    failures = [*read_failures()]
    assert len(failures) >= FEWEST
    verdicts = [world.judge(failure) for failure in failures]
    print(Counter(verdict.kind for verdict in verdicts))
    check_verdicts(verdicts)


@pytest.mark.slow
@pytest.mark.long
def test_suggestions_remove_their_problem_without_another_one(world):
    tried = [attempt for failure in read_failures() if not failure.file for attempt in world.try_ways(failure)]
    wrong = "\n".join(what for is_right, what in tried if not is_right)
    assert sum(is_right for is_right, _ in tried) >= LEAST_TRIED * len(tried) >= FEWEST, wrong
