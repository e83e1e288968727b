"""What the Trainer of transformers leaves: `checkpoint-N`, of which it keeps some, and logs of the loss."""

import json
import os
import shutil
import time
from pathlib import Path


def train(out: Path, steps: int, save_steps: int, resume: bool, keep: int = 5, pause: float = 0.0) -> None:
    saved = sorted(out.glob("checkpoint-*"), key=lambda folder: int(folder.name.rpartition("-")[2]))
    if resume and not saved:
        raise ValueError(f"No valid checkpoint found in output directory ({out})")
    first = int(saved[-1].name.rpartition("-")[2]) if resume else 0
    print(f"continuing from step {first}" if first else "starting", flush=True)
    for step in range(first + 1, steps + 1):
        if step % save_steps == 0:
            folder = out / f"checkpoint-{step}"
            folder.mkdir(parents=True)
            for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
                (folder / name).write_bytes(os.urandom(64))
            (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
            (folder / "experiment_cfg").mkdir()
            (folder / "experiment_cfg/metadata.json").write_text("{}")
            for old in sorted(out.glob("checkpoint-*"), key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]))[
                :-keep
            ]:
                shutil.rmtree(old)
        print({"loss": round(1 / step, 4), "learning_rate": 1e-4, "epoch": step / steps}, flush=True)
        time.sleep(pause)
    (out / "model.safetensors").write_bytes(b"0")
