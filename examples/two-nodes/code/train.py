"""Fit a linear layer with several processes, which torchrun starts: each has its own data, and all one gradient.

`torchrun --nproc-per-node 2 train.py --out runs/1`; after an interruption with `--resume runs/1/checkpoints/STEP`.
"""

import argparse
import os
import time

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

parser = argparse.ArgumentParser()
parser.add_argument("--out", required=True)
parser.add_argument("--steps", type=int, required=True)
parser.add_argument("--pause", type=float, default=0.0, help="seconds after each step, to watch it")
parser.add_argument("--resume", help="the folder of a checkpoint")
options = parser.parse_args()

distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
rank, world = distributed.get_rank(), distributed.get_world_size()
if on_gpu := torch.cuda.is_available():
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
torch.manual_seed(0)
layer = torch.nn.Linear(4, 1).to("cuda" if on_gpu else "cpu")
model, first = DistributedDataParallel(layer), 0
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
if options.resume:
    state = torch.load(f"{options.resume}/state.pt", weights_only=True)
    layer.load_state_dict(state["layer"])
    first = state["step"]
print(f"process {rank} of {world} starts at step {first}", flush=True)
torch.manual_seed(1 + rank)  # other data than the others have
for step in range(first + 1, options.steps + 1):
    data = torch.randn(8, 4, device=layer.weight.device)
    loss = (model(data) - data.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if rank == 0:
        print(f"step {step}/{options.steps} loss {loss.item():.5f}", flush=True)
    if rank == 0 and (step % 5 == 0 or step == options.steps):
        os.makedirs(new := f"{options.out}/new", exist_ok=True)
        torch.save({"layer": layer.state_dict(), "step": step}, f"{new}/state.pt")
        os.makedirs(f"{options.out}/checkpoints", exist_ok=True)
        os.rename(new, f"{options.out}/checkpoints/{step}")
    time.sleep(options.pause)
distributed.destroy_process_group()
