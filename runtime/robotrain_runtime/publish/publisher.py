"""Checkpoints and results sealed and published while the work goes on, in threads that it never waits for."""

import functools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from robotrain_runtime import child, model_digest
from robotrain_runtime.attempts import Earlier
from robotrain_runtime.checkpoint import Manifest
from robotrain_runtime.courier import NO_TIME, Courier, Never, words
from robotrain_runtime.document import JobDocument
from robotrain_runtime.event import Checkpoint, Delivered, Evaluated, Event, Note, Published, Track, Withdrawn
from robotrain_runtime.publish import same_model, sealing
from robotrain_runtime.publish.destination import Destination
from robotrain_runtime.publish.sealing import Sealed, Told
from robotrain_runtime.stop import Stop, Stopped

LONG_SECONDS = 30.0
UNASKED_SECONDS = 30.0
"""How long a run waits at its end for a destination that fails and that nobody asked for."""

HALT_SECONDS = 3.0
POLL_SECONDS = 0.05
POLICY_TAG = "policy_artifact"
"""The tag of the tracking run that says among which artifacts the evaluated policy lies."""
CALLED: Mapping[str, str] = {"results": "the results folder", "policy": "the evaluated policy"}

Item = TypeVar("Item", Told, Sealed)


class Publisher:
    """Each complete checkpoint once to each destination, whatever is told twice; so are results. Errors are tried
    again, and told.

    needed: whether the run has failed when something is not complete. tracking: the tracking run's id. used: whether
    anything was told of. parents: the folders that checkpoints lie in. evaluated: the last evaluation, and what is
    sealed of its policy; None for one that is not kept.
    """

    def __init__(
        self,
        document: JobDocument,
        destinations: Sequence[Destination],
        emit: Callable[[Event], None],
        *,
        earlier: Earlier,
        needed: bool,
        tracking: Callable[[], str] = str,
    ) -> None:
        self.used, self._needed, self._tracking = False, needed, tracking
        self.parents = {Path(path).parent for path in earlier.checkpoints}
        self.evaluated: tuple[Evaluated, Manifest | None] | None = None
        self._document = document
        self._emit = emit
        self._published = {step: set(addresses) for step, addresses in earlier.published.items()}
        self._delivered = set(earlier.delivered)
        self._over = False
        self._digests: dict[Path, str] = {}
        self._said: set[tuple[str, str]] = set()
        self._lines = [
            (one, Courier(functools.partial(self._bring, one), functools.partial(self._not_brought, one)))
            for one in destinations
        ]
        self._sealing: Courier[Told] = Courier(self._seal, self._not_sealed)
        for path, event in earlier.checkpoints.items():
            if not all(any(map(one.holds, self._published.get(event.step, ()))) for one in destinations):
                self.used = True
                self._sealing.take(Told(folder=Path(path), event=event, again=True))

    @property
    def complete(self) -> bool:
        """Whether all that was told of is sealed."""
        return not self._sealing.left

    def take(self, event: Checkpoint | Evaluated) -> None:
        """Something is complete; returns at once."""
        for told in sealing.told_of(event):
            if told.what == "checkpoint" and not told.folder.name.isdecimal():
                text = f"{told.folder} is not published: a checkpoint is a folder that its step names"
                self._once(told.folder.name, "", text, again=False)
                continue
            self.used = True
            if told.what == "checkpoint":
                self.parents.add(told.folder.parent)
            self._sealing.take(told)

    def drain(self, stop: Stop) -> list[str]:
        """Wait until everything is published or given up: what was asked for and is not there, in sentences.

        A stop leaves the grace for it, a second stop nothing.
        """
        self._sealing.finish()
        began = time.monotonic()
        until = began + child.grace() if stop.number else math.inf
        tell, pause = began + LONG_SECONDS, LONG_SECONDS
        while self._busy() and stop.count < 2 and time.monotonic() < until:
            try:
                with stop.armed():
                    time.sleep(POLL_SECONDS)
            except Stopped:
                until = min(until, time.monotonic() + child.grace())
            if time.monotonic() > began + UNASKED_SECONDS:
                self._drop_unasked()
            if time.monotonic() > tell:
                self._emit(Note(level="info", text="still publishing: " + "; ".join(self._doing())))
                tell, pause = tell + pause, pause * 2
        self._halt()
        self._over = True
        sealing.forget(self._document)
        return self._told()

    def _busy(self) -> bool:
        if self._sealing.busy:
            return True
        for _, courier in self._lines:
            courier.finish()
        return any(courier.busy for _, courier in self._lines)

    def _drop_unasked(self) -> None:
        for to, courier in self._lines:
            if courier.failing and not to.asked:
                courier.halt()

    def _halt(self) -> None:
        couriers = [self._sealing, *(courier for _, courier in self._lines)]
        until = time.monotonic() + HALT_SECONDS
        for courier in couriers:
            courier.halt()
        for courier in couriers:
            courier.join(max(0.0, until - time.monotonic()))
        for to, _ in self._lines:
            to.close()

    def _seal(self, told: Told, halted: Callable[[], bool]) -> None:
        sealed = sealing.seal(told, self._document, self._tracking(), halted)
        if sealed is None:
            return  # what becomes of it is for the workload to say
        if told.what != "checkpoint" and isinstance(told.event, Evaluated):
            self.evaluated = told.event, sealed.manifest if told.what == "policy" else None
        if told.what == "policy" and (digest := model_digest.of(sealed.manifest)):
            self._emit(Track(tags={same_model.MODEL: digest}))
        if self._digests.get(told.folder) != sealed.manifest.digest:
            self._digests[told.folder] = sealed.manifest.digest
            for to, courier in self._lines:
                if sealed.what in to.takes:
                    courier.take(sealed)

    def _bring(self, to: Destination, sealed: Sealed, halted: Callable[[], bool]) -> None:
        began = time.monotonic()
        address, new = to.put(sealed, halted)
        step, took = sealed.manifest.step, round(time.monotonic() - began, 3)
        if sealed.what == "policy":
            self._say(Track(tags={POLICY_TAG: address.split("/", 2)[-1]}))
        elif sealed.what == "results":
            self._copied(self._delivered, new, Delivered(to=address, seconds=took))
        else:
            self._copied(self._published.setdefault(step, set()), new, Published(step=step, to=address, seconds=took))
            self._trim(to, halted)

    def _copied(self, told: set[str], new: bool, copied: Published | Delivered) -> None:
        if new or copied.to not in told:
            told.add(copied.to)
            self._say(copied)

    def _say(self, event: Event) -> None:
        if not self._over:
            self._emit(event)

    def _trim(self, to: Destination, halted: Callable[[], bool]) -> None:
        """Remove what is too many there. When that fails it is told, and tried with the next checkpoint."""
        try:
            removed = to.trim(halted)
        except (OSError, Never) as error:
            self._once(
                to.name, words(error), f"older checkpoints are not removed from {to.name}: {words(error)}", False
            )
            return
        for address in removed:
            self._say(Withdrawn(to=address))

    def _not_sealed(self, told: Told, why: str, again: bool) -> None:
        self._once("sealing", why, f"{_of([told])} is not complete: {why}", again)

    def _not_brought(self, to: Destination, sealed: Sealed, why: str, again: bool) -> None:
        self._once(to.name, why, f"{_of([sealed])} is not published to {to.name}: {why}", again)

    def _once(self, about: str, why: str, text: str, again: bool) -> None:
        if (about, why) not in self._said:
            self._said.add((about, why))
            self._emit(Note(level="warning", text=f"{text}; trying again" if again else text))

    def _doing(self) -> Iterator[str]:
        if self._sealing.busy and (left := self._sealing.left):
            yield f"{_of([told for told, _ in left])}, being sealed"
        for to, courier in self._lines:
            for why, items in _by_why(courier.left if courier.busy else ()):
                yield f"{_of(items)} to {to.name}" + ("" if why == NO_TIME else f" ({why})")

    def _told(self) -> list[str]:
        left = list(self._left())
        for text, asked in left:
            self._emit(Note(level="error" if asked else "warning", text=text))
        return [text for text, asked in left if asked]

    def _left(self) -> Iterator[tuple[str, bool]]:
        """Sentences about what is not published, each with whether that was asked for."""
        for why, told in _by_why(self._sealing.left):
            yield f"{_of(told)} could not be made complete: {why}", self._needed
        for to, courier in self._lines:
            for why, items in _by_why(courier.left):
                yield f"{_of(items)} could not be published to {to.name}: {why}", to.asked


def _by_why(left: Iterable[tuple[Item, str]]) -> Iterable[tuple[str, list[Item]]]:
    found = defaultdict(list)
    for item, why in left:
        found[why].append(item)
    return found.items()


def _of(items: Sequence[Told | Sealed]) -> str:
    """`checkpoint 000020`, `checkpoints 000020 and 000040`; `the results folder`."""
    names = [item.folder.name for item in items if item.what == "checkpoint"]
    several = f"checkpoint{'s' * (len(names) > 1)} {_joined(names)}" if names else ""
    return _joined([*filter(None, [several]), *(CALLED[item.what] for item in items if item.what in CALLED)])


def _joined(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
