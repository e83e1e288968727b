"""From submit to the first training step, on a warm cache, against plain `lerobot-train` with the same options.

    ./uvw run python bench/first_step.py [--pairs 5]

The environment must have been built once (the README's first command does). Both run with OMP_NUM_THREADS=1.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import rows
from robotrain_runtime.contract import document, event
from robotrain_runtime.environments import environment
from robotrain_workloads.lerobot_train import container
from rows import Row

ROOT = Path(__file__).parents[1]
ROBOTRAIN = str(Path(sys.executable).with_name("robotrain"))
LOCK = ROOT / "workloads/robotrain_workloads/lerobot_train/locks/train.txt"
CEILING = 1.05
OPTIONS = ("--training-steps", "2", "--log-freq", "1", "--no-val-split", "--num-workers", "0", "--device", "cpu")


def ours(state: Path) -> tuple[float, list[str]]:
    """Seconds to the first step, and the trainer's own command line, as its workload makes it."""
    environ = os.environ | {"ROBOTRAIN_STATE": str(state), "OMP_NUM_THREADS": "1"}
    job = str(ROOT / "examples/pusht-mini/job.yaml")
    began = time.time()
    done = subprocess.run(
        [ROBOTRAIN, "submit", job, "--platform", "local", *OPTIONS],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    run = done.stdout.strip()
    folder = state / "local" / run
    first = _first_metrics(folder / "events.jsonl")
    subprocess.run([ROBOTRAIN, "wait", run], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return first - began, _trainer_options(folder)


def plain(options: list[str], folder: Path, python: Path) -> float:
    """Seconds to the first step of the trainer alone."""
    environ = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    own = [option for option in options if not option.startswith("--output_dir=")]
    command = [str(python), "-m", "lerobot.scripts.lerobot_train", *own, f"--output_dir={folder / 'outputs'}"]
    began = time.time()
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        took = next(time.time() - began for line in process.stdout if "step:1 " in line)
        process.stdout.read()
    return took


def _first_metrics(events: Path) -> float:
    while True:
        for line in events.read_text().splitlines() if events.exists() else ():
            if (record := event.parse_event(line)) and isinstance(record.event, event.Metrics) and record.event.step:
                return record.time
        time.sleep(0.05)


def _trainer_options(folder: Path) -> list[str]:
    """What the workload gives the trainer for the job of that folder; the device is chosen where it runs."""
    job = document.parse_document((folder / "job.json").read_text())
    data = {source: Path(source.uri) for source in job.sources}
    arguments = container.work(job, data, folder / "unused").arguments
    return [*arguments[arguments.index("--") + 1 :], "--policy.device=cpu"]


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the medians of pairs that took turns, and of their ratios."""
    cache = Path(os.environ.get("ROBOTRAIN_CACHE") or Path.home() / ".cache/robotrain")
    python = environment.get_python(environment.get_environment_folder(LOCK, cache))
    taken = []
    with tempfile.TemporaryDirectory() as name:
        _, trainer = ours(Path(name) / "warm")
        plain(trainer, Path(name) / "warm-plain", python)
        for pair in range(1 if options.quick else options.pairs):
            us, _ = ours(Path(name) / f"state-{pair}")
            them = plain(trainer, Path(name) / f"plain-{pair}", python)
            taken.append((us, them))
            rows.log(f"pair {pair + 1}: robotrain {us:6.2f} s   lerobot-train {them:6.2f} s   {us / them:.3f}")
    us, them = min(taken, key=lambda pair: abs(pair[0] / pair[1] - statistics.median_low(u / t for u, t in taken)))
    yield Row(name="submit to first step", ours=us, unit="s", floor=them, floor_name="lerobot-train", ceiling=CEILING)


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__, lambda parser: parser.add_argument("--pairs", type=int, default=5))


if __name__ == "__main__":
    sys.exit(main())
