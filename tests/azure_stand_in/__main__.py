"""A stand-in to try things by hand: `PYTHONPATH=tests python -m azure_stand_in [--put CONTAINER/PREFIX FOLDER]…`.

Prints what to export in another shell, and goes on until Ctrl-C. Its proxy leads nowhere else: an environment must have
been built before, or come from uv's cache (UV_OFFLINE=1).
"""

import argparse
import contextlib
import signal
import tempfile
from pathlib import Path

from azure_stand_in import AzureStandIn, started


def main() -> None:
    """Start it, fill it, and wait."""
    parser = argparse.ArgumentParser(prog="azure_stand_in", description=__doc__.splitlines()[0])
    parser.add_argument("--put", nargs=2, action="append", default=[], metavar=("CONTAINER/PREFIX", "FOLDER"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, started(Path(folder)) as azure:
        for where, files in given.put:
            print(f"# {_put(azure, where, Path(files))}")
        for name, value in azure.environ.items():
            print(f"export {name}={value}")
        print("# until Ctrl-C", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


def _put(azure: AzureStandIn, where: str, folder: Path) -> str:
    """The files of a folder as blobs, and their address."""
    container, _, prefix = where.partition("/")
    files = {f"{prefix}/{path.relative_to(folder)}": path for path in folder.rglob("*") if path.is_file()}
    azure.blobs.put(container, {name: path.read_bytes() for name, path in files.items()})
    return azure.url(container, prefix)


if __name__ == "__main__":
    main()
