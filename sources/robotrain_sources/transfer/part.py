"""Data on its way: the folder beside its place that it is fetched into, and what an earlier try left there."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Executor
from itertools import islice
from pathlib import Path

from robotrain_sources.transfer import boot, check, landed
from robotrain_sources.transfer.catalog import Catalog
from robotrain_sources.transfer.origin import Origin

AT_ONCE = 64


class Part:
    """One folder that is being filled; its lock is held. name, pin: of the source."""

    def __init__(self, name: str, pin: str, origin: Origin, folder: Path, listing: Path) -> None:
        self.name = name
        self._pin = pin
        self.origin = origin
        self.folder = folder
        self._scratch = landed.scratch(folder)
        self.files = self._scratch / landed.FILES
        self.damaged = folder.exists() and not self._scratch.exists()
        if self.damaged:
            os.rename(folder, self._scratch)  # what is whole of it need not be fetched again
        self.files.mkdir(parents=True, exist_ok=True)
        self.catalog = self._begun(listing)

    def believe(self, pool: Executor) -> None:
        """Take back what is not any more what had arrived."""
        complete = self.catalog.complete()
        while some := list(islice(complete, AT_ONCE)):
            fine = pool.map(lambda kept: check.again(self.files / kept[0], kept[1], kept[2]), some)
            if wrong := [(kept[0], "") for kept, right in zip(some, fine, strict=True) if not right]:
                self.catalog.note(wrong)
        same_boot = self._same_boot()
        lost = [(name, "") for name in self.catalog.in_parts() if not (same_boot and self._is_there(name))]
        self.catalog.note(lost)

    def land(self) -> Path:
        """Its files, in their place."""
        landed.land(self.folder, self.catalog, self.name, self._pin)
        return self.folder / landed.FILES

    def keep(self) -> None:
        """Leave it for the next try."""
        self.catalog.close()

    def _begun(self, listing: Path) -> Catalog:
        """The catalog of this listing, with what an earlier one says has arrived."""
        there, new = self._scratch / landed.CATALOG, self._scratch / "listing.sqlite"
        shutil.copyfile(listing, new)
        catalog = Catalog(new)
        try:
            if there.exists():
                catalog.take_over(there)
            else:
                catalog.note((kept.name, kept.sha256) for kept in _readable(self._scratch))
        except sqlite3.Error:  # the machine lost power: everything is fetched again
            catalog.close()
            shutil.copyfile(listing, new)
            catalog = Catalog(new)
        catalog.close()
        for journal in self._scratch.glob(f"{landed.CATALOG}-*"):
            journal.unlink()
        os.replace(new, there)
        return Catalog(there)

    def _same_boot(self) -> bool:
        """Whether the machine has not been started anew since: what was written then may not be on the disk."""
        same = boot.is_noted(self._scratch)
        boot.note(self._scratch)
        return same

    def _is_there(self, name: str) -> bool:
        entry = self.catalog.find(name)
        try:
            return entry is not None and (self.files / name).stat().st_size == entry.size
        except OSError:
            return False


def _readable(folder: Path) -> Iterator[landed.Kept]:
    """What can be read of a manifest."""
    try:
        yield from landed.manifest(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return
