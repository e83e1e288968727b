"""What a run does with what it leaves: published while the work goes on, drained after it, the last registered."""

import functools
from pathlib import Path

from robotrain_runtime import halves, surroundings
from robotrain_runtime.attempts import Earlier
from robotrain_runtime.document import JobDocument
from robotrain_runtime.environments import environment
from robotrain_runtime.event import Note, Registered
from robotrain_runtime.failure import Failed
from robotrain_runtime.half import Publishing
from robotrain_runtime.publish import choice, kept, publishing, registration, targets
from robotrain_runtime.publish.choice import Chosen
from robotrain_runtime.publish.destination import Address, Artifacts, Destination, Folder, Kept
from robotrain_runtime.publish.publisher import Publisher
from robotrain_runtime.relay import Relay
from robotrain_runtime.stop import Stop
from robotrain_runtime.supply.deliveries import place_of
from robotrain_runtime.target import Target, TargetHalf, Writer


class Publication:
    """Made before the work starts; from then on each checkpoint that the relay sees is published, and each result."""

    def __init__(self, document: JobDocument, asked: Publishing, relay: Relay, earlier: Earlier) -> None:
        self._document = document
        self._asked = asked
        self._relay = relay
        self._earlier = earlier
        to: list[Destination] = [Artifacts(relay.tracker)] if relay.tracker is not None else []
        places = publishing.places(halves.workload(document), document, {}, asked)
        to += [self._destination(target) for target in places]
        if kept_in := kept.folder(document):
            to.append(Kept(Target(to=str(kept_in)), document.run, kept.called(document)))
        needed = self._needed = bool(places or kept_in or asked.register)
        self._publisher = relay.publisher = Publisher(
            document, to, relay.emit, earlier=earlier, needed=needed, tracking=self._run_id
        )

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
        try:
            chosen = self._chosen()
        except Failed as failed:
            raise Failed(f"the model {self._asked.register} was not registered: {failed.reason}") from failed
        return registration.register(
            self._document,
            self._asked,
            chosen,
            run_id=self._run_id(),
            python=python,
            stop=stop,
            say=self._say,
            tracker=self._relay.tracker,
        )

    def _chosen(self) -> Chosen:
        """What is registered. Raises Failed."""
        publisher = self._publisher
        if not publisher.complete:
            raise Failed("not everything that the run left is complete")
        if publisher.evaluated is None:
            return choice.of_checkpoints(self._document, publisher.parents, None, self._say)
        event, manifest = publisher.evaluated
        if manifest is None:
            raise choice.not_kept()
        return choice.policy(event, manifest)

    def _run_id(self) -> str:
        """Of the tracking run; empty while there is none."""
        tracker, earlier = self._relay.tracker, self._earlier.run_id(self._document.placement.tracking_uri)
        return (tracker.run_id if tracker else "") or surroundings.tracking_run(self._document) or earlier

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
        return half.open(address, place_of(self._document, python, say))

    def _say(self, text: str) -> None:
        self._relay.emit(Note(level="info", text=text))
