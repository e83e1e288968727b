"""A run from its document to its outcome: preflight, environment, data, work, publish."""

import dataclasses
import json
import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Literal

from robotrain_runtime import attempts, child, environment, halves, publishing, reason, surroundings
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.event import Note, Outcome, Stage, Track
from robotrain_runtime.failure import FAILED, PREFLIGHT, Failed
from robotrain_runtime.half import Place, Publishing, SourceHalf, Work
from robotrain_runtime.holding import Holding
from robotrain_runtime.log import Log
from robotrain_runtime.preflight import preflight
from robotrain_runtime.publication import Publication
from robotrain_runtime.relay import Relay
from robotrain_runtime.stop import Stop, Stopped
from robotrain_runtime.tracker import Tracker

OUTCOME = "outcome.json"
REMEMBERED_LINES = 200


def run(document: JobDocument) -> Outcome:
    """Do what the document says; its events, its outcome and its outputs are below the document's work folder."""
    work = Path(document.placement.work)
    work.mkdir(parents=True, exist_ok=True)
    (work / OUTCOME).unlink(missing_ok=True)  # how an earlier attempt ended says nothing about this one
    earlier = attempts.read(work)
    with Log(work / attempts.FILE) as log, Stop() as stop, Holding(Path(document.placement.cache)) as holding:
        relay = Relay(log)
        outcome = _outcome(document, relay, stop, earlier, holding)
        if relay.tracker is not None:
            relay.tracker.close(outcome)
        log.emit(outcome)
        try:
            _write(work / OUTCOME, outcome)
        except OSError as error:
            log.line(f"{OUTCOME} could not be written: {error}")
    return outcome


def _outcome(document: JobDocument, relay: Relay, stop: Stop, earlier: attempts.Earlier, holding: Holding) -> Outcome:
    try:
        return Engine(document, relay, stop, earlier, holding).run()
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

    def __init__(
        self, document: JobDocument, relay: Relay, stop: Stop, earlier: attempts.Earlier, holding: Holding
    ) -> None:
        self._document = document
        self._placement = document.placement
        self._relay = relay
        self._stop = stop
        self._earlier = earlier
        self._holding = holding
        self._half = halves.workload(document)

    def run(self) -> Outcome:
        """All stages."""
        with self._stage("preflight"):
            self._preflight()
        with self._stage("environment") as details:
            python = self._kept(lambda: surroundings.python(self._document, self._relay.log.line, self._stop))
            details.append(environment.remark(python.parent.parent))
        self._track(python)
        with self._stage("data"):
            data = self._data(python)
            asked = self._asked(data)
        publication = Publication(self._document, asked, self._relay, self._earlier)
        try:
            with self._stage("work"):
                self._work(python, self._half.work(self._document, data, Path(self._placement.work)))
        except (Failed, Stopped):
            with suppress(Failed, Stopped):  # said already; why the work ended says more
                self._publish(publication, python, succeeded=False)
            raise
        self._publish(publication, python, succeeded=True)
        return Outcome(state="succeeded", exit_code=0)

    @contextmanager
    def _stage(self, name: Literal["preflight", "environment", "data", "work", "publish"]) -> Iterator[list[str]]:
        """A part of the run, told; what is put into the list is told with its end."""
        details: list[str] = []
        began = time.monotonic()
        self._relay.emit(Stage(name=name, state="started"))
        try:
            yield details
        except BaseException:
            self._relay.emit(Stage(name=name, state="failed", seconds=round(time.monotonic() - began, 3)))
            raise
        took, detail = round(time.monotonic() - began, 3), "; ".join(filter(None, details))
        self._relay.emit(Stage(name=name, state="done", seconds=took, detail=detail))

    def _preflight(self) -> None:
        found = preflight(self._document)
        for finding in found:
            text = " ".join(part for part in (f"{finding.title}.", finding.given, finding.why) if part)
            self._relay.emit(Note(level="error", text=text))
        if found:
            raise Failed("; ".join(finding.title for finding in found), PREFLIGHT)

    def _track(self, python: Path) -> None:
        tracked = self._half.tracked(self._document)
        if uri := self._placement.tracking_uri:
            environ, again = surroundings.environ(self._document), self._earlier.run_id(uri)
            note = self._relay.note
            try:
                self._relay.tracker = Tracker(
                    python, uri, machine=tracked.machine, environ=environ, on_event=note, again=again
                )
            except OSError as error:
                self._relay.emit(Note(level="warning", text=f"the run is not tracked: {error}"))
        self._relay.emit(
            Track(experiment=tracked.experiment, run_name=tracked.run_name, params=tracked.params, tags=tracked.tags)
        )

    def _data(self, python: Path) -> dict[Source, Path]:
        data = {}
        for source in self._document.sources:
            half = halves.source(self._document, source)
            place = Place(
                cache=Path(self._placement.cache),
                python=self._python_for(half, python),
                tracking_uri=self._placement.tracking_uri,
                say=self._relay.log.line,
            )
            try:
                with self._stop.armed():
                    data[source] = self._kept(partial(half.fetch, source, place))
            except OSError as error:
                raise Failed(str(error)) from error
        if wrong := list(self._half.inspect(self._document, data)):
            raise Failed("; ".join(sentence.rstrip(".").replace("\n", ": ") for sentence in wrong), PREFLIGHT)
        return data

    def _python_for(self, half: SourceHalf, python: Path) -> Path:
        """That of the environment the half declares, built when it is not there; else the run's own."""
        wanted, cache = halves.environment(half), Path(self._placement.cache)
        if wanted is None:
            return python
        say = self._relay.log.line
        built = self._kept(lambda: environment.build(wanted.lock, wanted.python, cache, say, self._stop))
        return environment.python_of(built)

    def _kept(self, make: Callable[[], Path]) -> Path:
        """What `make` makes or finds in the cache, held to the end of the run; made again if it was just removed."""
        while not self._holding.keep(made := make()):
            pass
        return made

    def _work(self, python: Path, work: Work) -> None:
        told: deque[str] = deque(maxlen=REMEMBERED_LINES)

        def heard(line: str) -> None:
            told.append(line)
            self._relay.log.line(line)

        for note in work.notes:
            self._relay.emit(note)
        arguments = [str(python), *work.arguments]
        environ = surroundings.environ(self._document, work.environ)
        code = child.run(arguments, environ=environ, stop=self._stop, on_line=heard, on_event=self._relay.take)
        if code:
            raise Failed(reason.of_exit(code, told), 128 - code if code < 0 else code)

    def _asked(self, data: dict[Source, Path]) -> Publishing:
        asked = publishing.asked(self._half, self._document, data)
        try:
            publishing.keep(Path(self._placement.work), asked)
        except OSError as error:
            self._relay.log.line(f"{publishing.FILE} could not be written: {error}")
        return asked

    def _publish(self, publication: Publication, python: Path, *, succeeded: bool) -> None:
        """What is left of publishing, once the work is over. Raises Failed with all that was asked for, Stopped."""
        if publication.left(succeeded):
            with self._stage("publish"):
                wrong = publication.finish(self._stop, python, succeeded)
                if wrong and not self._stop.number:
                    raise Failed("; ".join(wrong))
        if self._stop.number:
            raise Stopped


def _write(path: Path, outcome: Outcome) -> None:
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(dataclasses.asdict(outcome), indent=1) + "\n", encoding="utf-8")
    os.replace(scratch, path)
