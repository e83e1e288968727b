"""Behavior cloning in plain PyTorch: from where the agent and the T are to where the agent goes next."""

import argparse
import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True, help="a LeRobot dataset")
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--steps", type=int, default=2000)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--save-every", type=int, default=500)
parser.add_argument("--resume", type=Path, help="a checkpoint to continue from")
args = parser.parse_args()

rows = pq.read_table(sorted(args.data.glob("data/*/*.parquet"))).to_pydict()
state, corners = torch.tensor(rows["observation.state"]), torch.tensor(rows["observation.environment_state"])
inputs, targets = torch.cat([state / 256 - 1, corners], dim=1), torch.tensor(rows["action"]) / 256 - 1
held_out = torch.tensor(rows["episode_index"]) % 10 == 0

policy = nn.Sequential(nn.Linear(18, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2))
optimizer = torch.optim.Adam(policy.parameters(), lr=args.lr)
start = 0
if args.resume:
    saved = torch.load(args.resume / "state.pt")
    policy.load_state_dict(saved["policy"])
    optimizer.load_state_dict(saved["optimizer"])
    start = saved["step"]

for step in range(start + 1, args.steps + 1):
    chosen = torch.randint(len(targets), (256,))
    chosen = chosen[~held_out[chosen]]
    loss = nn.functional.mse_loss(policy(inputs[chosen]), targets[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        with (args.out / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "loss": loss.item()}) + "\n")
    if step % args.save_every == 0 or step == args.steps:
        partial, folder = args.out / f"checkpoints/.{step}", args.out / f"checkpoints/{step}"
        partial.mkdir(parents=True, exist_ok=True)
        saved = {"policy": policy.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
        torch.save(saved, partial / "state.pt")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)

with torch.no_grad():
    error = (policy(inputs[held_out]) - targets[held_out]).norm(dim=1).mean().item() * 256
scores = {"held_out_error": {"value": error, "unit": "pixels", "better": "lower"}}
(args.out / "results.json").write_text(json.dumps({"scores": scores, "conditions": "every tenth episode"}))
