"""`python -m robotrain_workloads.lerobot.dataset_merge --dataset FOLDER NAME … OUT`: fill OUT with one dataset."""

import argparse
import importlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot import dataset, dataset_preparation
from robotrain_workloads.lerobot.dataset_merge import merge
from robotrain_workloads.lerobot.dataset_merge.merge import SourceDataset

VIDEOS_FOLDER = "videos"


def check_disk_space(datasets: Sequence[SourceDataset], cache: Path, out: Path) -> None:
    """Raises OSError with a sentence when there is not."""
    needed = sum(_count_needed_bytes(one, cache, out, several=len(datasets) > 1) for one in datasets)
    free = shutil.disk_usage(out).free
    if needed > free:
        raise OSError(
            f"making one dataset of {', '.join(one.name for one in datasets)} needs {needed / 1e6:,.1f} MB"
            f" where {out} lies, and {free / 1e6:,.1f} MB are free"
        )


def _count_needed_bytes(source: SourceDataset, cache: Path, out: Path, *, several: bool) -> int:
    """Bytes: its own files again, and once more for what is changed and then merged. Videos of the cache are linked."""
    linked = cache in source.folder.parents and _is_same_disk(source.folder, out)
    videos = _measure_folder(source.folder / VIDEOS_FOLDER)
    rest = _measure_folder(source.folder) - videos
    return rest * (1 + (source.is_rewritten and several)) + (videos if source.needs_conversion or not linked else 0)


def _is_same_disk(path: Path, other_path: Path) -> bool:
    return path.stat().st_dev == other_path.stat().st_dev


def _measure_folder(folder: Path) -> int:
    return sum(
        os.stat(os.path.join(at, name)).st_size for at, _, names in os.walk(folder, followlinks=True) for name in names
    )


def verify_merged_dataset(merged: Path, datasets: Sequence[SourceDataset]) -> None:
    """And note beside it what came from where. Raises OSError or ValueError with a sentence."""
    if wrong := next(dataset.find_dataset_problems(merged, "what was made"), None):
        raise ValueError(wrong)
    found = dataset.load_dataset_info(merged)
    for count in ("total_episodes", "total_frames"):
        needed = sum(int(given.info[count]) for given in datasets)
        if found[count] != needed:
            raise ValueError(f"what was made says {count} {found[count]}, and it was made of {needed}")
    expected = [length for given in datasets for length in _read_lengths(given)]
    if list(_read_lengths_v30(merged)) != expected:
        raise ValueError("the episodes of what was made are not those it was made of, in their order")
    dataset_preparation.write_source_sizes(
        merged, [(int(one.info["total_episodes"]), int(one.info["total_frames"])) for one in datasets]
    )
    size = sum(path.stat().st_size for path in merged.rglob("*") if path.is_file())
    print(
        f"made one dataset: {found['total_episodes']} episodes, {found['total_frames']} frames, {size / 1e6:.1f} MB",
        flush=True,
    )


def _read_lengths(source: SourceDataset) -> Iterator[int]:
    """The frames of each episode."""
    return _read_lengths_v21(source.folder) if source.needs_conversion else _read_lengths_v30(source.folder)


def _read_lengths_v30(folder: Path) -> Iterator[int]:
    parquet: Any = importlib.import_module("pyarrow.parquet")
    found: dict[int, int] = {}
    for path in sorted((folder / "meta" / "episodes").glob("*/*.parquet")):
        table = parquet.read_table(path, columns=["episode_index", "length"]).to_pydict()
        found.update(zip(table["episode_index"], table["length"], strict=True))
    yield from (length for _, length in sorted(found.items()))


def _read_lengths_v21(folder: Path) -> Iterator[int]:
    lines = (folder / "meta" / "episodes.jsonl").read_text(encoding="utf-8").splitlines()
    told = [json.loads(line) for line in lines if line.strip()]
    yield from (int(one["length"]) for one in sorted(told, key=lambda one: int(one["episode_index"])))


SCRATCH = ".making"


def main() -> int:
    """0, or 1 with one line that says why."""
    datasets, cache, out = _parse_arguments()
    logging.disable(logging.WARNING)  # of LeRobot's: fields that only older versions had
    scratch = out / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
    (scratch / "tmp").mkdir(parents=True)
    tempfile.tempdir = str(scratch / "tmp")  # LeRobot keeps whole videos in there for a while
    os.environ["HF_DATASETS_CACHE"] = str(scratch / "tmp")
    try:
        check_disk_space(datasets, cache, out)
        made = merge.make_merged_dataset(datasets, scratch, merge.FileLinker((cache, scratch)))
        verify_merged_dataset(made, datasets)
        for path in sorted(made.iterdir()):
            path.rename(out / path.name)
    except (OSError, ValueError) as error:  # what LeRobot refuses, and files that are not what they should be
        print(f"error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


def _parse_arguments() -> tuple[list[SourceDataset], Path, Path]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", nargs=2, action="append", required=True, metavar=("FOLDER", "NAME"))
    parser.add_argument("--cache", type=Path, required=True, help="what lies in it is linked, all else is copied")
    parser.add_argument("out", type=Path, help="the folder to fill, on the cache's disk or another")
    values = parser.parse_args()
    given = [SourceDataset.load(Path(folder).resolve(), name) for folder, name in values.dataset]
    return given, values.cache.resolve(), values.out.absolute()


if __name__ == "__main__":
    raise SystemExit(main())
