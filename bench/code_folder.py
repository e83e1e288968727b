"""CPU time of sending a folder of code: listed, archived and staged for an upload; and of a second, unchanged submit.

    ./uvw run python bench/code_folder.py [FILES]

The archive is that of OSMO's workflow, the staged copy what OSMO and Azure ML upload.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from robotrain.store import code_folder
from robotrain_sources.local_path import pin
from robotrain_sources.local_path.kind import LocalFolder

FILES = 5_000
FILE_BYTES = 2_000


def make_folder(folder: Path, count: int) -> None:
    """Write files in folders of a hundred, and as many that are ignored."""
    (folder / ".gitignore").write_text("logs/\n*.pt\n")
    for number in range(count):
        for below in (f"module_{number // 100}", f"logs/run_{number // 100}"):
            (folder / below).mkdir(parents=True, exist_ok=True)
            (folder / below / f"file_{number}.py").write_bytes(os.urandom(FILE_BYTES // 2).hex().encode())


def measure(action: Callable[[], object]) -> float:
    """Return the CPU seconds of this process and the system for it."""
    began = time.process_time()
    action()
    return time.process_time() - began


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if sys.argv[1:] else FILES
    with tempfile.TemporaryDirectory() as parent:
        os.environ["ROBOTRAIN_CACHE"] = f"{parent}/cache"
        folder = Path(parent, "code")
        folder.mkdir()
        make_folder(folder, count)
        time.sleep(2.1)  # digests of files that were just written are not cached
        source = LocalFolder(str(folder))
        print(f"{count} files: CPU seconds")
        print(f"  listed with its ignore files   {measure(lambda: code_folder.scan_folder(folder)):.2f}")
        first = measure(lambda: pin.resolve_pin(source, "code"))
        again = measure(lambda: pin.resolve_pin(source, "code"))
        print(f"  staged and pinned              {first:.2f}")
        print(f"  staged and pinned again        {again:.2f} ({again / first:.2f} x)")


if __name__ == "__main__":
    main()
