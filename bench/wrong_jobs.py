"""Jobs that cannot work, and jobs that can: how many of each are refused before anything is sent.

    ./uvw run python bench/wrong_jobs.py [--quick] [--misses] [--no-checker] [--checker VERSION=PYTHON …]

The lines are those of bench/corpora: good ones, broken ones, and real ones of docs and pages. Each is counted without a
checker and with one, by default the environments that trainings run in. `--misses` prints those that are judged wrong.
Every hundredth is also typed as a user types it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import rows
from rows import ROBOTRAIN, Row

sys.path.insert(0, str(Path(__file__).with_name("corpora")))
import judge
from judge import Answer, Judge
from lines import Line, read_lines

MISSED = {False: 12.0, True: 1.0}
"""Percent of the broken jobs that may be sent, without and with a checker."""
GOOD, BROKEN, REAL = "good.txt", "broken.txt", "real.txt"
SIMULATED = "isaac"
"""What the workloads begin with whose preflight looks for a simulator."""
OF_THE_MACHINE = ("source-unreachable", "gpu-missing")
REAL_GOOD = "good"
"""The class of real lines that work."""
QUICK, TYPED = 10, 100
LOCKS = {judge.NEWEST: "lerobot_versions/v0_6_1/train.txt"}


def make_parser(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--misses", action="store_true", help="print the lines that are judged wrong")
    parser.add_argument("--no-checker", action="store_true", help="count without a checker only")
    parser.add_argument("--checker", action="append", default=[], metavar="VERSION=PYTHON", help="such as 0.6.1=PYTHON")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Count each corpus, without a checker and with one."""
    step = QUICK if options.quick else 1
    for has_checker in (False,) if options.no_checker else (False, True):
        checkers = find_checkers(options.checker) if has_checker else {}
        name = "with a checker" if has_checker else "without a checker"
        with tempfile.TemporaryDirectory() as folder, judge.open_judge(Path(folder), checkers) as judged:
            good, broken = read_lines(GOOD)[::step], read_lines(BROKEN)[::step]
            real = read_lines(REAL)[::step]
            good_real = [line for line in real if line.kind == REAL_GOOD]
            for lines, what in ((good, "good"), (good_real, "good real")):
                refused = count(judged, lines, options.misses, is_good=True)
                yield Row(name=f"{len(lines)} {what} jobs {name}: refused", ours=refused, unit="jobs", ceiling=0)
            bad_real = [line for line in real if line.kind != REAL_GOOD]
            for lines, what in ((broken, "broken"), (bad_real, "broken real")):
                sent = 100 * count(judged, lines, options.misses, is_good=False) / max(1, len(lines))
                ceiling = MISSED[has_checker]
                yield Row(name=f"{len(lines)} {what} jobs {name}: sent", ours=sent, unit="%", ceiling=ceiling)
            typed = [line for lines in (good, broken) for line in lines[:: max(1, TYPED // step)]]
            typed = [line for line in typed if not line.words[0].startswith(SIMULATED)]
            yield Row(
                name=f"{len(typed)} of them typed {name}: other answer",
                ours=sum(differs(judged, line, checkers) for line in typed),
                unit="jobs",
                ceiling=0,
            )


def find_checkers(assignments: list[str]) -> dict[str, Path]:
    """Return the Python of each version."""
    import environments

    chosen = {name: Path(path) for name, path in (assignment.split("=", 1) for assignment in assignments)}
    newest = next((path for name, path in chosen.items() if name not in LOCKS), None)
    pythons = {name: chosen.get(name) for name in LOCKS} | ({judge.NEWEST: newest} if newest else {})
    return {name: path or environments.find_python(LOCKS[name]) for name, path in pythons.items()}


def count(judged: Judge, lines: list[Line], shows: bool, *, is_good: bool) -> int:
    """Return how many lines are judged wrong."""
    wrong = 0
    for line in lines:
        answer = judged.judge(line)
        if answer.is_refused == is_good:
            wrong += 1
            if shows:
                rows.log(f"{line.kind}: {line.text}\n    LeRobot: {line.why}\n    robotrain: {format_answer(answer)}")
    return wrong


def format_answer(answer: Answer) -> str:
    """Return the first lines of what robotrain said."""
    return "\n        ".join(answer.text.splitlines()[:4])


def differs(judged: Judge, line: Line, checkers: Mapping[str, Path]) -> bool:
    """Return whether the command line of a process of its own says something else."""
    answer = type_line(judged, line, str(checkers.get(judge.NEWEST, "none")))
    expected = judged.judge(line)
    if not expected.is_refused and lacks_machine(answer):  # it is asked last
        return False
    if answer.is_refused != expected.is_refused:
        rows.log(f"{line.text}\n    in this process {expected.code}: {expected.text}\n    typed: {answer}")
    return answer.is_refused != expected.is_refused


def lacks_machine(answer: Answer) -> bool:
    """Return whether all that is wrong is that this machine has no GPU, or does not reach the Hub."""
    codes = [part.rpartition("[")[2] for part in answer.text.splitlines() if part.startswith("error: ")]
    return bool(codes) and all(code.startswith(OF_THE_MACHINE) for code in codes)


def type_line(judged: Judge, line: Line, checker: str) -> Answer:
    """Type a line in a process of its own."""
    environ = {**os.environ, "ROBOTRAIN_CHECKER": checker, "COLUMNS": "200"}
    words = [ROBOTRAIN, *judge.make_words(line)]
    done = subprocess.run(words, cwd=judged.folder, env=environ, capture_output=True, text=True, check=False)
    return Answer(done.returncode, done.stderr)


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__, make_parser)


if __name__ == "__main__":
    sys.exit(main())
