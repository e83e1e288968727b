"""What following a program of the user's own costs: processor time of the supervisor, of the program's wall time.

    ./uvw run python bench/command_metrics.py [--seconds 20] [--quick] [--json]

A thousand lines a second, each with a step and two metrics that `--metric` and `--step` find; and the same program,
whose output nobody asked to read. What a program that ends at once costs is left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import rows
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_workloads.command import program_spec
from robotrain_workloads.command.parameters import CommandParameters
from robotrain_workloads.command.program_spec import ProgramSpec
from rows import Row

RATE = 1000
PRINT = """
import sys, time
rate, seconds = int(sys.argv[1]), float(sys.argv[2])
began, count = time.monotonic(), int(rate * seconds)
for step in range(count):
    print(f"epoch 1 step {step}/{count} loss={1 / (step + 1):.5f} lr=0.0001 acc: {step % 100}", flush=True)
    time.sleep(max(0.0, began + (step + 1) / rate - time.monotonic()))
"""
FOLLOW = """
import resource, sys
from robotrain_workloads.command import supervisor
code = supervisor.main()
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, file=sys.stderr)
sys.exit(code)
"""
METRICS = {
    "metrics": json.dumps({"loss": r"loss=([0-9.e-]+)", "acc": r"acc: (\d+)"}),
    "step_pattern": r"step (\d+)/(\d+)",
}


def measure_share(seconds: float, **values: Any) -> float:
    """Return the share of a core, in percent, beside what a program that ends at once costs."""
    given = {one.name: one.default for one in get_parameters(CommandParameters)} | values
    used = []
    for length in (0.0, seconds):
        with tempfile.TemporaryDirectory() as work:
            spec = ProgramSpec(
                arguments=(sys.executable, "-c", PRINT, str(RATE), str(length)),
                folder=work,
                work=work,
                outputs=f"{work}/outputs",
                checkpoints=f"{work}/checkpoints",
                values=given,
            )
            environ = {**os.environ, program_spec.SPEC_VARIABLE: str(spec.save())}
            command = [sys.executable, "-c", FOLLOW]
            done = subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise OSError(done.stderr)
        used.append(float(done.stderr.splitlines()[-1]))
    return 100 * (used[1] - used[0]) / seconds


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the share with and without metrics in the output; with --quick for a tenth of the time."""
    seconds, unit = options.seconds / (10 if options.quick else 1), "% of a core"
    with_metrics = measure_share(seconds, **METRICS)
    yield Row(name=f"find metrics in {RATE:,} lines a second", ours=with_metrics, unit=unit, ceiling=5.0)
    yield Row(name=f"leave {RATE:,} lines a second alone", ours=measure_share(seconds), unit=unit, ceiling=1.0)


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__, lambda parser: parser.add_argument("--seconds", type=float, default=20.0))


if __name__ == "__main__":
    sys.exit(main())
