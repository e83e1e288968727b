"""The publisher: seals artifacts and copies them in threads, retrying while the work goes on."""

import functools
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.checkpoints.recovery import EarlierAttempts
from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Checkpoint, Delivered, Evaluated, Event, Note, Published, Track, Withdrawn
from robotrain_runtime.contract.failure import Cancelled, PermanentError, describe_error
from robotrain_runtime.process import child
from robotrain_runtime.process.stop import StopRequested, StopSignal
from robotrain_runtime.publishing import sealing
from robotrain_runtime.publishing.destinations import Destination
from robotrain_runtime.publishing.sealing import CompleteArtifact, SealedArtifact

LONGEST_PAUSE = 60.0
LAST_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between the tries that are left once nothing more comes."""

NO_TIME = "there was no time left"

Item = TypeVar("Item")


class RetryQueue(Generic[Item]):
    """Does `bring(item, halted)` with each item, in order; what fails is tried again, after pauses that grow.

    `bring` asks `halted()` now and then, and raises Halted when it says so. on_trouble: called with an item, why it
    failed, and whether it is tried again; once in a row of failures.
    """

    def __init__(
        self, deliver: Callable[[Item, Callable[[], bool]], object], on_trouble: Callable[[Item, str, bool], object]
    ) -> None:
        self._deliver = deliver
        self._on_trouble = on_trouble
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._current: Item | None = None
        self._last_error = ""
        self._failures = 0
        self._given_up: list[tuple[Item, str]] = []
        self._finishing = self._cancelled = False
        self._last_pauses: Iterator[float] = iter(LAST_PAUSES)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether it still does something, or waits for more."""
        return self._thread.is_alive()

    @property
    def is_failing(self) -> bool:
        """Whether its last try failed."""
        return self._failures > 0

    def add(self, item: Item) -> None:
        """One more; returns at once."""
        with self._changed:
            self._waiting.append(item)
            self._changed.notify_all()

    def finish(self) -> None:
        """Nothing more comes: what is left is tried at once, and a few times more."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Drop everything; returns at once."""
        with self._changed:
            self._cancelled = self._finishing = True
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Wait for its end, but no longer."""
        self._thread.join(seconds)

    @property
    def unfinished(self) -> list[tuple[Item, str]]:
        """What did not work until now, each with why."""
        with self._changed:
            behind = [*([self._current] if self._current is not None else []), *self._waiting]
            return [*self._given_up, *((item, self._last_error or NO_TIME) for item in behind)]

    def _run(self) -> None:
        while (item := self._next_item()) is not None:
            why = self._deliver_with_retries(item)
            with self._changed:
                self._current = None
                if why is not None:
                    self._given_up.append((item, why))

    def _next_item(self) -> Item | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._finishing)
            if self._waiting and not self._cancelled:
                self._current, self._last_error = self._waiting.popleft(), ""
            return self._current

    def _deliver_with_retries(self, item: Item) -> str | None:
        """Why it was given up; None when it worked."""
        while True:
            try:
                self._deliver(item, lambda: self._cancelled)
            except PermanentError as never:
                self._on_trouble(item, str(never), False)
                return str(never)
            except Cancelled:
                return self._last_error or NO_TIME
            except Exception as error:  # whatever it is: the run goes on, and hears of it
                self._last_error = describe_error(error)
            else:
                self._failures, self._last_pauses = 0, iter(LAST_PAUSES)
                return None
            self._failures += 1
            if self._failures == 1:
                self._on_trouble(item, self._last_error, True)
            if not self._wait_for_retry():
                return self._last_error

    def _wait_for_retry(self) -> bool:
        """Wait for the next try; False when there is none."""
        with self._changed:
            finishing = self._finishing
            seconds = next(self._last_pauses, None) if finishing else min(LONGEST_PAUSE, 2.0 ** (self._failures - 1))
            if seconds is None or self._cancelled:
                return False
            self._changed.wait_for(lambda: self._cancelled or self._finishing != finishing, seconds)
            return not self._cancelled


REPORT_SECONDS = 30.0
OPTIONAL_SECONDS = 30.0
"""How long a run waits at its end for a destination that fails and that nobody asked for."""

CANCEL_SECONDS = 3.0
POLL_SECONDS = 0.05
POLICY_TAG = "policy_artifact"
"""The tag of the tracking run that says among which artifacts the evaluated policy lies."""
KIND_NAMES: Mapping[str, str] = {"results": "the results folder", "policy": "the evaluated policy"}

ArtifactItem = TypeVar("ArtifactItem", CompleteArtifact, SealedArtifact)


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
        earlier: EarlierAttempts,
        needed: bool,
        tracking: Callable[[], str] = str,
    ) -> None:
        self.has_artifacts, self._needed, self._tracking = False, needed, tracking
        self.parents = {Path(path).parent for path in earlier.checkpoints}
        self.evaluated: tuple[Evaluated, CheckpointManifest | None] | None = None
        self._document = document
        self._emit = emit
        self._published = {step: set(addresses) for step, addresses in earlier.published.items()}
        self._delivered = set(earlier.delivered)
        self._closed = False
        self._digests: dict[Path, str] = {}
        self._warned: set[tuple[str, str]] = set()
        self._queues = [
            (
                one,
                RetryQueue(
                    functools.partial(self._publish_artifact, one), functools.partial(self._warn_not_published, one)
                ),
            )
            for one in destinations
        ]
        self._sealing: RetryQueue[CompleteArtifact] = RetryQueue(self._seal_artifact, self._warn_not_sealed)
        for path, event in earlier.checkpoints.items():
            if not all(any(map(one.contains_address, self._published.get(event.step, ()))) for one in destinations):
                self.has_artifacts = True
                self._sealing.add(CompleteArtifact(folder=Path(path), event=event, from_earlier_attempt=True))

    @property
    def is_complete(self) -> bool:
        """Whether all that was told of is sealed."""
        return not self._sealing.unfinished

    def add(self, event: Checkpoint | Evaluated) -> None:
        """Something is complete; returns at once."""
        for told in sealing.list_artifacts(event):
            if told.kind == "checkpoint" and not told.folder.name.isdecimal():
                text = f"{told.folder} is not published: a checkpoint is a folder that its step names"
                self._warn_once(told.folder.name, "", text, retrying=False)
                continue
            self.has_artifacts = True
            if told.kind == "checkpoint":
                self.parents.add(told.folder.parent)
            self._sealing.add(told)

    def drain(self, stop: StopSignal) -> list[str]:
        """Wait until everything is published or given up: what was asked for and is not there, in sentences.

        A stop leaves the grace for it, a second stop nothing.
        """
        self._sealing.finish()
        began = time.monotonic()
        until = began + child.get_grace_seconds() if stop.number else math.inf
        tell, pause = began + REPORT_SECONDS, REPORT_SECONDS
        while self._is_busy() and stop.count < 2 and time.monotonic() < until:
            try:
                with stop.interruptible():
                    time.sleep(POLL_SECONDS)
            except StopRequested:
                until = min(until, time.monotonic() + child.get_grace_seconds())
            if time.monotonic() > began + OPTIONAL_SECONDS:
                self._drop_optional()
            if time.monotonic() > tell:
                self._emit(Note(level="info", text="still publishing: " + "; ".join(self._describe_progress())))
                tell, pause = tell + pause, pause * 2
        self._cancel()
        self._closed = True
        sealing.remove_results_copy(self._document)
        return self._report_unpublished()

    def _is_busy(self) -> bool:
        if self._sealing.is_busy:
            return True
        for _, courier in self._queues:
            courier.finish()
        return any(courier.is_busy for _, courier in self._queues)

    def _drop_optional(self) -> None:
        for to, courier in self._queues:
            if courier.is_failing and not to.is_required:
                courier.cancel()

    def _cancel(self) -> None:
        couriers = [self._sealing, *(courier for _, courier in self._queues)]
        until = time.monotonic() + CANCEL_SECONDS
        for courier in couriers:
            courier.cancel()
        for courier in couriers:
            courier.join(max(0.0, until - time.monotonic()))
        for to, _ in self._queues:
            to.close()

    def _seal_artifact(self, artifact: CompleteArtifact, is_cancelled: Callable[[], bool]) -> None:
        sealed = sealing.seal_artifact(artifact, self._document, self._tracking(), is_cancelled)
        if sealed is None:
            return  # what becomes of it is for the workload to say
        if artifact.kind != "checkpoint" and isinstance(artifact.event, Evaluated):
            self.evaluated = artifact.event, sealed.manifest if artifact.kind == "policy" else None
        if artifact.kind == "policy" and (digest := model_lineage.hash_sealed_model(sealed.manifest)):
            self._emit(Track(tags={model_lineage.MODEL_DIGEST_TAG: digest}))
        if self._digests.get(artifact.folder) != sealed.manifest.digest:
            self._digests[artifact.folder] = sealed.manifest.digest
            for to, courier in self._queues:
                if sealed.kind in to.accepted_kinds:
                    courier.add(sealed)

    def _publish_artifact(self, to: Destination, sealed: SealedArtifact, is_cancelled: Callable[[], bool]) -> None:
        began = time.monotonic()
        address, new = to.publish(sealed, is_cancelled)
        step, took = sealed.manifest.step, round(time.monotonic() - began, 3)
        if sealed.kind == "policy":
            self._emit_while_open(Track(tags={POLICY_TAG: address.split("/", 2)[-1]}))
        elif sealed.kind == "results":
            self._report_copy(self._delivered, new, Delivered(to=address, seconds=took))
        else:
            self._report_copy(
                self._published.setdefault(step, set()), new, Published(step=step, to=address, seconds=took)
            )
            self._trim_destination(to, is_cancelled)

    def _report_copy(self, addresses: set[str], new: bool, event: Published | Delivered) -> None:
        if new or event.to not in addresses:
            addresses.add(event.to)
            self._emit_while_open(event)

    def _emit_while_open(self, event: Event) -> None:
        if not self._closed:
            self._emit(event)

    def _trim_destination(self, to: Destination, is_cancelled: Callable[[], bool]) -> None:
        """Remove what is too many there. When that fails it is told, and tried with the next checkpoint."""
        try:
            removed = to.trim(is_cancelled)
        except (OSError, PermanentError) as error:
            self._warn_once(
                to.name,
                describe_error(error),
                f"older checkpoints are not removed from {to.name}: {describe_error(error)}",
                False,
            )
            return
        for address in removed:
            self._emit_while_open(Withdrawn(to=address))

    def _warn_not_sealed(self, artifact: CompleteArtifact, why: str, retrying: bool) -> None:
        self._warn_once("sealing", why, f"{_describe_artifacts([artifact])} is not complete: {why}", retrying)

    def _warn_not_published(self, to: Destination, sealed: SealedArtifact, why: str, retrying: bool) -> None:
        self._warn_once(to.name, why, f"{_describe_artifacts([sealed])} is not published to {to.name}: {why}", retrying)

    def _warn_once(self, about: str, why: str, text: str, retrying: bool) -> None:
        if (about, why) not in self._warned:
            self._warned.add((about, why))
            self._emit(Note(level="warning", text=f"{text}; trying again" if retrying else text))

    def _describe_progress(self) -> Iterator[str]:
        if self._sealing.is_busy and (left := self._sealing.unfinished):
            yield f"{_describe_artifacts([told for told, _ in left])}, being sealed"
        for to, courier in self._queues:
            for why, items in _group_by_error(courier.unfinished if courier.is_busy else ()):
                yield f"{_describe_artifacts(items)} to {to.name}" + ("" if why == NO_TIME else f" ({why})")

    def _report_unpublished(self) -> list[str]:
        left = list(self._list_unpublished())
        for text, asked in left:
            self._emit(Note(level="error" if asked else "warning", text=text))
        return [text for text, asked in left if asked]

    def _list_unpublished(self) -> Iterator[tuple[str, bool]]:
        """Sentences about what is not published, each with whether that was asked for."""
        for why, told in _group_by_error(self._sealing.unfinished):
            yield f"{_describe_artifacts(told)} could not be made complete: {why}", self._needed
        for to, courier in self._queues:
            for why, items in _group_by_error(courier.unfinished):
                yield f"{_describe_artifacts(items)} could not be published to {to.name}: {why}", to.is_required


def _group_by_error(unfinished: Iterable[tuple[ArtifactItem, str]]) -> Iterable[tuple[str, list[ArtifactItem]]]:
    found = defaultdict(list)
    for item, why in unfinished:
        found[why].append(item)
    return found.items()


def _describe_artifacts(items: Sequence[CompleteArtifact | SealedArtifact]) -> str:
    """`checkpoint 000020`, `checkpoints 000020 and 000040`; `the results folder`."""
    names = [item.folder.name for item in items if item.kind == "checkpoint"]
    several = f"checkpoint{'s' * (len(names) > 1)} {_join_names(names)}" if names else ""
    return _join_names(
        [*filter(None, [several]), *(KIND_NAMES[item.kind] for item in items if item.kind in KIND_NAMES)]
    )


def _join_names(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
