"""Truth values as the numbers 0 and 1, in the files of a dataset that is ours to change."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def cast(data: Path, to: Path, names: Sequence[str]) -> None:
    """Write every Parquet file below `data` again below `to`, with these columns as 32-bit numbers, row group by row
    group. Statistics need no change: LeRobot counts a truth as 0 or 1 already. Raises OSError, ValueError.
    """
    parquet: Any = importlib.import_module("pyarrow.parquet")
    for path in sorted(data.glob("*/*.parquet")):
        target = to / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        with parquet.ParquetFile(path) as file:
            schema = _numbers(file.schema_arrow, names)
            with parquet.ParquetWriter(target, schema) as writer:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group).cast(schema))


def _numbers(schema: Any, names: Sequence[str]) -> Any:
    arrow: Any = importlib.import_module("pyarrow")
    for name in names:
        at = schema.get_field_index(name)
        if at < 0:
            raise ValueError(f"the data has no column {name}, of which its description speaks")
        schema = schema.set(at, schema.field(at).with_type(_number(arrow, schema.field(at).type)))
    return _without_datasets(schema)


def _number(arrow: Any, kind: Any) -> Any:
    """The same shape, of 32-bit numbers."""
    if arrow.types.is_fixed_size_list(kind):
        return arrow.list_(_number(arrow, kind.value_type), kind.list_size)
    if arrow.types.is_list(kind):
        return arrow.list_(_number(arrow, kind.value_type))
    return arrow.float32()


def _without_datasets(schema: Any) -> Any:
    """What the library `datasets` noted of the columns' types says no longer what they are."""
    kept = {name: value for name, value in (schema.metadata or {}).items() if name != b"huggingface"}
    return schema.with_metadata(kept)
