"""What programs read of a platform is an API: keys are only ever added."""

from robotrain.testing import command_line
from robotrain.testing.bench import Bench
from robotrain.testing.on_a_bench import OnABench

PLAN = {"run", "platform", "digest", "spec", "files"}
FILE = {"bytes", "sha256"}
CATALOG = {"platforms", "rows", "settings"}
SETTING = {"name", "flag", "default", "env", "help"}
PROBLEM = {"code", "severity", "stage", "title", "where", "given", "why", "instead"}


class Telling(OnABench):
    """`--json` of each command that a platform has a part in, and nothing else on standard output."""

    def test_a_plan_as_data(self, bench: Bench) -> None:
        """`render --json`."""
        plan = bench.render(*bench.first_source()).json
        assert set(plan) >= PLAN
        assert all(set(file) >= FILE for file in plan["files"].values())
        assert plan["spec"] in plan["files"]

    def test_the_platform_as_data(self, bench: Bench) -> None:
        """`platforms NAME --json`: what it declares, and each of its settings."""
        told = command_line.run("platforms", bench.name, "--json").json
        assert set(told) >= CATALOG
        assert told["platforms"] == [bench.name]
        assert all(set(setting) >= SETTING for setting in told["settings"][bench.name])

    def test_a_refusal_as_data(self, bench: Bench) -> None:
        """Problems, each with its code, and the exit code of the earliest stage that one is of."""
        answer = bench.render("--kit-no-such-option")
        assert answer.exit_code == 2
        assert answer.problems
        assert all(set(problem) >= PROBLEM for problem in answer.problems)
