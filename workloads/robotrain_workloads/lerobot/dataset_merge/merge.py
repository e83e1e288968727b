"""One dataset of one or several: views with what had to change, links to the rest, merged by LeRobot."""

import importlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot import dataset, dataset_preparation


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDataset:
    """folder: it is only read. name: what the person calls it. info: its description, as it lies there."""

    folder: Path
    name: str
    info: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path, name: str) -> "SourceDataset":
        """The dataset in `folder`. Raises OSError or ValueError with a sentence."""
        return cls(folder=folder, name=name, info=dataset.load_dataset_info(folder, name))

    @property
    def needs_conversion(self) -> bool:
        """Whether it is converted from v2.1."""
        return dataset.is_convertible(self.info)

    @property
    def boolean_features(self) -> list[str]:
        """The features whose values become numbers."""
        return dataset_preparation.find_boolean_features(self.info)

    @property
    def is_rewritten(self) -> bool:
        """Whether its own data is written anew, beside being merged."""
        return self.needs_conversion or bool(self.boolean_features)

    def write_description(self, folder: Path, features: dataset_preparation.DatasetFeatures) -> None:
        """Write the description of what it became, in a folder of ours, with these features."""
        path = folder / dataset.INFO_FILE
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else dict(self.info)
        path.write_text(json.dumps({**found, "features": features}, indent=4), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class FileLinker:
    """kept: folders in which files stay as they are: those of a person may be written to later, so they are copied."""

    stable_folders: Sequence[Path]

    def copy(self, source: str | Path, target: str | Path) -> None:
        """Has the signature of `shutil.copy`. Raises OSError."""
        real = Path(source).resolve()
        if any(folder in real.parents for folder in self.stable_folders):
            with suppress(OSError):  # another disk, or one without links
                os.link(real, target)
                return
        shutil.copyfile(real, target)

    def copy_tree(self, source: Path, target: Path) -> None:
        """Every file below a folder, which may hold links to folders. Raises OSError."""
        for path in sorted(source.iterdir()):
            if path.is_dir():
                (target / path.name).mkdir(parents=True, exist_ok=True)
                self.copy_tree(path, target / path.name)
            else:
                target.mkdir(parents=True, exist_ok=True)
                self.copy(path, target / path.name)


LONGEST_ERROR = 400
"""Of LeRobot's own words, which repeat every feature."""


def make_merged_dataset(datasets: Sequence[SourceDataset], scratch: Path, linker: FileLinker) -> Path:
    """The folder it is made in, below `scratch`. Raises OSError or ValueError with a sentence."""
    views = [make_view(given, scratch / str(at)) for at, given in enumerate(datasets)]
    features = dataset_preparation.unify_video_info(
        [dataset_preparation.normalize_features(given.info) for given in datasets]
    )
    for given, folder, described in zip(datasets, views, features, strict=True):
        given.write_description(folder, described)
    target = scratch / "made"
    if len(datasets) > 1:
        _merge_views(datasets, views, target, linker)
    else:
        linker.copy_tree(views[0], target)
    return target


def _merge_views(datasets: Sequence[SourceDataset], views: Sequence[Path], target: Path, linker: FileLinker) -> None:
    """In the order given. Videos stay one file each: put together, they drift a third of a microsecond an episode."""
    episodes = sum(int(given.info["total_episodes"]) for given in datasets)
    print(f"merging {len(datasets)} datasets: {episodes} episodes", flush=True)
    aggregate: Any = importlib.import_module("lerobot.datasets.aggregate")
    aggregate.shutil = linker  # of which it uses `copy`, for videos
    try:
        aggregate.aggregate_datasets(
            repo_ids=[f"local/{folder.name}" for folder in views],
            aggr_repo_id="local/merged",
            roots=list(views),
            aggr_root=target,
            concatenate_videos=False,
        )
    except (OSError, ValueError) as error:
        names = " and ".join(given.name for given in datasets)
        raise ValueError(f"LeRobot could not merge {names}: {str(error)[:LONGEST_ERROR]}") from error


DATA_FOLDER, META_FOLDER = "data", "meta"
READABLE_MODE = 0o644
REQUIRED_V21 = {"total_chunks": 0, "total_videos": 0, "video_path": None}
"""What the converter takes out of a description, and fails without."""


def make_view(source: SourceDataset, folder: Path) -> Path:
    """Make it in `folder`. Its description is still to be written. Raises OSError, ValueError."""
    (folder / META_FOLDER).mkdir(parents=True)
    for path in sorted(source.folder.iterdir()):
        if path.name != META_FOLDER and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    for path in sorted((source.folder / META_FOLDER).iterdir()):
        if path.name not in (dataset.INFO_FILE.name, dataset_preparation.SIZES_FILE.name):
            (folder / META_FOLDER / path.name).symlink_to(path)
    if source.needs_conversion:
        _convert_v21(source, folder)
    if source.boolean_features:
        print(f"{source.name}: truth values become numbers: {', '.join(source.boolean_features)}", flush=True)
        original = (folder / DATA_FOLDER).rename(folder.with_name(f"{folder.name}-{DATA_FOLDER}"))
        cast_columns(original, folder / DATA_FOLDER, source.boolean_features)
    return folder


def _convert_v21(source: SourceDataset, folder: Path) -> None:
    """LeRobot writes the new one beside, and puts it in the place of the old one, which is only links."""
    print(f"{source.name}: converting {source.info['codebase_version']} to {dataset.DATASET_VERSION}", flush=True)
    source = SourceDataset(
        folder=source.folder, name=source.name, info=REQUIRED_V21 | {**source.info, "codebase_version": "v2.1"}
    )
    source.write_description(folder, source.info["features"])
    converter: Any = importlib.import_module("lerobot.scripts.convert_dataset_v21_to_v30")
    try:
        converter.convert_dataset(f"local/{folder.name}", root=folder, push_to_hub=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{source.name} could not be converted: {error}") from error
    shutil.rmtree(folder.with_name(f"{folder.name}_old"))
    for path in (folder / "videos").rglob("*.mp4"):
        path.chmod(READABLE_MODE)  # LeRobot leaves what it put together to its owner alone


def cast_columns(data: Path, to: Path, names: Sequence[str]) -> None:
    """Write every Parquet file below `data` again below `to`, with these columns as 32-bit numbers, row group by row
    group. Statistics need no change: LeRobot counts a truth as 0 or 1 already. Raises OSError, ValueError.
    """
    parquet: Any = importlib.import_module("pyarrow.parquet")
    for path in sorted(data.glob("*/*.parquet")):
        target = to / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        with parquet.ParquetFile(path) as file:
            schema = _cast_schema(file.schema_arrow, names)
            with parquet.ParquetWriter(target, schema) as writer:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group).cast(schema))


def _cast_schema(schema: Any, names: Sequence[str]) -> Any:
    arrow: Any = importlib.import_module("pyarrow")
    for name in names:
        at = schema.get_field_index(name)
        if at < 0:
            raise ValueError(f"the data has no column {name}, of which its description speaks")
        schema = schema.set(at, schema.field(at).with_type(_make_number_type(arrow, schema.field(at).type)))
    return _drop_datasets_metadata(schema)


def _make_number_type(arrow: Any, kind: Any) -> Any:
    """The same shape, of 32-bit numbers."""
    if arrow.types.is_fixed_size_list(kind):
        return arrow.list_(_make_number_type(arrow, kind.value_type), kind.list_size)
    if arrow.types.is_list(kind):
        return arrow.list_(_make_number_type(arrow, kind.value_type))
    return arrow.float32()


def _drop_datasets_metadata(schema: Any) -> Any:
    """What the library `datasets` noted of the columns' types says no longer what they are."""
    kept = {name: value for name, value in (schema.metadata or {}).items() if name != b"huggingface"}
    return schema.with_metadata(kept)
