"""Whether what was made is all of what it was made of, in its order."""

import importlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_train import dataset, extents
from robotrain_workloads.lerobot_train.making.given import Given


def check(made: Path, datasets: Sequence[Given]) -> None:
    """And note beside it what came from where. Raises OSError or ValueError with a sentence."""
    if wrong := next(dataset.wrong(made, "what was made"), None):
        raise ValueError(wrong)
    found = dataset.info(made)
    for count in ("total_episodes", "total_frames"):
        needed = sum(int(given.info[count]) for given in datasets)
        if found[count] != needed:
            raise ValueError(f"what was made says {count} {found[count]}, and it was made of {needed}")
    expected = [length for given in datasets for length in _lengths(given)]
    if list(_of_v30(made)) != expected:
        raise ValueError("the episodes of what was made are not those it was made of, in their order")
    extents.write(made, [(int(one.info["total_episodes"]), int(one.info["total_frames"])) for one in datasets])
    size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    print(
        f"made one dataset: {found['total_episodes']} episodes, {found['total_frames']} frames, {size / 1e6:.1f} MB",
        flush=True,
    )


def _lengths(given: Given) -> Iterator[int]:
    """The frames of each episode."""
    return _of_v21(given.folder) if given.old else _of_v30(given.folder)


def _of_v30(folder: Path) -> Iterator[int]:
    parquet: Any = importlib.import_module("pyarrow.parquet")
    found: dict[int, int] = {}
    for path in sorted((folder / "meta" / "episodes").glob("*/*.parquet")):
        table = parquet.read_table(path, columns=["episode_index", "length"]).to_pydict()
        found.update(zip(table["episode_index"], table["length"], strict=True))
    yield from (length for _, length in sorted(found.items()))


def _of_v21(folder: Path) -> Iterator[int]:
    lines = (folder / "meta" / "episodes.jsonl").read_text(encoding="utf-8").splitlines()
    told = [json.loads(line) for line in lines if line.strip()]
    yield from (int(one["length"]) for one in sorted(told, key=lambda one: int(one["episode_index"])))
