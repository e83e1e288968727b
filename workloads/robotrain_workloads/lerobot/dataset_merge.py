"""The merge of one or several datasets into one: views of rewritten and linked files, which LeRobot merges.

In the training environment: `python -m robotrain_workloads.lerobot.dataset_merge --dataset FOLDER NAME … OUT`.
"""

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot import dataset, dataset_preparation

LONGEST_ERROR = 400
"""Characters of LeRobot's message, which repeats every feature."""
DATA_FOLDER, META_FOLDER = "data", "meta"
READABLE_MODE = 0o644
REQUIRED_V21 = {"total_chunks": 0, "total_videos": 0, "video_path": None}
"""Keys that the converter removes from a description, and fails without."""
SCRATCH = ".making"


@dataclass(frozen=True, slots=True)
class SourceDataset:
    """A dataset that is merged."""

    folder: Path
    """Only read."""
    name: str
    """What the user calls it."""
    info: Mapping[str, Any]
    """The description in its files."""

    @property
    def needs_conversion(self) -> bool:
        """Whether it is converted from v2.1."""
        return dataset.is_convertible(self.info)

    @property
    def boolean_features(self) -> list[str]:
        """The features whose values become numbers."""
        return dataset_preparation.find_boolean_features(self.info)

    def write_description(self, folder: Path, features: dataset_preparation.DatasetFeatures) -> None:
        """Write the description of the changed dataset, with these features."""
        path = folder / dataset.INFO_FILE
        info = json.loads(path.read_text("utf-8")) if path.is_file() else dict(self.info)
        path.write_text(json.dumps({**info, "features": features}, indent=4), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class FileLinker:
    """Links files, or copies them."""

    stable_folders: Sequence[Path]
    """Folders whose files never change and may be linked; files of users are copied."""

    def copy(self, source: str | Path, target: str | Path) -> None:
        """Link or copy a file, with the signature of `shutil.copy`. Raise OSError."""
        real_path = Path(source).resolve()
        if any(folder in real_path.parents for folder in self.stable_folders):
            with suppress(OSError):  # another disk, or one without links
                os.link(real_path, target)
                return
        shutil.copyfile(real_path, target)

    def copy_tree(self, source: Path, target: Path) -> None:
        """Link or copy every file below a folder, which may hold links to folders. Raise OSError."""
        for path in sorted(source.iterdir()):
            if path.is_dir():
                (target / path.name).mkdir(parents=True, exist_ok=True)
                self.copy_tree(path, target / path.name)
            else:
                target.mkdir(parents=True, exist_ok=True)
                self.copy(path, target / path.name)


def make_merged_dataset(datasets: Sequence[SourceDataset], scratch: Path, linker: FileLinker) -> Path:
    """Return the folder of the dataset, below `scratch`. Raise OSError or ValueError with a sentence."""
    views = [make_view(source, scratch / str(index)) for index, source in enumerate(datasets)]
    features = dataset_preparation.unify_video_info(
        [dataset_preparation.normalize_features(source.info) for source in datasets]
    )
    for source, folder, source_features in zip(datasets, views, features, strict=True):
        source.write_description(folder, source_features)
    target = scratch / "made"
    if len(datasets) == 1:
        linker.copy_tree(views[0], target)
    else:
        episodes = sum(int(source.info["total_episodes"]) for source in datasets)
        print(f"merging {len(datasets)} datasets: {episodes} episodes", flush=True)
        from lerobot.datasets import aggregate

        aggregate.shutil = linker  # LeRobot copies videos with `shutil.copy`
        try:
            aggregate.aggregate_datasets(
                repo_ids=[f"local/{folder.name}" for folder in views],
                aggr_repo_id="local/merged",
                roots=list(views),
                aggr_root=target,
                concatenate_videos=False,  # joined, they drift a third of a microsecond an episode
            )
        except (OSError, ValueError) as error:
            dataset_names = " and ".join(source.name for source in datasets)
            raise ValueError(f"LeRobot could not merge {dataset_names}: {str(error)[:LONGEST_ERROR]}") from error
    return target


def make_view(source: SourceDataset, folder: Path) -> Path:
    """Make the view in `folder`, without its description. Raise OSError or ValueError."""
    (folder / META_FOLDER).mkdir(parents=True)
    for path in sorted(source.folder.iterdir()):
        if path.name != META_FOLDER and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    for path in sorted((source.folder / META_FOLDER).iterdir()):
        if path.name not in (dataset.INFO_FILE.name, dataset.SIZES_FILE.name):
            (folder / META_FOLDER / path.name).symlink_to(path)
    if source.needs_conversion:
        _convert_v21(source, folder)
    if source.boolean_features:
        print(f"{source.name}: boolean features become numbers: {', '.join(source.boolean_features)}", flush=True)
        original_data = (folder / DATA_FOLDER).rename(folder.with_name(f"{folder.name}-{DATA_FOLDER}"))
        cast_columns(original_data, folder / DATA_FOLDER, source.boolean_features)
    return folder


def _convert_v21(source: SourceDataset, folder: Path) -> None:
    """Convert with LeRobot, which writes the new dataset beside and then replaces the old one: only links."""
    print(f"{source.name}: converting {source.info['codebase_version']} to {dataset.DATASET_VERSION}", flush=True)
    source = replace(source, info=REQUIRED_V21 | {**source.info, "codebase_version": "v2.1"})
    source.write_description(folder, source.info["features"])
    from lerobot.scripts import convert_dataset_v21_to_v30 as converter

    try:
        converter.convert_dataset(f"local/{folder.name}", root=folder, push_to_hub=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{source.name} could not be converted: {error}") from error
    shutil.rmtree(folder.with_name(f"{folder.name}_old"))
    for path in (folder / "videos").rglob("*.mp4"):
        path.chmod(READABLE_MODE)  # LeRobot makes merged files readable by their owner only


def cast_columns(data_folder: Path, to: Path, column_names: Sequence[str]) -> None:
    """Copy every Parquet file below a folder, with these columns as 32-bit numbers, one row group at a time.

    Statistics stay valid: LeRobot counts a boolean as 0 or 1 already. Raise OSError or ValueError.
    """
    from pyarrow import parquet

    for path in sorted(data_folder.glob("*/*.parquet")):
        target = to / path.relative_to(data_folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        with parquet.ParquetFile(path) as file:
            schema = _cast_schema(file.schema_arrow, column_names)
            with parquet.ParquetWriter(target, schema) as writer:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group).cast(schema))


def _cast_schema(schema: Any, column_names: Sequence[str]) -> Any:
    import pyarrow as arrow

    for name in column_names:
        index = schema.get_field_index(name)
        if index < 0:
            raise ValueError(f"the data has no column {name}, which the description names")
        schema = schema.set(index, schema.field(index).with_type(_make_number_type(arrow, schema.field(index).type)))
    metadata = {name: value for name, value in (schema.metadata or {}).items() if name != b"huggingface"}
    return schema.with_metadata(metadata)  # without the outdated notes of the library `datasets` on column types


def _make_number_type(arrow: Any, kind: Any) -> Any:
    if arrow.types.is_fixed_size_list(kind):
        return arrow.list_(_make_number_type(arrow, kind.value_type), kind.list_size)
    if arrow.types.is_list(kind):
        return arrow.list_(_make_number_type(arrow, kind.value_type))
    return arrow.float32()


def verify_merged_dataset(merged_folder: Path, datasets: Sequence[SourceDataset]) -> None:
    """Check the merged dataset and write the size of each source. Raise OSError or ValueError with a sentence."""
    if problem := next(dataset.find_dataset_problems(merged_folder, "the merged dataset"), None):
        raise ValueError(problem)
    info = dataset.load_dataset_info(merged_folder)
    for count in ("total_episodes", "total_frames"):
        expected_count = sum(int(source.info[count]) for source in datasets)
        if info[count] != expected_count:
            raise ValueError(f"the merged dataset has {count} {info[count]}; its sources have {expected_count}")
    expected_lengths = [
        length
        for source in datasets
        for length in (_read_lengths_v21 if source.needs_conversion else _read_lengths_v30)(source.folder)
    ]
    if _read_lengths_v30(merged_folder) != expected_lengths:
        raise ValueError("the merged dataset does not hold the episodes of its sources in their order")
    dataset_preparation.write_source_sizes(merged_folder, [source.info for source in datasets])
    size = sum(path.stat().st_size for path in merged_folder.rglob("*") if path.is_file())
    print(
        f"made one dataset: {info['total_episodes']} episodes, {info['total_frames']} frames, {size / 1e6:.1f} MB",
        flush=True,
    )


def _read_lengths_v30(folder: Path) -> list[int]:
    """Return the frames of each episode."""
    return [length for _, length in sorted(dict(dataset.read_episodes(folder, "length")).items())]


def _read_lengths_v21(folder: Path) -> list[int]:
    episodes = sorted(
        map(json.loads, filter(str.strip, (folder / "meta" / "episodes.jsonl").read_text("utf-8").splitlines())),
        key=lambda episode: int(episode["episode_index"]),
    )
    return [int(episode["length"]) for episode in episodes]


def main() -> int:
    """Make the dataset; return 0, or 1 with one line that says why."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", nargs=2, action="append", required=True, metavar=("FOLDER", "NAME"))
    parser.add_argument("--cache", type=Path, required=True, help="files in this folder are linked, others are copied")
    parser.add_argument("out", type=Path, help="the folder to fill")
    arguments = parser.parse_args()
    cache = arguments.cache.resolve()
    out_folder = arguments.out.absolute()
    folders = [(Path(folder).resolve(), name) for folder, name in arguments.dataset]
    datasets = [SourceDataset(folder, name, dataset.load_dataset_info(folder, name)) for folder, name in folders]
    logging.disable(logging.WARNING)  # LeRobot warns of fields that only older versions had
    scratch = out_folder / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
    (scratch / "tmp").mkdir(parents=True)
    tempfile.tempdir = str(scratch / "tmp")  # LeRobot keeps whole videos there for a while
    os.environ["HF_DATASETS_CACHE"] = str(scratch / "tmp")
    try:
        merged_folder = make_merged_dataset(datasets, scratch, FileLinker((cache, scratch)))
        verify_merged_dataset(merged_folder, datasets)
        for path in sorted(merged_folder.iterdir()):
            path.rename(out_folder / path.name)
    except (OSError, ValueError) as error:  # LeRobot rejects the data, or files are damaged
        print(f"error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
