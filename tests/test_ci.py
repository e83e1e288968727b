"""What CI runs: every test is in exactly one of .ci/run's fast tests, its slow ones, and .ci/long."""

import ast
import fnmatch
import re
from itertools import product
from pathlib import Path

import pytest
import tomllib
from _pytest.mark.expression import Expression
from known_skips import KnownSkips, read_known

ROOT = Path(__file__).parents[1]


def chosen_by(script: str) -> set[str]:
    """The marker expressions that a script gives to pytest."""
    expressions = re.findall(r'pytest .*?-m (?:"(.+?)"|(\w+))', (ROOT / script).read_text())
    return {quoted or word for quoted, word in expressions}


def test_every_test_is_in_exactly_one_of_the_two():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    [fast] = re.findall(r"-m '(.*?)'", options)
    [slow] = chosen_by(".ci/run")
    long, part_of_long = sorted(chosen_by(".ci/long"))
    for is_slow, is_long in product([False, True], repeat=2):
        if is_long and not is_slow:
            continue  # pytest refuses to collect it: see conftest.py
        markers = {name for name, has in (("slow", is_slow), ("long", is_long)) if has}
        runs = [Expression.compile(expression).evaluate(markers.__contains__) for expression in (fast, slow, long)]
        assert sum(runs) == 1, (markers, runs)
    assert part_of_long == "slow and long"  # the same tests in another order


def test_both_run_every_folder_of_tests():
    run, long = (Path(ROOT, ".ci", name).read_text() for name in ("run", "long"))
    assert '-m "slow and not long" tests/slurm' in run
    assert '-m "slow and not long" --ignore tests/slurm' in run
    assert "for room in tests/*/" in long
    assert "run_long tests/test_*.py" in long
    folders = {file.parent for file in ROOT.glob("tests/**/test_*.py")}
    assert folders <= {ROOT / "tests", *ROOT.glob("tests/*/")}


@pytest.mark.parametrize(("reason", "unknown"), [("Skipped: no fish", []), ("Skipped: later", ["test: later"])])
def test_a_skip_that_is_not_known_is_told(reason, unknown):
    skips = KnownSkips(["no *"])
    skips.note("test", ("file", 1, reason))
    assert skips.unknown == unknown


NEVER_HERE = (
    "no installed platform *",
    "* accepts no installed workload",
    "* accepts no third-party workload, *",
    "`*` of an earlier test still runs*",
)
"""Why the kits skip where nothing is installed to test with, or a test has failed."""


def join_parts(text):
    """The text of an expression, with `x` for what is only known when it runs."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(part.value if isinstance(part, ast.Constant) else "x" for part in parts)


def test_each_reason_for_which_a_kit_skips_is_known():
    """The slow kits of the built-in platforms would be the first to tell."""
    reasons = []
    for file in (ROOT / "core/robotrain/testing").glob("*.py"):
        calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
        reasons += [join_parts(call.args[0]) for call in calls if ast.unparse(call.func) == "pytest.skip"]
    assert len(reasons) > 15
    patterns = (*read_known(), *NEVER_HERE)
    assert [reason for reason in reasons if not any(fnmatch.fnmatch(reason, pattern) for pattern in patterns)] == []
