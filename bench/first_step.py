"""From submit to the first training step, on a warm cache, against plain `lerobot-train` with the same options.

    ./uvw run python bench/first_step.py [--pairs 5]

Both run with OMP_NUM_THREADS=1. Processor
time is that of all processes until the first step; it can be compared on a machine that does other things as well.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import rows
from environments import find_python
from robotrain_runtime.contract import document, event
from robotrain_workloads.lerobot_train import container
from rows import Row

ROOT = Path(__file__).parents[1]
ROBOTRAIN = str(Path(sys.executable).with_name("robotrain"))
LOCK = "lerobot_versions/v0_6_1/train.txt"
CEILING, BUSY_CEILING = 1.05, 1.15
OPTIONS = ("--training-steps", "2", "--log-freq", "1", "--no-val-split", "--num-workers", "0", "--device", "cpu")


class Start(NamedTuple):
    """Seconds to the first step: of the clock, and of processors."""

    wall: float
    cpu: float


def make_environ(**more: str) -> dict[str, str]:
    """What both run with. Nobody compiles every module at each start, so compiled ones are written."""
    environ = {**os.environ, "OMP_NUM_THREADS": "1", **more}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return environ


def run_job(state: Path) -> tuple[Start, list[str]]:
    """The first step, and the trainer's own command line, as its workload makes it."""
    environ = make_environ(ROBOTRAIN_STATE=str(state))
    job = str(ROOT / "examples/pusht-mini/job.yaml")
    began, before = time.time(), _children_cpu()
    done = subprocess.run(
        [ROBOTRAIN, "submit", job, "--platform", "local", *OPTIONS],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    used = _children_cpu() - before
    folder = state / "local" / done.stdout.strip()
    first = _wait_for_first_metrics(folder / "events.jsonl")
    used += session_cpu(json.loads((folder / "supervisor.json").read_text())["pid"])
    subprocess.run([ROBOTRAIN, "wait", folder.name], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Start(first - began, used), trainer_options(folder)


def run_trainer_alone(options: list[str], folder: Path, python: Path) -> Start:
    """The first step of the trainer alone."""
    environ = make_environ(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    own = [option for option in options if not option.startswith("--output_dir=")]
    command = [str(python), "-m", "lerobot.scripts.lerobot_train", *own, f"--output_dir={folder / 'outputs'}"]
    began = time.time()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environ, stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        took = next(time.time() - began for line in process.stdout if "step:1 " in line)
        start = Start(took, session_cpu(process.pid))
        process.stdout.read()
    return start


def session_cpu(session: int) -> float:
    """Seconds of processors that the processes of a session have used, with those that they have waited for."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core busy inside the block."""
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)
        yield


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wait_for_first_metrics(events: Path) -> float:
    while True:
        for line in events.read_text().splitlines() if events.exists() else ():
            if (record := event.parse_event(line)) and isinstance(record.event, event.Metrics) and record.event.step:
                return record.time
        time.sleep(0.01)


def trainer_options(folder: Path) -> list[str]:
    """What the workload gives the trainer for the job of that folder; the device is chosen where it runs."""
    job = document.parse_document((folder / "job.json").read_text())
    data = {source: Path(source.uri) for source in job.sources}
    arguments = container.work(job, data, folder / "unused").arguments
    return [*arguments[arguments.index("--") + 1 :], "--policy.device=cpu"]


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of pairs that took turns: of each the pair of the median ratio."""
    python = find_python(LOCK)
    pairs = 1 if options.quick else options.pairs
    with tempfile.TemporaryDirectory() as name:
        _, trainer = run_job(Path(name) / "warm")
        run_trainer_alone(trainer, Path(name) / "warm-plain", python)

        def take_turns(what: str) -> list[tuple[Start, Start]]:
            measured = []
            for pair in range(pairs):
                folder = Path(name) / f"{what}-{pair}"
                us, them = run_job(folder / "state")[0], run_trainer_alone(trainer, folder / "plain", python)
                measured.append((us, them))
                rows.log(f"{what}: robotrain {us.wall:6.2f} s   lerobot-train {them.wall:6.2f} s")
            return measured

        quiet = take_turns("quiet")
        yield _make_row("submit to first step", [(us.wall, them.wall) for us, them in quiet], CEILING)
        yield _make_row("its processor time", [(us.cpu, them.cpu) for us, them in quiet], CEILING)
        with busy_cores():
            busy = [(us.wall, them.wall) for us, them in take_turns("busy")]
        yield _make_row("submit to first step, every core busy", busy, BUSY_CEILING)


def _make_row(name: str, pairs: list[tuple[float, float]], ceiling: float) -> Row:
    median = statistics.median_low(us / them for us, them in pairs)
    us, them = next(pair for pair in pairs if pair[0] / pair[1] == median)
    return Row(name=name, ours=us, unit="s", floor=them, floor_name="lerobot-train", ceiling=ceiling)


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__, lambda parser: parser.add_argument("--pairs", type=int, default=5))


if __name__ == "__main__":
    sys.exit(main())
