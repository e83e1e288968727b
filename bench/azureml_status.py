"""What looking at a job of Azure ML costs: `robotrain status RUN` of one that runs, against importing Microsoft's SDK
alone, in paired runs; minima and their ratio.

    ./uvw run python bench/azureml_status.py [--pairs 15] [--lines 1000] [--late 0]

It signs in, asks the workspace, and reads all of the log: so many lines. The workspace that stands in answers at once;
`--late` delays each of its answers by so many milliseconds. A ratio above its ceiling is printed as such; nothing here
is a test, machines differ.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from azureml_submit import start_workspace
from rows import ROBOTRAIN
from startup import seconds

CEILING = 0.4


def main() -> None:
    """Print the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--late", type=float, default=0.0, help="milliseconds of each answer")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, start_workspace(Path(name)) as workspace:
        environ = {**os.environ, **workspace.environ, "ROBOTRAIN_STATE": f"{name}/state"}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["ROBOTRAIN_STATE"] = environ["ROBOTRAIN_STATE"]
        commands = [
            [ROBOTRAIN, "status", start_observed_run(workspace, given.lines)],
            [sys.executable, "-c", "import azure.ai.ml"],
        ]
        if given.late:
            workspace.fault("", latency=given.late / 1e3)
        timed = [[seconds(command, environ) for command in commands] for _ in range(given.pairs + 1)]
        ours, theirs = (min(column) for column in zip(*timed[1:], strict=True))
        asked = len(workspace.calls) // len(timed)
    over = "" if ours / theirs <= CEILING else "  above"
    print(f"robotrain status {ours * 1e3:.0f} ms, import azure.ai.ml {theirs * 1e3:.0f} ms, {ours / theirs:.2f}{over}")
    print(f"ceiling: {CEILING}; {asked} requests beside the sign-in")


def start_observed_run(workspace: object, lines: int) -> str:
    """The name of a run whose job prints a metric a line."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests/azureml"))
    from azureml_observed_run import Observed
    from robotrain_runtime.contract.event import Metrics

    run = Observed(workspace).set_native_state("Running")  # type: ignore[arg-type]
    run.tell(*(Metrics(step=step, total=lines, values={"train/loss": 1 / step}) for step in range(1, lines + 1)))
    return run.record()


if __name__ == "__main__":
    main()
