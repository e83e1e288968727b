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
SCRATCH = ".making"


def check_disk_space(datasets: Sequence[SourceDataset], cache: Path, out: Path) -> None:
    """Raise OSError with a sentence when there is too little disk space."""
    needed = sum(_count_needed_bytes(source, cache, out, several=len(datasets) > 1) for source in datasets)
    free = shutil.disk_usage(out).free
    if needed > free:
        raise OSError(
            f"there is too little disk space to make one dataset of {', '.join(source.name for source in datasets)}:"
            f" {needed / 1e6:,.1f} MB needed at {out}, {free / 1e6:,.1f} MB free"
        )


def _count_needed_bytes(source: SourceDataset, cache: Path, out: Path, *, several: bool) -> int:
    """Return the bytes of its files, twice when they are changed and then merged. Videos of the cache are linked."""
    linked = cache in source.folder.parents and _is_same_disk(source.folder, out)
    videos = _measure_folder(source.folder / VIDEOS_FOLDER)
    rest = _measure_folder(source.folder) - videos
    return rest * (1 + (source.is_rewritten and several)) + (videos if source.needs_conversion or not linked else 0)


def _is_same_disk(path: Path, other_path: Path) -> bool:
    return path.stat().st_dev == other_path.stat().st_dev


def _measure_folder(folder: Path) -> int:
    return sum(
        os.stat(os.path.join(parent, name)).st_size
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
    )


def verify_merged_dataset(merged: Path, datasets: Sequence[SourceDataset]) -> None:
    """Check the merged dataset and write the size of each source. Raise OSError or ValueError with a sentence."""
    if problem := next(dataset.find_dataset_problems(merged, "the merged dataset"), None):
        raise ValueError(problem)
    info = dataset.load_dataset_info(merged)
    for count in ("total_episodes", "total_frames"):
        expected_count = sum(int(source.info[count]) for source in datasets)
        if info[count] != expected_count:
            raise ValueError(f"the merged dataset has {count} {info[count]}; its sources have {expected_count}")
    expected_lengths = [length for source in datasets for length in _read_lengths(source)]
    if list(_read_lengths_v30(merged)) != expected_lengths:
        raise ValueError("the merged dataset does not hold the episodes of its sources in their order")
    dataset_preparation.write_source_sizes(
        merged, [(int(source.info["total_episodes"]), int(source.info["total_frames"])) for source in datasets]
    )
    size = sum(path.stat().st_size for path in merged.rglob("*") if path.is_file())
    print(
        f"made one dataset: {info['total_episodes']} episodes, {info['total_frames']} frames, {size / 1e6:.1f} MB",
        flush=True,
    )


def _read_lengths(source: SourceDataset) -> Iterator[int]:
    """Yield the frames of each episode."""
    return _read_lengths_v21(source.folder) if source.needs_conversion else _read_lengths_v30(source.folder)


def _read_lengths_v30(folder: Path) -> Iterator[int]:
    parquet: Any = importlib.import_module("pyarrow.parquet")
    lengths: dict[int, int] = {}
    for path in sorted((folder / "meta" / "episodes").glob("*/*.parquet")):
        table = parquet.read_table(path, columns=["episode_index", "length"]).to_pydict()
        lengths.update(zip(table["episode_index"], table["length"], strict=True))
    yield from (length for _, length in sorted(lengths.items()))


def _read_lengths_v21(folder: Path) -> Iterator[int]:
    lines = (folder / "meta" / "episodes.jsonl").read_text(encoding="utf-8").splitlines()
    episodes = [json.loads(line) for line in lines if line.strip()]
    yield from (
        int(episode["length"]) for episode in sorted(episodes, key=lambda episode: int(episode["episode_index"]))
    )


def main() -> int:
    """Make the dataset; return 0, or 1 with one line that says why."""
    datasets, cache, out = _parse_arguments()
    logging.disable(logging.WARNING)  # LeRobot warns of fields that only older versions had
    scratch = out / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
    (scratch / "tmp").mkdir(parents=True)
    tempfile.tempdir = str(scratch / "tmp")  # LeRobot keeps whole videos there for a while
    os.environ["HF_DATASETS_CACHE"] = str(scratch / "tmp")
    try:
        check_disk_space(datasets, cache, out)
        merged = merge.make_merged_dataset(datasets, scratch, merge.FileLinker((cache, scratch)))
        verify_merged_dataset(merged, datasets)
        for path in sorted(merged.iterdir()):
            path.rename(out / path.name)
    except (OSError, ValueError) as error:  # LeRobot rejects the data, or files are damaged
        print(f"error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


def _parse_arguments() -> tuple[list[SourceDataset], Path, Path]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", nargs=2, action="append", required=True, metavar=("FOLDER", "NAME"))
    parser.add_argument("--cache", type=Path, required=True, help="files in this folder are linked, others are copied")
    parser.add_argument("out", type=Path, help="the folder to fill")
    values = parser.parse_args()
    datasets = [SourceDataset.load(Path(folder).resolve(), name) for folder, name in values.dataset]
    return datasets, values.cache.resolve(), values.out.absolute()


if __name__ == "__main__":
    raise SystemExit(main())
