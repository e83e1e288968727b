"""What a look at one source found, and the part of it that needs no patience: its listing, and what lies here of it."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain_runtime.event import Fault

from robotrain_sources.fetching.answer import Refused
from robotrain_sources.transfer import folding, landed
from robotrain_sources.transfer.catalog import Catalog, Total
from robotrain_sources.transfer.origin import Entry, Origin
from robotrain_sources.transfer.request import Asked

NOTHING = Total(0, 0, 0)


@dataclass(slots=True, kw_only=True)
class Look:
    """At one source. listing: the catalog's file. described: a folder. folder: where the data lies, or will.

    here: its files, when they are there already.
    """

    asked: Asked
    listing: Path
    described: Path
    wrong: list[str] = field(default_factory=list)
    fault: Fault = ""
    total: Total = NOTHING
    missing: int = 0
    digest: str = ""
    folder: Path | None = None
    here: Path | None = None
    origin: Origin | None = None

    def refused(self, why: Refused) -> None:
        """It cannot be fetched."""
        self.wrong.append(str(why))
        self.fault = why.fault

    def answer(self) -> dict[str, Any]:
        """What the other side is told, in `Found`'s words."""
        described = str(self.described) if self.described.exists() else None
        size = {"files": self.total.files, "size": self.total.size, "missing": self.missing}
        return {"wrong": self.wrong, "fault": self.fault, **size, "digest": self.digest, "described": described}


def at(look: Look, origin: Origin, cache: Path) -> None:
    """Fill in what the source is; nobody is asked for what is pinned and lies here. Raises Refused, OSError."""
    look.origin = origin
    here = landed.pinned(landed.place(cache, origin.place, ""), look.asked.uri, look.asked.pin)
    if here and landed.describes(here, look.asked.described):
        look.folder, look.digest, look.total = here, here.name, landed.total(here)
        look.here = here / landed.FILES
        return
    look.total, look.digest = write(origin, look.listing)
    if why := origin.unlike(look.digest):
        raise Refused(why, "data")
    look.folder = landed.place(cache, origin.place, look.digest)
    look.here = landed.find(look.folder) if landed.describes(look.folder, look.asked.described) else None
    look.missing = 0 if look.here else look.total.room - _arrived(look.folder)


def write(origin: Origin, path: Path) -> tuple[Total, str]:
    """List a source into a catalog on the disk of the cache; how much it is, its digest. Raises Refused, OSError."""
    catalog = Catalog(path)
    try:
        catalog.fill(_told(origin), folding.folds(path.parent))
        total = catalog.total()
        if not total.files:
            raise origin.nothing()
        return total, catalog.digest()
    finally:
        catalog.close()


def _told(origin: Origin) -> Iterator[Entry]:
    """The listing; what a library raises becomes a sentence. Raises Refused."""
    try:
        yield from origin.entries()
    except Refused:
        raise
    except Exception as error:
        raise origin.refused(error) from error


def _arrived(folder: Path) -> int:
    """The bytes of it that an earlier try left, or that are whole of it where some are damaged."""
    path = landed.scratch(folder) / landed.CATALOG
    if not path.parent.exists():
        return sum(kept.size for kept in landed.readable(folder) if landed.fits(folder / landed.FILES, kept))
    if not path.exists():
        return 0
    try:
        catalog = Catalog(path)
        try:
            return catalog.arrived()
        finally:
            catalog.close()
    except sqlite3.Error:
        return 0
