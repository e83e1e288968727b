"""How large plans are: the native spec of each platform, and all files of the plan, for a training and an evaluation.

./uvw run python bench/plan_size.py
"""

import argparse
import sys
from collections.abc import Iterator

import robotrain.api
import rows
from rows import Row

BLOBS = [f"https://acct.blob.core.windows.net/set/{day}" for day in "abc"]
WORKSPACE = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}
PLATFORMS = {
    "local": {},
    "osmo": {"pool": "p", **WORKSPACE},
    "azureml": {"compute": "gpu-cluster", **WORKSPACE},
}
WORKLOADS = {
    "lerobot-train": {"blob_url": BLOBS},
    "lerobot-eval": {"blob_url": BLOBS, "policy_repo_id": "lerobot/act_pusht", "env": "pusht"},
}
CEILINGS = {("lerobot-train", "osmo"): 128.0}
"""KiB of a spec: OSMO keeps it in its database, and renders it as a template for each submission."""


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield two rows for each plan."""
    for workload, job in WORKLOADS.items():
        for platform, settings in PLATFORMS.items():
            plan = robotrain.api.render(workload=workload, platform=platform, **job, **settings)
            spec, whole = len(plan.files[plan.spec]), sum(map(len, plan.files.values()))
            ceiling = CEILINGS.get((workload, platform))
            yield Row(name=f"{workload} on {platform}, spec", ours=spec / 1024, unit="KiB", ceiling=ceiling)
            yield Row(name=f"{workload} on {platform}, all files", ours=whole / 1024, unit="KiB")


def main() -> int:
    """Print every figure."""
    return rows.run(measure, __doc__)


if __name__ == "__main__":
    sys.exit(main())
