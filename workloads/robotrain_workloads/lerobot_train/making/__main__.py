"""`python -m robotrain_workloads.lerobot_train.making --dataset FOLDER NAME … OUT`: fill OUT with one dataset."""

import argparse
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

from robotrain_workloads.lerobot_train.making import checking, linking, merging, room
from robotrain_workloads.lerobot_train.making.given import Given

SCRATCH = ".making"


def main() -> int:
    """0, or 1 with one line that says why."""
    datasets, cache, out = _arguments()
    logging.disable(logging.WARNING)  # of LeRobot's: fields that only older versions had
    scratch = out / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
    (scratch / "tmp").mkdir(parents=True)
    tempfile.tempdir = str(scratch / "tmp")  # LeRobot keeps whole videos in there for a while
    os.environ["HF_DATASETS_CACHE"] = str(scratch / "tmp")
    try:
        room.check(datasets, cache, out)
        made = merging.one_of(datasets, scratch, linking.Linking((cache, scratch)))
        checking.check(made, datasets)
        for path in sorted(made.iterdir()):
            path.rename(out / path.name)
    except (OSError, ValueError) as error:  # what LeRobot refuses, and files that are not what they should be
        print(f"error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


def _arguments() -> tuple[list[Given], Path, Path]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", nargs=2, action="append", required=True, metavar=("FOLDER", "NAME"))
    parser.add_argument("--cache", type=Path, required=True, help="what lies in it is linked, all else is copied")
    parser.add_argument("out", type=Path, help="the folder to fill, on the cache's disk or another")
    values = parser.parse_args()
    given = [Given.at(Path(folder).resolve(), name) for folder, name in values.dataset]
    return given, values.cache.resolve(), values.out.absolute()


if __name__ == "__main__":
    raise SystemExit(main())
