"""What following a training of Isaac Lab costs: processor time of reading TensorBoard's files and sending metrics.

    ./uvw run python bench/isaac_watching.py [--events 100000] [--quick] [--json]

rsl_rl writes about twenty scalars an iteration, and a large task has two iterations a second: 100,000 of them are
written in 2,500 s. The reader's import counts. Idle: a training that writes nothing, after all of them were read.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import robotrain_runtime
import robotrain_workloads
import rows
from robotrain_workloads.supervision.environment import ENVIRONMENT
from rows import Row

SCALARS = 20
SECONDS = 0.5
"""Of an iteration."""
IDLE_SECONDS = 600
FOLLOW = """
import argparse, json, sys, tempfile, time
from pathlib import Path
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
iterations, scalars, polls = map(int, sys.argv[1:4])
folder = Path(tempfile.mkdtemp(dir=sys.argv[4]))
writer = EventFileWriter(str(folder), max_queue_size=1000)
for step in range(iterations):
    for number in range(scalars):
        value = Summary.Value(tag=f"Episode_Reward/term_{number}", simple_value=1.0 / (step + 1))
        writer.add_event(Event(wall_time=step, step=step, summary=Summary(value=[value])))
writer.close()
from robotrain_workloads.supervision import process_group
from robotrain_workloads.isaac_train import supervisor
report = {"event": "began", "folder": str(folder), "first": 0, "total": iterations, "rollouts": 1, "processes": 1}
(folder / supervisor.REPORT_FILE).write_text(json.dumps(report) + "\\n")
began = time.process_time()
own = argparse.Namespace(work=folder, checkpoints=folder / "checkpoints", backend="rsl_rl", task="Isaac-Ant-v0")
follower = supervisor.TrainingFollower(None, own)
follower.read_reports()
follower.read_metrics()
read = time.process_time()
for poll in range(polls):
    follower.read_reports()
    if poll % round(supervisor.EVENTS_SECONDS / process_group.POLL_SECONDS) == 0:
        follower.read_metrics()
print(json.dumps([read - began, time.process_time() - read, process_group.POLL_SECONDS]), file=sys.stderr)
"""


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the share of a core, while events are written and while none are; with --quick of a tenth."""
    events = options.events // (10 if options.quick else 1)
    build = [sys.executable, "-m", "robotrain_runtime", "environment", str(ENVIRONMENT.lock)]
    python = Path(subprocess.run(build, stdout=subprocess.PIPE, text=True, check=True).stdout.strip(), "bin/python")
    ours = [str(Path(str(package.__file__)).parents[1]) for package in (robotrain_runtime, robotrain_workloads)]
    iterations, polls = events // SCALARS, IDLE_SECONDS * 4
    with tempfile.TemporaryDirectory() as scratch:
        command = [python, "-c", FOLLOW, *map(str, (iterations, SCALARS, polls)), scratch]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(ours)}
        done = subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise OSError(done.stderr)
    busy, idle, poll = json.loads(done.stderr.splitlines()[-1])
    share, unit = 100 * busy / (iterations * SECONDS), "% of a core"
    yield Row(name=f"follow {events:,} events", ours=share, unit=unit, ceiling=2.0)
    yield Row(name=f"follow none, after {events:,} events", ours=100 * idle / (polls * poll), unit=unit, ceiling=2.0)


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__, lambda parser: parser.add_argument("--events", type=int, default=100_000))


if __name__ == "__main__":
    sys.exit(main())
