"""What a folder holds, every byte of it, in one line: another as soon as somebody changed a file.

A copy has the same digest, on every machine: times and rights do not count, nor what `listing` leaves out.
"""

from pathlib import Path

from robotrain_sources.local_path import form, look, reading
from robotrain_sources.local_path.form import Digest, read

__all__ = ["Digest", "of", "read", "unlike"]


def of(folder: Path) -> Digest:
    """The digest of what lies below `folder` now. Raises OSError that names the file which cannot be read."""
    found = list(look.counted(folder))
    files = [entry for _, entry in found if entry.is_file(follow_symlinks=False)]
    held = reading.all_of(folder, files, look.end_of(len(found)))
    whole = [look.part(*one, lambda entry: held[entry.path].whole) for one in found]
    ends = [look.part(*one, lambda entry: held[entry.path].ends) for one in found]
    return Digest(look.together(whole), look.seen(ends), len(found), sum(part.size for part in whole))


def unlike(folder: Path, pin: str) -> str:
    """Why the folder is not what was pinned, as a sentence; empty when it is.

    Empty also for the pin of a robotrain that looked at folders in another way. Raises OSError.
    """
    then = read(pin)
    return look.changed(folder, form.difference(then, of(folder))) if then else ""
