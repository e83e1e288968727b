"""Runs in the environment: `program TO BINS FEATURES (NAME FOLDER)…`, the numbers of a dataset at a time."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from robotrain_runtime.plugin import Metrics, emit_event

to, bins, features, *named = sys.argv[1:]
told = []
for number, (name, folder) in enumerate(zip(named[::2], named[1::2], strict=True), 1):
    declared = json.loads(Path(folder, "meta/info.json").read_text())["features"]
    numbers = [key for key, one in declared.items() if one["dtype"].startswith(("float", "int", "bool"))]
    table = pq.read_table(Path(folder, "data"), columns=features.split(",") if features else numbers)
    episodes = pq.read_table(Path(folder, "data"), columns=["episode_index"])["episode_index"].value_counts()
    lengths, whole, values = [one["counts"].as_py() for one in episodes], {}, dict[str, float]()
    for key in table.column_names:
        rows = np.stack(table[key].to_numpy()).reshape(len(table), -1).astype(float)
        whole[key] = {what: getattr(rows, what)(0).tolist() for what in ("mean", "std", "min", "max")}
        values |= {f"{key}.{at}/{what}": x for what, xs in whole[key].items() for at, x in enumerate(xs)}
    counts, edges = np.histogram(lengths, int(bins))
    sizes = {"episodes": len(lengths), "frames": len(table), "shortest": min(lengths), "longest": max(lengths)}
    emit_event(Metrics(step=number, total=len(named) // 2, values=sizes | values))
    told.append({"dataset": name, "lengths": [counts.tolist(), edges.tolist()], **sizes, "features": whole})
Path(to).parent.mkdir(parents=True, exist_ok=True)
Path(to).write_text(json.dumps(told, indent=1) + "\n")
