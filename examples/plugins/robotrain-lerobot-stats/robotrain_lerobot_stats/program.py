"""`program OUTPUT BINS FEATURES (NAME FOLDER)…`: writes statistics of datasets; one is in memory at a time."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from robotrain_runtime.plugin import Metrics, emit_event

output, bins, features, *datasets = sys.argv[1:]
statistics = []
for number, (name, folder) in enumerate(zip(datasets[::2], datasets[1::2], strict=True), 1):
    declared = json.loads(Path(folder, "meta/info.json").read_text())["features"]
    numbers = [key for key, feature in declared.items() if feature["dtype"].startswith(("float", "int", "bool"))]
    table = pq.read_table(Path(folder, "data"), columns=features.split(",") if features else numbers)
    episodes = pq.read_table(Path(folder, "data"), columns=["episode_index"])["episode_index"].value_counts()
    lengths, summary, values = [episode["counts"].as_py() for episode in episodes], {}, dict[str, float]()
    for key in table.column_names:
        rows = np.stack(table[key].to_numpy()).reshape(len(table), -1).astype(float)
        summary[key] = {what: getattr(rows, what)(0).tolist() for what in ("mean", "std", "min", "max")}
        values |= {f"{key}.{at}/{what}": x for what, xs in summary[key].items() for at, x in enumerate(xs)}
    counts, edges = np.histogram(lengths, int(bins))
    sizes = {"episodes": len(lengths), "frames": len(table), "shortest": min(lengths), "longest": max(lengths)}
    emit_event(Metrics(step=number, total=len(datasets) // 2, values=sizes | values))
    statistics.append({"dataset": name, "lengths": [counts.tolist(), edges.tolist()], **sizes, "features": summary})
Path(output).parent.mkdir(parents=True, exist_ok=True)
Path(output).write_text(json.dumps(statistics, indent=1) + "\n")
