"""Runs in the environment of a tracking half: its look at an address, and what that found as one marked line.

`python -m robotrain_runtime.track.looking MODULE ADDRESS`
"""

import dataclasses
import importlib
import json
import sys

MARK = "found: "


def main(module: str, uri: str) -> None:
    """Look, and tell."""
    found = [dataclasses.asdict(one) for one in importlib.import_module(module).look(uri)]
    print(MARK + json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
