"""Fetch assets into a folder, with Isaac Lab's Python: `python asset_fetch.py ROOT FILE … -- FILE … FOLDER`.

Isaac Lab follows the files that USD files name. Each is put where its address is, below the folder. Those behind `--`
are not needed: only a window or a camera shows them.
"""

import importlib
import os
import sys
from typing import Any


def main(root: str, needed: list[str], others: list[str], folder: str) -> None:
    """Fetch the files below a root. Raise SystemExit with a sentence."""
    os.makedirs(folder)
    assets: Any = importlib.import_module("isaaclab.utils.assets")
    for number, file in enumerate([*needed, *others], 1):
        print(f"fetching asset {number} of {len(needed) + len(others)}: {file}", flush=True)
        try:
            assets.retrieve_file_path(f"{root}/{file}", folder)
        except (OSError, RuntimeError) as error:
            if number <= len(needed):
                raise SystemExit(f"error: {root} does not give {file}: {error}") from error
            print(f"{root} does not give {file}, which only a window or a camera shows", flush=True)


if __name__ == "__main__":
    separator = sys.argv.index("--")
    main(sys.argv[1], sys.argv[2:separator], sys.argv[separator + 1 : -1], sys.argv[-1])
