"""How long the check and the plan of a pipeline of 1,000 steps take, in processor time.

The ceiling is that of what they take beyond a pipeline of two steps: start-up has its own ceilings.

./uvw run python bench/pipeline_plan.py
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import rows
from listing import measure_cpu
from robotrain.pipelines.steps import MAX_STEPS
from rows import ROBOTRAIN, Row
from startup import ROOT

EXAMPLE = ROOT / "examples/pusht-mini"
CEILING = 1.0


def write_pipeline(path: Path, steps: int) -> None:
    """Write trainings of other seeds, each with its evaluation, five pairs at a time."""
    lines = ["steps:"]
    for seed in range(steps // 2):
        after = f", after: evaluate-{seed - 5}" if seed >= 5 else ""
        policy = f"sources: {{policy: {{from: train-{seed}}}}}"
        lines.append(f"  train-{seed}: {{job: {EXAMPLE}/job.yaml, parameters: {{seed: {seed}}}{after}}}")
        lines.append(f"  evaluate-{seed}: {{job: {EXAMPLE}/evaluate.yaml, {policy}}}")
    path.write_text("\n".join(lines))


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of the local platform."""
    with tempfile.TemporaryDirectory() as name:
        least = []
        for steps in (2, MAX_STEPS):
            file = Path(name, f"{steps}.yaml")
            write_pipeline(file, steps)
            command = [ROBOTRAIN, "pipeline", "render", str(file), "--platform", "local"]
            least.append(min(measure_cpu(command, Path(name, "state"), {}) for _ in range(4 if options.quick else 10)))
    few, many = least
    yield Row(name=f"check and plan of {MAX_STEPS:,} steps, local", ours=many - few, unit="s", ceiling=CEILING)
    yield Row(name=f"pipeline render local, {MAX_STEPS:,} steps", ours=many, unit="s")


def main() -> int:
    """Print every figure."""
    return rows.run(measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
