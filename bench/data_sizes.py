"""Large datasets: how long `robotrain data check` takes for their tables, and how much memory for all it looks at.

    python bench/data_sizes.py EPISODES FRAMES [--quality]

writes a dataset without cameras, of so many episodes with so many frames each, and prints what its check took, as
JSON. Run in the environment of LeRobot; bench/data_check.py runs it.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

JOINTS, AT_ONCE = 7, 1000
TIMES = 3
"""How often tables are compared; the best counts."""
KEYS = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


def write_dataset(folder: Path, count: int, length: int) -> None:
    """Write smooth motions between random poses."""
    for name in ("data/chunk-000", "meta/episodes/chunk-000"):
        (folder / name).mkdir(parents=True)
    draw, writer = np.random.default_rng(count), None
    for first in range(0, count, AT_ONCE):
        numbers = np.arange(first, min(first + AT_ONCE, count))
        times = np.linspace(0, 1, length)[None, :, None]
        begin, end = draw.uniform(0, 1, (2, len(numbers), 1, JOINTS))
        action = (begin + (end - begin) * (10 * times**3 - 15 * times**4 + 6 * times**5)).reshape(-1, JOINTS)
        state, frames = action + draw.normal(0, 0.001, action.shape), np.tile(np.arange(length), len(numbers))
        columns = {
            "action": pa.FixedSizeListArray.from_arrays(pa.array(action.astype("float32").ravel()), JOINTS),
            "observation.state": pa.FixedSizeListArray.from_arrays(pa.array(state.astype("float32").ravel()), JOINTS),
            "timestamp": pa.array((frames / 30).astype("float32")),
            "frame_index": pa.array(frames),
            "episode_index": pa.array(np.repeat(numbers, length)),
            "index": pa.array(np.arange(first * length, first * length + len(frames))),
            "task_index": pa.array(np.zeros(len(frames), int)),
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(folder / "data/chunk-000/file-000.parquet", table.schema)
        writer.write_table(table)
    assert writer
    writer.close()
    all_numbers, zeros = np.arange(count), [0] * count
    episodes = {
        "episode_index": all_numbers,
        "tasks": [["pick"]] * count,
        "length": [length] * count,
        "data/chunk_index": zeros,
        "data/file_index": zeros,
        "dataset_from_index": all_numbers * length,
        "dataset_to_index": (all_numbers + 1) * length,
    }
    pq.write_table(pa.table(episodes), folder / "meta/episodes/chunk-000/file-000.parquet")
    pq.write_table(pa.table({"task_index": [0], "__index_level_0__": ["pick"]}), folder / "meta/tasks.parquet")
    features = {
        name: {"dtype": "float32", "shape": [JOINTS], "names": None} for name in ("action", "observation.state")
    }
    features |= {name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in KEYS.items()}
    info = {
        "codebase_version": "v3.0",
        "fps": 30,
        "features": features,
        "total_episodes": count,
        "total_frames": count * length,
        "total_tasks": 1,
        "splits": {},
    }
    (folder / "meta/info.json").write_text(json.dumps(info))
    (folder / "meta/stats.json").write_text("{}")


def main() -> None:
    """Write a dataset, and check it in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("episodes", type=int)
    parser.add_argument("frames", type=int)
    parser.add_argument("--quality", action="store_true", help="look at numbers too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder), options.episodes, options.frames)
        questions: dict[str, dict[str, float]] = {"tables": {}}
        if options.quality:
            questions["quality"] = {"val_split": 0.1}
        request = json.dumps({"dataset": {"folder": folder}, "questions": questions}) + "\n"
        command = [sys.executable, "-m", "robotrain_workloads.data_command.inspection"]
        taken = []
        for _ in range(1 if options.quality else TIMES):
            before = time.perf_counter()
            done = subprocess.run(command, input=request, stdout=subprocess.PIPE, text=True, check=True)
            taken.append(time.perf_counter() - before)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1] == {"event": "end"}, events[-1]
    findings = [event["finding"]["text"] for event in events if event["event"] == "finding"]
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"seconds": min(taken), "megabytes": megabytes, "findings": findings}))


if __name__ == "__main__":
    main()
