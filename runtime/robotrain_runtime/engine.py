"""A run from its document to its outcome: preflight, environment, data, work."""

import dataclasses
import json
import os
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from robotrain_runtime import child, environment, halves, reason, uv
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.event import Note, Outcome, Stage, Track
from robotrain_runtime.failure import FAILED, PREFLIGHT, Failed
from robotrain_runtime.half import Work
from robotrain_runtime.log import Log
from robotrain_runtime.preflight import preflight
from robotrain_runtime.relay import Relay
from robotrain_runtime.stop import Stop, Stopped
from robotrain_runtime.tracker import Tracker

EVENTS = "events.jsonl"
OUTCOME = "outcome.json"
REMEMBERED_LINES = 200


def run(document: JobDocument) -> Outcome:
    """Do what the document says; its events, its outcome and its outputs are below the document's work folder."""
    work = Path(document.placement.work)
    work.mkdir(parents=True, exist_ok=True)
    with Log(work / EVENTS) as log, Stop() as stop:
        relay = Relay(log)
        outcome = _outcome(document, relay, stop)
        if relay.tracker is not None:
            relay.tracker.close(outcome)
        log.emit(outcome)
        try:
            _write(work / OUTCOME, outcome)
        except OSError as error:
            log.line(f"{OUTCOME} could not be written: {error}")
    return outcome


def _outcome(document: JobDocument, relay: Relay, stop: Stop) -> Outcome:
    try:
        return Engine(document, relay, stop).run()
    except Stopped:
        return Outcome(state="cancelled", exit_code=stop.exit_code, reason="the run was stopped")
    except Failed as failed:
        return Outcome(state="failed", exit_code=failed.exit_code, reason=failed.reason)
    except Exception as error:
        for line in traceback.format_exc().splitlines():
            relay.log.line(line)
        return Outcome(state="failed", exit_code=FAILED, reason=f"{type(error).__name__}: {error}")


class Engine:
    """One run. Each stage raises Failed with a sentence, or Stopped."""

    def __init__(self, document: JobDocument, relay: Relay, stop: Stop) -> None:
        self._document = document
        self._placement = document.placement
        self._relay = relay
        self._stop = stop
        self._half = halves.workload(document)

    def run(self) -> Outcome:
        """All stages."""
        with self._stage("preflight"):
            self._preflight()
        with self._stage("environment"):
            python = environment.python_of(self._environment())
        self._track(python)
        with self._stage("data"):
            data = self._data()
        with self._stage("work"):
            self._work(python, self._half.work(self._document, data, Path(self._placement.work)))
        return Outcome(state="succeeded", exit_code=0)

    @contextmanager
    def _stage(self, name: Literal["preflight", "environment", "data", "work"]) -> Iterator[None]:
        began = time.monotonic()
        self._relay.emit(Stage(name=name, state="started"))
        try:
            yield
        except BaseException:
            self._relay.emit(Stage(name=name, state="failed", seconds=round(time.monotonic() - began, 3)))
            raise
        self._relay.emit(Stage(name=name, state="done", seconds=round(time.monotonic() - began, 3)))

    def _preflight(self) -> None:
        found = preflight(self._document)
        for finding in found:
            text = " ".join(part for part in (f"{finding.title}.", finding.given, finding.why) if part)
            self._relay.emit(Note(level="error", text=text))
        if found:
            raise Failed("; ".join(finding.title for finding in found), PREFLIGHT)

    def _environment(self) -> Path:
        if self._placement.environment is not None:
            return Path(self._placement.environment)
        wanted, cache = self._half.ENVIRONMENT, Path(self._placement.cache)
        return environment.build(wanted.lock, wanted.python, cache, self._relay.log.line, self._stop)

    def _track(self, python: Path) -> None:
        tracked = self._half.tracked(self._document)
        if uri := self._placement.tracking_uri:
            environ, note = self._environ(), self._relay.note
            try:
                self._relay.tracker = Tracker(python, uri, machine=tracked.machine, environ=environ, on_event=note)
            except OSError as error:
                self._relay.emit(Note(level="warning", text=f"the run is not tracked: {error}"))
        self._relay.emit(
            Track(experiment=tracked.experiment, run_name=tracked.run_name, params=tracked.params, tags=tracked.tags)
        )

    def _data(self) -> dict[Source, Path]:
        data = {}
        for source in self._document.sources:
            try:
                with self._stop.armed():
                    data[source] = halves.source(self._document, source).fetch(source, Path(self._placement.cache))
            except OSError as error:
                raise Failed(str(error)) from error
        if wrong := list(self._half.inspect(self._document, data)):
            raise Failed("; ".join(sentence.rstrip(".").replace("\n", ": ") for sentence in wrong), PREFLIGHT)
        return data

    def _work(self, python: Path, work: Work) -> None:
        told: deque[str] = deque(maxlen=REMEMBERED_LINES)

        def heard(line: str) -> None:
            told.append(line)
            self._relay.log.line(line)

        arguments = [str(python), *work.arguments]
        environ = self._environ(work.environ)
        code = child.run(arguments, environ=environ, stop=self._stop, on_line=heard, on_event=self._relay.take)
        if code:
            raise Failed(reason.of_exit(code, told), 128 - code if code < 0 else code)

    def _environ(self, added: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in environment.FOREIGN}
        path = os.pathsep.join(halves.python_path(self._document))
        found = uv.find(Path(self._placement.cache))
        return {**kept, **({"UV": str(found)} if found else {}), "PYTHONUNBUFFERED": "1", "PYTHONPATH": path, **added}


def _write(path: Path, outcome: Outcome) -> None:
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(dataclasses.asdict(outcome), indent=1) + "\n", encoding="utf-8")
    os.replace(scratch, path)
