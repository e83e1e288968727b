"""How a run is, between what its engine and its own runtime say; and a platform's half that watches and ends runs."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from robotrain.run import Output, Reference, RunGone, State, Status
from robotrain.run_folder import left, log, taken, told

PAUSE = 1.0  # an engine is not asked more often
PATIENCE = 60  # times
HERE: Mapping[str, State] = {"pending": "pending", "running": "running", "lost": "lost"}


def present(reference: Reference) -> Path:
    """The folder that `reference` names as `folder`. Raises RunGone when it is not there."""
    folder = Path(reference["folder"])
    if not folder.is_dir():
        raise RunGone(f"the run's folder {folder} is gone, and everything that was known of the run with it")
    return folder


def status(folder: Path, word: str, states: Mapping[str, State], engine: str) -> Status:
    """How the run of `folder` is, when `engine` says `word`, or `word` and why, such as `PENDING (Priority)`.

    states: what a word means; with one that is not there the run goes on, since nobody said that it ended. How a run
    ended is what its runtime said, unless its job waits once more.
    """
    state, said, asked = states.get(word.partition(" ")[0], "running"), told.outcome(folder), taken.cancelled(folder)
    if said and state != "pending":
        who = f" by {engine}, as when its time is up" if said.state == "cancelled" and not asked else ""
        return Status(state=said.state, reason=said.reason + who, exit_code=said.exit_code)
    if asked and Status(state=state).finished:
        state = "cancelled"
    return Status(state=state, reason="" if word.lower() == "running" else f"{engine} says {word}")


class Seen(ABC):
    """For a platform to inherit from whose reference names the run's folder as `folder` and the job it sent as `job`.

    The job is, or becomes, the runtime with `--once` and `--log log.txt`. states: what its engine's words mean, as
    `status` takes them; in reasons the engine goes by the platform's name.
    """

    name: str
    states: Mapping[str, State]

    @abstractmethod
    def word(self, job: str) -> str:
        """What the engine says of a job now, and after a space why."""

    @abstractmethod
    def stop(self, job: str) -> None:
        """Take a job from the queue, or have SIGTERM sent to its runtime, which saves what it has."""

    def here(self, reference: Reference) -> bool:
        """Whether the job is a process of this machine (Linux), so that no engine is asked of it."""
        return False

    def status(self, reference: Reference) -> Status:
        """How the run is. Raises RunGone."""
        folder = present(reference)
        if self.here(reference):
            return status(folder, taken.word(folder), HERE, "this machine")
        return status(folder, self.word(_job(reference)), self.states, self.name)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """What the log holds now, or its last lines, or everything up to the run's end. Raises RunGone."""
        return log.lines(present(reference) / told.LOG, lambda: not follow or self._over(reference), tail)

    def cancel(self, reference: Reference) -> None:
        """Stop the run, once, and return when it has ended, or after a minute. Raises RunGone."""
        folder = present(reference)
        if taken.cancelled(folder) or self.status(reference).finished:
            return
        (folder / taken.CANCELLED).touch()  # first: a job that only now begins looks for it
        if self.here(reference):
            taken.stop(folder)
        else:
            self.stop(_job(reference))
        any(self._over(reference) for _ in range(PATIENCE))

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """Its complete checkpoints, then other files. Raises RunGone."""
        return left.outputs(present(reference))

    def bring(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output, whole. Raises Rejected."""
        left.bring(output, to)

    def _over(self, reference: Reference) -> bool:
        time.sleep(PAUSE)
        return self.status(reference).finished


def _job(reference: Reference) -> str:
    """The job that took the run, or else the one that was sent."""
    took = taken.taker(present(reference))
    return took.name if took else reference["job"]
