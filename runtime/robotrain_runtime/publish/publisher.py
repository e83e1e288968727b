"""Checkpoints sealed and published while the work goes on, in threads that it never waits for."""

import functools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime import checkpoint, child
from robotrain_runtime.attempts import Earlier
from robotrain_runtime.courier import NO_TIME, Courier, Never, words
from robotrain_runtime.document import JobDocument
from robotrain_runtime.event import Checkpoint, Event, Note, Published, Withdrawn
from robotrain_runtime.publish.destination import Destination, Sealed
from robotrain_runtime.stop import Stop, Stopped

LONG_SECONDS = 30.0
UNASKED_SECONDS = 30.0
"""How long a run waits at its end for a destination that fails and that nobody asked for."""

HALT_SECONDS = 3.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A checkpoint that someone told of. again: it was an earlier attempt, and it may have been torn since."""

    folder: Path
    event: Checkpoint
    again: bool = False


class Publisher:
    """Each complete checkpoint once to each destination, whatever is told twice. Errors are tried again, and told.

    needed: whether the run has failed when a checkpoint is not complete. used: whether any checkpoint was told of.
    parents: the folders that checkpoints lie in.
    """

    def __init__(
        self,
        document: JobDocument,
        destinations: Sequence[Destination],
        emit: Callable[[Event], None],
        *,
        earlier: Earlier,
        needed: bool,
    ) -> None:
        self.used, self._needed = False, needed
        self.parents = {Path(path).parent for path in earlier.checkpoints}
        self._document = document
        self._emit = emit
        self._published = {step: set(addresses) for step, addresses in earlier.published.items()}
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

    def take(self, event: Checkpoint) -> None:
        """A checkpoint is complete; returns at once."""
        folder = Path(event.path)
        if not folder.name.isdecimal():
            text = f"{folder} is not published: a checkpoint is a folder that its step names"
            self._once(folder.name, "", text, again=False)
            return
        self.used = True
        self.parents.add(folder.parent)
        self._sealing.take(Told(folder=folder, event=event))

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
        if told.folder.is_symlink():
            raise Never("it is a link")
        if told.again:
            manifest = checkpoint.read(told.folder)
            if manifest is None or checkpoint.wrong_with(told.folder):
                return  # what becomes of it is for the workload to say
        elif not told.folder.is_dir():
            raise Never("it is not there")
        else:
            by, event = self._document, told.event
            manifest = checkpoint.seal(told.folder, step=event.step, run=by.run, job=by.job, model=event.model)
        if self._digests.get(told.folder) != manifest.digest:
            self._digests[told.folder] = manifest.digest
            for _, courier in self._lines:
                courier.take(Sealed(folder=told.folder, manifest=manifest))

    def _bring(self, to: Destination, sealed: Sealed, halted: Callable[[], bool]) -> None:
        began, step = time.monotonic(), sealed.manifest.step
        address, new = to.put(sealed, halted)
        told = self._published.setdefault(step, set())
        if not self._over and (new or address not in told):
            told.add(address)
            self._emit(Published(step=step, to=address, seconds=round(time.monotonic() - began, 3)))
        self._trim(to, halted)

    def _trim(self, to: Destination, halted: Callable[[], bool]) -> None:
        """Remove what is too many there. When that fails it is told, and tried with the next checkpoint."""
        try:
            removed = to.trim(halted)
        except (OSError, Never) as error:
            self._once(
                to.name, words(error), f"older checkpoints are not removed from {to.name}: {words(error)}", False
            )
            return
        for address in removed if not self._over else ():
            self._emit(Withdrawn(to=address))

    def _not_sealed(self, told: Told, why: str, again: bool) -> None:
        self._once("sealing", why, f"{_of([told.folder])} is not complete: {why}", again)

    def _not_brought(self, to: Destination, sealed: Sealed, why: str, again: bool) -> None:
        self._once(to.name, why, f"{_of([sealed.folder])} is not published to {to.name}: {why}", again)

    def _once(self, about: str, why: str, text: str, again: bool) -> None:
        if (about, why) not in self._said:
            self._said.add((about, why))
            self._emit(Note(level="warning", text=f"{text}; trying again" if again else text))

    def _doing(self) -> Iterator[str]:
        if self._sealing.busy and (left := self._sealing.left):
            yield f"{_of([told.folder for told, _ in left])}, being sealed"
        for to, courier in self._lines:
            for why, folders in _by_why((sealed.folder, why) for sealed, why in courier.left if courier.busy):
                yield f"{_of(folders)} to {to.name}" + ("" if why == NO_TIME else f" ({why})")

    def _told(self) -> list[str]:
        left = list(self._left())
        for text, asked in left:
            self._emit(Note(level="error" if asked else "warning", text=text))
        return [text for text, asked in left if asked]

    def _left(self) -> Iterator[tuple[str, bool]]:
        """Sentences about what is not published, each with whether that was asked for."""
        for why, folders in _by_why((told.folder, why) for told, why in self._sealing.left):
            yield f"{_of(folders)} could not be made complete: {why}", self._needed
        for to, courier in self._lines:
            for why, folders in _by_why((sealed.folder, why) for sealed, why in courier.left):
                yield f"{_of(folders)} could not be published to {to.name}: {why}", to.asked


def _by_why(left: Iterable[tuple[Path, str]]) -> Iterable[tuple[str, list[Path]]]:
    found = defaultdict(list)
    for folder, why in left:
        found[why].append(folder)
    return found.items()


def _of(folders: Sequence[Path]) -> str:
    """`checkpoint 000020`, `checkpoints 000020 and 000040`."""
    names = [folder.name for folder in folders]
    return f"checkpoint{'s' * (len(names) > 1)} {' and '.join(filter(None, [', '.join(names[:-1]), names[-1]]))}"
