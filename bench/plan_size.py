"""How large plans are: the native spec of each platform, and all files of the plan, for a training and an evaluation.

Of the other workloads, and of a pipeline of a training and its evaluation, OSMO's spec: it contains the code.

./uvw run python bench/plan_size.py
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import robotrain.api
import rows
from rows import ROBOTRAIN, Row

BLOBS = [f"https://acct.blob.core.windows.net/set/{day}" for day in "abc"]
WORKSPACE = {"subscription_id": "s", "resource_group": "g", "workspace_name": "ws-1"}
PLATFORMS = {
    "local": {},
    "osmo": {"pool": "p", **WORKSPACE},
    "azureml": {"compute": "gpu-cluster", **WORKSPACE},
}
WORKLOADS = {
    "lerobot-train": {"blob_url": BLOBS},
    "lerobot-eval": {"blob_url": BLOBS, "policy_repo_id": "lerobot/act_pusht", "env": "pusht"},
}
BAGS = {"state_topic": "/joints", "action_topic": "/action", "environment_state_topic": "/points", "fps": 10}
TASK = {"task": "Isaac-Cartpole"}
OTHERS = {
    "rosbag-act-train": {"blob_url": BLOBS[:1], **BAGS},
    "isaac-train": TASK,
    "isaac-validate": {"checkpoint_uri": BLOBS[0], **TASK},
    "isaac-export": {"checkpoint_uri": BLOBS[0], **TASK},
}
PIPELINE = f"""
steps:
  train: {{workload: lerobot-train, sources: {{dataset: [{{blob_url: "{BLOBS[0]}"}}]}}}}
  evaluate: {{workload: lerobot-eval, parameters: {{env: pusht}}, sources: {{policy: {{from: train}}}}}}
"""
OSMO_CEILING = 448.0
"""KiB of a spec, an eighth less than OSMO was seen to accept (512; it refused 1,000): it keeps it in its database, and
renders it as a template for each submission, which took 1.5 s for 350.
"""


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield two rows for each plan."""
    for workload, job in WORKLOADS.items():
        for platform, settings in PLATFORMS.items():
            plan = robotrain.api.render(workload=workload, platform=platform, **job, **settings)
            spec, whole = len(plan.files[plan.spec]), sum(map(len, plan.files.values()))
            ceiling = OSMO_CEILING if platform == "osmo" else None
            yield Row(name=f"{workload} on {platform}, spec", ours=spec / 1024, unit="KiB", ceiling=ceiling)
            yield Row(name=f"{workload} on {platform}, all files", ours=whole / 1024, unit="KiB")
    for workload, job in OTHERS.items():
        plan = robotrain.api.render(workload=workload, platform="osmo", **job, **PLATFORMS["osmo"])
        size = len(plan.files[plan.spec]) / 1024
        yield Row(name=f"{workload} on osmo, spec", ours=size, unit="KiB", ceiling=OSMO_CEILING)
    size = _measure_pipeline() / 1024
    yield Row(name="train and evaluate on osmo, spec", ours=size, unit="KiB", ceiling=OSMO_CEILING)


def _measure_pipeline() -> int:
    """Return the bytes of the workflow of a pipeline."""
    with tempfile.TemporaryDirectory() as name:
        file, plan = Path(name, "pipeline.yaml"), Path(name, "plan")
        file.write_text(PIPELINE)
        command = [ROBOTRAIN, "pipeline", "render", str(file), "--platform", "osmo", "--to", str(plan)]
        environ = {**os.environ, "ROBOTRAIN_STATE": f"{name}/state", "OSMO_POOL": "p"}
        subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return (plan / "workflow.yaml").stat().st_size


def main() -> int:
    """Print every figure."""
    return rows.run(measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
