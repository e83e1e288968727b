"""Runs in a job's container: shuts what is mounted to be read alone, and becomes the command, in its folder.

`job_container.py FOLDER SHUT COMMAND…`. Alone: it imports nothing of the stand-in.
"""

import ctypes
import json
import os
import sys

BIND, SHUT = 4096, 4096 | 32 | 1  # MS_BIND; MS_BIND | MS_REMOUNT | MS_RDONLY
LIBC = ctypes.CDLL(None, use_errno=True)


def mount(folder: str, flags: int) -> None:
    if LIBC.mount(folder.encode(), folder.encode(), b"", flags, None):
        raise OSError(ctypes.get_errno(), f"mount {folder}")


def main() -> None:
    folder, shut, *command = sys.argv[1:]
    for path in json.loads(shut):
        mount(path, BIND)
        mount(path, SHUT)
    os.chdir(folder)
    os.execvp(command[0], command)


main()
