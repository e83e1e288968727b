"""The folder that a program of the user's starts in: its own copy of the code, which it may write to.

What the platform mounted may be read-only, and what is in the cache belongs to all runs.
"""

import os
import shutil
from pathlib import Path

from robotrain_runtime.contract.files import make_atomically


def provide_folder(folder: Path, code: str) -> None:
    """Create the folder with a copy of `code`, empty without; one of an earlier attempt stays. Raise OSError."""
    if folder.is_dir():
        return
    with make_atomically(folder) as scratch:
        if not code:
            scratch.mkdir()
            return
        shutil.copytree(code, scratch, symlinks=True)
        for parent, _, files in os.walk(scratch):
            os.chmod(parent, os.stat(parent).st_mode | 0o700)
            for path in (os.path.join(parent, name) for name in files):
                if not os.path.islink(path):
                    os.chmod(path, os.stat(path).st_mode | (0o700 if _is_script(path) else 0o600))


def _is_script(path: str) -> bool:
    """Return whether a file names its interpreter: not every platform brings it as a program that can be started."""
    with open(path, "rb") as file:
        return file.read(2) == b"#!"
