"""The Hub on this machine as a program, for trials by hand: `python -m hub_stand_in [OWNER/NAME=FOLDER …]`.

It prints what to export, serves the datasets that are named, and what is published, until it is ended.
"""

import signal
import sys
from pathlib import Path

from hub_stand_in import HubStandIn


def main() -> None:
    """Serve until a signal ends it."""
    with HubStandIn() as hub:
        for argument in sys.argv[1:]:
            name, _, folder = argument.partition("=")
            files = {
                str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()
            }
            hub.repository(name, files, "dataset")
        print(f"export HF_ENDPOINT={hub.address} HF_TOKEN={hub.token}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
