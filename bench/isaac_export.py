"""Exports of Isaac Lab's policies: how long they take, and their inference against eager PyTorch.

    ./uvw run python bench/isaac_export.py [--quick] [--json]

The policy has the size of Isaac Lab's ANYmal-C on rough terrain: 235 observations, layers of 512, 256 and 128, 12
actions, with its normalizer. It is exported by the programs of `isaac-export`, in an environment of the stand-in
(rsl_rl 3.1, CPU build of PyTorch), with one thread. Inference is timed in turns, eager, TorchScript and ONNX Runtime,
at batch 1 and 4,096; medians. An export may take 30 s, with the start of Python.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import rows
from rows import Row

ROOT = Path(__file__).parents[1]
EXPORT = ROOT / "workloads/robotrain_workloads/isaac_export"
BATCHES = {"1": 1, "4,096": 4096}
MAKE = """
import sys, torch, yaml
from pathlib import Path
from rsl_rl.modules import ActorCritic
from tensordict import TensorDict
folder, config = Path(sys.argv[1]), {"actor_obs_normalization": True, "actor_hidden_dims": [512, 256, 128]}
(folder / "params").mkdir(parents=True)
torch.manual_seed(0)
groups = {"policy": ["policy"], "critic": ["policy"]}
model = ActorCritic(TensorDict({"policy": torch.zeros(1, 235)}, batch_size=[1]), groups, 12, activation="elu", **config)
torch.save({"model_state_dict": model.state_dict(), "optimizer_state_dict": {}, "iter": 1}, folder / "model_1.pt")
agent = {"policy": {"class_name": "ActorCritic", "activation": "elu", **config}, "clip_actions": None}
(folder / "params" / "agent.yaml").write_text(yaml.safe_dump(agent))
"""
INFER = """
import json, statistics, sys, time
from pathlib import Path
folder, image, turns = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
sys.path[:0] = [str(image), str(image.parent)]
import onnxruntime, torch
import actor
torch.set_num_threads(1)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(str(folder / "policy.onnx"), options, providers=["CPUExecutionProvider"])
script = torch.jit.load(str(folder / "policy.pt"))
_, eager = actor.load_actor(str(folder.parent / "model_1.pt"), str(folder.parent / "params/agent.yaml"))
found = {}
with torch.inference_mode():
    for batch in json.loads(sys.argv[4]):
        one = torch.randn(batch, 235)
        feed = {"obs": one.numpy()}
        ways = {"eager": lambda: eager(one), "jit": lambda: script(one), "onnx": lambda: session.run(None, feed)}
        times = {name: [] for name in ways}
        for turn in range(turns if batch == 1 else turns // 20 + 5):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                if turn > 4:
                    times[name].append(time.perf_counter() - began)
        found[batch] = {name: statistics.median(taken) for name, taken in times.items()}
print(json.dumps(found))
"""


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the time of an export, and of an inference of each form at each batch."""
    sys.path.insert(0, str(ROOT / "tests"))
    from isaac_stand_in import environments

    python = str(environments.install(environments.GENERATIONS[0]))
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "run")
        subprocess.run([python, "-c", MAKE, str(folder)], check=True, stdout=subprocess.DEVNULL, env=environ)
        files = [str(folder / "model_1.pt"), str(folder / "params/agent.yaml"), str(folder / "exported")]
        began = time.perf_counter()
        command = [python, str(EXPORT / "image/convert.py"), *files, "onnx", "jit"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environ)
        yield Row(name="export, both formats", ours=time.perf_counter() - began, unit="s", ceiling=30)
        turns = "200" if options.quick else "2000"
        command = [python, "-c", INFER, files[2], str(EXPORT / "image"), turns, json.dumps([*BATCHES.values()])]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environ)
        found = json.loads(done.stdout.splitlines()[-1])
    for name, batch in BATCHES.items():
        times = {way: 1000 * seconds for way, seconds in found[str(batch)].items()}
        for way, title in (("jit", "TorchScript"), ("onnx", "ONNX Runtime")):
            yield Row(
                name=f"{title}, batch {name}", ours=times[way], unit="ms", floor=times["eager"], floor_name="eager"
            )


def main() -> int:
    """Print the rows."""
    return rows.run(measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
