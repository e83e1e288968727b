"""Jobs that are tracked in the workspace of the stand-in: their documents, and their tracking process."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from azure_stand_in.manager import GROUP, SUBSCRIPTION
from robotrain_azure.workspace import CONTAINER_PLUGINS, Workspace
from robotrain_runtime.contract import document, event
from robotrain_runtime.contract.document import JobDocument, Placement
from robotrain_runtime.contract.event import Note, Outcome, Track, Tracking
from robotrain_runtime.environments import run_environment
from robotrain_runtime.tracking.tracker import Tracker

HERE = Workspace(SUBSCRIPTION, GROUP, "robots-ml")
PLUGIN_MODULES = MappingProxyType({"source.huggingface": "robotrain_sources.huggingface.fetch", **CONTAINER_PLUGINS})


def tracked_job(
    container_plugins: Mapping[str, str] = PLUGIN_MODULES,
    platform: str = "here",
    parameters=MappingProxyType({}),
    **more: str,
) -> JobDocument:
    """A job with these container plugins. more: of its placement."""
    placed = {"work": "/nowhere", "cache": "/nowhere", "tracking_uri": HERE.tracking_uri}
    return JobDocument(
        schema=document.SCHEMA,
        run="pretend-1",
        job="0" * 64,
        workload="pretend",
        platform=platform,
        container_plugins=dict(container_plugins),
        parameters=dict(parameters),
        placement=Placement(**placed | more),
    )


class TrackingProcess:
    """A tracking process as the engine starts it, and what it said."""

    def __init__(self, python: Path, job: JobDocument, track: Track, **resumed: Any) -> None:
        self.said: list[event.Event] = []
        self.tracker = Tracker(
            python,
            job.placement.tracking_uri,
            system_metrics=False,
            environ=run_environment.make_program_environ(job),
            on_event=lambda record: self.said.append(record.event),
            **resumed,
        )
        self.send(track)

    def send(self, sent: event.Event) -> None:
        self.tracker.send(event.make_record(sent))

    def ask(self, what: str, /, **body: object) -> dict[str, object]:
        return dict(self.tracker.send_request(what, body, lambda: False))

    def wait_for_run(self) -> Tracking:
        while True:
            try:
                self.tracker.wait_for_run(lambda: False)
            except OSError:  # not yet, on a busy machine
                continue
            while not (
                trackings := [message for message in self.said if isinstance(message, Tracking)]
            ):  # a moment after its id
                time.sleep(0.01)
            return trackings[0]

    def end(self) -> list[str]:
        """The warnings, once it is over."""
        self.tracker.close(Outcome(state="succeeded", exit_code=0))
        return [message.text for message in self.said if isinstance(message, Note)]


@pytest.fixture
def start_tracking(training_python) -> Iterator[Callable[..., TrackingProcess]]:
    """Start a tracking process of a job; it has ended when the test does."""
    started: list[TrackingProcess] = []

    def start(*job: Any, **resumed: Any) -> TrackingProcess:
        started.append(TrackingProcess(training_python, *job, **resumed))
        return started[-1]

    yield start
    for process in started:
        process.tracker.close(None)


def ask_mlflow(workspace: Any, path: str, body: Mapping[str, object] | None = None) -> Any:
    """Ask MLflow's server, past what stands in front."""
    address = f"http://127.0.0.1:{workspace.mlflow}/api/2.0/mlflow/{path}"
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, sent, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as came:
        return json.load(came)
