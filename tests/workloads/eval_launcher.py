"""The launcher of an evaluation as a process, in the evaluation's environment."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import robotrain_runtime
import robotrain_workloads
from job_documents import evaluation, get_work
from robotrain_runtime.contract import event

IMPORT_PATHS = [str(Path(package.__file__).parents[1]) for package in (robotrain_runtime, robotrain_workloads)]
PUSHT = Path(__file__).parents[2] / "examples/pusht-mini"
LOCK = Path(robotrain_workloads.__file__).parent / "lerobot_versions/v0_6_1/eval.txt"


@functools.cache
def environment() -> str:
    """Built as for a user, or found in the cache."""
    command = [sys.executable, "-m", "robotrain_runtime", "environment", str(LOCK)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def start_python(arguments, **more) -> subprocess.Popen[str]:
    """Start the environment's python; nothing from the network."""
    environ = os.environ | {
        "PYTHONPATH": os.pathsep.join(IMPORT_PATHS),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [Path(environment(), "bin/python"), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environ, stdout=pipe, stderr=subprocess.STDOUT, text=True, **more)


def start_launcher(work: Path, args=(), **parameters) -> subprocess.Popen[str]:
    """Start the evaluation of two episodes, unless others are given; its outputs are below `work`."""
    document = evaluation(work, args=args, **{"eval_episodes": 2, "device": "cpu", **parameters})
    return start_python(get_work(document).arguments)


def list_events(lines, kind):
    records = [event.parse_event(line) for line in lines]
    return [record.event for record in records if record and isinstance(record.event, kind)]


def read_strict_json(path: Path):
    """What every reader takes: no NaN, no Infinity."""

    def refuse(name):
        raise AssertionError(f"{path} holds {name}")

    return json.loads(path.read_text(), parse_constant=refuse)
