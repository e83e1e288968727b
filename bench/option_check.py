"""Options after `--`: the time to check 100 of them before submission.

    ./uvw run python bench/option_check.py [--quick]

In a fresh process each time, the data of the LeRobot version read included; the modules are imported before.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator

import rows
from rows import Row

ARGUMENTS = 100
CEILING = 20.0
"""Milliseconds."""
PROGRAM = """
import sys, time
from robotrain_workloads.lerobot_options import option_names, option_rules
from robotrain_workloads.lerobot.trained_model import choose_model

arguments, parameters = sys.argv[2:], {"lerobot_version": None, "policy_type": "smolvla"}
before = time.perf_counter()
model = choose_model(parameters, {})
found = [*option_names.check_names(arguments, {"policy": model.kind}, {})]
found += option_rules.find_problems(arguments, model, {}, starts=False)
print(1000 * (time.perf_counter() - before))
assert len(found) == int(sys.argv[1]), found
"""


def make_arguments(typing_errors: int) -> list[str]:
    """Return the arguments, some of which LeRobot does not have."""
    options = ("--policy.num_steps={}", "--policy.optimizer_eps={}", "--wandb.notes={}", "--dataset.episodes=[{}]")
    options = (*options, "--policy.rtc_config.execution_horizon={}", "--optimizer.lr={}", "--tolerance_s={}")
    right = [options[number % len(options)].format(number + 1) for number in range(ARGUMENTS - typing_errors)]
    return [*right, *(f"--policy.chunk_sise{number}=3" for number in range(typing_errors))]


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Measure both: all right, and each tenth misspelled, whose nearest name is looked for."""
    for wrong, name in ((0, "check 100 options after --"), (ARGUMENTS // 10, "the same, ten of them misspelled")):
        command = [sys.executable, "-c", PROGRAM, str(wrong), *make_arguments(wrong)]
        runs = range(3 if options.quick else 9)
        times = [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in runs]
        yield Row(name=name, ours=min(times), unit="ms", ceiling=CEILING)


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
