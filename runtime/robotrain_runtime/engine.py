"""A run from its document to its outcome: preflight, environment beside data, merge, work, publish."""

import dataclasses
import json
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal

from robotrain_runtime import attempts, child, faults, halves, oom, promised, reason, surroundings
from robotrain_runtime.courier import Halted
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.environments import environment
from robotrain_runtime.environments.background import Background
from robotrain_runtime.event import Fault, Note, Outcome, Published, Stage, Track
from robotrain_runtime.failure import FAILED, PREFLIGHT, Failed
from robotrain_runtime.half import Publishing, Work
from robotrain_runtime.holding import Holding
from robotrain_runtime.log import Log
from robotrain_runtime.preflight import look
from robotrain_runtime.publish import publishing
from robotrain_runtime.publish.publication import Publication
from robotrain_runtime.publish.targets import Seen
from robotrain_runtime.relay import Relay
from robotrain_runtime.stop import Stop, Stopped
from robotrain_runtime.supply import going_on
from robotrain_runtime.supply.data import Data
from robotrain_runtime.supply.going_on import Left
from robotrain_runtime.track.tracker import Tracker

OUTCOME = "outcome.json"
REMEMBERED_LINES = 200


def run(document: JobDocument) -> Outcome:
    """Do what the document says; its events, its outcome and its outputs are below the document's work folder."""
    work = Path(document.placement.work)
    work.mkdir(parents=True, exist_ok=True)
    (work / OUTCOME).unlink(missing_ok=True)  # how an earlier attempt ended says nothing about this one
    faults.forget_stop(work)
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
        promised.check(document.placement.promised)
        return Engine(document, relay, stop, earlier, holding).run()
    except Stopped:
        return _cancelled(stop, faults.of_stop(Path(document.placement.work)))
    except Failed as failed:
        code = faults.exit_code(failed.exit_code, failed.fault)
        return Outcome(state="failed", exit_code=code, reason=failed.reason, fault=failed.fault)
    except Exception as error:
        for line in traceback.format_exc().splitlines():
            relay.log.line(line)
        said = f"{type(error).__name__}: {error}"
        fault = faults.of_text(said) or "code"
        return Outcome(state="failed", exit_code=faults.exit_code(FAILED, fault), reason=said, fault=fault)


def _cancelled(stop: Stop, fault: Fault) -> Outcome:
    why = "" if fault == "stopped" else f": its machine was {fault}" if fault == "preempted" else f": it was {fault}"
    return Outcome(state="cancelled", exit_code=stop.exit_code, reason=f"the run was stopped{why}", fault=fault)


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
        self._data = Data(document, relay, stop, holding)
        self._background = Background(document, relay, stop, self._ready)
        self._looked = threading.Event()
        self._left: list[Left] = []
        self._tracked = False

    def run(self) -> Outcome:
        """All stages."""
        python, data, uses = self._begun()
        publication = Publication(self._document, self._asked(data), self._relay, self._earlier)
        try:
            with self._stage("work"):
                self._work(python, self._half.work(self._document, uses, Path(self._placement.work)))
        except (Failed, Stopped):
            with suppress(Failed, Stopped):  # said already; why the work ended says more
                self._publish(publication, python, succeeded=False)
            raise
        self._publish(publication, python, succeeded=True)
        return Outcome(state="succeeded", exit_code=0)

    def _begun(self) -> tuple[Path, dict[Source, Path], dict[Source, Path]]:
        """What the work starts from: the interpreter, the folder of each source, and those that the work uses.

        The environment is built in the background meanwhile. Whatever fails first ends the other.
        """
        try:
            with closing(self._background), closing(self._data.deliveries):
                with self._stage("preflight"):
                    self._preflight()
                if not self._background.begun:
                    self._there()
                if self._data.waits:
                    self._python()
                with self._stage("data"):
                    data = self._data.fetch(self._python)
                    self._take_up()
                self._ready(python := self._python())
                return python, data, self._merged(data, python)
        except Stopped:
            if self._stop.number is None and self._background.failure is not None:
                raise self._background.failure from None
            raise

    @contextmanager
    def _stage(
        self, name: Literal["preflight", "environment", "data", "merge", "work", "publish"]
    ) -> Iterator[list[str]]:
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
        places: list[Seen] = []
        try:
            begin, python = self._background.begin, self._data.python
            found = look(self._document, self._data.deliveries, self._stop, begin, python, places)
            if not found:
                self._left = going_on.find(self._document, places)
                self._earlier = going_on.tracked(self._earlier, self._left, self._placement.tracking_uri)
        finally:
            self._looked.set()
        for finding in found:
            ways = f"Instead: {' / '.join(finding.ways)}" if finding.ways else ""
            text = " ".join(part for part in (f"{finding.title}.", finding.given, finding.why, ways) if part)
            self._relay.emit(Note(level="error", text=text))
        if found:
            fault = faults.of_all(finding.fault for finding in found)
            raise Failed("; ".join(finding.title for finding in found), PREFLIGHT, fault)

    def _there(self) -> None:
        """The environment that nothing had to be built for."""
        with self._stage("environment") as details:
            python = self._python()
            details.append(environment.remark(python.parent.parent))
        self._ready(python)

    def _ready(self, built: Path) -> None:
        """Tracking needs the environment alone, so it starts while the data is still on its way, once it is known
        whether a tracking run of an earlier attempt goes on.
        """
        self._looked.wait()
        if not self._tracked and self._holding.keep(built):
            self._tracked = True
            self._track(environment.python_of(built))

    def _take_up(self) -> None:
        """What an earlier attempt left elsewhere is laid where this one would have saved it. Raises Failed, Stopped."""

        def bring(left: Left) -> Path:
            return self._data.beside(left.source, left.half, self._python)

        def say(text: str) -> None:
            self._relay.emit(Note(level="warning", text=text))

        if not self._left:
            return
        try:
            laid = going_on.lay(self._document, self._left, bring, say, lambda: self._stop.count > 0)
        except Halted:
            raise Stopped from None
        except OSError as error:
            raise Failed(str(error), fault=faults.of_text(str(error))) from error
        if laid is None:
            say("nothing that an earlier attempt left is whole: the run begins anew")
            return
        left, saved = laid
        self._earlier = going_on.known(self._earlier, left, saved)
        self._relay.emit(Note(level="info", text=f"step {saved.step} of an earlier attempt came back from {left.lies}"))
        self._relay.emit(saved)
        if left.published:
            self._relay.emit(Published(step=saved.step, to=left.address))

    def _python(self) -> Path:
        """The interpreter of the run's environment, once it is there; built again if it was just removed."""
        python = environment.python_of(self._background.wait())
        while not self._holding.keep(python):
            python = surroundings.python(self._document, self._relay.log.line, self._stop)
        return python

    def _track(self, python: Path) -> None:
        tracked = self._half.tracked(self._document)
        if uri := self._placement.tracking_uri:
            environ, theirs = surroundings.environ(self._document), surroundings.tracking_run(self._document)
            note, again = self._relay.note, theirs or self._earlier.run_id(uri)
            try:
                self._relay.tracker = Tracker(
                    python,
                    uri,
                    machine=tracked.machine,
                    environ=environ,
                    on_event=note,
                    again=again,
                    attached=bool(theirs),
                )
            except OSError as error:
                self._relay.emit(Note(level="warning", text=f"the run is not tracked: {error}"))
        self._relay.emit(
            Track(experiment=tracked.experiment, run_name=tracked.run_name, params=tracked.params, tags=tracked.tags)
        )

    def _merged(self, data: dict[Source, Path], python: Path) -> dict[Source, Path]:
        """The data as the work uses it: in place of some sources, what was made of them."""
        if (asked := self._data.preparation(data)) is None:
            return data
        with self._stage("merge") as details:
            made, before = self._data.prepared(asked, python)
            details.append("made before" if before else "")
        return data | dict.fromkeys(asked.sources, made)

    def _work(self, python: Path, work: Work) -> None:
        told: deque[str] = deque(maxlen=REMEMBERED_LINES)

        def heard(line: str) -> None:
            told.append(line)
            self._relay.log.line(line)

        for note in work.notes:
            self._relay.emit(note)
        arguments = [str(python), *work.arguments]
        environ, kills = surroundings.environ(self._document, work.environ), oom.kills()
        code = child.run(arguments, environ=environ, stop=self._stop, on_line=heard, on_event=self._relay.take)
        if code:
            why = reason.of_exit(code, told)
            fault = faults.of_program(code, why, told, oom.kills() > kills)
            raise Failed(why, 128 - code if code < 0 else code, fault)

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
                    raise Failed("; ".join(wrong), fault=faults.of_text("; ".join(wrong)))
        if self._stop.number:
            raise Stopped


def _write(path: Path, outcome: Outcome) -> None:
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(dataclasses.asdict(outcome), indent=1) + "\n", encoding="utf-8")
    os.replace(scratch, path)
