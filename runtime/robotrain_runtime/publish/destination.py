"""Where checkpoints and results go: a folder, one that the platform keeps, an address that a half writes to, and the
tracking run's artifacts.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from robotrain_runtime.courier import Halted
from robotrain_runtime.publish import laying, mirror
from robotrain_runtime.publish.sealing import Sealed, What
from robotrain_runtime.target import Halt, Target, Writer
from robotrain_runtime.track.asking import ARTIFACT, RESULTS
from robotrain_runtime.track.tracker import Tracker

COPIED: frozenset[What] = frozenset({"checkpoint", "results"})
"""What a place that files are copied to takes."""


class Destination(Protocol):
    """One place. name: for people. asked: whether a run that could not bring them all here has failed."""

    @property
    def name(self) -> str:
        """How it is called."""

    @property
    def asked(self) -> bool:
        """Whether someone asked for it."""

    @property
    def takes(self) -> frozenset[What]:
        """What is brought here."""

    def holds(self, address: str) -> bool:
        """Whether the address of a published checkpoint lies here."""

    def put(self, sealed: Sealed, halted: Halt) -> tuple[str, bool]:
        """Bring it, whole: its address, and whether it is new there. Raises what `Courier` knows."""

    def trim(self, halted: Halt) -> tuple[str, ...]:
        """Remove those of the run that are too many: the addresses they had. Raises what `Courier` knows."""

    def close(self) -> None:
        """Nothing more is brought."""


class Folder:
    """A folder that checkpoints are copied to, and results under the name of the run. run: whose they are, and what an
    unfinished copy is called after.

    called: its address for people, where that is not its path.
    """

    asked = True
    takes = COPIED

    def __init__(self, target: Target, run: str, called: str = "") -> None:
        self._to = Path(os.path.normpath(target.to))
        self._keep = target.keep
        self._run = run
        self._cleared = False
        self.name = called or str(self._to)

    def holds(self, address: str) -> bool:
        """Whether it lies in the folder."""
        return Path(address).parent == self._to or address.rpartition("/")[0] == self.name

    def put(self, sealed: Sealed, halted: Halt) -> tuple[str, bool]:
        """Copy it."""
        if not self._cleared:
            mirror.clear(self._to, self._run)
            self._cleared = True
        new = mirror.put(sealed.folder, sealed.manifest, self._to, halted)
        return f"{self.name}/{sealed.folder.name}", new

    def trim(self, halted: Halt) -> tuple[str, ...]:
        """The oldest of the run go."""
        if self._keep is None:
            return ()
        return tuple(f"{self.name}/{folder.name}" for folder in mirror.trim(self._to, self._run, self._keep))

    def close(self) -> None:
        """Nothing is open."""


class Kept(Folder):
    """The folder that the platform keeps: the results lie directly in it."""

    def put(self, sealed: Sealed, halted: Halt) -> tuple[str, bool]:
        """Copy it."""
        if sealed.what == "results":
            return self.name, laying.sealed(sealed.folder, self._to, halted)
        return super().put(sealed, halted)


class Address:
    """A place that a half writes to. open: makes the writer, when there is something to write; raises OSError."""

    asked = True
    takes = COPIED

    def __init__(self, name: str, target: Target, run: str, open: Callable[[], Writer]) -> None:
        self.name = name
        self._keep = target.keep
        self._run = run
        self._open = open
        self._writer: Writer | None = None

    def holds(self, address: str) -> bool:
        """Whether it lies below the address."""
        return address.rpartition("/")[0] == self.name

    def put(self, sealed: Sealed, halted: Halt) -> tuple[str, bool]:
        """Have it written there."""
        try:
            new = self._used().put(sealed.folder, sealed.manifest, halted)
        except (OSError, Halted):
            self.close()  # whatever hangs or broke: the next try begins with a new one
            raise
        return f"{self.name}/{sealed.folder.name}", new

    def trim(self, halted: Halt) -> tuple[str, ...]:
        """The oldest of the run go."""
        if self._keep is None:
            return ()
        return tuple(f"{self.name}/{name}" for name in self._used().trim(self._run, self._keep, halted))

    def close(self) -> None:
        """End the writer."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _used(self) -> Writer:
        if self._writer is None:
            self._writer = self._open()
        return self._writer


class Artifacts:
    """The artifacts of the tracking run: the part of a checkpoint that is the model, the evaluated policy, results."""

    name = "tracking"
    asked = False
    takes: frozenset[What] = COPIED | {"policy"}

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def holds(self, address: str) -> bool:
        """Whether it is an artifact."""
        return address.startswith("runs:/")

    def put(self, sealed: Sealed, halted: Halt) -> tuple[str, bool]:
        """Have the tracking process upload it."""
        of_results = sealed.what == "results"
        asked = {
            "run_id": self._tracker.begin(halted),
            "folder": str(sealed.plain),
            "model": sealed.manifest.model,
            "digest": sealed.manifest.digest,
            **({"files": list(sealed.manifest.files)} if of_results else {"what": sealed.what}),
        }
        answer = self._tracker.ask(RESULTS if of_results else ARTIFACT, asked, halted)
        return str(answer["to"]), bool(answer["new"])

    def trim(self, halted: Halt) -> tuple[str, ...]:
        """Tracking keeps them all."""
        return ()

    def close(self) -> None:
        """The tracking process lives on."""
