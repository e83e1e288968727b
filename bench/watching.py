"""What watching costs: the processor time of `robotrain watch` on a terminal, start-up included, while a run goes on.

    ./uvw run python bench/watching.py [--seconds 60]

The run is of this machine: five lines of log and two metrics a second, as a brisk training tells. A share above the
ceiling is printed as such; nothing here is a test, machines differ.
"""

import argparse
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from startup import ROBOTRAIN

ROOT = Path(__file__).parents[1]
CEILING = 0.02
WORKLOAD = """
from dataclasses import dataclass
from typing import Annotated
from robotrain.plugins.hookspecs import hook
from robotrain.model.workload import Workload
from robotrain_runtime.contract.parameter import Param

@dataclass(frozen=True, kw_only=True)
class Parameters:
    program: Annotated[str, Param(help="a few lines of Python")] = "pass"

@hook
def robotrain_workloads():
    return [Workload(name="tiny", summary="", parameters=Parameters, roles={}, half="tiny_work.container")]
"""
TRAINING = """
import time
from robotrain_runtime.contract.event import emit_event
from robotrain_runtime.contract.event import Metrics
for step in range(1, 10 * {seconds}):
    if step % 5 in (1, 3):
        emit_event(Metrics(step=step, total=10 * {seconds}, values={{"train/loss": 1 / step, "train/lr": 1e-4}}))
    print("an ordinary line of a training, about as long as they are", step, flush=True)
    time.sleep(0.2)
"""


def main() -> None:
    """Print the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        environ = os.environ | {"ROBOTRAIN_STATE": f"{name}/state", "PYTHONPATH": plugin(Path(name))}
        submit = [ROBOTRAIN, "submit", "tiny", "--platform", "local", "--environment", sys.prefix]
        program = TRAINING.format(seconds=seconds + 30)
        subprocess.run([*submit, "--program", program], env=environ, check=True, capture_output=True)
        try:
            used = watched([ROBOTRAIN, "watch"], environ, seconds)
        finally:
            subprocess.run([ROBOTRAIN, "cancel"], env=environ, check=True, capture_output=True)
    over = "" if used / seconds <= CEILING else "  above"
    print(f"robotrain watch: {used:.2f} s of processor time in {seconds} s, {used / seconds:.2%} of a core{over}")
    print(f"ceiling: {CEILING:.0%}")


def plugin(folder: Path) -> str:
    """A workload of a few lines of Python, installed; the folders that PYTHONPATH names for it."""
    info = folder / "site" / "acme_tiny-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tiny\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[robotrain]\nworkload.tiny = acme_tiny\n")
    (folder / "site" / "acme_tiny.py").write_text(WORKLOAD)
    return os.pathsep.join([str(folder / "site"), str(ROOT / "tests/local/halves")])


def watched(command: list[str], environ: dict[str, str], seconds: float) -> float:
    """The processor time of a command on a terminal of its own, interrupted after so many seconds."""
    ours, theirs = pty.openpty()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environ = environ | {"TERM": "xterm-256color"}
    process = subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([ours], [], [], left)[0]:
            os.read(ours, 1 << 16)
    process.send_signal(signal.SIGINT)
    process.wait()
    os.close(ours)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
