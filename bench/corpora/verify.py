"""Ask LeRobot about the lines of corpora, and print those whose class says something else.

    ./uvw run python bench/corpora/verify.py real.txt … --lerobot 0.6.1=PYTHON --lerobot 0.6.0=PYTHON --hub FOLDER

The options are those of generate_good.py.
"""

import argparse
import os
import tempfile
from pathlib import Path

from final_options import Typed
from generate_broken import OWN, ask
from lines import read_lines
from world import make_world

GOOD = ("good", "lerobot-train")


def main() -> int:
    """Print the lines; exit with 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="FILE")
    parser.add_argument("--lerobot", action="append", required=True, metavar="VERSION=PYTHON")
    parser.add_argument("--hub", type=Path, required=True)
    options = parser.parse_args()
    pythons = {name: Path(path) for name, path in (one.split("=", 1) for one in options.lerobot)}
    lines = [line for name in options.names for line in read_lines(name) if line.kind not in OWN]
    lines = [line for line in lines if line.words[0].startswith("-")]
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        os.environ["ROBOTRAIN_STATE"] = f"{place}/state"
        for line, why in ask(Typed(make_world(Path(place, "world"))), lines, pythons, options.hub):
            is_late = line.why.startswith("later")
            if bool(why) == (line.kind in GOOD) and not is_late:
                wrong += 1
                print(f"{line.kind}: {line.text}\n    LeRobot: {why or 'accepts it'}", flush=True)
    print(f"{len(lines)} lines, {wrong} with another verdict")
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
