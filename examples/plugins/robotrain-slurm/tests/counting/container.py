"""What counts on the node: each number is an event; one that was stopped ends with 143."""

from pathlib import Path

from robotrain_runtime.plugin import PythonEnvironment, TrackingSpec, WorkCommand

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("lock.txt"), python="3.10-3.14", gib=0.1)
PROGRAM = """
import sys, time
from robotrain_runtime.contract.event import Metrics, emit_event
for step in range(1, int(sys.argv[1]) + 1):
    emit_event(Metrics(values={}, step=step, total=int(sys.argv[1])))
    time.sleep(float(sys.argv[2]))
"""


def inspect(document, data):
    """Return no problem."""
    return ()


def work(document, data, work):
    """Return the command that counts."""
    values = document.parameters
    return WorkCommand(arguments=("-c", PROGRAM, str(values["count"]), str(values["pause"])))


def tracked(document):
    """Return a tracking under the run's own name."""
    return TrackingSpec(experiment="lab", run_name=document.run, params={}, tags={})
