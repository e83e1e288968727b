"""What watching costs: processor time of `watch` while a run goes on, and of `status` with a large log.

    ./uvw run python bench/watching.py [--seconds 60] [--megabytes 1000] [--points 1000000]

The run that is watched is of this machine: five lines of log and two metrics a second, as a brisk training tells. The
log of so many megabytes has ordinary lines between few events; `status` with many metric points is called twice, since
the second time reads only what is new. Times are over those of `status` with a small log.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import rows
from listing import write_run_record
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Metrics, Outcome
from rows import ROBOTRAIN, Row

ROOT = Path(__file__).parents[1]
SMALL = 1000
"""Metric points of the small log."""
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
    return [Workload(name="tiny", summary="", parameters=Parameters, roles={}, container_plugin="tiny_work.container")]
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


def main() -> int:
    """Print every figure."""
    return rows.run(measure, __doc__, add_options)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--points", type=int, default=1_000_000)


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows; with --quick of a tenth of the log, and of half a minute."""
    part = 10 if options.quick else 1
    yield from measure_status(options.megabytes // part, options.points // part)
    with tempfile.TemporaryDirectory() as name:
        yield measure_watch(Path(name), min(options.seconds, 30) if options.quick else options.seconds)


def measure_status(megabytes: int, points: int) -> Iterator[Row]:
    """Yield what `status` costs with large logs, over what it costs with a small one; `points` have 8 µs each."""
    with tempfile.TemporaryDirectory() as name:
        usual, _ = use_least(fill_run(Path(name, "small"), SMALL, 0))
        large, _ = use_least(fill_run(Path(name, "large"), SMALL, megabytes))
        yield Row(name=f"status, log of {megabytes:,} MB", ours=max(0.0, large - usual), unit="s", ceiling=0.1)
        many = fill_run(Path(name, "many"), points, 0)
        first, peak = use(many)
        yield Row(name=f"status, {points:,} points", ours=first - usual, unit="s", ceiling=8e-6 * points)
        yield Row(name=f"status, {points:,} points, memory", ours=peak, unit="MB", ceiling=100.0)
        again, _ = use_least(many)
        yield Row(name=f"status, {points:,} points, again", ours=max(0.0, again - usual), unit="s", ceiling=0.3)


def fill_run(state: Path, points: int, megabytes: int) -> Path:
    """Return a state folder with one run, which failed after so many metric points; its log has ordinary lines too."""
    os.environ["ROBOTRAIN_STATE"] = str(state)
    folder = state / "local" / "run"
    folder.mkdir(parents=True)
    write_run_record(1, time.time() - 60.0, folder)
    failed = Outcome(state="failed", exit_code=1, reason="the work ended with exit code 1", fault="code")
    with (folder / "log.txt").open("w") as log, (folder / "events.jsonl").open("w") as events:
        block = "an ordinary line of a training, about as long as they are\n" * (1_000_000 // 58)
        for _ in range(megabytes):
            log.write(block)
        for step in range(1, points + 1):
            metrics = Metrics(step=step, total=points, values={"train/loss": 1 / step})
            body = {"event": "metrics", "time": 1763622000.5 + step, **dataclasses.asdict(metrics)}
            line = f"{event.PREFIX}{json.dumps(body)}\n"
            log.write(line)
            events.write(line)
        for file in (log, events):
            file.write(event.format_event(failed) + "\n")
    (folder / "exit.json").write_text(json.dumps({"exit_code": 1, "ended": time.time(), "reason": ""}))
    (folder / "outcome.json").write_text(json.dumps(dataclasses.asdict(failed)))
    return state


def use_least(state: Path) -> tuple[float, float]:
    """Return the least seconds of processor time of some calls, and the most memory."""
    used = [use(state) for _ in range(5)]
    return min(seconds for seconds, _ in used), max(peak for _, peak in used)


def use(state: Path) -> tuple[float, float]:
    """Return the seconds of processor time of `status`, and its memory in MB."""
    process = subprocess.Popen(
        [ROBOTRAIN, "status"], env=os.environ | {"ROBOTRAIN_STATE": str(state)}, stdout=subprocess.DEVNULL
    )
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise OSError(f"status ended with exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def measure_watch(folder: Path, seconds: int) -> Row:
    """Return the share of a core that `watch` takes on a terminal, start-up included."""
    environ = os.environ | {"ROBOTRAIN_STATE": f"{folder}/state", "PYTHONPATH": plugin(folder)}
    submit = [ROBOTRAIN, "submit", "tiny", "--platform", "local", "--environment", sys.prefix]
    program = TRAINING.format(seconds=seconds + 30)
    subprocess.run([*submit, "--program", program], env=environ, check=True, capture_output=True)
    try:
        used = watched([ROBOTRAIN, "watch"], environ, seconds)
    finally:
        subprocess.run([ROBOTRAIN, "cancel"], env=environ, check=True, capture_output=True)
    return Row(name=f"watch for {seconds} s", ours=100 * used / seconds, unit="% of a core", ceiling=2.0)


def plugin(folder: Path) -> str:
    """A workload of a few lines of Python, installed; the folders that PYTHONPATH names for it."""
    info = folder / "site" / "acme_tiny-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tiny\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[robotrain]\nworkload.tiny = acme_tiny\n")
    (folder / "site" / "acme_tiny.py").write_text(WORKLOAD)
    return os.pathsep.join([str(folder / "site"), str(ROOT / "tests/local/container_plugins")])


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
    with contextlib.suppress(OSError):  # the end: the command waits for ever to write into a full terminal
        while os.read(ours, 1 << 16):
            pass
    process.wait()
    os.close(ours)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
