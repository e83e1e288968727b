"""Health checks of the state and cache folders: access, space, leftover files, cache entries, run records."""

import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from robotrain_runtime.machine import disk_cache
from robotrain_runtime.machine import disk_cache as cached_things
from robotrain_runtime.machine.disk_cache import CacheEntry

from robotrain.errors import Rejected, Suggestion
from robotrain.model.amounts import format_age, format_size
from robotrain.model.health import HealthFix, HealthResult, convert_problem, report_failure, report_ok, report_warning
from robotrain.model.run import RunRecord
from robotrain.store import files, name_lock, records

MIN_FREE_BYTES = 10**9
PROBE_BYTES = 4096


def check_state_folder() -> Iterator[HealthResult]:
    """Where runs are recorded."""
    older = Suggestion("robotrain runs --prune --older-than 30d", "removes old runs")
    yield from _check_folder(files.get_state_folder(), "ROBOTRAIN_STATE", older)


def check_cache_folder() -> Iterator[HealthResult]:
    """Where environments and data are kept."""
    unused = Suggestion("robotrain cache --prune --unused 30d", "removes what nobody used for a month")
    yield from _check_folder(files.get_cache_folder(), "ROBOTRAIN_CACHE", unused)


def _check_folder(folder: Path, name: str, more_room: Suggestion) -> Iterator[HealthResult]:
    another = Suggestion(f"{name}=FOLDER robotrain …", "a folder that can be written")
    if why := _describe_write_failure(folder):
        yield report_failure(f"{folder} cannot be written: {why}", another)
        return
    kind, free = files.get_filesystem(folder), disk_cache.get_free_bytes(folder)
    about = ", ".join(
        part
        for part in (_format_disk_kind(kind), f"{format_size(free)} free", _describe_missing_folder(folder))
        if part
    )
    if free < MIN_FREE_BYTES:
        larger = Suggestion(f"{name}=FOLDER robotrain …", "on a larger disk")
        yield report_warning(f"{folder} has little room ({about})", more_room, larger)
    else:
        yield report_ok(f"{folder} ({about})")


def _describe_write_failure(folder: Path) -> str:
    """Why nothing can be written there; empty when it can."""
    there = disk_cache.find_existing_parent(folder)
    if not there.is_dir():
        return f"{there} is a file"
    if there != folder:
        return "" if os.access(there, os.W_OK | os.X_OK) else f"it is not there, and {there} does not let you make it"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE_BYTES))  # on a full disk an empty file can still be made
            file.flush()
    except OSError as error:
        return str(error.strerror or error)
    return ""


def _format_disk_kind(kind: str) -> str:
    return f"{kind}, shared over a network" if files.is_network_filesystem(kind) else kind


def _describe_missing_folder(folder: Path) -> str:
    return "" if folder.exists() else "made when it is needed"


MIN_AGE_SECONDS = 24 * 3600
"""Seconds: whoever wrote a younger one may still be at it."""
SCRATCH_PATTERNS = ("runs/.*", "runs/*/.record-*.tmp", "runs/*/plan/.robotrain-plan-*.tmp", "payloads/.*")


def check_leftovers() -> Iterator[HealthResult]:
    """Those that are old enough to be nobody's."""
    found = list(_find_leftovers())
    if not found:
        yield report_ok("none")
        return
    room = sum(disk_cache.measure_folder(path).size if path.is_dir() else _measure_file(path) for path in found)
    what = f"{len(found)} scratch file{'' if len(found) == 1 else 's'} of commands that were cut off"
    says = f"remove {what} below {files.get_state_folder()}"
    yield HealthResult("ok", f"{what}, {format_size(room)}", fix=HealthFix(says, lambda: _remove_leftovers(found)))


def _find_leftovers() -> Iterator[Path]:
    """Names that only a command at work has, and payloads that no kept plan shares any more."""
    state = files.get_state_folder()
    for pattern in SCRATCH_PATTERNS:
        yield from (path for path in state.glob(pattern) if _is_old(path))
    for payload in state.glob("payloads/*.zip"):
        if _is_old(payload) and payload.stat().st_nlink == 1:
            yield payload


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > MIN_AGE_SECONDS
    except OSError:
        return False


def _measure_file(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def _remove_leftovers(paths: list[Path]) -> str:
    count = 0
    for path in paths:
        if not _is_old(path):  # somebody took it up again
            continue
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else os.unlink(path)
        count += 1
    return f"removed {count}"


COUNT_SECONDS = 1.5
"""How long is counted: a cache on a slow disk is told as `at least`."""
UNUSED_SECONDS = 30 * 24 * 3600


def check_cache() -> Iterator[HealthResult]:
    """The environments and data that are kept for further runs."""
    found = cached_things.list_cache_entries(files.get_cache_folder(), deadline=time.monotonic() + COUNT_SECONDS)
    for entry in found:
        if not entry.complete and not entry.busy:
            fix = HealthFix(f"remove {entry.path}", partial(_remove_entry, entry))
            yield report_warning(
                f"{entry.name} was left incomplete ({_format_sizes([entry])}); it is made again when it is needed",
                fix=fix,
            )
    kept = [entry for entry in found if entry.complete]
    if not kept:
        yield report_ok("nothing is kept yet: the first run builds its environment")
        return
    busy = sum(entry.busy for entry in kept)
    text = f"{len(kept)} kept, {_format_sizes(kept)}" + (f", {busy} in use" if busy else "")
    idle = cached_things.choose_prunable(kept, unused=UNUSED_SECONDS, limit=None, now=time.time())
    if idle:
        text += f"; {len(idle)} not used for a month ({_format_sizes(idle)}): `robotrain cache --prune --unused 30d` removes them"
    yield report_ok(text)


def _format_sizes(entries: Sequence[CacheEntry]) -> str:
    whole = all(entry.folder_size.is_complete for entry in entries)
    return ("" if whole else "at least ") + format_size(sum(entry.folder_size.size for entry in entries))


def _remove_entry(entry: CacheEntry) -> str:
    if cached_things.remove_entry(entry):
        return f"removed, {format_size(entry.folder_size.reclaimable)} free again"
    return "left alone: a run took it up meanwhile"


MAX_RECORDS = 1000
"""How many of the newest are read."""
MAX_FINDINGS = 5


def check_records() -> Iterator[HealthResult]:
    """What a person should know of the recorded runs; none of it stops a submit."""
    count, wrong = 0, list[HealthResult]()
    names = records.iterate_runs()
    for run in itertools.islice(names, MAX_RECORDS):
        count += 1
        try:
            record = records.read_record(run)
        except records.UnknownRun:  # given back a moment ago
            continue
        except Rejected as rejected:
            broken = convert_problem(rejected.problems[0])
            wrong.append(report_warning(broken.text, *broken.suggestions))
            continue
        if record.phase == "sending" and not name_lock.is_being_submitted(run):
            wrong.append(_interrupted_finding(record))
    yield from wrong[:MAX_FINDINGS]
    if len(wrong) > MAX_FINDINGS:
        yield report_warning(
            f"and {len(wrong) - MAX_FINDINGS} more like these", Suggestion("robotrain runs --state interrupted")
        )
    if not wrong:
        newest = "the newest " if next(names, None) else ""
        yield report_ok(
            f"{newest}{count} run{'' if count == 1 else 's'} recorded, all readable" if count else "no runs yet"
        )


def _interrupted_finding(record: RunRecord) -> HealthResult:
    when = format_age(time.time() - record.created)
    ask = Suggestion(f"robotrain status {record.run}", f"asks {record.platform} for it")
    again = Suggestion("the same `robotrain submit …` once more", f"asks {record.platform}; nothing is sent twice")
    says = f"sending {record.run} to {record.platform} was cut off {when}; whether it runs is not known"
    return report_warning(says, ask, again)
