"""Processor time of sending a folder of code: archived, staged and uploaded; and of a second, unchanged submit.

    ./uvw run python bench/code_folder.py [--files 5000] [--quick] [--json]

The archive is that of OSMO's workflow, the staged copy what OSMO and Azure ML upload; the upload is copied to another
folder, which costs less than any storage. As many files again are named by an ignore file.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import rows
from robotrain.model.plan import Payload
from robotrain.store import code_folder
from robotrain_osmo.spec import render
from robotrain_sources.local_path import pin
from robotrain_sources.local_path.kind import LocalFolder
from rows import Row

FILE_BYTES = 2_000
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)


def make_folder(folder: Path, count: int) -> None:
    """Write files in folders of a hundred, and as many that are ignored."""
    (folder / ".gitignore").write_text("logs/\n*.pt\n")
    for number in range(count):
        for below in (f"module_{number // 100}", f"logs/run_{number // 100}"):
            (folder / below).mkdir(parents=True, exist_ok=True)
            (folder / below / f"file_{number}.py").write_bytes(os.urandom(FILE_BYTES // 2).hex().encode())


def use(action: Callable[[], object]) -> float:
    """Return the CPU seconds of this process and the system for an action."""
    began = time.process_time()
    action()
    return time.process_time() - began


def build_archive(folder: Path) -> str:
    """Return the archive with the files that are sent."""
    files = code_folder.scan_folder(folder).files
    return render.pack_documents(Payload(EMPTY_ZIP), {path: Path(real).read_bytes() for path, real in files.items()})


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows; with --quick of a tenth of the files."""
    count = options.files // (10 if options.quick else 1)
    with tempfile.TemporaryDirectory() as parent:
        os.environ["ROBOTRAIN_CACHE"] = f"{parent}/cache"
        folder = Path(parent, "code")
        folder.mkdir()
        make_folder(folder, count)
        time.sleep(2.1)  # digests of files that were just written are not cached
        source, staged = LocalFolder(str(folder)), f"{parent}/storage"
        name = f"{count:,} files"
        yield Row(name=f"{name}, in an archive", ours=use(lambda: build_archive(folder)), unit="s")
        first = use(lambda: pin.resolve_pin(source, "code"))
        first += use(lambda: shutil.copytree(code_folder.stage_folder(folder), staged))
        yield Row(name=f"{name}, staged, pinned, uploaded", ours=first, unit="s")
        again = min(use(lambda: pin.resolve_pin(source, "code")) for _ in range(3))
        yield Row(
            name=f"{name}, unchanged", ours=again, unit="s", floor=first, floor_name="the first time", ceiling=0.1
        )


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__, lambda parser: parser.add_argument("--files", type=int, default=5_000))


if __name__ == "__main__":
    sys.exit(main())
