"""Data on its way: the folder beside its place that it is fetched into, and what an earlier try left there."""

import os
import shutil
import sqlite3
from concurrent.futures import Executor
from pathlib import Path

from robotrain_sources.transfer import boot, check, landed
from robotrain_sources.transfer.catalog import Catalog
from robotrain_sources.transfer.origin import Origin

LISTING = "listing.sqlite"


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
        for wrong in check.harmed(self.files, self.catalog.complete(), pool):
            self.catalog.note((name, "") for name in wrong)
        same_boot = boot.is_noted(self._scratch)  # else what was written then may not be on the disk
        self.catalog.note((name, "") for name in self.catalog.in_parts() if not (same_boot and self._is_there(name)))
        self.catalog.sync()
        boot.note(self._scratch)  # last: a kill before it takes back once more what was lost

    def land(self) -> Path:
        """Its files, in their place."""
        landed.land(self.folder, self.catalog, self.name, self._pin)
        return self.folder / landed.FILES

    def keep(self) -> None:
        """Leave it for the next try."""
        self.catalog.close()

    def _begun(self, listing: Path) -> Catalog:
        """The catalog of this listing, with what an earlier one says has arrived."""
        there = self._scratch / landed.CATALOG
        catalog = self._new(listing)
        try:
            if there.exists():
                catalog.take_over(there)
            else:
                catalog.note((kept.name, kept.sha256) for kept in landed.readable(self._scratch))
        except sqlite3.Error:  # the machine lost power: everything is fetched again
            catalog.close()
            catalog = self._new(listing)
        catalog.close()
        for journal in self._scratch.glob(f"{landed.CATALOG}-*"):
            journal.unlink()
        os.replace(catalog.path, there)
        return Catalog(there)

    def _new(self, listing: Path) -> Catalog:
        """A copy of the listing; no journal beside it that a killed process left is taken for its own."""
        for left in self._scratch.glob(f"{LISTING}*"):
            left.unlink()
        return Catalog(shutil.copyfile(listing, self._scratch / LISTING))

    def _is_there(self, name: str) -> bool:
        entry = self.catalog.find(name)
        try:
            return entry is not None and (self.files / name).stat().st_size == entry.size
        except OSError:
            return False
