"""Fetch assets of Isaac Lab into a folder: `python asset_fetch.py ROOT FILE … FOLDER`, with Isaac Lab's own Python.

Isaac Lab follows the files that USD files name. Each is put where its address is, below the folder.
"""

import importlib
import os
import sys
from typing import Any


def main(root: str, files: list[str], folder: str) -> None:
    """Fetch the files below a root. Raise SystemExit with a sentence."""
    os.makedirs(folder)
    assets: Any = importlib.import_module("isaaclab.utils.assets")
    for number, file in enumerate(files, 1):
        print(f"fetching asset {number} of {len(files)}: {file}", flush=True)
        try:
            assets.retrieve_file_path(f"{root}/{file}", folder)
        except (OSError, RuntimeError) as error:
            raise SystemExit(f"error: {root} does not give {file}: {error}") from error


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:-1], sys.argv[-1])
