"""The fetch after the survey: what lies in the cache is found, what does not is brought there; each folder is held."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from robotrain_sources.fetching.answer import Refused
from robotrain_sources.fetching.progress import size
from robotrain_sources.transfer import aside, failure, landed
from robotrain_sources.transfer.fetch import Fetch
from robotrain_sources.transfer.landed import Hold
from robotrain_sources.transfer.look import Look, write
from robotrain_sources.transfer.meter import Meter
from robotrain_sources.transfer.part import Part
from robotrain_sources.transfer.request import Request


class Delivered:
    """The data of the sources that were looked at. tell: gets how far it is. Its locks last as long as it does."""

    def __init__(self, request: Request, looks: Sequence[Look], tell: Callable[[int, int, float], None]) -> None:
        self._request = request
        self._looks = {look.folder: look for look in looks if look.folder}
        self._tell = tell
        self._holds: dict[Path, Hold] = {}
        self._pool = ThreadPoolExecutor(aside.THREADS)

    def folders(self) -> dict[Path, Path]:
        """The files of every folder, complete. Raises Refused, OSError, sqlite3.Error."""
        there: dict[Path, Path] = {}
        parts: list[Part] = []
        try:
            for folder in sorted(self._looks):  # everybody in the same order, so that no two wait for each other
                if found := self._held(folder):
                    there[folder] = found
                else:
                    parts.append(self._part(folder))
            if parts:
                self._fetch(parts)
            return there | {part.folder: self._landed(part) for part in parts}
        except BaseException as error:
            self._pool.shutdown(cancel_futures=True)
            for part in parts:
                part.keep()
            if failure.is_full(error):  # the room is needed for other things
                for folder in self._holds.keys() - there.keys():
                    shutil.rmtree(landed.scratch(folder), ignore_errors=True)
            raise

    def _held(self, folder: Path) -> Path | None:
        told = partial(print, f"another run is fetching {folder}: waiting", flush=True)
        hold = self._holds[folder] = Hold(folder, told)
        if found := hold.found(partial(landed.survived, pool=self._pool)):
            hold.share()
        return found

    def _part(self, folder: Path) -> Part:
        look = self._looks[folder]
        assert look.origin is not None
        if not look.listing.exists():  # it lay here when it was looked at
            _, digest = write(look.origin, look.listing)
            if digest != look.digest:
                raise Refused(look.origin.unlike(digest) or f"{look.asked.uri} has changed since", "data")
        part = Part(look.asked.uri, look.asked.pin, look.origin, folder, look.listing)
        if part.damaged:
            print(f"{folder} had been changed or damaged: what is not whole is fetched again", flush=True)
        if arrived := part.catalog.arrived():
            print(f"checking {size(arrived)} of {part.name} that an earlier try left", flush=True)
        part.believe(self._pool)
        return part

    def _fetch(self, parts: Sequence[Part]) -> None:
        totals = [part.catalog.total() for part in parts]
        done, total = sum(part.catalog.arrived() for part in parts), sum(found.size for found in totals)
        files = sum(found.files for found in totals)
        print(f"fetching {files:,} files of {len(parts)} sources: {size(total - done)}", flush=True)
        meter = Meter(done, total, self._tell)
        asyncio.run(Fetch(parts, meter, self._request.patience, self._request.download_mib, self._pool).run())
        meter.over(files)

    def _landed(self, part: Part) -> Path:
        files = part.land()
        self._holds[part.folder].share()
        return files
