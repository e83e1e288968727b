"""Whether a training is slowed: steps of the README's job, against plain `lerobot-train` with the same options.

    ./uvw run python bench/training.py [--pairs 3] [--steps 400]

Of the clock the time from the first window of metrics to the last is compared; of processors all that the trainer's
process used. Tracking begins in the first window. What `watch` costs is in bench/watching.py. --quick: 60 steps.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import rows
from environments import find_python
from first_step import ROBOTRAIN, ROOT, make_environ, trainer_options
from robotrain_runtime.contract import event
from rows import Row

WALL_CEILING, CPU_CEILING = 1.03, 1.01
LOG_FREQ = 20
LAUNCHER = b"robotrain_workloads.lerobot_train.launcher"


class Training(NamedTuple):
    """Seconds of the clock, between windows, and of processors, of the trainer's process."""

    wall: float
    cpu: float


def ours(state: Path, steps: int) -> tuple[Training, list[str]]:
    """Train with robotrain; return the trainer's own options as well."""
    environ = make_environ(ROBOTRAIN_STATE=str(state))
    options = ("--training-steps", str(steps), "--log-freq", str(LOG_FREQ), "--device", "cpu")
    submit = [ROBOTRAIN, "submit", str(ROOT / "examples/pusht-mini/job.yaml"), "--platform", "local", *options]
    done = subprocess.run(submit, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    folder = state / "local" / done.stdout.strip()
    cpu = _last_cpu(_find_trainer(json.loads((folder / "supervisor.json").read_text())["pid"]))
    subprocess.run([ROBOTRAIN, "wait", folder.name], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    records = filter(None, map(event.parse_event, (folder / "events.jsonl").read_text().splitlines()))
    times = [record.time for record in records if isinstance(record.event, event.Metrics) and record.event.step]
    return Training(times[-1] - times[0], cpu), trainer_options(folder)


def plain(options: list[str], folder: Path, python: Path) -> Training:
    """Train with the trainer alone."""
    environ = make_environ(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    own = [option for option in options if not option.startswith("--output_dir=")]
    command = [str(python), "-m", "lerobot.scripts.lerobot_train", *own, f"--output_dir={folder / 'outputs'}"]
    times = []
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        times = [time.time() for line in process.stdout if " step:" in line]
        used = os.wait4(process.pid, 0)[2]
        process.returncode = 0
    return Training(times[-1] - times[0], used.ru_utime + used.ru_stime)


def _find_trainer(session: int) -> Path:
    """Wait for the trainer's process of a run; return its file in /proc."""
    while True:
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                is_trainer = LAUNCHER in (stat.parent / "cmdline").read_bytes().split(b"\0")
                if is_trainer and int(stat.read_text().rpartition(") ")[2].split()[3]) == session:
                    return stat
            except OSError:  # it has ended
                continue
        time.sleep(0.05)


def _last_cpu(stat: Path) -> float:
    """The processor time of a process, as it was when it ended."""
    ticks = 0
    try:
        while True:
            fields = stat.read_text().rpartition(") ")[2].split()
            ticks = max(ticks, sum(map(int, fields[11:13])))
            time.sleep(0.02)
    except OSError:
        return ticks / os.sysconf("SC_CLK_TCK")


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of pairs that took turns: of each the pair of the median ratio."""
    python = find_python("lerobot_versions/v0_6_1/train.txt")
    pairs, steps = (1, 60) if options.quick else (options.pairs, options.steps)
    taken = []
    with tempfile.TemporaryDirectory() as name:
        for pair in range(pairs):
            us, trainer = ours(Path(name) / f"state-{pair}", steps)
            them = plain(trainer, Path(name) / f"plain-{pair}", python)
            taken.append((us, them))
            rows.log(f"pair {pair + 1}: robotrain {us}   lerobot-train {them}")
    for name, field, ceiling in ((f"{steps} steps", "wall", WALL_CEILING), ("processor time", "cpu", CPU_CEILING)):
        compared = [(getattr(us, field), getattr(them, field)) for us, them in taken]
        ours_taken, theirs = sorted(compared, key=lambda pair: pair[0] / pair[1])[(pairs - 1) // 2]
        yield Row(name=name, ours=ours_taken, unit="s", floor=theirs, floor_name="lerobot-train", ceiling=ceiling)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__, _add_options)


if __name__ == "__main__":
    sys.exit(main())
