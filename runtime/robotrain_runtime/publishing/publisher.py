"""The publisher: seals artifacts and copies them in threads, retrying while the work goes on."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.checkpoints.recovery import EarlierAttempts
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import (
    Checkpoint,
    Delivered,
    Discarded,
    Evaluated,
    Event,
    EventRecord,
    Note,
    Published,
    Track,
    Withdrawn,
)
from robotrain_runtime.contract.failure import CancelCheck, Cancelled, PermanentError, describe_error
from robotrain_runtime.contract.files import remove_folder
from robotrain_runtime.process import child
from robotrain_runtime.process.stop import StopRequested, StopSignal
from robotrain_runtime.publishing import sealing
from robotrain_runtime.publishing.sealing import CompleteArtifact, Destination, SealedArtifact

LONGEST_PAUSE = 60.0
LAST_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between the last tries, once no more items can come."""

NO_TIME = "there was no time left"

Item = TypeVar("Item")


class RetryQueue(Generic[Item]):
    """A queue that calls `deliver(item, is_cancelled)` for each item, in order, and retries failures with backoff.

    `deliver` calls `is_cancelled` now and then, and raises Cancelled if it is true. `on_trouble` is called with an
    item, its error and whether it is retried, once in a row of failures; `on_done` when an item is over.
    """

    def __init__(
        self,
        deliver: Callable[[Item, Callable[[], bool]], object],
        on_trouble: Callable[[Item, str, bool], object],
        on_done: Callable[[], object] = lambda: None,
    ) -> None:
        self._deliver = deliver
        self._on_trouble = on_trouble
        self._on_done = on_done
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._current: Item | None = None
        self._last_error = ""
        self.failures = 0
        """How often the current item has failed."""
        self._given_up: list[tuple[Item, str]] = []
        self._finishing = self._cancelled = False
        self._last_pauses: Iterator[float] = iter(LAST_PAUSES)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether it is still working or waiting for more items."""
        return self._thread.is_alive()

    def add(self, item: Item) -> None:
        """Add an item; return at once."""
        with self._changed:
            self._waiting.append(item)
            self._changed.notify_all()

    def finish(self, *, cancel: bool = False) -> None:
        """Accept no more items: try the remaining ones now, and a few times more; or drop them."""
        with self._changed:
            self._finishing, self._cancelled = True, self._cancelled or cancel
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Wait for the end of the queue, at most `seconds`."""
        self._thread.join(seconds)

    @property
    def unfinished(self) -> list[tuple[Item, str]]:
        """The items that are not delivered, each with the reason."""
        with self._changed:
            pending_items = [*([self._current] if self._current is not None else []), *self._waiting]
            return [*self._given_up, *((pending_item, self._last_error or NO_TIME) for pending_item in pending_items)]

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._finishing)
                if self._waiting and not self._cancelled:
                    self._current, self._last_error = self._waiting.popleft(), ""
                item = self._current
            if item is None:
                return
            reason = self._deliver_with_retries(item)
            with self._changed:
                self._current = None
                if reason is not None:
                    self._given_up.append((item, reason))
            self._on_done()

    def _deliver_with_retries(self, item: Item) -> str | None:
        """Return why the item was given up; None if it was delivered."""
        while True:
            try:
                self._deliver(item, lambda: self._cancelled)
            except PermanentError as error:
                self._on_trouble(item, str(error), False)
                return str(error)
            except Cancelled:
                return self._last_error or NO_TIME
            except Exception as error:  # whatever it is, the run goes on
                self._last_error = describe_error(error)
            else:
                self.failures, self._last_pauses = 0, iter(LAST_PAUSES)
                return None
            self.failures += 1
            if self.failures == 1:
                self._on_trouble(item, self._last_error, True)
            if not self._wait_for_retry():
                return self._last_error

    def _wait_for_retry(self) -> bool:
        """Wait for the next try; return False if there is none."""
        with self._changed:
            finishing = self._finishing
            seconds = next(self._last_pauses, None) if finishing else min(LONGEST_PAUSE, 2.0 ** (self.failures - 1))
            if seconds is None or self._cancelled:
                return False
            self._changed.wait_for(lambda: self._cancelled or self._finishing != finishing, seconds)
            return not self._cancelled


REPORT_SECONDS = 30.0
OPTIONAL_SECONDS = 30.0
"""How long a run waits at its end for a failing destination that is not required."""

CANCEL_SECONDS = 3.0
POLL_SECONDS = 0.05
POLICY_TAG = "policy_artifact"
"""The tag of the tracking run that names the artifact of the evaluated policy."""
KIND_NAMES: Mapping[str, str] = {"results": "the results folder", "policy": "the evaluated policy"}


class Publisher:
    """A publisher that copies each complete artifact once to each destination, and retries and reports errors.

    If `needed`, the run fails when an artifact cannot be sealed. `tracking` returns the id of the tracking run.
    """

    def __init__(
        self,
        document: JobDocument,
        destinations: Sequence[Destination],
        emit: Callable[[Event], None],
        *,
        earlier: EarlierAttempts,
        needed: bool,
        tracking: Callable[[CancelCheck], str] = lambda is_cancelled: "",
    ) -> None:
        self.has_artifacts, self._needed, self._tracking = False, needed, tracking
        self.parents = {Path(path).parent for path in earlier.checkpoints}
        """The folders that hold checkpoints."""
        self.evaluated: Evaluated | None = None
        """The last evaluation."""
        self.policy: SealedArtifact | None = None
        """Its policy, if it was kept."""
        self._document = document
        self._emit = emit
        self._published = {step: set(addresses) for step, addresses in earlier.published.items()}
        self._delivered = set(earlier.delivered)
        self._closed = False
        self._digests: dict[Path, str] = {}
        self._discarded: set[Path] = set()
        self._discard_lock = threading.Lock()
        self._warned: set[tuple[str, str]] = set()
        self._queues: list[tuple[Destination, RetryQueue[SealedArtifact]]] = []
        for to in destinations:
            warn = partial(self._warn_about, to.name, f"published to {to.name}")
            publish = partial(self._publish_artifact, to)
            self._queues.append((to, RetryQueue(publish, warn, self._remove_discarded)))
        self._sealing: RetryQueue[CompleteArtifact] = RetryQueue(
            self._seal_artifact, partial(self._warn_about, "sealing", "complete"), self._remove_discarded
        )
        takers = [to for to in destinations if "checkpoint" in to.accepted_kinds]
        for path, event in earlier.checkpoints.items():
            if not all(any(map(to.contains_address, self._published.get(event.step, ()))) for to in takers):
                self.has_artifacts = True
                self._sealing.add(CompleteArtifact(folder=Path(path), event=event, from_earlier_attempt=True))

    @property
    def is_complete(self) -> bool:
        """Whether all artifacts are sealed."""
        return not self._sealing.unfinished

    def add_record(self, record: EventRecord) -> None:
        """Publish the artifacts that an event reports, if any; return at once."""
        if isinstance(record.event, Checkpoint | Evaluated):
            self.add(record.event)
        elif isinstance(record.event, Discarded):
            self._discarded.add(Path(record.event.path))
            threading.Thread(target=self._remove_discarded, daemon=True).start()

    def add(self, event: Checkpoint | Evaluated) -> None:
        """Publish the artifacts of an event; return at once."""
        for artifact in sealing.list_artifacts(event):
            if artifact.kind == "checkpoint" and not artifact.folder.name.isdecimal():
                warning = f"{artifact.folder} is not published: the name of a checkpoint folder must be its step"
                self._warn_once(artifact.folder.name, "", warning, retrying=False)
                continue
            self.has_artifacts = True
            if artifact.kind == "checkpoint":
                self.parents.add(artifact.folder.parent)
            self._sealing.add(artifact)

    def _remove_discarded(self) -> None:
        """Remove the discarded checkpoints that wait for no destination, once all newer ones are sealed.

        An optional destination that fails keeps none: the disk would fill up.
        """
        with self._discard_lock:
            queues = [queue for to, queue in self._queues if to.is_required or not queue.failures]
            unfinished_folders = {artifact.folder for queue in queues for artifact, _ in queue.unfinished}
            for folder in [] if self._sealing.unfinished else list(self._discarded - unfinished_folders):
                self._discarded.remove(folder)
                if folder.parent in self.parents and sealing.is_sealed(folder, self._document):
                    with suppress(OSError):
                        remove_folder(folder)

    def drain(self, stop: StopSignal) -> list[str]:
        """Wait until everything is published or given up. Return a sentence for each requested part that is missing.

        After a stop signal it waits for the grace period only; after a second one not at all.
        """
        self._sealing.finish()
        began = time.monotonic()
        deadline = began + child.get_grace_seconds() if stop.number else math.inf
        next_report = began + REPORT_SECONDS
        while self._is_busy() and stop.count < 2 and time.monotonic() < deadline:
            try:
                with stop.interruptible():
                    time.sleep(POLL_SECONDS)
            except StopRequested:
                deadline = min(deadline, time.monotonic() + child.get_grace_seconds())
            if time.monotonic() > began + OPTIONAL_SECONDS:
                for to, queue in self._queues:
                    if queue.failures and not to.is_required:
                        queue.finish(cancel=True)
            if time.monotonic() > next_report:
                waiting: list[tuple[CompleteArtifact | SealedArtifact, str]] = [*self._sealing.unfinished]
                for _, queue in self._queues:
                    waiting += queue.unfinished
                self._emit(Note(level="info", text=f"still publishing: {_describe_artifacts(waiting)}"))
                next_report += next_report - began
        self._cancel()
        self._closed = True
        sealing.remove_results_copy(self._document)
        sentences = list(self._list_unpublished())
        for sentence, is_required in sentences:
            self._emit(Note(level="error" if is_required else "warning", text=sentence))
        return [sentence for sentence, is_required in sentences if is_required]

    def _is_busy(self) -> bool:
        if self._sealing.is_busy:
            return True
        for _, queue in self._queues:
            queue.finish()
        return any(queue.is_busy for _, queue in self._queues)

    def _cancel(self) -> None:
        queues: list[RetryQueue[Any]] = [self._sealing, *(queue for _, queue in self._queues)]
        deadline = time.monotonic() + CANCEL_SECONDS
        for queue in queues:
            queue.finish(cancel=True)
        for queue in queues:
            queue.join(max(0.0, deadline - time.monotonic()))
        for to, _ in self._queues:
            to.close()

    def _seal_artifact(self, artifact: CompleteArtifact, is_cancelled: Callable[[], bool]) -> None:
        sealed_artifact = sealing.seal_artifact(artifact, self._document, self._tracking(is_cancelled), is_cancelled)
        if sealed_artifact is None:
            return  # a torn checkpoint: the workload decides what to do with it
        if isinstance(artifact.event, Evaluated):  # the results of an evaluation are sealed before its policy
            self.evaluated, self.policy = artifact.event, sealed_artifact if artifact.kind == "policy" else None
        if artifact.kind == "policy" and (digest := model_lineage.hash_sealed_model(sealed_artifact.manifest)):
            self._emit(Track(tags={model_lineage.MODEL_DIGEST_TAG: digest}))
        if self._digests.get(artifact.folder) != sealed_artifact.manifest.digest:
            self._digests[artifact.folder] = sealed_artifact.manifest.digest
            for to, queue in self._queues:
                if sealed_artifact.kind in to.accepted_kinds:
                    queue.add(sealed_artifact)

    def _publish_artifact(
        self, to: Destination, sealed_artifact: SealedArtifact, is_cancelled: Callable[[], bool]
    ) -> None:
        began = time.monotonic()
        if not sealed_artifact.folder.is_dir():
            raise PermanentError("it was removed before")
        copy = to.publish(sealed_artifact, is_cancelled)
        step = sealed_artifact.manifest.step
        seconds = round(time.monotonic() - began, 3)
        if sealed_artifact.kind == "policy":
            self._emit_while_open(Track(tags={POLICY_TAG: copy.address.split("/", 2)[-1]}))
        elif sealed_artifact.kind == "results":
            self._report_copy(self._delivered, copy.is_new, Delivered(to=copy.address, seconds=seconds))
        else:
            addresses = self._published.setdefault(step, set())
            published = Published(step=step, to=copy.address, seconds=seconds, file=copy.file)
            self._report_copy(addresses, copy.is_new, published)
            if copy.tags:
                self._emit_while_open(Track(tags=copy.tags))
            try:
                removed_addresses = to.trim(is_cancelled)
            except (OSError, PermanentError) as error:  # tried again with the next checkpoint
                reason = describe_error(error)
                self._warn_once(to.name, reason, f"older checkpoints are not removed from {to.name}: {reason}", False)
                return
            for address in removed_addresses:
                self._emit_while_open(Withdrawn(to=address))

    def _report_copy(self, addresses: set[str], is_new: bool, event: Published | Delivered) -> None:
        if is_new or event.to not in addresses:
            addresses.add(event.to)
            self._emit_while_open(event)

    def _emit_while_open(self, event: Event) -> None:
        if not self._closed:
            self._emit(event)

    def _is_current(self, sealed_artifact: SealedArtifact) -> bool:
        """Return whether a checkpoint was not saved again since; the newer one is published on its own."""
        return self._digests.get(sealed_artifact.source or sealed_artifact.folder) in (
            None,
            sealed_artifact.manifest.digest,
        )

    def _warn_about(
        self, about: str, problem: str, artifact: CompleteArtifact | SealedArtifact, reason: str, retrying: bool
    ) -> None:
        self._warn_once(
            about, reason, f"{_describe_artifacts([(artifact, reason)])} is not {problem}: {reason}", retrying
        )

    def _warn_once(self, about: str, reason: str, text: str, retrying: bool) -> None:
        if (about, reason) not in self._warned:
            self._warned.add((about, reason))
            self._emit(Note(level="warning", text=f"{text}; trying again" if retrying else text))

    def _list_unpublished(self) -> Iterator[tuple[str, bool]]:
        """Yield a sentence for each destination with errors, and whether the artifact was required."""
        if unfinished := self._sealing.unfinished:
            yield f"{_describe_artifacts(unfinished)} could not be sealed: {unfinished[0][1]}", self._needed
        for to, queue in self._queues:
            if current := [item for item in queue.unfinished if self._is_current(item[0])]:
                remedy = "" if to.is_required else to.describe_remedy(self._document.run)
                sentence = (
                    f"{_describe_artifacts(current)} could not be published to {to.name}: {current[0][1]}{remedy}"
                )
                yield sentence, to.is_required


def _describe_artifacts(unfinished: Sequence[tuple[CompleteArtifact | SealedArtifact, str]]) -> str:
    """Return `checkpoint 000020, the results folder`, each once."""
    names = (KIND_NAMES.get(artifact.kind, f"checkpoint {artifact.folder.name}") for artifact, _ in unfinished)
    return ", ".join(dict.fromkeys(names))
