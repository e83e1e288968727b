"""Lines as people type them (bench/corpora): good jobs are never refused, broken ones with the code that they have."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from corpora_world import CORPORA, make_world
from robotrain.errors import Rejected, raise_if_any
from robotrain.submission import checked_plan

GOOD, BROKEN = "good.txt", "broken.txt"
A_FEW, ALL = 10, 1
"""Each so many lines are typed in the fast tests, and in the slow ones."""
FILES_ALONE = ("lerobot-train", "lerobot-eval", "rosbag-act-train")
"""Workloads whose preflight on this machine looks at files, not for a simulator."""
CODE = re.compile(r"^error: .*\[([\w-]+)\]\s*$", re.MULTILINE)


def read_lines(name: str) -> list[str]:
    lines = (CORPORA / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture
def find_codes(robotrain, tmp_path, monkeypatch):
    """Type a line of `submit` that sends nothing and asks no service; returns the codes of its errors."""
    run_preflight = checked_plan.run_preflight

    def check_files(rendered: Any, platform: Any, earlier_problems: Any = (), **options: Any) -> Any:
        """Do the preflight of this machine alone, which may have no GPU."""
        paths = [Path(source.uri) for source in rendered.plan.job.sources]
        is_here = all(path.is_absolute() for path in paths)
        is_here |= any(path.is_absolute() and not path.exists() for path in paths)  # that is refused whatever else is
        problems = list(earlier_problems)
        if platform.name == "local" and is_here and rendered.plan.job.workload in FILES_ALONE:
            try:
                return run_preflight(rendered, platform, earlier_problems, **options)
            except Rejected as rejected:
                problems = [problem for problem in rejected.problems if problem.code != "gpu-missing"]
        raise_if_any(problems)
        return problems

    monkeypatch.setattr(checked_plan, "run_preflight", check_files)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(make_world(tmp_path / "world"))

    def find(line: str) -> list[str]:
        words = shlex.split(line)
        job = [words.pop(0)] if not words[0].startswith("-") else []
        place = [] if "--platform" in words else ["--platform", "local"]
        answer = robotrain("submit", *job, *place, "--dry-run", "--no-pin", *words)
        assert bool(answer.exit_code) == bool(CODE.findall(answer.stderr)), answer.stderr
        return CODE.findall(answer.stderr)

    return find


def test_there_are_as_many_lines_as_there_should_be() -> None:
    good, broken = read_lines(GOOD), read_lines(BROKEN)
    assert (len(good) >= 150, len(broken) >= 100) == (True, True)
    assert len({*good, *broken}) == len(good) + len(broken)


@pytest.mark.parametrize("step", [A_FEW, pytest.param(ALL, marks=pytest.mark.slow)])
def test_good_jobs_are_not_refused(find_codes, step) -> None:
    refused = {line: codes for line in read_lines(GOOD)[::step] if (codes := find_codes(line))}
    assert refused == {}


@pytest.mark.parametrize("step", [A_FEW, pytest.param(ALL, marks=pytest.mark.slow)])
def test_broken_jobs_are_refused_with_their_codes(find_codes, step) -> None:
    lines = [line.partition(": ") for line in read_lines(BROKEN)[::step]]
    other = {line: codes for code, _, line in lines if code not in (codes := find_codes(line))}
    assert other == {}
