"""Tracking on a server that is slow, or out of order for a while: nothing is lost. The server is pretended."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import robotrain_runtime
from robotrain_runtime.contract.event import Tracking

pytestmark = pytest.mark.slow

STEPS, LATENCY = 600, 0.15
TRAIN = """
import time
from robotrain_runtime.contract.event import emit_event
from robotrain_runtime.contract.event import Metrics
for step in range(1, {steps} + 1):
    emit_event(Metrics(values={{f"train/{{name}}": step / 2 for name in "abcdefgh"}}, step=step, total={steps}))
    time.sleep({pause})
"""


class MlflowServer(ThreadingHTTPServer):
    """What the tracking process needs of MLflow's REST API. `is_broken` decides whether a request fails."""

    daemon_threads = True

    def __init__(self, latency: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.latency = latency
        self.is_broken = lambda path: False
        self.requests: Counter[str] = Counter()
        self.largest = 0
        self.metrics: list[tuple[str, int, float]] = []
        self.status = ""

    def answer(self, path: str, body: dict) -> dict | None:
        """The answer to a request; None for an experiment that does not exist."""
        info = {"run_id": "a" * 32, "run_uuid": "a" * 32, "experiment_id": "1", "status": "RUNNING"}
        match path.rpartition("mlflow/")[2].partition("?")[0]:
            case "experiments/get-by-name":
                return None
            case "experiments/create":
                return {"experiment_id": "1"}
            case "runs/create" | "runs/get":
                return {"run": {"info": info, "data": {}}}
            case "runs/log-batch":
                self.largest = max(self.largest, len(body.get("metrics", ())))
                self.metrics += [
                    (metric["key"], int(metric["step"]), metric["value"]) for metric in body.get("metrics", ())
                ]
            case "runs/update":
                self.status = body["status"]
        return {"run_info": info}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MlflowServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        time.sleep(self.server.latency)
        if self.server.is_broken(self.path):
            self.close_connection = True
            return
        self.server.requests[self.path.rpartition("/")[2].partition("?")[0]] += 1
        answer = self.server.answer(self.path, json.loads(body or b"{}"))
        content = json.dumps(answer if answer is not None else {"error_code": "RESOURCE_DOES_NOT_EXIST"}).encode()
        self.send_response(200 if answer is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PATCH = do_POST

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def server():
    with MlflowServer(LATENCY) as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def tracked(job, server, training_environment):
    def make(steps: int = STEPS, pause: float = 0.0):
        uri = f"http://127.0.0.1:{server.server_port}"
        return job(TRAIN.format(steps=steps, pause=pause), tracking_uri=uri, environment=training_environment)

    return make


def expected(steps: int) -> list[tuple[str, int, float]]:
    return sorted((f"train/{name}", step, step / 2) for step in range(1, steps + 1) for name in "abcdefgh")


def test_a_backlog_is_sent_in_a_few_large_requests(run, tracked, server):
    ran = run(tracked())
    assert ran.exit_code == 0, ran.lines
    assert ran.notes("warning") == []
    assert sorted(server.metrics) == expected(STEPS)
    assert server.status == "FINISHED"
    assert server.largest <= 1000
    assert server.requests["log-batch"] < 20, "one request a step takes two minutes"


def test_metrics_are_sent_while_the_work_goes_on(start, finish, tracked, server):
    process = start(tracked(40, 0.5))
    until = time.monotonic() + 60
    while not server.metrics and time.monotonic() < until:
        time.sleep(0.1)
    assert server.metrics
    assert process.poll() is None
    assert finish(process).exit_code == 0
    assert sorted(server.metrics) == expected(40)
    assert server.requests["log-batch"] < 15, "those of two seconds go together"


def test_a_server_that_is_away_for_a_while_gets_everything(run, tracked, server):
    broken = itertools.count()
    server.is_broken = lambda path: "log-batch" in path and next(broken) < 6  # MLflow's client tries four times
    ran = run(tracked(30))
    assert ran.exit_code == 0
    (warning,) = ran.notes("warning")
    assert "could not record an event" in warning
    assert sorted(server.metrics) == expected(30)
    assert server.status == "FINISHED"


def test_what_a_server_did_not_take_is_told_and_can_be_sent_later(run, tracked, server, training_python, tmp_path):
    """As docs/tracking.md says."""
    server.is_broken = lambda path: "log-batch" in path
    ran = run(tracked(30))
    assert ran.exit_code == 0
    assert server.metrics == []
    warning = ran.notes("warning")[-1]
    assert "did not record everything in time: 242 values and events" in warning
    assert "events.jsonl" in warning

    server.is_broken = lambda path: False
    (where,) = ran.of_kind(Tracking)
    environ = {"PYTHONPATH": str(Path(robotrain_runtime.__file__).parents[1]), "MLFLOW_TRACKING_URI": where.uri}
    with (tmp_path / "work/events.jsonl").open() as events:
        command = [training_python, "-m", "robotrain_runtime.tracking", "--again", where.run_id]
        subprocess.run(command, stdin=events, env=os.environ | environ, check=True, stdout=sys.stderr)
    assert sorted(server.metrics) == expected(30)
    assert server.status == "FINISHED"
