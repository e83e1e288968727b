"""What a run does with its checkpoints: published while the work goes on, drained after it, the last registered."""

import functools
from pathlib import Path

from robotrain_runtime import halves
from robotrain_runtime.attempts import Earlier
from robotrain_runtime.document import JobDocument
from robotrain_runtime.environments import environment
from robotrain_runtime.event import Note, Registered
from robotrain_runtime.failure import Failed
from robotrain_runtime.half import Place, Publishing
from robotrain_runtime.publish import publishing, registration, targets
from robotrain_runtime.publish.destination import Address, Artifacts, Destination, Folder
from robotrain_runtime.publish.publisher import Publisher
from robotrain_runtime.relay import Relay
from robotrain_runtime.stop import Stop
from robotrain_runtime.target import Target, TargetHalf, Writer


class Publication:
    """Made before the work starts; from then on each checkpoint that the relay sees is published."""

    def __init__(self, document: JobDocument, asked: Publishing, relay: Relay, earlier: Earlier) -> None:
        self._document = document
        self._asked = asked
        self._relay = relay
        self._earlier = earlier
        to: list[Destination] = [Artifacts(relay.tracker)] if relay.tracker is not None else []
        places = publishing.places(halves.workload(document), document, {}, asked)
        to += [self._destination(target) for target in places]
        needed = self._needed = bool(places or asked.register)
        self._publisher = relay.publisher = Publisher(document, to, relay.emit, earlier=earlier, needed=needed)

    def left(self, succeeded: bool) -> bool:
        """Whether there is anything to do after the work. Failed work without a checkpoint owes nobody one."""
        return self._publisher.used or (self._needed and succeeded)

    def finish(self, stop: Stop, python: Path, succeeded: bool) -> list[str]:
        """Wait for what is left, and register what succeeded work left: why what was asked for failed, in sentences."""
        wrong = self._publisher.drain(stop)
        if succeeded and self._asked.register and not stop.number:
            try:
                self._relay.emit(self._registered(stop, python))
            except Failed as failed:
                self._relay.emit(Note(level="error", text=failed.reason))
                wrong.append(failed.reason)
        return wrong

    def _registered(self, stop: Stop, python: Path) -> Registered:
        uri, tracker = self._document.placement.tracking_uri, self._relay.tracker
        try:
            if not self._publisher.complete:
                raise Failed("not every checkpoint is complete")
            folder = registration.choose(self._document, self._publisher.parents, None, self._say)
        except Failed as failed:
            raise Failed(f"the model {self._asked.register} was not registered: {failed.reason}") from failed
        return registration.register(
            self._document,
            self._asked,
            folder,
            run_id=(tracker.run_id if tracker else "") or self._earlier.run_id(uri),
            python=python,
            stop=stop,
            say=self._say,
            tracker=tracker,
        )

    def _destination(self, target: Target) -> Destination:
        run, half = self._document.run, targets.half_of(self._document, target.to)
        if half is None:
            return Folder(target, run)
        return Address(half.normal(target.to), target, run, functools.partial(self._open, half, target.to))

    def _open(self, half: TargetHalf, address: str) -> Writer:
        """What writes there, in its environment: it is built when preflight has not. Raises OSError."""
        placement, wanted, say = self._document.placement, half.ENVIRONMENT, self._relay.log.line
        try:
            built = environment.build(wanted.lock, wanted.python, Path(placement.cache), say, Stop())
        except Failed as failed:
            raise OSError(failed.reason) from failed
        python = environment.python_of(built)
        place = Place(cache=Path(placement.cache), python=python, say=say, credentials=placement.credentials)
        return half.open(address, place)

    def _say(self, text: str) -> None:
        self._relay.emit(Note(level="info", text=text))
