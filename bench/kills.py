"""What is killed at random moments and repeated, again and again: nothing is lost and nothing is doubled.

    ./uvw run python bench/kills.py submits [local osmo azureml slurm slurm-login dag-pipeline osmo-pipeline …]
    ./uvw run python bench/kills.py pipelines [submit driver sweep-submit sweep-driver]
    ./uvw run python bench/kills.py trainings
    ./uvw run python bench/kills.py hub
    ./uvw run python bench/kills.py slurm_cuts
    ./uvw run python bench/kills.py slurm_nodes [one-loss three-losses]

Each has the options `--kills N` and `--seed N`. What is killed, and what is looked at then, is told at the top of its
module in bench/kill_subjects. One line is printed for each; exits 1 when something is lost or doubled. Those of Slurm
need Slurm on this machine.
"""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

from kill_subjects.rounds import repeat_rounds

KILLS = {"submits": 100, "pipelines": 100, "trainings": 100, "hub": 30, "slurm_cuts": 10, "slurm_nodes": 20}
"""The subjects, each a module, and how many kills are enough."""


def main() -> int:
    """Kill a subject; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject", choices=KILLS, metavar="SUBJECT", help=", ".join(KILLS))
    parser.add_argument("names", nargs="*", metavar="NAME", help="some of the subject's names; all of them")
    parser.add_argument("--kills", type=int, metavar="N", help="of each")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the moments")
    options = parser.parse_args()
    subjects = importlib.import_module(f"kill_subjects.{options.subject}").SUBJECTS
    if unknown := set(options.names) - set(subjects):
        parser.error(f"{options.subject} has no {', '.join(sorted(unknown))}, only {', '.join(subjects)}")
    is_wrong = False
    for name in options.names or subjects:
        with tempfile.TemporaryDirectory() as top, subjects[name](Path(top)) as run_round:
            findings = repeat_rounds(name, run_round, options.kills or KILLS[options.subject], options.seed)
        counts = f"{findings.kills} kills, {len(findings.lost)} lost, {len(findings.doubled)} doubled"
        print(f"{name:<16} {counts}", flush=True)
        is_wrong |= bool(findings.lost or findings.doubled)
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main())
