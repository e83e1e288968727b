"""What a submit to Slurm costs: `robotrain submit` against `robotrain render` and a plain `sbatch` of the same script,
in paired runs on a real Slurm of two nodes; minima, and the calls of Slurm's commands that a submit makes.

    ./uvw run python bench/slurm_submit.py [--pairs 15]

The job is a training on a dataset of a commit: no network is asked for it, nor a trainer. Exits 1 when a submit takes
more than the other two and 100 ms, or calls Slurm more than twice.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rows import ROBOTRAIN
from startup import seconds

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS / "slurm"))

from lab import SlurmLab  # noqa: E402

ALLOWED_SECONDS, ALLOWED_CALLS = 0.1, 2
COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo", "sacctmgr")


def count_calls(words: Sequence[str], environ: dict[str, str], folder: Path) -> list[str]:
    """Return the commands of Slurm that a command calls."""
    (places := folder / "bin").mkdir()
    for command in COMMANDS:
        text = f'#!/bin/sh\necho {command} >> {folder}/calls\nexec {shutil.which(command) or "false"} "$@"\n'
        (places / command).write_text(text)
        (places / command).chmod(0o755)
    seconds(words, {**environ, "PATH": f"{places}:{environ['PATH']}"})
    return (folder / "calls").read_text().split()


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        lab = SlurmLab(top / "lab")
        environ = os.environ | {"ROBOTRAIN_STATE": f"{top}/state", "SLURM_CONF": str(lab.configuration)}
        small = ("--device", "cpu", "--cpus", "1", "--memory", "1G", "--gpus", "0", "--sbatch", "hold")
        places = ("--runs-dir", f"{top}/runs", "--cache-dir", f"{top}/cache", "--tracking-uri", "none")
        job = ("--platform", "slurm", "-d", f"lerobot/pusht@{'a' * 40}", *small, *places)
        submit = [ROBOTRAIN, "submit", *job, "--new", "--no-pin", "--checker", "none"]
        try:
            lab.start()
            calls = count_calls(submit, environ, top)
            rows = []
            for number in range(given.pairs):
                render = [ROBOTRAIN, "render", *job, "--to", f"{top}/{number}"]
                sbatch = ["sbatch", "--parsable", f"{top}/{number}/job.sbatch"]
                rows.append([seconds(words, environ) for words in (submit, render, sbatch)])
        finally:
            lab.close()
    submitted, rendered, sent = (min(column) for column in zip(*rows, strict=True))
    more = submitted - rendered - sent
    figures = f"submit {submitted * 1e3:.0f} ms, render {rendered * 1e3:.0f} ms, sbatch {sent * 1e3:.0f} ms"
    print(f"{figures}: {more * 1e3:+.0f} ms, at most {ALLOWED_SECONDS * 1e3:.0f}")
    print(f"{len(calls)} calls: {' '.join(calls)}")
    return int(more > ALLOWED_SECONDS or len(calls) > ALLOWED_CALLS)


if __name__ == "__main__":
    sys.exit(main())
