"""What counts on the node. Each number is an event, and a checkpoint holds the numbers so far, a line each."""

import json
from pathlib import Path

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.plugin import ArtifactTarget, PythonEnvironment, TrackingSpec, WorkCommand

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("lock.txt"), python="3.10-3.14", gib=0.1)


def inspect(document, data):
    """Return no problem."""
    return ()


def checkpoints(document, work):
    """Return the folder of the checkpoints."""
    return work / "checkpoints" if document.parameters["save_freq"] else None


def targets(document, data):
    """Yield the folder that checkpoints are copied to."""
    if to := document.parameters["publish_url"]:
        yield ArtifactTarget(to=str(to))


def work(document, data, work):
    """Return the command that counts, from the last checkpoint on."""
    folder = work / "checkpoints"
    point, notes = checkpoint.find_resume_point(folder, run=document.run, job=document.job)
    settings = {**document.parameters, "folder": str(folder), "from": str(point[1]) if point else ""}
    return WorkCommand(arguments=("-m", "counting.program", json.dumps(settings, default=str)), notes=notes)


def tracked(document):
    """Return a tracking under the run's own name."""
    return TrackingSpec(experiment="lab", run_name=document.run, params={}, tags={})
